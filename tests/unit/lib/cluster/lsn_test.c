#include <check.h>
#include <stdlib.h>

#include "cluster/lsn.h"

/* A position is read and written as PostgreSQL does it. */
static const struct {
    const char *text;
    lsn_t lsn;
} same[] = {
    { "0/0", 0 },
    { "0/1", 1 },
    { "16/B374D848", 0x16B374D848 },
    { "1/0", 0x100000000 },
    { "FFFFFFFF/FFFFFFFF", UINT64_MAX },
    { "AB/9CDEF012", 0xAB9CDEF012 },
};

START_TEST(reads_and_writes_the_same)
{
    char buffer[LSN_TEXT_MAX];
    lsn_t lsn = 7;
    ck_assert(lsn_parse(same[_i].text, &lsn));
    ck_assert_uint_eq(lsn, same[_i].lsn);
    ck_assert_str_eq(lsn_format(lsn, buffer), same[_i].text);
}
END_TEST

START_TEST(lower_case_is_read)
{
    lsn_t lsn;
    ck_assert(lsn_parse("af/bc", &lsn));
    ck_assert_uint_eq(lsn, 0xaf000000bc);
}
END_TEST

/* What is no position leaves the output untouched (A6). */
static const char *const bad[] = { "",     "/",    "1",           "1/",          "/1",   "g/1",
                                   "1/g",  "1/1 ", " 1/1",        "1/1/1",       "-1/1", "1/-1",
                                   "1//1", "@/1",  "123456789/1", "1/123456789", "1:1",  "`/1" };

START_TEST(refuses_everything_else)
{
    lsn_t lsn = 7;
    ck_assert(!lsn_parse(bad[_i], &lsn));
    ck_assert_uint_eq(lsn, 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lsn");
    TCase *tc = tcase_create("lsn");
    tcase_add_loop_test(tc, reads_and_writes_the_same, 0, sizeof(same) / sizeof(same[0]));
    tcase_add_test(tc, lower_case_is_read);
    tcase_add_loop_test(tc, refuses_everything_else, 0, sizeof(bad) / sizeof(bad[0]));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
