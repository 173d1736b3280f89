#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/sync_state.h"

static struct names of(const char *a, const char *b, const char *c)
{
    struct names names = { .n = 0 };
    const char *const all[] = { a, b, c };
    for (size_t i = 0; i < 3; i++)
        if (all[i] != NULL)
            names_add(&names, all[i]);
    return names;
}

static const char *joined(const struct names *names)
{
    static char buffer[LIMIT_MEMBERS * LIMIT_NAME];
    return names_join(names, buffer, sizeof(buffer));
}

/* The set is the same whatever order its names came in. */
START_TEST(order_does_not_matter)
{
    static const char *const orders[][3] = { { "a", "b", "c" }, { "a", "c", "b" },
                                             { "b", "a", "c" }, { "b", "c", "a" },
                                             { "c", "a", "b" }, { "c", "b", "a" } };
    struct names names = of(orders[_i][0], orders[_i][1], orders[_i][2]);
    struct names expected = of("a", "b", "c");
    ck_assert_str_eq(joined(&names), "a,b,c");
    ck_assert(names_equal(&names, &expected));
    ck_assert_int_eq(memcmp(&names, &expected, sizeof(names)), 0);
}
END_TEST

/* Names are compared without regard to case (patroni-compat 3.2). */
START_TEST(case_does_not_matter)
{
    struct names names = of("Pg-0", "pG-0", NULL);
    ck_assert_uint_eq(names.n, 1);
    ck_assert(names_has(&names, "PG-0"));
    ck_assert(!names_has(&names, "pg-1"));
    ck_assert(!names_has(&names, "pg"));
    ck_assert(!names_has(&names, "pg-00"));
    names_remove(&names, "pg-0");
    ck_assert_uint_eq(names.n, 0);
}
END_TEST

START_TEST(removes)
{
    struct names names = of("a", "b", "c"), rest = of("a", "c", NULL);
    names_remove(&names, "b");
    names_remove(&names, "x");
    ck_assert_str_eq(joined(&names), "a,c");
    ck_assert_int_eq(memcmp(&names, &rest, sizeof(names)), 0);
    names_remove(&names, "c");
    names_remove(&names, "a");
    ck_assert_uint_eq(names.n, 0);
}
END_TEST

START_TEST(covers_and_equals)
{
    struct names abc = of("a", "b", "c"), ab = of("a", "b", NULL), ac = of("a", "c", NULL);
    struct names none = of(NULL, NULL, NULL);
    ck_assert(names_covers(&abc, &ab));
    ck_assert(!names_covers(&ab, &abc));
    ck_assert(names_covers(&ab, &none));
    ck_assert(!names_equal(&ab, &ac));
    ck_assert(!names_equal(&abc, &ab));
    ck_assert(names_equal(&none, &none));
}
END_TEST

/* A22: a full set takes no more and says so; a name that would be cut is not taken either. */
START_TEST(limits)
{
    struct names names = { .n = 0 };
    char name[LIMIT_NAME + 1];
    for (int i = 0; i < LIMIT_MEMBERS; i++) {
        ck_assert(!names_full(&names));
        snprintf(name, sizeof(name), "m%02d", i);
        names_add(&names, name);
    }
    ck_assert(names_full(&names));
    names_add(&names, "one-more");
    ck_assert(!names_has(&names, "one-more"));

    struct names few = { .n = 0 };
    memset(name, 'x', LIMIT_NAME);
    name[LIMIT_NAME] = '\0';
    names_add(&few, name);
    names_add(&few, "");
    ck_assert_uint_eq(few.n, 0);
    name[LIMIT_NAME - 1] = '\0';
    names_add(&few, name);
    ck_assert_uint_eq(few.n, 1);
}
END_TEST

/* A buffer that is too small holds whole names only. */
START_TEST(join_never_cuts_a_name)
{
    struct names names = of("aa", "bb", NULL);
    char buffer[6];
    ck_assert_str_eq(names_join(&names, buffer, 6), "aa,bb");
    ck_assert_str_eq(names_join(&names, buffer, 5), "aa");
    ck_assert_str_eq(names_join(&names, buffer, 3), "aa");
    ck_assert_str_eq(names_join(&names, buffer, 2), "");
}
END_TEST

/* Part 4: "in force when /sync names a leader". */
START_TEST(in_force)
{
    struct sync_state sync = { .exists = true, .leader = "a" };
    names_add(&sync.standbys, "b");
    ck_assert(sync_in_force(&sync));
    ck_assert(sync_names(&sync, "A"));
    ck_assert(sync_names(&sync, "b"));
    ck_assert(!sync_names(&sync, "c"));
    sync.leader[0] = '\0';
    ck_assert(!sync_in_force(&sync));
    ck_assert(!sync_names(&sync, "b"));
    sync = (struct sync_state){ .exists = false, .leader = "a" };
    ck_assert(!sync_in_force(&sync));
}
END_TEST

/* patroni-compat 1.6: bare identifiers, everything else quoted, comma without blank, the count. */
static const struct {
    const char *a, *b, *c;
    const char *ssn;
} formats[] = {
    { NULL, NULL, NULL, "" },
    { "n1", NULL, NULL, "n1" },
    { "pg-1", NULL, NULL, "\"pg-1\"" },
    { "1n", NULL, NULL, "\"1n\"" },
    { "First", NULL, NULL, "\"First\"" },
    { "any", NULL, NULL, "\"any\"" },
    { "anyone", NULL, NULL, "anyone" },
    { "a\"b", NULL, NULL, "\"a\"\"b\"" },
    { "a(b", NULL, NULL, "\"a(b\"" },
    { "_a$1", NULL, NULL, "_a$1" },
    { "a{1", NULL, NULL, "\"a{1\"" },
    { "a:1", NULL, NULL, "\"a:1\"" },
    { "a[1", NULL, NULL, "\"a[1\"" },
    { "b", "a", NULL, "2 (a,b)" },
    { "b", "a-1", "C", "3 (C,\"a-1\",b)" },
    { "a(", "b,", NULL, "2 (\"a(\",\"b,\")" },
};

START_TEST(ssn_goes_there_and_back)
{
    struct names names = of(formats[_i].a, formats[_i].b, formats[_i].c), back = { .n = 0 };
    char ssn[LIMIT_SSN];
    ssn_format(&names, ssn);
    ck_assert_str_eq(ssn, formats[_i].ssn);
    enum ssn_kind expected = names.n == 0 ? SSN_EMPTY : SSN_NAMES;
    ck_assert_int_eq(ssn_parse(ssn, &back), expected);
    ck_assert(names_equal(&names, &back));
}
END_TEST

/* The largest set, every byte of it doubled by quotes, has room. */
START_TEST(ssn_of_the_largest_set)
{
    struct names names = { .n = 0 }, back;
    char name[LIMIT_NAME], ssn[LIMIT_SSN];
    memset(name, '"', sizeof(name));
    name[LIMIT_NAME - 1] = '\0';
    for (int i = 0; i < LIMIT_MEMBERS; i++) {
        name[0] = (char)('a' + i);
        names_add(&names, name);
    }
    ssn_format(&names, ssn);
    ck_assert_int_eq(ssn_parse(ssn, &back), SSN_NAMES);
    ck_assert(names_equal(&names, &back));
}
END_TEST

/* Anything that would let a commit pass without every name is foreign (S1). */
static const struct {
    const char *ssn;
    enum ssn_kind kind;
} kinds[] = {
    { "", SSN_EMPTY },
    { "  ", SSN_EMPTY },
    { SSN_NOBODY_NAME, SSN_NOBODY },
    { "*", SSN_FOREIGN },
    { "\"*\"", SSN_FOREIGN },
    { "2 (\"*\",a)", SSN_FOREIGN },
    { "2 (a," SSN_NOBODY_NAME ")", SSN_FOREIGN },
    { "a,b", SSN_FOREIGN },
    { "1 (a,b)", SSN_FOREIGN },
    { "ANY 1 (a,b)", SSN_FOREIGN },
    { "FIRST 2 (a,b)", SSN_FOREIGN },
    { "2 (a, b)", SSN_FOREIGN },
    { "2 (b,a)", SSN_FOREIGN },
    { "2 (a,a)", SSN_FOREIGN },
    { "3 (a,b)", SSN_FOREIGN },
    { "2 (a,b", SSN_FOREIGN },
    { "2 (a,", SSN_FOREIGN },
    { "2 (", SSN_FOREIGN },
    { "1 (a)", SSN_FOREIGN },
    { "a b", SSN_FOREIGN },
    { "pg-1", SSN_FOREIGN },
    { "\"a", SSN_FOREIGN },
    { "\"\"", SSN_FOREIGN },
    { "\"a\"", SSN_FOREIGN }, /* PostgreSQL would take it; we write it bare */
    { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", SSN_FOREIGN },
};

START_TEST(ssn_kinds)
{
    struct names untouched = of("keep", NULL, NULL), names = untouched;
    ck_assert_int_eq(ssn_parse(kinds[_i].ssn, &names), kinds[_i].kind);
    ck_assert(names_equal(&names, &untouched));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sync_state");
    TCase *tc = tcase_create("sync_state");
    tcase_add_loop_test(tc, order_does_not_matter, 0, 6);
    tcase_add_test(tc, case_does_not_matter);
    tcase_add_test(tc, removes);
    tcase_add_test(tc, covers_and_equals);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, join_never_cuts_a_name);
    tcase_add_test(tc, in_force);
    tcase_add_loop_test(tc, ssn_goes_there_and_back, 0, sizeof(formats) / sizeof(formats[0]));
    tcase_add_test(tc, ssn_of_the_largest_set);
    tcase_add_loop_test(tc, ssn_kinds, 0, sizeof(kinds) / sizeof(kinds[0]));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
