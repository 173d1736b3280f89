/* The real server in a process of its own, asked by libcurl. */
#include "sidecar/api/server.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../support/api_process.h"
#include "../../support/api_stub.h"
#include "../../support/loopback.h"
#include "../../support/pki.h"
#include "../../support/rest_client.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/http.h"
#include "loop/loop.h"

static const struct api_settings plain = { .host = "127.0.0.1" };

/* patroni-compat 2.2, design part 8: HTTP/1.1, the connection is kept, health answers carry the JSON
 * of /patroni. */
START_TEST(keeps_connections)
{
    struct api_process child = api_process_start(&plain, "leader");
    CURL *curl = curl_easy_init();
    struct api_call get = { .method = "GET" };
    for (int i = 0; i < 5; i++) {
        struct api_answer answer = api_process_ask_with(curl, &child, "/primary", &get);
        ck_assert_int_eq(answer.status, 200);
        ck_assert_int_eq(answer.connects, i == 0 ? 1 : 0);
        ck_assert_ptr_nonnull(strstr(answer.body, "\"role\": \"primary\""));
        ck_assert_ptr_nonnull(strstr(answer.head, "HTTP/1.1 200 OK"));
        answer = api_process_ask_with(curl, &child, "/replica", &get);
        ck_assert_int_eq(answer.status, 503);
        ck_assert_int_eq(answer.connects, 0);
    }
    curl_easy_cleanup(curl);
    api_process_stop(&child);
}
END_TEST

START_TEST(both_families)
{
    static const struct api_settings any = { .host = "*" };
    struct api_process child = api_process_start(&any, "leader");
    ck_assert(loopback_answers_both(child.port));
    api_process_stop(&child);
}
END_TEST

/* patroni-compat part 7, trap 2: `Connection: close` is honoured. */
START_TEST(closes_when_asked)
{
    struct api_process child = api_process_start(&plain, "leader");
    CURL *curl = curl_easy_init();
    struct api_call get = { .method = "GET", .header = "Connection: close" };
    for (int i = 0; i < 2; i++) {
        struct api_answer answer = api_process_ask_with(curl, &child, "/liveness", &get);
        ck_assert_int_eq(answer.code, CURLE_OK);
        ck_assert_int_eq(answer.status, 200);
        ck_assert_int_eq(answer.connects, 1);
        ck_assert_ptr_nonnull(strstr(answer.head, "Connection: close"));
    }
    curl_easy_cleanup(curl);
    api_process_stop(&child);
}
END_TEST

/* patroni-compat 2.1: HEAD and OPTIONS are health checks without a body; "//leader" works. */
START_TEST(head_options_and_slashes)
{
    struct api_process child = api_process_start(&plain, "leader");
    CURL *curl = curl_easy_init();
    const char *const methods[] = { "HEAD", "OPTIONS" };
    for (int i = 0; i < 2; i++) {
        struct api_call call = { .method = methods[i] };
        struct api_answer answer = api_process_ask_with(curl, &child, "/", &call);
        ck_assert_int_eq(answer.status, 200);
        ck_assert_str_eq(answer.body, "");
        ck_assert_int_eq(api_process_ask_with(curl, &child, "/replica", &call).status, 503);
        ck_assert_int_eq(api_process_ask_with(curl, &child, "/patroni", &call).status, 503);
        ck_assert_int_eq(api_process_ask_with(curl, &child, "/health", &call).status, 200);
    }
    struct api_call get = { .method = "GET" };
    ck_assert_int_eq(api_process_ask_with(curl, &child, "//leader", &get).status, 200);
    ck_assert_int_eq(api_process_ask_with(curl, &child, "///leader", &get).status, 200);
    ck_assert_int_eq(api_process_ask_with(curl, &child, "/patroni/x?a=b", &get).status, 200);
    curl_easy_cleanup(curl);
    api_process_stop(&child);
}
END_TEST

/* A query reaches the handler decoded. */
START_TEST(queries_are_decoded)
{
    struct api_process child = api_process_start(&plain, "standby");
    ck_assert_int_eq(api_process_ask(&child, "GET", "/replica", NULL).status, 200);
    ck_assert_int_eq(api_process_ask(&child, "GET", "/replica?lag=1MB", NULL).status, 200);
    ck_assert_int_eq(api_process_ask(&child, "GET", "/replica?lag=100", NULL).status, 503);
    ck_assert_int_eq(api_process_ask(&child, "GET", "/replica?x=1&lag=%31%30%30", NULL).status,
                     503);
    ck_assert_int_eq(api_process_ask(&child, "GET", "/replica?tag_x=1", NULL).status, 503);
    api_process_stop(&child);
}
END_TEST

/* patroni-compat 2.1: no length 411, bad JSON 400, no handler 501 with the sentence that patronictl
 * looks for; the server goes on. */
START_TEST(body_rules)
{
    struct api_process child = api_process_start(&plain, "leader");
    struct api_answer answer = api_process_ask(&child, "PATCH", "/config", NULL);
    ck_assert_int_eq(answer.status, 411);
    ck_assert_int_eq(api_process_ask(&child, "PATCH", "/config", "").status, 400);
    ck_assert_int_eq(api_process_ask(&child, "PATCH", "/config", "[1]").status, 400);
    ck_assert_int_eq(api_process_ask(&child, "PATCH", "/config", "{\"a\"").status, 400);
    answer = api_process_ask(&child, "PATCH", "/config", "{\"ttl\": 5}");
    ck_assert_int_eq(answer.status, 200);
    ck_assert_str_eq(answer.body, "{\"ttl\":5}");
    answer = api_process_ask(&child, "POST", "/nonsense", "{}");
    ck_assert_int_eq(answer.status, 501);
    ck_assert_ptr_nonnull(strstr(answer.body, "Server does not support this operation"));
    ck_assert_int_eq(api_process_ask(&child, "DELETE", "/leader", NULL).status, 501);
    ck_assert_int_eq(api_process_ask(&child, "POST", "/pgvigil/accept", NULL).status, 501);
    api_process_stop(&child);
}
END_TEST

/* A large body arrives whole; one over the limit is refused. */
START_TEST(body_limits)
{
    struct api_process child = api_process_start(&plain, "leader");
    char *big = mem_new(2 * LIMIT_API_BODY);
    memset(big, ' ', 2 * LIMIT_API_BODY - 1);
    struct api_answer answer = api_process_ask(&child, "PATCH", "/config", big);
    ck_assert_int_eq(answer.status, 413);
    memcpy(big, "{\"a\":1", 6);
    big[200000] = '}';
    big[200001] = '\0';
    answer = api_process_ask(&child, "PATCH", "/config", big);
    ck_assert_int_eq(answer.status, 200);
    ck_assert_str_eq(answer.body, "{\"a\":1}");
    free(big);
    api_process_stop(&child);
}
END_TEST

/* An order is answered later; the server serves others meanwhile, and does not mind when the client
 * goes away before. */
START_TEST(orders_answer_later)
{
    struct api_process child = api_process_start(&plain, "leader");
    struct api_answer answer = api_process_ask(&child, "POST", "/reload", NULL);
    ck_assert_int_eq(answer.status, 202);
    ck_assert_str_eq(answer.body, "reload scheduled");
    ck_assert(answer.seconds >= 0.019);
    CURL *curl = curl_easy_init();
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/reload", child.port);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5L);
    ck_assert_int_ne(curl_easy_perform(curl), CURLE_OK);
    curl_easy_cleanup(curl);
    /* Once this one has its answer, the one before has had its own. */
    ck_assert_int_eq(api_process_ask(&child, "POST", "/reload", NULL).status, 202);
    ck_assert_int_eq(api_process_ask(&child, "GET", "/liveness", NULL).status, 200);
    api_process_stop(&child);
}
END_TEST

/* patroni-compat 2.1: unsafe verbs need the login, health checks do not. */
START_TEST(basic_authentication)
{
    struct api_settings settings = plain;
    settings.username = "admin";
    settings.password = "se:cret";
    struct api_process child = api_process_start(&settings, "leader");
    CURL *curl = curl_easy_init();
    struct api_call call = { .method = "PATCH", .body = "{}" };
    struct api_answer answer = api_process_ask_with(curl, &child, "/config", &call);
    ck_assert_int_eq(answer.status, 401);
    ck_assert_str_eq(answer.body, "no auth header received");
    ck_assert_ptr_nonnull(strstr(answer.head, "WWW-Authenticate: Basic realm=\"Patroni\""));
    call.user = "admin:wrong";
    answer = api_process_ask_with(curl, &child, "/config", &call);
    ck_assert_int_eq(answer.status, 401);
    ck_assert_str_eq(answer.body, "not authenticated");
    call.user = "admin:se:cret";
    ck_assert_int_eq(api_process_ask_with(curl, &child, "/config", &call).status, 200);
    ck_assert_int_eq(api_process_ask(&child, "GET", "/primary", NULL).status, 200);
    ck_assert_int_eq(api_process_ask(&child, "GET", "/pgvigil/views", NULL).status, 401);
    curl_easy_cleanup(curl);
    api_process_stop(&child);
}
END_TEST

/* patroni-compat 2.1: with every answer that has headers; and how much the server tells of itself. */
START_TEST(extra_headers)
{
    const char *const headers[] = { "X-One: 1", "Strict-Transport-Security: max-age=60" };
    struct api_settings settings = plain;
    settings.n_headers = 2;
    settings.headers = headers;
    settings.server_tokens = "minimal";
    struct api_process child = api_process_start(&settings, "leader");
    struct api_answer answer = api_process_ask(&child, "GET", "/patroni", NULL);
    ck_assert_ptr_nonnull(strstr(answer.head, "\r\nX-One: 1\r\n"));
    ck_assert_ptr_nonnull(strstr(answer.head, "\r\nStrict-Transport-Security: max-age=60\r\n"));
    ck_assert_ptr_nonnull(strstr(answer.head, "\r\nServer: pgvigil/" PGVIGIL_VERSION "\r\n"));
    answer = api_process_ask(&child, "GET", "/liveness", NULL);
    ck_assert_ptr_null(strstr(answer.head, "X-One"));
    api_process_stop(&child);
}
END_TEST

/* patroni-compat 2.1: the allow-list. */
START_TEST(allow_list)
{
    const char *const list[] = { "10.0.0.0/8" };
    struct api_settings settings = plain;
    settings.n_allowlist = 1;
    settings.allowlist = list;
    struct api_process child = api_process_start(&settings, "leader");
    struct api_answer answer = api_process_ask(&child, "PATCH", "/config", "{}");
    ck_assert_int_eq(answer.status, 403);
    ck_assert_str_eq(answer.body, "Access is denied");
    ck_assert_int_eq(api_process_ask(&child, "GET", "/config", NULL).status, 200);
    api_process_stop(&child);
}
END_TEST

/* ---- TLS -------------------------------------------------------------------------------------- */

static struct api_settings tls_settings(const struct pki *pki, enum api_verify verify)
{
    struct api_settings settings = plain;
    settings.certfile = pki->cert;
    settings.keyfile = pki->key;
    settings.cafile = pki->ca;
    settings.verify_client = verify;
    return settings;
}

/* patroni-compat 2.1: `optional` protects the unsafe verbs only, `required` every handshake. */
START_TEST(client_certificates)
{
    struct pki pki;
    pki_init(&pki);
    struct api_settings settings = tls_settings(&pki, API_VERIFY_OPTIONAL);
    struct api_process child = api_process_start(&settings, "leader");
    CURL *curl = curl_easy_init();
    struct api_call get = { .method = "GET", .tls = true, .ca = pki.ca };
    struct api_call patch = { .method = "PATCH", .body = "{}", .tls = true, .ca = pki.ca };
    ck_assert_int_eq(api_process_ask_with(curl, &child, "/primary", &get).status, 200);
    struct api_answer answer = api_process_ask_with(curl, &child, "/config", &patch);
    ck_assert_int_eq(answer.status, 403);
    ck_assert_str_eq(answer.body, "client certificate required");
    patch.cert = pki.client_cert;
    patch.key = pki.client_key;
    ck_assert_int_eq(api_process_ask_with(curl, &child, "/config", &patch).status, 200);
    curl_easy_cleanup(curl);
    api_process_stop(&child);

    settings.verify_client = API_VERIFY_REQUIRED;
    child = api_process_start(&settings, "leader");
    curl = curl_easy_init();
    ck_assert_int_ne(api_process_ask_with(curl, &child, "/primary", &get).code, CURLE_OK);
    get.cert = pki.client_cert;
    get.key = pki.client_key;
    ck_assert_int_eq(api_process_ask_with(curl, &child, "/primary", &get).status, 200);
    curl_easy_cleanup(curl);
    api_process_stop(&child);
    pki_done(&pki);
}
END_TEST

/* A reload takes a new certificate; one that cannot be used leaves the old one. */
START_TEST(certificates_are_reloaded)
{
    struct pki pki;
    pki_init(&pki);
    struct api_settings settings = tls_settings(&pki, API_VERIFY_NONE);
    struct api_process child = api_process_start(&settings, "leader");
    struct api_call get = { .method = "GET", .tls = true, .ca = pki.ca };
    const char *const names[] = { "CN=server", "CN=second", "CN=second" };
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            pki_issue(&pki, "second", 9);
        if (i == 2)
            pki_spoil(&pki);
        if (i > 0) {
            kill(child.pid, SIGHUP);
            ck_assert_int_eq(api_process_report(&child), i == 1 ? ERR_OK : ERR_INVALID);
        }
        CURL *curl = curl_easy_init();
        struct curl_certinfo *info = NULL;
        ck_assert_int_eq(api_process_ask_with(curl, &child, "/primary", &get).status, 200);
        curl_easy_cleanup(curl);
        curl = curl_easy_init();
        char url[64];
        snprintf(url, sizeof(url), "https://127.0.0.1:%d/liveness", child.port);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_CAINFO, pki.ca);
        curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
        ck_assert_int_eq(curl_easy_perform(curl), CURLE_OK);
        curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info);
        bool found = false;
        for (struct curl_slist *line = info->certinfo[0]; line != NULL; line = line->next)
            found |= strstr(line->data, names[i] + 3) != NULL;
        ck_assert_msg(found, "round %d", i);
        curl_easy_cleanup(curl);
    }
    api_process_stop(&child);
    pki_done(&pki);
}
END_TEST

struct looked {
    struct api_stub stub;
    int times;
};

static const struct api_state *looked_known(void *arg)
{
    struct looked *looked = arg;
    return &looked->stub.state;
}

static const struct api_state *looked_state(void *arg)
{
    struct looked *looked = arg;
    looked->times++;
    return &looked->stub.state;
}

/* Members ask each other for their etcd all the time: Postgres is not looked at for that. */
START_TEST(etcd_needs_no_position)
{
    struct err err;
    struct api_control control = { 0 };
    struct looked looked = { .times = 0 };
    struct rest_client rest = { .loop = loop_new() };
    struct api_server *server = NULL;
    rest.http = http_new(rest.loop, 5000);
    api_stub_standby(&looked.stub);
    struct api_server_spec spec = { .loop = rest.loop,
                                    .settings = { .host = "127.0.0.1" },
                                    .state = looked_state,
                                    .known = looked_known,
                                    .state_arg = &looked,
                                    .control = &control };
    ck_assert_int_eq(api_server_new(&spec, &server, &err), ERR_OK);
    rest.port = api_server_port(server);
    rest_expect(&rest, "GET /pgvigil/etcd", NULL, 404, "this node does not manage an etcd member");
    ck_assert_int_eq(looked.times, 0);
    rest_expect(&rest, "GET /liveness", NULL, 200, "");
    ck_assert_int_eq(looked.times, 1);
    http_free(rest.http);
    api_server_free(server);
    loop_free(rest.loop);
}
END_TEST

/* What cannot be used is said at once. */
START_TEST(start_errors)
{
    struct err err;
    struct api_control control = { 0 };
    struct loop *loop = loop_new();
    struct api_server *server = NULL, *second = NULL;
    struct api_server_spec spec = { .loop = loop, .settings = plain, .control = &control };
    spec.settings.certfile = "/nonexistent.pem";
    ck_assert_int_eq(api_server_new(&spec, &server, &err), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent.pem"));
    spec.settings = plain;
    ck_assert_int_eq(api_server_new(&spec, &server, &err), ERR_OK);
    spec.settings.port = api_server_port(server);
    ck_assert_int_eq(api_server_new(&spec, &second, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "in use"));
    api_server_free(server);
    loop_free(loop);
}
END_TEST

/* ---- leaks ------------------------------------------------------------------------------------ */

enum { LEAKED = 600 };

static int connect_to(const struct api_process *child)
{
    int fd = loopback_dial(child->port);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void say(int fd, const char *words)
{
    ck_assert_int_eq(send(fd, words, strlen(words), MSG_NOSIGNAL), (ssize_t)strlen(words));
}

static void await_ok(int fd)
{
    char answer[512] = "";
    ck_assert_int_gt(recv(fd, answer, sizeof(answer) - 1, 0), 0);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 200 OK"));
}

/* True once the other end has closed it; Check's limit is the deadline. */
static bool is_closed(int fd)
{
    char bytes[4096];
    ssize_t got = 1;
    while (got > 0)
        got = recv(fd, bytes, sizeof(bytes), 0);
    return got == 0 || errno == ECONNRESET;
}

static bool is_open(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    return poll(&poll_fd, 1, 0) == 0;
}

/* A client that leaks its connections: whoever comes is let in, in place of the one that was idle for
 * longest; one that is used stays, and so does one whose request is under way. */
static void leak(const char *request)
{
    static int fds[LEAKED];
    struct api_process child = api_process_start(&plain, "leader");
    CURL *used = curl_easy_init();
    struct api_call get = { .method = "GET" };
    int slow = connect_to(&child);
    say(slow, "PATCH /config HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n{");
    ck_assert_int_eq(api_process_ask_with(used, &child, "/liveness", &get).status, 200);
    for (int i = 0; i < LEAKED; i++) {
        fds[i] = connect_to(&child);
        if (request != NULL) {
            say(fds[i], request);
            await_ok(fds[i]);
        }
        if (i % 50 == 0)
            ck_assert_int_eq(api_process_ask_with(used, &child, "/liveness", &get).connects, 0);
    }
    ck_assert_int_eq(api_process_ask(&child, "GET", "/liveness", NULL).status, 200);
    struct api_answer answer = api_process_ask_with(used, &child, "/liveness", &get);
    ck_assert_int_eq(answer.status, 200);
    ck_assert_int_eq(answer.connects, 0);
    for (int i = 0; i < LEAKED - LIMIT_API_CONNECTIONS; i++)
        ck_assert_msg(is_closed(fds[i]), "connection %d is open", i);
    ck_assert(is_open(fds[LEAKED - 1]) && is_open(fds[LEAKED - LIMIT_API_CONNECTIONS / 2]));
    say(slow, "\"a\": 1}");
    await_ok(slow);
    close(slow);
    for (int i = 0; i < LEAKED; i++)
        close(fds[i]);
    curl_easy_cleanup(used);
    api_process_stop(&child);
}

START_TEST(leaked_after_an_answer)
{
    leak("GET /liveness HTTP/1.1\r\nHost: a\r\n\r\n");
}
END_TEST

START_TEST(leaked_before_a_request)
{
    leak(NULL);
}
END_TEST

/* With TLS: whoever has not even begun its handshake. */
START_TEST(leaked_before_the_handshake)
{
    static int fds[LEAKED];
    struct pki pki;
    pki_init(&pki);
    struct api_settings settings = tls_settings(&pki, API_VERIFY_NONE);
    struct api_process child = api_process_start(&settings, "leader");
    struct api_call get = { .method = "GET", .tls = true, .ca = pki.ca };
    for (int i = 0; i < LEAKED; i++)
        fds[i] = connect_to(&child);
    CURL *curl = curl_easy_init();
    ck_assert_int_eq(api_process_ask_with(curl, &child, "/liveness", &get).status, 200);
    curl_easy_cleanup(curl);
    for (int i = 0; i < LEAKED; i++)
        close(fds[i]);
    api_process_stop(&child);
    pki_done(&pki);
}
END_TEST

/* ---- speed ------------------------------------------------------------------------------------ */

enum { SAMPLES = 2000 };

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Design part 8: answers come from memory in microseconds. The bound is generous: a loaded machine
 * must not fail it; the number is printed. */
START_TEST(answers_at_once)
{
    static double seconds[SAMPLES];
    struct api_process child = api_process_start(&plain, "leader");
    CURL *curl = curl_easy_init();
    struct api_call get = { .method = "GET" };
    for (int i = 0; i < SAMPLES; i++)
        seconds[i] = api_process_ask_with(curl, &child, "/primary", &get).seconds;
    qsort(seconds, SAMPLES, sizeof(seconds[0]), by_size);
    printf("GET /primary: median %.3f ms, p99 %.3f ms, worst %.3f ms\n", seconds[SAMPLES / 2] * 1e3,
           seconds[SAMPLES * 99 / 100] * 1e3, seconds[SAMPLES - 1] * 1e3);
    ck_assert(seconds[SAMPLES / 2] < 0.01);
    curl_easy_cleanup(curl);
    api_process_stop(&child);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("api/server");
    TCase *tcase = tcase_create("server");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, keeps_connections);
    tcase_add_test(tcase, both_families);
    tcase_add_test(tcase, closes_when_asked);
    tcase_add_test(tcase, head_options_and_slashes);
    tcase_add_test(tcase, queries_are_decoded);
    tcase_add_test(tcase, body_rules);
    tcase_add_test(tcase, body_limits);
    tcase_add_test(tcase, orders_answer_later);
    tcase_add_test(tcase, basic_authentication);
    tcase_add_test(tcase, allow_list);
    tcase_add_test(tcase, extra_headers);
    tcase_add_test(tcase, client_certificates);
    tcase_add_test(tcase, certificates_are_reloaded);
    tcase_add_test(tcase, start_errors);
    tcase_add_test(tcase, etcd_needs_no_position);
    tcase_add_test(tcase, leaked_after_an_answer);
    tcase_add_test(tcase, leaked_before_a_request);
    tcase_add_test(tcase, leaked_before_the_handshake);
    tcase_add_test(tcase, answers_at_once);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
