/* A stop that the guard reported (G2). */
#include <check.h>
#include <stdlib.h>

#include "../../support/view_stub.h"
#include "sidecar/core/rules.h"

/* Part 6: the stop of the primary's container is a switchover, to whom it may concern. */
START_TEST(primary_hands_over)
{
    struct view view;
    view_of_leader(&view);
    view.guard.stop_requested = true;
    struct decision decision = DECIDES(&view, "stop-primary", ACT_HANDOVER);
    SAYS(decision, "ready to take over: b");
    ck_assert_str_eq(decision.peer, "");
    view_edit_peer(&view, "b")->has_key = false;
    decision = DECIDES(&view, "stop-primary", ACT_HANDOVER);
    SAYS(decision, "nobody is ready");
}
END_TEST

/* Nothing but safety is more urgent than the stop: the store may be away, the head dizzy, the
 * cluster paused. */
START_TEST(stop_comes_before_waiting)
{
    struct view view;
    view_of_leader(&view);
    view.guard.stop_requested = true;
    view.clear_head = false;
    view.policy.pause = true;
    view.store.reachable = false;
    DECIDES(&view, "stop-primary", ACT_HANDOVER);
    view.lease.held_until = view.now;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
}
END_TEST

/* L7: what is not held is not handed over. */
START_TEST(no_handover_without_the_lease)
{
    struct view view;
    struct decision decision = { .action = ACT_WAIT };
    view_of_leader(&view);
    view.guard.stop_requested = true;
    view.lease.held_until = view.now;
    ck_assert(!rule_stop_primary(&view, &decision));
}
END_TEST

/* S5: a standby that stops in order leaves. */
START_TEST(standby_leaves)
{
    struct view view;
    view_of_standby(&view);
    view.guard.stop_requested = true;
    DECIDES(&view, "stop-standby", ACT_LEAVE);
    /* Also one that holds the key already: it is down before the key goes (G1). */
    view_of_leader(&view);
    view.guard.stop_requested = true;
    view.pg.in_recovery = true;
    DECIDES(&view, "stop-standby", ACT_LEAVE);
}
END_TEST

/* G1: down, then the key, then the word to the guard, once. */
START_TEST(order_of_the_end)
{
    struct view view;
    view_of_lost_postmaster(&view);
    view.guard.stop_requested = true;
    DECIDES(&view, "stop-release", ACT_RELEASE);
    view.lease.owns_key = false;
    view.store.leader_exists = false;
    view.store.holder.released = true;
    DECIDES(&view, "stopped", ACT_STOPPED);
    view.memory.handed_over = true;
    DECIDES(&view, "stopped", ACT_WAIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/rules_stop");
    TCase *tests = tcase_create("stop");
    tcase_add_test(tests, primary_hands_over);
    tcase_add_test(tests, stop_comes_before_waiting);
    tcase_add_test(tests, no_handover_without_the_lease);
    tcase_add_test(tests, standby_leaves);
    tcase_add_test(tests, order_of_the_end);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
