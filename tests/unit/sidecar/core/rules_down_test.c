/* Postgres is down and nothing of its tree is left (G1). */
#include <check.h>
#include <stdlib.h>

#include "../../support/view_stub.h"
#include "sidecar/core/rules.h"

static void nobody_else(struct view *view)
{
    view_edit_peer(view, "b")->member.state = MEMBER_STOPPED;
}

/* Part 6: "postmaster of the primary dies, a sync standby is ready: key released at once", also
 * before our own directory was looked at. */
START_TEST(releases_at_once)
{
    struct view view;
    view_of_lost_postmaster(&view);
    view.pg.dir = DATA_DIR_UNKNOWN;
    struct decision decision = DECIDES(&view, "release-to-successor", ACT_RELEASE);
    SAYS(decision, "b is ready");
}
END_TEST

/* G1: never before the guard says that the whole tree is gone. */
START_TEST(never_releases_before_the_guard_says_gone)
{
    struct view view;
    view_of_lost_postmaster(&view);
    view.guard.tree_alive = true;
    view.pg.state = PG_STOPPING;
    ck_assert_int_ne(decide(&view).action, ACT_RELEASE);
}
END_TEST

/* Part 6: "nobody can take over: restart in place, keep the key". */
START_TEST(restarts_in_place)
{
    struct view view;
    view_of_lost_postmaster(&view);
    nobody_else(&view);
    DECIDES(&view, "restart-in-place", ACT_START_PRIMARY);
    /* The key came before the promotion: it goes on as a standby, which rule_promote promotes. */
    view.pg.was_primary = false;
    DECIDES(&view, "restart-in-place", ACT_START_STANDBY);
    view.pg.dir = DATA_DIR_UNKNOWN;
    DECIDES(&view, "data-unknown", ACT_WAIT);
}
END_TEST

/* The former primary starts when its successor is primary and histories can be compared; for a while. */
START_TEST(waits_for_the_successor)
{
    struct view view;
    view_of_lost_postmaster(&view);
    view.lease.owns_key = false;
    view.store.leader_exists = false;
    view.store.holder.released = true;
    view.pg.state_since = mono_add(view.now, -1999);
    struct decision decision = DECIDES(&view, "successor-comes", ACT_WAIT);
    SAYS(decision, "b is about to take over");
    view.pg.state_since = mono_add(view.now, -2000);
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
    view.pg.state_since = view.now;
    view.pg.was_primary = false;
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
    view.pg.was_primary = true;
    view_edit_peer(&view, "b")->member.state = MEMBER_STOPPED;
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
}
END_TEST

/* Who has no usable data does not keep the key from others. */
START_TEST(releases_without_data)
{
    static const enum data_dir useless[] = { DATA_DIR_EMPTY, DATA_DIR_FRESH, DATA_DIR_BROKEN };
    struct view view;
    view_of_lost_postmaster(&view);
    nobody_else(&view);
    view.pg.dir = useless[_i];
    struct decision decision = DECIDES(&view, "release-without-data", ACT_RELEASE);
    SAYS(decision, "no usable data");
}
END_TEST

START_TEST(releases_what_does_not_start)
{
    struct view view;
    view_of_lost_postmaster(&view);
    nobody_else(&view);
    view.pg.start_failures = 2;
    DECIDES(&view, "restart-in-place", ACT_START_PRIMARY);
    view.pg.start_failures = 3;
    struct decision decision = DECIDES(&view, "release-without-data", ACT_RELEASE);
    SAYS(decision, "3 times in a row");
    view.pg.start_failures = 0;
    view.pg.rewinding = true;
    decision = DECIDES(&view, "release-without-data", ACT_RELEASE);
    SAYS(decision, "no usable data");
}
END_TEST

/* S7: "nobody restarts as primary, whose history does not contain it". */
START_TEST(never_restarts_without_what_was_confirmed)
{
    struct view view;
    view_of_lost_postmaster(&view);
    nobody_else(&view);
    view.store.confirmed_exists = true;
    view.store.confirmed = (struct timeline){ .tli = 1 };
    view.store.confirmed_lsn = VIEW_LSN;
    DECIDES(&view, "restart-in-place", ACT_START_PRIMARY);
    /* The checkpoint lies before it: WAL is read, and then believed. */
    view.store.confirmed_lsn = VIEW_LSN + 1;
    DECIDES(&view, "read-wal", ACT_READ_WAL);
    view.pg.wal_read = true;
    struct decision decision = DECIDES(&view, "release-without-data", ACT_RELEASE);
    SAYS(decision, "S7");
    view.pg.wal_whole = VIEW_LSN + 1;
    DECIDES(&view, "restart-in-place", ACT_START_PRIMARY);
    view.store.confirmed_lsn++; /* read up to another position */
    DECIDES(&view, "release-without-data", ACT_RELEASE);
}
END_TEST

/* Reading makes no history right, serves nobody else, and keeps nobody from taking over. */
START_TEST(reads_wal_only_for_itself)
{
    struct view view;
    view_of_lost_postmaster(&view);
    view.store.confirmed_exists = true;
    view.store.confirmed = (struct timeline){ .tli = 1 };
    view.store.confirmed_lsn = VIEW_LSN + 1;
    DECIDES(&view, "release-to-successor", ACT_RELEASE);
    ck_assert(decide_interrupts(ACT_READ_WAL, ACT_RELEASE));
    nobody_else(&view);
    DECIDES(&view, "read-wal", ACT_READ_WAL);
    view.pg.start_failures = 3;
    DECIDES(&view, "release-without-data", ACT_RELEASE);
    view.pg.start_failures = 0;
    view.pg.was_primary = false; /* what a standby has is in its control file */
    DECIDES(&view, "release-without-data", ACT_RELEASE);
    view.pg.was_primary = true;
    view.store.confirmed = (struct timeline){ .tli = 2, .n = 1, .entries = { { 1, VIEW_LSN } } };
    DECIDES(&view, "release-without-data", ACT_RELEASE);
    view.lease.owns_key = false;
    ck_assert_int_ne(decide(&view).action, ACT_READ_WAL);
}
END_TEST

/* Part 6: nothing is deleted that was not told to be deleted. */
START_TEST(broken_stays_out)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_BROKEN;
    struct decision decision = DECIDES(&view, "data-broken", ACT_WAIT);
    SAYS(decision, "nothing is deleted");
}
END_TEST

/* Part 6: an empty cluster: whoever wins `initialize`. */
START_TEST(bootstraps)
{
    struct view view;
    view_of_nothing(&view);
    DECIDES(&view, "bootstrap", ACT_BOOTSTRAP);
    /* It is already ours: begun and cut short. */
    view.store.initialize_exists = true;
    view.store.initialize_lease = VIEW_LEASE;
    DECIDES(&view, "bootstrap", ACT_BOOTSTRAP);
    view.pg.dir = DATA_DIR_FRESH;
    view.pg.system_id = 42;
    DECIDES(&view, "bootstrap", ACT_BOOTSTRAP);
    view.store.initialize_lease = VIEW_OTHER_LEASE;
    struct decision decision = DECIDES(&view, "bootstrap", ACT_WAIT);
    SAYS(decision, "another node");
}
END_TEST

/* Never a second cluster: whatever the store knows of a first one forbids it. */
START_TEST(never_bootstraps)
{
    struct view view;
    view_of_nothing(&view);
    switch (_i) {
    case 0:
        view.policy.may_bootstrap = false;
        break;
    case 1:
        view.store.sync.exists = true;
        break;
    case 2:
        view.store.config_exists = true;
        break;
    case 3:
        view.lease.id = 0;
        break;
    case 4:
        view.store.same_cluster = false;
        break; /* S6 */
    case 5:
        view.store.initialize_exists = true;
        view.store.initialize = 42;
        break;
    default:
        ck_abort();
    }
    DECIDES(&view, "empty-waits", ACT_WAIT);
}
END_TEST

START_TEST(never_bootstraps_beside_a_leader_or_in_pause)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_EMPTY;
    DECIDES(&view, "clone", ACT_CLONE);
    view_of_nothing(&view);
    view.policy.pause = view.orders.restart = true;
    DECIDES(&view, "empty-waits", ACT_WAIT);
}
END_TEST

/* S6: until a person accepts it. */
START_TEST(bootstraps_in_an_accepted_store)
{
    struct view view;
    view_of_nothing(&view);
    view.store.same_cluster = false;
    view.accept_restored = true;
    DECIDES(&view, "bootstrap", ACT_BOOTSTRAP);
}
END_TEST

/* A crash between writing the system id and the rename: the same node finishes (L7 for the key). */
START_TEST(finishes_its_own_initdb)
{
    struct view view;
    view_of_nothing(&view);
    view.store.initialize_exists = true;
    view.store.initialize = 42;
    view.pg.dir = DATA_DIR_FRESH;
    view.pg.system_id = 42;
    struct decision decision = DECIDES(&view, "bootstrap", ACT_BOOTSTRAP);
    SAYS(decision, "our initdb was chosen");
    view.store.holder = (struct lease_holder){ .exists = true, .lease_id = VIEW_OTHER_LEASE };
    DECIDES(&view, "empty-waits", ACT_WAIT);
    view.store.holder.lease_gone = true;
    DECIDES(&view, "bootstrap", ACT_BOOTSTRAP);
    view.pg.system_id = 43;
    DECIDES(&view, "empty-waits", ACT_WAIT);
}
END_TEST

/* Part 6: empty data dir, leader exists: clone, once it accepts connections. */
START_TEST(clones)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_EMPTY;
    struct decision decision = DECIDES(&view, "clone", ACT_CLONE);
    ck_assert_str_eq(decision.peer, "b");
    struct peer *b = view_edit_peer(&view, "b"), good = *b;
    b->member.state = MEMBER_STARTING;
    decision = DECIDES(&view, "empty-waits", ACT_WAIT);
    SAYS(decision, "waiting until b accepts");
    *b = good;
    b->member.role = MEMBER_ROLE_REPLICA;
    DECIDES(&view, "empty-waits", ACT_WAIT);
    *b = good;
    b->has_key = false;
    DECIDES(&view, "empty-waits", ACT_WAIT);
    view.store.n_peers = 0;
    DECIDES(&view, "empty-waits", ACT_WAIT);
}
END_TEST

/* The bootstrap writes `config` last: before that the roles that a clone logs in as may be missing. */
START_TEST(clones_after_the_bootstrap)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_EMPTY;
    view.store.config_exists = false;
    DECIDES(&view, "empty-waits", ACT_WAIT);
}
END_TEST

/* S2: "A member clones only while /sync does not name it". */
START_TEST(clones_only_outside_sync)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_EMPTY;
    view.store.sync.standbys = view_names("a", NULL);
    struct decision decision = DECIDES(&view, "clone", ACT_WAIT);
    SAYS(decision, "/sync still names this member");
}
END_TEST

START_TEST(empty_waits)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_EMPTY;
    view.store.leader_exists = false;
    struct decision decision = DECIDES(&view, "empty-waits", ACT_WAIT);
    SAYS(decision, "nobody leads");
    view.store.leader_exists = true;
    view.policy.pause = view.orders.restart = true;
    DECIDES(&view, "empty-waits", ACT_WAIT);
}
END_TEST

/* A person's order; the leader is never cloned, nor anybody from a leader that is not there. */
START_TEST(reinit)
{
    struct view view;
    view_of_standby(&view);
    view.orders.reinit = true;
    struct decision decision = DECIDES(&view, "reinit", ACT_RECLONE);
    ck_assert_str_eq(decision.peer, "b");
    view_edit_peer(&view, "b")->member.state = MEMBER_STARTING;
    DECIDES(&view, "idle", ACT_WAIT);
    view_of_leader(&view);
    view.orders.reinit = true;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

static void stopped_primary(struct view *view)
{
    view_of_stopped(view);
    view->pg.was_primary = true;
    view_edit_peer(view, "b")->member.timeline = 2;
    view->store.confirmed = (struct timeline){ .tli = 2, .n = 1, .entries = { { 1, VIEW_LSN } } };
}

/* Part 6: the old primary compares content, and waits for somebody to compare with. */
START_TEST(old_primary_compares)
{
    struct view view;
    stopped_primary(&view);
    struct decision decision = DECIDES(&view, "rewind-stopped", ACT_REWIND);
    SAYS(decision, "has diverged");
    view.pg.position = VIEW_LSN - 200;
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
    view_edit_peer(&view, "b")->member.role = MEMBER_ROLE_REPLICA;
    decision = DECIDES(&view, "rewind-stopped", ACT_WAIT);
    SAYS(decision, "waiting until b is");
}
END_TEST

/* What was stopped in order can be compared, once the new leader has told its history: for a while. */
START_TEST(old_primary_waits_for_the_history)
{
    struct view view;
    stopped_primary(&view);
    view.store.confirmed_exists = false;
    view.pg.state_since = mono_add(view.now, -4999);
    struct decision decision = DECIDES(&view, "rewind-stopped", ACT_WAIT);
    SAYS(decision, "history of b");
    view.pg.state_since = mono_add(view.now, -5000);
    decision = DECIDES(&view, "rewind-stopped", ACT_REWIND);
    SAYS(decision, "may have diverged");
    view.pg.state_since = view.now;
    view.pg.clean_stop = false;
    DECIDES(&view, "rewind-stopped", ACT_REWIND);
}
END_TEST

/* "Never guess": after a crash the control file does not tell where the WAL ends. */
START_TEST(crashed_primary_is_rewound)
{
    struct view view;
    stopped_primary(&view);
    view.pg.position = VIEW_LSN - 200;
    view.pg.clean_stop = false;
    struct decision decision = DECIDES(&view, "rewind-stopped", ACT_REWIND);
    SAYS(decision, "may have diverged");
    view.memory.rewind_checked = true;
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
}
END_TEST

/* A standby finds out by streaming; if it did not even start, it is looked at. */
START_TEST(stopped_standby)
{
    struct view view;
    view_of_stopped(&view);
    view_edit_peer(&view, "b")->member.timeline = 3; /* of unknown content */
    struct decision decision = DECIDES(&view, "start-standby", ACT_START_STANDBY);
    ck_assert_str_eq(decision.peer, "b");
    view.pg.start_failures = 1;
    DECIDES(&view, "rewind-stopped", ACT_REWIND);
}
END_TEST

/* Nobody leads: a standby is started all the same, the race needs its position. */
START_TEST(starts_without_leader)
{
    struct view view;
    view_of_stopped(&view);
    view.store.leader_exists = false;
    struct decision decision = DECIDES(&view, "start-standby", ACT_START_STANDBY);
    ck_assert_str_eq(decision.peer, "");
    view.pg.rewinding = true;
    DECIDES(&view, "start-standby", ACT_WAIT);
}
END_TEST

/* An interrupted pg_rewind is gone on with, not started on. */
START_TEST(interrupted_rewind)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.rewinding = true;
    DECIDES(&view, "rewind-stopped", ACT_REWIND);
}
END_TEST

/* A server that does not start is tried again every ttl, not in a tight loop. */
START_TEST(failing_starts_are_paced)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.start_failures = 3;
    view.pg.state_since = mono_add(view.now, -(VIEW_TTL_MS - 1));
    struct decision decision = DECIDES(&view, "start-standby", ACT_WAIT);
    SAYS(decision, "3 times in a row");
    view.pg.state_since = mono_add(view.now, -VIEW_TTL_MS);
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
}
END_TEST

/* The rules one by one: each asks all that it needs itself, whatever stands before it in the list. */
START_TEST(each_alone)
{
    struct view view;
    struct decision decision = { .action = ACT_WAIT };
    view_of_lost_postmaster(&view);
    ck_assert(!rule_bootstrap(&view, &decision));
    view.pg.dir = DATA_DIR_UNKNOWN;
    ck_assert(!rule_release_without_data(&view, &decision));
    ck_assert(!rule_restart_in_place(&view, &decision));
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_BROKEN;
    ck_assert(!rule_rewind_stopped(&view, &decision));
    ck_assert(!rule_start_standby(&view, &decision));
}
END_TEST

static TCase *with_the_key(void)
{
    TCase *tests = tcase_create("with the key");
    tcase_add_test(tests, releases_at_once);
    tcase_add_test(tests, never_releases_before_the_guard_says_gone);
    tcase_add_test(tests, restarts_in_place);
    tcase_add_test(tests, waits_for_the_successor);
    tcase_add_loop_test(tests, releases_without_data, 0, 3);
    tcase_add_test(tests, releases_what_does_not_start);
    tcase_add_test(tests, never_restarts_without_what_was_confirmed);
    tcase_add_test(tests, reads_wal_only_for_itself);
    return tests;
}

static TCase *without_data(void)
{
    TCase *tests = tcase_create("without data");
    tcase_add_test(tests, broken_stays_out);
    tcase_add_test(tests, bootstraps);
    tcase_add_loop_test(tests, never_bootstraps, 0, 6);
    tcase_add_test(tests, never_bootstraps_beside_a_leader_or_in_pause);
    tcase_add_test(tests, bootstraps_in_an_accepted_store);
    tcase_add_test(tests, finishes_its_own_initdb);
    tcase_add_test(tests, clones);
    tcase_add_test(tests, clones_after_the_bootstrap);
    tcase_add_test(tests, clones_only_outside_sync);
    tcase_add_test(tests, empty_waits);
    tcase_add_test(tests, reinit);
    return tests;
}

static TCase *with_data(void)
{
    TCase *tests = tcase_create("with data");
    tcase_add_test(tests, old_primary_compares);
    tcase_add_test(tests, old_primary_waits_for_the_history);
    tcase_add_test(tests, crashed_primary_is_rewound);
    tcase_add_test(tests, stopped_standby);
    tcase_add_test(tests, starts_without_leader);
    tcase_add_test(tests, interrupted_rewind);
    tcase_add_test(tests, failing_starts_are_paced);
    tcase_add_test(tests, each_alone);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("core/rules_down");
    suite_add_tcase(suite, with_the_key());
    suite_add_tcase(suite, without_data());
    suite_add_tcase(suite, with_data());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
