/* Reading pg_controldata (patroni-compat 1.7). */
#include "sidecar/postgres/controldata.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/postgres/version.h"

static const char sample[] =
    "pg_control version number:            1300\n"
    "Catalog version number:               202406281\n"
    "Database system identifier:           7570000000000000001\n"
    "Database cluster state:               %s\n"
    "pg_control last modified:             Mon 23 Nov 2026 05:00:00 AM UTC\n"
    "Latest checkpoint location:           0/3000028\n"
    "Latest checkpoint's REDO location:    0/2FFFFF0\n"
    "Latest checkpoint's REDO WAL file:    000000020000000000000003\n"
    "Latest checkpoint's TimeLineID:       2\n"
    "Latest checkpoint's PrevTimeLineID:   2\n"
    "Minimum recovery ending location:     %s\n"
    "Min recovery ending loc's timeline:   %d\n"
    "wal_level setting:                    replica\n"
    "wal_log_hints setting:                on\n"
    "max_connections setting:              100\n"
    "max_worker_processes setting:         8\n"
    "max_wal_senders setting:              10\n"
    "max_prepared_xacts setting:           0\n"
    "max_locks_per_xact setting:           64\n"
    "Data page checksum version:           1\n";

static struct controldata parse(const char *state, const char *end, int tli)
{
    char text[4096];
    struct controldata control;
    struct err err = { .code = ERR_OK };
    snprintf(text, sizeof(text), sample, state, end, tli);
    enum err_code code = controldata_parse(text, &control, &err);
    ck_assert_msg(code == ERR_OK, "%s", err.text);
    return control;
}

/* "shut down → checkpoint LSN" */
START_TEST(test_clean_primary)
{
    struct controldata control = parse("shut down", "0/0", 0);
    ck_assert_uint_eq(control.system_id, 7570000000000000001ULL);
    ck_assert_int_eq(control.state, CONTROL_SHUT_DOWN);
    ck_assert(controldata_clean(&control));
    ck_assert(controldata_was_primary(&control));
    ck_assert_uint_eq(controldata_position(&control), 0x3000028);
    ck_assert_uint_eq(controldata_timeline(&control), 2);
    ck_assert(control.wal_log_hints);
    ck_assert(control.data_checksums);
    ck_assert_int_eq(control.max_connections, 100);
    ck_assert_int_eq(control.max_locks_per_transaction, 64);
}
END_TEST

/* "shut down in recovery / in archive recovery → minimum recovery end" */
START_TEST(test_standby)
{
    struct controldata control = parse("shut down in recovery", "0/5000000", 3);
    ck_assert(controldata_clean(&control));
    ck_assert(!controldata_was_primary(&control));
    ck_assert_uint_eq(controldata_position(&control), 0x5000000);
    ck_assert_uint_eq(controldata_timeline(&control), 3);
    /* A minimum recovery end before the checkpoint is of an older recovery. */
    control = parse("in archive recovery", "0/1000000", 1);
    ck_assert(!controldata_clean(&control));
    ck_assert_uint_eq(controldata_position(&control), 0x3000028);
    ck_assert_uint_eq(controldata_timeline(&control), 2);
}
END_TEST

/* A crashed primary is one, and not clean. */
START_TEST(test_crashed)
{
    static const char *const states[] = { "in production", "shutting down", "in crash recovery" };
    for (size_t i = 0; i < 3; i++) {
        struct controldata control = parse(states[i], "0/0", 0);
        ck_assert_str_eq(control_state_name(control.state), states[i]);
        ck_assert(!controldata_clean(&control));
        ck_assert(controldata_was_primary(&control));
    }
}
END_TEST

/* What makes no sense is an error that names it, and nothing is taken over. */
START_TEST(test_nonsense)
{
    char text[4096];
    struct controldata control = { .version = -5 };
    struct err err = { .code = ERR_OK };
    ck_assert_int_eq(controldata_parse("", &control, &err), ERR_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(err.text, "pg_control version number"));
    snprintf(text, sizeof(text), sample, "on holiday", "0/0", 0);
    ck_assert_int_eq(controldata_parse(text, &control, &err), ERR_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(err.text, "on holiday"));
    snprintf(text, sizeof(text), sample, "shut down", "nowhere", 0);
    ck_assert_int_eq(controldata_parse(text, &control, &err), ERR_PROTOCOL);
    ck_assert_int_eq(control.version, -5);
}
END_TEST

/* Design part 5: releases with the SSN start-up race are known. */
START_TEST(test_versions)
{
    ck_assert_int_eq(version_parse("postgres (PostgreSQL) 17.12 (Debian 17.12-0+deb13u1)"), 170012);
    ck_assert_int_eq(version_parse("postgres (PostgreSQL) 18beta2"), 180000);
    ck_assert_int_eq(version_parse("postgres (PostgreSQL) 9.6.24"), 0);
    ck_assert_int_eq(version_parse("psql: not found"), 0);
    ck_assert(version_waits_from_the_start(170005));
    ck_assert(!version_waits_from_the_start(170004));
    ck_assert(version_waits_from_the_start(150013));
    ck_assert(!version_waits_from_the_start(150012));
    ck_assert(version_waits_from_the_start(180000));
    ck_assert(!version_waits_from_the_start(120022));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("controldata");
    TCase *tcase = tcase_create("parse");
    tcase_add_test(tcase, test_clean_primary);
    tcase_add_test(tcase, test_standby);
    tcase_add_test(tcase, test_crashed);
    tcase_add_test(tcase, test_nonsense);
    tcase_add_test(tcase, test_versions);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
