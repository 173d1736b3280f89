#include "sidecar/act/steps_store.h"

#include <check.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/store_node.h"
#include "base/clock.h"
#include "etcd/lease.h"
#include "json/json.h"

static struct loop *loop;
static struct etcd_cluster servers;
static struct store_node a;
static struct store_node b;

static void setup(void)
{
    loop = store_nodes_start(&servers, 1, &a, &b);
}

static void teardown(void)
{
    store_nodes_stop(&servers, &a, &b);
}

#define STEP_OK(node, kind, name)                                                                  \
    ck_assert_msg(store_node_step(node, kind, name) == ERR_OK, "%s", (node)->error)
#define STEP_FAILS(node, kind, name, code, text)                                                   \
    do {                                                                                           \
        ck_assert_int_eq(store_node_step(node, kind, name), code);                                 \
        ck_assert_msg(strstr((node)->error, text) != NULL, "%s", (node)->error);                   \
    } while (0)

static void take(struct store_node *node)
{
    STEP_OK(node, STEP_TAKE_KEY, "");
    store_node_wait(node, store_node_holds, 2000);
}

static bool sees_no_leader(struct store_node *node)
{
    return cluster_value(node->cluster, "leader") == NULL;
}

static bool sees_leader(struct store_node *node)
{
    return cluster_value(node->cluster, "leader") != NULL;
}

static const char *value(struct store_node *node, const char *name)
{
    const char *found = cluster_value(node->cluster, name);
    return found != NULL ? found : "(none)";
}

static void on_lease(void *arg, const struct etcd_lease_result *result)
{
    ck_assert_msg(result->outcome.code == ERR_OK, "%s", result->outcome.error);
    *(bool *)arg = true;
}

/* Behind everybody's back. */
static void end_lease(int64_t lease)
{
    bool done = false;
    struct etcd_how how = { .timeout_ms = 2000, .endpoint = ETCD_ANY };
    struct etcd_call *call = etcd_lease_revoke(b.etcd, lease, how, on_lease, &done);
    run_until(loop, &done, 2000);
    etcd_call_free(call);
}

/* L7: the key is created once; the transaction writes the holder record; the table of the writer
 * shows both at once, the other's through the watch. */
START_TEST(the_key_is_taken_once)
{
    take(&a);
    ck_assert_str_eq(value(&a, "leader"), "a");
    store_node_wait(&b, sees_leader, 500);
    struct view *view = store_node_view(&b);
    ck_assert_str_eq(view->store.leader, "a");
    ck_assert_int_eq(view->store.leader_lease, lease_keeper_lease(a.keeper)->id);
    ck_assert_int_eq(view->store.leader_create_revision,
                     lease_keeper_lease(a.keeper)->create_revision);
    ck_assert(view->store.holder.exists && !view->store.holder.released);
    ck_assert_int_eq(view->store.holder.lease_id, lease_keeper_lease(a.keeper)->id);
    free(view);
    STEP_FAILS(&b, STEP_TAKE_KEY, "", ERR_REFUSED, "may still live");
    STEP_FAILS(&a, STEP_TAKE_KEY, "", ERR_REFUSED, "ours already");
}
END_TEST

static bool has_proof(struct store_node *node)
{
    return lease_keeper_lease(node->keeper)->proof.ttl_ms > 0;
}

/* L1: after a renewal without the key the transaction that takes it is a renewal's last reply: it holds
 * at once, the guard is told (L4), and the trace of a renewal is there. */
START_TEST(a_take_may_hold_at_once)
{
    store_node_wait(&a, has_proof, 10000);
    store_node_wait(&a, store_node_may_take, 2000);
    int deadlines = a.deadlines;
    struct lease_proof proof = lease_keeper_lease(a.keeper)->proof;
    STEP_OK(&a, STEP_TAKE_KEY, "");
    ck_assert(store_node_holds(&a));
    ck_assert_int_gt(a.deadlines, deadlines);
    /* At least: a renewal that was under way may have come meanwhile. */
    ck_assert_int_ge(lease_keeper_lease(a.keeper)->held_until.ms, proof.sent.ms + proof.ttl_ms);
    ck_assert_ptr_nonnull(strstr(value(&a, "pgvigil/renewed"), "\"lease\""));
}
END_TEST

/* Two that race at the same instant with the same view: one wins, the other is told that it lost.
 * */
START_TEST(one_of_two_wins)
{
    STEP_OK(&a, STEP_TAKE_KEY, "");
    /* b has not heard of it yet: its own loop did not run since. */
    enum err_code code = store_node_step(&b, STEP_TAKE_KEY, "");
    ck_assert(code == ERR_CONFLICT || code == ERR_REFUSED);
    ck_assert(!lease_keeper_lease(b.keeper)->owns_key);
    ck_assert_str_eq(value(&b, "leader"), "a");
}
END_TEST

/* L7: a release marks the holder record and names the candidate; who comes next may take the key at
 * once. */
START_TEST(a_release_hands_on)
{
    take(&a);
    store_node_wait(&b, sees_leader, 500);
    struct mono began = clock_mono();
    STEP_OK(&a, STEP_RELEASE_KEY, "b");
    ck_assert(!lease_keeper_lease(a.keeper)->owns_key);
    ck_assert(!store_node_holds(&a));
    store_node_wait(&b, sees_no_leader, 500);
    ck_assert_str_eq(value(&b, "failover"), "{\"leader\":\"a\",\"member\":\"b\"}");
    ck_assert(store_node_may_take(&b));
    take(&b);
    ck_assert_int_lt(mono_diff(clock_mono(), began), 1000);
    struct view *view = store_node_view(&b);
    ck_assert(view->store.failover.exists);
    ck_assert_str_eq(view->store.failover.candidate, "b");
    ck_assert(!view->store.failover.after_leader_loss); /* written together with the release */
    free(view);
    STEP_OK(&b, STEP_CLEAR_FAILOVER, "");
    ck_assert_str_eq(value(&b, "failover"), "{}");
}
END_TEST

/* L7: nobody takes the key from a holder whose record is unmarked while its lease lives; once
 * LeaseTimeToLive says that it is gone, anybody may. */
START_TEST(an_unmarked_record_blocks_until_the_lease_is_gone)
{
    take(&a);
    store_node_wait(&b, sees_leader, 500);
    store_node_put(&a, "/service/t/leader", NULL); /* by hand; the lease lives on */
    store_node_wait(&b, sees_no_leader, 500);
    run_for(loop, STORE_NODES_TTL_MS);
    ck_assert(!store_node_may_take(&b));
    STEP_FAILS(&b, STEP_TAKE_KEY, "", ERR_REFUSED, "may still live");
    int64_t id = lease_keeper_lease(a.keeper)->id;
    STEP_OK(&a, STEP_REVOKE_LEASE, "");            /* its Postgres is down */
    store_node_wait(&b, store_node_may_take, 200); /* the record is marked */
    take(&b);
    store_node_wait(&a, store_node_ready, 1000);
    ck_assert_int_ne(lease_keeper_lease(a.keeper)->id, id);
}
END_TEST

static bool sees_renewal(struct store_node *node)
{
    return cluster_value(node->cluster, "pgvigil/renewed") != NULL;
}

/* I1: a lease that ends before its time (a former raft leader that was frozen revokes it) frees the
 * key only once no holding under it can last: ttl after the last renewal that the others saw. */
START_TEST(an_early_end_of_the_lease_frees_nothing)
{
    take(&a);
    store_node_wait(&b, sees_renewal, 1000);
    run_for(loop, STORE_NODES_TTL_MS / 2);
    int64_t lease = lease_keeper_lease(a.keeper)->id;
    struct mono until = lease_keeper_lease(a.keeper)->held_until;
    lease_keeper_suspend(a.keeper, true); /* it hears nothing of what follows */
    end_lease(lease);
    store_node_wait(&b, sees_no_leader, 500);
    while (!store_node_may_take(&b)) {
        run_for(loop, 5);
        ck_assert_int_lt(mono_diff(clock_mono(), until), 1000);
    }
    ck_assert_int_ge(clock_mono().ms, until.ms);
    take(&b);
}
END_TEST

/* A holder that is silent for ttl: its lease runs out, the other sees it within moments and takes
 * over. */
START_TEST(a_silent_holder_is_replaced)
{
    take(&a);
    store_node_wait(&b, sees_leader, 500);
    lease_keeper_suspend(a.keeper, true);
    struct mono last = lease_keeper_lease(a.keeper)->held_until;
    store_node_wait(&b, store_node_may_take, STORE_NODES_TTL_MS + 2000);
    ck_assert(!store_node_holds(&a)); /* I1: not before the end */
    ck_assert_int_ge(clock_mono().ms, last.ms);
    take(&b);
    ck_assert_int_lt(mono_diff(clock_mono(), last), 1500);
}
END_TEST

/* L7: the late release of a former process fails once another one has adopted the key; what was
 * sent ends its holding all the same. */
START_TEST(an_adoption_defeats_a_late_release)
{
    take(&a);
    const struct lease former = *lease_keeper_lease(a.keeper);
    static struct store_node again;
    store_node_start(&again, &servers, "a", STORE_NODES_TTL_MS); /* the restarted sidecar */
    store_node_wait(&again, store_node_ready, 5000);
    STEP_FAILS(&again, STEP_ADOPT_KEY, "", ERR_REFUSED, "no holding");
    again.guard = (struct guard_view){ .tree_alive = true,
                                       .has_deadline = true,
                                       .deadline = mono_add(clock_mono(), 2000),
                                       .lease_id = former.id,
                                       .create_revision = former.create_revision };
    STEP_OK(&again, STEP_ADOPT_KEY, "");
    const struct lease *lease = lease_keeper_lease(again.keeper);
    ck_assert_int_eq(lease->id, former.id);
    ck_assert_int_eq(lease->create_revision, former.create_revision);
    ck_assert_int_gt(lease->mod_revision, former.mod_revision);
    ck_assert(store_node_holds(&again)); /* the guard's word: no gap (L5) */
    STEP_FAILS(&a, STEP_RELEASE_KEY, "", ERR_CONFLICT, "leader has changed");
    ck_assert(!lease_keeper_lease(a.keeper)->owns_key);
    run_for(loop, STORE_NODES_TTL_MS + 1000);
    ck_assert(store_node_holds(&again));
    store_node_stop(&again);
}
END_TEST

/* L7: a cookie that does not agree with the key adopts nothing. */
START_TEST(a_foreign_key_is_not_adopted)
{
    take(&a);
    b.guard = (struct guard_view){ .tree_alive = true,
                                   .has_deadline = true,
                                   .deadline = mono_add(clock_mono(), 2000),
                                   .lease_id = lease_keeper_lease(a.keeper)->id,
                                   .create_revision = 1 };
    STEP_FAILS(&b, STEP_ADOPT_KEY, "", ERR_CONFLICT, "leader has changed");
    ck_assert(!lease_keeper_lease(b.keeper)->owns_key);
}
END_TEST

/* L1: what comes after the end of a holding does not count; with nothing of Postgres left the key
 * is adopted anew. */
START_TEST(our_own_key_is_adopted_anew)
{
    take(&a);
    a.guard.tree_alive = true;
    STEP_FAILS(&a, STEP_ADOPT_KEY, "", ERR_REFUSED, "Postgres runs");
    a.guard.tree_alive = false;
    int64_t before = lease_keeper_lease(a.keeper)->mod_revision;
    STEP_OK(&a, STEP_ADOPT_KEY, "");
    ck_assert_int_gt(lease_keeper_lease(a.keeper)->mod_revision, before);
    store_node_wait(&a, store_node_holds, 1000);
}
END_TEST

static void names_one(struct step *step, const char *name)
{
    *step = (struct step){ .kind = STEP_WRITE_SYNC };
    names_add(&step->names, name);
}

/* S3: a write of /sync compares its revision and the leader key's; a second one of the same plan
 * compares the first one's. */
START_TEST(sync_is_compared)
{
    struct step step;
    names_one(&step, "b");
    STEP_FAILS(&a, STEP_WRITE_SYNC, "", ERR_REFUSED, "not ours");
    take(&a);
    STEP_OK(&a, STEP_WRITE_SYNC, "");
    ck_assert_str_eq(value(&a, "sync"), "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":null}");
    ck_assert_int_eq(store_node_run(&a, &step), ERR_OK);
    ck_assert_str_eq(value(&a, "sync"), "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":\"b\"}");
    store_node_put(&b, "/service/t/sync", "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":null}");
    STEP_FAILS(&a, STEP_WRITE_SYNC, "", ERR_CONFLICT, "sync has changed");
    /* The lost compare has brought the present value. */
    ck_assert_str_eq(value(&a, "sync"), "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":null}");
    a.memory = (struct plan_memory){ 0 };
    STEP_OK(&a, STEP_DELETE_SYNC, "");
    ck_assert_str_eq(value(&a, "sync"), "(none)");
}
END_TEST

/* S2: a member that begins to replace its data after the growth began is not added. */
START_TEST(a_member_with_new_data_is_not_added)
{
    struct step step;
    names_one(&step, "b");
    take(&a);
    struct view *view = store_node_view(&a);
    steps_store_begin(a.steps, view);
    free(view);
    STEP_OK(&b, STEP_WRITE_DATA_ID, "");
    ck_assert_uint_eq(strlen(value(&b, "pgvigil/data/b")), 16);
    ck_assert_int_eq(store_node_run(&a, &step), ERR_CONFLICT);
    ck_assert_msg(strstr(a.error, "pgvigil/data/b") != NULL, "%s", a.error);
    view = store_node_view(&a);
    steps_store_begin(a.steps, view);
    free(view);
    ck_assert_int_eq(store_node_run(&a, &step), ERR_OK);
    /* S2: "A member clones only while /sync does not name it". */
    run_for(loop, 100);
    STEP_FAILS(&b, STEP_WRITE_DATA_ID, "", ERR_REFUSED, "names this member");
}
END_TEST

static bool sees_pause(struct store_node *node)
{
    return strstr(value(node, "config"), "pause") != NULL;
}

/* L8: the key is not taken on a config that has changed since the plan began. */
START_TEST(the_config_is_compared)
{
    STEP_OK(&a, STEP_WRITE_CONFIG, "");
    ck_assert_str_eq(value(&a, "config"), "{\"ttl\":3}");
    ck_assert_int_gt(a.memory.config_mod_revision, 0);
    store_node_put(&b, "/service/t/config", "{\"ttl\":3,\"pause\":true}");
    STEP_FAILS(&a, STEP_TAKE_KEY, "", ERR_CONFLICT, "config has changed");
    a.memory = (struct plan_memory){ 0 };
    STEP_OK(&a, STEP_TAKE_KEY, "");
    store_node_wait(&b, sees_pause, 500);
    STEP_OK(&b, STEP_WRITE_CONFIG, ""); /* it is there: done */
    ck_assert_str_eq(value(&b, "config"), "{\"ttl\":3,\"pause\":true}");
}
END_TEST

/* L6: who is barred by /failsafe is judged by the one that is there. */
START_TEST(failsafe_is_compared)
{
    struct view *view = store_node_view(&a);
    ck_assert_uint_eq(view->store.failsafe.n, 0);
    store_node_put(&b, "/service/t/failsafe", "{\"b\":\"http://b/\"}");
    const struct step take_key = { .kind = STEP_TAKE_KEY };
    ck_assert_int_eq(store_node_run_with(&a, &take_key, view), ERR_CONFLICT);
    ck_assert_ptr_nonnull(strstr(a.error, "failsafe"));
    free(view);
    view = store_node_view(&a);
    ck_assert(view->store.failsafe.n == 1 && names_has(&view->store.failsafe, "b"));
    free(view);
}
END_TEST

static bool sees_lift(struct store_node *node)
{
    struct view *view = store_node_view(node);
    bool lifted = view->store.holder.lifted;
    free(view);
    return lifted;
}

static bool sees_no_lift(struct store_node *node)
{
    return !sees_lift(node);
}

/* L8: the mark is the holder's, compares `config`, and stands through an adoption; it is cleared when
 * the guard's deadline is back. */
START_TEST(a_lift_is_marked)
{
    STEP_FAILS(&a, STEP_MARK_LIFTED, "", ERR_REFUSED, "not ours");
    take(&a);
    STEP_OK(&a, STEP_MARK_LIFTED, "");
    store_node_wait(&b, sees_lift, 500);
    a.guard = (struct guard_view){ .connected = true, .tree_alive = true, .lifted = true };
    STEP_FAILS(&a, STEP_CLEAR_LIFTED, "", ERR_REFUSED, "without a deadline");
    a.guard.lifted = false;
    STEP_OK(&a, STEP_CLEAR_LIFTED, "");
    store_node_wait(&b, sees_no_lift, 500);
    ck_assert(store_node_holds(&a));
    struct view *view = store_node_view(&a);
    store_node_put(&b, "/service/t/config", "{\"ttl\":3}");
    const struct step mark = { .kind = STEP_MARK_LIFTED };
    ck_assert_int_eq(store_node_run_with(&a, &mark, view), ERR_CONFLICT);
    free(view);
}
END_TEST

static bool keyless(struct store_node *node)
{
    return lease_keeper_lease(node->keeper)->keyless;
}

/* L8: the key is gone under a lift: held on, and taken anew with the mark. */
START_TEST(a_lifted_leader_takes_the_key_anew)
{
    take(&a);
    STEP_OK(&a, STEP_MARK_LIFTED, "");
    const struct lease *lease = lease_keeper_lease(a.keeper);
    a.guard = (struct guard_view){ .connected = true,
                                   .tree_alive = true,
                                   .lifted = true,
                                   .lease_id = lease->id,
                                   .create_revision = lease->create_revision };
    lease_keeper_set_lift(a.keeper, true, true);
    store_node_put(&b, "/service/t/leader", NULL);
    store_node_wait(&a, keyless, STORE_NODES_TTL_MS);
    ck_assert(store_node_holds(&a));
    ck_assert(!store_node_may_take(&b));
    STEP_OK(&a, STEP_TAKE_KEY, "");
    ck_assert(lease->owns_key && !lease->keyless);
    ck_assert(sees_lift(&a));
}
END_TEST

/* Part 6: one node wins `initialize`; it is under its lease while empty and becomes the system id.
 * */
START_TEST(one_node_initializes)
{
    STEP_OK(&a, STEP_CREATE_INITIALIZE, "");
    STEP_OK(&a, STEP_CREATE_INITIALIZE, ""); /* idempotent */
    STEP_FAILS(&b, STEP_CREATE_INITIALIZE, "", ERR_CONFLICT, "initialize is there already");
    STEP_FAILS(&b, STEP_WRITE_INITIALIZE, "", ERR_CONFLICT, "another node");
    struct view *view = store_node_view(&b);
    ck_assert(view->store.initialize_exists);
    ck_assert_uint_eq(view->store.initialize, 0);
    ck_assert_int_eq(view->store.initialize_lease, lease_keeper_lease(a.keeper)->id);
    free(view);
    STEP_OK(&a, STEP_WRITE_INITIALIZE, "");
    STEP_OK(&a, STEP_WRITE_INITIALIZE, "");
    ck_assert_str_eq(value(&a, "initialize"), "7000000000000000001");
}
END_TEST

static bool wrote_member(struct store_node *node)
{
    const char *member = cluster_value(node->cluster, "members/a");
    return member != NULL;
}

/* S5: asking out is done once the member key says nosync, with everything else as it was. */
START_TEST(asking_out_is_published)
{
    publish_member(a.publish, "{\"conn_url\":\"postgres://x/\",\"tags\":{\"z\":1}}");
    store_node_wait(&a, wrote_member, 1000);
    STEP_OK(&a, STEP_ASK_OUT, "");
    ck_assert_str_eq(value(&a, "members/a"),
                     "{\"conn_url\":\"postgres://x/\",\"tags\":{\"z\":1,\"nosync\":true,"
                     "\"sync_priority\":0}}");
    publish_member(a.publish, "{\"conn_url\":\"postgres://y/\"}");
    run_for(loop, 100);
    ck_assert_str_eq(value(&a, "members/a"),
                     "{\"conn_url\":\"postgres://y/\",\"tags\":{\"nosync\":true,"
                     "\"sync_priority\":0}}");
    publish_ask_out(a.publish, false);
    run_for(loop, 100);
    ck_assert_str_eq(value(&a, "members/a"), "{\"conn_url\":\"postgres://y/\"}");
}
END_TEST

START_TEST(history_is_written_by_the_leader)
{
    STEP_FAILS(&a, STEP_WRITE_HISTORY, "", ERR_REFUSED, "not ours");
    take(&a);
    STEP_OK(&a, STEP_WRITE_HISTORY, "");
    ck_assert_str_eq(value(&a, "history"), "[[1,100,\"no recovery target specified\"]]");
}
END_TEST

static bool lease_changed(struct store_node *node)
{
    return lease_keeper_lease(node->keeper)->id != node->deadline_lease;
}

/* L7: a release whose reply is lost ends the holding; the key cannot stay behind under a lease that
 * we go on renewing. */
START_TEST(a_release_without_a_reply_ends_the_holding)
{
    take(&a);
    etcd_server_signal(&servers, 0, SIGSTOP);
    ck_assert_int_eq(store_node_step(&a, STEP_RELEASE_KEY, ""), ERR_TIMEOUT);
    ck_assert(!lease_keeper_lease(a.keeper)->owns_key);
    ck_assert(lease_changed(&a));
    struct view *view = store_node_view(&a);
    ck_assert(!view->store.loaded); /* nothing is decided before it is read again */
    free(view);
    etcd_server_signal(&servers, 0, SIGCONT);
    store_node_wait(&b, store_node_may_take, 2 * STORE_NODES_TTL_MS);
    store_node_wait(&a, store_node_ready, 2000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("steps_store");
    TCase *quick = tcase_create("two nodes");
    tcase_set_timeout(quick, 60);
    tcase_add_checked_fixture(quick, setup, teardown);
    tcase_add_test(quick, the_key_is_taken_once);
    tcase_add_test(quick, a_take_may_hold_at_once);
    tcase_add_test(quick, a_release_hands_on);
    tcase_add_test(quick, sync_is_compared);
    suite_add_tcase(suite, quick);
    TCase *slow = tcase_create("two nodes, what takes longer");
    tcase_set_tags(slow, "slow");
    tcase_set_timeout(slow, 60);
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_add_test(slow, one_of_two_wins);
    tcase_add_test(slow, an_unmarked_record_blocks_until_the_lease_is_gone);
    tcase_add_test(slow, an_early_end_of_the_lease_frees_nothing);
    tcase_add_test(slow, a_silent_holder_is_replaced);
    tcase_add_test(slow, an_adoption_defeats_a_late_release);
    tcase_add_test(slow, a_foreign_key_is_not_adopted);
    tcase_add_test(slow, our_own_key_is_adopted_anew);
    tcase_add_test(slow, a_member_with_new_data_is_not_added);
    tcase_add_test(slow, the_config_is_compared);
    tcase_add_test(slow, failsafe_is_compared);
    tcase_add_test(slow, a_lift_is_marked);
    tcase_add_test(slow, a_lifted_leader_takes_the_key_anew);
    tcase_add_test(slow, one_node_initializes);
    tcase_add_test(slow, asking_out_is_published);
    tcase_add_test(slow, history_is_written_by_the_leader);
    tcase_add_test(slow, a_release_without_a_reply_ends_the_holding);
    suite_add_tcase(suite, slow);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
