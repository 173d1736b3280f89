/* What the member key shows of a Postgres that cannot be asked (patroni-compat 3.4). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "sidecar/sidecar_internal.h"
#include "json/json.h"

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

static void expect_extras(const struct pg_facts *facts, const char *scheduled, const char *want)
{
    auto_json json_t *extras = sidecar_member_extras(facts, scheduled);
    auto_text struct text text = text_new(LIMIT_HTTP_BODY);
    json_write(&text, extras);
    ck_assert_str_eq(text_str(&text), want);
}

/* 3.4: what /cluster, patronictl list and check_patroni read of a restart that is to come. */
START_TEST(scheduled_restart_in_the_key)
{
    struct pg_facts facts = { .state = MEMBER_RUNNING, .queryable = true };
    expect_extras(&facts, NULL, "{}");
    expect_extras(&facts, "nonsense", "{}");
    expect_extras(&facts, "{\"schedule\":\"2099-01-01T00:00:00+00:00\",\"role\":\"primary\"}",
                  "{\"scheduled_restart\":{\"schedule\":\"2099-01-01T00:00:00+00:00\","
                  "\"role\":\"primary\"}}");
}
END_TEST

/* 2.4: the state that /cluster shows of a standby that reads the archive. */
START_TEST(archive_recovery_in_the_key)
{
    struct pg_facts facts = {
        .state = MEMBER_RUNNING, .queryable = true, .in_recovery = true, .archive_recovery = true
    };
    expect_extras(&facts, NULL, "{\"replication_state\":\"in archive recovery\"}");
    facts.queryable = false;
    expect_extras(&facts, NULL, "{}");
    facts.queryable = true;
    facts.archive_recovery = false;
    expect_extras(&facts, NULL, "{}");
}
END_TEST

int main(void)
{
    json_setup();
    Suite *suite = suite_create("sidecar publish");
    TCase *tcase = tcase_create("member key");
    tcase_add_test(tcase, positions_of_one_that_answers);
    tcase_add_test(tcase, timeline_while_it_stops);
    tcase_add_test(tcase, nothing_of_one_that_is_down_or_starts);
    tcase_add_test(tcase, scheduled_restart_in_the_key);
    tcase_add_test(tcase, archive_recovery_in_the_key);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
