#include "sidecar/cluster.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/store_node.h"
#include "base/clock.h"
#include "base/mem.h"
#include "json/json.h"

static struct loop *loop;
static struct etcd_cluster servers;
/* Not on a stack: what a failed check leaves armed still points there. */
static struct store_node a;
static struct store_node b;

static void setup_servers(int n)
{
    loop = store_nodes_start(&servers, n, &a, NULL);
}

static void setup(void)
{
    setup_servers(1);
}

static void setup_three(void)
{
    setup_servers(3);
}

static void teardown(void)
{
    store_nodes_stop(&servers, &a, NULL);
}

static bool sees(struct store_node *node, const char *config)
{
    const char *value = cluster_value(node->cluster, "config");
    return value != NULL && strcmp(value, config) == 0;
}

static bool sees_one(struct store_node *node)
{
    return sees(node, "1");
}

static bool sees_two(struct store_node *node)
{
    return sees(node, "2");
}

static bool is_reachable(struct store_node *node)
{
    struct view *view = store_node_view(node);
    bool reachable = view->store.reachable;
    free(view);
    return reachable;
}

static bool is_unreachable(struct store_node *node)
{
    return !is_reachable(node);
}

/* A change by anybody is in the view within moments. */
START_TEST(the_watch_tells)
{
    int changes = a.changes;
    store_node_put(&a, "/service/t/config", "1");
    store_node_put(&a, "/service/t/config", "2");
    store_node_wait(&a, sees_two, 200);
    ck_assert_int_gt(a.changes, changes);
    struct cluster_key key;
    ck_assert(cluster_get(a.cluster, "config", &key));
    ck_assert_int_eq(key.mod_revision, key.create_revision + 1);
    store_node_put(&a, "/service/t/config", NULL);
    run_for(loop, 100);
    ck_assert(!cluster_get(a.cluster, "config", &key));
    store_node_put(&a, "/service/other/config", "3"); /* not ours */
    run_for(loop, 100);
    ck_assert(!cluster_get(a.cluster, "config", &key));
}
END_TEST

/* What changed while etcd was away is seen after its restart, and the view says that it was away.
 * */
START_TEST(the_watch_survives_a_restart)
{
    store_node_put(&a, "/service/t/config", "1");
    store_node_wait(&a, sees_one, 2000);
    etcd_server_kill(&servers, 0);
    store_node_wait(&a, is_unreachable, STORE_NODES_TTL_MS);
    struct view *view = store_node_view(&a);
    ck_assert(view->store.loaded); /* the last that was seen, with its age */
    ck_assert_int_ge(view->store.age_ms, 1000);
    ck_assert(view->store.config_exists);
    free(view);
    etcd_server_start(&servers, 0);
    store_node_put(&a, "/service/t/config", "2");
    store_node_wait(&a, sees_two, 2000);
    store_node_wait(&a, is_reachable, 2000);
    store_node_put(&a, "/service/t/config", "1");
    store_node_put(&a, "/service/t/config", "2");
    store_node_wait(&a, sees_two, 500);
}
END_TEST

static bool sees_leader(struct store_node *node)
{
    return cluster_value(node->cluster, "leader") != NULL;
}

static bool sees_no_leader(struct store_node *node)
{
    return !sees_leader(node);
}

/* As a cycle would: again, until nothing is in its way. */
static bool takes_key(struct store_node *node)
{
    return store_node_step(node, STEP_TAKE_KEY, "") == ERR_OK;
}

/* Bounds of part 3: the etcd member that we watch vanishes without a word, and the leader with it:
 * its key's end is seen within ttl + 1 s, through another member. */
START_TEST(a_silent_endpoint_is_left)
{
    store_node_start(&b, &servers, "b", STORE_NODES_TTL_MS);
    for (int server = 0; server < 3; server++) {
        store_node_wait(&b, takes_key, 10000);
        store_node_wait(&b, store_node_holds, 2000);
        store_node_wait(&a, sees_leader, 5000);
        struct mono last = lease_keeper_lease(b.keeper)->held_until;
        etcd_server_signal(&servers, server, SIGSTOP);
        lease_keeper_suspend(b.keeper, true);
        store_node_wait(&a, sees_no_leader, STORE_NODES_TTL_MS + 4000);
        /* A raft leader that is lost in the same moment extends leases: ttl + 2 x election + ... */
        ck_assert_int_lt(mono_diff(clock_mono(), last), STORE_NODES_TTL_MS + 2000);
        /* Not thawed: etcd 3.5.16's former raft leader then revokes leases that live. */
        etcd_server_kill(&servers, server);
        etcd_server_start(&servers, server);
        lease_keeper_suspend(b.keeper, false);
        lease_keeper_give_up(b.keeper);
        etcd_server_wait(&servers, b.etcd, server);
    }
    store_node_stop(&b);
}
END_TEST

/* At rest nobody asks what the watch tells: a leader's renewals leave traces, so that there are only the
 * renewals themselves, a keepalive and a read or transaction each: with the key every ttl/4, without
 * it every 2/5 of the ttl. Where no trace comes the watch is looked at again. */
START_TEST(at_rest_few_requests)
{
    store_node_start(&b, &servers, "b", STORE_NODES_TTL_MS);
    store_node_wait(&b, store_node_ready, 5000);
    ck_assert_msg(store_node_step(&b, STEP_TAKE_KEY, "") == ERR_OK, "%s", b.error);
    store_node_wait(&b, store_node_holds, 2000);
    run_for(loop, STORE_NODES_TTL_MS / 2);
    uint64_t of_a = etcd_requests(a.etcd);
    uint64_t of_b = etcd_requests(b.etcd);
    for (int part = 0; part < 8; part++) {
        run_for(loop, STORE_NODES_TTL_MS / 4);
        ck_assert(is_reachable(&a));
        ck_assert(is_reachable(&b));
    }
    of_a = etcd_requests(a.etcd) - of_a;
    of_b = etcd_requests(b.etcd) - of_b;
    ck_assert_uint_ge(of_a, 8);
    ck_assert_uint_le(of_a, 12);
    ck_assert_uint_ge(of_b, 14);
    ck_assert_uint_le(of_b, 18);
    lease_keeper_suspend(b.keeper, true);
    run_for(loop, STORE_NODES_TTL_MS / 2);
    of_a = etcd_requests(a.etcd);
    run_for(loop, STORE_NODES_TTL_MS);
    ck_assert_uint_ge(etcd_requests(a.etcd) - of_a, 4 + 2);
    store_node_stop(&b);
}
END_TEST

/* S6: another etcd, or an older state of it, is not the same cluster; so is one whose /sync is not
 * on our volume yet. */
START_TEST(the_volume_has_the_last_word)
{
    struct view *view = store_node_view(&a);
    ck_assert(view->store.same_cluster && !view->store.recording);
    free(view);
    a.remembered = CLUSTER_RECORDING;
    view = store_node_view(&a);
    ck_assert(!view->store.same_cluster && view->store.recording);
    free(view);
    a.remembered = CLUSTER_OTHER;
    view = store_node_view(&a);
    ck_assert(!view->store.same_cluster && !view->store.recording);
    free(view);
}
END_TEST

static bool is_another(struct store_node *node)
{
    free(store_node_view(node));
    return node->asked_revision < 50;
}

/* S6: an etcd that was made anew behind our back: nothing of the former one is believed, and the
 * volume is asked about the new one. */
START_TEST(a_store_made_anew_is_noticed)
{
    for (int write = 0; write < 50; write++)
        store_node_put(&a, "/service/t/config", "1");
    store_node_put(&a, "/service/t/sync", "{\"leader\":\"b\",\"quorum\":0}");
    run_for(loop, 100);
    struct view *view = store_node_view(&a);
    ck_assert(view->store.sync.exists && view->store.config_exists);
    ck_assert_int_eq(a.asked_revision, view->store.sync.mod_revision);
    ck_assert_int_gt(a.asked_revision, 50);
    free(view);
    etcd_server_kill(&servers, 0);
    char command[200];
    (void)snprintf(command, sizeof(command), "%s/m0", servers.dir);
    const char *argv[] = { "rm", "-rf", command, NULL };
    tool_run(&servers, argv);
    etcd_server_start(&servers, 0);
    store_node_wait(&a, is_another, 10000);
    view = store_node_view(&a);
    ck_assert(!view->store.sync.exists && !view->store.config_exists);
    free(view);
}
END_TEST

/* Part 4: a wish counts as made after the loss only if it was written after the key had vanished.
 * */
START_TEST(a_wish_is_dated)
{
    ck_assert_int_eq(store_node_step(&a, STEP_TAKE_KEY, ""), ERR_OK);
    store_node_put(&a, "/service/t/failover", "{\"member\":\"b\"}");
    store_node_put(&a, "/service/t/leader", NULL);
    store_node_wait(&a, sees_no_leader, 500);
    run_for(loop, 200);
    struct view *view = store_node_view(&a);
    ck_assert(view->store.failover.exists && view->store.failover.due);
    ck_assert(!view->store.failover.after_leader_loss);
    ck_assert_int_ge(view->store.failover.age_ms, 100);
    free(view);
    store_node_put(&a, "/service/t/failover", "{\"member\":\"b\",\"x\":1}");
    run_for(loop, 100);
    view = store_node_view(&a);
    ck_assert(view->store.failover.after_leader_loss);
    ck_assert_int_lt(view->store.failover.age_ms, 200);
    free(view);
}
END_TEST

/* A scheduled wish is due from its time on, and not for ever. */
START_TEST(a_scheduled_wish_waits)
{
    static const struct {
        int64_t from_now_ms;
        bool due, stale;
    } cases[] = { { 60000, false, false }, { -1000, true, false }, { -600000, false, true } };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        char iso[CLOCK_ISO_MAX];
        char value[200];
        struct wall when = { clock_wall().ms + cases[at].from_now_ms };
        (void)snprintf(value, sizeof(value),
                       "{\"leader\":\"a\",\"member\":\"b\",\"scheduled_at\":\"%s\"}",
                       clock_iso(when, iso));
        store_node_put(&a, "/service/t/failover", value);
        run_for(loop, 100);
        struct view *view = store_node_view(&a);
        ck_assert(view->store.failover.exists);
        ck_assert_msg(view->store.failover.due == cases[at].due, "%s", value);
        ck_assert_msg(view->store.failover.stale == cases[at].stale, "%s", value);
        free(view);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cluster");
    TCase *quick = tcase_create("one etcd");
    tcase_set_timeout(quick, 60);
    tcase_add_checked_fixture(quick, setup, teardown);
    tcase_add_test(quick, the_watch_tells);
    tcase_add_test(quick, a_wish_is_dated);
    tcase_add_test(quick, a_scheduled_wish_waits);
    suite_add_tcase(suite, quick);
    TCase *slow = tcase_create("one etcd, what takes longer");
    tcase_set_tags(slow, "slow");
    tcase_set_timeout(slow, 60);
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_add_test(slow, the_volume_has_the_last_word);
    tcase_add_test(slow, at_rest_few_requests);
    tcase_add_test(slow, the_watch_survives_a_restart);
    tcase_add_test(slow, a_store_made_anew_is_noticed);
    suite_add_tcase(suite, slow);
    TCase *three = tcase_create("three etcds");
    tcase_set_tags(three, "slow");
    tcase_set_timeout(three, 90);
    tcase_add_checked_fixture(three, setup_three, teardown);
    tcase_add_test(three, a_silent_endpoint_is_left);
    suite_add_tcase(suite, three);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
