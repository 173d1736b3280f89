/* The files that we write for Postgres, and what is read back from them. */
#include "sidecar/postgres/conf.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "sidecar/postgres/conf_state.h"

static struct config *config;
static struct settings *settings;
static struct place place;

static void setup(void)
{
    char path[] = "/tmp/pgvigil-conf-XXXXXX";
    struct err err = { .code = ERR_OK };
    struct text warnings = text_new(1 << 16);
    static const char yaml[] =
        "scope: demo\nname: node-1\nrestapi: {listen: '127.0.0.1:8008', connect_address: '127.0.0.1:8008'}\n"
        "etcd3: {hosts: '127.0.0.1:2379'}\n"
        "postgresql:\n  listen: 0.0.0.0:5433\n  connect_address: 10.0.0.1:5433\n"
        "  data_dir: /var/lib/pg/data\n"
        "  parameters: {application: x, log_line_prefix: \"it's\"}\n"
        "  pg_hba: ['local all all peer', 'host all all all scram-sha-256']\n"
        "  authentication:\n"
        "    superuser: {username: postgres, password: 'a:b\\c'}\n"
        "    replication: {username: 'rep''l', password: x}\n";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    close(fd);
    enum err_code code = config_load(path, false, false, &config, &warnings, &err);
    unlink(path);
    ck_assert_msg(code == ERR_OK, "%s", err.text);
    json_t *store = json_loads("{\"ttl\":10,\"postgresql\":{\"use_slots\":true}}", 0, NULL);
    ck_assert_int_eq(settings_new(store, config, &settings, NULL, &err), ERR_OK);
    json_decref(store);
    ck_assert_int_eq(place_init(config, &place, &err), ERR_OK);
    text_done(&warnings);
}

static void teardown(void)
{
    settings_free(settings);
    config_free(config);
}

static void render(const struct conf_role *role, struct conf_files *files)
{
    struct parameters parameters = { .n = 0 };
    const struct parameter_node node = { .primary = !role->standby };
    parameters_build(settings, config, &node, &parameters, NULL);
    const struct conf_input input = { .config = config,
                                      .settings = settings,
                                      .place = &place,
                                      .parameters = &parameters,
                                      .role = role };
    *files = (struct conf_files){ 0 };
    conf_render(&input, files);
    parameters_done(&parameters);
}

static struct conf_role follower(void)
{
    struct conf_role role = { .standby = true, .upstream_port = 5432, .ssn = SSN_NAMES };
    text_copy(role.upstream, sizeof(role.upstream), "node-2");
    text_copy(role.upstream_host, sizeof(role.upstream_host), "10.0.0.2");
    names_add(&role.ssn_names, "node-3");
    return role;
}

/* S2: "A standby runs with an empty SSN", whatever it had as primary. */
START_TEST(test_standby)
{
    struct conf_role role = follower();
    struct conf_files files;
    struct conf_state state;
    render(&role, &files);
    conf_state_parse(files.conf, &state);
    ck_assert(state.ours);
    ck_assert_int_eq(state.ssn_kind, SSN_EMPTY);
    ck_assert_str_eq(state.upstream, "node-2");
    ck_assert_str_eq(state.upstream_host, "10.0.0.2");
    ck_assert_int_eq(state.upstream_port, 5432);
    ck_assert_ptr_nonnull(strstr(files.conf, "primary_slot_name = 'node_1'"));
    ck_assert_ptr_nonnull(strstr(files.conf, "application_name=''node-1''"));
    ck_assert_ptr_nonnull(strstr(files.conf, "user=''rep\\\\''l''"));
    ck_assert_ptr_nonnull(strstr(files.conf, "recovery_target_timeline = 'latest'"));
    ck_assert_ptr_nonnull(strstr(files.conf, "include 'postgresql.base.conf'"));
    ck_assert_ptr_nonnull(strstr(files.conf, "log_line_prefix = 'it''s'"));
    ck_assert_ptr_null(strstr(files.conf, "synchronized_standby_slots"));
    ck_assert_ptr_null(strstr(files.conf, "max_standby_streaming_delay"));
    conf_files_done(&files);
}
END_TEST

/* The names on the disk are what the next start obeys; they are read back as they were written. */
START_TEST(test_names_of_a_primary)
{
    struct conf_role role = { .ssn = SSN_NAMES };
    struct conf_files files;
    struct conf_state state;
    names_add(&role.ssn_names, "node-2");
    names_add(&role.ssn_names, "it's");
    render(&role, &files);
    conf_state_parse(files.conf, &state);
    ck_assert_int_eq(state.ssn_kind, SSN_NAMES);
    ck_assert(names_equal(&state.ssn_names, &role.ssn_names));
    ck_assert_ptr_null(strstr(files.conf, "primary_conninfo"));
    ck_assert_ptr_nonnull(strstr(files.conf, "synchronized_standby_slots = 'itu0039s,node_2'"));
    conf_files_done(&files);
    role.ssn = SSN_NOBODY;
    render(&role, &files);
    conf_state_parse(files.conf, &state);
    ck_assert_int_eq(state.ssn_kind, SSN_NOBODY);
    ck_assert_ptr_null(strstr(files.conf, "synchronized_standby_slots"));
    conf_files_done(&files);
}
END_TEST

/* Design part 6: sessions that block replay are ended first. */
START_TEST(test_end_blockers)
{
    struct conf_role role = follower();
    struct conf_files files;
    role.end_blockers = true;
    render(&role, &files);
    ck_assert_ptr_nonnull(strstr(files.conf, "max_standby_streaming_delay = '0'"));
    ck_assert_ptr_nonnull(strstr(files.conf, "max_standby_archive_delay = '0'"));
    conf_files_done(&files);
}
END_TEST

/* A file that we did not write tells us nothing. */
START_TEST(test_foreign_file)
{
    struct conf_state state;
    conf_state_parse("synchronous_standby_names = 'x'\n", &state);
    ck_assert(!state.ours);
    ck_assert_int_eq(state.ssn_kind, SSN_EMPTY);
    conf_state_parse(CONF_MARK "\nsynchronous_standby_names = 'ANY 1 (x)'\n", &state);
    ck_assert_int_eq(state.ssn_kind, SSN_FOREIGN);
}
END_TEST

/* Passwords stand in the password file only, escaped as libpq reads it. */
START_TEST(test_passwords)
{
    struct conf_role role = follower();
    struct conf_files files;
    render(&role, &files);
    ck_assert_ptr_nonnull(strstr(files.pgpass, "*:*:*:postgres:a\\:b\\\\c\n"));
    ck_assert_ptr_null(strstr(files.conf, "a:b"));
    ck_assert_ptr_null(strstr(files.conf, "password"));
    ck_assert_str_eq(strchr(files.hba, '\n') + 1,
                     "local all all peer\nhost all all all scram-sha-256\n");
    ck_assert_ptr_null(files.ident);
    conf_files_done(&files);
}
END_TEST

/* A member's conn_url gives the address to stream from. */
START_TEST(test_url)
{
    char host[LIMIT_URL];
    int port = 0;
    ck_assert(conf_parse_url("postgres://10.0.0.2:5432/postgres", host, &port));
    ck_assert_str_eq(host, "10.0.0.2");
    ck_assert_int_eq(port, 5432);
    ck_assert(conf_parse_url("postgres://u:p@[fd00::1]:6543/x?y", host, &port));
    ck_assert_str_eq(host, "fd00::1");
    ck_assert_int_eq(port, 6543);
    ck_assert(!conf_parse_url("10.0.0.2:5432", host, &port));
    ck_assert(!conf_parse_url("postgres://10.0.0.2/postgres", host, &port));
    ck_assert(!conf_parse_url("postgres://10.0.0.2:0/postgres", host, &port));
}
END_TEST

/* Everything of ours lies beside PGDATA; the local address is one that needs no resolver. */
START_TEST(test_place)
{
    ck_assert_str_eq(place.parent, "/var/lib/pg");
    ck_assert_str_eq(place.fresh_data, "/var/lib/pg/data.new/data");
    ck_assert_str_eq(place.state_dir, "/var/lib/pg/pgvigil");
    ck_assert_str_eq(place.local_host, "127.0.0.1");
    ck_assert_int_eq(place.port, 5433);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf");
    TCase *tcase = tcase_create("texts");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_standby);
    tcase_add_test(tcase, test_names_of_a_primary);
    tcase_add_test(tcase, test_end_blockers);
    tcase_add_test(tcase, test_foreign_file);
    tcase_add_test(tcase, test_passwords);
    tcase_add_test(tcase, test_url);
    tcase_add_test(tcase, test_place);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
