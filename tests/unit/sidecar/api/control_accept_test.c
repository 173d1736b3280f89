/* S6: POST /pgvigil/accept through the real server, with members that answer, refuse and are silent. */
#include "sidecar/api/control_accept.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/api_stub.h"
#include "../../support/etcd_server.h"
#include "../../support/rest_client.h"
#include "../../support/rest_stub.h"
#include "base/clock.h"
#include "base/text.h"
#include "json/json.h"

static struct loop *loop;
static struct api_stub stub;
static struct api_control control;
static struct control_accept *accepts;
static struct api_server *server;
static struct rest_client rest;
static struct rest_stub peers[2];
static int times_accepted;

static const struct api_state *now_state(void *arg)
{
    (void)arg;
    stub.view.now = clock_mono();
    return &stub.state;
}

static void members(void *arg, struct known_members *list)
{
    (void)arg;
    ck_assert(known_members_add(list, "a", peers[0].url));
    ck_assert(known_members_add(list, "c", peers[1].url));
}

static void accepted(void *arg)
{
    (void)arg;
    times_accepted++;
}

#define SAYS_OF(name, by)                                                                          \
    "{\"patroni\":{\"name\":\"" name "\"},\"pgvigil\":{\"leads_by\":\"" by "\"}}"

static void setup(void)
{
    struct err err;
    json_setup();
    http_setup();
    loop = loop_new();
    memset(&control, 0, sizeof(control));
    api_stub_standby(&stub);
    stub.view.store.leader_exists = false;
    times_accepted = 0;
    rest = (struct rest_client){ .loop = loop, .http = http_new(loop, 2000) };
    rest_stub_start(&peers[0], loop, SAYS_OF("a", "no"));
    rest_stub_start(&peers[1], loop, SAYS_OF("c", "no"));
    accepts = control_accept_new(&(struct control_accept_spec){ .loop = loop,
                                                                .http = rest.http,
                                                                .state = now_state,
                                                                .members = members,
                                                                .accepted = accepted });
    control_accept_install(accepts, &control);
    struct api_server_spec spec = {
        .loop = loop, .settings = { .host = "127.0.0.1" }, .state = now_state, .control = &control
    };
    ck_assert_msg(api_server_new(&spec, &server, &err) == ERR_OK, "%s", err.text);
    rest.port = api_server_port(server);
}

static void teardown(void)
{
    control_accept_free(accepts);
    api_server_free(server);
    http_free(rest.http);
    rest_stub_stop(&peers[0]);
    rest_stub_stop(&peers[1]);
    loop_free(loop);
}

static void refused(const char *body, int status, const char *words)
{
    rest_expect(&rest, "POST /pgvigil/accept", body, status, NULL);
    ck_assert_msg(strstr(rest.body, words) != NULL, "%s", rest.body);
    ck_assert_int_eq(times_accepted, 0);
}

START_TEST(all_are_standbys)
{
    rest_expect(&rest, "POST /pgvigil/accept", NULL, 200, "accepted");
    ck_assert_int_eq(times_accepted, 1);
    ck_assert_int_eq(peers[0].asked, 1);
    ck_assert_int_eq(peers[1].asked, 1);
    rest_expect(&rest, "POST /pgvigil/accept", "{}", 200, "accepted"); /* again */
}
END_TEST

START_TEST(one_runs_unseen)
{
    peers[1].body = SAYS_OF("c", "lift");
    refused(NULL, 409, "c runs as primary (pause)");
    refused("{\"dead\":[\"c\"]}", 409, "c runs as primary (pause)"); /* it is not */
}
END_TEST

START_TEST(one_cannot_say)
{
    peers[0].body = SAYS_OF("a", "unsaid");
    refused(NULL, 409, "--dead a");
    peers[0].body = "{\"patroni\":{\"name\":\"a\"},\"pgvigil\":{}}"; /* before its first cycle */
    refused("{\"dead\":[\"c\"]}", 409, "--dead a");
    peers[0].body = "no JSON";
    refused(NULL, 409, "--dead a");
    rest_expect(&rest, "POST /pgvigil/accept", "{\"dead\":[\"a\"]}", 200, "accepted");
}
END_TEST

START_TEST(one_is_silent)
{
    peers[1].body = NULL;
    struct mono began = clock_mono();
    refused(NULL, 409, "--dead c");
    ck_assert_int_lt(mono_diff(clock_mono(), began), 6000);
    rest_expect(&rest, "POST /pgvigil/accept", "{\"dead\":[\"c\"]}", 200, "accepted");
}
END_TEST

START_TEST(etcd_away)
{
    stub.view.store.reachable = false;
    refused(NULL, 503, "nothing to accept yet");
}
END_TEST

/* Freed while members are asked. */
START_TEST(freed_under_way)
{
    peers[0].body = NULL;
    struct http_call *call = rest_start(&rest, "POST /pgvigil/accept", NULL);
    run_for(loop, 100);
    http_call_free(call);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control accept");
    TCase *tcase = tcase_create("rest");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, all_are_standbys);
    tcase_add_test(tcase, one_runs_unseen);
    tcase_add_test(tcase, one_cannot_say);
    tcase_add_test(tcase, one_is_silent);
    tcase_add_test(tcase, etcd_away);
    tcase_add_test(tcase, freed_under_way);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
