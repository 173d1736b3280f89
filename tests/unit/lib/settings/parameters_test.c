/* What PostgreSQL gets on one node (patroni-compat 1.3, design part 5). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "lib/settings/known_parameter.h"
#include "settings/parameters.h"

static struct text warnings;
static struct settings settings;
static struct config config;
static char listen_address[] = "10.0.0.1,localhost:5433", scope[] = "demo";

static void begin(void)
{
    warnings = text_new(10000);
    settings = (struct settings){ .ttl_s = 5, .synchronous_mode = SYNC_ON };
    config = (struct config){ .scope = scope, .postgresql = { .listen = listen_address } };
}

static void end(void)
{
    json_decref(settings.parameters);
    json_decref(settings.store_parameters);
    json_decref(settings.recovery_conf);
    text_done(&warnings);
}

/* As if the store said this, and the file nothing. */
static struct parameters with(const char *json, const struct parameter_node *node)
{
    struct parameters parameters;
    json_decref(settings.parameters);
    json_decref(settings.store_parameters);
    settings.parameters = json_loads(json, 0, NULL);
    ck_assert_ptr_nonnull(settings.parameters);
    settings.store_parameters = json_incref(settings.parameters);
    parameters_build(&settings, &config, node, &parameters, &warnings);
    return parameters;
}

static void check(const struct parameters *parameters, const char *name, const char *value)
{
    const char *there = parameters_get(parameters, name);
    if (value == NULL)
        ck_assert_ptr_null(there);
    else
        ck_assert_msg(there != NULL && strcmp(there, value) == 0, "%s = %s", name,
                      there == NULL ? "(missing)" : there);
}

static const struct parameter_node primary = { .primary = true };

START_TEST(what_is_ours)
{
    struct parameters parameters = with("{}", &primary);
    check(&parameters, "listen_addresses", "10.0.0.1,localhost");
    check(&parameters, "port", "5433");
    check(&parameters, "cluster_name", "demo");
    check(&parameters, "wal_level", "replica");
    check(&parameters, "hot_standby", "on");
    check(&parameters, "wal_log_hints", "on");
    check(&parameters, "max_connections", "100");
    check(&parameters, "max_prepared_transactions", "0");
    check(&parameters, "track_commit_timestamp", "off");
    check(&parameters, "wal_keep_size", "128MB");
    check(&parameters, "wal_sender_timeout", "5s");
    check(&parameters, "wal_receiver_timeout", "5s");
    check(&parameters, "wal_retrieve_retry_interval", "200ms");
    check(&parameters, "allow_alter_system", "off");
    check(&parameters, "synchronous_standby_names", NULL);
    ck_assert_str_eq(text_str(&warnings), "");
    for (size_t i = 1; i < parameters.n; i++)
        ck_assert_int_lt(strcmp(parameters.item[i - 1].name, parameters.item[i].name), 0);
    parameters_done(&parameters);
    ck_assert_uint_eq(parameters.n, 0);
}
END_TEST

/* Only the command line's set is marked so: ALTER SYSTEM cannot win there. */
START_TEST(command_line)
{
    struct parameters parameters = with("{\"work_mem\":\"8MB\"}", &primary);
    size_t marked = 0;
    for (size_t i = 0; i < parameters.n; i++) {
        marked += parameters.item[i].command_line;
        if (strcmp(parameters.item[i].name, "work_mem") == 0 ||
            strcmp(parameters.item[i].name, "wal_keep_size") == 0)
            ck_assert(!parameters.item[i].command_line);
    }
    ck_assert_uint_eq(marked, 13);
    parameters_done(&parameters);
}
END_TEST

/* "Invalid values are dropped in favour of the default." */
static const struct {
    const char *json, *name, *value;
    bool warned;
} values[] = {
    { "{\"max_connections\":200}", "max_connections", "200", false },
    { "{\"MAX_connections\":\"200\"}", "max_connections", "200", false },
    { "{\"max_connections\":24}", "max_connections", "100", true },
    { "{\"max_connections\":\"many\"}", "max_connections", "100", true },
    { "{\"max_connections\":\"\"}", "max_connections", "100", true },
    { "{\"max_connections\":\"200x\"}", "max_connections", "100", true },
    { "{\"max_connections\":999999999}", "max_connections", "100", true },
    { "{\"max_connections\":null}", "max_connections", "100", false },
    { "{\"max_wal_senders\":2}", "max_wal_senders", "10", true },
    { "{\"wal_level\":\"LOGICAL\"}", "wal_level", "logical", false },
    { "{\"wal_level\":\"replica\"}", "wal_level", "replica", false },
    { "{\"wal_level\":\"minimal\"}", "wal_level", "replica", true },
    { "{\"hot_standby\":\"off\"}", "hot_standby", "on", true },
    { "{\"hot_standby\":\"what\"}", "hot_standby", "on", true },
    { "{\"hot_standby\":true}", "hot_standby", "on", false },
    { "{\"track_commit_timestamp\":true}", "track_commit_timestamp", "on", false },
    { "{\"track_commit_timestamp\":\"no\"}", "track_commit_timestamp", "off", false },
    { "{\"track_commit_timestamp\":\"what\"}", "track_commit_timestamp", "off", true },
    { "{\"wal_keep_size\":\"1GB\"}", "wal_keep_size", "1024MB", false },
    { "{\"wal_keep_size\":16}", "wal_keep_size", "16MB", false },
    { "{\"wal_keep_size\":\"8MB\"}", "wal_keep_size", "128MB", true },
    { "{\"wal_keep_size\":\"x\"}", "wal_keep_size", "128MB", true },
    { "{\"wal_keep_segments\":100}", "wal_keep_size", "1600MB", false },
    { "{\"wal_keep_segments\":\"x\"}", "wal_keep_size", "128MB", false },
    { "{\"work_mem\":\"8MB\"}", "work_mem", "8MB", false },
    { "{\"jit\":false}", "jit", "off", false },
    { "{\"jit\":true}", "jit", "on", false },
    { "{\"seq_page_cost\":1.5}", "seq_page_cost", "1.5", false },
    { "{\"work_mem\":null}", "work_mem", NULL, false },
    { "{\"work_mem\":[1]}", "work_mem", NULL, true },
    { "{\"pg_stat_statements.max\":5000}", "pg_stat_statements.max", "5000", false },
    { "{\"a b\":1}", "a b", NULL, true },
    { "{\"\":1}", "", NULL, true },
    { "{\"x'; y\":1}", "x'; y", NULL, true },
    { "{\"port\":1}", "port", "5433", true },
    { "{\"cluster_name\":\"x\"}", "cluster_name", "demo", true },
    { "{\"primary_conninfo\":\"x\"}", "primary_conninfo", NULL, true },
    { "{\"recovery_target_lsn\":\"x\"}", "recovery_target_lsn", NULL, true },
    { "{\"wal_sender_timeout\":0}", "wal_sender_timeout", "5s", true },
    { "{\"synchronous_standby_names\":\"*\"}", "synchronous_standby_names", NULL, true },
    { "{\"allow_alter_system\":true}", "allow_alter_system", "on", false },
    { "{\"wal_retrieve_retry_interval\":\"1s\"}", "wal_retrieve_retry_interval", "1s", false },
    { "{\"hba_file\":\"/x\"}", "hba_file", "/x", false },
    { "{\"io_method\":\"worker\"}", "io_method", NULL, true },
    { "{\"shared_bufers\":\"1GB\"}", "shared_bufers", NULL, true },
    { "{\"shared_buffers\":\"lots\"}", "shared_buffers", NULL, true },
    { "{\"shared_buffers\":\"1GB\"}", "shared_buffers", "1GB", false },
    { "{\"force_parallel_mode\":\"on\"}", "force_parallel_mode", NULL, true },
    { "{\"TimeZone\":\"UTC\"}", "timezone", "UTC", false },
    { "{\"my.own\":\"x\"}", "my.own", "x", false },
    { "{\"block_size\":\"8192\"}", "block_size", NULL, true },
};

START_TEST(users_values)
{
    struct parameters parameters = with(values[_i].json, &primary);
    check(&parameters, values[_i].name, values[_i].value);
    ck_assert_msg((warnings.len > 0) == values[_i].warned, "%s", text_str(&warnings));
    parameters_done(&parameters);
}
END_TEST

/* Without synchronous mode the user's own SSN is his. */
START_TEST(own_ssn)
{
    settings.synchronous_mode = SYNC_OFF;
    struct parameters parameters = with("{\"synchronous_standby_names\":\"x\"}", &primary);
    check(&parameters, "synchronous_standby_names", "x");
    parameters_done(&parameters);
}
END_TEST

/* 1.3: "on a node that is not primary the value … is the larger of config and pg_controldata". */
START_TEST(standby_floor)
{
    struct parameter_node node = { .floors = { .max_connections = 300,
                                               .max_worker_processes = 4,
                                               .max_wal_senders = 20,
                                               .max_prepared_transactions = 50,
                                               .max_locks_per_transaction = 64 } };
    struct parameters parameters = with("{\"max_connections\":200}", &node);
    check(&parameters, "max_connections", "300");
    check(&parameters, "max_worker_processes", "8");
    check(&parameters, "max_wal_senders", "20");
    check(&parameters, "max_prepared_transactions", "50");
    check(&parameters, "max_replication_slots", "10");
    parameters_done(&parameters);
    node.primary = true;
    parameters = with("{\"max_connections\":200}", &node);
    check(&parameters, "max_connections", "200");
    parameters_done(&parameters);
}
END_TEST

/* Part 6: "Parameters newer than the server are left out." */
START_TEST(older_server)
{
    struct parameter_node node = { .primary = true, .server_version = 150004 };
    struct parameters parameters = with("{\"summarize_wal\":true,\"scram_iterations\":5}", &node);
    check(&parameters, "allow_alter_system", NULL);
    check(&parameters, "summarize_wal", NULL);
    check(&parameters, "scram_iterations", NULL);
    parameters_done(&parameters);
    node.server_version = 180000;
    parameters = with("{\"summarize_wal\":true,\"io_method\":\"sync\",\"newer\":1}", &node);
    check(&parameters, "newer", "1");
    check(&parameters, "summarize_wal", "on");
    check(&parameters, "io_method", "sync");
    parameters_done(&parameters);
}
END_TEST

/* What a server of 17 accepts, and what keeps it from starting (both tried with a real one). */
static const struct {
    const char *name, *value;
    bool good;
} accepted[] = {
    { "work_mem", "64kB", true },
    { "work_mem", "63kB", false },
    { "work_mem", "4TB", false },
    { "work_mem", "8 MB", true },
    { "work_mem", "8mb", false },
    { "work_mem", "", false },
    { "shared_buffers", "16", true },
    { "shared_buffers", "15", false },
    { "shared_buffers", "128kB", true },
    { "shared_buffers", "100kB", false },
    { "checkpoint_timeout", "5min", true },
    { "checkpoint_timeout", "5s", false },
    { "checkpoint_timeout", "1.5h", true },
    { "checkpoint_timeout", "2d", false },
    { "statement_timeout", "30s", true },
    { "statement_timeout", "30MB", false },
    { "random_page_cost", "1.1", true },
    { "random_page_cost", "-1", false },
    { "max_files_per_process", "1000", true },
    { "max_files_per_process", "1000x", false },
    { "max_files_per_process", "x", false },
    { "seq_page_cost", "nan", false },
    { "jit", "yes", true },
    { "jit", "maybe", false },
    { "archive_mode", "always", true },
    { "archive_mode", "true", true },
    { "archive_mode", "sometimes", false },
    { "log_min_messages", "DEBUG", true },
    { "log_min_messages", "info", true },
    { "log_min_messages", "true", false },
    { "synchronous_commit", "remote_apply", true },
    { "synchronous_commit", "remote", false },
    { "archive_command", "anything", true },
    { "max_slot_wal_keep_size", "-1", true },
    { "temp_file_limit", "10GB", true },
    { "track_activity_query_size", "1MB", true },
    { "log_rotation_age", "1d", true },
    { "autovacuum_vacuum_cost_delay", "2ms", true },
    { "vacuum_cost_delay", "500us", true },
};

START_TEST(acceptance)
{
    const struct known_parameter *known = known_parameter(accepted[_i].name);
    struct err err = { .code = ERR_OK };
    ck_assert_ptr_nonnull(known);
    ck_assert_msg((known_parameter_check(known, accepted[_i].value, &err) == ERR_OK) ==
                      accepted[_i].good,
                  "%s = %s: %s", accepted[_i].name, accepted[_i].value, err.text);
}
END_TEST

/* bsearch needs the order. */
START_TEST(every_name_is_found)
{
    static const char *const names[] = {
        "allow_alter_system",     "DateStyle",     "datestyle",
        "IntervalStyle",          "TimeZone",      "zero_damaged_pages",
        "wal_writer_flush_after", "exit_on_error", "xmloption"
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_ptr_nonnull(known_parameter(names[i]));
    ck_assert_ptr_null(known_parameter("nonsense"));
}
END_TEST

START_TEST(recovery_conf)
{
    settings.recovery_conf = json_loads("{\"restore_command\":\"cp %f %p\",\"nonsense\":\"x\","
                                        "\"recovery_min_apply_delay\":[1]}",
                                        0, NULL);
    struct parameters parameters = with("{}", &primary);
    check(&parameters, "restore_command", "cp %f %p");
    check(&parameters, "recovery_min_apply_delay", NULL);
    check(&parameters, "nonsense", NULL);
    parameters_done(&parameters);
}
END_TEST

/* Nobody need listen to the warnings; a node without Postgres has no address. */
START_TEST(without_warnings)
{
    struct parameters parameters;
    settings.parameters = json_loads("{\"port\":1}", 0, NULL);
    config.postgresql.listen = NULL;
    parameters_build(&settings, &config, &primary, &parameters, NULL);
    check(&parameters, "port", NULL);
    parameters_done(&parameters);
    static char all[] = ":5432", bad[] = "x:y";
    config.postgresql.listen = all;
    parameters_build(&settings, &config, &primary, &parameters, NULL);
    check(&parameters, "listen_addresses", "*");
    parameters_done(&parameters);
    config.postgresql.listen = bad;
    parameters_build(&settings, &config, &primary, &parameters, NULL);
    check(&parameters, "listen_addresses", NULL);
    parameters_done(&parameters);
}
END_TEST

/* A22. */
START_TEST(too_many)
{
    json_t *many = json_object();
    char name[32];
    for (int i = 0; i < 2 * LIMIT_PARAMETERS; i++) {
        snprintf(name, sizeof(name), "x.p%d", i);
        json_object_set_new(many, name, json_integer(i));
    }
    struct parameters parameters;
    settings.parameters = many;
    parameters_build(&settings, &config, &primary, &parameters, &warnings);
    ck_assert_uint_le(parameters.n, LIMIT_PARAMETERS);
    check(&parameters, "port", "5433");
    ck_assert_ptr_nonnull(strstr(text_str(&warnings), "too many parameters"));
    parameters_done(&parameters);
}
END_TEST

START_TEST(restarts)
{
    ck_assert(parameters_needs_restart("max_connections"));
    ck_assert(parameters_needs_restart("shared_buffers"));
    ck_assert(!parameters_needs_restart("work_mem"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parameters");
    TCase *tc = tcase_create("parameters");
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_test(tc, what_is_ours);
    tcase_add_test(tc, command_line);
    tcase_add_loop_test(tc, users_values, 0, sizeof(values) / sizeof(values[0]));
    tcase_add_test(tc, own_ssn);
    tcase_add_test(tc, standby_floor);
    tcase_add_test(tc, older_server);
    tcase_add_loop_test(tc, acceptance, 0, sizeof(accepted) / sizeof(accepted[0]));
    tcase_add_test(tc, every_name_is_found);
    tcase_add_test(tc, recovery_conf);
    tcase_add_test(tc, without_warnings);
    tcase_add_test(tc, too_many);
    tcase_add_test(tc, restarts);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
