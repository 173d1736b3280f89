#include "controller/kube/watch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/kube_api.h"
#include "tests/unit/support/until.h"

#define PODS "/api/v1/namespaces/x/pods"

static struct loop *loop;
static struct kube_api *api;
static struct http *http;
static struct kube *kube;
static struct kube_watch *watch;

/* What the watch has told, as its owner keeps it. */
static struct {
    char names[64][32];
    char versions[64][32];
    size_t n;
    bool listed[64];
    int lists;
} seen;

static bool compact_in_list; /* once, while the first page is told */

static const char *meta(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), key));
}

static size_t index_of(const char *name)
{
    size_t at = 0;
    while (at < seen.n && strcmp(seen.names[at], name) != 0)
        at++;
    return at;
}

static void drop(size_t at)
{
    seen.n--;
    memcpy(seen.names[at], seen.names[seen.n], sizeof(seen.names[0]));
    memcpy(seen.versions[at], seen.versions[seen.n], sizeof(seen.versions[0]));
    seen.listed[at] = seen.listed[seen.n];
}

static void on_news(void *arg, enum kube_news news, const json_t *object)
{
    (void)arg;
    if (news == KUBE_NEWS_LIST) {
        if (compact_in_list)
            kube_api_compact(api);
        compact_in_list = false;
        memset(seen.listed, 0, sizeof(seen.listed));
    } else if (news == KUBE_NEWS_LISTED) {
        seen.lists++;
        for (size_t at = seen.n; at-- > 0;)
            if (!seen.listed[at])
                drop(at);
    } else {
        size_t at = index_of(meta(object, "name"));
        if (news == KUBE_NEWS_GONE) {
            ck_assert_uint_lt(at, seen.n);
            drop(at);
            return;
        }
        seen.n += at == seen.n;
        (void)snprintf(seen.names[at], sizeof(seen.names[at]), "%s", meta(object, "name"));
        (void)snprintf(seen.versions[at], sizeof(seen.versions[at]), "%s",
                       meta(object, "resourceVersion"));
        seen.listed[at] = true;
    }
}

static void put(const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), PODS "/%s", name);
    kube_api_put(api, path, json_object());
}

/* The owner knows exactly what is there. */
static bool is_same(void *arg)
{
    size_t expected = *(const size_t *)arg;
    if (seen.n != expected || seen.lists == 0)
        return false;
    for (size_t at = 0; at < seen.n; at++) {
        char path[200];
        (void)snprintf(path, sizeof(path), PODS "/%s", seen.names[at]);
        const json_t *object = kube_api_get(api, path);
        if (object == NULL || strcmp(meta(object, "resourceVersion"), seen.versions[at]) != 0)
            return false;
    }
    return true;
}

static void expect(size_t n)
{
    ck_assert_msg(until(loop, is_same, &n, 10000), "%zu objects told of %zu, %d lists", seen.n, n,
                  seen.lists);
}

static void setup(void)
{
    json_setup();
    http_setup();
    memset(&seen, 0, sizeof(seen));
    loop = loop_new();
    api = kube_api_new(loop);
    http = http_new(loop, 5000);
    ck_assert_int_eq(kube_new(loop, http, &kube, NULL), ERR_OK);
    put("a");
    put("b");
}

static void begin(void)
{
    const struct kube_watch_spec spec = {
        .loop = loop, .kube = kube, .what = "pods", .path = PODS, .fn = on_news
    };
    watch = kube_watch_new(&spec);
}

static void teardown(void)
{
    kube_watch_free(watch);
    kube_free(kube);
    http_free(http);
    kube_api_free(api);
    loop_free(loop);
}

static bool is_watching(void *arg)
{
    return kube_api_counts(api)->watches >= *(const int *)arg;
}

static void expect_watches(int n)
{
    ck_assert_msg(until(loop, is_watching, &n, 10000), "%d of %d watches",
                  kube_api_counts(api)->watches, n);
}

START_TEST(list_then_watch)
{
    begin();
    expect(2);
    ck_assert(kube_watch_current(watch));
    expect_watches(1);
    put("c");
    put("a");
    kube_api_delete(api, PODS "/b");
    expect(2);
    ck_assert_int_eq(kube_api_counts(api)->lists, 1);
    ck_assert_int_eq(kube_api_counts(api)->watches, 1);
}
END_TEST

START_TEST(a_list_comes_in_pages)
{
    for (int i = 0; i < 43; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "p%d", i);
        put(name);
    }
    begin();
    expect(45);
    ck_assert_int_eq(kube_api_counts(api)->pages, 3);
    ck_assert_int_eq(kube_api_counts(api)->lists, 1);
}
END_TEST

/* A cursor that has grown too old: the list begins anew. */
START_TEST(an_expired_page_begins_anew)
{
    for (int i = 0; i < 23; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "p%d", i);
        put(name);
    }
    compact_in_list = true;
    begin();
    expect(25);
    ck_assert_int_eq(kube_api_counts(api)->lists, 2);
}
END_TEST

/* A lost connection goes on from the last version, without a list; a bookmark moves that version. */
START_TEST(a_lost_watch_goes_on)
{
    begin();
    expect(2);
    expect_watches(1);
    kube_api_compact(api);
    kube_api_bookmark(api);
    put("c");
    expect(3);
    kube_api_hang_up(api);
    put("d");
    kube_api_delete(api, PODS "/a");
    expect(3);
    ck_assert_int_eq(kube_api_counts(api)->lists, 1);
}
END_TEST

static void compacted(void)
{
    begin();
    expect(2);
    expect_watches(1);
    kube_api_hang_up(api);
    kube_api_delete(api, PODS "/a");
    put("c");
    kube_api_compact(api);
    expect(2);
    ck_assert_int_eq(kube_api_counts(api)->lists, 2);
}

/* 410 in both of its forms. */
START_TEST(compacted_as_a_status)
{
    compacted();
}
END_TEST

START_TEST(compacted_as_an_event)
{
    kube_api_expire_in_stream(api, true);
    compacted();
}
END_TEST

/* An API that is away or refuses is asked again, at a pace, and what happened meanwhile is told. */
START_TEST(an_api_that_is_away)
{
    kube_api_fail(api, "", 500, -1);
    begin();
    int n = 100;
    ck_assert(!until(loop, is_watching, &n, 700));
    ck_assert_int_le(kube_api_counts(api)->requests, 8);
    kube_api_fail(api, "", 0, 1);
    expect(2);
    kube_api_hang_up(api);
    kube_api_fail(api, "", 429, 1);
    put("c");
    expect(3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tcase = tcase_create("watch");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, list_then_watch);
    tcase_add_test(tcase, a_list_comes_in_pages);
    tcase_add_test(tcase, an_expired_page_begins_anew);
    tcase_add_test(tcase, a_lost_watch_goes_on);
    tcase_add_test(tcase, compacted_as_a_status);
    tcase_add_test(tcase, compacted_as_an_event);
    tcase_add_test(tcase, an_api_that_is_away);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
