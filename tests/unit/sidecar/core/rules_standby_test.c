/* A running standby. */
#include <check.h>
#include <stdlib.h>

#include "../../support/view_stub.h"
#include "sidecar/core/rules.h"

/* The key is ours, Postgres is a standby: a promotion was cut short (S4). */
static void half_promoted(struct view *view)
{
    view_of_leader(view);
    view->pg.in_recovery = true;
    view->pg.n_walsenders = 0;
}

/* S4: "after it, only this node may lead": the promotion is gone on with. */
START_TEST(goes_on_promoting)
{
    struct view view;
    half_promoted(&view);
    DECIDES(&view, "promote", ACT_PROMOTE);
    view.pg.state = PG_STARTING;
    DECIDES(&view, "starting", ACT_WAIT);
}
END_TEST

/* S1, S7: whoever lacks what was acknowledged gives the key back. */
START_TEST(not_fit_to_lead)
{
    struct view view;
    half_promoted(&view);
    view.store.confirmed_exists = true;
    view.store.confirmed = (struct timeline){ .tli = 1 };
    view.store.confirmed_lsn = VIEW_LSN + 1;
    struct decision decision = DECIDES(&view, "not-fit-to-lead", ACT_RELEASE);
    SAYS(decision, "lacks WAL that the cluster has confirmed");
    half_promoted(&view);
    view.store.sync.leader[0] = 'b';
    view.store.sync.standbys = view_names("c", NULL);
    decision = DECIDES(&view, "not-fit-to-lead", ACT_RELEASE);
    SAYS(decision, "/sync does not name this member");
}
END_TEST

/* A key that is ours by name only is not ours (L7): nothing is promoted, nothing raced for. */
START_TEST(key_of_a_former_process)
{
    struct view view;
    view_of_standby(&view);
    view.store.leader[0] = 'a';
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* The race begins only when nobody leads. */
START_TEST(races)
{
    struct view view;
    view_of_leaderless(&view);
    DECIDES(&view, "race", ACT_TAKE);
    view_of_standby(&view);
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

static void diverged(struct view *view)
{
    view_of_standby(view);
    view_edit_peer(view, "b")->member.timeline = 2;
    view->store.confirmed =
        (struct timeline){ .tli = 2, .n = 1, .entries = { { 1, VIEW_LSN - 1 } } };
    view->store.sync.standbys.n = 0;
}

/* Part 6: by content of the histories. */
START_TEST(rewinds_what_diverged)
{
    struct view view;
    diverged(&view);
    struct decision decision = DECIDES(&view, "rewind-running", ACT_REWIND);
    ck_assert_str_eq(decision.peer, "b");
    view.store.confirmed.entries[0].switch_at = VIEW_LSN;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* Without pg_rewind: the WAL receiver would be refused five times a second, and Postgres logs it. */
START_TEST(stays_out_and_asks_nobody)
{
    struct view view;
    diverged(&view);
    view.policy.use_rewind = false;
    struct decision decision = DECIDES(&view, "rewind-running", ACT_FOLLOW);
    ck_assert_str_eq(decision.peer, "");
    SAYS(decision, "staying out");
    PLANS(&view, ACT_FOLLOW, "set primary_conninfo");
    view.pg.upstream[0] = '\0';
    decision = DECIDES(&view, "rewind-running", ACT_WAIT);
    SAYS(decision, "staying out");
    view.store.confirmed.entries[0].switch_at = VIEW_LSN; /* another leader, whose way it is on */
    decision = DECIDES(&view, "follow", ACT_FOLLOW);
    ck_assert_str_eq(decision.peer, "b");
    /* Where nobody knows, asking may yet succeed. */
    diverged(&view);
    view.policy.use_rewind = false;
    view.store.confirmed_exists = false;
    view.pg.follow_stuck = true;
    DECIDES(&view, "rewind-running", ACT_WAIT);
}
END_TEST

/* A history of unknown content: first streaming is tried, then it is looked at. */
START_TEST(looks_when_streaming_is_refused)
{
    struct view view;
    diverged(&view);
    view.store.confirmed_exists = false;
    DECIDES(&view, "idle", ACT_WAIT);
    view.pg.follow_stuck = true;
    struct decision decision = DECIDES(&view, "rewind-running", ACT_REWIND);
    SAYS(decision, "may have diverged");
    view.memory.rewind_checked = true;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* Part 6: "new leader appears: change primary_conninfo by reload, no restart". */
START_TEST(follows)
{
    struct view view;
    view_of_standby(&view);
    view.pg.upstream[0] = 'c';
    struct decision decision = DECIDES(&view, "follow", ACT_FOLLOW);
    ck_assert_str_eq(decision.peer, "b");
    view.store.n_peers = 0;
    decision = DECIDES(&view, "follow", ACT_WAIT);
    SAYS(decision, "its member key is not there yet");
}
END_TEST

START_TEST(restarts)
{
    struct view view;
    view_of_standby(&view);
    view.orders.restart = true;
    struct decision decision = DECIDES(&view, "restart", ACT_RESTART);
    ck_assert_str_eq(decision.peer, "b");
    view_of_leader(&view);
    view.orders.restart = true;
    decision = DECIDES(&view, "restart", ACT_RESTART);
    ck_assert_str_eq(decision.peer, "");
    view_of_standby(&view);
    view.pg.replay_held = true;
    decision = DECIDES(&view, "restart", ACT_RESTART);
    ck_assert_str_eq(decision.peer, "b");
    SAYS(decision, "settings as high as the primary's");
    view_of_leaderless(&view); /* it could not promote as it is */
    view.pg.replay_held = true;
    DECIDES(&view, "restart", ACT_RESTART);
    view_of_stopped(&view);
    view.orders.restart = true;
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_VALID;
    view.guard.tree_alive = true; /* the probe has not seen it yet */
    view.orders.restart = true;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

START_TEST(reloads)
{
    struct view view;
    view_of_standby(&view);
    view.pg.pending_reload = true;
    struct decision decision = DECIDES(&view, "reload", ACT_RELOAD);
    SAYS(decision, "the files are not what settings and role ask for");
    view.orders.reload = true;
    decision = DECIDES(&view, "reload", ACT_RELOAD);
    SAYS(decision, "a person");
}
END_TEST

/* Each rule asks all that it needs itself, whatever stands before it in the list. */
START_TEST(each_alone)
{
    struct view view;
    struct decision decision = { .action = ACT_WAIT };
    half_promoted(&view);
    ck_assert(!rule_not_fit_to_lead(&view, &decision));
    view.store.leader_exists = false; /* rule_key_vanished has seen to it */
    ck_assert(!rule_race(&view, &decision));
    ck_assert(!rule_promote(&view, &decision));
}
END_TEST

/* Nothing has diverged, but nobody can send what comes next: cloned again where the configuration allows
 * that for a member that cannot follow, and only while /sync does not name it (S2); else it says so. */
START_TEST(wal_is_missing)
{
    struct view view;
    view_of_standby(&view);
    view.store.sync.standbys.n = 0;
    view.pg.streaming = false;
    view.pg.follow_stuck = view.pg.wal_missing = true;
    struct decision decision = DECIDES(&view, "idle", ACT_WAIT);
    SAYS(decision, "b does not have the WAL any more");
    SAYS(decision, "reinit this member");
    view.orders.reload = true; /* an archive may be what a person configures then */
    DECIDES(&view, "reload", ACT_RELOAD);
    view.orders.reload = false;
    view.policy.clone_on_divergence = true;
    decision = DECIDES(&view, "rewind-running", ACT_RECLONE);
    ck_assert_str_eq(decision.peer, "b");
    view.policy.clone_on_divergence = false;
    view.policy.clone_on_rewind_failure = true;
    DECIDES(&view, "rewind-running", ACT_RECLONE);
    view.pg.archive = true;
    decision = DECIDES(&view, "idle", ACT_WAIT);
    SAYS(decision, "nor has the archive");
    view.pg.archive = false;
    view.store.same_cluster = false; /* S6 */
    DECIDES(&view, "idle", ACT_WAIT);
    view.store.same_cluster = true;
    view.store.sync.standbys = view_names("a", NULL);
    DECIDES(&view, "idle", ACT_WAIT);
    view.store.sync.standbys.n = 0;
    view_edit_peer(&view, "b")->member.state = MEMBER_STARTING;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/rules_standby");
    TCase *tests = tcase_create("standby");
    tcase_add_test(tests, goes_on_promoting);
    tcase_add_test(tests, not_fit_to_lead);
    tcase_add_test(tests, key_of_a_former_process);
    tcase_add_test(tests, races);
    tcase_add_test(tests, rewinds_what_diverged);
    tcase_add_test(tests, looks_when_streaming_is_refused);
    tcase_add_test(tests, stays_out_and_asks_nobody);
    tcase_add_test(tests, follows);
    tcase_add_test(tests, restarts);
    tcase_add_test(tests, reloads);
    tcase_add_test(tests, each_alone);
    tcase_add_test(tests, wal_is_missing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
