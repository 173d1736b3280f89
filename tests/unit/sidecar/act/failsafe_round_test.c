/* L6: a lease is held by rounds while a real etcd stands still, for as long as everybody accepts. */
#include "sidecar/act/failsafe_round.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/rest_stub.h"
#include "../../support/store_node.h"
#include "base/clock.h"
#include "base/text.h"

static struct loop *loop;
static struct etcd_cluster servers;
static struct store_node node;
static struct failsafe_round *rounds;
static struct rest_stub stubs[2];
static struct failsafe_list list;

static void add_member(const char *name, const char *url)
{
    struct failsafe_member *member = &list.members[list.n++];
    text_copy(member->name, sizeof(member->name), name);
    text_copy(member->api_url, sizeof(member->api_url), url);
}

static void setup(void)
{
    loop = store_nodes_start(&servers, 1, &node, NULL);
    rounds = failsafe_round_new(&(struct failsafe_round_spec){
        .loop = loop, .http = node.http, .keeper = node.keeper, .username = "u", .password = "p" });
    rest_stub_start(&stubs[0], loop, "Accepted");
    rest_stub_start(&stubs[1], loop, "Accepted");
    memset(&list, 0, sizeof(list));
    list.usable = true;
    text_copy(list.name, sizeof(list.name), "a");
    text_copy(list.conn_url, sizeof(list.conn_url), "postgres://a:5432/postgres");
    text_copy(list.api_url, sizeof(list.api_url), "http://a:8008/patroni");
    add_member("b", stubs[0].url);
    add_member("c", stubs[1].url);
    ck_assert_msg(store_node_step(&node, STEP_TAKE_KEY, "") == ERR_OK, "%s", node.error);
    store_node_wait(&node, store_node_holds, 2000);
}

static void teardown(void)
{
    rounds = failsafe_round_free(rounds);
    rest_stub_stop(&stubs[0]);
    rest_stub_stop(&stubs[1]);
    store_nodes_stop(&servers, &node, NULL);
}

/* As the cycle does; true while the lease holds. */
static void cycles_for(int64_t ms)
{
    struct mono end = mono_add(clock_mono(), ms);
    while (mono_before(clock_mono(), end)) {
        failsafe_round_set(rounds, &list);
        run_for(loop, 50);
    }
}

static void expect_end(void)
{
    struct mono stopped = clock_mono();
    etcd_server_signal(&servers, 0, SIGSTOP);
    while (store_node_holds(&node)) {
        ck_assert_int_lt(mono_diff(clock_mono(), stopped), STORE_NODES_TTL_MS + 500);
        cycles_for(50);
    }
    etcd_server_signal(&servers, 0, SIGCONT);
}

START_TEST(held_while_all_accept)
{
    cycles_for(1500);
    ck_assert_int_eq(stubs[0].asked, 0); /* renewals count */
    etcd_server_signal(&servers, 0, SIGSTOP);
    const struct lease *lease = lease_keeper_lease(node.keeper);
    for (int at = 0; at < 140; at++) {
        cycles_for(50);
        ck_assert_msg(store_node_holds(&node), "lost after %d ms", at * 50);
    }
    ck_assert_int_gt(stubs[0].asked, 4);
    ck_assert_int_gt(stubs[1].asked, 4);
    /* L3: the guard moves along. */
    ck_assert_int_eq(node.deadline.ms,
                     lease->held_until.ms - lease_margin_ms(STORE_NODES_TTL_MS, false));
    ck_assert_int_eq(node.deadline_lease, lease->id);
    ck_assert_int_le(lease->held_until.ms, clock_mono().ms + STORE_NODES_TTL_MS);
    ck_assert(strncmp(stubs[0].request, "POST /failsafe ", 15) == 0);
    ck_assert_ptr_nonnull(strstr(stubs[0].request, "Authorization: Basic dTpw"));
    ck_assert_ptr_nonnull(strstr(stubs[0].request, "\"api_url\":\"http://a:8008/patroni\""));
    ck_assert_ptr_nonnull(strstr(stubs[0].request, "\"ttl_ms\":3000"));
    etcd_server_signal(&servers, 0, SIGCONT);
}
END_TEST

START_TEST(one_refusal_is_enough)
{
    stubs[1].status = 500;
    stubs[1].body = "Running as a leader";
    expect_end();
    ck_assert_int_gt(stubs[1].asked, 1); /* asked again and again */
}
END_TEST

START_TEST(one_silence_is_enough)
{
    stubs[1].body = NULL;
    expect_end();
}
END_TEST

START_TEST(nobody_is_asked_where_it_is_off)
{
    list.usable = false;
    expect_end();
    ck_assert_int_eq(stubs[0].asked, 0);
}
END_TEST

/* "Single-node list": nobody else can race. */
START_TEST(alone)
{
    list.n = 0;
    etcd_server_signal(&servers, 0, SIGSTOP);
    cycles_for(2 * STORE_NODES_TTL_MS);
    ck_assert(store_node_holds(&node));
    etcd_server_signal(&servers, 0, SIGCONT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failsafe round");
    TCase *quick = tcase_create("no round");
    tcase_set_timeout(quick, 60);
    tcase_add_checked_fixture(quick, setup, teardown);
    tcase_add_test(quick, nobody_is_asked_where_it_is_off);
    suite_add_tcase(suite, quick);
    TCase *tcase = tcase_create("rounds");
    tcase_set_tags(tcase, "slow");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, held_while_all_accept);
    tcase_add_test(tcase, one_refusal_is_enough);
    tcase_add_test(tcase, one_silence_is_enough);
    tcase_add_test(tcase, alone);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
