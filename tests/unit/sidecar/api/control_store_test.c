/* Orders that are writes of the store, against a real etcd and through the real server; and Debian's
 * patronictl as a client of both (patroni-compat 2.5, 3.5). */
#include "sidecar/api/control_store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../support/api_stub.h"
#include "../../support/rest_client.h"
#include "../../support/store_node.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "etcd/kv.h"
#include "loop/process.h"
#include "json/json.h"

struct world {
    struct loop *loop;
    struct etcd_cluster servers;
    struct store_node node;
    struct api_stub stub;
    struct api_control control;
    struct control_store *store;
    struct api_server *server;
    struct config *config;
    char config_file[64];

    struct api_key members[LIMIT_MEMBERS];
    struct rest_client rest;
    int slots_dropped;
};

static const struct api_state *world_state(void *arg)
{
    struct world *world = arg;
    struct api_stub *stub = &world->stub;
    struct cluster_key key;
    const char *after = "";
    size_t n = 0;
    stub->view.now = clock_mono();
    cluster_fill(world->node.cluster, stub->view.now, &stub->view.store);
    while (n < LIMIT_MEMBERS && cluster_next(world->node.cluster, "members/", after, &key)) {
        after = key.name;
        world->members[n++] =
            (struct api_key){ .name = strchr(key.name, '/') + 1, .json = key.value };
    }
    stub->state.store.members = world->members;
    stub->state.store.n_members = n;
    stub->state.store.config = cluster_value(world->node.cluster, "config");
    stub->state.store.failover = cluster_value(world->node.cluster, "failover");
    stub->lease.held_until = mono_add(clock_mono(), 8000);
    return &stub->state;
}

static bool drop_slot(void *arg, const char *member)
{
    struct world *world = arg;
    bool known = strcmp(member, "gone") == 0;
    world->slots_dropped += known ? 1 : 0;
    return known;
}

/* ---- set-up ----------------------------------------------------------------------------------- */

static void write_config(struct world *world)
{
    snprintf(world->config_file, sizeof(world->config_file), "/tmp/pgvigil-ctl-XXXXXX");
    int fd = mkstemp(world->config_file);
    ck_assert_int_ge(fd, 0);
    dprintf(fd,
            "name: a\nscope: t\nnamespace: /service/\netcd3:\n  host: 127.0.0.1:%d\n"
            "restapi:\n  listen: 127.0.0.1:8008\n  connect_address: 127.0.0.1:8008\n"
            "postgresql:\n  listen: 127.0.0.1:5432\n  connect_address: 127.0.0.1:5432\n"
            "  data_dir: /nonexistent/data/pg\n",
            world->servers.servers[0].client_port);
    close(fd);
    struct err err;
    struct text warnings = text_new(LIMIT_FILE);
    ck_assert_msg(config_load(world->config_file, false, false, &world->config, &warnings, &err) ==
                      ERR_OK,
                  "%s", err.text);
    text_done(&warnings);
}

static void put(struct world *world, const char *name, const char *value)
{
    char key[64];
    snprintf(key, sizeof(key), "/service/t/%s", name);
    store_node_put(&world->node, key, value);
}

static void put_member(struct world *world, const char *name, const char *role)
{
    char key[32], value[512];
    snprintf(key, sizeof(key), "members/%s", name);
    snprintf(value, sizeof(value),
             "{\"conn_url\":\"postgres://127.0.0.1:5432/postgres\",\"api_url\":"
             "\"http://127.0.0.1:%d/patroni\",\"state\":\"running\",\"role\":\"%s\","
             "\"version\":\"4.1.4\",\"xlog_location\":83886080,\"timeline\":1}",
             api_server_port(world->server), role);
    put(world, key, value);
}

static bool table_is_read(struct store_node *node)
{
    return cluster_value(node->cluster, "members/b") != NULL;
}

static struct world *world_new(void)
{
    struct world *world = mem_struct(struct world);
    struct err err;
    world->loop = loop_new();
    etcd_cluster_start(&world->servers, world->loop, 1, NULL);
    store_node_start(&world->node, &world->servers, "a", 10000);
    api_stub_leader(&world->stub);
    write_config(world);
    world->store = control_store_new(&(struct control_store_spec){ .loop = world->loop,
                                                                   .etcd = world->node.etcd,
                                                                   .cluster = world->node.cluster,
                                                                   .http = world->node.http,
                                                                   .config = world->config,
                                                                   .state = world_state,
                                                                   .state_arg = world,
                                                                   .drop_slot = drop_slot,
                                                                   .arg = world });
    control_store_install(world->store, &world->control);
    struct api_server_spec spec = { .loop = world->loop,
                                    .settings = { .host = "127.0.0.1" },
                                    .state = world_state,
                                    .state_arg = world,
                                    .control = &world->control };
    ck_assert_int_eq(api_server_new(&spec, &world->server, &err), ERR_OK);
    world->rest = (struct rest_client){ .loop = world->loop,
                                        .http = world->node.http,
                                        .port = api_server_port(world->server) };
    put(world, "initialize", "7301234567890123456");
    put(world, "config", "{\"ttl\":10,\"synchronous_mode\":true}");
    put(world, "leader", "a");
    put(world, "sync", "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":\"b\"}");
    put(world, "status", "{\"optime\":83886080}");
    put_member(world, "a", "primary");
    put_member(world, "b", "replica");
    store_node_wait(&world->node, table_is_read, 10000);
    return world;
}

static void world_free(struct world *world)
{
    control_store_free(world->store);
    api_server_free(world->server);
    store_node_stop(&world->node);
    etcd_cluster_stop(&world->servers);
    config_free(world->config);
    unlink(world->config_file);
    loop_free(world->loop);
    free(world);
}

static void key_is(struct world *world, const char *name, const char *value)
{
    const char *is = cluster_value(world->node.cluster, name);
    struct mono end = mono_add(clock_mono(), 5000);
    while ((is == NULL || strcmp(is, value) != 0) && mono_before(clock_mono(), end)) {
        run_for(world->loop, 5);
        is = cluster_value(world->node.cluster, name);
    }
    ck_assert_str_eq(is, value);
}

/* ---- tests ------------------------------------------------------------------------------------ */

/* 2.5: PATCH merges, null deletes, the unchanged case answers 200; what cannot be understood is
 * refused; PUT replaces. */
START_TEST(settings)
{
    struct world *world = world_new();
    rest_expect(&world->rest, "PATCH /config", "{\"ttl\":20,\"postgresql\":{\"use_slots\":true}}",
                200,
                "{\"ttl\": 20, \"synchronous_mode\": true, \"postgresql\": {\"use_slots\": true}}");
    key_is(world, "config",
           "{\"ttl\":20,\"synchronous_mode\":true,\"postgresql\":{\"use_slots\":true}}");
    rest_expect(&world->rest, "PATCH /config", "{\"ttl\":20}", 200, NULL);
    rest_expect(&world->rest, "PATCH /config", "{\"ttl\":null}", 200,
                "{\"synchronous_mode\": true, \"postgresql\": {\"use_slots\": true}}");
    rest_expect(&world->rest, "PATCH /config", "{\"synchronous_mode\":\"quorum\"}", 400, NULL);
    ck_assert_ptr_nonnull(strstr(world->rest.body, "quorum"));
    rest_expect(&world->rest, "PUT /config", "{\"ttl\":30}", 200, "{\"ttl\": 30}");
    key_is(world, "config", "{\"ttl\":30}");
    rest_expect(&world->rest, "GET /config", NULL, 200, "{\"ttl\": 30}");
    put(world, "config", NULL);
    rest_expect(&world->rest, "PATCH /config", "{\"ttl\":20}", 503, NULL);
    world_free(world);
}
END_TEST

static bool failover_is_asked(struct store_node *node)
{
    const char *value = cluster_value(node->cluster, "failover");
    return value != NULL && strcmp(value, "{}") != 0;
}

/* 2.5: the key is written as Patroni writes it; the answer comes when the leader has changed. */
START_TEST(switchover)
{
    struct world *world = world_new();
    struct http_call *call =
        rest_start(&world->rest, "POST /switchover", "{\"leader\":\"a\",\"candidate\":\"b\"}");
    store_node_wait(&world->node, failover_is_asked, 5000);
    ck_assert_str_eq(cluster_value(world->node.cluster, "failover"),
                     "{\"leader\":\"a\",\"member\":\"b\"}");
    run_for(world->loop, 200);
    ck_assert(!world->rest.done);
    put(world, "leader", "b");
    put(world, "failover", "{}");
    rest_wait(&world->rest);
    http_call_free(call);
    ck_assert_int_eq(world->rest.status, 200);
    ck_assert_str_eq(world->rest.body, "Successfully switched over to \"b\"");
    world_free(world);
}
END_TEST

/* 2.5: the key vanished without a change of leader; another one than asked for took over. */
START_TEST(switchover_that_fails)
{
    struct world *world = world_new();
    struct http_call *call = rest_start(&world->rest, "POST /switchover", "{\"leader\":\"a\"}");
    store_node_wait(&world->node, failover_is_asked, 5000);
    put(world, "failover", "{}");
    rest_wait(&world->rest);
    http_call_free(call);
    ck_assert_int_eq(world->rest.status, 503);
    ck_assert_str_eq(world->rest.body, "Switchover failed");
    call = rest_start(&world->rest, "POST /failover", "{\"candidate\":\"b\"}");
    store_node_wait(&world->node, failover_is_asked, 5000);
    put(world, "leader", "c");
    rest_wait(&world->rest);
    http_call_free(call);
    ck_assert_int_eq(world->rest.status, 200);
    ck_assert_str_eq(world->rest.body, "Failed over to \"c\" instead of \"b\"");
    world_free(world);
}
END_TEST

/* 2.5: a candidate that may not lead, or does not answer, is no good one. */
START_TEST(no_good_candidate)
{
    struct world *world = world_new();
    struct tags *tags = &world->stub.view.tags;
    tags->n = 1;
    tags->all[0] = (struct tag){ "nofailover", "true" };
    rest_expect(&world->rest, "POST /switchover", "{\"leader\":\"a\"}", 412,
                "switchover is not possible: no good candidates have been found");
    ck_assert_ptr_null(cluster_value(world->node.cluster, "failover"));
    world_free(world);
}
END_TEST

/* 2.5: scheduled, and withdrawn. */
START_TEST(schedule)
{
    struct world *world = world_new();
    rest_expect(&world->rest, "DELETE /switchover", NULL, 404, "no switchover is scheduled");
    rest_expect(&world->rest, "POST /switchover",
                "{\"leader\":\"a\",\"scheduled_at\":\"2099-01-01T00:00:00+00:00\"}", 202,
                "Switchover scheduled");
    key_is(world, "failover", "{\"leader\":\"a\",\"scheduled_at\":\"2099-01-01T00:00:00+00:00\"}");
    rest_expect(&world->rest, "DELETE /switchover", NULL, 200, "scheduled switchover deleted");
    key_is(world, "failover", "{}");
    world_free(world);
}
END_TEST

static void on_put(void *arg, const struct etcd_write_result *result)
{
    ck_assert_int_eq(result->outcome.code, ERR_OK);
    *(bool *)arg = true;
}

/* As a living member does: under its lease. */
static void put_living_member(struct world *world, const char *name)
{
    bool done = false;
    char key[64];
    snprintf(key, sizeof(key), "/service/t/members/%s", name);
    struct etcd_put put = { .key = key,
                            .value = "{}",
                            .value_len = 2,
                            .lease = lease_keeper_lease(world->node.keeper)->id };
    struct etcd_how how = { .timeout_ms = 8000, .endpoint = ETCD_ANY };
    struct etcd_call *call = etcd_put(world->node.etcd, &put, how, on_put, &done);
    run_until(world->loop, &done, 10000);
    etcd_call_free(call);
}

/* Design part 9: who is gone for good is removed, nobody else. */
START_TEST(member_removed)
{
    struct world *world = world_new();
    rest_expect(&world->rest, "DELETE /pgvigil/members/a", NULL, 409, NULL);
    ck_assert_ptr_nonnull(strstr(world->rest.body, "a is the leader"));
    rest_expect(&world->rest, "DELETE /pgvigil/members/b", NULL, 409, NULL);
    ck_assert_ptr_nonnull(strstr(world->rest.body, "/sync names b"));
    rest_expect(&world->rest, "DELETE /pgvigil/members/x", NULL, 404,
                "no member x, and no slot that was made for it");
    ck_assert_int_eq(world->slots_dropped, 0);
    rest_expect(&world->rest, "DELETE /pgvigil/members/gone", NULL, 200, "gone is removed");
    ck_assert_int_eq(world->slots_dropped, 1);
    put_living_member(world, "gone");
    key_is(world, "members/gone", "{}");
    rest_expect(&world->rest, "DELETE /pgvigil/members/gone", NULL, 409, NULL);
    ck_assert_ptr_nonnull(strstr(world->rest.body, "gone is alive"));
    key_is(world, "members/gone", "{}");
    ck_assert_int_eq(world->slots_dropped, 1);
    put(world, "members/gone", "{\"left\":\"behind\"}");
    key_is(world, "members/gone", "{\"left\":\"behind\"}");
    rest_expect(&world->rest, "DELETE /pgvigil/members/gone", NULL, 200, "gone is removed");
    ck_assert_ptr_null(cluster_value(world->node.cluster, "members/gone"));
    ck_assert_int_eq(world->slots_dropped, 2);
    put(world, "pgvigil/data/gone", "1"); /* its lease has taken the other key */
    key_is(world, "pgvigil/data/gone", "1");
    rest_expect(&world->rest, "DELETE /pgvigil/members/gone", NULL, 200, "gone is removed");
    ck_assert_ptr_null(cluster_value(world->node.cluster, "pgvigil/data/gone"));
    world_free(world);
}
END_TEST

/* ---- patronictl ------------------------------------------------------------------------------- */

static void on_exit_of_tool(void *arg, const struct process_result *result)
{
    struct world *world = arg;
    world->rest.done = true;
    world->rest.status = result->exit_code;
    text_copy(world->rest.body, sizeof(world->rest.body), result->output);
}

static struct process *patronictl(struct world *world, const char *const *arguments)
{
    const char *argv[16] = { "patronictl", "-c", world->config_file };
    struct process *process = NULL;
    struct err err;
    for (size_t i = 0; arguments[i] != NULL; i++)
        argv[3 + i] = arguments[i];
    world->rest.done = false;
    struct process_spec spec = { .argv = argv,
                                 .deadline = mono_add(clock_mono(), 60000),
                                 .done = on_exit_of_tool,
                                 .arg = world };
    ck_assert_msg(process_start(world->loop, &spec, &process, &err) == ERR_OK, "%s", err.text);
    return process;
}

static void run_patronictl(struct world *world, const char *const *arguments, const char *says)
{
    struct process *process = patronictl(world, arguments);
    run_until(world->loop, &world->rest.done, 60000);
    process_free(process);
    ck_assert_msg(world->rest.status == 0 && strstr(world->rest.body, says) != NULL, "%s: %d\n%s",
                  arguments[0], world->rest.status, world->rest.body);
}

#define PATRONICTL(world, says, ...)                                                               \
    run_patronictl(world, (const char *const[]){ __VA_ARGS__, NULL }, says)

/* 3.5: Debian's patronictl works against our keys and our REST. */
START_TEST(patronictl_works)
{
    struct world *world = world_new();
    PATRONICTL(world, "| Sync Standby | running |", "list");
    PATRONICTL(world, "synchronous_mode: true", "show-config");
    PATRONICTL(world, "Configuration changed", "edit-config", "--force", "-s", "ttl=25");
    key_is(world, "config", "{\"ttl\":25,\"synchronous_mode\":true}");
    PATRONICTL(world, "cluster management is paused", "pause");
    key_is(world, "config", "{\"ttl\":25,\"synchronous_mode\":true,\"pause\":true}");
    PATRONICTL(world, "cluster management is resumed", "resume");
    PATRONICTL(world, "Patroni 4.1.4 PostgreSQL 17.4", "version", "t");
    static const char *const switchover_arguments[] = { "switchover",  "--leader", "a",
                                                        "--candidate", "b",        "--force",
                                                        NULL };
    struct process *process = patronictl(world, switchover_arguments);
    store_node_wait(&world->node, failover_is_asked, 20000);
    put(world, "leader", "b");
    put(world, "failover", "{}");
    run_until(world->loop, &world->rest.done, 30000);
    process_free(process);
    ck_assert_int_eq(world->rest.status, 0);
    ck_assert_ptr_nonnull(strstr(world->rest.body, "Successfully switched over to \"b\""));
    world_free(world);
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("api/control_store");
    TCase *tcase = tcase_create("orders");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, settings);
    tcase_add_test(tcase, switchover);
    tcase_add_test(tcase, switchover_that_fails);
    tcase_add_test(tcase, no_good_candidate);
    tcase_add_test(tcase, schedule);
    tcase_add_test(tcase, member_removed);
    suite_add_tcase(suite, tcase);
    /* Eight starts of a program in Python. */
    TCase *tool = tcase_create("patronictl");
    tcase_set_tags(tool, "slow");
    tcase_set_timeout(tool, 120);
    /* Debian's patronictl speaks etcd only with python3-etcd beside it. */
    if (access("/usr/lib/python3/dist-packages/etcd/__init__.py", R_OK) == 0)
        tcase_add_test(tool, patronictl_works);
    else
        printf("patronictl has no etcd module here: not tried\n");
    suite_add_tcase(suite, tool);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
