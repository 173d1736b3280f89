#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cluster/timeline.h"

/* A history in the short form "1@100 2@200 >3" is built by hand below. */
static struct timeline make(uint32_t tli, uint32_t n, const uint64_t (*entries)[2])
{
    struct timeline timeline = { .tli = tli, .n = n };
    for (uint32_t i = 0; i < n; i++)
        timeline.entries[i] = (struct timeline_entry){ (uint32_t)entries[i][0], entries[i][1] };
    return timeline;
}

#define TIMELINE(tli, ...)                                                                         \
    make(tli, sizeof((const uint64_t[][2]){ __VA_ARGS__ }) / sizeof(uint64_t[2]),                  \
         (const uint64_t[][2]){ __VA_ARGS__ })
#define ROOT(tli) make(tli, 0, NULL)

/* The family used by most tests. */
enum { T1, T2_AT_100, T2_AT_150, T3_OF_2, T3_OF_1, T4_OF_3, UNKNOWN, T9_ALIEN, FAMILY };

static struct timeline member_of(int which)
{
    switch (which) {
    case T1:
        return ROOT(1);
    case T2_AT_100:
        return TIMELINE(2, { 1, 100 });
    case T2_AT_150:
        return TIMELINE(2, { 1, 150 });
    case T3_OF_2:
        return TIMELINE(3, { 1, 100 }, { 2, 200 });
    case T3_OF_1:
        return TIMELINE(3, { 1, 120 });
    case T4_OF_3:
        return TIMELINE(4, { 1, 100 }, { 2, 200 }, { 3, 300 });
    case T9_ALIEN:
        return ROOT(9);
    default:
        return ROOT(0);
    }
}

/* ---- the file ------------------------------------------------------------------------- */

START_TEST(reads_the_file)
{
    struct timeline timeline;
    struct timeline expected = TIMELINE(3, { 1, 0x16B374D848 }, { 2, 0x1700000000 });
    ck_assert_int_eq(timeline_parse(3,
                                    "# a comment\n"
                                    "\n"
                                    "1\t16/B374D848\tno recovery target specified\n"
                                    "  \n"
                                    " 2 17/0 before 2000-01-01 00:00:00+00\r\n",
                                    &timeline, NULL),
                     ERR_OK);
    ck_assert(timeline_equal(&timeline, &expected));
    ck_assert_int_eq(timeline_parse(2, "1\t0/64", &timeline, NULL), ERR_OK);
    ck_assert_uint_eq(timeline.entries[0].switch_at, 0x64);
    ck_assert_int_eq(timeline_parse(1, "", &timeline, NULL), ERR_OK);
    ck_assert_uint_eq(timeline.n, 0);
    /* Two promotions at one position: nothing was written on the timeline between. */
    ck_assert_int_eq(timeline_parse(3, "1\t0/64\tx\n2\t0/64\tx\n", &timeline, NULL), ERR_OK);
}
END_TEST

/* What is no such file is refused, and the output untouched (A6). */
static const struct {
    uint32_t tli;
    const char *text;
} bad[] = {
    { 0, "" },
    { 3, "x\t0/1\ty\n" },
    { 3, "-1\t0/1\ty\n" },
    { 3, "1\n" },
    { 3, "1\t\n" },
    { 3, "1\tnonsense\ty\n" },
    { 3, "1x\t0/1\ty\n" },
    { 3, "1\t0/1/1\ty\n" },
    { 3, "1\t00000000000000000000000000/1\ty\n" },
    { 3, "0\t0/1\ty\n" },
    { 3, "1\t80000000/0\ty\n" },
    { 3, "4294967296\t0/1\ty\n" },
    { 3, "3\t0/1\ty\n" },            /* its own number */
    { 3, "4\t0/1\ty\n" },            /* a later one */
    { 3, "2\t0/1\ty\n1\t0/2\ty\n" }, /* numbers go down */
    { 3, "1\t0/1\ty\n1\t0/2\ty\n" }, /* twice */
    { 3, "1\t0/2\ty\n2\t0/1\ty\n" }, /* positions go down */
};

START_TEST(refuses_other_files)
{
    struct timeline timeline = ROOT(77);
    struct err err = { .code = ERR_OK };
    ck_assert_int_eq(timeline_parse(bad[_i].tli, bad[_i].text, &timeline, &err), ERR_PROTOCOL);
    ck_assert_str_ne(err.text, "");
    ck_assert_uint_eq(timeline.tli, 77);
}
END_TEST

START_TEST(too_many_entries)
{
    struct text text = text_new(100000);
    struct timeline timeline;
    for (int i = 1; i <= LIMIT_TIMELINES; i++)
        text_addf(&text, "%d\t0/%X\tx\n", i, i);
    ck_assert_int_eq(timeline_parse(1000, text_str(&text), &timeline, NULL), ERR_OK);
    ck_assert_uint_eq(timeline.n, LIMIT_TIMELINES);
    text_addf(&text, "999\t1/0\tx\n");
    ck_assert_int_eq(timeline_parse(1000, text_str(&text), &timeline, NULL), ERR_LIMIT);
    text_done(&text);
}
END_TEST

/* ---- content -------------------------------------------------------------------------- */

/* "two crashed promotions can give two different timelines 2" (part 6). */
START_TEST(same_number_is_not_the_same)
{
    struct timeline a = member_of(T2_AT_100), b = member_of(T2_AT_150);
    ck_assert(!timeline_equal(&a, &b));
    ck_assert(timeline_equal(&a, &a));
    ck_assert(!timeline_contains(&a, &b, 1));
    ck_assert(!timeline_contains(&b, &a, 1));
    b = member_of(T3_OF_2);
    ck_assert(!timeline_equal(&a, &b));
    struct timeline c = TIMELINE(3, { 2, 100 }), d = TIMELINE(3, { 1, 100 });
    ck_assert(!timeline_equal(&c, &d));
    b = TIMELINE(3, { 1, 100 }, { 2, 200 });
    ck_assert(!timeline_equal(&b, &d));
}
END_TEST

/* S7: a position is contained when the way to the timeline leads over it. */
static const struct {
    int timeline, point;
    lsn_t lsn;
    bool contains;
} ways[] = {
    { T1, T1, 1000000, true },     /* how far it has got is not the question */
    { T2_AT_100, T1, 100, true },  /* up to the switch */
    { T2_AT_100, T1, 101, false }, /* beyond it the old primary went on alone */
    { T1, T2_AT_100, 1, false },   /* the promotion is not on the way */
    { T3_OF_2, T2_AT_100, 200, true },
    { T3_OF_2, T2_AT_100, 201, false },
    { T3_OF_2, T1, 100, true },
    { T3_OF_2, T1, 101, false },
    { T3_OF_1, T2_AT_100, 1, false }, /* a higher number that left timeline 1 elsewhere */
    { T3_OF_1, T1, 120, true },
    { T3_OF_2, T2_AT_150, 160, false }, /* the other timeline 2 */
    { T3_OF_2, T3_OF_1, 1, false },
    { T4_OF_3, T3_OF_2, 300, true },
    { T4_OF_3, T3_OF_1, 1, false },
    { T4_OF_3, T1, 100, true },
    { T9_ALIEN, T1, 1, false },
    { T4_OF_3, T9_ALIEN, 1, false },
    { UNKNOWN, T1, 1, false },
    { T1, UNKNOWN, 1, false },
    { UNKNOWN, UNKNOWN, 1, false },
};

START_TEST(contains)
{
    struct timeline timeline = member_of(ways[_i].timeline), point = member_of(ways[_i].point);
    ck_assert_int_eq(timeline_contains(&timeline, &point, ways[_i].lsn), ways[_i].contains);
}
END_TEST

/* The next leg must start on the point's own timeline, not on another one of the same length. */
START_TEST(contains_compares_the_leg)
{
    struct timeline timeline = TIMELINE(5, { 1, 100 }, { 3, 200 });
    struct timeline point = TIMELINE(2, { 1, 100 });
    ck_assert(!timeline_contains(&timeline, &point, 150));
}
END_TEST

/* Containment is what divergence says: for every pair and position of the family. */
START_TEST(containment_agrees_with_divergence)
{
    for (int a = 0; a < FAMILY; a++)
        for (int b = 0; b < FAMILY; b++)
            for (lsn_t lsn = 90; lsn < 310; lsn += 5) {
                struct timeline timeline = member_of(a), point = member_of(b);
                if (timeline_contains(&timeline, &point, lsn))
                    ck_assert_uint_ge(timeline_divergence(&timeline, &point), lsn);
            }
}
END_TEST

static const struct {
    int a, b;
    lsn_t common;
} forks[] = {
    { T1, T1, UINT64_MAX },         { T1, T2_AT_100, 100 },           { T2_AT_100, T2_AT_150, 100 },
    { T3_OF_2, T3_OF_1, 100 },      { T3_OF_2, T2_AT_100, 200 },      { T4_OF_3, T3_OF_2, 300 },
    { T4_OF_3, T2_AT_150, 100 },    { T1, T9_ALIEN, LSN_NONE },       { T1, UNKNOWN, LSN_NONE },
    { UNKNOWN, UNKNOWN, LSN_NONE }, { T4_OF_3, T4_OF_3, UINT64_MAX },
};

START_TEST(divergence)
{
    struct timeline a = member_of(forks[_i].a), b = member_of(forks[_i].b);
    ck_assert_uint_eq(timeline_divergence(&a, &b), forks[_i].common);
    ck_assert_uint_eq(timeline_divergence(&b, &a), forks[_i].common);
}
END_TEST

/* Both left the same timeline at the same place for different ones: common up to there. */
START_TEST(divergence_after_common_entries)
{
    struct timeline a = TIMELINE(5, { 1, 100 }, { 2, 200 });
    struct timeline b = TIMELINE(6, { 1, 100 }, { 3, 200 });
    ck_assert_uint_eq(timeline_divergence(&a, &b), 100);
    struct timeline c = TIMELINE(2, { 1, 100 }), d = TIMELINE(3, { 1, 100 });
    ck_assert_uint_eq(timeline_divergence(&c, &d), 100);
}
END_TEST

/* ---- order ---------------------------------------------------------------------------- */

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

/* A3: a total order: reversed comparison, equality only for equal ones, transitive for all triples. */
START_TEST(total_order)
{
    for (int a = 0; a < FAMILY; a++)
        for (int b = 0; b < FAMILY; b++) {
            struct timeline one = member_of(a), two = member_of(b);
            int order = timeline_cmp(&one, &two);
            ck_assert_int_eq(sign(order), -sign(timeline_cmp(&two, &one)));
            ck_assert_int_eq(order == 0, timeline_equal(&one, &two));
            for (int c = 0; c < FAMILY; c++) {
                struct timeline three = member_of(c);
                if (order > 0 && timeline_cmp(&two, &three) > 0)
                    ck_assert_int_gt(timeline_cmp(&one, &three), 0);
            }
        }
}
END_TEST

/* Part 4: a history that contains the other's fork wins; then the number; then the last switch. */
START_TEST(cascade)
{
    static const int better[][2] = { { T2_AT_100, T1 },      { T3_OF_2, T2_AT_100 },
                                     { T3_OF_1, T2_AT_150 }, { T2_AT_150, T2_AT_100 },
                                     { T3_OF_2, T3_OF_1 },   { T1, UNKNOWN } };
    struct timeline a = member_of(better[_i][0]), b = member_of(better[_i][1]);
    ck_assert_int_gt(timeline_cmp(&a, &b), 0);
}
END_TEST

START_TEST(last_resorts)
{
    struct timeline a = TIMELINE(4, { 1, 100 }, { 2, 200 }), b = TIMELINE(4, { 2, 200 });
    struct timeline c = TIMELINE(4, { 3, 200 }), none = ROOT(4);
    ck_assert_int_gt(timeline_cmp(&a, &b), 0);
    ck_assert_int_gt(timeline_cmp(&c, &b), 0);
    ck_assert_int_gt(timeline_cmp(&b, &none), 0);
    ck_assert_int_lt(timeline_cmp(&none, &b), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timeline");
    TCase *tc = tcase_create("timeline");
    tcase_add_test(tc, reads_the_file);
    tcase_add_loop_test(tc, refuses_other_files, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tc, too_many_entries);
    tcase_add_test(tc, same_number_is_not_the_same);
    tcase_add_loop_test(tc, contains, 0, sizeof(ways) / sizeof(ways[0]));
    tcase_add_test(tc, contains_compares_the_leg);
    tcase_add_test(tc, containment_agrees_with_divergence);
    tcase_add_loop_test(tc, divergence, 0, sizeof(forks) / sizeof(forks[0]));
    tcase_add_test(tc, divergence_after_common_entries);
    tcase_add_test(tc, total_order);
    tcase_add_loop_test(tc, cascade, 0, 6);
    tcase_add_test(tc, last_resorts);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
