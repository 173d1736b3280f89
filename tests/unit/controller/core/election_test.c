#include "controller/core/election.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* 4, 3 and 1 s at ttl 10; never slower than ttl/2, but where the floor of 2, 1.5 and 0.5 s is. */
START_TEST(times_follow_the_ttl)
{
    static const struct {
        int64_t ttl_ms, duration, deadline, retry;
    } rows[] = {
        { 10000, 4000, 3000, 1000 },
        { 3000, 2000, 1500, 500 },
        { 5000, 2000, 1500, 500 },
        { 30000, 12000, 9000, 3000 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct election_times times = election_times(rows[i].ttl_ms);
        ck_assert_int_eq(times.duration_ms, rows[i].duration);
        ck_assert_int_eq(times.deadline_ms, rows[i].deadline);
        ck_assert_int_eq(times.retry_ms, rows[i].retry);
    }
    for (int64_t ttl_ms = 4000; ttl_ms <= 60000; ttl_ms += 500)
        ck_assert_int_le(election_times(ttl_ms).duration_ms, ttl_ms / 2);
}
END_TEST

static struct election_view view;

static void setup(void)
{
    view = (struct election_view){
        .now = { 50000 },
        .self = "c-0",
        .holder = "c-1",
        .duration_ms = 4000,
        .changed = { 46001 },
    };
}

START_TEST(moves)
{
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_WAIT);
    view.changed.ms = 46000; /* unchanged for its own duration */
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_TAKE);
    setup();
    view.holder = ""; /* handed back */
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_TAKE);
    view.holder = NULL;
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_TAKE);
    view.holder = "c-0";
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_RENEW);
}
END_TEST

START_TEST(beside_the_primary)
{
    view.beside_primary = true;
    view.holder = "c-0";
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_RENEW); /* nobody else is there */
    view.successor = "c-1";
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_HAND_OVER);
    view.holder = "c-1"; /* the other one has a duration more before we step in */
    view.changed.ms = 45000;
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_WAIT);
    view.changed.ms = 42000;
    ck_assert_int_eq((int)election_move(&view), (int)ELECTION_TAKE);
}
END_TEST

START_TEST(who_could_follow)
{
    struct pods pods = { .n = 4 };
    static const char *const names[] = { "c-0", "c-2", "c-1", "db-0" };
    static const char *const nodes[] = { "n0", "n2", "n1", "n0" };
    for (size_t i = 0; i < pods.n; i++) {
        (void)text_copy(pods.pod[i].name, LIMIT_KUBE_NAME, names[i]);
        (void)text_copy(pods.pod[i].node, LIMIT_KUBE_NAME, nodes[i]);
        pods.pod[i].component = i < 3 ? COMPONENT_CONTROLLER : COMPONENT_DATA;
        pods.pod[i].ready = true;
    }
    const struct pod *primary = &pods.pod[3];
    ck_assert_str_eq(election_successor(&pods, "c-0", primary)->name, "c-1");
    pods.pod[2].ready = false;
    ck_assert_str_eq(election_successor(&pods, "c-0", primary)->name, "c-2");
    pods.pod[1].deleting = true;
    ck_assert_ptr_null(election_successor(&pods, "c-0", primary));
    pods.pod[1].deleting = false;
    ck_assert_ptr_null(election_successor(&pods, "c-2", primary)); /* c-0 is beside it */
    ck_assert_str_eq(election_successor(&pods, "c-2", NULL)->name, "c-0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("election");
    TCase *tcase = tcase_create("election");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, times_follow_the_ttl);
    tcase_add_test(tcase, moves);
    tcase_add_test(tcase, beside_the_primary);
    tcase_add_test(tcase, who_could_follow);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
