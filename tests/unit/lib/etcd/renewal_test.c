/* L1 on three real members: what a renewal says when the endpoint has lost its quorum. */
#include "etcd/renewal.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/etcd_server.h"
#include "base/clock.h"
#include "etcd/kv.h"
#include "etcd/lease.h"
#include "json/json.h"

static struct loop *loop;
static struct http *http;
static struct etcd *etcd;
static struct etcd_cluster cluster;

static void setup(void)
{
    loop = loop_new();
    http = http_new(loop, 4000);
    etcd_cluster_start(&cluster, loop, 3, NULL);
    etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = cluster.urls });
}

static void teardown(void)
{
    etcd_free(etcd);
    etcd_cluster_stop(&cluster);
    http_free(http);
    loop_free(loop);
}

struct asked {
    bool done;
    struct etcd_lease_result lease;
    struct etcd_renewal_result renewal;
};

static void on_lease(void *arg, const struct etcd_lease_result *result)
{
    struct asked *asked = arg;
    asked->lease = *result;
    asked->done = true;
}

static void on_renewal(void *arg, const struct etcd_renewal_result *result)
{
    struct asked *asked = arg;
    asked->renewal = *result;
    asked->done = true;
}

static struct etcd_lease_result grant(void)
{
    struct asked asked = { 0 };
    struct etcd_how how = { .timeout_ms = 8000, .endpoint = ETCD_ANY };
    struct etcd_call *call = etcd_lease_grant(etcd, 5, how, on_lease, &asked);
    run_until(loop, &asked.done, 9000);
    etcd_call_free(call);
    ck_assert_int_eq(asked.lease.outcome.code, ERR_OK);
    return asked.lease;
}

static struct etcd_lease_result keepalive(int64_t lease, int endpoint)
{
    struct asked asked = { 0 };
    struct etcd_how how = { .timeout_ms = 1000, .endpoint = endpoint };
    struct etcd_call *call = etcd_lease_keepalive(etcd, lease, how, on_lease, &asked);
    run_until(loop, &asked.done, 2000);
    etcd_call_free(call);
    return asked.lease;
}

static struct etcd_renewal_result renew(int64_t lease, int endpoint,
                                        const struct etcd_renewal_result *known)
{
    struct asked asked = { 0 };
    struct etcd_renewal_spec spec = { .leader_key = "/r/leader",
                                      .lease = lease,
                                      .endpoint = endpoint,
                                      .timeout_ms = 1000,
                                      .known_member_id = known->member_id,
                                      .known_term = known->term_read };
    struct etcd_renewal *renewal = etcd_renewal_start(etcd, &spec, on_renewal, &asked);
    run_until(loop, &asked.done, 2000);
    etcd_renewal_free(renewal);
    return asked.renewal;
}

/* The raft leader loses its followers: for some time it still answers keepalives, as a deposed one
 * does for seconds. A renewal there is never complete, since its read cannot be answered. */
START_TEST(deposed_leader)
{
    struct etcd_renewal_result none = { 0 };
    int64_t lease = grant().id;
    int leader = etcd_cluster_leader(&cluster, etcd);
    struct etcd_renewal_result before = renew(lease, leader, &none);
    ck_assert(before.complete);
    for (int i = 0; i < 3; i++)
        if (i != leader)
            etcd_server_signal(&cluster, i, SIGSTOP);
    bool fooled = keepalive(lease, leader).ttl_s > 0;
    struct etcd_renewal_result after = renew(lease, leader, &before);
    ck_assert(!after.complete);
    ck_assert(after.outcome.code == ERR_TIMEOUT || after.outcome.code == ERR_UNREACHABLE);
    ck_assert_msg(fooled, "this etcd did not answer the keepalive: the test proves nothing");
}
END_TEST

/* Two sequences on two endpoints at the same time, one of them on a frozen member. */
START_TEST(hedge)
{
    int64_t lease = grant().id;
    int frozen = (etcd_cluster_leader(&cluster, etcd) + 1) % 3;
    struct asked slow = { 0 };
    struct asked quick = { 0 };
    struct etcd_renewal_spec spec = {
        .leader_key = "/r/leader", .lease = lease, .endpoint = frozen, .timeout_ms = 3000
    };
    etcd_server_signal(&cluster, frozen, SIGSTOP);
    struct mono start = clock_mono();
    struct etcd_renewal *first = etcd_renewal_start(etcd, &spec, on_renewal, &slow);
    run_for(loop, 50);
    spec.endpoint = etcd_endpoint_after(etcd, frozen);
    struct etcd_renewal *second = etcd_renewal_start(etcd, &spec, on_renewal, &quick);
    run_until(loop, &quick.done, 2000);
    ck_assert(quick.renewal.complete);
    ck_assert_int_eq(quick.renewal.outcome.endpoint, spec.endpoint);
    ck_assert(!slow.done);
    ck_assert_int_lt(mono_diff(clock_mono(), start), 1000);
    etcd_renewal_free(first);
    etcd_renewal_free(second);
}
END_TEST

/* ---- NOSPACE (E5) ---- */

struct writing {
    bool done;
    struct etcd_outcome outcome;
};

static void on_written(void *arg, const struct etcd_txn_result *result)
{
    struct writing *writing = arg;
    writing->outcome = result->outcome;
    writing->outcome.error = NULL;
    writing->done = true;
}

static struct etcd_outcome write_some(size_t bytes)
{
    struct writing writing = { 0 };
    char *value = malloc(bytes + 1);
    memset(value, 'x', bytes);
    value[bytes] = '\0';
    struct etcd_txn *txn = etcd_txn_new();
    struct etcd_put put = { .key = "/r/junk", .value = value, .value_len = bytes };
    struct etcd_how how = { .timeout_ms = 3000, .endpoint = 0 };
    etcd_txn_put(txn, ETCD_THEN, &put);
    struct etcd_call *call = etcd_txn_send(etcd, txn, how, on_written, &writing);
    run_until(loop, &writing.done, 4000);
    etcd_call_free(call);
    etcd_txn_free(txn);
    free(value);
    return writing.outcome;
}

static void setup_small(void)
{
    static const char *const small[] = { "--quota-backend-bytes=2000000", NULL };
    loop = loop_new();
    http = http_new(loop, 4000);
    etcd_cluster_start(&cluster, loop, 1, small);
    etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = cluster.urls });
}

/* etcd at NOSPACE answers keepalives and reads and refuses what writes: the renewal's transaction. The
 * read that L1 wants is made without it. */
START_TEST(no_space)
{
    int64_t lease = grant().id;
    bool full = false;
    for (int i = 0; i < 40 && !full; i++)
        full = write_some(200000).failure == ETCD_FAIL_NO_SPACE;
    ck_assert_msg(full, "etcd never was full");
    struct asked asked = { 0 };
    struct etcd_txn *txn = etcd_txn_new();
    struct etcd_range leader = { .key = "/r/leader" };
    etcd_txn_put(txn, ETCD_THEN, &(struct etcd_put){ .key = "/r/t", .value = "t", .value_len = 1 });
    etcd_txn_range(txn, ETCD_THEN, &leader);
    struct etcd_renewal_spec spec = {
        .leader_key = "/r/leader", .lease = lease, .endpoint = 0, .timeout_ms = 3000, .txn = txn
    };
    struct etcd_renewal *renewal = etcd_renewal_start(etcd, &spec, on_renewal, &asked);
    run_until(loop, &asked.done, 4000);
    ck_assert(asked.renewal.complete && asked.renewal.no_space);
    ck_assert(!asked.renewal.txn_succeeded && !asked.renewal.key_exists);
    ck_assert_int_gt(asked.renewal.keepalive_ttl_s, 0);
    ck_assert_uint_ne(asked.renewal.term_read, 0);
    ck_assert_uint_eq(asked.renewal.term_read, asked.renewal.term_keepalive);
    etcd_renewal_free(renewal);
    etcd_txn_free(txn);
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("etcd renewal");
    TCase *tcase = tcase_create("renewal");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, deposed_leader);
    tcase_add_test(tcase, hedge);
    suite_add_tcase(suite, tcase);
    TCase *full = tcase_create("no space");
    tcase_set_timeout(full, 30);
    tcase_add_checked_fixture(full, setup_small, teardown);
    tcase_add_test(full, no_space);
    suite_add_tcase(suite, full);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
