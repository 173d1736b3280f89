#include "controller/pki/pki.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const int64_t day_ms = 86400000;
static struct pki_pair ca, leaf;

static const struct pki_leaf server = {
    .common_name = "db-server",
    .names = "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:db.x.svc,DNS:*.db.x.svc.cluster.local",
    .server = true,
};

static void setup(void)
{
    struct err err;
    ck_assert_msg(pki_make_ca("pgvigil db", clock_wall(), &ca, &err) == ERR_OK, "%s", err.text);
    ck_assert_msg(pki_make_leaf(ca.cert, ca.key, &server, clock_wall(), &leaf, &err) == ERR_OK,
                  "%s", err.text);
}

static void teardown(void)
{
    pki_pair_done(&ca);
    pki_pair_done(&leaf);
}

static struct wall in_days(int64_t days)
{
    return (struct wall){ clock_wall().ms + days * day_ms };
}

START_TEST(a_leaf_lasts_two_thirds_of_its_life)
{
    ck_assert(!pki_leaf_is_due(leaf.cert, ca.cert, &server, clock_wall()));
    ck_assert(!pki_leaf_is_due(leaf.cert, ca.cert, &server, in_days(240)));
    ck_assert(pki_leaf_is_due(leaf.cert, ca.cert, &server, in_days(246)));
    ck_assert(pki_leaf_is_due(leaf.cert, ca.cert, &server, in_days(400)));
}
END_TEST

START_TEST(another_ca_or_another_name_is_due)
{
    struct pki_pair other;
    ck_assert_int_eq(pki_make_ca("pgvigil db", clock_wall(), &other, NULL), ERR_OK);
    ck_assert(pki_leaf_is_due(leaf.cert, other.cert, &server, clock_wall()));
    pki_pair_done(&other);
    struct pki_leaf wanted = server;
    wanted.names = "DNS:db.y.svc";
    ck_assert(pki_leaf_is_due(leaf.cert, ca.cert, &wanted, clock_wall()));
    wanted.names = "DNS:*.db.y.svc.cluster.local";
    ck_assert(pki_leaf_is_due(leaf.cert, ca.cert, &wanted, clock_wall()));
    wanted.names = "IP:10.0.0.1";
    ck_assert(pki_leaf_is_due(leaf.cert, ca.cert, &wanted, clock_wall()));
    wanted.names = "DNS:*.db.x.svc.cluster.local,IP:::1";
    ck_assert(!pki_leaf_is_due(leaf.cert, ca.cert, &wanted, clock_wall()));
    ck_assert(pki_leaf_is_due("nonsense", ca.cert, &server, clock_wall()));
}
END_TEST

START_TEST(what_cannot_be_used)
{
    struct pki_pair made = { 0 };
    struct err err;
    struct pki_leaf bad = server;
    bad.names = "IP:not-an-address";
    ck_assert_int_eq(pki_make_leaf(ca.cert, ca.key, &bad, clock_wall(), &made, &err), ERR_INVALID);
    ck_assert_int_eq(pki_make_leaf("", ca.key, &server, clock_wall(), &made, &err), ERR_INVALID);
    ck_assert_ptr_null(made.cert);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pki");
    TCase *tcase = tcase_create("pki");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_leaf_lasts_two_thirds_of_its_life);
    tcase_add_test(tcase, another_ca_or_another_name_is_due);
    tcase_add_test(tcase, what_cannot_be_used);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
