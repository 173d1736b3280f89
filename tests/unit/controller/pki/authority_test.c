#include "controller/pki/authority.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "controller/pki/pki.h"

static const int64_t DAY_MS = 86400000;
static const struct wall begun = { 1800000000000 };
static struct pki_pair first, second;

static struct wall day(int64_t days)
{
    return (struct wall){ begun.ms + days * DAY_MS };
}

static void setup(void)
{
    ck_assert_int_eq(pki_make_ca("pgvigil db", begun, &first, NULL), ERR_OK);
    ck_assert_int_eq(pki_make_ca("pgvigil db", day(2500), &second, NULL), ERR_OK);
}

static void teardown(void)
{
    pki_pair_done(&first);
    pki_pair_done(&second);
}

static enum authority_move move_at(const struct authority *authority, int64_t now, int64_t oldest)
{
    return authority_move(authority, day(now), day(oldest));
}

/* Ten years: a third is left after day 2433, a sixth after day 3041. */
START_TEST(a_life)
{
    struct authority authority = { .cert = first.cert, .own_name = "pgvigil db" };
    ck_assert_int_eq(move_at(&authority, 2400, 1), AUTHORITY_KEEP);
    ck_assert_int_eq(move_at(&authority, 2450, 1), AUTHORITY_PREPARE);
    authority.next = first.cert; /* the one that was promoted: none is prepared */
    ck_assert_int_eq(move_at(&authority, 2450, 1), AUTHORITY_PREPARE);
    authority.next = second.cert;
    ck_assert_int_eq(move_at(&authority, 2501, 1), AUTHORITY_KEEP);
    ck_assert_int_eq(move_at(&authority, 3000, 2600), AUTHORITY_KEEP);
    ck_assert_int_eq(move_at(&authority, 3100, 2600), AUTHORITY_PROMOTE);
    ck_assert_int_eq(move_at(&authority, 3100, 2500),
                     AUTHORITY_WAIT); /* it may have the old bundle */
    ck_assert_int_eq(authority_move(&authority, day(3100), (struct wall){ 0 }), AUTHORITY_WAIT);
    authority = (struct authority){
        .cert = second.cert, .next = second.cert, .previous = first.cert, .own_name = "pgvigil db"
    };
    ck_assert_int_eq(move_at(&authority, 3101, 2600), AUTHORITY_KEEP);
}
END_TEST

/* One that a person has put there is theirs to renew; what cannot be read is left alone. */
START_TEST(not_ours)
{
    struct authority authority = { .cert = first.cert, .own_name = "pgvigil other" };
    ck_assert_int_eq(move_at(&authority, 3000, 1), AUTHORITY_KEEP);
    ck_assert_int_eq(move_at(&authority, 3100, 1), AUTHORITY_ENDS);
    authority.cert = "nonsense";
    ck_assert_int_eq(move_at(&authority, 3100, 1), AUTHORITY_KEEP);
}
END_TEST

static void expect_bundle(const struct authority *authority, int64_t now, const char *a,
                          const char *b)
{
    auto_text struct text bundle = text_new(10000);
    auto_text struct text wanted = text_new(10000);
    authority_bundle(authority, day(now), &bundle);
    text_addf(&wanted, "%s%s", a, b);
    ck_assert_str_eq(text_str(&bundle), text_str(&wanted));
}

START_TEST(bundles)
{
    struct authority authority = { .cert = first.cert };
    expect_bundle(&authority, 1, first.cert, "");
    authority.next = second.cert;
    expect_bundle(&authority, 2600, first.cert, second.cert);
    authority =
        (struct authority){ .cert = second.cert, .next = second.cert, .previous = first.cert };
    expect_bundle(&authority, 3100, second.cert, first.cert);
    expect_bundle(&authority, 3651, second.cert, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("authority");
    TCase *tcase = tcase_create("authority");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_life);
    tcase_add_test(tcase, not_ours);
    tcase_add_test(tcase, bundles);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
