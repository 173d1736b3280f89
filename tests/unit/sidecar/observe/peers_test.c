#include "sidecar/observe/peers.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/etcd_server.h"
#include "../../support/rest_stub.h"
#include "base/clock.h"
#include "http/http.h"
#include "sidecar/observe/peer_answer.h"
#include "json/json.h"

static struct loop *loop;
static struct http *http;
static struct peers *peers;
static struct store_view view; /* too large for some stacks */
static struct rest_stub stubs[3];
static int changes;

static void on_changed(void *arg)
{
    (void)arg;
    changes++;
}

static void add_peer(const char *name, const char *url)
{
    struct peer *peer = &view.peers[view.n_peers++];
    text_copy(peer->member.name, sizeof(peer->member.name), name);
    text_copy(peer->member.api_url, sizeof(peer->member.api_url), url);
}

static void setup(void)
{
    json_setup();
    http_setup();
    loop = loop_new();
    http = http_new(loop, 2000);
    peers = peers_new(&(struct peers_spec){
        .loop = loop, .http = http, .username = "u", .password = "p", .changed = on_changed });
    view = (struct store_view){ 0 };
    changes = 0;
    rest_stub_start(&stubs[0], loop,
                    "{\"role\":\"replica\",\"xlog\":{\"received_location\":500,"
                    "\"replayed_location\":400},\"timeline\":3}");
    rest_stub_start(&stubs[1], loop,
                    "{\"role\":\"primary\",\"xlog\":{\"location\":700},\"timeline\":4}");
    rest_stub_start(&stubs[2], loop, NULL);
}

static void teardown(void)
{
    peers_free(peers);
    http_free(http);
    for (size_t stub = 0; stub < 3; stub++)
        rest_stub_stop(&stubs[stub]);
    loop_free(loop);
}

/* Part 4: all at once, bounded by 1 s; who does not answer does not block. */
START_TEST(all_are_asked_at_once)
{
    add_peer("b", stubs[0].url);
    add_peer("c", stubs[1].url);
    add_peer("silent", stubs[2].url);
    add_peer("nowhere", "");
    add_peer("dead", "http://127.0.0.1:1/patroni");
    struct mono began = clock_mono();
    peers_ask(peers, &view, 500);
    run_for(loop, 300);
    peers_fill(peers, clock_mono(), &view);
    ck_assert(view.peers[0].asked && view.peers[0].answered && view.peers[0].in_recovery);
    ck_assert_uint_eq(view.peers[0].position, 500);
    ck_assert_uint_eq(view.peers[0].timeline.tli, 3);
    ck_assert(view.peers[1].answered && !view.peers[1].in_recovery);
    ck_assert_uint_eq(view.peers[1].position, 700);
    ck_assert(!view.peers[2].asked && !view.peers[2].answered); /* still open */
    ck_assert(view.peers[3].asked && !view.peers[3].answered);
    ck_assert(view.peers[4].asked && !view.peers[4].answered);
    ck_assert(!peers_idle(peers));
    while (!peers_idle(peers))
        run_for(loop, 10);
    ck_assert_int_le(mono_diff(clock_mono(), began), 1300);
    peers_fill(peers, clock_mono(), &view);
    ck_assert(view.peers[2].asked && !view.peers[2].answered);
    ck_assert_int_ge(changes, 2);
    ck_assert(strncmp(stubs[0].request, "GET /patroni ", 13) == 0);
    ck_assert_ptr_nonnull(strstr(stubs[0].request, "Authorization: Basic dTpw")); /* u:p */
}
END_TEST

/* An answer counts for two seconds; a second question waits for fresh_ms. */
START_TEST(answers_grow_old)
{
    add_peer("b", stubs[0].url);
    peers_ask(peers, &view, 500);
    run_for(loop, 100);
    peers_ask(peers, &view, 500);
    run_for(loop, 100);
    ck_assert_int_eq(stubs[0].asked, 1);
    peers_ask(peers, &view, 100);
    run_for(loop, 100);
    ck_assert_int_eq(stubs[0].asked, 2);
    stubs[0].body = "{\"state\":\"stopped\"}"; /* its Postgres cannot be asked: no answer */
    run_for(loop, 600);
    peers_ask(peers, &view, 500);
    run_for(loop, 100);
    peers_fill(peers, clock_mono(), &view);
    ck_assert(view.peers[0].answered); /* the former one */
    run_for(loop, 1500);
    view.peers[0].answered = false;
    peers_fill(peers, clock_mono(), &view);
    ck_assert(view.peers[0].asked && !view.peers[0].answered);
    run_for(loop, 800);
    peers_fill(peers, clock_mono(), &view);
    ck_assert(!view.peers[0].asked);
}
END_TEST

START_TEST(answers_are_parsed)
{
    static const struct {
        const char *text;
        enum err_code code;
        lsn_t position;
        bool in_recovery;
    } cases[] = {
        { "{\"xlog\":{\"location\":1}}", ERR_OK, 1, false },
        { "{\"xlog\":{\"received_location\":null,\"replayed_location\":9}}", ERR_OK, 9, true },
        { "{\"xlog\":{\"received_location\":8,\"replayed_location\":9}}", ERR_OK, 9, true },
        { "{\"xlog\":{}}", ERR_OK, 0, true },
        { "{\"xlog\":null}", ERR_PROTOCOL, 0, false },
        { "{\"xlog\":{\"location\":\"0/1\"}}", ERR_PROTOCOL, 0, false },
        { "{}", ERR_PROTOCOL, 0, false },
        { "[", ERR_PROTOCOL, 0, false },
        { "", ERR_PROTOCOL, 0, false },
    };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        struct peer_answer answer = { 0 };
        struct err err;
        const char *text = cases[at].text;
        ck_assert_msg(peer_answer_parse(text, strlen(text), &answer, &err) == cases[at].code, "%s",
                      text);
        ck_assert_uint_eq(answer.position, cases[at].position);
        ck_assert(answer.in_recovery == cases[at].in_recovery);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peers");
    TCase *tcase = tcase_create("peers");
    tcase_set_timeout(tcase, 20);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, all_are_asked_at_once);
    tcase_add_test(tcase, answers_grow_old);
    tcase_add_test(tcase, answers_are_parsed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
