/* Replies of etcd 3.4, 3.5 and 3.6 as their gateways word them, and what becomes of damaged ones. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "lib/etcd/etcd_internal.h"

static const char range_reply[] =
    "{\"header\":{\"cluster_id\":\"324952591200643719\",\"member_id\":\"3319814642761637952\","
    "\"revision\":\"4\",\"raft_term\":\"2\"},\"kvs\":[{\"key\":\"Zm9v\",\"create_revision\":\"2\","
    "\"mod_revision\":\"4\",\"version\":\"2\",\"value\":\"YmF6\",\"lease\":\"7587823380406781187\"},"
    "{\"key\":\"Zm9w\",\"create_revision\":\"3\",\"mod_revision\":\"3\",\"version\":\"1\"}],"
    "\"count\":\"2\"}";

static struct http_result answer(int status, const char *body)
{
    return (struct http_result){ .error = "",
                                 .status = status,
                                 .body = body,
                                 .body_len = strlen(body),
                                 .content_type = "application/json" };
}

START_TEST(success)
{
    struct http_result http = answer(200, range_reply);
    struct etcd_outcome outcome = { 0 };
    struct err error;
    auto_json json_t *json = NULL;
    reply_read(&http, &outcome, &json, &error);
    ck_assert_int_eq(outcome.code, ERR_OK);
    ck_assert_uint_eq(outcome.header.raft_term, 2);
    ck_assert_int_eq(outcome.header.revision, 4);
    auto_kv_list struct kv_list list = { 0 };
    ck_assert_int_eq(kv_list_decode(json_object_get(json, "kvs"), &list, &error), ERR_OK);
    ck_assert_uint_eq(list.n, 2);
    ck_assert_str_eq(list.kvs[0].key, "foo");
    ck_assert_str_eq(list.kvs[0].value, "baz");
    ck_assert(list.kvs[0].lease == 7587823380406781187);
    ck_assert_str_eq(list.kvs[1].key, "fop");
    ck_assert_str_eq(list.kvs[1].value, ""); /* left out when empty */
}
END_TEST

static const struct {
    int status;
    const char *body;
    enum etcd_failure failure;
    enum err_code code;
} errors[] = {
    { 404, "{\"code\":5, \"message\":\"etcdserver: requested lease not found\"}",
      ETCD_FAIL_LEASE_NOT_FOUND, ERR_NOT_FOUND },
    { 404,
      "{\"error\":\"etcdserver: requested lease not found\",\"message\":\"etcdserver: requested "
      "lease not found\",\"code\":5}",
      ETCD_FAIL_LEASE_NOT_FOUND, ERR_NOT_FOUND },
    { 503, "{\"code\":14,\"message\":\"etcdserver: no leader\",\"details\":[]}",
      ETCD_FAIL_NO_LEADER, ERR_UNREACHABLE },
    { 503, "<html>Service Unavailable</html>", ETCD_FAIL_PROTOCOL, ERR_PROTOCOL },
    { 503, "", ETCD_FAIL_PROTOCOL, ERR_PROTOCOL },
    { 200, "", ETCD_FAIL_PROTOCOL, ERR_PROTOCOL },
    { 200, "[]", ETCD_FAIL_PROTOCOL, ERR_PROTOCOL },
    { 200, "{\"header\":{\"raft_term\":\"x\"}}", ETCD_FAIL_PROTOCOL, ERR_PROTOCOL },
};

START_TEST(failure)
{
    struct http_result http = answer(errors[_i].status, errors[_i].body);
    struct etcd_outcome outcome = { 0 };
    struct err error = { 0 };
    json_t *json = NULL;
    reply_read(&http, &outcome, &json, &error);
    ck_assert_str_eq(etcd_failure_name(outcome.failure), etcd_failure_name(errors[_i].failure));
    ck_assert_int_eq(outcome.code, errors[_i].code);
    ck_assert_str_ne(error.text, "");
    ck_assert_ptr_null(json);
}
END_TEST

/* What HTTP knows about the sending is kept: unreachable is not a timeout. */
START_TEST(no_answer)
{
    static const enum err_code codes[] = { ERR_UNREACHABLE, ERR_TIMEOUT, ERR_LIMIT };
    struct http_result http = { .code = codes[_i], .error = "why", .body = "", .content_type = "" };
    struct etcd_outcome outcome = { 0 };
    struct err error;
    json_t *json = NULL;
    reply_read(&http, &outcome, &json, &error);
    ck_assert_int_eq(outcome.code, codes[_i]);
    ck_assert_str_eq(error.text, "why");
}
END_TEST

/* Streams wrap their replies and their errors. */
START_TEST(stream_lines)
{
    static const char good[] = "{\"result\":{\"header\":{\"raft_term\":\"2\"},\"TTL\":\"10\"}}";
    static const char old[] = "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":"
                              "\"etcdserver: no leader\",\"http_status\":\"Service Unavailable\"}}";
    static const char new[] = "{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\"}}";
    struct etcd_outcome outcome = { 0 };
    struct err error;
    auto_json json_t *json = NULL;
    reply_read_line(good, strlen(good), &outcome, &json, &error);
    ck_assert_int_eq(outcome.code, ERR_OK);
    ck_assert_uint_eq(outcome.header.raft_term, 2);
    json_t *none = NULL;
    reply_read_line(old, strlen(old), &outcome, &none, &error);
    ck_assert_int_eq(outcome.failure, ETCD_FAIL_NO_LEADER);
    reply_read_line(new, strlen(new), &outcome, &none, &error);
    ck_assert_int_eq(outcome.failure, ETCD_FAIL_NO_LEADER);
    reply_read_line("{}", 2, &outcome, &none, &error);
    ck_assert_int_eq(outcome.code, ERR_PROTOCOL);
    ck_assert_ptr_null(none);
}
END_TEST

/* Damaged replies, the same ones each time: an error or a value, never more than that (run with the
 * sanitizers). */
START_TEST(damaged)
{
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char bytes[sizeof(range_reply)];
        memcpy(bytes, range_reply, sizeof(bytes));
        for (int i = 0; i < 1 + round % 3; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[(seed >> 8) % (sizeof(bytes) - 1)] = (char)(32 + (seed >> 24) % 95);
        }
        struct http_result http = answer(200, bytes);
        struct etcd_outcome outcome = { 0 };
        struct err error = { 0 };
        auto_json json_t *json = NULL;
        auto_kv_list struct kv_list list = { 0 };
        reply_read(&http, &outcome, &json, &error);
        ck_assert((outcome.code == ERR_OK) == (json != NULL));
        if (json != NULL)
            (void)kv_list_decode(json_object_get(json, "kvs"), &list, &error);
    }
}
END_TEST

int main(void)
{
    json_setup();
    Suite *suite = suite_create("etcd reply");
    TCase *tcase = tcase_create("reply");
    tcase_add_test(tcase, success);
    tcase_add_loop_test(tcase, failure, 0, sizeof(errors) / sizeof(errors[0]));
    tcase_add_loop_test(tcase, no_answer, 0, 3);
    tcase_add_test(tcase, stream_lines);
    tcase_add_test(tcase, damaged);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
