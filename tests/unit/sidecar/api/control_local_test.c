/* Orders that this node carries out itself (patroni-compat 2.5, 1.9), with the cycle played by the
 * test and the real server between. */
#include "sidecar/api/control_local.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/api_stub.h"
#include "../../support/etcd_server.h"
#include "../../support/rest_client.h"
#include "base/clock.h"
#include "base/mem.h"
#include "json/json.h"

struct world {
    struct loop *loop;
    struct rest_client rest;
    struct api_stub stub;
    struct orders orders;
    struct api_control control;
    struct control_local *local;
    struct api_server *server;
    int cycles;
    int reloads;
};

static const struct api_state *world_state(void *arg)
{
    struct world *world = arg;
    world->stub.state.scheduled_restart = control_local_scheduled(world->local);
    world->stub.view.now = clock_mono();
    return &world->stub.state;
}

static void on_changed(void *arg)
{
    ((struct world *)arg)->cycles++;
}

static struct world *world_new(void)
{
    struct world *world = mem_struct(struct world);
    struct err err;
    world->loop = loop_new();
    world->rest.loop = world->loop;
    world->rest.http = http_new(world->loop, 5000);
    api_stub_standby(&world->stub);
    world->local = control_local_new(&(struct control_local_spec){ .loop = world->loop,
                                                                   .orders = &world->orders,
                                                                   .state = world_state,
                                                                   .state_arg = world,
                                                                   .changed = on_changed,
                                                                   .arg = world });
    control_local_install(world->local, &world->control);
    struct api_server_spec spec = { .loop = world->loop,
                                    .settings = { .host = "127.0.0.1" },
                                    .state = world_state,
                                    .state_arg = world,
                                    .control = &world->control };
    ck_assert_msg(api_server_new(&spec, &world->server, &err) == ERR_OK, "%s", err.text);
    world->rest.port = api_server_port(world->server);
    return world;
}

static void world_free(struct world *world)
{
    http_free(world->rest.http);
    control_local_free(world->local);
    api_server_free(world->server);
    loop_free(world->loop);
    free(world);
}

/* The answer comes when another postmaster answers queries, not before. */
START_TEST(restart)
{
    struct world *world = world_new();
    struct http_call *call = rest_start(&world->rest, "POST /restart", "{}");
    run_for(world->loop, 200);
    ck_assert(!world->rest.done);
    ck_assert(world->orders.restart);
    ck_assert_int_gt(world->cycles, 0);
    rest_expect(&world->rest, "GET /liveness", NULL, 200, "");
    world->orders.restart = false;
    world->stub.state.postgres.queryable = false;
    world->rest.done = false;
    run_for(world->loop, 200);
    ck_assert(!world->rest.done);
    world->stub.state.postgres.postmaster_start_us += 5;
    world->stub.state.postgres.queryable = true;
    rest_wait(&world->rest);
    ck_assert_int_eq(world->rest.status, 200);
    ck_assert_str_eq(world->rest.body, "restarted successfully");
    http_call_free(call);
    world_free(world);
}
END_TEST

/* A start that failed, and one that takes too long. */
START_TEST(restart_that_fails)
{
    struct world *world = world_new();
    struct http_call *call = rest_start(&world->rest, "POST /restart", NULL);
    run_for(world->loop, 100);
    world->orders.restart = false;
    world->stub.state.postgres.state = MEMBER_START_FAILED;
    rest_wait(&world->rest);
    http_call_free(call);
    ck_assert_int_eq(world->rest.status, 503);
    ck_assert_str_eq(world->rest.body, "restart failed");
    world->stub.state.postgres.state = MEMBER_RUNNING;
    rest_expect(&world->rest, "POST /restart", "{\"timeout\":1}", 503, "restart failed");
    rest_expect(&world->rest, "POST /restart", "{\"timeout\":1}", 503,
                "restart already in progress");
    world_free(world);
}
END_TEST

/* A scheduled restart is shown, is due once, and can be withdrawn. */
START_TEST(scheduled)
{
    struct world *world = world_new();
    char at[CLOCK_ISO_MAX], body[128];
    rest_expect(&world->rest, "DELETE /restart", NULL, 404, "no restarts are scheduled");
    rest_expect(&world->rest, "POST /restart", "{\"schedule\":\"2099-01-01T00:00:00+00:00\"}", 202,
                "Restart scheduled");
    ck_assert_ptr_nonnull(strstr(control_local_scheduled(world->local), "2099-01-01"));
    rest_expect(&world->rest, "POST /restart", "{\"schedule\":\"2099-01-01T00:00:00+00:00\"}", 409,
                "Another restart is already scheduled");
    rest_expect(&world->rest, "DELETE /restart", NULL, 200, "scheduled restart deleted");
    ck_assert_ptr_null(control_local_scheduled(world->local));
    clock_iso((struct wall){ clock_wall().ms + 300 }, at);
    snprintf(body, sizeof(body), "{\"schedule\":\"%s\",\"role\":\"replica\"}", at);
    rest_expect(&world->rest, "POST /restart", body, 202, "Restart scheduled");
    run_for(world->loop, 100);
    ck_assert(!world->orders.restart);
    run_for(world->loop, 600);
    ck_assert(world->orders.restart);
    ck_assert_ptr_null(control_local_scheduled(world->local));
    world_free(world);
}
END_TEST

/* 1.9: another postmaster than the one that was meant, or another role: dropped. */
START_TEST(scheduled_for_another)
{
    struct world *world = world_new();
    char at[CLOCK_ISO_MAX], body[128];
    clock_iso((struct wall){ clock_wall().ms + 200 }, at);
    snprintf(body, sizeof(body), "{\"schedule\":\"%s\"}", at);
    rest_expect(&world->rest, "POST /restart", body, 202, "Restart scheduled");
    world->stub.state.postgres.postmaster_start_us++;
    int cycles = world->cycles;
    run_for(world->loop, 500);
    ck_assert(!world->orders.restart);
    ck_assert_ptr_null(control_local_scheduled(world->local));
    ck_assert_int_gt(world->cycles, cycles); /* the member key shows it */
    world_free(world);
}
END_TEST

/* The conditions are looked at when it is due, as Patroni does, each of them. */
START_TEST(scheduled_with_conditions)
{
    static const char *const filters[] = { "\"role\":\"primary\"", "\"postgres_version\":\"9.6\"",
                                           "\"restart_pending\":true" };
    struct world *world = world_new();
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        char at[CLOCK_ISO_MAX], body[128];
        clock_iso((struct wall){ clock_wall().ms + 200 }, at);
        snprintf(body, sizeof(body), "{\"schedule\":\"%s\",%s}", at, filters[i]);
        rest_expect(&world->rest, "POST /restart", body, 202, "Restart scheduled");
        run_for(world->loop, 500);
        ck_assert_msg(!world->orders.restart, "%s", filters[i]);
        ck_assert_ptr_null(control_local_scheduled(world->local));
    }
    world_free(world);
}
END_TEST

START_TEST(reload_and_reinitialize)
{
    struct world *world = world_new();
    rest_expect(&world->rest, "POST /reload", NULL, 202, "reload scheduled");
    ck_assert(world->orders.reload);
    rest_expect(&world->rest, "POST /reinitialize", NULL, 200, "reinitialize started");
    ck_assert(world->orders.reinit);
    rest_expect(&world->rest, "POST /reinitialize", NULL, 503, "reinitialize already in progress");
    rest_expect(&world->rest, "POST /reinitialize", "{\"force\":true}", 200,
                "reinitialize started");
    world_free(world);
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("api/control_local");
    TCase *tcase = tcase_create("orders");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, restart);
    tcase_add_test(tcase, restart_that_fails);
    tcase_add_test(tcase, scheduled);
    tcase_add_test(tcase, scheduled_for_another);
    tcase_add_test(tcase, scheduled_with_conditions);
    tcase_add_test(tcase, reload_and_reinitialize);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
