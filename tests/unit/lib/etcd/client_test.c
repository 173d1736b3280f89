/* Endpoints, deadlines, login and TLS of the client. Each test has an etcd of its own. */
#include "etcd/etcd.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../support/etcd_server.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "etcd/kv.h"
#include "etcd/members.h"
#include "etcd/watch.h"
#include "json/json.h"

static struct loop *loop;
static struct http *http;
static struct etcd_cluster cluster;

struct seen {
    struct etcd_call *call;
    bool done;
    enum err_code code;
    enum etcd_failure failure;
    int endpoint;
    char error[300];
};

static void note(struct seen *seen, const struct etcd_outcome *outcome)
{
    seen->code = outcome->code;
    seen->failure = outcome->failure;
    seen->endpoint = outcome->endpoint;
    text_copy(seen->error, sizeof(seen->error), outcome->error);
    seen->call = etcd_call_free(seen->call);
    seen->done = true;
}

static void on_write(void *arg, const struct etcd_write_result *result)
{
    note(arg, &result->outcome);
}

static void on_range(void *arg, const struct etcd_range_result *result)
{
    note(arg, &result->outcome);
}

static struct seen put(struct etcd *etcd, struct etcd_how how)
{
    struct seen seen = { 0 };
    struct etcd_put spec = { .key = "/c/a", .value = "1", .value_len = 1 };
    seen.call = etcd_put(etcd, &spec, how, on_write, &seen);
    ck_assert(!seen.done);
    run_until(loop, &seen.done, how.timeout_ms + 1000);
    return seen;
}

static struct seen range(struct etcd *etcd, struct etcd_how how)
{
    struct seen seen = { 0 };
    seen.call = etcd_range(etcd, &(struct etcd_range){ .key = "/c/a" }, how, on_range, &seen);
    ck_assert(!seen.done);
    run_until(loop, &seen.done, how.timeout_ms + 1000);
    return seen;
}

static const struct etcd_how long_time = { .timeout_ms = 8000, .endpoint = ETCD_ANY };

static void setup(void)
{
    loop = loop_new();
    http = http_new(loop, 4000);
    cluster = (struct etcd_cluster){ 0 };
}

static void teardown(void)
{
    if (cluster.n > 0)
        etcd_cluster_stop(&cluster);
    http_free(http);
    loop_free(loop);
}

/* The list may change at run time: what stays keeps its index, trailing slashes do not matter. */
START_TEST(endpoint_list)
{
    const char *first[] = { "http://a:1/", "http://b:1", "http://c:1", NULL };
    const char *second[] = { "http://d:1", "http://c:1/", NULL };
    struct etcd *etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = first });
    ck_assert_int_eq(etcd_endpoint_current(etcd), 0);
    ck_assert_str_eq(etcd_endpoint_url(etcd, 0), "http://a:1");
    ck_assert_int_eq(etcd_endpoint_find(etcd, "http://c:1"), 2);
    ck_assert_int_eq(etcd_endpoint_after(etcd, 2), 0);
    etcd_set_endpoints(etcd, second);
    ck_assert_int_eq(etcd_endpoint_find(etcd, "http://c:1"), 2);
    ck_assert_int_eq(etcd_endpoint_find(etcd, "http://d:1"), 0);
    ck_assert_int_eq(etcd_endpoint_find(etcd, "http://a:1"), ETCD_ANY);
    ck_assert_ptr_null(etcd_endpoint_url(etcd, 1));
    ck_assert_ptr_null(etcd_endpoint_url(etcd, ETCD_ANY));
    ck_assert_int_eq(etcd_endpoint_after(etcd, 0), 2);
    etcd_endpoint_prefer(etcd, 2);
    ck_assert_int_eq(etcd_endpoint_current(etcd), 2);
    etcd_set_endpoints(etcd, NULL);
    ck_assert_int_eq(etcd_endpoint_current(etcd), ETCD_ANY);
    struct seen seen = put(etcd, (struct etcd_how){ .timeout_ms = 200, .endpoint = ETCD_ANY });
    ck_assert_int_eq(seen.code, ERR_UNREACHABLE);
    ck_assert_str_eq(seen.error, "no endpoint is known");
    etcd_free(etcd);
}
END_TEST

/* Endpoints that are not there are passed over, also by writes; the working one becomes sticky. An
 * explicit index is tried once and nowhere else. */
START_TEST(fails_over)
{
    etcd_cluster_start(&cluster, loop, 1, NULL);
    const char *urls[] = { "http://127.0.0.1:1", "http://127.0.0.1:2", cluster.urls[0], NULL };
    struct etcd *etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = urls });
    struct seen seen = put(etcd, long_time);
    ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
    ck_assert_int_eq(seen.endpoint, 2);
    ck_assert_int_eq(etcd_endpoint_current(etcd), 2);
    seen = put(etcd, (struct etcd_how){ .timeout_ms = 1000, .endpoint = 0 });
    ck_assert_int_eq(seen.code, ERR_UNREACHABLE);
    ck_assert_int_eq(seen.endpoint, 0);
    ck_assert_ptr_nonnull(strstr(seen.error, "etcd http://127.0.0.1:1: "));
    etcd_free(etcd);
}
END_TEST

static void count_sign(void *arg)
{
    (*(int *)arg)++;
}

/* What points to trouble or to another raft leader is told, so that nobody need ask again and again;
 * what goes well is not. */
START_TEST(signs_of_trouble)
{
    int signs = 0;
    etcd_cluster_start(&cluster, loop, 3, NULL);
    const char *urls[] = { cluster.urls[0], cluster.urls[1], cluster.urls[2], "http://127.0.0.1:1",
                           NULL };
    struct etcd *etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = urls });
    etcd_on_sign(etcd, count_sign, &signs);
    ck_assert_int_eq(put(etcd, long_time).code, ERR_OK);
    ck_assert_int_ge(signs, 1); /* the first term */
    signs = 0;
    ck_assert_int_eq(put(etcd, long_time).code, ERR_OK);
    ck_assert_int_eq(range(etcd, long_time).code, ERR_OK);
    ck_assert_int_eq(signs, 0);
    struct etcd_how nowhere = { .timeout_ms = 1000, .endpoint = 3 };
    ck_assert_int_eq(put(etcd, nowhere).code, ERR_UNREACHABLE);
    ck_assert_int_eq(signs, 1);
    etcd_sign(etcd);
    ck_assert_int_eq(signs, 2);
    int leader = etcd_cluster_leader(&cluster, etcd);
    etcd_server_kill(&cluster, leader);
    etcd_endpoint_prefer(etcd, (leader + 1) % 3);
    signs = 0;
    ck_assert_int_eq(range(etcd, long_time).code, ERR_OK); /* of the new term */
    ck_assert_int_ge(signs, 1);
    etcd_on_sign(etcd, NULL, NULL);
    signs = 0;
    etcd_sign(etcd);
    ck_assert_int_eq(signs, 0);
    etcd_free(etcd);
}
END_TEST

/* Nobody anywhere: the deadline holds, and it certainly did not happen. */
START_TEST(deadline_holds)
{
    const char *urls[] = { "http://127.0.0.1:1", "http://127.0.0.1:2", NULL };
    struct etcd *etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = urls });
    struct mono before = clock_mono();
    struct seen seen = put(etcd, (struct etcd_how){ .timeout_ms = 500, .endpoint = ETCD_ANY });
    ck_assert_int_eq(seen.code, ERR_UNREACHABLE);
    ck_assert_int_ge(mono_diff(clock_mono(), before), 300);
    ck_assert_int_lt(mono_diff(clock_mono(), before), 700);
    etcd_free(etcd);
}
END_TEST

/* A member that hears nothing any more: a read goes elsewhere within its deadline, a write is not
 * repeated, since it may have happened. */
START_TEST(frozen_member)
{
    etcd_cluster_start(&cluster, loop, 3, NULL);
    struct etcd *etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = cluster.urls });
    ck_assert_int_eq(put(etcd, long_time).code, ERR_OK);
    int frozen = (etcd_cluster_leader(&cluster, etcd) + 1) % 3; /* no election comes between */
    struct etcd_how shorter = { .timeout_ms = 900, .endpoint = ETCD_ANY };
    etcd_endpoint_prefer(etcd, frozen);
    ck_assert_int_eq(range(etcd, long_time).code, ERR_OK);
    etcd_server_signal(&cluster, frozen, SIGSTOP);
    etcd_endpoint_prefer(etcd, frozen);
    struct seen seen = range(etcd, shorter);
    ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
    ck_assert_int_ne(seen.endpoint, frozen);
    ck_assert_int_ne(etcd_endpoint_current(etcd), frozen);
    etcd_endpoint_prefer(etcd, frozen);
    seen = put(etcd, shorter);
    ck_assert_int_eq(seen.code, ERR_TIMEOUT);
    ck_assert_int_eq(seen.endpoint, frozen);
    seen = put(etcd, shorter);
    ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
    etcd_server_signal(&cluster, frozen, SIGCONT);
    etcd_free(etcd);
}
END_TEST

struct watched {
    bool created;
    bool lost;
    enum etcd_failure failure;
};

static void on_news(void *arg, const struct etcd_news *news)
{
    struct watched *watched = arg;
    watched->created |= news->kind == ETCD_NEWS_CREATED;
    watched->lost |= news->kind == ETCD_NEWS_LOST;
    watched->failure = news->failure;
}

/* A member without quorum: requests say that nothing happened or that nobody knows, never that it
 * worked; "require leader" ends the watch. */
START_TEST(no_quorum)
{
    etcd_cluster_start(&cluster, loop, 3, NULL);
    struct etcd *etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = cluster.urls });
    ck_assert_int_eq(put(etcd, long_time).code, ERR_OK);
    struct watched watched = { 0 };
    struct etcd_watch_spec spec = {
        .key = "/c/", .prefix = true, .timeout_ms = 3000, .fn = on_news, .arg = &watched
    };
    struct etcd_watch *watch = etcd_watch_new(etcd, &spec);
    run_until(loop, &watched.created, 5000);
    etcd_server_kill(&cluster, 1);
    etcd_server_kill(&cluster, 2);
    run_until(loop, &watched.lost, 8000);
    ck_assert_str_eq(etcd_failure_name(watched.failure), etcd_failure_name(ETCD_FAIL_NO_LEADER));
    etcd_watch_free(watch);
    struct etcd_how pinned = { .timeout_ms = 300, .endpoint = 0 };
    struct seen seen = put(etcd, pinned);
    ck_assert(seen.code == ERR_TIMEOUT || seen.code == ERR_UNREACHABLE);
    seen = range(etcd, pinned);
    ck_assert(seen.code == ERR_TIMEOUT || seen.code == ERR_UNREACHABLE);
    etcd_free(etcd);
}
END_TEST

static void post(const char *path, const char *body)
{
    char url[200];
    (void)snprintf(url, sizeof(url), "%s%s", cluster.urls[0], path);
    const char *argv[] = { "curl", "-sf", "-XPOST", url, "-d", body, NULL };
    tool_run(&cluster, argv);
}

/* User and password: one login for all, again when the token has run out, a wrong password is told. */
START_TEST(login)
{
    static const char *const extra[] = { "--auth-token-ttl=1", NULL };
    etcd_cluster_start(&cluster, loop, 1, extra);
    struct etcd_config config = { .endpoints = cluster.urls };
    struct etcd *plain = etcd_new(loop, http, &config);
    ck_assert_int_eq(put(plain, long_time).code, ERR_OK);
    config.user = "root";
    config.password = "se\"cret";
    struct etcd *etcd = etcd_new(loop, http, &config);
    ck_assert_int_eq(put(etcd, long_time).code, ERR_OK); /* not switched on: goes without */
    post("/v3/auth/user/add", "{\"name\":\"root\",\"password\":\"se\\\"cret\"}");
    post("/v3/auth/role/add", "{\"name\":\"root\"}");
    post("/v3/auth/user/grant", "{\"user\":\"root\",\"role\":\"root\"}");
    post("/v3/auth/enable", "{}");
    ck_assert_int_eq(put(plain, long_time).failure, ETCD_FAIL_LOGIN);
    for (int i = 0; i < 2; i++) {
        struct seen seen = put(etcd, long_time);
        ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
        struct watched watched = { 0 };
        struct etcd_watch_spec spec = {
            .key = "/c/a", .timeout_ms = 3000, .fn = on_news, .arg = &watched
        };
        struct etcd_watch *watch = etcd_watch_new(etcd, &spec);
        run_until(loop, &watched.created, 3000);
        etcd_watch_free(watch);
        if (i == 0)
            run_for(loop, 2200); /* the token goes */
    }
    etcd_set_login(etcd, "root", "wrong");
    struct seen seen = put(etcd, long_time);
    ck_assert_int_eq(seen.code, ERR_REFUSED);
    ck_assert_int_eq(seen.failure, ETCD_FAIL_LOGIN);
    ck_assert_ptr_null(strstr(seen.error, "wrong"));
    etcd_free(etcd);
    etcd_free(plain);
}
END_TEST

/* TLS with a client certificate; without one, and with the wrong authority, nothing happens. */
START_TEST(tls_with_certificates)
{
    etcd_cluster_start_tls(&cluster, loop);
    char ca[100];
    char cert[100];
    char key[100];
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", cluster.dir);
    (void)snprintf(cert, sizeof(cert), "%s/cert.pem", cluster.dir);
    (void)snprintf(key, sizeof(key), "%s/key.pem", cluster.dir);
    struct http_tls_files all = { .ca = ca, .cert = cert, .key = key };
    struct http_tls_files no_cert = { .ca = ca };
    struct http_tls_files no_ca = { .cert = cert, .key = key };
    struct http_tls_files missing = { .ca = "/no/such/file" };
    struct http_tls *tls[3];
    struct err err;
    ck_assert_int_eq(http_tls_load(&missing, &tls[0], &err), ERR_NOT_FOUND);
    ck_assert_str_eq(err.text, "/no/such/file does not exist");
    ck_assert_int_eq(http_tls_load(&all, &tls[0], &err), ERR_OK);
    ck_assert_int_eq(http_tls_load(&no_cert, &tls[1], &err), ERR_OK);
    ck_assert_int_eq(http_tls_load(&no_ca, &tls[2], &err), ERR_OK);
    struct etcd_how brief = { .timeout_ms = 1000, .endpoint = 0 };
    for (int i = 0; i < 3; i++) {
        struct etcd_config config = { .endpoints = cluster.urls, .tls = tls[i] };
        struct etcd *etcd = etcd_new(loop, http, &config);
        struct seen seen = put(etcd, i == 0 ? long_time : brief);
        ck_assert_msg((seen.code == ERR_OK) == (i == 0), "%d: %s", i, seen.error);
        if (i == 2)
            ck_assert_int_eq(seen.code, ERR_UNREACHABLE);
        etcd_free(etcd);
        http_tls_free(tls[i]);
    }
}
END_TEST

static void copy(const char *name, const char *to)
{
    char from[100];
    auto_text struct text content = text_new(LIMIT_FILE);
    struct err err;
    (void)snprintf(from, sizeof(from), "%s/%s", cluster.dir, name);
    ck_assert_msg(file_read(from, &content, &err) == ERR_OK, "%s", err.text);
    FILE *file = fopen(to, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text_str(&content), file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* Renewed files count from the next request on; ones that cannot be read change nothing. */
START_TEST(certificates_are_read_again)
{
    etcd_cluster_start_tls(&cluster, loop);
    char ca[100], cert[100], key[100];
    (void)snprintf(ca, sizeof(ca), "%s/ca-now.pem", cluster.dir);
    (void)snprintf(cert, sizeof(cert), "%s/cert.pem", cluster.dir);
    (void)snprintf(key, sizeof(key), "%s/key.pem", cluster.dir);
    copy("cert.pem", ca); /* not the authority */
    struct http_tls_files files = { .ca = ca, .cert = cert, .key = key };
    struct http_tls *tls;
    struct err err;
    ck_assert_int_eq(http_tls_load(&files, &tls, &err), ERR_OK);
    struct etcd_config config = { .endpoints = cluster.urls, .tls = tls };
    struct etcd *etcd = etcd_new(loop, http, &config);
    ck_assert_int_eq(put(etcd, (struct etcd_how){ .timeout_ms = 1000 }).code, ERR_UNREACHABLE);
    copy("ca.pem", ca);
    ck_assert_int_eq(http_tls_reload(tls, &err), ERR_OK);
    struct seen seen = put(etcd, long_time);
    ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
    ck_assert_int_eq(unlink(ca), 0);
    ck_assert_int_eq(http_tls_reload(tls, &err), ERR_NOT_FOUND);
    ck_assert_int_eq(put(etcd, long_time).code, ERR_OK);
    ck_assert_int_eq(http_tls_reload(NULL, &err), ERR_OK);
    etcd_free(etcd);
    http_tls_free(tls);
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("etcd client");
    TCase *tcase = tcase_create("client");
    tcase_set_timeout(tcase, 40);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, endpoint_list);
    tcase_add_test(tcase, fails_over);
    tcase_add_test(tcase, signs_of_trouble);
    tcase_add_test(tcase, deadline_holds);
    tcase_add_test(tcase, frozen_member);
    tcase_add_test(tcase, no_quorum);
    tcase_add_test(tcase, login);
    tcase_add_test(tcase, tls_with_certificates);
    tcase_add_test(tcase, certificates_are_read_again);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
