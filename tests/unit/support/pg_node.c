#include "pg_node.h"

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "sidecar/guard/guard.h"
#include "until.h"
#include "json/json.h"

static struct guard the_guard;

static const char *bin_dir(void)
{
    static const char *const known[] = { "/usr/lib/postgresql/17/bin",
                                         "/usr/lib/postgresql/15/bin" };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (access(known[i], X_OK) == 0)
            return known[i];
    return NULL;
}

bool pg_node_become_postgres(void)
{
    if (bin_dir() == NULL)
        return false;
    if (geteuid() != 0)
        return true;
    const struct passwd *user = getpwnam("postgres");
    return user != NULL && setgroups(0, NULL) == 0 && setgid(user->pw_gid) == 0 &&
           setuid(user->pw_uid) == 0;
}

static void start_guard(struct pg_node *node)
{
    node->guard_pid = fork();
    ck_assert_int_ge(node->guard_pid, 0);
    if (node->guard_pid != 0)
        return;
    const struct guard_options options = { .socket_path = node->socket,
                                           .lock_path = node->lock,
                                           .grace_ms = 2000 };
    /* A test that fails leaves nothing behind. */
    (void)prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM);
    (void)setsid();
    _exit(guard_main(&the_guard, &options));
}

static void load_config(struct pg_node *node, const char *more_yaml)
{
    char path[192];
    struct err err = { .code = ERR_OK };
    struct text warnings = text_new(1 << 16);
    snprintf(path, sizeof(path), "%s/config.yml", node->folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file,
            "scope: demo\nname: %s\n"
            "restapi:\n  listen: 127.0.0.1:8008\n  connect_address: 127.0.0.1:8008\n"
            "etcd3:\n  hosts: 127.0.0.1:2379\n"
            "postgresql:\n  listen: 127.0.0.1:%d\n  connect_address: 127.0.0.1:%d\n"
            "  data_dir: %s/data\n  bin_dir: %s\n"
            "  parameters:\n    unix_socket_directories: %s\n    fsync: 'off'\n"
            "  authentication:\n"
            "    superuser: {username: postgres, password: \"super'se\\\\cret\"}\n"
            "    replication: {username: replicator, password: rep}\n"
            "    rewind: {username: rewinder, password: rew}\n%s",
            node->name, node->port, node->port, node->folder, bin_dir(), node->folder,
            more_yaml != NULL ? more_yaml : "");
    ck_assert_int_eq(fclose(file), 0);
    enum err_code code = config_load(path, false, false, &node->config, &warnings, &err);
    ck_assert_msg(code == ERR_OK, "%s", err.text);
    text_done(&warnings);
}

void pg_node_init(struct pg_node *node, const char *name, int port, const char *folder,
                  const char *more_yaml)
{
    *node = (struct pg_node){ .port = port };
    text_copy(node->name, sizeof(node->name), name);
    snprintf(node->folder, sizeof(node->folder), "%s/%s", folder, name);
    snprintf(node->socket, sizeof(node->socket), "%s/guard", node->folder);
    snprintf(node->lock, sizeof(node->lock), "%s/lock", node->folder);
    ck_assert_int_eq(mkdir(node->folder, 0700), 0);
    load_config(node, more_yaml);
    start_guard(node);
}

static void on_guard(void *arg)
{
    struct pg_node *node = arg;
    if (node->postgres != NULL)
        postgres_guard_changed(node->postgres);
}

static void on_stale(void *arg)
{
    (void)arg;
}

void pg_node_open(struct pg_node *node, struct loop *loop, const char *settings)
{
    struct err err = { .code = ERR_OK };
    json_t *json = json_loads(settings, 0, NULL);
    ck_assert_ptr_nonnull(json);
    node->loop = loop;
    enum err_code code = settings_new(json, node->config, &node->settings, NULL, &err);
    ck_assert_msg(code == ERR_OK, "%s", err.text);
    json_decref(json);
    node->guard = guard_client_new(loop, node->socket, on_guard, node);
    const struct postgres_parts parts = {
        .loop = loop,
        .guard = node->guard,
        .config = node->config,
        .settings = node->settings,
        .stale = on_stale,
    };
    node->postgres = postgres_new(&parts);
    node->steps = steps_postgres_new(node->postgres);
}

void pg_node_leave(struct pg_node *node)
{
    node->op = step_op_free(node->op);
    node->steps = steps_postgres_free(node->steps);
    node->postgres = postgres_free(node->postgres);
    node->guard = guard_client_free(node->guard);
    node->settings = settings_free(node->settings);
}

void pg_node_close(struct pg_node *node)
{
    int status;
    pg_node_leave(node);
    config_free(node->config);
    kill(node->guard_pid, SIGTERM);
    waitpid(node->guard_pid, &status, 0);
}

void pg_node_look(struct pg_node *node, struct pg_node *const *peers)
{
    struct view *view = &node->view;
    *view = (struct view){ .now = loop_now(node->loop) };
    text_copy(view->self, sizeof(view->self), node->name);
    for (; peers != NULL && *peers != NULL; peers++) {
        struct peer *peer = &view->store.peers[view->store.n_peers++];
        *peer = (struct peer){ .has_key = true, .walsender_gone = MONO_NEVER };
        text_copy(peer->member.name, sizeof(peer->member.name), (*peers)->name);
        peer->member.role = MEMBER_ROLE_PRIMARY;
        peer->member.xlog_location = 0x3000000;
        snprintf(peer->member.conn_url, sizeof(peer->member.conn_url),
                 "postgres://127.0.0.1:%d/postgres", (*peers)->port);
    }
    view->lease = (struct lease){ .id = 77, .owns_key = true, .create_revision = 5 };
    postgres_fill(node->postgres, view);
}

/* ---- waiting ---- */

struct waiting {
    struct pg_node *node;
    pg_until_fn *until;
    void *arg;
};

static bool holds(void *arg)
{
    const struct waiting *waiting = arg;
    return waiting->until(waiting->node, waiting->arg);
}

bool pg_node_wait(struct pg_node *node, pg_until_fn *condition, void *arg, int ms)
{
    struct waiting waiting = { node, condition, arg };
    return until(node->loop, holds, &waiting, ms);
}

static void on_step(void *arg, enum err_code code, const struct err *err)
{
    struct pg_node *node = arg;
    node->step_ended = true;
    node->code = code;
    node->err = *err;
}

static bool step_has_ended(struct pg_node *node, void *arg)
{
    (void)arg;
    return node->step_ended;
}

enum err_code pg_node_step(struct pg_node *node, const struct step *step)
{
    enum { STEP_MS = 30000 };
    const struct step_call call = {
        .step = step,
        .view = &node->view,
        .memory = &node->memory,
        .deadline =
            mono_add(loop_now(node->loop), step->deadline_ms > 0 ? step->deadline_ms : STEP_MS),
        .done = on_step,
        .arg = node,
    };
    node->step_ended = false;
    node->op = steps_postgres_start(node->steps, &call);
    bool ended = pg_node_wait(node, step_has_ended, NULL, STEP_MS + 1000);
    node->op = step_op_free(node->op);
    return ended ? node->code : ERR_TIMEOUT;
}

PGconn *pg_node_connect(const struct pg_node *node)
{
    char conninfo[256];
    snprintf(conninfo, sizeof(conninfo),
             "host=127.0.0.1 port=%d user=postgres password='super\\'se\\\\cret' dbname=postgres"
             " connect_timeout=3 application_name=test",
             node->port);
    return PQconnectdb(conninfo);
}

const char *pg_node_sql(const struct pg_node *node, const char *sql, char *buffer, size_t size)
{
    PGconn *conn = pg_node_connect(node);
    PGresult *result = PQexec(conn, sql);
    bool value = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0;
    snprintf(buffer, size, "%s", value ? PQgetvalue(result, 0, 0) : "");
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        fprintf(stderr, "%s: %s", sql, PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
    return buffer;
}
