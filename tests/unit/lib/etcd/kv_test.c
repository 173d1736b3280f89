#include "etcd/kv.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/etcd_server.h"
#include "json/json.h"

static struct loop *loop;
static struct http *http;
static struct etcd *etcd;
static struct etcd_cluster cluster;
static const struct etcd_how how = { .timeout_ms = 8000, .endpoint = ETCD_ANY };

/* What a reply was, copied out of its callback. */
struct seen {
    struct etcd_call *call;
    bool done;
    enum err_code code;
    enum etcd_failure failure;
    char error[300];
    struct etcd_header header;
    bool succeeded;
    size_t n;
    int64_t count;
    int64_t deleted;
    struct etcd_kv kvs[8];
    char keys[8][50];
    char values[8][50];
};

static void note(struct seen *seen, const struct etcd_outcome *outcome)
{
    seen->code = outcome->code;
    seen->failure = outcome->failure;
    seen->header = outcome->header;
    text_copy(seen->error, sizeof(seen->error), outcome->error);
    seen->call = etcd_call_free(seen->call);
    seen->done = true;
}

static void note_kvs(struct seen *seen, const struct etcd_kv *kvs, size_t n)
{
    ck_assert_uint_le(n, 8);
    seen->n = n;
    for (size_t i = 0; i < n; i++) {
        seen->kvs[i] = kvs[i];
        text_copy(seen->keys[i], 50, kvs[i].key);
        memcpy(seen->values[i], kvs[i].value, kvs[i].value_len + 1);
    }
}

static void on_range(void *arg, const struct etcd_range_result *result)
{
    struct seen *seen = arg;
    note_kvs(seen, result->kvs, result->n_kvs);
    seen->count = result->count;
    note(seen, &result->outcome);
}

static void on_write(void *arg, const struct etcd_write_result *result)
{
    struct seen *seen = arg;
    seen->deleted = result->deleted;
    note(seen, &result->outcome);
}

static void on_txn(void *arg, const struct etcd_txn_result *result)
{
    struct seen *seen = arg;
    seen->succeeded = result->succeeded;
    for (size_t i = 0; i < result->n_responses; i++) {
        if (result->responses[i].n_kvs > 0)
            note_kvs(seen, result->responses[i].kvs, result->responses[i].n_kvs);
        seen->deleted += result->responses[i].deleted;
    }
    note(seen, &result->outcome);
}

static struct seen finish(struct seen *seen)
{
    ck_assert(!seen->done); /* never from inside the call */
    run_until(loop, &seen->done, 10000);
    return *seen;
}

static struct seen read_key(const char *key, bool prefix)
{
    struct seen seen = { 0 };
    seen.call = etcd_range(etcd, &(struct etcd_range){ .key = key, .prefix = prefix }, how,
                           on_range, &seen);
    return finish(&seen);
}

static struct seen write_key(const char *key, const char *value)
{
    struct seen seen = { 0 };
    struct etcd_put put = { .key = key, .value = value, .value_len = strlen(value) };
    seen.call = etcd_put(etcd, &put, how, on_write, &seen);
    return finish(&seen);
}

static struct seen send(struct etcd_txn *txn)
{
    struct seen seen = { 0 };
    seen.call = etcd_txn_send(etcd, txn, how, on_txn, &seen);
    etcd_txn_free(txn); /* what is under way does not need it */
    return finish(&seen);
}

static void setup(void)
{
    loop = loop_new();
    http = http_new(loop, 4000);
    etcd_cluster_start(&cluster, loop, 1, NULL);
    etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = cluster.urls });
    struct seen seen = write_key("/t/up", "1"); /* repeated until etcd has come up */
    ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
}

static void teardown(void)
{
    etcd_free(etcd);
    etcd_cluster_stop(&cluster);
    http_free(http);
    loop_free(loop);
}

/* Keys, values with zero bytes, revisions, prefixes, limits, deletion. */
START_TEST(reads_and_writes)
{
    struct seen seen = { 0 };
    struct etcd_put put = { .key = "/t/bin", .value = "a\0b", .value_len = 3 };
    seen.call = etcd_put(etcd, &put, how, on_write, &seen);
    finish(&seen);
    ck_assert_int_eq(seen.code, ERR_OK);
    int64_t revision = seen.header.revision;
    ck_assert_uint_ne(seen.header.cluster_id, 0);
    ck_assert_uint_ne(seen.header.member_id, 0);
    ck_assert_uint_ne(seen.header.raft_term, 0);
    seen = read_key("/t/bin", false);
    ck_assert_uint_eq(seen.n, 1);
    ck_assert_str_eq(seen.keys[0], "/t/bin");
    ck_assert_uint_eq(seen.kvs[0].value_len, 3);
    ck_assert_mem_eq(seen.values[0], "a\0b", 4);
    ck_assert_int_eq(seen.kvs[0].create_revision, revision);
    ck_assert_int_eq(seen.kvs[0].mod_revision, revision);
    ck_assert_int_eq(seen.kvs[0].version, 1);
    ck_assert_int_eq(seen.kvs[0].lease, 0);
    write_key("/t/empty", "");
    write_key("/tz", "not below /t/");
    seen = read_key("/t/", true);
    ck_assert_uint_eq(seen.n, 3);
    ck_assert_str_eq(seen.keys[1], "/t/empty");
    ck_assert_str_eq(seen.values[1], "");
    seen = read_key("/t/absent", false);
    ck_assert_int_eq(seen.code, ERR_OK);
    ck_assert_uint_eq(seen.n, 0);
    seen = (struct seen){ 0 };
    struct etcd_range range = { .key = "/t/", .prefix = true, .limit = 1, .serializable = true };
    seen.call = etcd_range(etcd, &range, how, on_range, &seen);
    finish(&seen);
    ck_assert_uint_eq(seen.n, 1);
    ck_assert_int_eq(seen.count, 3);
    seen = (struct seen){ 0 };
    seen.call = etcd_delete(etcd, &(struct etcd_delete){ .key = "/t/", .prefix = true }, how,
                            on_write, &seen);
    finish(&seen);
    ck_assert_int_eq(seen.deleted, 3);
    ck_assert_uint_eq(read_key("/t", true).n, 1);
}
END_TEST

/* The transaction that takes a key: create-if-absent, once; ELSE tells who has it. */
START_TEST(create_if_absent)
{
    for (int i = 0; i < 2; i++) {
        struct etcd_txn *txn = etcd_txn_new();
        const char *value = i == 0 ? "first" : "second";
        etcd_txn_compare(txn, "/t/leader", ETCD_CREATE_REVISION, ETCD_EQUAL, 0);
        etcd_txn_put(txn, ETCD_THEN,
                     &(struct etcd_put){ .key = "/t/leader", .value = value, .value_len = 5 });
        etcd_txn_range(txn, ETCD_ELSE, &(struct etcd_range){ .key = "/t/leader" });
        struct seen seen = send(txn);
        ck_assert_int_eq(seen.code, ERR_OK);
        ck_assert(seen.succeeded == (i == 0));
        if (i == 1)
            ck_assert_str_eq(seen.values[0], "first");
    }
}
END_TEST

static bool holds(const char *key, enum etcd_target target, enum etcd_relation relation,
                  int64_t number)
{
    struct etcd_txn *txn = etcd_txn_new();
    etcd_txn_compare(txn, key, target, relation, number);
    struct seen seen = send(txn);
    ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
    return seen.succeeded;
}

/* Every compare, both ways. */
START_TEST(compares)
{
    struct seen seen = write_key("/t/c", "v1");
    int64_t created = seen.header.revision;
    seen = write_key("/t/c", "v2");
    int64_t modified = seen.header.revision;
    ck_assert(holds("/t/c", ETCD_CREATE_REVISION, ETCD_EQUAL, created));
    ck_assert(!holds("/t/c", ETCD_CREATE_REVISION, ETCD_NOT_EQUAL, created));
    ck_assert(holds("/t/c", ETCD_MOD_REVISION, ETCD_EQUAL, modified));
    ck_assert(!holds("/t/c", ETCD_MOD_REVISION, ETCD_EQUAL, created));
    ck_assert(holds("/t/c", ETCD_MOD_REVISION, ETCD_GREATER, created));
    ck_assert(holds("/t/c", ETCD_VERSION, ETCD_LESS, 3));
    ck_assert(holds("/t/c", ETCD_VERSION, ETCD_EQUAL, 2));
    ck_assert(holds("/t/c", ETCD_LEASE, ETCD_EQUAL, 0));
    ck_assert(!holds("/t/c", ETCD_LEASE, ETCD_EQUAL, 7));
    ck_assert(holds("/t/absent", ETCD_MOD_REVISION, ETCD_EQUAL, 0));
    struct etcd_txn *txn = etcd_txn_new();
    etcd_txn_compare_value(txn, "/t/c", ETCD_EQUAL, "v2", 2);
    etcd_txn_compare(txn, "/t/c", ETCD_VERSION, ETCD_EQUAL, 2);
    etcd_txn_delete(txn, ETCD_THEN, &(struct etcd_delete){ .key = "/t/c" });
    etcd_txn_put(txn, ETCD_THEN, &(struct etcd_put){ .key = "/t/d", .value = "x", .value_len = 1 });
    etcd_txn_range(txn, ETCD_THEN, &(struct etcd_range){ .key = "/t/d" });
    seen = send(txn);
    ck_assert(seen.succeeded);
    ck_assert_int_eq(seen.deleted, 1);
    ck_assert_str_eq(seen.values[0], "x");
    ck_assert_int_eq(seen.kvs[0].mod_revision, seen.header.revision);
}
END_TEST

/* What etcd refuses has a name; a put under a lease that does not exist did not happen. */
START_TEST(refusals)
{
    struct seen seen = { 0 };
    struct etcd_put put = { .key = "/t/l", .value = "x", .value_len = 1, .lease = 12345 };
    seen.call = etcd_put(etcd, &put, how, on_write, &seen);
    finish(&seen);
    ck_assert_int_eq(seen.code, ERR_NOT_FOUND);
    ck_assert_int_eq(seen.failure, ETCD_FAIL_LEASE_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(seen.error, "etcd http://127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(seen.error, "requested lease not found"));
    struct etcd_txn *txn = etcd_txn_new();
    put.lease = 0;
    etcd_txn_put(txn, ETCD_THEN, &put);
    etcd_txn_put(txn, ETCD_THEN, &put);
    seen = send(txn);
    ck_assert_int_eq(seen.code, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(seen.error, "duplicate key"));
}
END_TEST

/* A freed handle is silent; a released one goes on alone. */
START_TEST(free_and_release)
{
    struct seen seen = { 0 };
    struct etcd_put put = { .key = "/t/freed", .value = "x", .value_len = 1 };
    etcd_call_free(etcd_put(etcd, &put, how, on_write, &seen));
    put.key = "/t/released";
    etcd_call_release(etcd_put(etcd, &put, how, on_write, &seen));
    run_for(loop, 100);
    ck_assert(!seen.done);
    ck_assert_uint_eq(read_key("/t/released", false).n, 1);
    ck_assert_uint_eq(read_key("/t/freed", false).n, 0);
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("etcd kv");
    TCase *tcase = tcase_create("kv");
    tcase_set_timeout(tcase, 30);
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, reads_and_writes);
    tcase_add_test(tcase, create_if_absent);
    tcase_add_test(tcase, compares);
    tcase_add_test(tcase, refusals);
    tcase_add_test(tcase, free_and_release);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* one etcd for all of them */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
