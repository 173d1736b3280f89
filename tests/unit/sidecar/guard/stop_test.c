/* The stop budget (G2). */
#include "sidecar/guard/stop.h"

#include <check.h>
#include <stdlib.h>

static struct mono at(int64_t ms)
{
    return (struct mono){ ms };
}

/* A stop at 0 with this grace. */
static struct stop stopping(int64_t grace_ms)
{
    struct stop stop = { 0 };
    stop_request(&stop, at(0), grace_ms);
    return stop;
}

static struct stop_facts facts_at(int64_t ms, bool connected, bool child)
{
    return (struct stop_facts){ .now = at(ms), .connected = connected, .child = child };
}

START_TEST(nothing_without_a_request)
{
    struct stop stop = { 0 };
    struct stop_facts facts = facts_at(1 << 20, false, true);
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_WAIT);
    ck_assert_int_eq(stop_next(&stop, &facts).ms, INT64_MAX);
}
END_TEST

/* G2: waits for the handover until only min(10 s, half) of the grace is left. */
static const struct {
    int64_t grace;
    int64_t fast;
    int64_t kill;
} budgets[] = { { 10000, 5000, 9000 }, { 30000, 20000, 29000 }, { 2000, 1000, 1500 } };

START_TEST(budget)
{
    struct stop stop = stopping(budgets[_i].grace);
    const int64_t fast = budgets[_i].fast;
    struct stop_facts facts = facts_at(fast - 1, true, true);
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_WAIT);
    ck_assert_int_eq(stop_next(&stop, &facts).ms, fast);
    facts.now = at(fast);
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_FAST);
    ck_assert_int_eq(stop_next(&stop, &facts).ms, budgets[_i].kill);
    facts.now = at(budgets[_i].kill);
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_KILL);
    facts.child = false;
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_EXIT);
}
END_TEST

/* G2: with no sidecar connected for 2 s: fast stop. */
START_TEST(alone)
{
    struct stop stop = stopping(30000);
    struct stop_facts facts = facts_at(1999, false, true);
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_WAIT);
    ck_assert_int_eq(stop_next(&stop, &facts).ms, 2000);
    facts.now = at(2000);
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_FAST);
    facts.connected = true;
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_WAIT);
}
END_TEST

/* G2: the guard of etcd stops at once without a sidecar, and waits for the handover with one. */
START_TEST(etcd)
{
    struct stop stop = stopping(30000);
    struct stop_facts facts = facts_at(0, false, true);
    facts.etcd = true;
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_FAST);
    facts.connected = true;
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_WAIT);
    stop.handed_over = true;
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_FAST);
}
END_TEST

/* The child is gone: the sidecar may still need the guard's tools for the handover. */
START_TEST(waits_for_the_word)
{
    struct stop stop = stopping(10000);
    struct stop_facts facts = facts_at(100, true, false);
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_WAIT);
    stop.handed_over = true;
    ck_assert_int_eq(stop_step(&stop, &facts), STOP_EXIT);
}
END_TEST

START_TEST(first_request_counts)
{
    struct stop stop = stopping(10000);
    stop_request(&stop, at(4000), 10000);
    ck_assert_int_eq(stop.fast_at.ms, 5000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stop");
    TCase *tcase = tcase_create("G2");
    tcase_add_test(tcase, nothing_without_a_request);
    tcase_add_loop_test(tcase, budget, 0, (int)(sizeof(budgets) / sizeof(budgets[0])));
    tcase_add_test(tcase, alone);
    tcase_add_test(tcase, etcd);
    tcase_add_test(tcase, waits_for_the_word);
    tcase_add_test(tcase, first_request_counts);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
