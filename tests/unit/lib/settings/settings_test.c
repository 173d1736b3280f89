/* Dynamic settings: what the store says over the defaults, the file over both, PATCH. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "settings/settings.h"
#include "json/json.h"

static struct err err;
static struct config config; /* only what a test gives it */
static struct text warnings;

static void begin(void)
{
    config = (struct config){ .tree = json_object() };
    warnings = text_new(10000);
    err.text[0] = '\0';
}

static void end(void)
{
    json_decref(config.tree);
    text_done(&warnings);
}

static enum err_code build(const char *store, const char *file, struct settings **settings)
{
    json_t *json = store == NULL ? NULL : json_loads(store, JSON_DECODE_ANY, NULL);
    json_decref(config.tree);
    config.tree = json_loads(file, 0, NULL);
    ck_assert_ptr_nonnull(config.tree);
    enum err_code code = settings_new(json, &config, settings, &warnings, &err);
    json_decref(json);
    return code;
}

static struct settings *built(const char *store, const char *file)
{
    struct settings *settings = NULL;
    enum err_code code = build(store, file, &settings);
    ck_assert_msg(code == ERR_OK, "%s", err.text);
    return settings;
}

static void check_json(const json_t *json, const char *expected)
{
    struct text text = text_new(LIMIT_FILE);
    json_write(&text, json);
    ck_assert_str_eq(text_str(&text), expected);
    text_done(&text);
}

/* Part 5: "a `config` that lacks a key keeps Patroni's default". */
START_TEST(defaults_are_patronis)
{
    struct settings *settings = built(_i == 0 ? NULL : "{}", "{}");
    ck_assert_int_eq(settings->ttl_s, 30);
    ck_assert_int_eq(settings->loop_wait_s, 10);
    ck_assert_int_eq(settings->retry_timeout_s, 10);
    ck_assert_int_eq(settings->maximum_lag_on_failover, 1048576);
    ck_assert_int_eq(settings->primary_start_timeout_s, 300);
    ck_assert_int_eq(settings->synchronous_mode, SYNC_OFF);
    ck_assert_int_eq(settings->synchronous_node_count, 1);
    ck_assert_int_eq(settings->member_slots_ttl_s, 1800);
    ck_assert(!settings->failsafe_mode && !settings->pause && !settings->use_pg_rewind);
    ck_assert(settings->use_slots);
    ck_assert_uint_eq(settings->pg_hba.n, 0);
    ck_assert_str_eq(text_str(&warnings), "");
    settings_free(settings);
    ck_assert_ptr_null(settings_free(NULL));
}
END_TEST

/* What Patroni has and we have not built is said, not swallowed. */
START_TEST(not_built_is_said)
{
    struct settings *settings = built("{\"master_stop_timeout\":5,\"permanent_slots\":{\"a\":{}},"
                                      "\"postgresql\":{\"pg_ctl_timeout\":9}}",
                                      "{}");
    ck_assert_ptr_nonnull(
        strstr(text_str(&warnings), "config: primary_stop_timeout: ignored: not"));
    ck_assert_ptr_nonnull(strstr(text_str(&warnings), "config: slots: ignored: not built yet"));
    ck_assert_ptr_nonnull(
        strstr(text_str(&warnings), "config: postgresql.pg_ctl_timeout: ignored"));
    settings_free(settings);
}
END_TEST

START_TEST(the_store_says)
{
    struct settings *settings = built(
        "{\"ttl\":\"5\",\"synchronous_mode\":true,\"synchronous_mode_strict\":\"on\",\"pause\":true,"
        "\"master_start_timeout\":\"1min\","
        "\"postgresql\":{\"pg_hba\":[\"local all all trust\"],\"parameters\":{\"work_mem\":\"8MB\"}}}",
        "{}");
    ck_assert_int_eq(settings->ttl_s, 5);
    ck_assert_int_eq(settings->synchronous_mode, SYNC_ON);
    ck_assert(settings->synchronous_mode_strict && settings->pause);
    ck_assert_int_eq(settings->primary_start_timeout_s, 60);
    ck_assert_str_eq(settings->pg_hba.item[0], "local all all trust");
    check_json(settings->parameters, "{\"work_mem\":\"8MB\"}");
    ck_assert_str_eq(text_str(&warnings), "");
    settings_free(settings);
}
END_TEST

/* "default < DCS value < local file" inside postgresql; elsewhere the file has no say. */
START_TEST(the_file_goes_over)
{
    struct settings *settings = built(
        "{\"ttl\":20,\"postgresql\":{\"use_pg_rewind\":true,\"pg_hba\":[\"a\"],"
        "\"parameters\":{\"work_mem\":\"8MB\",\"max_connections\":200}}}",
        "{\"ttl\":5,\"postgresql\":{\"use_pg_rewind\":false,\"pg_hba\":[\"b\",\"c\"],\"pg_ident\":null,"
        "\"parameters\":{\"work_mem\":\"16MB\",\"max_connections\":300,\"jit\":false}}}");
    ck_assert_int_eq(settings->ttl_s, 20);
    ck_assert(!settings->use_pg_rewind);
    ck_assert_uint_eq(settings->pg_hba.n, 2);
    check_json(settings->parameters,
               "{\"work_mem\":\"16MB\",\"max_connections\":300,\"jit\":false}");
    check_json(settings->store_parameters, "{\"work_mem\":\"8MB\",\"max_connections\":200}");
    ck_assert_str_eq(text_str(&warnings),
                     "postgresql.parameters.max_connections: ignored in the local file: set it in "
                     "the dynamic settings\n");
    settings_free(settings);
}
END_TEST

/* Numbers below their floor are raised and warned of; ttl's floor is 3 (design part 3). */
START_TEST(floors)
{
    struct settings *settings = built("{\"ttl\":1,\"loop_wait\":0,\"retry_timeout\":-5,"
                                      "\"synchronous_node_count\":0}",
                                      "{}");
    ck_assert_int_eq(settings->ttl_s, 3);
    ck_assert_int_eq(settings->loop_wait_s, 1);
    ck_assert_int_eq(settings->retry_timeout_s, 3);
    ck_assert_int_eq(settings->synchronous_node_count, 1);
    ck_assert_ptr_nonnull(strstr(text_str(&warnings), "config: ttl: 1 is too small, 3 is used\n"));
    settings_free(settings);
}
END_TEST

/* A bad value makes no settings at all, and says where and what. */
static const struct {
    const char *store, *said;
} bad[] = {
    { "{\"ttl\":\"soon\"}", "config: ttl: expected a time such as 10 or 30min, not \"soon\"" },
    { "{\"ttl\":4000}", "config: ttl: 4000 is more than the maximum of 3600" },
    { "{\"synchronous_mode\":\"quorum\"}", "quorum is not built yet" },
    { "{\"synchronous_mode\":\"on\",\"postgresql\":{\"use_slots\":false}}",
      "needs postgresql.use_slots" },
    { "{\"synchronous_mode\":\"both\"}", "config: synchronous_mode: expected one of" },
    { "{\"pause\":\"perhaps\"}", "config: pause: expected true or false" },
    { "{\"postgresql\":{\"parameters\":[]}}", "config: postgresql.parameters: expected a mapping" },
    { "{\"postgresql\":{\"pg_hba\":{}}}", "config: postgresql.pg_hba: expected a list" },
    { "[]", "config: expected a mapping of settings" },
    { "5", "config: expected a mapping of settings" },
};

START_TEST(bad_values)
{
    struct settings *settings = NULL;
    ck_assert_int_eq(build(bad[_i].store, "{}", &settings), ERR_INVALID);
    ck_assert_msg(strstr(err.text, bad[_i].said) != NULL, "%s", err.text);
    ck_assert_ptr_null(settings);
}
END_TEST

/* The file of this member would hide it; that of another one does not. */
START_TEST(bad_values_under_the_file)
{
    struct settings *settings = NULL;
    static const char file[] = "{\"postgresql\":{\"parameters\":{\"work_mem\":\"8MB\"}}}";
    ck_assert_int_eq(build("{\"postgresql\":{\"parameters\":5}}", file, &settings), ERR_INVALID);
    ck_assert_msg(text_starts_with(err.text, "config: postgresql.parameters: "), "%s", err.text);
    ck_assert_int_eq(build("{}", "{\"postgresql\":{\"parameters\":5}}", &settings), ERR_INVALID);
    ck_assert_msg(text_starts_with(err.text, "local file: postgresql.param"), "%s", err.text);
}
END_TEST

START_TEST(unknown_settings)
{
    struct settings *settings =
        built("{\"tll\":5,\"standby_cluster\":{\"host\":\"x\"},\"name\":\"x\","
              "\"postgresql\":{\"listen\":\"x\",\"paremeters\":{}}}",
              "{}");
    ck_assert_str_eq(text_str(&warnings),
                     "config: tll: unknown, ignored\n"
                     "config: standby_cluster: ignored: not built yet\n"
                     "config: name: ignored here: set it in the local file\n"
                     "config: postgresql.listen: ignored here: set it in the local file\n"
                     "config: postgresql.paremeters: unknown, ignored\n");
    settings_free(settings);
}
END_TEST

/* ---- PATCH ------------------------------------------------------------------------------ */

/* patroni-compat 2.5 and trap 12: null deletes, objects are merged, the rest is compared as text;
 * the order of keys stays (check_patroni hashes it). */
static const struct {
    const char *base, *patch, *result;
    bool changed;
} patches[] = {
    { "{\"a\":1,\"b\":2}", "{\"a\":3}", "{\"a\":3,\"b\":2}", true },
    { "{\"a\":1,\"b\":2}", "{\"c\":3}", "{\"a\":1,\"b\":2,\"c\":3}", true },
    { "{\"a\":1,\"b\":2}", "{\"a\":null}", "{\"b\":2}", true },
    { "{\"a\":1}", "{\"x\":null}", "{\"a\":1}", false },
    { "{\"a\":5}", "{\"a\":\"5\"}", "{\"a\":5}", false },
    { "{\"a\":\"5\"}", "{\"a\":5}", "{\"a\":\"5\"}", false },
    { "{\"a\":true}", "{\"a\":true}", "{\"a\":true}", false },
    { "{\"a\":[1,2]}", "{\"a\":[1,2]}", "{\"a\":[1,2]}", false },
    { "{\"a\":[1,2]}", "{\"a\":[2]}", "{\"a\":[2]}", true },
    { "{\"p\":{\"q\":{\"r\":1,\"s\":2}}}", "{\"p\":{\"q\":{\"r\":null,\"t\":3}}}",
      "{\"p\":{\"q\":{\"s\":2,\"t\":3}}}", true },
    { "{\"p\":{\"q\":1}}", "{\"p\":{}}", "{\"p\":{\"q\":1}}", false },
    { "{\"p\":5}", "{\"p\":{\"q\":1}}", "{\"p\":{\"q\":1}}", true },
    { "{\"p\":{\"q\":1}}", "{\"p\":5}", "{\"p\":5}", true },
    { "{}", "{\"p\":{\"q\":{\"r\":null,\"s\":1}}}", "{\"p\":{\"q\":{\"s\":1}}}", true },
    { "{}", "{}", "{}", false },
};

START_TEST(patching)
{
    json_t *base = json_loads(patches[_i].base, 0, NULL);
    json_t *patch = json_loads(patches[_i].patch, 0, NULL);
    bool changed = !patches[_i].changed;
    json_t *result = settings_patch(base, patch, &changed);
    check_json(result, patches[_i].result);
    ck_assert_int_eq(changed, patches[_i].changed);
    check_json(base, patches[_i].base);
    check_json(patch, patches[_i].patch);
    json_decref(base);
    json_decref(patch);
    json_decref(result);
}
END_TEST

/* ---- the first config ------------------------------------------------------------------- */

/* Part 5: "Defaults when we write `config`"; loop_wait + 2 * retry_timeout <= ttl for Patroni. */
START_TEST(first_config)
{
    json_t *first = settings_default_config(&config);
    check_json(first, "{\"ttl\":10,\"loop_wait\":4,\"retry_timeout\":3,"
                      "\"maximum_lag_on_failover\":1048576,\"synchronous_mode\":true,"
                      "\"failsafe_mode\":false,\"postgresql\":{\"use_pg_rewind\":true,"
                      "\"use_slots\":true,\"parameters\":{}}}");
    struct settings *settings = NULL;
    ck_assert_int_eq(settings_new(first, &config, &settings, &warnings, &err), ERR_OK);
    ck_assert_int_eq(settings->ttl_s, 10);
    ck_assert_int_eq(settings->synchronous_mode, SYNC_ON);
    ck_assert_str_eq(text_str(&warnings), "");
    settings_free(settings);
    json_decref(first);
}
END_TEST

START_TEST(first_config_from_the_file)
{
    static char line[] = "local all all trust";
    char *lines[] = { line };
    config.bootstrap.pg_hba = (struct text_list){ 1, lines };
    config.bootstrap.dcs = json_loads("{\"ttl\":5,\"failsafe_mode\":null,\"slots\":{\"a\":{}},"
                                      "\"postgresql\":{\"parameters\":{\"work_mem\":\"8MB\"}}}",
                                      0, NULL);
    json_t *first = settings_default_config(&config);
    check_json(first, "{\"ttl\":5,\"loop_wait\":4,\"retry_timeout\":3,"
                      "\"maximum_lag_on_failover\":1048576,\"synchronous_mode\":true,"
                      "\"postgresql\":{\"use_pg_rewind\":true,\"use_slots\":true,"
                      "\"parameters\":{\"work_mem\":\"8MB\"},\"pg_hba\":[\"local all all trust\"]},"
                      "\"slots\":{\"a\":{}}}");
    json_decref(first);
    json_decref(config.bootstrap.dcs);
    config.bootstrap.dcs = json_loads("{\"postgresql\":5}", 0, NULL);
    first = settings_default_config(&config);
    check_json(json_object_get(first, "postgresql"), "{\"pg_hba\":[\"local all all trust\"]}");
    json_decref(first);
    json_decref(config.bootstrap.dcs);
    config.bootstrap.dcs = json_loads("{\"postgresql\":{\"pg_hba\":[\"x\"]}}", 0, NULL);
    first = settings_default_config(&config);
    check_json(json_object_get(json_object_get(first, "postgresql"), "pg_hba"), "[\"x\"]");
    json_decref(first);
    json_decref(config.bootstrap.dcs);
}
END_TEST

#define COUNT(rows) (int)(sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    Suite *suite = suite_create("settings");
    TCase *tc = tcase_create("settings");
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, defaults_are_patronis, 0, 2);
    tcase_add_test(tc, the_store_says);
    tcase_add_test(tc, not_built_is_said);
    tcase_add_test(tc, the_file_goes_over);
    tcase_add_test(tc, floors);
    tcase_add_loop_test(tc, bad_values, 0, COUNT(bad));
    tcase_add_test(tc, bad_values_under_the_file);
    tcase_add_test(tc, unknown_settings);
    tcase_add_loop_test(tc, patching, 0, COUNT(patches));
    tcase_add_test(tc, first_config);
    tcase_add_test(tc, first_config_from_the_file);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
