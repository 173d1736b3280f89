/* The keys failover and history, and ISO times. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "cluster/failover.h"
#include "cluster/history.h"
#include "json/json.h"

static struct err err;

/* ---- times ------------------------------------------------------------------------------ */

static const struct {
    const char *text;
    int64_t ms;
} times[] = {
    { "1970-01-01T00:00:00+00:00", 0 },
    { "2026-01-31T23:59:59.123456+00:00", 1769903999123 },
    { "2026-01-31 23:59:59.1Z", 1769903999100 },
    { "2026-01-31T23:59:59,1234567890z", 1769903999123 },
    { "2026-02-01T01:59:59+02:00", 1769903999000 },
    { "2026-01-31T21:29:59-0230", 1769903999000 },
    { "2026-02-01T00:59:59 +01", 1769903999000 },
    { "2026-01-31T23:59+00:00", 1769903940000 },
    { "2024-02-29T00:00:00Z", 1709164800000 },
    { "2000-02-29T00:00:00Z", 951782400000 },
    { "2026-12-31T00:00:00Z", 1798675200000 },
};

START_TEST(iso_times)
{
    struct wall wall;
    ck_assert_int_eq(iso_parse(times[_i].text, &wall), ISO_OK);
    ck_assert_int_eq(wall.ms, times[_i].ms);
}
END_TEST

/* What clock_iso writes is read back. */
START_TEST(iso_own_form)
{
    char buffer[CLOCK_ISO_MAX];
    struct wall wall;
    for (int64_t ms = 1; ms < INT64_C(4000000000000); ms = ms * 3 + 1) {
        ck_assert_int_eq(iso_parse(clock_iso((struct wall){ ms }, buffer), &wall), ISO_OK);
        ck_assert_int_eq(wall.ms, ms);
    }
}
END_TEST

static const char *const bad_times[] = {
    "",
    "now",
    "2026",
    "2026-01",
    "2026-01-31",
    "2026-01-31T",
    "2026-01-31T23",
    "2026-01-31T23:",
    "2026-01-31T23:5",
    "2026-01-31T24:00:00Z",
    "2026-01-31T23:60:00Z",
    "2026-01-31T23:59:60Z",
    "2026-01-31T23:59:5Z",
    "2026-01-31T23:59:59.Z",
    "2026-01-31T23:59:59.",
    "2026-01-31T23:59:59Zx",
    "2026-01-31T23:59:59*00:00",
    "2026-01-31T23:59:59+0",
    "2026-01-31T23:59:59+00:",
    "2026-01-31T23:59:59+00:0",
    "2026-01-31T23:59:59+24:00",
    "2026-01-31T23:59:59+00:60",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "1969-12-31T00:00:00Z",
    "2026/01/31T00:00:00Z",
    "2026-01/31T00:00:00Z",
    "2026-0",
    "2026-01-3",
};

START_TEST(iso_refused)
{
    struct wall wall = { 77 };
    ck_assert_int_eq(iso_parse(bad_times[_i], &wall), ISO_BAD);
    ck_assert_int_eq(wall.ms, 77);
}
END_TEST

/* 2.5: "Timezone information is mandatory". */
START_TEST(iso_without_zone)
{
    struct wall wall;
    ck_assert_int_eq(iso_parse("2026-01-31T23:59:59", &wall), ISO_NO_ZONE);
    ck_assert_int_eq(iso_parse("2026-01-31 23:59", &wall), ISO_NO_ZONE);
}
END_TEST

/* ---- failover --------------------------------------------------------------------------- */

static enum err_code read_failover(const char *text, struct failover *failover)
{
    return failover_from_json(text, strlen(text), 9, failover, &err);
}

static void check_failover(const struct failover *failover, const char *expected)
{
    auto_text struct text text = text_new(LIMIT_FILE);
    failover_write(&text, failover);
    ck_assert_str_eq(text_str(&text), expected);
}

static const struct {
    const char *read, *written;
} wishes[] = {
    { "{\"leader\":\"a\",\"member\":\"b\"}", "{\"leader\":\"a\",\"member\":\"b\"}" },
    { "{\"member\":\"b\"}", "{\"member\":\"b\"}" },
    { "{\"leader\":\"a\",\"scheduled_at\":\"2026-01-31T23:59:59+00:00\"}",
      "{\"leader\":\"a\",\"scheduled_at\":\"2026-01-31T23:59:59+00:00\"}" },
    { "{}", "{}" },
    { " {\"leader\":null} ", "{}" },
    { "", "{}" },
    { "a:b", "{\"leader\":\"a\",\"member\":\"b\"}" },
    { "a:", "{\"leader\":\"a\"}" },
    { ":b", "{\"member\":\"b\"}" },
    { "a", "{\"leader\":\"a\"}" },
    { ":", "{}" },
};

/* 3.2: JSON, the old `leader:candidate`; `{}` is none and is what is written for none (trap 4). */
START_TEST(failover_forms)
{
    struct failover failover;
    ck_assert_int_eq(read_failover(wishes[_i].read, &failover), ERR_OK);
    ck_assert_int_eq(failover.exists, strcmp(wishes[_i].written, "{}") != 0);
    ck_assert_int_eq(failover.mod_revision, 9);
    check_failover(&failover, wishes[_i].written);
}
END_TEST

START_TEST(failover_scheduled)
{
    struct failover failover;
    ck_assert_int_eq(
        read_failover("{\"leader\":\"a\",\"scheduled_at\":\"1970-01-01T00:00:01Z\"}", &failover),
        ERR_OK);
    ck_assert(failover.scheduled);
    ck_assert_int_eq(failover.scheduled_at.ms, 1000);
}
END_TEST

/* A schedule that cannot be read must not become "now". */
static const char *const bad_wishes[] = {
    "{",
    "{\"leader\":1}",
    "{\"member\":1}",
    "{\"scheduled_at\":1}",
    "{\"leader\":\"a\",\"scheduled_at\":\"tomorrow\"}",
    "{\"leader\":\"a\",\"scheduled_at\":\"2026-01-31T23:59:59\"}",
    "{\"leader\":\"a\",\"scheduled_at\":\"2026-01-31T23:59:59.0000000000000000000000000000+00:00\"}",
};

START_TEST(failover_refused)
{
    struct failover failover = { .mod_revision = 77 };
    ck_assert_int_eq(read_failover(bad_wishes[_i], &failover), ERR_PROTOCOL);
    ck_assert_int_eq(failover.mod_revision, 77);
}
END_TEST

START_TEST(failover_limits)
{
    static const char *const forms[] = { "{\"leader\":\"%064d\"}", "{\"member\":\"%064d\"}",
                                         "%064d:b", "a:%064d" };
    struct failover failover;
    auto_text struct text text = text_new(LIMIT_FILE);
    const char *percent = strchr(forms[_i], '%');
    text_add_bytes(&text, forms[_i], (size_t)(percent - forms[_i]));
    text_addf(&text, "%064d%s", 1, percent + strlen("%064d"));
    ck_assert_int_eq(read_failover(text_str(&text), &failover), ERR_LIMIT);
}
END_TEST

/* ---- history ---------------------------------------------------------------------------- */

static struct history *read_history(const char *json)
{
    struct history *history = mem_struct(struct history);
    ck_assert_int_eq(history_from_json(json, strlen(json), history, &err), ERR_OK);
    return history;
}

static void check_history(const struct history *history, size_t max, const char *expected)
{
    auto_json json_t *json = history_to_json(history, max);
    auto_text struct text text = text_new(LIMIT_FILE);
    json_write(&text, json);
    ck_assert_str_eq(text_str(&text), expected);
}

static const char history_text[] =
    "[[1,100,\"no recovery target specified\",\"2026-01-31T23:59:59+00:00\",\"a\"],"
    "[2,200,\"x\",\"2026-02-01T00:00:00+00:00\"],[3,300,\"y\"]]";

START_TEST(history_there_and_back)
{
    auto_free struct history *history = read_history(history_text);
    check_history(history, 0, history_text);
    check_history(history, 3, history_text);
    check_history(history, 1, "[[3,300,\"y\"]]");
    ck_assert_uint_eq(history_timeline(history), 4);
    auto_free struct history *none = read_history("[]");
    ck_assert_uint_eq(history_timeline(none), 1);
    check_history(none, 5, "[]");
}
END_TEST

/* The file of the present timeline, with times and leaders of what was known before (1.9). */
START_TEST(history_of_a_file)
{
    auto_free struct history *old = read_history(history_text);
    auto_free struct history *history = mem_struct(struct history);
    ck_assert_int_eq(history_from_file(4,
                                       "# comment\n1\t0/64\tno recovery target specified\r\n\n"
                                       " 2\t0/C8\t  a reason\n3\t0/1F4\n",
                                       history, &err),
                     ERR_OK);
    history_merge(history, old, "2026-03-01T00:00:00+00:00", "b");
    check_history(history, 0,
                  "[[1,100,\"no recovery target specified\",\"2026-01-31T23:59:59+00:00\",\"a\"],"
                  "[2,200,\"a reason\",\"2026-02-01T00:00:00+00:00\"],"
                  "[3,500,\"\",\"2026-03-01T00:00:00+00:00\",\"b\"]]");
    /* Again: nothing that is known is changed. */
    history_merge(history, history, "2099-01-01T00:00:00+00:00", "c");
    ck_assert_str_eq(history->entries[2].leader, "b");
    ck_assert_int_eq(history_from_file(3, "nonsense", history, &err), ERR_PROTOCOL);
}
END_TEST

START_TEST(history_of_timeline_1)
{
    auto_free struct history *history = mem_struct(struct history);
    ck_assert_int_eq(history_from_file(1, "", history, &err), ERR_OK);
    history_merge(history, history, "x", "b");
    check_history(history, 0, "[]");
}
END_TEST

/* Too many: the newest are kept. A reason that is cut inside a character is left out, not sent. */
START_TEST(history_limits)
{
    auto_text struct text json = text_new(LIMIT_FILE);
    text_add(&json, "[[1,1,\"x\"]");
    for (int i = 2; i <= LIMIT_TIMELINES + 2; i++)
        text_addf(&json, ",[%d,%d,\"x\"]", i, i);
    text_add(&json, "]");
    auto_free struct history *history = read_history(text_str(&json));
    ck_assert_uint_eq(history->n, LIMIT_TIMELINES);
    ck_assert_uint_eq(history->entries[0].tli, 3);
    ck_assert_uint_eq(history_timeline(history), LIMIT_TIMELINES + 3);

    text_clear(&json);
    text_add(&json, "1\t0/1\t");
    for (int i = 0; i < LIMIT_REASON; i++)
        text_add(&json, "\xc3\xa4");
    ck_assert_int_eq(history_from_file(2, text_str(&json), history, &err), ERR_OK);
    check_history(history, 0, "[[1,1,\"\"]]");
}
END_TEST

static const char *const bad_histories[] = { "",        "{}",          "[1]",
                                             "[[1]]",   "[[\"x\",1]]", "[[1,\"x\"]]",
                                             "[[0,1]]", "[[1,-1]]",    "[[4294967296,1]]" };

START_TEST(history_refused)
{
    auto_free struct history *history = read_history("[[5,1]]");
    const char *json = bad_histories[_i];
    ck_assert_int_eq(history_from_json(json, strlen(json), history, &err), ERR_PROTOCOL);
    ck_assert_uint_eq(history->entries[0].tli, 5);
}
END_TEST

#define COUNT(rows) (int)(sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    Suite *suite = suite_create("failover and history");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, iso_times, 0, COUNT(times));
    tcase_add_test(tc, iso_own_form);
    tcase_add_loop_test(tc, iso_refused, 0, COUNT(bad_times));
    tcase_add_test(tc, iso_without_zone);
    tcase_add_loop_test(tc, failover_forms, 0, COUNT(wishes));
    tcase_add_test(tc, failover_scheduled);
    tcase_add_loop_test(tc, failover_refused, 0, COUNT(bad_wishes));
    tcase_add_loop_test(tc, failover_limits, 0, 4);
    tcase_add_test(tc, history_there_and_back);
    tcase_add_test(tc, history_of_a_file);
    tcase_add_test(tc, history_of_timeline_1);
    tcase_add_test(tc, history_limits);
    tcase_add_loop_test(tc, history_refused, 0, COUNT(bad_histories));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
