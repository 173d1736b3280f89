/* State-changing requests (patroni-compat 2.5): codes, texts and the order of the checks; and who may
 * send them (2.1). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/api_stub.h"
#include "sidecar/api/access.h"

enum stub_kind { LEADER, STANDBY };

/* What changes in the stub before the request. */
enum twist { PLAIN, PAUSED, UNLOCKED, NO_SYNC, ASYNC, ALONE, BUSY, SCHEDULED, FAILSAFE };

static struct api_stub stub;

static void prepare(enum stub_kind kind, enum twist twist)
{
    if (kind == LEADER)
        api_stub_leader(&stub);
    else
        api_stub_standby(&stub);
    struct store_view *store = &stub.view.store;
    stub.view.policy.pause = twist == PAUSED;
    stub.view.policy.failsafe = twist == FAILSAFE;
    store->leader_exists = twist != UNLOCKED;
    if (twist == NO_SYNC || twist == ASYNC)
        names_remove(&store->sync.standbys, "b");
    if (twist == ASYNC || twist == ALONE)
        store->sync = (struct sync_state){ 0 };
    if (twist == ALONE)
        stub.state.store.n_members = 2; /* c and a */
    if (twist == ALONE)
        stub.members[0] = stub.members[1];
    if (twist == ALONE)
        stub.state.store.n_members = 1;
    if (twist == BUSY)
        stub.state.running = "clone";
    if (twist == SCHEDULED)
        stub.state.scheduled_restart = "{}";
}

/* status 0: an order was given, `text` is its name. */
static const struct {
    enum stub_kind kind;
    enum twist twist;
    const char *line;
    const char *body;
    int status;
    const char *text;
} rows[] = {
    { LEADER, PLAIN, "POST /switchover", NULL, 411, NULL },
    { LEADER, PLAIN, "POST /switchover", "", 400, NULL },
    { LEADER, PLAIN, "POST /switchover", "[]", 400, NULL },
    { LEADER, PLAIN, "POST /switchover", "{}", 400,
      "Switchover could be performed only from a specific leader" },
    { LEADER, PLAIN, "POST /switchover", "{\"leader\":\"a\"}", 0, "switchover" },
    { LEADER, PLAIN, "POST /switchover", "{\"leader\":\"a\",\"candidate\":\"b\"}", 0,
      "switchover" },
    { STANDBY, PLAIN, "POST /switchover", "{\"leader\":\"a\",\"member\":\"b\"}", 0, "switchover" },
    { LEADER, PLAIN, "POST /switchover", "{\"leader\":\"x\",\"candidate\":\"b\"}", 412,
      "leader name does not match" },
    { LEADER, UNLOCKED, "POST /switchover", "{\"leader\":\"a\"}", 412,
      "leader name does not match" },
    { LEADER, PLAIN, "POST /switchover", "{\"leader\":\"a\",\"candidate\":\"a\"}", 400,
      "Switchover target and source are the same" },
    { LEADER, PLAIN, "POST /switchover", "{\"leader\":\"a\",\"candidate\":\"c\"}", 412,
      "candidate name does not match with sync_standby" },
    { LEADER, ASYNC, "POST /switchover", "{\"leader\":\"a\",\"candidate\":\"c\"}", 0,
      "switchover" },
    { LEADER, ASYNC, "POST /switchover", "{\"leader\":\"a\",\"candidate\":\"x\"}", 412,
      "candidate does not exists" },
    { LEADER, NO_SYNC, "POST /switchover", "{\"leader\":\"a\"}", 412,
      "switchover is not possible: can not find sync_standby" },
    { LEADER, ALONE, "POST /switchover", "{\"leader\":\"a\"}", 412,
      "switchover is not possible: cluster does not have members except leader" },
    { LEADER, PAUSED, "POST /switchover", "{\"leader\":\"a\"}", 400,
      "Switchover is possible only to a specific candidate in a paused state" },
    { LEADER, PAUSED, "POST /switchover", "{\"leader\":\"a\",\"candidate\":\"b\"}", 0,
      "switchover" },
    { LEADER, PAUSED, "POST /switchover",
      "{\"leader\":\"a\",\"scheduled_at\":\"2030-01-01T00:00:00Z\"}", 400,
      "Can't schedule switchover in the paused state" },
    { LEADER, PLAIN, "POST /switchover",
      "{\"leader\":\"a\",\"scheduled_at\":\"2030-01-01T00:00:00Z\"}", 0, "switchover" },
    { LEADER, PLAIN, "POST /switchover",
      "{\"leader\":\"a\",\"scheduled_at\":\"2030-01-01T00:00:00\"}", 400,
      "Timezone information is mandatory for the scheduled switchover" },
    { LEADER, PLAIN, "POST /switchover",
      "{\"leader\":\"a\",\"scheduled_at\":\"2020-01-01T00:00:00Z\"}", 422,
      "Cannot schedule switchover in the past" },
    { LEADER, PLAIN, "POST /switchover", "{\"leader\":\"a\",\"scheduled_at\":\"soon\"}", 422,
      "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601" },
    { LEADER, PLAIN, "POST /failover", "{\"leader\":\"a\"}", 400,
      "Failover could be performed only to a specific candidate" },
    { LEADER, PLAIN, "POST /failover",
      "{\"candidate\":\"b\",\"scheduled_at\":\"2030-01-01T00:00:00Z\"}", 400,
      "Failover can't be scheduled" },
    { LEADER, PLAIN, "POST /failover", "{\"candidate\":\"b\"}", 0, "failover" },
    { LEADER, PLAIN, "POST /failover", "{\"candidate\":\"b\",\"leader\":\"a\"}", 0, "switchover" },
    /* Design part 4: outside /sync only after the leader was lost. */
    { LEADER, PLAIN, "POST /failover", "{\"candidate\":\"c\"}", 412,
      "candidate name does not match with sync_standby" },
    { LEADER, PLAIN, "POST /failover", "{\"candidate\":\"x\"}", 412, "candidate does not exists" },
    { STANDBY, UNLOCKED, "POST /failover", "{\"candidate\":\"c\"}", 0, "failover" },
    { STANDBY, UNLOCKED, "POST /failover", "{\"candidate\":\"x\"}", 412,
      "candidate does not exists" },
    { LEADER, PLAIN, "DELETE /switchover", NULL, 0, "delete scheduled switchover" },

    { LEADER, PLAIN, "POST /restart", NULL, 0, "restart" },
    { LEADER, PLAIN, "POST /restart", "", 0, "restart" },
    { LEADER, PLAIN, "POST /restart", "{}", 0, "restart" },
    { LEADER, PLAIN, "POST /restart", "{", 400, NULL },
    { LEADER, PLAIN, "POST /restart", "{\"role\":\"primary\",\"timeout\":10}", 0, "restart" },
    { LEADER, PLAIN, "POST /restart", "{\"role\":\"replica\"}", 503,
      "restart conditions are not satisfied" },
    { LEADER, PLAIN, "POST /restart", "{\"role\":\"master\"}", 400,
      "PostgreSQL role should be either primary, standby_leader, or replica" },
    { LEADER, PLAIN, "POST /restart", "{\"timeout\":0}", 400,
      "Timeout should be a positive number of seconds" },
    { LEADER, PLAIN, "POST /restart", "{\"timeout\":\"1min\"}", 0, "restart" },
    { LEADER, PLAIN, "POST /restart", "{\"potato\":1}", 400,
      "Unknown filter for the scheduled restart: potato" },
    { LEADER, PLAIN, "POST /restart", "{\"restart_pending\":false}", 503,
      "restart conditions are not satisfied" },
    { LEADER, PLAIN, "POST /restart", "{\"postgres_version\":\"17.4\"}", 503,
      "restart conditions are not satisfied" },
    { LEADER, PLAIN, "POST /restart", "{\"postgres_version\":\"17.5\"}", 0, "restart" },
    { LEADER, BUSY, "POST /restart", "{}", 503, "clone already in progress" },
    { LEADER, PLAIN, "POST /restart", "{\"schedule\":\"2030-01-01T00:00:00Z\"}", 0,
      "schedule restart" },
    { LEADER, PAUSED, "POST /restart", "{\"schedule\":\"2030-01-01T00:00:00Z\"}", 500,
      "Can't schedule restart in the paused state" },
    { LEADER, SCHEDULED, "POST /restart", "{\"schedule\":\"2030-01-01T00:00:00Z\"}", 409,
      "Another restart is already scheduled" },
    { LEADER, PLAIN, "POST /restart", "{\"schedule\":\"2030-01-01 00:00\"}", 400,
      "Timezone information is mandatory for the scheduled restart" },
    { LEADER, PLAIN, "DELETE /restart", NULL, 404, "no restarts are scheduled" },
    { LEADER, SCHEDULED, "DELETE /restart", NULL, 0, "delete scheduled restart" },

    { LEADER, PLAIN, "POST /reinitialize", NULL, 503, "I am the leader, can not reinitialize" },
    { STANDBY, UNLOCKED, "POST /reinitialize", NULL, 503,
      "Cluster has no leader, can not reinitialize" },
    { STANDBY, BUSY, "POST /reinitialize", NULL, 503, "clone already in progress" },
    { STANDBY, BUSY, "POST /reinitialize", "{\"force\":true}", 0, "reinitialize" },
    { STANDBY, PLAIN, "POST /reinitialize", NULL, 0, "reinitialize" },

    { LEADER, PLAIN, "POST /reload", NULL, 0, "reload" },
    { LEADER, PLAIN, "PATCH /config", "{\"ttl\":5}", 0, "patch config" },
    { LEADER, PLAIN, "PATCH /config", NULL, 411, NULL },
    { LEADER, PLAIN, "PUT /config", "{}", 0, "put config" },
    { LEADER, FAILSAFE, "POST /failsafe", "{\"name\":\"a\"}", 500, "Running as a leader" },
    { STANDBY, FAILSAFE, "POST /failsafe", "{\"name\":\"a\"}", 0, "failsafe" },
    { STANDBY, PLAIN, "POST /failsafe", "{\"name\":\"a\"}", 502, NULL },
    { LEADER, PLAIN, "POST /pgvigil/accept", NULL, 0, "accept" },
    { LEADER, PLAIN, "POST /pgvigil/etcd/recover", NULL, 0, "recover quorum" },
    { LEADER, PLAIN, "DELETE /pgvigil/members/c", NULL, 0, "remove member" },
    { LEADER, PLAIN, "DELETE /pgvigil/members/", NULL, 501, NULL },
    { LEADER, PLAIN, "DELETE /pgvigil/members/c/d", NULL, 501, NULL },
    { STANDBY, PLAIN, "DELETE /pgvigil/members/c", NULL, 503,
      "I am not the leader, can not remove a member" },
    { LEADER, PLAIN, "POST /pgvigil/potato", NULL, 501, NULL },
    { LEADER, PLAIN, "POST /potato", NULL, 501, NULL },
    { LEADER, PLAIN, "PUT /switchover", "{}", 501, NULL },
};

static const char *order_text(const struct api_order *order)
{
    return order->kind == API_SWITCHOVER && order->failover ? "failover"
                                                            : api_order_name(order->kind);
}

START_TEST(table)
{
    prepare(rows[_i].kind, rows[_i].twist);
    struct reply reply = api_stub_ask(&stub, rows[_i].line, rows[_i].body);
    const char *text = rows[_i].status == 0 ? order_text(&reply.order) : reply.body;
    ck_assert_msg(reply.status == rows[_i].status && (reply.status == 0) == (reply.order.kind != 0),
                  "%s %s: %d %s", rows[_i].line, rows[_i].body, reply.status, text);
    if (rows[_i].text != NULL)
        ck_assert_msg(strcmp(text, rows[_i].text) == 0, "%s %s: %s", rows[_i].line, rows[_i].body,
                      text);
    reply_done(&reply);
}
END_TEST

/* What an order carries. */
START_TEST(orders)
{
    prepare(STANDBY, UNLOCKED);
    struct reply reply =
        api_stub_ask(&stub, "POST /failover", "{\"candidate\":\"c\",\"leader\":null}");
    ck_assert(reply.order.failover);
    ck_assert_str_eq(reply.order.member, "c");
    ck_assert_str_eq(reply.order.leader, "");
    reply_done(&reply);
    prepare(LEADER, PLAIN);
    reply = api_stub_ask(&stub, "POST /switchover",
                         "{\"leader\":\"a\",\"scheduled_at\":\"2030-01-01T00:00:00Z\"}");
    ck_assert_str_eq(reply.order.leader, "a");
    ck_assert_str_eq(reply.order.schedule, "2030-01-01T00:00:00Z");
    reply_done(&reply);
    reply = api_stub_ask(&stub, "POST /restart", "{\"timeout\":\"1min\"}");
    ck_assert_int_eq(reply.order.timeout_ms, 60000);
    reply_done(&reply);
    reply = api_stub_ask(&stub, "PATCH /config", "{\"ttl\":5}");
    ck_assert_int_eq(json_integer_value(json_object_get(reply.order.body, "ttl")), 5);
    reply_done(&reply);
    reply = api_stub_ask(&stub, "DELETE /pgvigil/members/old-node", NULL);
    ck_assert_str_eq(reply.order.member, "old-node");
    reply_done(&reply);
}
END_TEST

/* 2.1: addresses are compared as numbers. */
START_TEST(addresses)
{
    ck_assert(access_matches("10.0.0.1", "10.0.0.1"));
    ck_assert(access_matches("10.0.0.0/8", "10.255.0.1"));
    ck_assert(!access_matches("10.0.0.0/8", "11.0.0.1"));
    ck_assert(access_matches("10.0.0.4/30", "10.0.0.7"));
    ck_assert(!access_matches("10.0.0.4/30", "10.0.0.8"));
    ck_assert(access_matches("0.0.0.0/0", "1.2.3.4"));
    ck_assert(access_matches("10.0.0.1", "::ffff:10.0.0.1"));
    ck_assert(access_matches("fd00::/8", "fd12::1"));
    ck_assert(!access_matches("fd00::/8", "fe80::1"));
    ck_assert(access_matches("::1", "0:0:0:0:0:0:0:1"));
    ck_assert(!access_matches("10.0.0.0/33", "10.0.0.1"));
    ck_assert(!access_matches("10.0.0.0/x", "10.0.0.1"));
    ck_assert(!access_matches("somewhere", "10.0.0.1"));
    ck_assert(!access_matches("10.0.0.1", ""));
}
END_TEST

static int access_status(const struct api_settings *settings, struct origin origin, bool peers)
{
    struct reply reply;
    if (access_granted(settings, &stub.state, &origin, peers, &reply))
        return 200;
    int status = reply.status;
    reply_done(&reply);
    return status;
}

/* 2.1: members' addresses count where the allow-list includes them, but not for /failsafe. */
START_TEST(members_are_allowed)
{
    const char *const list[] = { "192.168.0.0/16" };
    struct api_settings settings = { .n_allowlist = 1,
                                     .allowlist = list,
                                     .allowlist_include_members = true };
    api_stub_leader(&stub);
    ck_assert_int_eq(access_status(&settings, (struct origin){ .address = "10.0.0.2" }, true), 200);
    ck_assert_int_eq(access_status(&settings, (struct origin){ .address = "fd00::3" }, true), 200);
    ck_assert_int_eq(access_status(&settings, (struct origin){ .address = "10.0.0.2" }, false),
                     403);
    ck_assert_int_eq(access_status(&settings, (struct origin){ .address = "10.0.0.5" }, true), 403);
    ck_assert_int_eq(access_status(&settings, (struct origin){ .address = "192.168.1.1" }, false),
                     200);
}
END_TEST

/* 2.1: the order is allow-list, certificate, login; broken headers are refused. */
START_TEST(logins)
{
    struct api_settings settings = { .username = "u", .password = "p" };
    api_stub_leader(&stub);
    struct origin origin = { .address = "10.0.0.5" };
    ck_assert_int_eq(access_status(&settings, origin, true), 401);
    static const char *const bad[] = { "",           "Basic",          "Basic ",     "Basic dTpw=",
                                       "Basic ====", "Basic dTpxcQ==", "Basic dXA=", "Bearer dTpw",
                                       "Basic !!!!" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        origin.authorization = bad[i];
        ck_assert_msg(access_status(&settings, origin, true) == 401, "%s", bad[i]);
    }
    origin.authorization = "basic dTpw";
    ck_assert_int_eq(access_status(&settings, origin, true), 200);
    settings.verify_client = API_VERIFY_OPTIONAL;
    ck_assert_int_eq(access_status(&settings, origin, true), 200);
    origin.tls = true;
    ck_assert_int_eq(access_status(&settings, origin, true), 403);
    origin.client_certificate = true;
    ck_assert_int_eq(access_status(&settings, origin, true), 200);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api/control");
    TCase *tcase = tcase_create("orders");
    tcase_add_loop_test(tcase, table, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tcase, orders);
    tcase_add_test(tcase, addresses);
    tcase_add_test(tcase, members_are_allowed);
    tcase_add_test(tcase, logins);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
