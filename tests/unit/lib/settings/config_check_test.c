/* What is said of a configuration: by --check-config, and by a reload of what waits for a restart. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "settings/config.h"
#include "settings/settings.h"

static const char external[] = "etcd3: {hosts: '10.0.0.1:2379'}\n";
static const char managed[] =
    "pgvigil: {etcd: {data_dir: /etcd/data, members: [{name: n1, peer_url: 'http://1:2380', "
    "client_url: 'http://1:2379', api_url: 'http://1:8008'}]}}\n";

/* YAML in the environment, as where no file is given. `postgresql`: more of that section. */
static void be_configured_with(const char *etcd, const char *postgresql, const char *more)
{
    struct text yaml = text_new(10000);
    text_addf(&yaml,
              "scope: demo\n"
              "name: n1\n"
              "restapi: {listen: '*:8008', connect_address: '10.0.0.1:8008'}\n"
              "postgresql: {listen: '*:5432', connect_address: '1:5432', data_dir: /data/pg%s}\n"
              "%s%s",
              postgresql, etcd, more);
    setenv("PGVIGIL_CONFIGURATION", text_str(&yaml), 1);
    text_done(&yaml);
}

static void be_configured(const char *etcd, const char *more)
{
    be_configured_with(etcd, "", more);
}

static struct config *config_of(const char *etcd, const char *more)
{
    struct text warnings = text_new(10000);
    struct config *config = NULL;
    struct err err;
    be_configured(etcd, more);
    ck_assert_int_eq(config_load(NULL, false, false, &config, &warnings, &err), ERR_OK);
    text_done(&warnings);
    return config;
}

/* The report of --check-config for these tags; a start says the same warnings. */
static bool reported(const char *tags, const char *warning)
{
    struct text report = text_new(10000);
    struct err err;
    be_configured(external, tags);
    ck_assert_int_eq(settings_check(NULL, false, &report, &err), ERR_OK);
    bool found = strstr(text_str(&report), warning) != NULL;
    text_done(&report);
    return found;
}

/* A tag that says nothing is nothing to warn of. */
START_TEST(tags_without_effect)
{
    static const char both[] = "tags: {replicatefrom: n2, nostream: true}\n";
    ck_assert(reported(both, "tags.replicatefrom: has no effect"));
    ck_assert(reported(both, "tags.nostream: has no effect"));
    ck_assert(
        !reported("tags: {replicatefrom: null, nostream: false, clonefrom: true}\n", "tags."));
}
END_TEST

/* Nothing waits where the file is the same: a section that it lacks has not changed either. */
START_TEST(what_needs_a_restart)
{
    struct config *as_managed = config_of(managed, "");
    struct config *same = config_of(managed, "");
    struct config *as_external = config_of(external, "");
    struct config *tagged = config_of(external, "tags: {nofailover: true}\n");
    ck_assert(!config_needs_restart(as_managed, same));
    ck_assert(!config_needs_restart(as_external, tagged));
    ck_assert(config_needs_restart(as_managed, as_external));
    ck_assert(config_needs_restart(as_external, as_managed));
    json_object_set_new(json_object_get(same->tree, "pgvigil"), "cpu_limited", json_true());
    ck_assert(config_needs_restart(as_managed, same));
    config_free(as_managed);
    config_free(same);
    config_free(as_external);
    config_free(tagged);
}
END_TEST

static void check_identity(const char *more, bool replace_name, const char *expected)
{
    struct config *former = config_of(external, "");
    if (replace_name)
        setenv("PGVIGIL_NAME", "n7", 1);
    struct config *now = config_of(external, more);
    unsetenv("PGVIGIL_NAME");
    ck_assert_pstr_eq(config_other_identity(former, now), expected);
    config_free(former);
    config_free(now);
}

/* A reload makes no other member of a running one: its key, its slot and /sync have the former name. */
START_TEST(who_it_is)
{
    check_identity("", false, NULL);
    check_identity("tags: {nofailover: true}\n", false, NULL);
    check_identity("", true, "name");
    check_identity("namespace: /other\n", false, "scope or namespace");
    check_identity("pgvigil: {state_dir: /elsewhere}\n", false, "pgvigil.state_dir");
    setenv("PGVIGIL_POSTGRESQL_DATA_DIR", "/data/other", 1);
    struct config *moved = config_of(external, "pgvigil: {state_dir: /data/pgvigil}\n");
    unsetenv("PGVIGIL_POSTGRESQL_DATA_DIR");
    struct config *former = config_of(external, "pgvigil: {state_dir: /data/pgvigil}\n");
    ck_assert_str_eq(config_other_identity(former, moved), "postgresql.data_dir");
    config_free(former);
    config_free(moved);
}
END_TEST

/* One file may serve all nodes: what it is checked for says what it is. */
START_TEST(what_a_node_is)
{
    struct text report = text_new(10000);
    struct err err;
    be_configured(managed, "");
    ck_assert_int_eq(settings_check(NULL, false, &report, &err), ERR_OK);
    ck_assert_ptr_nonnull(strstr(text_str(&report), "data node is configured: member n1"));
    text_clear(&report);
    be_configured(managed, ""); /* read, the variable was gone */
    enum err_code code = settings_check(NULL, true, &report, &err);
    ck_assert_msg(code == ERR_OK, "%s", err.text);
    ck_assert_ptr_nonnull(strstr(text_str(&report), "witness is configured: member n1"));
    text_done(&report);
}
END_TEST

/* What PostgreSQL would not take is said before it is asked; an error of the file is said to be there. */
START_TEST(parameters_of_the_file)
{
    struct text report = text_new(10000);
    struct err err;
    be_configured_with(external, ", parameters: {work_mem: 8XB, work_memm: 8MB, jit: {a: 1}}", "");
    enum err_code code = settings_check(NULL, false, &report, &err);
    ck_assert_msg(code == ERR_OK, "%s", err.text);
    ck_assert_ptr_nonnull(strstr(text_str(&report), "work_mem: left out: expected a number"));
    ck_assert_ptr_nonnull(strstr(text_str(&report), "work_memm: left out: this version"));
    ck_assert_ptr_nonnull(strstr(text_str(&report), "jit: ignored: expected a text"));
    be_configured_with(external, ", parameters: [a]", "");
    ck_assert_int_eq(settings_check(NULL, false, &report, &err), ERR_INVALID);
    ck_assert_str_eq(err.text, "local file: postgresql.parameters: expected a mapping of keys to "
                               "values, not [\"a\"]");
    text_done(&report);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_check");
    TCase *tc = tcase_create("config_check");
    tcase_add_test(tc, what_needs_a_restart);
    tcase_add_test(tc, tags_without_effect);
    tcase_add_test(tc, who_it_is);
    tcase_add_test(tc, parameters_of_the_file);
    tcase_add_test(tc, what_a_node_is);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
