/* The membership over real guards and real etcd: formed, replaced, recovered, stopped (E1 to E4). */
#include "sidecar/etcd_member/membership.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../support/loopback.h"
#include "sidecar/guard/guard.h"
#include "json/json.h"

enum { NODES = 3, LOOK_MS = 20, CONNECTIONS = 32 };

struct node;

/* One request to a node's /pgvigil/etcd. */
struct connection {
    struct node *node;
    int fd; /* 0: free */
    struct source *readable;
};

struct node {
    char name[8];
    char dir[128];
    char data_dir[160], state_dir[160], socket[160], lock[160];
    pid_t guard;
    int api; /* listens */
    struct source *accepting;
    struct config config;
    struct etcd *etcd;
    struct membership *membership; /* NULL: the node is down */
};

static struct {
    char root[64];
    struct loop *loop;
    struct http *http;
    size_t n;
    struct config_member members[NODES];
    struct node nodes[NODES];
    struct connection connections[CONNECTIONS];
} world;

static struct guard the_guard;

/* --- the REST API of a node, as far as it is asked --- */

static void answer(void *arg, int events)
{
    struct connection *connection = arg;
    char request[4096];
    char head[256];
    (void)events;
    if (recv(connection->fd, request, sizeof(request), 0) > 0 &&
        connection->node->membership != NULL) {
        const char *body = membership_status(connection->node->membership)->formation;
        (void)snprintf(head, sizeof(head),
                       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                       strlen(body));
        (void)send(connection->fd, head, strlen(head), MSG_NOSIGNAL);
        (void)send(connection->fd, body, strlen(body), MSG_NOSIGNAL);
    }
    connection->readable = source_free(connection->readable);
    close(connection->fd);
    connection->fd = 0;
}

static void accept_one(void *arg, int events)
{
    struct node *node = arg;
    (void)events;
    int fd = accept4(node->api, NULL, NULL, SOCK_CLOEXEC);
    for (size_t at = 0; at < CONNECTIONS && fd >= 0; at++) {
        struct connection *connection = &world.connections[at];
        if (connection->fd != 0)
            continue;
        *connection = (struct connection){ .node = node, .fd = fd };
        connection->readable = loop_fd(world.loop, fd, LOOP_READ, answer, connection);
        return;
    }
    close(fd);
}

static char *url_of_free_port(void)
{
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", loopback_free_port());
    return strdup(url);
}

/* --- nodes --- */

static void nothing(void *arg)
{
    (void)arg;
}

static void remove_dir(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-rf", path, NULL);
        _exit(1);
    }
    (void)waitpid(pid, NULL, 0);
}

static void node_start(struct node *node)
{
    char command[192];
    (void)snprintf(command, sizeof(command), "%s", node->dir);
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("mkdir", "mkdir", "-p", command, NULL);
        _exit(1);
    }
    (void)waitpid(pid, NULL, 0);
    node->guard = fork();
    if (node->guard == 0) {
        const struct guard_options options = { .socket_path = node->socket,
                                               .lock_path = node->lock,
                                               .no_deadline = true,
                                               .grace_ms = 4000 };
        _exit(guard_main(&the_guard, &options));
    }
    node->membership = membership_new(&(struct etcd_member_spec){
        .loop = world.loop,
        .config = &node->config,
        .etcd = node->etcd,
        .http = world.http,
        .guard_path = "/nowhere",
        .ttl_ms = 3000,
        .changed = nothing,
    });
}

/* At once: etcd dies with its guard. */
static void node_kill(struct node *node)
{
    node->membership = membership_free(node->membership);
    if (node->guard > 0) {
        (void)kill(node->guard, SIGKILL);
        (void)waitpid(node->guard, NULL, 0);
    }
    node->guard = 0;
}

static void make_node(size_t at)
{
    static const char *const names[NODES] = { "n1", "n2", "w" };
    struct node *node = &world.nodes[at];
    struct config_member *member = &world.members[at];
    char url[64];
    int port = 0;
    (void)snprintf(node->name, sizeof(node->name), "%s", names[at]);
    (void)snprintf(node->dir, sizeof(node->dir), "%s/%s", world.root, names[at]);
    (void)snprintf(node->data_dir, sizeof(node->data_dir), "%s/etcd", node->dir);
    (void)snprintf(node->state_dir, sizeof(node->state_dir), "%s/pgvigil", node->dir);
    (void)snprintf(node->socket, sizeof(node->socket), "%s/s", node->dir);
    (void)snprintf(node->lock, sizeof(node->lock), "%s/lock", node->dir);
    node->api = loopback_listen(&port);
    node->accepting = loop_fd(world.loop, node->api, LOOP_READ, accept_one, node);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
    *member =
        (struct config_member){ node->name, url_of_free_port(), url_of_free_port(), strdup(url) };
}

static void make_config(struct node *node)
{
    static char bin[] = "etcd", scope[] = "test";
    const char *urls[NODES + 1] = { NULL };
    node->config = (struct config){ .name = node->name,
                                    .scope = scope,
                                    .state_dir = node->state_dir,
                                    .etcd_socket = node->socket };
    node->config.managed.name = node->name;
    node->config.managed.n = world.n;
    node->config.managed.data_dir = node->data_dir;
    node->config.managed.bin = bin;
    for (size_t at = 0; at < world.n; at++) {
        node->config.managed.members[at] = world.members[at];
        urls[at] = world.members[at].client_url;
    }
    node->etcd = etcd_new(world.loop, world.http, &(struct etcd_config){ .endpoints = urls });
}

static void world_begin(size_t n)
{
    (void)snprintf(world.root, sizeof(world.root), "/tmp/membership-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world.root));
    world.loop = loop_new();
    world.http = http_new(world.loop, 5000);
    world.n = n;
    for (size_t at = 0; at < n; at++)
        make_node(at);
    for (size_t at = 0; at < n; at++)
        make_config(&world.nodes[at]);
}

static void world_end(void)
{
    for (size_t at = 0; at < world.n; at++) {
        struct node *node = &world.nodes[at];
        node_kill(node);
        etcd_free(node->etcd);
        source_free(node->accepting);
        close(node->api);
        free(world.members[at].peer_url);
        free(world.members[at].client_url);
        free(world.members[at].api_url);
    }
    for (size_t at = 0; at < CONNECTIONS; at++) {
        source_free(world.connections[at].readable);
        if (world.connections[at].fd != 0)
            close(world.connections[at].fd);
    }
    http_free(world.http);
    loop_free(world.loop);
    remove_dir(world.root);
    memset(&world, 0, sizeof(world));
}

/* --- waiting --- */

static const struct etcd_member_status *status(size_t at)
{
    return membership_status(world.nodes[at].membership);
}

static bool all_voters(void)
{
    for (size_t at = 0; at < world.n; at++) {
        if (world.nodes[at].membership == NULL || !status(at)->voter ||
            status(at)->voters != (int)world.n)
            return false;
    }
    return true;
}

static bool first_alone(void)
{
    return status(0)->voter && status(0)->voters == 1;
}

static bool first_without_quorum(void)
{
    return status(0)->trouble != NULL && strstr(status(0)->trouble, "no quorum") != NULL;
}

static bool first_waits(void)
{
    return status(0)->trouble != NULL && strstr(status(0)->trouble, "waiting for w's") != NULL;
}

static bool first_stopped(void)
{
    return membership_stop(world.nodes[0].membership);
}

static bool first_has_pgdata(void)
{
    return strstr(status(0)->formation, "\"pgdata\": true") != NULL;
}

static void stop_loop(void *arg)
{
    loop_stop(arg);
}

static void wait_until(bool (*look)(void), const char *what, int ms)
{
    struct source *timer = loop_timer(world.loop, stop_loop, world.loop);
    int left_ms = ms;
    for (; !look() && left_ms > 0; left_ms -= LOOK_MS) {
        source_arm_in(timer, LOOK_MS);
        loop_run(world.loop);
    }
    source_free(timer);
    ck_assert_msg(left_ms > 0, "%s: not within %d ms; n1 says %s", what, ms, status(0)->formation);
}

/* --- tests --- */

/* E1, E2: one member alone is founded, goes on with its data, and is stopped through its guard. */
START_TEST(alone)
{
    world_begin(1);
    node_start(&world.nodes[0]);
    wait_until(all_voters, "founded", 15000);
    node_kill(&world.nodes[0]);
    node_start(&world.nodes[0]);
    wait_until(all_voters, "started with its data", 15000);
    wait_until(first_stopped, "stopped", 8000);
    world_end();
}
END_TEST

/* E4: a data directory that was made while etcd runs is told of: recover-quorum asks for it. */
START_TEST(pgdata_comes_later)
{
    world_begin(1);
    char pgdata[160], file[192];
    (void)snprintf(pgdata, sizeof(pgdata), "%s/data", world.nodes[0].dir);
    (void)snprintf(file, sizeof(file), "%s/PG_VERSION", pgdata);
    world.nodes[0].config.postgresql.data_dir = pgdata;
    node_start(&world.nodes[0]);
    wait_until(all_voters, "founded", 15000);
    ck_assert(!first_has_pgdata());
    ck_assert_int_eq(mkdir(pgdata, 0700), 0);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    wait_until(first_has_pgdata, "told of PGDATA", 15000);
    world_end();
}
END_TEST

/* E1: formation waits for the third and says so. E3: an empty witness is replaced and votes again.
 * E4: without quorum nothing happens until a person orders it; the others then join anew. */
START_TEST(three)
{
    world_begin(NODES);
    node_start(&world.nodes[0]);
    node_start(&world.nodes[1]);
    wait_until(first_waits, "waits for the third", 15000);
    node_start(&world.nodes[2]);
    wait_until(all_voters, "formed", 40000);

    node_kill(&world.nodes[2]);
    remove_dir(world.nodes[2].dir);
    node_start(&world.nodes[2]);
    wait_until(all_voters, "witness replaced", 60000);

    for (size_t at = 1; at < NODES; at++) {
        node_kill(&world.nodes[at]);
        remove_dir(world.nodes[at].dir);
    }
    wait_until(first_without_quorum, "no quorum", 30000);
    struct text body = text_new(LIMIT_LOG_LINE * 4);
    struct membership *first = world.nodes[0].membership;
    ck_assert_int_eq(
        membership_recover(first, (struct membership_recover){ "w", false, false }, &body), 400);
    ck_assert_int_eq(
        membership_recover(first, (struct membership_recover){ "n1", false, false }, &body), 202);
    text_done(&body);
    wait_until(first_alone, "recovered", 20000);
    node_start(&world.nodes[1]);
    node_start(&world.nodes[2]);
    wait_until(all_voters, "whole again", 60000);
    world_end();
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("membership");
    TCase *quick = tcase_create("alone");
    tcase_add_test(quick, alone);
    tcase_add_test(quick, pgdata_comes_later);
    tcase_set_timeout(quick, 60);
    suite_add_tcase(suite, quick);
    TCase *slow = tcase_create("three");
    tcase_set_tags(slow, "slow");
    tcase_add_test(slow, three);
    tcase_set_timeout(slow, 240);
    suite_add_tcase(suite, slow);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
