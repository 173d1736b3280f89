/* Who may accept writes: these rules take away, they never give. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/view_stub.h"

/* Part 3: "A dead guard is a dead postmaster": the sidecar kills what it left. */
START_TEST(dead_guard)
{
    struct view view;
    view_of_leader(&view);
    view.guard.dead = true;
    DECIDES(&view, "guard-dead", ACT_FENCE);
    view_of_standby(&view);
    view.guard.dead = true;
    view.guard.connected = false;
    DECIDES(&view, "guard-dead", ACT_FENCE);
    view.guard.tree_alive = false;
    DECIDES(&view, "guard-away", ACT_WAIT);
}
END_TEST

/* A new process beside a primary that the former one left: key and cookie are there, ours not yet. */
static void restarted(struct view *view)
{
    view_of_leader(view);
    view->lease = (struct lease){ .ttl_ms = VIEW_TTL_MS };
}

/* L5: "a restarted sidecar takes over a running postmaster without restarting it". */
START_TEST(adopts)
{
    struct view view;
    restarted(&view);
    DECIDES(&view, "adopt", ACT_ADOPT);
    view.pg.state = PG_STARTING;
    DECIDES(&view, "adopt", ACT_ADOPT);
    /* A standby under the cookie was about to be promoted: the same holding. */
    view.pg.state = PG_UP;
    view.pg.in_recovery = true;
    DECIDES(&view, "adopt", ACT_ADOPT);
}
END_TEST

/* L5: before the store was read nothing can be adopted, and nothing is killed: the guard's deadline
 * protects. */
START_TEST(waits_to_adopt)
{
    struct view view;
    restarted(&view);
    view.store = (struct store_view){ .reachable = false };
    DECIDES(&view, "adopt", ACT_WAIT);
    view.pg.in_recovery = true;
    DECIDES(&view, "store-unread", ACT_WAIT);
    view.pg.in_recovery = false;
    view.guard.deadline = view.now;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
}
END_TEST

/* L7: "a new sidecar adopts the key only if cookie and key agree", in every part of it; a primary
 * that cannot be adopted is killed. */
START_TEST(never_adopts_what_differs)
{
    struct view view;
    restarted(&view);
    switch (_i) {
    case 0:
        view.guard.lease_id = 0;
        break;
    case 1:
        view.guard.lease_id++;
        break;
    case 2:
        view.guard.create_revision--;
        break;
    case 3:
        view.store.leader_exists = false;
        break;
    case 4:
        view.store.leader[0] = 'b';
        break;
    case 5:
        view.guard.has_deadline = false;
        break;
    case 6:
        view.guard.deadline = view.now;
        break;
    default:
        ck_abort();
    }
    DECIDES(&view, "primary-without-key", ACT_FENCE);
    view.guard.tree_alive = false;
    ck_assert(decide(&view).action != ACT_ADOPT);
}
END_TEST

/* I1: a primary without a lease that holds is killed, whatever state it is in. */
START_TEST(fences)
{
    struct view view;
    view_of_leader(&view);
    view.lease.held_until = view.now;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
    view.lease.held_until = mono_add(view.now, 5000);
    view.lease.owns_key = false;
    view.guard.lease_id = 0;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
    view.pg.state = PG_STARTING;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
    /* Also while it stops in order: it could go on writing (L2: read-only before the lease ends). */
    view.pg.state = PG_STOPPING;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
}
END_TEST

/* L3: without the guard's ear the sidecar cannot kill; the guard's deadline does. */
START_TEST(no_fence_without_guard)
{
    struct view view;
    view_of_leader(&view);
    view.guard.connected = false;
    view.lease.held_until = view.now;
    DECIDES(&view, "guard-away", ACT_WAIT);
}
END_TEST

/* L2: "starts an orderly demotion when less than margin + max(1 s, ttl/10) is left". */
START_TEST(demotes_before_expiry)
{
    struct view view;
    view_of_leader(&view);
    int64_t demote_ms = lease_demote_ms(VIEW_TTL_MS, false);
    ck_assert_int_eq(demote_ms, 1250);
    view.store.reachable = false;
    view.lease.held_until = mono_add(view.now, demote_ms);
    DECIDES(&view, "store-away", ACT_WAIT);
    view.lease.held_until = mono_add(view.now, demote_ms - 1);
    struct decision decision = DECIDES(&view, "demote-before-expiry", ACT_DEMOTE);
    SAYS(decision, "1249 ms");
    view.lease.held_until = mono_add(view.now, demote_ms);
    view.policy.cpu_limited = true; /* a margin of 1 s */
    DECIDES(&view, "demote-before-expiry", ACT_DEMOTE);
}
END_TEST

/* L2: a standby has nothing to demote. */
START_TEST(standby_is_not_demoted)
{
    struct view view;
    view_of_standby(&view);
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* L7: our key vanished (deleted by hand, lease expired): down first, then the lease is given up. */
START_TEST(key_vanished)
{
    struct view view;
    view_of_leader(&view);
    view.store.leader_exists = false;
    DECIDES(&view, "key-vanished", ACT_DEMOTE);
    view_of_leader(&view);
    view.store.leader_create_revision += 50; /* another holding, whatever the name says */
    DECIDES(&view, "key-vanished", ACT_DEMOTE);
    view_of_lost_postmaster(&view);
    view.store.leader_exists = false;
    struct decision decision = DECIDES(&view, "key-vanished", ACT_ABANDON);
    SAYS(decision, "is down");
}
END_TEST

/* L7: only a fact that the store told counts. */
START_TEST(key_vanished_is_a_fact)
{
    struct view view;
    view_of_leader(&view);
    view.store.leader_exists = false;
    view.store.reachable = false;
    DECIDES(&view, "store-away", ACT_WAIT);
    view.store.reachable = true;
    view.store.loaded = false;
    DECIDES(&view, "store-unread", ACT_WAIT);
}
END_TEST

/* A standby under a deadline may be on its way to become primary: stopped before its lease goes. */
START_TEST(key_vanished_while_promoting)
{
    struct view view;
    view_of_leader(&view);
    view.pg.in_recovery = true;
    view.store.leader_exists = false;
    DECIDES(&view, "key-vanished", ACT_DEMOTE);
    view.guard.has_deadline = false;
    struct decision decision = DECIDES(&view, "key-vanished", ACT_ABANDON);
    SAYS(decision, "is a standby");
}
END_TEST

/* L7: the holder record names our lease, unreleased, and no key is there: it bars everybody else
 * until the lease is given up. */
START_TEST(our_lease_bars_the_key)
{
    struct view view;
    view_of_leaderless(&view);
    view.store.holder = (struct lease_holder){ .exists = true, .lease_id = VIEW_LEASE };
    DECIDES(&view, "key-vanished", ACT_ABANDON);
    view.store.holder.released = true;
    DECIDES(&view, "race", ACT_TAKE);
    view.store.holder = (struct lease_holder){ .exists = false };
    DECIDES(&view, "race", ACT_TAKE);
    view.store.holder = (struct lease_holder){ .exists = true, .lease_id = VIEW_LEASE };
    view.lease.id = 0; /* a process that has no lease bars nobody */
    DECIDES(&view, "race", ACT_WAIT);
}
END_TEST

/* L1: "it counts only if the previous renewal still held": what ran out is given back. */
START_TEST(holding_ran_out)
{
    struct view view;
    view_of_lost_postmaster(&view);
    view_edit_peer(&view, "b")->member.state = MEMBER_STOPPED;
    view.lease.held_until = view.now;
    DECIDES(&view, "holding-ran-out", ACT_RELEASE);
    view.store.reachable = false;
    DECIDES(&view, "store-away", ACT_WAIT);
    view.store.reachable = true;
    view.lease.held_once = false; /* just taken: its first renewal is under way */
    DECIDES(&view, "restart-in-place", ACT_START_PRIMARY);
}
END_TEST

/* The same for a standby that took the key and could not be promoted in time. */
START_TEST(holding_ran_out_of_standby)
{
    struct view view;
    view_of_leader(&view);
    view.pg.in_recovery = true;
    view.lease.held_until = view.now;
    DECIDES(&view, "holding-ran-out", ACT_RELEASE);
    view.lease.held_until = mono_add(view.now, 1);
    DECIDES(&view, "promote", ACT_PROMOTE);
    /* A primary is not released but killed first; without the guard's ear neither. */
    view.pg.in_recovery = false;
    view.lease.held_until = view.now;
    view.guard.connected = false;
    DECIDES(&view, "guard-away", ACT_WAIT);
}
END_TEST

/* A sidecar that was restarted beside a standby has not asked Postgres yet, nor the store. */
START_TEST(restarted_beside_a_standby)
{
    struct view view;
    view_of_standby(&view);
    view.lease = (struct lease){ .id = 0 };
    view.guard.has_deadline = false;
    view.guard.lease_id = 0;
    view.store.loaded = view.store.reachable = false;
    view.pg.state = PG_STARTING;
    view.pg.in_recovery = false; /* not known */
    DECIDES(&view, "store-unread", ACT_WAIT);
    view.pg.state = PG_UP;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/rules_safety");
    TCase *tests = tcase_create("safety");
    tcase_add_test(tests, dead_guard);
    tcase_add_test(tests, adopts);
    tcase_add_test(tests, waits_to_adopt);
    tcase_add_loop_test(tests, never_adopts_what_differs, 0, 7);
    tcase_add_test(tests, fences);
    tcase_add_test(tests, no_fence_without_guard);
    tcase_add_test(tests, demotes_before_expiry);
    tcase_add_test(tests, standby_is_not_demoted);
    tcase_add_test(tests, key_vanished);
    tcase_add_test(tests, key_vanished_is_a_fact);
    tcase_add_test(tests, key_vanished_while_promoting);
    tcase_add_test(tests, our_lease_bars_the_key);
    tcase_add_test(tests, holding_ran_out);
    tcase_add_test(tests, holding_ran_out_of_standby);
    tcase_add_test(tests, restarted_beside_a_standby);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
