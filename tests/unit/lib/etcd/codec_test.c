#include "etcd/codec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"

/* RFC 4648, part 10, and bytes that are not text. */
static const struct {
    const char *bytes;
    size_t len;
    const char *base64;
} vectors[] = {
    { "", 0, "" },
    { "f", 1, "Zg==" },
    { "fo", 2, "Zm8=" },
    { "foo", 3, "Zm9v" },
    { "foob", 4, "Zm9vYg==" },
    { "fooba", 5, "Zm9vYmE=" },
    { "foobar", 6, "Zm9vYmFy" },
    { "\xff\xfe\x00\xfb", 4, "//4A+w==" },
};

START_TEST(base64_both_ways)
{
    auto_text struct text text = text_new(100);
    codec_add_base64(&text, vectors[_i].bytes, vectors[_i].len);
    ck_assert_str_eq(text_str(&text), vectors[_i].base64);
    char back[20];
    size_t len = 99;
    size_t base64_len = strlen(vectors[_i].base64);
    ck_assert_int_eq(codec_base64(vectors[_i].base64, base64_len, back, &len, NULL), ERR_OK);
    ck_assert_uint_eq(len, vectors[_i].len);
    ck_assert_mem_eq(back, vectors[_i].bytes, len);
    ck_assert_int_eq(back[len], '\0');
}
END_TEST

static const char *const not_base64[] = { "Zg=",      "Zg",   "Z===", "====",
                                          "Zm9v=m9v", "Zm 9", "Zm9-", "Zg==Zg==" };

START_TEST(base64_refused)
{
    char back[20];
    size_t len = 99;
    const char *text = not_base64[_i];
    ck_assert_int_eq(codec_base64(text, strlen(text), back, &len, NULL), ERR_PROTOCOL);
    ck_assert_uint_eq(len, 99);
}
END_TEST

/* A prefix is the range up to its last byte plus one; the empty one is everything. */
START_TEST(prefixes)
{
    auto_text struct text text = text_new(200);
    codec_add_key(&text, "/service/a/", true);
    ck_assert_str_eq(text_str(&text),
                     "\"key\":\"L3NlcnZpY2UvYS8=\",\"range_end\":\"L3NlcnZpY2UvYTA=\"");
    text_clear(&text);
    codec_add_key(&text, "a\xff", true);
    ck_assert_str_eq(text_str(&text), "\"key\":\"Yf8=\",\"range_end\":\"Yg==\"");
    text_clear(&text);
    codec_add_key(&text, "", true);
    ck_assert_str_eq(text_str(&text), "\"key\":\"\",\"range_end\":\"AA==\"");
}
END_TEST

static json_t *parse(const char *text)
{
    json_t *json = NULL;
    ck_assert_int_eq(json_parse(text, strlen(text), "test", &json, NULL), ERR_OK);
    return json;
}

/* 64-bit integers come as strings; what is absent is 0. */
START_TEST(integers)
{
    auto_json json_t *json = parse(
        "{\"s\":\"-9223372036854775808\",\"n\":7,\"u\":\"18446744073709551615\","
        "\"bad\":\"12x\",\"empty\":\"\",\"neg\":\"-1\",\"o\":{},\"big\":\"99999999999999999999\"}");
    struct json_reader reader = { json, "x" };
    struct err err;
    int64_t number = 5;
    uint64_t unsigned_number = 5;
    ck_assert_int_eq(codec_int(reader, "s", &number, NULL), ERR_OK);
    ck_assert(number == INT64_MIN);
    ck_assert_int_eq(codec_int(reader, "n", &number, NULL), ERR_OK);
    ck_assert_int_eq(number, 7);
    ck_assert_int_eq(codec_uint(reader, "u", &unsigned_number, NULL), ERR_OK);
    ck_assert(unsigned_number == UINT64_MAX);
    ck_assert_int_eq(codec_uint(reader, "absent", &unsigned_number, NULL), ERR_OK);
    ck_assert_uint_eq(unsigned_number, 0);
    static const char *const bad[] = { "bad", "empty", "o", "big" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(codec_int(reader, bad[i], &number, &err), ERR_PROTOCOL);
        ck_assert_int_eq(codec_uint(reader, bad[i], &unsigned_number, &err), ERR_PROTOCOL);
    }
    ck_assert_int_eq(codec_uint(reader, "neg", &unsigned_number, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "x: neg: not an integer");
    ck_assert_int_eq(number, 7);
}
END_TEST

START_TEST(header)
{
    auto_json json_t *json = parse("{\"header\":{\"cluster_id\":\"14841639068965178418\","
                                   "\"member_id\":\"2\",\"revision\":\"3\",\"raft_term\":\"4\"}}");
    struct etcd_header parsed = { 0 };
    ck_assert_int_eq(codec_header((struct json_reader){ json, "r" }, &parsed, NULL), ERR_OK);
    ck_assert(parsed.cluster_id == 14841639068965178418ULL);
    ck_assert_uint_eq(parsed.member_id, 2);
    ck_assert_int_eq(parsed.revision, 3);
    ck_assert_uint_eq(parsed.raft_term, 4);
}
END_TEST

/* Texts of etcd 3.5, as they came over the gateway, and what may be concluded from them. */
static const struct {
    int64_t code;
    const char *message;
    enum etcd_failure failure;
    enum err_code err;
} failures[] = {
    { 5, "etcdserver: requested lease not found", ETCD_FAIL_LEASE_NOT_FOUND, ERR_NOT_FOUND },
    { 8, "etcdserver: mvcc: database space exceeded", ETCD_FAIL_NO_SPACE, ERR_REFUSED },
    { 8, "etcdserver: too many requests", ETCD_FAIL_TOO_MANY_REQUESTS, ERR_UNREACHABLE },
    { 9, "etcdserver: can only promote a learner member which is in sync with leader",
      ETCD_FAIL_LEARNER_NOT_READY, ERR_CONFLICT },
    { 9, "etcdserver: can only promote a learner member", ETCD_FAIL_NOT_A_LEARNER, ERR_CONFLICT },
    { 11, "etcdserver: mvcc: required revision has been compacted", ETCD_FAIL_COMPACTED,
      ERR_REFUSED },
    { 14, "etcdserver: no leader", ETCD_FAIL_NO_LEADER, ERR_UNREACHABLE },
    { 14, "etcdserver: leader changed", ETCD_FAIL_UNAVAILABLE, ERR_TIMEOUT },
    { 14, "etcdserver: request timed out, possibly due to connection lost", ETCD_FAIL_UNAVAILABLE,
      ERR_TIMEOUT },
    { 14, "etcdserver: unhealthy cluster", ETCD_FAIL_UNHEALTHY, ERR_CONFLICT },
    { 14, "etcdserver: rpc not supported for learner", ETCD_FAIL_LEARNER, ERR_UNREACHABLE },
    { 14, "transport is closing", ETCD_FAIL_UNAVAILABLE, ERR_TIMEOUT },
    { 2, "lease: not a primary lessor", ETCD_FAIL_UNAVAILABLE, ERR_TIMEOUT },
    { 3, "etcdserver: user name is empty", ETCD_FAIL_LOGIN, ERR_REFUSED },
    { 3, "etcdserver: revision of auth store is old", ETCD_FAIL_TOKEN, ERR_REFUSED },
    { 0, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token", ETCD_FAIL_TOKEN,
      ERR_REFUSED },
    { 3, "something new", ETCD_FAIL_OTHER, ERR_REFUSED },
};

START_TEST(failure_texts)
{
    enum etcd_failure failure = codec_failure(failures[_i].code, failures[_i].message);
    ck_assert_str_eq(etcd_failure_name(failure), etcd_failure_name(failures[_i].failure));
    ck_assert_int_eq(codec_failure_code(failure), failures[_i].err);
}
END_TEST

int main(void)
{
    json_setup();
    Suite *suite = suite_create("etcd codec");
    TCase *tcase = tcase_create("codec");
    tcase_add_loop_test(tcase, base64_both_ways, 0, sizeof(vectors) / sizeof(vectors[0]));
    tcase_add_loop_test(tcase, base64_refused, 0, sizeof(not_base64) / sizeof(not_base64[0]));
    tcase_add_test(tcase, prefixes);
    tcase_add_test(tcase, integers);
    tcase_add_test(tcase, header);
    tcase_add_loop_test(tcase, failure_texts, 0, sizeof(failures) / sizeof(failures[0]));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
