/* What the member key shows of a Postgres that cannot be asked (patroni-compat 3.4). */
#include <check.h>
#include <stdlib.h>

#include "sidecar/sidecar_internal.h"

static struct member shown(enum member_state state, bool queryable)
{
    struct pg_facts facts = { .state = state,
                              .queryable = queryable,
                              .in_recovery = true,
                              .timeline = 7,
                              .received = 500,
                              .replayed = 400 };
    struct member member = { .state = state };
    sidecar_positions(&facts, &member);
    return member;
}

START_TEST(positions_of_one_that_answers)
{
    struct member member = shown(MEMBER_RUNNING, true);
    ck_assert_uint_eq(member.timeline, 7);
    ck_assert(member.has_receive_lsn);
    ck_assert_uint_eq(member.xlog_location, 500);
}
END_TEST

/* It is still on that timeline; its positions may move. */
START_TEST(timeline_while_it_stops)
{
    struct member member = shown(MEMBER_STOPPING, false);
    ck_assert_uint_eq(member.timeline, 7);
    ck_assert(!member.has_receive_lsn);
    ck_assert_uint_eq(member.xlog_location, 0);
}
END_TEST

/* What was before is not what will be. */
START_TEST(nothing_of_one_that_is_down_or_starts)
{
    ck_assert_uint_eq(shown(MEMBER_STOPPED, false).timeline, 0);
    ck_assert_uint_eq(shown(MEMBER_STARTING, false).timeline, 0);
    ck_assert_uint_eq(shown(MEMBER_RUNNING, false).timeline, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sidecar publish");
    TCase *tcase = tcase_create("member key");
    tcase_add_test(tcase, positions_of_one_that_answers);
    tcase_add_test(tcase, timeline_while_it_stops);
    tcase_add_test(tcase, nothing_of_one_that_is_down_or_starts);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
