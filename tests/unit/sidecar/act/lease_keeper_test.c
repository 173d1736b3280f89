#include "sidecar/act/lease_keeper.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/store_node.h"
#include "base/clock.h"
#include "etcd/lease.h"
#include "json/json.h"

static struct loop *loop;
static struct etcd_cluster servers;
static struct store_node node;

static void setup_servers(int n)
{
    loop = store_nodes_start(&servers, n, &node, NULL);
}

static void setup(void)
{
    setup_servers(1);
}

static void setup_three(void)
{
    setup_servers(3);
}

/* An etcd whose floor of a lease (1.5 election timeouts) is above our ttl. */
static void setup_slow(void)
{
    static const char *const slow[] = { "--heartbeat-interval=300", "--election-timeout=3000",
                                        NULL };
    json_setup();
    http_setup();
    loop = loop_new();
    etcd_cluster_start(&servers, loop, 1, slow);
    store_node_start(&node, &servers, "a", STORE_NODES_TTL_MS);
}

static void teardown(void)
{
    store_nodes_stop(&servers, &node, NULL);
}

static void take(void)
{
    ck_assert_msg(store_node_step(&node, STEP_TAKE_KEY, "") == ERR_OK, "%s", node.error);
    store_node_wait(&node, store_node_holds, 2000);
}

static bool holds_no_more(struct store_node *who)
{
    return !store_node_holds(who);
}

static bool told_thrice(struct store_node *who)
{
    return who->deadlines >= 3;
}

/* L1: a renewal holds until its sending + ttl and no longer. L3: each that counts moves the guard's
 * deadline to that less the margin. */
START_TEST(a_renewal_counts)
{
    take();
    const struct lease *lease = lease_keeper_lease(node.keeper);
    ck_assert_int_le(lease->held_until.ms, clock_mono().ms + STORE_NODES_TTL_MS);
    ck_assert_int_eq(node.deadline.ms,
                     lease->held_until.ms - lease_margin_ms(STORE_NODES_TTL_MS, false));
    ck_assert_int_eq(node.deadline_lease, lease->id);
    int64_t before_ms = lease->held_until.ms;
    store_node_wait(&node, told_thrice, 10000);
    ck_assert_int_gt(lease->held_until.ms, before_ms);
    ck_assert_int_eq(lease_keeper_stats(node.keeper)->last, LEASE_COUNTS);
}
END_TEST

/* A guard has forgotten its deadline with its child: it is told again at once, without a renewal, and
 * never of what is over. */
START_TEST(the_guard_is_told_again)
{
    take();
    etcd_server_signal(&servers, 0, SIGSTOP);
    run_for(loop, 200); /* what had been answered already */
    const struct mono told = node.deadline;
    int times = node.deadlines;
    ck_assert_int_eq(store_node_step(&node, STEP_GUARD_DEADLINE, ""), ERR_OK);
    ck_assert_int_eq(node.deadlines, times + 1);
    ck_assert_int_eq(node.deadline.ms, told.ms);
    store_node_wait(&node, holds_no_more, STORE_NODES_TTL_MS + 500);
    ck_assert_int_eq(store_node_step(&node, STEP_GUARD_DEADLINE, ""), ERR_OK);
    ck_assert_int_eq(node.deadlines, times + 1);
    etcd_server_signal(&servers, 0, SIGCONT);
}
END_TEST

/* L1: an etcd that does not answer renews nothing; the lease ends by itself, and what is answered
 * after its end does not count. */
START_TEST(a_stopped_etcd_renews_nothing)
{
    take();
    etcd_server_signal(&servers, 0, SIGSTOP);
    run_for(loop, 200); /* what had been answered already */
    int64_t until_ms = lease_keeper_lease(node.keeper)->held_until.ms;
    store_node_wait(&node, holds_no_more, STORE_NODES_TTL_MS + 500);
    ck_assert_int_eq(lease_keeper_lease(node.keeper)->held_until.ms, until_ms);
    etcd_server_signal(&servers, 0, SIGCONT);
    run_for(loop, 1500);
    ck_assert(!store_node_holds(&node));
}
END_TEST

static bool not_owned(struct store_node *who)
{
    return !lease_keeper_lease(who->keeper)->owns_key;
}

static bool another_lease(struct store_node *who)
{
    const struct lease *lease = lease_keeper_lease(who->keeper);
    return lease->id != 0 && lease->id != who->deadline_lease;
}

static void on_lease(void *arg, const struct etcd_lease_result *result)
{
    ck_assert_msg(result->outcome.code == ERR_OK, "%s", result->outcome.error);
    *(bool *)arg = true;
}

/* A lease that was revoked behind our back takes the key with it: it does not hold from the next
 * renewal on, and another one is granted. */
START_TEST(a_revoked_lease_is_noticed)
{
    take();
    bool done = false;
    struct etcd_how how = { .timeout_ms = 2000, .endpoint = ETCD_ANY };
    struct etcd_call *call =
        etcd_lease_revoke(node.etcd, lease_keeper_lease(node.keeper)->id, how, on_lease, &done);
    run_until(loop, &done, 2000);
    etcd_call_free(call);
    store_node_wait(&node, not_owned, STORE_NODES_TTL_MS / 2);
    ck_assert(!store_node_holds(&node));
    store_node_wait(&node, another_lease, STORE_NODES_TTL_MS);
}
END_TEST

/* L7: the lease is not the key. A key that was deleted by hand is lost although the lease lives,
 * and the lease stays ours. */
START_TEST(a_deleted_key_is_noticed)
{
    take();
    int64_t id = lease_keeper_lease(node.keeper)->id;
    store_node_put(&node, "/service/t/leader", NULL);
    store_node_wait(&node, not_owned, STORE_NODES_TTL_MS / 2);
    run_for(loop, STORE_NODES_TTL_MS);
    ck_assert_int_eq(lease_keeper_lease(node.keeper)->id, id);
}
END_TEST

/* Part 3: "when it has no answer after ttl/8, a second sequence starts on another endpoint": one of
 * three members that stands still costs nothing. */
START_TEST(a_second_endpoint_takes_over)
{
    take();
    for (int server = 0; server < 3; server++) {
        etcd_server_signal(&servers, server, SIGSTOP);
        struct mono end = mono_add(clock_mono(), STORE_NODES_TTL_MS);
        while (mono_before(clock_mono(), end)) {
            run_for(loop, 20);
            ck_assert_msg(store_node_holds(&node), "lost while m%d stood still", server);
        }
        /* Nor does it hold up whoever asks whichever endpoint is the present one. */
        ck_assert_int_ne(etcd_endpoint_current(node.etcd),
                         etcd_endpoint_find(node.etcd, servers.servers[server].url));
        /* Not thawed: etcd 3.5.16's former raft leader then revokes leases that live. */
        etcd_server_kill(&servers, server);
        etcd_server_start(&servers, server);
        etcd_server_wait(&servers, node.etcd, server);
        run_for(loop, STORE_NODES_TTL_MS);
    }
}
END_TEST

/* S7: the position goes along with the renewal. */
START_TEST(a_renewal_publishes_the_confirmed_position)
{
    take();
    ck_assert_int_eq(store_node_step(&node, STEP_WRITE_SYNC, ""), ERR_OK);
    node.confirmed = "{\"timeline\":1,\"history\":[],\"lsn\":4711}";
    run_for(loop, STORE_NODES_TTL_MS / 2);
    ck_assert_str_eq(cluster_value(node.cluster, "pgvigil/confirmed"), node.confirmed);
    struct view *view = store_node_view(&node);
    ck_assert(view->store.confirmed_exists);
    ck_assert_uint_eq(view->store.confirmed_lsn, 4711);
    free(view);
    ck_assert(store_node_holds(&node));
}
END_TEST

/* Part 2: "renewal stops when neither a cycle nor a local probe has completed for stall_limit, so
 * that a dead head never holds the key for ever". */
START_TEST(a_stalled_process_is_not_renewed)
{
    take();
    node.stalls = true; /* stall_limit is 1 s there */
    run_for(loop, 2500);
    ck_assert(lease_keeper_stats(node.keeper)->stalled);
    store_node_wait(&node, holds_no_more, STORE_NODES_TTL_MS + 500);
}
END_TEST

/* G1: while the tree may still run and no guard says otherwise, nothing is renewed. */
START_TEST(a_suspended_lease_runs_out)
{
    take();
    lease_keeper_suspend(node.keeper, true);
    int64_t until_ms = lease_keeper_lease(node.keeper)->held_until.ms;
    store_node_wait(&node, holds_no_more, STORE_NODES_TTL_MS + 500);
    ck_assert_int_eq(lease_keeper_lease(node.keeper)->held_until.ms, until_ms);
}
END_TEST

static void wait_for_length(int64_t ttl_ms)
{
    struct mono end = mono_add(clock_mono(), 10000);
    int64_t former = lease_keeper_lease(node.keeper)->id;
    while (lease_keeper_lease(node.keeper)->ttl_ms != ttl_ms ||
           lease_keeper_lease(node.keeper)->id == former) {
        run_for(loop, 10);
        ck_assert_msg(store_node_holds(&node), "a gap");
        ck_assert_msg(mono_before(clock_mono(), end), "the ttl does not change");
    }
}

static void check_moved(void)
{
    const struct lease *lease = lease_keeper_lease(node.keeper);
    struct view *view = store_node_view(&node);
    ck_assert_int_eq(view->store.leader_lease, lease->id);
    ck_assert_int_eq(view->store.leader_create_revision, lease->create_revision);
    ck_assert_int_eq(view->store.leader_mod_revision, lease->mod_revision);
    ck_assert_int_eq(view->store.holder.lease_id, lease->id);
    ck_assert(!view->store.holder.released);
    free(view);
}

/* I1: etcd may end a lease early. Who finds the key gone waits for as long as the last trace says. */
static void check_trace(void)
{
    struct view *view = store_node_view(&node);
    ck_assert_int_le(node.deadline.ms, clock_mono().ms + view->store.renewed_ttl_ms);
    free(view);
}

/* A ttl that changes moves the leader's key to another lease without a gap, and the guard's
 * deadline never lies beyond the end of the lease that the key has (L3). */
START_TEST(a_new_ttl_moves_the_key)
{
    take();
    lease_keeper_set_ttl(node.keeper, 2 * STORE_NODES_TTL_MS);
    wait_for_length(2 * STORE_NODES_TTL_MS);
    check_moved();
    run_for(loop, 2000);
    ck_assert(store_node_holds(&node));
    ck_assert_int_eq(node.deadline_lease, lease_keeper_lease(node.keeper)->id);
    ck_assert_int_gt(node.deadline.ms, clock_mono().ms + STORE_NODES_TTL_MS);

    lease_keeper_set_ttl(node.keeper, STORE_NODES_TTL_MS);
    lease_keeper_set_ttl(node.keeper,
                         2 * STORE_NODES_TTL_MS); /* and back, before anything happened */
    lease_keeper_set_ttl(node.keeper, STORE_NODES_TTL_MS);
    int64_t told_ms = node.deadline.ms;
    int64_t former = lease_keeper_lease(node.keeper)->id;
    ck_assert_int_eq(node.deadline_lease, former);
    struct mono end = mono_add(clock_mono(), 10000);
    while (lease_keeper_lease(node.keeper)->id == former) {
        run_for(loop, 5);
        told_ms = told_ms > node.deadline.ms ? told_ms : node.deadline.ms;
        check_trace();
        ck_assert_msg(store_node_holds(&node), "a gap");
        ck_assert(mono_before(clock_mono(), end));
    }
    ck_assert_int_le(told_ms, clock_mono().ms + STORE_NODES_TTL_MS);
    check_moved();
    run_for(loop, 1500);
    ck_assert(store_node_holds(&node));
    ck_assert_int_eq(node.deadline_lease, lease_keeper_lease(node.keeper)->id);
}
END_TEST

static bool was_refused(struct store_node *who)
{
    return strstr(lease_keeper_stats(who->keeper)->problem, "raise ttl") != NULL;
}

/* Part 3: "a granted ttl that is larger than asked is an error at start". */
START_TEST(a_ttl_below_the_floor_is_an_error)
{
    store_node_wait(&node, was_refused, 20000);
    ck_assert_int_eq(lease_keeper_lease(node.keeper)->id, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lease_keeper");
    TCase *quick = tcase_create("one etcd");
    tcase_set_timeout(quick, 60);
    tcase_add_checked_fixture(quick, setup, teardown);
    tcase_add_test(quick, a_renewal_counts);
    tcase_add_test(quick, the_guard_is_told_again);
    tcase_add_test(quick, a_renewal_publishes_the_confirmed_position);
    suite_add_tcase(suite, quick);
    TCase *one = tcase_create("one etcd, seconds each");
    tcase_set_tags(one, "slow");
    tcase_set_timeout(one, 60);
    tcase_add_checked_fixture(one, setup, teardown);
    tcase_add_test(one, a_stopped_etcd_renews_nothing);
    tcase_add_test(one, a_revoked_lease_is_noticed);
    tcase_add_test(one, a_deleted_key_is_noticed);
    tcase_add_test(one, a_stalled_process_is_not_renewed);
    tcase_add_test(one, a_suspended_lease_runs_out);
    tcase_add_test(one, a_new_ttl_moves_the_key);
    suite_add_tcase(suite, one);
    TCase *three = tcase_create("three etcds");
    tcase_set_tags(three, "slow");
    tcase_set_timeout(three, 60);
    tcase_add_checked_fixture(three, setup_three, teardown);
    tcase_add_test(three, a_second_endpoint_takes_over);
    suite_add_tcase(suite, three);
    TCase *slow = tcase_create("an etcd that is too slow");
    tcase_set_tags(slow, "slow");
    tcase_set_timeout(slow, 60);
    tcase_add_checked_fixture(slow, setup_slow, teardown);
    tcase_add_test(slow, a_ttl_below_the_floor_is_an_error);
    suite_add_tcase(suite, slow);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
