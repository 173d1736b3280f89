/* Golden bodies of the GET endpoints (patroni-compat 2.3, 2.4, 2.6): keys, their order, types and
 * separators are what clients of Patroni rely on. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../support/api_stub.h"
#include "json/json.h"

static struct api_stub stub;

static void expect(const char *line, int status, const char *body)
{
    struct reply reply = api_stub_ask(&stub, line, NULL);
    ck_assert_msg(reply.status == status, "%s: %d, not %d", line, reply.status, status);
    ck_assert_str_eq(reply.body != NULL ? reply.body : "", body);
    reply_done(&reply);
}

/* 2.3: the leader. */
START_TEST(patroni_of_a_leader)
{
    api_stub_leader(&stub);
    expect("GET /patroni", 200,
           "{\"state\": \"running\", "
           "\"postmaster_start_time\": \"2026-01-31 23:59:59.123456+00:00\", "
           "\"role\": \"primary\", \"server_version\": 170004, \"xlog\": {\"location\": 83886080}, "
           "\"timeline\": 3, \"replication\": [{\"usename\": \"replicator\", "
           "\"application_name\": \"b\", \"client_addr\": \"10.0.0.2\", \"state\": \"streaming\", "
           "\"sync_state\": \"sync\", \"sync_priority\": 1}], \"dcs_last_seen\": 1769904000, "
           "\"database_system_identifier\": \"7301234567890123456\", "
           "\"patroni\": {\"version\": \"4.1.4\", \"scope\": \"demo\", \"name\": \"a\"}, "
           "\"pgvigil\": {\"rule\": \"lead\", \"action\": \"wait\", "
           "\"reason\": \"primary with the key, b is sync\", \"lease_left_ms\": 8000, "
           "\"leads_by\": \"lease\"}}");
}
END_TEST

/* 2.3: a synchronous standby with everything that is left out when it is not so. */
START_TEST(patroni_of_a_standby)
{
    api_stub_standby(&stub);
    stub.view.policy.pause = true;
    stub.view.store.leader_exists = false;
    stub.view.tags.n = 2;
    stub.view.tags.all[0] = (struct tag){ "clonefrom", "true" };
    stub.view.tags.all[1] = (struct tag){ "dc", "\"east\"" };
    stub.state.postgres.postmaster_start_us = 1769903999000000;
    stub.state.postgres.replayed_timestamp_us = 1769903998500000;
    stub.state.pending_restart = true;
    stub.state.pending_restart_reason =
        "{\"max_connections\":{\"old_value\":\"100\",\"new_value\":\"200\"}}";
    stub.state.scheduled_restart =
        "{\"schedule\":\"2026-03-01T00:00:00+00:00\",\"role\":\"replica\","
        "\"postmaster_start_time\":\"2026-01-31T23:59:59.000000+00:00\"}";
    stub.state.running = "clone";
    stub.state.running_step = "base backup";
    stub.state.postgres.progress = "41 %";
    expect("GET /patroni", 200,
           "{\"state\": \"running\", \"postmaster_start_time\": \"2026-01-31 23:59:59+00:00\", "
           "\"role\": \"replica\", \"server_version\": 170004, "
           "\"xlog\": {\"received_location\": 83886048, \"replayed_location\": 83885824, "
           "\"replayed_timestamp\": \"2026-01-31 23:59:58.500000+00:00\", \"paused\": false}, "
           "\"sync_standby\": true, \"timeline\": 3, \"replication_state\": \"streaming\", "
           "\"pause\": true, \"cluster_unlocked\": true, \"dcs_last_seen\": 1769904000, "
           "\"tags\": {\"clonefrom\": true, \"dc\": \"east\"}, "
           "\"database_system_identifier\": \"7301234567890123456\", \"pending_restart\": true, "
           "\"pending_restart_reason\": {\"max_connections\": {\"old_value\": \"100\", "
           "\"new_value\": \"200\"}}, "
           "\"patroni\": {\"version\": \"4.1.4\", \"scope\": \"demo\", \"name\": \"b\"}, "
           "\"scheduled_restart\": {\"schedule\": \"2026-03-01T00:00:00+00:00\", "
           "\"role\": \"replica\"}, "
           "\"pgvigil\": {\"rule\": \"follow\", \"action\": \"wait\", "
           "\"reason\": \"streams from a\", \"running\": \"clone\", \"step\": \"base backup\", "
           "\"progress\": \"41 %\", "
           "\"leads_by\": \"no\"}}");
}
END_TEST

/* A server that does not answer is "unknown" and hides what only it can tell; before the first cycle
 * there is an answer as well. */
START_TEST(patroni_without_postgres)
{
    api_stub_standby(&stub);
    stub.state.postgres.queryable = false;
    struct reply reply = api_stub_ask(&stub, "GET /patroni", NULL);
    ck_assert_ptr_nonnull(strstr(reply.body, "{\"state\": \"unknown\", \"role\": \"replica\", "
                                             "\"dcs_last_seen\""));
    reply_done(&reply);
    stub.state.view = NULL;
    stub.state.decision = NULL;
    reply = api_stub_ask(&stub, "GET /patroni", NULL);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_ptr_nonnull(strstr(reply.body, "\"rule\": \"starting\""));
    reply_done(&reply);
    ck_assert_int_eq(api_stub_status(&stub, "GET /cluster"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /metrics"), 200);
}
END_TEST

/* 2.4: sorted by name; LSNs as text, lag as a number or "unknown"; ours at the end. */
START_TEST(cluster)
{
    api_stub_leader(&stub);
    stub.state.store.failover =
        "{\"leader\":\"a\",\"member\":\"b\",\"scheduled_at\":\"2026-03-01T00:00:00+00:00\"}";
    expect("GET /cluster", 200,
           "{\"members\": [{\"name\": \"a\", \"role\": \"leader\", \"state\": \"running\", "
           "\"api_url\": \"http://10.0.0.1:8008/patroni\", \"host\": \"10.0.0.1\", "
           "\"port\": 5432, \"timeline\": 3}, "
           "{\"name\": \"b\", \"role\": \"sync_standby\", \"state\": \"streaming\", "
           "\"api_url\": \"http://10.0.0.2:8008/patroni\", \"host\": \"10.0.0.2\", "
           "\"port\": 5433, \"timeline\": 3, \"pending_restart\": true, "
           "\"tags\": {\"clonefrom\": true}, \"receive_lsn\": \"0/4FFFFE0\", \"receive_lag\": 32, "
           "\"replay_lsn\": \"0/4FFFF00\", \"replay_lag\": 256, \"lsn\": \"0/4FFFFE0\", "
           "\"lag\": 32}, "
           "{\"name\": \"c\", \"role\": \"replica\", \"state\": \"starting\", "
           "\"api_url\": \"http://[fd00::3]:8008/patroni\", \"host\": \"fd00::3\", "
           "\"port\": 5432, \"receive_lsn\": \"unknown\", \"receive_lag\": \"unknown\", "
           "\"replay_lsn\": \"unknown\", \"replay_lag\": \"unknown\", \"lsn\": \"unknown\", "
           "\"lag\": \"unknown\"}], "
           "\"scheduled_switchover\": {\"at\": \"2026-03-01T00:00:00+00:00\", \"from\": \"a\", "
           "\"to\": \"b\"}, \"scope\": \"demo\", "
           "\"witness\": [{\"name\": \"w\", \"api_url\": \"http://10.0.0.9:8008/patroni\", "
           "\"voter\": true}], "
           "\"pgvigil\": {\"rule\": \"lead\", \"action\": \"wait\", "
           "\"reason\": \"primary with the key, b is sync\", \"lease_left_ms\": 8000, "
           "\"leads_by\": \"lease\", \"member\": \"a\"}}");
}
END_TEST

/* 2.4: of a member that does not lead its replication_state; what is scheduled as its key has it. */
START_TEST(cluster_copies_from_the_members)
{
    api_stub_leader(&stub);
    stub.members[0].json =
        "{\"state\":\"running\",\"role\":\"replica\",\"replication_state\":\"in archive "
        "recovery\",\"scheduled_restart\":{\"schedule\":\"2026-03-01T00:00:00+00:00\"}}";
    struct reply reply = api_stub_ask(&stub, "GET /cluster", NULL);
    ck_assert_ptr_nonnull(strstr(reply.body, "{\"name\": \"c\", \"role\": \"replica\", "
                                             "\"state\": \"in archive recovery\", "
                                             "\"scheduled_restart\": {\"schedule\": "
                                             "\"2026-03-01T00:00:00+00:00\"}, "));
    reply_done(&reply);
}
END_TEST

/* 2.4: keys of the store as they are, order and numbers kept; 502 when absent, history []. */
START_TEST(keys_of_the_store)
{
    api_stub_leader(&stub);
    expect("GET /config", 200, "{\"ttl\": 10, \"loop_wait\": 10, \"a\": 1.5}");
    expect("GET /config/x", 200, "{\"ttl\": 10, \"loop_wait\": 10, \"a\": 1.5}");
    expect("GET /history", 200,
           "[[1, 25623960, \"no recovery target specified\", "
           "\"2026-01-31T23:59:59.123456+00:00\", \"a\"]]");
    stub.state.store.config = NULL;
    stub.state.store.history = NULL;
    expect("GET /history", 200, "[]");
    ck_assert_int_eq(api_stub_status(&stub, "GET /config"), 502);
    ck_assert_int_eq(api_stub_status(&stub, "GET /failsafe"), 502);
    stub.state.store.failsafe = "{\"a\":\"http://10.0.0.1:8008/patroni\"}";
    expect("GET /failsafe", 200, "{\"a\": \"http://10.0.0.1:8008/patroni\"}");
}
END_TEST

static void has_line(const char *body, const char *line)
{
    const char *at = strstr(body, line);
    ck_assert_msg(at != NULL && (at == body || at[-1] == '\n'), "no line %s in\n%s", line, body);
}

/* 2.6: names, types, labels in their order, values. */
START_TEST(metrics)
{
    api_stub_standby(&stub);
    uint64_t counts[2] = { 5, 7 };
    stub.state.n_rules = 2;
    stub.state.rule_counts = counts;
    struct reply reply = api_stub_ask(&stub, "GET /metrics", NULL);
    ck_assert_int_eq(reply.kind, REPLY_METRICS);
    static const char values[] =
        "# Values: 0=initdb, 1=initdb_failed, 2=custom_bootstrap, 3=custom_bootstrap_failed, "
        "4=creating_replica, 5=running, 6=starting, 7=bootstrap_starting, 8=start_failed, "
        "9=restarting, 10=restart_failed, 11=stopping, 12=stopped, 13=stop_failed, 14=crashed\n"
        "# TYPE patroni_postgres_state gauge\n";
    const char *const lines[] = {
        "# TYPE patroni_version gauge\npatroni_version{scope=\"demo\",name=\"b\"} 040104\n",
        "patroni_postgres_running{scope=\"demo\",name=\"b\"} 1\n",
        "patroni_postmaster_start_time{scope=\"demo\",name=\"b\"} 1769903999.123456\n",
        "patroni_primary{scope=\"demo\",name=\"b\"} 0\n",
        "# TYPE patroni_xlog_location counter\npatroni_xlog_location{scope=\"demo\",name=\"b\"} 0\n",
        "patroni_replica{scope=\"demo\",name=\"b\"} 1\n",
        "patroni_sync_standby{scope=\"demo\",name=\"b\"} 1\n",
        "patroni_quorum_standby{scope=\"demo\",name=\"b\"} 0\n",
        "patroni_xlog_received_location{scope=\"demo\",name=\"b\"} 83886048\n",
        "patroni_xlog_replayed_location{scope=\"demo\",name=\"b\"} 83885824\n",
        "patroni_xlog_replayed_timestamp{scope=\"demo\",name=\"b\"} 0\n",
        "patroni_xlog_paused{scope=\"demo\",name=\"b\"} 0\n",
        "patroni_postgres_streaming{scope=\"demo\",name=\"b\"} 1\n",
        "patroni_postgres_in_archive_recovery{scope=\"demo\",name=\"b\"} 0\n",
        "patroni_postgres_server_version{scope=\"demo\",name=\"b\"} 170004\n",
        "patroni_cluster_unlocked{scope=\"demo\",name=\"b\"} 0\n",
        "patroni_failsafe_mode_is_active{scope=\"demo\",name=\"b\"} 0\n",
        "# TYPE patroni_postgres_timeline gauge\n",
        "patroni_postgres_timeline{scope=\"demo\",name=\"b\"} 3\n",
        "patroni_dcs_last_seen{scope=\"demo\",name=\"b\"} 1769904000\n",
        "patroni_pending_restart{scope=\"demo\",name=\"b\"} 0\n",
        "patroni_is_paused{scope=\"demo\",name=\"b\"} 0\n",
        values,
        "patroni_postgres_state{scope=\"demo\",name=\"b\"} 5\n",
        "pgvigil_lease_left_seconds{scope=\"demo\",name=\"b\"} 0.000\n",
        "pgvigil_one_copy{scope=\"demo\",name=\"b\"} 0\n",
        "pgvigil_log_lines_dropped_total{scope=\"demo\",name=\"b\"} 0\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        has_line(reply.body, lines[i]);
    ck_assert_ptr_nonnull(
        strstr(reply.body, "pgvigil_rule_total{scope=\"demo\",name=\"b\",rule=\""));
    reply_done(&reply);
}
END_TEST

/* 2.3: lines that nobody read are told; the only case in which the marker is there. */
START_TEST(lost_log_lines_are_told)
{
    api_stub_leader(&stub);
    struct reply reply = api_stub_ask(&stub, "GET /patroni", NULL);
    ck_assert_ptr_null(strstr(reply.body, "logger_"));
    reply_done(&reply);
    stub.state.log_lines_lost = 1;
    reply = api_stub_ask(&stub, "GET /patroni", NULL);
    ck_assert_ptr_nonnull(strstr(reply.body, ", \"logger_records_lost\": 1, "));
    reply_done(&reply);
}
END_TEST

/* S5: acknowledging with one copy is visible at once in REST and metrics. */
START_TEST(one_copy_is_said)
{
    api_stub_leader(&stub);
    names_remove(&stub.view.store.sync.standbys, "b");
    stub.view.pg.ssn = SSN_EMPTY;
    struct reply reply = api_stub_ask(&stub, "GET /metrics", NULL);
    has_line(reply.body, "pgvigil_one_copy{scope=\"demo\",name=\"a\"} 1\n");
    reply_done(&reply);
    reply = api_stub_ask(&stub, "GET /patroni", NULL);
    ck_assert_ptr_nonnull(strstr(reply.body, "with one copy only"));
    reply_done(&reply);
}
END_TEST

/* Design part 8: the witness answers sensibly without Postgres; E1's page. */
START_TEST(witness)
{
    api_stub_witness(&stub);
    expect("GET /patroni", 200,
           "{\"dcs_last_seen\": 1769904000, \"database_system_identifier\": "
           "\"7301234567890123456\", \"patroni\": {\"version\": \"4.1.4\", \"scope\": \"demo\", "
           "\"name\": \"w\"}, \"pgvigil\": {\"witness\": true, \"rule\": \"witness\", "
           "\"action\": \"wait\", \"etcd_voter\": true, "
           "\"leads_by\": \"no\"}}");
    expect("GET /pgvigil/etcd", 200, "{\"data\": true, \"pgdata\": false, \"mark\": null}");
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /primary"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /metrics"), 200);
    stub.state.etcd.voter = false;
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness"), 503);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("api/status");
    TCase *tcase = tcase_create("bodies");
    tcase_add_test(tcase, patroni_of_a_leader);
    tcase_add_test(tcase, patroni_of_a_standby);
    tcase_add_test(tcase, patroni_without_postgres);
    tcase_add_test(tcase, cluster);
    tcase_add_test(tcase, cluster_copies_from_the_members);
    tcase_add_test(tcase, keys_of_the_store);
    tcase_add_test(tcase, metrics);
    tcase_add_test(tcase, lost_log_lines_are_told);
    tcase_add_test(tcase, one_copy_is_said);
    tcase_add_test(tcase, witness);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
