#include "sidecar/act/store_txn.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/lossy_proxy.h"
#include "../../support/store_node.h"
#include "base/clock.h"
#include "json/json.h"

enum { TTL_MS = 8000 };

static struct loop *loop;
static struct etcd_cluster servers;
static struct lossy_proxy proxy;
static struct store_node a;

static void setup(void)
{
    json_setup();
    http_setup();
    loop = loop_new();
    etcd_cluster_start(&servers, loop, 1, NULL);
    lossy_proxy_start(&proxy, loop, servers.servers[0].client_port);
    servers.urls[1] = servers.urls[0]; /* the same etcd, straight */
    servers.urls[0] = proxy.url;
    store_node_start(&a, &servers, "a", TTL_MS);
    store_node_wait(&a, store_node_ready, 20000);
}

static void teardown(void)
{
    store_node_stop(&a);
    lossy_proxy_stop(&proxy);
    etcd_cluster_stop(&servers);
    loop_free(loop);
}

/* From now on what goes through the proxy happens and is not answered. */
static void lose_the_next(void)
{
    etcd_endpoint_prefer(a.etcd, 0);
    proxy.loses = true;
    proxy.lost = 0;
}

static int64_t revision_of(const char *name)
{
    struct cluster_key key = { .mod_revision = 0 };
    (void)cluster_get(a.cluster, name, &key);
    return key.mod_revision;
}

/* A transaction that happened although its answer was lost is recognised when it is tried again. */
START_TEST(a_lost_reply_is_found_out)
{
    lose_the_next();
    ck_assert_msg(store_node_step(&a, STEP_TAKE_KEY, "") == ERR_OK, "%s", a.error);
    ck_assert_int_ge(proxy.lost, 1);
    const struct lease *lease = lease_keeper_lease(a.keeper);
    ck_assert(lease->owns_key);
    ck_assert_int_eq(lease->create_revision, revision_of("leader"));
    store_node_wait(&a, store_node_holds, 4000);

    lose_the_next();
    ck_assert_msg(store_node_step(&a, STEP_WRITE_SYNC, "") == ERR_OK, "%s", a.error);
    ck_assert_int_ge(proxy.lost, 1);
    ck_assert_int_eq(a.memory.sync_mod_revision, revision_of("sync"));

    lose_the_next();
    ck_assert_msg(store_node_step(&a, STEP_ADOPT_KEY, "") == ERR_OK, "%s", a.error);
    ck_assert_int_eq(lease_keeper_lease(a.keeper)->mod_revision, revision_of("leader"));
    ck_assert_int_lt(lease_keeper_lease(a.keeper)->create_revision, revision_of("leader"));

    lose_the_next();
    ck_assert_msg(store_node_step(&a, STEP_RELEASE_KEY, "b") == ERR_OK, "%s", a.error);
    ck_assert_ptr_null(cluster_value(a.cluster, "leader"));
    struct view *view = store_node_view(&a);
    ck_assert(view->store.holder.released);
    ck_assert_str_eq(view->store.failover.candidate, "b");
    free(view);
}
END_TEST

/* What somebody else wrote is no success of ours, however often it is tried. */
START_TEST(a_foreign_write_is_not_taken_for_ours)
{
    ck_assert_int_eq(store_node_step(&a, STEP_TAKE_KEY, ""), ERR_OK);
    ck_assert_int_eq(store_node_step(&a, STEP_WRITE_SYNC, ""), ERR_OK);
    store_node_put(&a, "/service/t/sync", "{\"leader\":\"z\",\"quorum\":0,\"sync_standby\":null}");
    lose_the_next();
    ck_assert_int_eq(store_node_step(&a, STEP_WRITE_SYNC, ""), ERR_CONFLICT);
    ck_assert_ptr_nonnull(strstr(a.error, "sync has changed"));
}
END_TEST

struct sent {
    bool done;
    enum err_code code;
};

static void on_sent(void *arg, enum err_code code, const struct err *err, int64_t revision)
{
    struct sent *sent = arg;
    ck_assert(!sent->done);
    ck_assert((code == ERR_OK) == (err == NULL));
    ck_assert((code == ERR_OK) == (revision != 0));
    sent->done = true;
    sent->code = code;
}

/* No answer until the deadline is ERR_TIMEOUT: it may have happened. */
START_TEST(no_answer_is_a_timeout)
{
    struct sent sent = { 0 };
    struct mono began = clock_mono();
    proxy.loses = true;
    const char *only[] = { proxy.url, NULL };
    etcd_set_endpoints(a.etcd, only);
    struct store_txn *txn = store_txn_new(loop, a.etcd, a.cluster);
    store_txn_put(txn, "config", "{}", 0);
    store_txn_send(txn, mono_add(began, 700), on_sent, &sent);
    ck_assert(!sent.done);
    run_until(loop, &sent.done, 5000);
    ck_assert_int_eq(sent.code, ERR_TIMEOUT);
    ck_assert_int_le(mono_diff(clock_mono(), began), 1500);
    store_txn_free(txn);
}
END_TEST

/* A lease that is gone is told apart: the keeper must get another one. */
START_TEST(a_lease_that_is_gone_is_named)
{
    struct sent sent = { 0 };
    struct store_txn *txn = store_txn_new(loop, a.etcd, a.cluster);
    store_txn_put(txn, "members/a", "{}", 12345);
    store_txn_send(txn, mono_add(clock_mono(), 2000), on_sent, &sent);
    run_until(loop, &sent.done, 5000);
    ck_assert_int_eq(sent.code, ERR_NOT_FOUND);
    store_txn_free(txn);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_txn");
    TCase *tcase = tcase_create("a proxy that loses answers");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_lost_reply_is_found_out);
    tcase_add_test(tcase, a_foreign_write_is_not_taken_for_ours);
    tcase_add_test(tcase, no_answer_is_a_timeout);
    tcase_add_test(tcase, a_lease_that_is_gone_is_named);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
