/* Facts that several rules ask for. */
#include "sidecar/core/view.h"

#include <check.h>
#include <stdlib.h>

#include "../../support/view_stub.h"

/* Every situation of the stub is one in which only what its name says is to be done: tests that
 * change one thing prove something. */
START_TEST(situations)
{
    struct view view;
    view_of_leader(&view);
    DECIDES(&view, "idle", ACT_WAIT);
    view_of_standby(&view);
    DECIDES(&view, "idle", ACT_WAIT);
    view_of_leaderless(&view);
    DECIDES(&view, "race", ACT_TAKE);
    view_of_lost_postmaster(&view);
    DECIDES(&view, "release-to-successor", ACT_RELEASE);
    view_of_stopped(&view);
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
    view_of_nothing(&view);
    DECIDES(&view, "bootstrap", ACT_BOOTSTRAP);
}
END_TEST

/* L1: the lease holds until t + ttl, never longer. */
START_TEST(lease_holds_until)
{
    struct view view;
    view_of_leader(&view);
    view.lease.held_until = mono_add(view.now, 1);
    ck_assert(view_holds_lease(&view));
    view.lease.held_until = view.now;
    ck_assert(!view_holds_lease(&view));
}
END_TEST

/* I1: whatever runs and was not started as a standby may accept writes, also while it starts or
 * stops; only the guard's word that the tree is gone ends that (G1). */
START_TEST(who_is_primary)
{
    struct view view;
    view_of_leader(&view);
    ck_assert(view_is_primary(&view));
    view.pg.state = PG_STARTING;
    ck_assert(view_is_primary(&view));
    view.pg.state = PG_STOPPING;
    ck_assert(view_is_primary(&view));
    view.pg.in_recovery = true;
    ck_assert(!view_is_primary(&view));
    view.pg.in_recovery = false;
    view.pg.state = PG_DOWN;
    ck_assert(!view_is_primary(&view));
    view.pg.state = PG_UP;
    view.guard.tree_alive = false;
    ck_assert(!view_is_primary(&view));
}
END_TEST

/* L7: a name is not an identity; the key is ours by its create_revision. */
START_TEST(who_leads)
{
    struct view view;
    view_of_leader(&view);
    ck_assert(view_self_leads(&view));
    ck_assert(!view_other_leads(&view));
    view.store.leader_create_revision++;
    ck_assert(!view_self_leads(&view));
    ck_assert(!view_other_leads(&view)); /* the name is still ours */
    view.store.leader_create_revision--;
    view.store.leader_exists = false;
    ck_assert(!view_self_leads(&view));
    ck_assert(!view_other_leads(&view));
    view_of_standby(&view);
    ck_assert(!view_self_leads(&view));
    ck_assert(view_other_leads(&view));
}
END_TEST

START_TEST(finds_by_name)
{
    struct view view;
    view_of_leader(&view);
    view_add_peer(&view, "c");
    view_add_walsender(&view, "c");
    ck_assert_ptr_eq(view_peer(&view, "c"), &view.store.peers[1]);
    ck_assert_ptr_null(view_peer(&view, "d"));
    ck_assert_ptr_eq(view_walsender(&view, "c"), &view.pg.walsenders[1]);
    ck_assert_ptr_null(view_walsender(&view, "d"));
}
END_TEST

/* S7: a history contains what was confirmed when it passed there and has got that far. */
START_TEST(confirmed)
{
    struct view view;
    view_of_standby(&view);
    ck_assert(view_has_confirmed(&view));
    view.store.confirmed_lsn = VIEW_LSN;
    ck_assert(view_has_confirmed(&view));
    view.store.confirmed_lsn = VIEW_LSN + 1;
    ck_assert(!view_has_confirmed(&view));
    view.store.confirmed_exists = false;
    ck_assert(view_has_confirmed(&view));
}
END_TEST

/* S7 by content: a position further on, but on a history that left before the confirmed one. */
START_TEST(confirmed_on_another_way)
{
    struct view view;
    view_of_standby(&view);
    view.pg.timeline = (struct timeline){ .tli = 2, .n = 1, .entries = { { 1, VIEW_LSN - 200 } } };
    view.pg.position = VIEW_LSN + 5000;
    ck_assert(!view_has_confirmed(&view));
    view.pg.timeline.entries[0].switch_at = VIEW_LSN;
    ck_assert(view_has_confirmed(&view));
}
END_TEST

/* Part 4: in synchronous mode only a member of /sync takes over. */
START_TEST(successor_in_sync_mode)
{
    struct view view;
    view_of_leader(&view);
    struct peer *c = view_add_peer(&view, "c");
    c->member.receive_lsn = VIEW_LSN + 100;
    ck_assert_str_eq(view_ready_successor(&view)->member.name, "b");
    view.store.sync.standbys.n = 0;
    ck_assert_ptr_null(view_ready_successor(&view));
}
END_TEST

/* Who cannot take over at once is no successor: no key, not running, not a replica, nofailover,
 * paused (L8). */
START_TEST(no_successor)
{
    struct view view;
    view_of_leader(&view);
    struct peer *b = view_edit_peer(&view, "b"), good = *b;
    b->has_key = false;
    ck_assert_ptr_null(view_ready_successor(&view));
    *b = good;
    b->member.state = MEMBER_STARTING;
    ck_assert_ptr_null(view_ready_successor(&view));
    *b = good;
    b->member.role = MEMBER_ROLE_PRIMARY;
    ck_assert_ptr_null(view_ready_successor(&view));
    *b = good;
    b->member.tags.nofailover = true;
    ck_assert_ptr_null(view_ready_successor(&view));
    *b = good;
    b->member.pause = true;
    ck_assert_ptr_null(view_ready_successor(&view));
}
END_TEST

/* Without synchronous mode: the furthest of those within maximum_lag_on_failover. */
START_TEST(successor_without_sync)
{
    struct view view;
    view_of_leader(&view);
    view.store.sync = (struct sync_state){ .exists = false };
    struct peer *b = view_edit_peer(&view, "b"), *c = view_add_peer(&view, "c");
    c->member.receive_lsn = VIEW_LSN + 100;
    ck_assert_ptr_eq(view_ready_successor(&view), c);
    c->member.receive_lsn = VIEW_LSN - 100;
    ck_assert_ptr_eq(view_ready_successor(&view), b);
    b->member.receive_lsn = c->member.receive_lsn = VIEW_LSN - (1 << 20) - 1;
    ck_assert_ptr_null(view_ready_successor(&view));
    view.store.optime = LSN_NONE;
    ck_assert_ptr_nonnull(view_ready_successor(&view));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/view");
    TCase *tests = tcase_create("view");
    tcase_add_test(tests, situations);
    tcase_add_test(tests, lease_holds_until);
    tcase_add_test(tests, who_is_primary);
    tcase_add_test(tests, who_leads);
    tcase_add_test(tests, finds_by_name);
    tcase_add_test(tests, confirmed);
    tcase_add_test(tests, confirmed_on_another_way);
    tcase_add_test(tests, successor_in_sync_mode);
    tcase_add_test(tests, no_successor);
    tcase_add_test(tests, successor_without_sync);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
