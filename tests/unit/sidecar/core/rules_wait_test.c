/* Reasons to do nothing, each in words that a person finds in REST and log. */
#include <check.h>
#include <stdlib.h>

#include "../../support/view_stub.h"

/* A5: act only with a clear head, whatever there would be to do. */
START_TEST(dizzy)
{
    struct view view;
    view_of_leaderless(&view);
    view.clear_head = false;
    DECIDES(&view, "dizzy", ACT_WAIT);
    view_of_lost_postmaster(&view);
    view.clear_head = false;
    DECIDES(&view, "dizzy", ACT_WAIT);
}
END_TEST

/* L4: without the guard nothing is started or promoted. */
START_TEST(guard_away)
{
    struct view view;
    view_of_leaderless(&view);
    view.guard.connected = false;
    DECIDES(&view, "guard-away", ACT_WAIT);
}
END_TEST

/* E4: no quorum: nothing is guessed. */
START_TEST(store_away)
{
    struct view view;
    view_of_leaderless(&view);
    view.store.reachable = false;
    struct decision decision = DECIDES(&view, "store-away", ACT_WAIT);
    SAYS(decision, "no quorum");
    view_of_leader(&view);
    view.store.reachable = false;
    decision = DECIDES(&view, "store-away", ACT_WAIT);
    SAYS(decision, "primary until the lease ends, 9500 ms");
    view.store.loaded = false;
    DECIDES(&view, "store-unread", ACT_WAIT);
}
END_TEST

/* L8: in pause nobody races and nothing is started, released or mended. */
START_TEST(pause)
{
    struct view view;
    view_of_leaderless(&view);
    view.policy.pause = true;
    DECIDES(&view, "pause", ACT_WAIT);
    view_of_lost_postmaster(&view);
    view.policy.pause = true;
    DECIDES(&view, "pause", ACT_WAIT);
    view_of_stopped(&view);
    view.policy.pause = true;
    DECIDES(&view, "pause", ACT_WAIT);
}
END_TEST

/* L3 stays in force in pause. */
START_TEST(pause_is_not_safety)
{
    struct view view;
    view_of_leader(&view);
    view.policy.pause = true;
    view.lease.held_until = mono_add(view.now, 1000);
    DECIDES(&view, "demote-before-expiry", ACT_DEMOTE);
    view.lease.held_until = view.now;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
}
END_TEST

/* What a person asks for goes through the pause. */
START_TEST(orders_go_through_pause)
{
    struct view view;
    view_of_leader(&view);
    view.policy.pause = true;
    view.orders.restart = true;
    DECIDES(&view, "restart", ACT_RESTART);
    view_of_standby(&view);
    view.policy.pause = true;
    view.orders.reinit = true;
    DECIDES(&view, "reinit", ACT_RECLONE);
    view_of_leader(&view);
    view.policy.pause = true;
    view_ask_failover(&view, "a", "b");
    DECIDES(&view, "switchover", ACT_HANDOVER);
}
END_TEST

/* Part 6: a wrong system identifier keeps out, says why, deletes nothing. */
START_TEST(foreign_system)
{
    struct view view;
    view_of_leaderless(&view);
    view.pg.system_id = 43;
    struct decision decision = DECIDES(&view, "foreign-system", ACT_WAIT);
    SAYS(decision, "identifier 43, the cluster's is 42");
    view_of_stopped(&view);
    view.pg.system_id = 43;
    DECIDES(&view, "foreign-system", ACT_WAIT);
    view.orders.reinit = true; /* the way out */
    DECIDES(&view, "reinit", ACT_RECLONE);
}
END_TEST

/* Not foreign: an initdb of ours that lost the race, and what is not known yet. */
START_TEST(not_foreign)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_FRESH;
    view.pg.system_id = 43;
    DECIDES(&view, "clone", ACT_CLONE);
    view_of_stopped(&view);
    view.pg.system_id = 0;
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
    view.pg.system_id = 43;
    view.store.initialize = 0;
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
}
END_TEST

/* G1: a tree on its way out is waited for, though not for ever. */
START_TEST(stopping)
{
    struct view view;
    view_of_leader(&view);
    view.pg.state = PG_STOPPING;
    view.pg.state_since = mono_add(view.now, -30000);
    DECIDES(&view, "stopping", ACT_WAIT);
    view.pg.state_since = mono_add(view.now, -30001);
    DECIDES(&view, "stopping", ACT_FENCE);
    view.guard.tree_alive = false; /* an old look at what the guard reports gone */
    ck_assert_str_ne(decide(&view).rule, "stopping");
}
END_TEST

/* A start takes as long as crash recovery takes. */
START_TEST(starting)
{
    struct view view;
    view_of_standby(&view);
    view.pg.state = PG_STARTING;
    view.pg.state_since = mono_add(view.now, -3600000);
    DECIDES(&view, "starting", ACT_WAIT);
    view.guard.tree_alive = false;
    ck_assert_str_ne(decide(&view).rule, "starting");
}
END_TEST

/* Only where another node could lead at once is a primary's start cut short. */
START_TEST(starting_too_long)
{
    struct view view;
    view_of_leader(&view);
    view.pg.state = PG_STARTING;
    view.pg.state_since = mono_add(view.now, -300000);
    DECIDES(&view, "starting", ACT_WAIT);
    view.pg.state_since = mono_add(view.now, -300001);
    struct decision decision = DECIDES(&view, "starting", ACT_FENCE);
    SAYS(decision, "b is ready");
    view.pg.in_recovery = true;
    DECIDES(&view, "starting", ACT_WAIT);
    view.pg.in_recovery = false;
    view_edit_peer(&view, "b")->member.state = MEMBER_STOPPED;
    DECIDES(&view, "starting", ACT_WAIT);
}
END_TEST

START_TEST(data_unknown)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_UNKNOWN;
    DECIDES(&view, "data-unknown", ACT_WAIT);
}
END_TEST

/* The last rule always applies and says how things are. */
START_TEST(idle)
{
    struct view view;
    view_of_leader(&view);
    struct decision decision = DECIDES(&view, "idle", ACT_WAIT);
    ck_assert_str_eq(decision.reason, "leading");
    view_of_standby(&view);
    decision = DECIDES(&view, "idle", ACT_WAIT);
    ck_assert_str_eq(decision.reason, "streaming from b");
    view.pg.streaming = false;
    decision = DECIDES(&view, "idle", ACT_WAIT);
    ck_assert_str_eq(decision.reason, "not streaming from b");
    /* The key of a former process of ours: it must run out first. */
    view.store.leader[0] = 'a';
    decision = DECIDES(&view, "idle", ACT_WAIT);
    ck_assert_str_eq(decision.reason, "nothing to do");
}
END_TEST

/* S5: "Acknowledging with one copy" is visible at once. */
START_TEST(idle_with_one_copy)
{
    struct view view;
    view_of_leader(&view);
    view.store.sync.standbys.n = 0;
    view.pg.ssn = view.pg.ssn_disk = SSN_EMPTY;
    view.pg.n_walsenders = 0;
    struct decision decision = DECIDES(&view, "idle", ACT_WAIT);
    SAYS(decision, "one copy");
    view_add_walsender(&view, "b");
    view_edit_walsender(&view, "b")->flush--;
    view.memory.late[view.memory.n_late++] =
        (struct late){ "b", 3, VIEW_LSN, mono_add(view.now, 1) };
    decision = DECIDES(&view, "idle", ACT_WAIT);
    SAYS(decision, "one copy: b streams but did not confirm in time (3 in a row)");
}
END_TEST

/* S5: "strict mode blocks and says so". */
START_TEST(idle_in_strict_mode)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_strict = true;
    view_edit_peer(&view, "b")->member.state = MEMBER_STOPPED;
    view.pg.n_walsenders = 0;
    struct decision decision = DECIDES(&view, "idle", ACT_WAIT);
    SAYS(decision, "no commit is acknowledged (synchronous_mode_strict): b has stopped");
    view.store.sync.standbys.n = 0;
    view.pg.ssn = view.pg.ssn_disk = SSN_NOBODY;
    decision = DECIDES(&view, "idle", ACT_WAIT);
    SAYS(decision, "no commit is acknowledged until a standby is synchronous");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/rules_wait");
    TCase *tests = tcase_create("wait");
    tcase_add_test(tests, dizzy);
    tcase_add_test(tests, guard_away);
    tcase_add_test(tests, store_away);
    tcase_add_test(tests, pause);
    tcase_add_test(tests, pause_is_not_safety);
    tcase_add_test(tests, orders_go_through_pause);
    tcase_add_test(tests, foreign_system);
    tcase_add_test(tests, not_foreign);
    tcase_add_test(tests, stopping);
    tcase_add_test(tests, starting);
    tcase_add_test(tests, starting_too_long);
    tcase_add_test(tests, data_unknown);
    tcase_add_test(tests, idle);
    tcase_add_test(tests, idle_with_one_copy);
    tcase_add_test(tests, idle_in_strict_mode);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
