#include "etcd/watch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/etcd_server.h"
#include "base/clock.h"
#include "etcd/members.h"
#include "json/json.h"

static struct loop *loop;
static struct http *http;
static struct etcd *etcd;
static struct etcd_cluster cluster;
static const struct etcd_how how = { .timeout_ms = 8000, .endpoint = ETCD_ANY };

static void on_write(void *arg, const struct etcd_write_result *result)
{
    ck_assert_msg(result->outcome.code == ERR_OK, "%s", result->outcome.error);
    *(int64_t *)arg = result->outcome.header.revision;
}

static int64_t finish_write(struct etcd_call *call, const int64_t *revision)
{
    for (int i = 0; i < 5000 && *revision == 0; i++)
        run_for(loop, 1);
    etcd_call_free(call);
    ck_assert_int_ne(*revision, 0);
    return *revision;
}

static int64_t write_key(const char *key, const char *value)
{
    int64_t revision = 0;
    struct etcd_put put = { .key = key, .value = value, .value_len = strlen(value) };
    return finish_write(etcd_put(etcd, &put, how, on_write, &revision), &revision);
}

static int64_t delete_key(const char *key)
{
    int64_t revision = 0;
    struct etcd_delete del = { .key = key };
    return finish_write(etcd_delete(etcd, &del, how, on_write, &revision), &revision);
}

/* The news as a transcript. */
struct seen {
    struct etcd_watch *watch;
    char text[1000];
    bool created;
    bool over;
    bool progress;
    enum etcd_news_kind last;
    enum etcd_failure failure;
    struct etcd_header header;
    bool free_at_once;
};

static void say(struct seen *seen, const char *what)
{
    (void)strncat(seen->text, what, sizeof(seen->text) - strlen(seen->text) - 1);
}

static void note_events(struct seen *seen, const struct etcd_news *news)
{
    for (size_t i = 0; i < news->n_events; i++) {
        const struct etcd_event *event = &news->events[i];
        char line[200];
        (void)snprintf(line, sizeof(line), "%s %s=%s was %s;", event->deleted ? "del" : "put",
                       event->kv.key, event->kv.value,
                       event->prev == NULL ? "-" : event->prev->value);
        say(seen, line);
        ck_assert_int_le(event->kv.mod_revision, news->header.revision);
    }
}

static void on_news(void *arg, const struct etcd_news *news)
{
    struct seen *seen = arg;
    ck_assert(!seen->over);
    seen->last = news->kind;
    seen->header = news->header;
    seen->failure = news->failure;
    seen->created |= news->kind == ETCD_NEWS_CREATED;
    seen->progress |= news->kind == ETCD_NEWS_PROGRESS;
    seen->over = news->kind == ETCD_NEWS_LOST || news->kind == ETCD_NEWS_RESYNC;
    note_events(seen, news);
    if (seen->free_at_once && news->kind == ETCD_NEWS_EVENTS)
        seen->watch = etcd_watch_free(seen->watch);
}

static void start(struct seen *seen, struct etcd_watch_spec spec)
{
    spec.fn = on_news;
    spec.arg = seen;
    spec.timeout_ms = 3000;
    seen->watch = etcd_watch_new(etcd, &spec);
}

static void wait_created(struct seen *seen)
{
    run_until(loop, &seen->created, 5000);
}

static void wait_revision(const struct seen *seen, int64_t revision)
{
    for (int i = 0; i < 1000 && seen->header.revision < revision; i++)
        run_for(loop, 5);
    ck_assert_int_eq(seen->header.revision, revision);
}

static void setup(void)
{
    static const char *const extra[] = { "--experimental-watch-progress-notify-interval=100ms",
                                         NULL };
    loop = loop_new();
    http = http_new(loop, 4000);
    etcd_cluster_start(&cluster, loop, 1, extra);
    etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = cluster.urls });
    write_key("/w/up", "1");
}

static void teardown(void)
{
    etcd_free(etcd);
    etcd_cluster_stop(&cluster);
    http_free(http);
    loop_free(loop);
}

/* Everything under the prefix from the revision on, also what was before the watch, in order. */
START_TEST(events_without_gaps)
{
    struct seen seen = { 0 };
    int64_t revision = write_key("/w/a", "1");
    write_key("/w/a", "2");
    start(&seen, (struct etcd_watch_spec){ .key = "/w/",
                                           .prefix = true,
                                           .previous = true,
                                           .start_revision = revision,
                                           .endpoint = ETCD_ANY });
    wait_created(&seen);
    write_key("/x/other", "no");
    write_key("/w/b", "");
    int64_t last = delete_key("/w/a");
    wait_revision(&seen, last);
    ck_assert_str_eq(seen.text, "put /w/a=1 was -;put /w/a=2 was 1;put /w/b= was -;"
                                "del /w/a= was 2;");
    ck_assert_int_lt(mono_diff(clock_mono(), etcd_watch_heard(seen.watch)), 1000);
    etcd_watch_free(seen.watch);
}
END_TEST

/* Progress moves the revision and the time of the last word while nothing happens. */
START_TEST(progress)
{
    struct seen seen = { 0 };
    start(&seen, (struct etcd_watch_spec){ .key = "/w/quiet", .endpoint = 0 });
    wait_created(&seen);
    int64_t revision = write_key("/x/other", "moves the revision");
    run_until(loop, &seen.progress, 3000);
    wait_revision(&seen, revision);
    ck_assert_str_eq(seen.text, "");
    etcd_watch_free(seen.watch);
}
END_TEST

static void on_plain(void *arg, const struct etcd_outcome *outcome)
{
    ck_assert_msg(outcome->code == ERR_OK, "%s", outcome->error);
    *(bool *)arg = true;
}

/* A revision that is compacted away: read everything anew. */
START_TEST(compacted)
{
    bool done = false;
    struct seen seen = { 0 };
    write_key("/w/a", "1");
    int64_t revision = write_key("/w/a", "2");
    struct etcd_call *call = etcd_compact(etcd, revision, how, on_plain, &done);
    run_until(loop, &done, 3000);
    etcd_call_free(call);
    start(&seen, (struct etcd_watch_spec){ .key = "/w/a", .start_revision = 1, .endpoint = 0 });
    run_until(loop, &seen.over, 3000);
    ck_assert_int_eq(seen.last, ETCD_NEWS_RESYNC);
    etcd_watch_free(seen.watch);
}
END_TEST

START_TEST(freed_by_its_callback)
{
    struct seen seen = { .free_at_once = true };
    start(&seen, (struct etcd_watch_spec){ .key = "/w/f", .endpoint = 0 });
    wait_created(&seen);
    write_key("/w/f", "1");
    write_key("/w/f", "2");
    run_for(loop, 30);
    ck_assert_str_eq(seen.text, "put /w/f=1 was -;");
    ck_assert_ptr_null(seen.watch);
}
END_TEST

/* Nobody there; no such endpoint: LOST, from the loop. */
START_TEST(cannot_start)
{
    struct seen seen = { 0 };
    start(&seen, (struct etcd_watch_spec){ .key = "/w/f", .endpoint = 5 });
    ck_assert(!seen.over);
    run_until(loop, &seen.over, 1000);
    ck_assert_int_eq(seen.last, ETCD_NEWS_LOST);
    etcd_watch_free(seen.watch);
    const char *urls[] = { cluster.urls[0], "http://127.0.0.1:1", NULL };
    etcd_set_endpoints(etcd, urls);
    seen = (struct seen){ 0 };
    start(&seen, (struct etcd_watch_spec){ .key = "/w/f", .endpoint = 1 });
    run_until(loop, &seen.over, 1000);
    ck_assert_int_eq(seen.failure, ETCD_FAIL_NO_ANSWER);
    etcd_watch_free(seen.watch);
    etcd_set_endpoints(etcd, cluster.urls);
}
END_TEST

/* The member dies: LOST at once. Last, since it ends the etcd of all tests. */
START_TEST(member_dies)
{
    struct seen seen = { 0 };
    start(&seen, (struct etcd_watch_spec){ .key = "/w/f", .endpoint = 0 });
    wait_created(&seen);
    etcd_server_kill(&cluster, 0);
    struct mono gone = clock_mono();
    run_until(loop, &seen.over, 3000);
    ck_assert_int_lt(mono_diff(clock_mono(), gone), 500);
    ck_assert_int_eq(seen.last, ETCD_NEWS_LOST);
    etcd_watch_free(seen.watch);
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("etcd watch");
    TCase *tcase = tcase_create("watch");
    tcase_set_timeout(tcase, 30);
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, events_without_gaps);
    tcase_add_test(tcase, progress);
    tcase_add_test(tcase, compacted);
    tcase_add_test(tcase, freed_by_its_callback);
    tcase_add_test(tcase, cannot_start);
    tcase_add_test(tcase, member_dies);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* one etcd for all of them */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
