#include "controller/kube/event_line.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* As kube-apiserver 1.36 sends them. */
static const char added[] =
    "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
    "\"db-0\",\"namespace\":\"x\",\"uid\":\"5c1b7cf0-6f39-4a23-9a43-2f0a1e6c9a55\","
    "\"resourceVersion\":\"1204\",\"creationTimestamp\":\"2026-11-23T07:00:00Z\",\"labels\":{"
    "\"role\":\"primary\"}},\"spec\":{},\"status\":{\"phase\":\"Running\"}}}";
static const char modified[] =
    "{\"type\":\"MODIFIED\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{"
    "\"name\":\"db-0\",\"resourceVersion\":\"1210\"}}}";
static const char deleted[] =
    "{\"type\":\"DELETED\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{"
    "\"name\":\"db-0\",\"resourceVersion\":\"1211\"}}}";
static const char bookmark[] =
    "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{"
    "\"resourceVersion\":\"1300\",\"creationTimestamp\":null},\"spec\":{\"containers\":null},"
    "\"status\":{}}}";
static const char expired[] =
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
    "\"status\":\"Failure\",\"message\":\"too old resource version: 12 (1300)\",\"reason\":"
    "\"Expired\",\"code\":410}}";
static const char broken[] =
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
    "\"status\":\"Failure\",\"message\":\"etcdserver: no leader\",\"code\":500}}";

START_TEST(recorded_lines)
{
    static const struct {
        const char *line;
        enum kube_event_kind kind;
        const char *version;
    } rows[] = {
        { added, KUBE_EVENT_PUT, "1204" },       { modified, KUBE_EVENT_PUT, "1210" },
        { deleted, KUBE_EVENT_DELETED, "1211" }, { bookmark, KUBE_EVENT_BOOKMARK, "1300" },
        { expired, KUBE_EVENT_EXPIRED, "" },     { broken, KUBE_EVENT_ERROR, "" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kube_event event;
        struct err err = { 0 };
        ck_assert_msg(kube_event_parse(rows[i].line, strlen(rows[i].line), &event, &err) == ERR_OK,
                      "%zu: %s", i, err.text);
        ck_assert_int_eq((int)event.kind, (int)rows[i].kind);
        ck_assert_str_eq(event.version, rows[i].version);
        ck_assert(json_is_object(event.object));
        json_decref(event.object);
    }
}
END_TEST

/* Every cut of a good line, and types and versions that cannot be. */
START_TEST(nonsense_is_refused)
{
    static const char long_version[] =
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":"
        "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}}}";
    static const char *const lines[] = {
        "",
        "[]",
        "null",
        "{\"type\":\"ADDED\"}",
        "{\"type\":5,\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":[]}",
        "{\"type\":\"ADDED\",\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":7}}}",
        "{\"type\":\"SOMETHING\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}",
        long_version,
    };
    struct kube_event event;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        ck_assert_int_ne(kube_event_parse(lines[i], strlen(lines[i]), &event, NULL), ERR_OK);
    for (size_t len = 0; len < strlen(added); len++)
        ck_assert_int_ne(kube_event_parse(added, len, &event, NULL), ERR_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event_line");
    TCase *lines = tcase_create("lines");
    tcase_add_test(lines, recorded_lines);
    tcase_add_test(lines, nonsense_is_refused);
    suite_add_tcase(suite, lines);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
