/* The list of rules as a whole: its order, what interrupts what, and that it is a function. */
#include "sidecar/core/decide.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/golden.h"
#include "../../support/view_stub.h"
#include "base/text.h"

/* A2: changing the order of the rules is a visible diff: `pgvigil-sidecar --print-rules`. */
START_TEST(order_of_rules)
{
    struct text rules = text_new(LIMIT_FILE);
    for (size_t i = 0; decide_rule_name(i) != NULL; i++)
        text_addf(&rules, "%zu %s\n", i + 1, decide_rule_name(i));
    golden_compare("rules.txt", text_str(&rules));
    text_done(&rules);
}
END_TEST

START_TEST(names_are_unique)
{
    for (size_t i = 0; decide_rule_name(i) != NULL; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(decide_rule_name(i), decide_rule_name(j));
    for (int action = 0; action < ACT_MAX; action++)
        for (int other = 0; other < action; other++)
            ck_assert_str_ne(action_name((enum action)action), action_name((enum action)other));
}
END_TEST

/* "The last rule always applies": whatever is in a view, there is a decision with a reason. */
START_TEST(always_decides)
{
    static struct view view;
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        view_of_leader(&view);
        for (int field = 0; field < 16; field++) {
            seed = seed * 1103515245 + 12345;
            bool on = seed >> 16 & 1;
            bool *const fields[] = { &view.clear_head,          &view.guard.connected,
                                     &view.guard.dead,          &view.guard.tree_alive,
                                     &view.guard.has_deadline,  &view.guard.stop_requested,
                                     &view.lease.owns_key,      &view.store.reachable,
                                     &view.store.loaded,        &view.store.leader_exists,
                                     &view.policy.pause,        &view.policy.sync_on,
                                     &view.pg.in_recovery,      &view.pg.was_primary,
                                     &view.store.config_exists, &view.store.failover.exists };
            *fields[field] = on;
        }
        view.pg.state = (enum pg_state)(seed >> 20 & 3);
        view.pg.dir = (enum data_dir)((seed >> 22) % (DATA_DIR_BROKEN + 1));
        struct decision decision = decide(&view);
        ck_assert_str_ne(decision.reason, "");
        ck_assert_int_lt(decision.action, ACT_MAX);
    }
}
END_TEST

/* A1: the same view gives the same decision, whatever was decided in between. */
START_TEST(is_a_function)
{
    static struct view view, other;
    view_of_leaderless(&view);
    view_of_lost_postmaster(&other);
    struct decision first = decide(&view);
    (void)decide(&other);
    struct decision second = decide(&view);
    ck_assert_ptr_eq(first.rule, second.rule);
    ck_assert_int_eq(first.action, second.action);
    ck_assert_str_eq(first.reason, second.reason);
    ck_assert_str_eq(first.peer, second.peer);
}
END_TEST

/* Who interrupts what, as text: a weight that changes is a visible diff. */
START_TEST(interruptions)
{
    struct text table = text_new(LIMIT_FILE);
    for (int running = ACT_WAIT + 1; running < ACT_MAX; running++) {
        text_addf(&table, "%s:", action_name((enum action)running));
        const char *between = " ";
        for (int wanted = 0; wanted < ACT_MAX; wanted++) {
            if (!decide_interrupts((enum action)running, (enum action)wanted))
                continue;
            text_addf(&table, "%s%s", between, action_name((enum action)wanted));
            between = ", ";
        }
        text_add(&table, "\n");
    }
    golden_compare("interruptions.txt", text_str(&table));
    text_done(&table);
}
END_TEST

/* Nothing interrupts itself, waiting interrupts nothing. */
START_TEST(nothing_interrupts_itself)
{
    for (int action = 0; action < ACT_MAX; action++) {
        ck_assert(!decide_interrupts((enum action)action, (enum action)action));
        ck_assert(!decide_interrupts((enum action)action, ACT_WAIT));
    }
}
END_TEST

/* I1, L2: what takes write access away interrupts everything that does not. */
START_TEST(safety_interrupts)
{
    for (int action = 0; action < ACT_MAX; action++) {
        if (action != ACT_FENCE)
            ck_assert(decide_interrupts((enum action)action, ACT_FENCE));
        if (action != ACT_FENCE && action != ACT_DEMOTE && action != ACT_ABANDON)
            ck_assert(decide_interrupts((enum action)action, ACT_DEMOTE));
    }
}
END_TEST

/* S4: between its write of /sync and pg_promote a promotion gives way to nothing but safety. */
START_TEST(promotion_gives_way_to_safety_only)
{
    for (int action = 0; action < ACT_MAX; action++) {
        bool safety = action == ACT_FENCE || action == ACT_DEMOTE;
        ck_assert_int_eq(decide_interrupts(ACT_TAKE, (enum action)action), safety);
        ck_assert_int_eq(decide_interrupts(ACT_PROMOTE, (enum action)action), safety);
    }
}
END_TEST

/* G2: a checkpoint before a restart, an initdb or a copy of the data may take longer than the stop's
 * budget: none of them holds it up. */
START_TEST(stop_waits_for_nothing_long)
{
    static const enum action stops[] = { ACT_HANDOVER, ACT_LEAVE, ACT_STOPPED };
    static const enum action longest[] = { ACT_BOOTSTRAP, ACT_CLONE,   ACT_RECLONE,
                                           ACT_REWIND,    ACT_RESTART, ACT_SETTLE };
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
        for (size_t k = 0; k < sizeof(longest) / sizeof(longest[0]); k++)
            ck_assert(decide_interrupts(longest[k], stops[i]));
}
END_TEST

/* Nobody waits in circles: of two actions at most one interrupts the other. */
START_TEST(no_circles)
{
    for (int a = 0; a < ACT_MAX; a++)
        for (int b = 0; b < ACT_MAX; b++)
            ck_assert(!decide_interrupts((enum action)a, (enum action)b) ||
                      !decide_interrupts((enum action)b, (enum action)a));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/decide");
    TCase *tests = tcase_create("decide");
    tcase_add_test(tests, order_of_rules);
    tcase_add_test(tests, names_are_unique);
    tcase_add_test(tests, always_decides);
    tcase_add_test(tests, is_a_function);
    tcase_add_test(tests, interruptions);
    tcase_add_test(tests, nothing_interrupts_itself);
    tcase_add_test(tests, safety_interrupts);
    tcase_add_test(tests, promotion_gives_way_to_safety_only);
    tcase_add_test(tests, stop_waits_for_nothing_long);
    tcase_add_test(tests, no_circles);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
