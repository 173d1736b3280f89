/* A running primary that holds the key. */
#include <check.h>
#include <stdlib.h>

#include "../../support/view_stub.h"
#include "sidecar/core/rules.h"

/* None of these rules is for anybody but the leader: not up, a standby, another's key. */
START_TEST(only_for_the_leader)
{
    static rule_fn *const rules[] = { rule_finish_bootstrap,
                                      rule_failover_request_done,
                                      rule_switchover,
                                      rule_sync_off,
                                      rule_sync_shrink,
                                      rule_sync_grow,
                                      rule_settle };
    struct view view;
    struct decision decision = { .action = ACT_WAIT };
    view_of_leader(&view);
    view.pg.state = PG_STARTING;
    ck_assert(!rules[_i](&view, &decision));
    view.pg.state = PG_UP;
    view.pg.in_recovery = true;
    ck_assert(!rules[_i](&view, &decision));
    view.pg.in_recovery = false;
    view.store.leader_create_revision++;
    ck_assert(!rules[_i](&view, &decision));
}
END_TEST

/* Part 6: a bootstrap that was cut short after the first start is finished by whoever leads. */
START_TEST(finishes_bootstrap)
{
    struct view view;
    view_of_leader(&view);
    view.store.config_exists = false;
    struct decision decision = DECIDES(&view, "finish-bootstrap", ACT_FINISH_BOOTSTRAP);
    SAYS(decision, "no config");
    view.store.config_exists = true;
    view.store.initialize = 0;
    decision = DECIDES(&view, "finish-bootstrap", ACT_FINISH_BOOTSTRAP);
    SAYS(decision, "no initialize");
}
END_TEST

/* A request that was served, or is not for us, is cleared: honoured once (part 4). */
START_TEST(clears_old_requests)
{
    struct view view;
    view_of_leader(&view);
    view_ask_failover(&view, "b", "a");
    view.store.failover.mod_revision = VIEW_KEY_REVISION - 1;
    struct decision decision = DECIDES(&view, "failover-request-done", ACT_CLEAR_FAILOVER);
    SAYS(decision, "older than this leader");
    view_ask_failover(&view, "a", "a");
    decision = DECIDES(&view, "failover-request-done", ACT_CLEAR_FAILOVER);
    SAYS(decision, "names the leader as candidate");
    view_ask_failover(&view, "c", "b");
    decision = DECIDES(&view, "failover-request-done", ACT_CLEAR_FAILOVER);
    SAYS(decision, "another leader");
}
END_TEST

/* Part 6: switchover to a named candidate, or to whoever is ready, once its time has come. */
START_TEST(switches_over)
{
    struct view view;
    view_of_leader(&view);
    view_ask_failover(&view, "a", "b");
    struct decision decision = DECIDES(&view, "switchover", ACT_HANDOVER);
    ck_assert_str_eq(decision.peer, "b");
    view_ask_failover(&view, "a", "");
    decision = DECIDES(&view, "switchover", ACT_HANDOVER);
    ck_assert_str_eq(decision.peer, "b");
    view_ask_failover(&view, "", "b");
    DECIDES(&view, "switchover", ACT_HANDOVER);
    view.store.failover.due = false;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* A switchover that cannot succeed is not begun: the request is cleared, with the reason. */
START_TEST(refuses_switchover)
{
    static const char *const reasons[] = { "b is not running", "b is not running",
                                           "b is tagged nofailover", "b is not a synchronous" };
    struct view view;
    view_of_leader(&view);
    view_ask_failover(&view, "a", "b");
    struct peer *b = view_edit_peer(&view, "b");
    switch (_i) {
    case 0:
        b->has_key = false;
        break;
    case 1:
        b->member.state = MEMBER_STOPPING;
        break;
    case 2:
        b->member.tags.nofailover = true;
        break;
    case 3:
        view_add_peer(&view, "c");
        view_add_walsender(&view, "c");
        view.store.sync.standbys = view.pg.ssn_names = view.pg.ssn_disk_names =
            view_names("c", NULL);
        break;
    default:
        ck_abort();
    }
    struct decision decision = DECIDES(&view, "switchover", ACT_CLEAR_FAILOVER);
    SAYS(decision, reasons[_i]);
}
END_TEST

START_TEST(refuses_switchover_to_nobody)
{
    struct view view;
    view_of_leader(&view);
    view_ask_failover(&view, "a", "x");
    struct decision decision = DECIDES(&view, "switchover", ACT_CLEAR_FAILOVER);
    SAYS(decision, "x is not a member");
    view_ask_failover(&view, "a", "");
    view_edit_peer(&view, "b")->member.state = MEMBER_STOPPED;
    decision = DECIDES(&view, "switchover", ACT_CLEAR_FAILOVER);
    SAYS(decision, "nobody is ready");
}
END_TEST

/* As Patroni does: what was scheduled and could not be done in its time is not kept for ever. */
START_TEST(clears_what_is_stale)
{
    struct view view;
    view_of_leader(&view);
    view_ask_failover(&view, "a", "b");
    view.store.failover.due = false;
    DECIDES(&view, "idle", ACT_WAIT);
    view.store.failover.stale = true;
    struct decision decision = DECIDES(&view, "failover-request-done", ACT_CLEAR_FAILOVER);
    SAYS(decision, "has passed");
}
END_TEST

/* Without synchronous mode any running member may be the candidate. */
START_TEST(switches_over_without_sync)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_on = false;
    view.store.sync = (struct sync_state){ .exists = false };
    view.pg.ssn = view.pg.ssn_disk = SSN_EMPTY;
    view_ask_failover(&view, "a", "b");
    DECIDES(&view, "switchover", ACT_HANDOVER);
}
END_TEST

/* patroni-compat 1.6: synchronous_mode off ends what is left of it. */
START_TEST(ends_sync)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_on = false;
    DECIDES(&view, "sync-off", ACT_SYNC_OFF);
    view.store.sync = (struct sync_state){ .exists = false };
    DECIDES(&view, "sync-off", ACT_SYNC_OFF);
    view.pg.ssn = SSN_EMPTY;
    DECIDES(&view, "sync-off", ACT_SYNC_OFF);
    view.pg.ssn_disk = SSN_EMPTY;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* A user's own synchronous_standby_names is left alone once the mode is off, never before. */
START_TEST(leaves_a_users_names)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_on = false;
    view.pg.ssn = view.pg.ssn_disk = SSN_FOREIGN;
    DECIDES(&view, "sync-off", ACT_SYNC_OFF);
    view.store.sync = (struct sync_state){ .exists = false };
    DECIDES(&view, "idle", ACT_WAIT);
    view.pg.ssn = SSN_NAMES;
    DECIDES(&view, "idle", ACT_WAIT);
    /* Written by ourselves, in place of ours: shown, and none of our names are on the disk. */
    view.pg.ssn_disk = SSN_EMPTY;
    DECIDES(&view, "idle", ACT_WAIT);
    view.pg.ssn = SSN_FOREIGN;
    DECIDES(&view, "idle", ACT_WAIT);
    view.pg.ssn = SSN_NOBODY; /* ours: it would block for ever */
    DECIDES(&view, "sync-off", ACT_SYNC_OFF);
}
END_TEST

/* S4: a leader that /sync does not name (a failover with accepted loss, the first of a cluster)
 * writes itself, without standbys. */
START_TEST(sync_names_the_leader)
{
    struct view view;
    view_of_leader(&view);
    view.store.sync.exists = false;
    struct decision decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert_uint_eq(decision.names.n, 0);
    view_of_leader(&view);
    view.store.sync.leader[0] = 'b';
    decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert_uint_eq(decision.names.n, 0);
}
END_TEST

/* Part 5: "the effective SSN is read each cycle, a foreign value shrinks /sync at once": whatever
 * does not make commits wait for every member of /sync (S1). */
START_TEST(foreign_names_shrink)
{
    struct view view;
    view_of_leader(&view);
    view.pg.ssn = SSN_FOREIGN;
    struct decision decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert_uint_eq(decision.names.n, 0);
    view.pg.ssn = SSN_EMPTY;
    decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert_uint_eq(decision.names.n, 0);
    view.pg.ssn = SSN_NAMES;
    view.pg.ssn_names = view_names("c", NULL);
    decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert_uint_eq(decision.names.n, 0);
    SAYS(decision, "does not cover");
}
END_TEST

/* S2 after a growth that was cut short: the names are more than /sync, which is safe; they are made
 * to agree without touching S1. */
START_TEST(names_agree_again)
{
    struct view view;
    view_of_leader(&view);
    view.pg.ssn_names = view_names("b", "c");
    struct decision decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert(names_equal(&decision.names, &view.store.sync.standbys));
    view.pg.ssn = SSN_NOBODY;
    decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert(names_equal(&decision.names, &view.store.sync.standbys));
    /* What is on disk would be in force at the next start (S2). */
    view_of_leader(&view);
    view.pg.ssn_disk = SSN_EMPTY;
    DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    view_of_leader(&view);
    view.pg.ssn_disk_names = view_names("b", "c");
    DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
}
END_TEST

/* S5: who leaves is dropped; the reason says why. */
START_TEST(shrinks)
{
    struct view view;
    view_of_leader(&view);
    view_edit_peer(&view, "b")->member.tags.nosync = true;
    struct decision decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert_uint_eq(decision.names.n, 0);
    SAYS(decision, "b asked to leave");
}
END_TEST

/* S5: "Strict mode blocks instead, on purpose." */
START_TEST(strict_blocks)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_strict = true;
    view_edit_peer(&view, "b")->member.tags.nosync = true;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* Unless somebody else can take its place: commits wait until that one is synchronous. */
START_TEST(strict_replaces)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_strict = true;
    view_add_peer(&view, "c");
    view_add_walsender(&view, "c");
    DECIDES(&view, "idle", ACT_WAIT);
    view_edit_peer(&view, "b")->member.tags.nosync = true;
    PLANS(&view, ACT_SYNC_SHRINK,
          "write /sync {}, set synchronous names=nobody, await names shown=nobody");
    view.store.sync.standbys.n = 0;
    view.pg.ssn = view.pg.ssn_disk = SSN_NOBODY;
    struct decision decision = DECIDES(&view, "sync-grow", ACT_SYNC_GROW);
    ck_assert(names_has(&decision.names, "c"));
}
END_TEST

/* Strict, and /sync names nobody: commits wait for the name that nobody has. */
START_TEST(strict_waits_for_nobody)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_strict = true;
    view.store.sync.standbys.n = 0;
    view.pg.ssn = view.pg.ssn_disk = SSN_EMPTY;
    view.pg.n_walsenders = 0;
    DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    view.pg.ssn = view.pg.ssn_disk = SSN_NOBODY;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* Of two, the one that left is dropped also in strict mode: one is still waited for. */
START_TEST(strict_shrinks_to_one)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_strict = true;
    view.policy.sync_count = 2;
    view_add_peer(&view, "c")->member.tags.nosync = true;
    view_add_walsender(&view, "c");
    view.store.sync.standbys = view.pg.ssn_names = view.pg.ssn_disk_names = view_names("b", "c");
    struct decision decision = DECIDES(&view, "sync-shrink", ACT_SYNC_SHRINK);
    ck_assert_uint_eq(decision.names.n, 1);
    ck_assert(names_has(&decision.names, "b"));
}
END_TEST

/* S2: whoever has caught up joins. */
START_TEST(grows)
{
    struct view view;
    view_of_leader(&view);
    view.store.sync.standbys.n = 0;
    view.pg.ssn = view.pg.ssn_disk = SSN_EMPTY;
    struct decision decision = DECIDES(&view, "sync-grow", ACT_SYNC_GROW);
    ck_assert_uint_eq(decision.names.n, 1);
    SAYS(decision, "b");
    view.memory.grow_failed_at = mono_add(view.now, -1999);
    DECIDES(&view, "idle", ACT_WAIT);
    view.memory.grow_failed_at = mono_add(view.now, -2000);
    DECIDES(&view, "sync-grow", ACT_SYNC_GROW);
    view.policy.sync_on = false;
    ck_assert(!rule_sync_grow(&view, &decision));
}
END_TEST

/* What follows a promotion. */
START_TEST(settles)
{
    struct view view;
    view_of_leader(&view);
    view.pg.checkpointed = false;
    struct decision decision = DECIDES(&view, "settle", ACT_SETTLE);
    SAYS(decision, "no checkpoint");
    view.pg.checkpointed = true;
    view.pg.slots_differ = true;
    decision = DECIDES(&view, "settle", ACT_SETTLE);
    SAYS(decision, "slots");
}
END_TEST

/* What is in no hurry lets the first commits after a promotion go before it; an order does not wait. */
START_TEST(a_fresh_primary_does_no_housekeeping)
{
    struct view view;
    view_of_leader(&view);
    view.pg.checkpointed = false;
    view.pg.slots_differ = true;
    view.pg.pending_reload = true;
    view.memory.promoted_at = mono_add(view.now, -999);
    DECIDES(&view, "idle", ACT_WAIT);
    view.orders.reload = true;
    struct decision decision = DECIDES(&view, "reload", ACT_RELOAD);
    SAYS(decision, "a person");
    view.orders.reload = false;
    view.memory.promoted_at = mono_add(view.now, -1000);
    decision = DECIDES(&view, "reload", ACT_RELOAD);
    SAYS(decision, "settings and role"); /* a promotion changes the files, too */
    view.pg.pending_reload = false;
    DECIDES(&view, "settle", ACT_SETTLE);
    view.memory.promoted_at = view.now;
    view.pg.checkpointed = true; /* slots that differ later are made at once */
    DECIDES(&view, "settle", ACT_SETTLE);
}
END_TEST

static TCase *requests(void)
{
    TCase *tests = tcase_create("requests");
    tcase_add_loop_test(tests, only_for_the_leader, 0, 7);
    tcase_add_test(tests, finishes_bootstrap);
    tcase_add_test(tests, clears_old_requests);
    tcase_add_test(tests, switches_over);
    tcase_add_loop_test(tests, refuses_switchover, 0, 4);
    tcase_add_test(tests, refuses_switchover_to_nobody);
    tcase_add_test(tests, clears_what_is_stale);
    tcase_add_test(tests, switches_over_without_sync);
    tcase_add_test(tests, settles);
    tcase_add_test(tests, a_fresh_primary_does_no_housekeeping);
    return tests;
}

static TCase *sync_set(void)
{
    TCase *tests = tcase_create("sync");
    tcase_add_test(tests, ends_sync);
    tcase_add_test(tests, leaves_a_users_names);
    tcase_add_test(tests, sync_names_the_leader);
    tcase_add_test(tests, foreign_names_shrink);
    tcase_add_test(tests, names_agree_again);
    tcase_add_test(tests, shrinks);
    tcase_add_test(tests, strict_blocks);
    tcase_add_test(tests, strict_replaces);
    tcase_add_test(tests, strict_waits_for_nobody);
    tcase_add_test(tests, strict_shrinks_to_one);
    tcase_add_test(tests, grows);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("core/rules_primary");
    suite_add_tcase(suite, requests());
    suite_add_tcase(suite, sync_set());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
