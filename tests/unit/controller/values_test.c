#include "controller/values.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/text.h"
#include "json/json.h"

/* What the values once set and dropped is removed, at any depth; what they set is set; what they never
 * named is not mentioned. */
START_TEST(patches)
{
    static const struct {
        const char *before, *now, *patch;
    } rows[] = {
        { "{}", "{\"ttl\":10}", "{\"ttl\":10}" },
        { "{\"ttl\":10}", "{\"ttl\":10}", "{\"ttl\":10}" },
        { "{\"ttl\":10,\"pause\":true}", "{\"ttl\":5}", "{\"pause\":null,\"ttl\":5}" },
        { "{\"postgresql\":{\"parameters\":{\"a\":1,\"b\":2},\"use_slots\":true}}",
          "{\"postgresql\":{\"parameters\":{\"b\":3}}}",
          "{\"postgresql\":{\"use_slots\":null,\"parameters\":{\"a\":null,\"b\":3}}}" },
        { "{\"postgresql\":{\"parameters\":{}}}", "{}", "{\"postgresql\":null}" },
        { "{\"postgresql\":{\"parameters\":{\"a\":null}}}",
          "{\"postgresql\":{\"parameters\":{\"b\":3}}}",
          "{\"postgresql\":{\"parameters\":{\"b\":3}}}" },
        { "{\"slots\":1}", "{\"slots\":{\"a\":{}}}", "{\"slots\":{\"a\":{}}}" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        auto_json json_t *before = NULL;
        auto_json json_t *now = NULL;
        ck_assert_int_eq(json_parse(rows[i].before, strlen(rows[i].before), "b", &before, NULL),
                         ERR_OK);
        ck_assert_int_eq(json_parse(rows[i].now, strlen(rows[i].now), "n", &now, NULL), ERR_OK);
        auto_json json_t *patch = values_patch(before, now);
        auto_text struct text text = text_new(1000);
        json_write(&text, patch);
        ck_assert_str_eq(text_str(&text), rows[i].patch);
    }
    auto_json json_t *now = json_pack("{s:i}", "ttl", 10);
    auto_json json_t *patch = values_patch(NULL, now); /* for the first time */
    ck_assert(json_equal(patch, now));
}
END_TEST

#define PARAMETERS(list) "{\"postgresql\":{\"parameters\":{" list "}}}"

/* A parameter that was dropped stays ours until somebody sets it: its restart is ours, too. */
START_TEST(what_is_remembered)
{
    static const struct {
        const char *before, *now, *config, *noted;
    } rows[] = {
        { "{}", "{\"ttl\":10}", "{\"ttl\":10}", "{\"ttl\":10}" },
        { PARAMETERS("\"a\":1,\"b\":2"), PARAMETERS("\"b\":2"), PARAMETERS("\"b\":2"),
          PARAMETERS("\"b\":2,\"a\":null") },
        { PARAMETERS("\"a\":null,\"b\":2"), PARAMETERS("\"b\":2"), PARAMETERS("\"b\":2"),
          PARAMETERS("\"b\":2,\"a\":null") },
        { PARAMETERS("\"a\":null"), PARAMETERS("\"b\":2"), PARAMETERS("\"b\":2,\"a\":5"),
          PARAMETERS("\"b\":2") },
        { PARAMETERS("\"a\":1"), "{\"ttl\":10}", "{\"ttl\":10}", "{\"ttl\":10}" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        auto_json json_t *before = json_loads(rows[i].before, 0, NULL);
        auto_json json_t *now = json_loads(rows[i].now, 0, NULL);
        auto_json json_t *config = json_loads(rows[i].config, 0, NULL);
        auto_json json_t *noted = values_note(before, now, config);
        auto_text struct text text = text_new(1000);
        json_write(&text, noted);
        ck_assert_str_eq(text_str(&text), rows[i].noted);
    }
}
END_TEST

START_TEST(whose_restart_it_is)
{
    auto_json json_t *noted = json_loads(PARAMETERS("\"Max_Connections\":200,\"a\":null"), 0, NULL);
    auto_json json_t *ours = json_loads("{\"x\":{},\"max_connections\":{}}", 0, NULL);
    auto_json json_t *dropped = json_loads("{\"a\":{}}", 0, NULL);
    auto_json json_t *another = json_loads("{\"x\":{}}", 0, NULL);
    ck_assert(values_asked_for(noted, ours));
    ck_assert(values_asked_for(noted, dropped));
    ck_assert(!values_asked_for(noted, another));
    ck_assert(!values_asked_for(noted, NULL));
    ck_assert(!values_asked_for(NULL, ours));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("values");
    TCase *tcase = tcase_create("values");
    tcase_add_test(tcase, patches);
    tcase_add_test(tcase, what_is_remembered);
    tcase_add_test(tcase, whose_restart_it_is);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
