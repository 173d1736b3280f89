/* The guard's deadline (design part 3: L3, L4, L7, L8), as guard and simulation run it. */
#include "sidecar/guard/deadline.h"

#include <check.h>
#include <stdlib.h>

static const struct guard_cookie key_a = { 7, 3 };
static const struct guard_cookie key_b = { 8, 5 };
static const struct guard_cookie none = { 0, 0 };

static struct mono at(int64_t ms)
{
    return (struct mono){ ms };
}

/* A primary under key_a until 1000. */
static struct deadline primary(void)
{
    struct deadline deadline = { 0 };
    ck_assert_int_eq(deadline_offer(&deadline, at(0), at(1000), key_a), DEADLINE_OK);
    ck_assert_int_eq(deadline_start(&deadline, at(1), true, key_a), DEADLINE_OK);
    return deadline;
}

/* L3: killed at the deadline itself, not before; final afterwards. */
START_TEST(passes_at_its_instant)
{
    struct deadline deadline = primary();
    ck_assert(!deadline_check(&deadline, at(999)));
    ck_assert_int_eq(deadline_next(&deadline).ms, 1000);
    ck_assert(deadline_check(&deadline, at(1000)));
    ck_assert(deadline_check(&deadline, at(1001)));
    ck_assert_int_eq(deadline_next(&deadline).ms, INT64_MAX);
}
END_TEST

/* L3: a message that is read after the deadline is not believed, whatever it promises. */
START_TEST(passed_is_final)
{
    struct deadline deadline = primary();
    ck_assert_int_eq(deadline_offer(&deadline, at(1000), at(9000), key_a), DEADLINE_PASSED);
    ck_assert_int_eq(deadline_lift(&deadline, at(1001), none), DEADLINE_PASSED);
    ck_assert_int_eq(deadline_start(&deadline, at(1002), false, none), DEADLINE_CHILD_RUNS);
    ck_assert(deadline_check(&deadline, at(1003)));
    deadline_child_gone(&deadline);
    ck_assert(!deadline_check(&deadline, at(1004)));
    ck_assert_int_eq(deadline_offer(&deadline, at(1005), at(2000), key_b), DEADLINE_OK);
}
END_TEST

/* L3: a lift that comes too late is too late. */
START_TEST(lift_after_the_deadline)
{
    struct deadline deadline = primary();
    ck_assert_int_eq(deadline_lift(&deadline, at(1000), none), DEADLINE_PASSED);
    ck_assert(deadline.passed);
}
END_TEST

/* "A deadline only moves forward": an earlier one is accepted and ignored, of a new key too. */
START_TEST(moves_forward_only)
{
    struct deadline deadline = primary();
    ck_assert_int_eq(deadline_offer(&deadline, at(10), at(2000), key_a), DEADLINE_OK);
    ck_assert_int_eq(deadline_offer(&deadline, at(20), at(1500), key_a), DEADLINE_OK);
    ck_assert_int_eq(deadline.at.ms, 2000);
    ck_assert_int_eq(deadline_offer(&deadline, at(30), at(1600), key_b), DEADLINE_OK);
    ck_assert_int_eq(deadline.at.ms, 2000);
    ck_assert(guard_cookie_equal(deadline.cookie, key_b));
}
END_TEST

START_TEST(refuses_the_past_and_the_nameless)
{
    struct deadline deadline = { 0 };
    ck_assert_int_eq(deadline_offer(&deadline, at(10), at(10), key_a), DEADLINE_PASSED);
    ck_assert_int_eq(deadline_offer(&deadline, at(10), at(20), none), DEADLINE_NO_COOKIE);
    ck_assert(!deadline.has && !deadline.passed);
}
END_TEST

/* L7: a primary starts only under a live deadline of the named cookie. */
START_TEST(start_needs_the_cookie)
{
    struct deadline deadline = { 0 };
    ck_assert_int_eq(deadline_start(&deadline, at(0), true, key_a), DEADLINE_NOT_LIVE);
    ck_assert_int_eq(deadline_start(&deadline, at(0), true, none), DEADLINE_NO_COOKIE);
    deadline_offer(&deadline, at(0), at(1000), key_a);
    ck_assert_int_eq(deadline_start(&deadline, at(1), true, key_b), DEADLINE_NOT_LIVE);
    ck_assert_int_eq(deadline_start(&deadline, at(1000), true, key_a), DEADLINE_NOT_LIVE);
    ck_assert(!deadline.child && !deadline.passed);
    ck_assert(guard_cookie_none(deadline.cookie));
}
END_TEST

/* L4: the deadline that was acknowledged binds a running standby from then on. */
START_TEST(standby_is_bound_by_an_offer)
{
    struct deadline deadline = { 0 };
    ck_assert_int_eq(deadline_start(&deadline, at(0), false, none), DEADLINE_OK);
    ck_assert(!deadline_check(&deadline, at(1 << 30)));
    deadline = (struct deadline){ .child = true };
    ck_assert_int_eq(deadline_offer(&deadline, at(5), at(50), key_a), DEADLINE_OK);
    ck_assert(deadline_check(&deadline, at(50)));
}
END_TEST

/* What was left of the life before does not kill a standby; it must be offered again (L4). */
START_TEST(standby_drops_what_was_left)
{
    struct deadline deadline = { 0 };
    deadline_offer(&deadline, at(0), at(1000), key_a);
    ck_assert_int_eq(deadline_start(&deadline, at(1), false, none), DEADLINE_OK);
    ck_assert(!deadline.has && guard_cookie_none(deadline.cookie));
    ck_assert(!deadline_check(&deadline, at(2000)));
}
END_TEST

/* L7: another sidecar must name the cookie before it may change it. */
START_TEST(new_sidecar_names_first)
{
    struct deadline deadline = primary();
    deadline_new_sidecar(&deadline);
    ck_assert_int_eq(deadline_offer(&deadline, at(10), at(2000), key_b), DEADLINE_FOREIGN);
    ck_assert_int_eq(deadline.at.ms, 1000);
    ck_assert_int_eq(deadline_offer(&deadline, at(11), at(2000), key_a), DEADLINE_OK);
    ck_assert_int_eq(deadline_offer(&deadline, at(12), at(3000), key_b), DEADLINE_OK);
    ck_assert_int_eq(deadline.at.ms, 3000);
}
END_TEST

/* L8: lifted, it survives any time; an offer, of whatever key was taken since, ends the lift. */
START_TEST(lift)
{
    struct deadline deadline = primary();
    ck_assert_int_eq(deadline_lift(&deadline, at(10), none), DEADLINE_OK);
    ck_assert(!deadline_check(&deadline, at(100000)));
    deadline_new_sidecar(&deadline);
    ck_assert_int_eq(deadline_offer(&deadline, at(100000), at(100500), key_b), DEADLINE_OK);
    ck_assert(!deadline.lifted);
    ck_assert(deadline_check(&deadline, at(100500)));
}
END_TEST

/* L8: a key that was taken anew under a lift; a stranger lifts nothing under a name of its own. */
START_TEST(lift_with_a_cookie)
{
    struct deadline deadline = primary();
    deadline_new_sidecar(&deadline);
    ck_assert_int_eq(deadline_lift(&deadline, at(10), key_b), DEADLINE_FOREIGN);
    ck_assert(deadline.has && !deadline.lifted);
    ck_assert_int_eq(deadline_lift(&deadline, at(10), key_a), DEADLINE_OK);
    ck_assert_int_eq(deadline_lift(&deadline, at(20), key_b), DEADLINE_OK);
    ck_assert(deadline.lifted && guard_cookie_equal(deadline.cookie, key_b));
}
END_TEST

/* "Goes away only with the child": a lift as well. */
START_TEST(child_takes_all_with_it)
{
    struct deadline deadline = primary();
    deadline_lift(&deadline, at(10), none);
    deadline_child_gone(&deadline);
    ck_assert(!deadline.lifted && !deadline.has && !deadline.named && !deadline.child);
    ck_assert(guard_cookie_none(deadline.cookie));
}
END_TEST

/* Without a child there is nothing to kill: a deadline just ends, and may be set anew or
 * dropped. */
START_TEST(without_a_child)
{
    struct deadline deadline = { 0 };
    deadline_offer(&deadline, at(0), at(1000), key_a);
    ck_assert_int_eq(deadline_offer(&deadline, at(1), at(500), key_b), DEADLINE_OK);
    ck_assert_int_eq(deadline.at.ms, 500);
    ck_assert_int_eq(deadline_lift(&deadline, at(2), none), DEADLINE_OK);
    ck_assert(!deadline.has && !deadline.lifted);
    deadline_offer(&deadline, at(3), at(10), key_a);
    ck_assert(!deadline_check(&deadline, at(10)));
    ck_assert_int_eq(deadline_offer(&deadline, at(11), at(20), key_a), DEADLINE_OK);
}
END_TEST

START_TEST(every_verdict_has_a_text)
{
    for (int verdict = 0; verdict < DEADLINE_MAX; verdict++)
        ck_assert_str_ne(deadline_verdict_text((enum deadline_verdict)verdict), "?");
    ck_assert_str_eq(deadline_verdict_text(DEADLINE_MAX), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("deadline");
    TCase *tcase = tcase_create("rules");
    tcase_add_test(tcase, passes_at_its_instant);
    tcase_add_test(tcase, passed_is_final);
    tcase_add_test(tcase, lift_after_the_deadline);
    tcase_add_test(tcase, moves_forward_only);
    tcase_add_test(tcase, refuses_the_past_and_the_nameless);
    tcase_add_test(tcase, start_needs_the_cookie);
    tcase_add_test(tcase, standby_is_bound_by_an_offer);
    tcase_add_test(tcase, standby_drops_what_was_left);
    tcase_add_test(tcase, new_sidecar_names_first);
    tcase_add_test(tcase, lift);
    tcase_add_test(tcase, lift_with_a_cookie);
    tcase_add_test(tcase, child_takes_all_with_it);
    tcase_add_test(tcase, without_a_child);
    tcase_add_test(tcase, every_verdict_has_a_text);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
