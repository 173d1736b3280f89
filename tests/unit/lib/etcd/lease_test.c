#include "etcd/lease.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/etcd_server.h"
#include "base/clock.h"
#include "etcd/kv.h"
#include "etcd/renewal.h"
#include "json/json.h"

static struct loop *loop;
static struct http *http;
static struct etcd *etcd;
static struct etcd_cluster cluster;
static const struct etcd_how how = { .timeout_ms = 8000, .endpoint = ETCD_ANY };

struct seen {
    struct etcd_call *call;
    bool done;
    struct etcd_lease_result result;
    char error[300];
};

static void on_lease(void *arg, const struct etcd_lease_result *result)
{
    struct seen *seen = arg;
    seen->result = *result;
    text_copy(seen->error, sizeof(seen->error), result->outcome.error);
    seen->call = etcd_call_free(seen->call);
    seen->done = true;
}

typedef struct etcd_call *lease_verb(struct etcd *, int64_t, struct etcd_how, etcd_lease_fn *,
                                     void *);

static struct etcd_lease_result ask(lease_verb *verb, int64_t number)
{
    struct seen seen = { 0 };
    seen.call = verb(etcd, number, how, on_lease, &seen);
    ck_assert(!seen.done);
    run_until(loop, &seen.done, 10000);
    return seen.result;
}

static void on_write(void *arg, const struct etcd_write_result *result)
{
    ck_assert_msg(result->outcome.code == ERR_OK, "%s", result->outcome.error);
    *(bool *)arg = true;
}

static void put_leader(int64_t lease, const char *name)
{
    bool done = false;
    struct etcd_put put = {
        .key = "/t/leader", .value = name, .value_len = strlen(name), .lease = lease
    };
    struct etcd_call *call = etcd_put(etcd, &put, how, on_write, &done);
    run_until(loop, &done, 10000);
    etcd_call_free(call);
}

static void setup(void)
{
    loop = loop_new();
    http = http_new(loop, 4000);
    etcd_cluster_start(&cluster, loop, 1, NULL);
    etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = cluster.urls });
    ck_assert_int_eq(ask(etcd_lease_grant, 5).outcome.code, ERR_OK);
}

static void teardown(void)
{
    etcd_free(etcd);
    etcd_cluster_stop(&cluster);
    http_free(http);
    loop_free(loop);
}

/* Grant, keepalive, time to live, revoke; a lease that is gone says so in each way. */
START_TEST(life_of_a_lease)
{
    struct etcd_lease_result granted = ask(etcd_lease_grant, 10);
    ck_assert_int_eq(granted.outcome.code, ERR_OK);
    ck_assert_int_eq(granted.ttl_s, 10);
    ck_assert_int_ne(granted.id, 0);
    struct mono before = clock_mono();
    struct etcd_lease_result kept = ask(etcd_lease_keepalive, granted.id);
    ck_assert_int_eq(kept.outcome.code, ERR_OK);
    ck_assert_int_eq(kept.ttl_s, 10);
    ck_assert_uint_eq(kept.outcome.header.raft_term, granted.outcome.header.raft_term);
    ck_assert_uint_ne(kept.outcome.header.raft_term, 0);
    ck_assert_int_ge(mono_diff(kept.sent, before), 0);
    ck_assert_int_le(mono_diff(clock_mono(), kept.sent), 1000);
    struct etcd_lease_result left = ask(etcd_lease_time_to_live, granted.id);
    ck_assert_int_ge(left.ttl_s, 8);
    ck_assert_int_eq(left.granted_s, 10);
    ck_assert_int_eq(ask(etcd_lease_revoke, granted.id).outcome.code, ERR_OK);
    ck_assert_int_eq(ask(etcd_lease_keepalive, granted.id).ttl_s, 0);
    ck_assert_int_eq(ask(etcd_lease_time_to_live, granted.id).ttl_s, -1);
    struct etcd_lease_result again = ask(etcd_lease_revoke, granted.id);
    ck_assert_int_eq(again.outcome.code, ERR_NOT_FOUND);
    ck_assert_int_eq(again.outcome.failure, ETCD_FAIL_LEASE_NOT_FOUND);
}
END_TEST

/* etcd's floor: 1.5 election timeouts (750 ms here) become 1 s at least; the answer tells. */
START_TEST(floor_is_told)
{
    ck_assert_int_eq(ask(etcd_lease_grant, 1).ttl_s, 1);
}
END_TEST

/* Keepalives are done with the first line of the stream, not with its end, and the connection serves
 * again: the quickest of them says so on a busy machine, too. */
START_TEST(keepalive_is_cheap)
{
    int64_t id = ask(etcd_lease_grant, 10).id;
    int64_t quickest = INT64_MAX;
    for (int i = 0; i < 100; i++) {
        struct mono before = clock_mono();
        ck_assert_int_eq(ask(etcd_lease_keepalive, id).ttl_s, 10);
        int64_t took = mono_diff(clock_mono(), before);
        quickest = took < quickest ? took : quickest;
    }
    ck_assert_int_lt(quickest, 20);
}
END_TEST

struct renewed {
    bool done;
    struct etcd_renewal *renewal;
    struct etcd_renewal_result result;
    char error[300];
};

static void on_renewed(void *arg, const struct etcd_renewal_result *result)
{
    struct renewed *renewed = arg;
    renewed->result = *result;
    text_copy(renewed->error, sizeof(renewed->error), result->outcome.error);
    renewed->renewal = etcd_renewal_free(renewed->renewal);
    renewed->done = true;
}

static struct renewed renew(struct etcd_renewal_spec spec)
{
    struct renewed renewed = { 0 };
    spec.leader_key = "/t/leader";
    spec.timeout_ms = 3000;
    renewed.renewal = etcd_renewal_start(etcd, &spec, on_renewed, &renewed);
    ck_assert(!renewed.done);
    run_until(loop, &renewed.done, 5000);
    return renewed;
}

/* L1: three replies of one member with their terms, the key, and a time before the keepalive. */
START_TEST(renewal_collects)
{
    int64_t id = ask(etcd_lease_grant, 10).id;
    put_leader(id, "node1");
    struct mono before = clock_mono();
    struct etcd_renewal_result full = renew((struct etcd_renewal_spec){ .lease = id }).result;
    ck_assert_int_eq(full.outcome.code, ERR_OK);
    ck_assert(full.complete);
    ck_assert_uint_ne(full.term_before, 0);
    ck_assert_uint_eq(full.term_before, full.term_keepalive);
    ck_assert_uint_eq(full.term_before, full.term_read);
    ck_assert_int_eq(full.keepalive_ttl_s, 10);
    ck_assert(full.key_exists);
    ck_assert_str_eq(full.key_value, "node1");
    ck_assert_int_eq(full.key_lease, id);
    ck_assert_int_eq(full.key_create_revision, full.key_mod_revision);
    ck_assert_int_ge(mono_diff(full.sent, before), 0);
    /* With the last reply of that member known, the first read is left out. */
    uint64_t requests = etcd_requests(etcd);
    struct etcd_renewal_result half =
        renew((struct etcd_renewal_spec){
                  .lease = id, .known_member_id = full.member_id, .known_term = full.term_read })
            .result;
    ck_assert(half.complete);
    ck_assert_uint_eq(half.term_before, full.term_read);
    ck_assert_uint_eq(etcd_requests(etcd) - requests, 2);
}
END_TEST

/* The same address, another member: nothing may be concluded. */
START_TEST(renewal_of_another_member)
{
    int64_t id = ask(etcd_lease_grant, 10).id;
    struct renewed renewed =
        renew((struct etcd_renewal_spec){ .lease = id, .known_member_id = 4711, .known_term = 1 });
    ck_assert(!renewed.result.complete);
    ck_assert_int_eq(renewed.result.outcome.code, ERR_CONFLICT);
    ck_assert_str_eq(renewed.error, "the endpoint leads to different members");
}
END_TEST

/* A lease that is gone and a key that is gone are told, not hidden in an error. */
START_TEST(renewal_after_the_end)
{
    int64_t id = ask(etcd_lease_grant, 10).id;
    put_leader(id, "node1");
    ask(etcd_lease_revoke, id);
    struct etcd_renewal_result result = renew((struct etcd_renewal_spec){ .lease = id }).result;
    ck_assert(result.complete);
    ck_assert_int_eq(result.keepalive_ttl_s, 0);
    ck_assert(!result.key_exists);
}
END_TEST

static struct etcd_txn *confirm(int64_t create_revision)
{
    struct etcd_txn *txn = etcd_txn_new();
    struct etcd_range leader = { .key = "/t/leader" };
    etcd_txn_compare(txn, "/t/leader", ETCD_CREATE_REVISION, ETCD_EQUAL, create_revision);
    etcd_txn_put(txn, ETCD_THEN,
                 &(struct etcd_put){ .key = "/t/confirmed", .value = "1", .value_len = 1 });
    etcd_txn_range(txn, ETCD_THEN, &leader);
    etcd_txn_range(txn, ETCD_ELSE, &leader);
    return txn;
}

/* S7: the last step carries a transaction; whether it succeeded or not, the key is told. */
START_TEST(renewal_with_a_transaction)
{
    int64_t id = ask(etcd_lease_grant, 10).id;
    put_leader(id, "node1");
    int64_t created = renew((struct etcd_renewal_spec){ .lease = id }).result.key_create_revision;
    for (int i = 0; i < 2; i++) {
        struct etcd_txn *txn = confirm(i == 0 ? created : 4711);
        struct etcd_renewal_result result =
            renew((struct etcd_renewal_spec){ .lease = id, .txn = txn }).result;
        etcd_txn_free(txn);
        ck_assert(result.complete);
        ck_assert(result.txn_succeeded == (i == 0));
        ck_assert(result.key_exists);
        ck_assert_int_eq(result.key_create_revision, created);
    }
}
END_TEST

/* Cancelled at any of its steps: silent. */
START_TEST(renewal_cancelled)
{
    int64_t id = ask(etcd_lease_grant, 10).id;
    for (int ms = 0; ms < 6; ms++) {
        struct renewed renewed = { 0 };
        struct etcd_renewal_spec spec = { .leader_key = "/t/leader",
                                          .lease = id,
                                          .timeout_ms = 3000 };
        renewed.renewal = etcd_renewal_start(etcd, &spec, on_renewed, &renewed);
        run_for(loop, ms);
        if (!renewed.done)
            etcd_renewal_free(renewed.renewal);
    }
    run_for(loop, 50);
}
END_TEST

/* An endpoint that is not there ends the sequence at once, without a second try elsewhere. */
START_TEST(renewal_on_a_dead_endpoint)
{
    const char *urls[] = { cluster.urls[0], "http://127.0.0.1:1", NULL };
    etcd_set_endpoints(etcd, urls);
    struct renewed renewed = renew((struct etcd_renewal_spec){ .lease = 1, .endpoint = 1 });
    etcd_set_endpoints(etcd, cluster.urls);
    ck_assert(!renewed.result.complete);
    ck_assert_int_eq(renewed.result.outcome.code, ERR_UNREACHABLE);
    ck_assert_int_eq(renewed.result.outcome.endpoint, 1);
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("etcd lease");
    TCase *tcase = tcase_create("lease");
    tcase_set_timeout(tcase, 30);
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, life_of_a_lease);
    tcase_add_test(tcase, floor_is_told);
    tcase_add_test(tcase, keepalive_is_cheap);
    tcase_add_test(tcase, renewal_collects);
    tcase_add_test(tcase, renewal_of_another_member);
    tcase_add_test(tcase, renewal_after_the_end);
    tcase_add_test(tcase, renewal_with_a_transaction);
    tcase_add_test(tcase, renewal_cancelled);
    tcase_add_test(tcase, renewal_on_a_dead_endpoint);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* one etcd for all of them */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
