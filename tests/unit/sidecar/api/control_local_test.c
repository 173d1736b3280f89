/* Orders that this node carries out itself (patroni-compat 2.5, 1.9), with the cycle played by the
 * test and the real server between. */
#include "sidecar/api/control_local.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/api_stub.h"
#include "../../support/etcd_server.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"

struct world {
    struct loop *loop;
    struct http *http;
    struct api_stub stub;
    struct orders orders;
    struct api_control control;
    struct control_local *local;
    struct api_server *server;
    int cycles;
    int reloads;
    bool done;
    int status;
    char body[512];
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
    world->http = http_new(world->loop, 5000);
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
    return world;
}

static void world_free(struct world *world)
{
    http_free(world->http);
    control_local_free(world->local);
    api_server_free(world->server);
    loop_free(world->loop);
    free(world);
}

static void on_answer(void *arg, const struct http_result *result)
{
    struct world *world = arg;
    world->done = true;
    world->status = result->status;
    text_copy(world->body, sizeof(world->body), result->body);
}

static struct http_call *start(struct world *world, const char *request, const char *body)
{
    char url[128], method[16];
    snprintf(method, sizeof(method), "%.*s", (int)strcspn(request, " "), request);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", api_server_port(world->server),
             strchr(request, ' ') + 1);
    world->done = false;
    return http_start(world->http,
                      &(struct http_request){ .method = method,
                                              .url = url,
                                              .body = body,
                                              .body_len = body != NULL ? strlen(body) : 0,
                                              .timeout_ms = 10000 },
                      on_answer, world);
}

static void expect(struct world *world, const char *request, const char *body, int status,
                   const char *text)
{
    struct http_call *call = start(world, request, body);
    run_until(world->loop, &world->done, 10000);
    http_call_free(call);
    ck_assert_msg(world->status == status && strcmp(world->body, text) == 0, "%s: %d %s", request,
                  world->status, world->body);
}

/* The answer comes when another postmaster answers queries, not before. */
START_TEST(restart)
{
    struct world *world = world_new();
    struct http_call *call = start(world, "POST /restart", "{}");
    run_for(world->loop, 200);
    ck_assert(!world->done);
    ck_assert(world->orders.restart);
    ck_assert_int_gt(world->cycles, 0);
    expect(world, "GET /liveness", NULL, 200, "");
    world->orders.restart = false;
    world->stub.state.postgres.queryable = false;
    world->done = false;
    run_for(world->loop, 200);
    ck_assert(!world->done);
    world->stub.state.postgres.postmaster_start_us += 5;
    world->stub.state.postgres.queryable = true;
    run_until(world->loop, &world->done, 5000);
    ck_assert_int_eq(world->status, 200);
    ck_assert_str_eq(world->body, "restarted successfully");
    http_call_free(call);
    world_free(world);
}
END_TEST

/* A start that failed, and one that takes too long. */
START_TEST(restart_that_fails)
{
    struct world *world = world_new();
    struct http_call *call = start(world, "POST /restart", NULL);
    run_for(world->loop, 100);
    world->orders.restart = false;
    world->stub.state.postgres.state = MEMBER_START_FAILED;
    run_until(world->loop, &world->done, 5000);
    http_call_free(call);
    ck_assert_int_eq(world->status, 503);
    ck_assert_str_eq(world->body, "restart failed");
    world->stub.state.postgres.state = MEMBER_RUNNING;
    expect(world, "POST /restart", "{\"timeout\":1}", 503, "restart failed");
    expect(world, "POST /restart", "{\"timeout\":1}", 503, "restart already in progress");
    world_free(world);
}
END_TEST

/* A scheduled restart is shown, is due once, and can be withdrawn. */
START_TEST(scheduled)
{
    struct world *world = world_new();
    char at[CLOCK_ISO_MAX], body[128];
    expect(world, "DELETE /restart", NULL, 404, "no restarts are scheduled");
    expect(world, "POST /restart", "{\"schedule\":\"2099-01-01T00:00:00+00:00\"}", 202,
           "Restart scheduled");
    ck_assert_ptr_nonnull(strstr(control_local_scheduled(world->local), "2099-01-01"));
    expect(world, "POST /restart", "{\"schedule\":\"2099-01-01T00:00:00+00:00\"}", 409,
           "Another restart is already scheduled");
    expect(world, "DELETE /restart", NULL, 200, "scheduled restart deleted");
    ck_assert_ptr_null(control_local_scheduled(world->local));
    clock_iso((struct wall){ clock_wall().ms + 300 }, at);
    snprintf(body, sizeof(body), "{\"schedule\":\"%s\",\"role\":\"replica\"}", at);
    expect(world, "POST /restart", body, 202, "Restart scheduled");
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
    expect(world, "POST /restart", body, 202, "Restart scheduled");
    world->stub.state.postgres.postmaster_start_us++;
    run_for(world->loop, 500);
    ck_assert(!world->orders.restart);
    ck_assert_ptr_null(control_local_scheduled(world->local));
    world_free(world);
}
END_TEST

START_TEST(reload_and_reinitialize)
{
    struct world *world = world_new();
    expect(world, "POST /reload", NULL, 202, "reload scheduled");
    ck_assert(world->orders.reload);
    expect(world, "POST /reinitialize", NULL, 200, "reinitialize started");
    ck_assert(world->orders.reinit);
    expect(world, "POST /reinitialize", NULL, 503, "reinitialize already in progress");
    expect(world, "POST /reinitialize", "{\"force\":true}", 200, "reinitialize started");
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
    tcase_add_test(tcase, reload_and_reinitialize);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
