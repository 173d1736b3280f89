/* The real server in a process of its own, asked by libcurl. With an argument it only serves, for
 * tests/integration/api: "server_test serve PORT leader|standby|witness". */
#include "sidecar/api/server.h"

#include <check.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../support/api_stub.h"
#include "../../support/pki.h"
#include "base/clock.h"
#include "base/mem.h"

/* ---- the server's side ------------------------------------------------------------------------ */

struct node {
    struct api_stub stub;
    struct loop *loop;
    struct api_server *server;
    struct api_control control;
    struct source *timer;
    struct source *reload;
    struct api_settings settings;
    int report_fd; /* the port, then the outcome of each reload */
    struct api_pending *pendings[4];
    size_t n_pendings;
};

static const struct api_state *node_state(void *arg)
{
    struct node *node = arg;
    node->stub.lease.held_until = mono_add(clock_mono(), 8000);
    node->stub.view.now = clock_mono();
    return &node->stub.state;
}

static void reply_later(void *arg)
{
    struct node *node = arg;
    while (node->n_pendings > 0)
        api_pending_reply(node->pendings[--node->n_pendings], 202, "reload scheduled");
}

static void run_reload(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct node *node = arg;
    (void)order;
    ck_assert_uint_lt(node->n_pendings, sizeof(node->pendings) / sizeof(node->pendings[0]));
    node->pendings[node->n_pendings++] = pending;
    source_arm_in(node->timer, 20);
}

/* Answers at once, from inside the call: allowed. */
static void run_patch(void *arg, const struct api_order *order, struct api_pending *pending)
{
    (void)arg;
    char *text = json_dumps(order->body, JSON_COMPACT);
    api_pending_reply(pending, 200, text);
    free(text);
}

static void on_hup(void *arg, int signum)
{
    struct node *node = arg;
    struct err err;
    (void)signum;
    int code = api_server_reload(node->server, &node->settings, &err);
    if (code != ERR_OK)
        fprintf(stderr, "reload: %s\n", err.text);
    (void)!write(node->report_fd, &code, sizeof(code));
}

static void on_term(void *arg, int signum)
{
    (void)signum;
    loop_stop(arg);
}

/* Runs until SIGTERM; the port goes to `report_fd`. */
static int serve(const struct api_settings *settings, const char *kind, int report_fd)
{
    struct node *node = mem_struct(struct node);
    struct err err;
    if (strcmp(kind, "leader") == 0)
        api_stub_leader(&node->stub);
    else if (strcmp(kind, "standby") == 0)
        api_stub_standby(&node->stub);
    else
        api_stub_witness(&node->stub);
    node->settings = *settings;
    node->report_fd = report_fd;
    node->loop = loop_new();
    node->timer = loop_timer(node->loop, reply_later, node);
    node->control.ops[API_RELOAD] = (struct api_op){ .run = run_reload, .arg = node };
    node->control.ops[API_CONFIG_PATCH] = (struct api_op){ .run = run_patch, .arg = node };
    struct source *hup = loop_signal(node->loop, SIGHUP, on_hup, node);
    struct source *term = loop_signal(node->loop, SIGTERM, on_term, node->loop);
    struct api_server_spec spec = { .loop = node->loop,
                                    .settings = *settings,
                                    .state = node_state,
                                    .state_arg = node,
                                    .control = &node->control };
    if (api_server_new(&spec, &node->server, &err) != ERR_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int port = api_server_port(node->server);
    if (write(report_fd, &port, sizeof(port)) != sizeof(port))
        return 1;
    loop_run(node->loop);
    source_free(hup);
    source_free(term);
    source_free(node->timer);
    api_server_free(node->server);
    loop_free(node->loop);
    free(node);
    return 0;
}

struct child {
    pid_t pid;
    int port;
    int report_fd;
};

/* The next number that the child reports; Check's limit is the deadline. */
static int report(const struct child *child)
{
    int value = 0;
    ck_assert_int_eq((int)read(child->report_fd, &value, sizeof(value)), (int)sizeof(value));
    return value;
}

static struct child start(const struct api_settings *settings, const char *kind)
{
    struct child child;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    child.pid = fork();
    if (child.pid == 0) {
        close(ends[0]);
        _exit(serve(settings, kind, ends[1]));
    }
    close(ends[1]);
    child.report_fd = ends[0];
    child.port = report(&child);
    return child;
}

static void stop(struct child *child)
{
    int status;
    kill(child->pid, SIGTERM);
    waitpid(child->pid, &status, 0);
    close(child->report_fd);
    ck_assert_int_eq(status, 0);
}

/* ---- the client's side ------------------------------------------------------------------------ */

struct answer {
    long status;
    long connects; /* new connections that it took */
    double seconds;
    char head[4096];
    char body[65536];
    CURLcode code;
};

static size_t keep(char *bytes, size_t size, size_t n, void *arg)
{
    char *to = arg;
    size_t have = strlen(to), room = 4095 - (have < 4095 ? have : 4095);
    size_t len = size * n < room ? size * n : room;
    memcpy(to + have, bytes, len);
    to[have + len] = '\0';
    return size * n;
}

struct call {
    const char *method;
    const char *body;
    const char *user; /* "name:password" */
    const char *ca, *cert, *key;
    const char *header;
    bool tls;
};

static struct answer ask_with(CURL *curl, const struct child *child, const char *path,
                              const struct call *call)
{
    struct answer answer = { 0 };
    char url[512];
    struct curl_slist *headers = NULL;
    snprintf(url, sizeof(url), "%s://127.0.0.1:%d%s", call->tls ? "https" : "http", child->port,
             path);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5000L);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer.head);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer.body);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    if (strcmp(call->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (call->body != NULL)
        curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, call->body);
    if (call->user != NULL)
        curl_easy_setopt(curl, CURLOPT_USERPWD, call->user);
    if (call->ca != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->ca);
    if (call->cert != NULL) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, call->cert);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, call->key);
    }
    if (call->header != NULL)
        headers = curl_slist_append(headers, call->header);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    answer.code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &answer.connects);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &answer.seconds);
    curl_slist_free_all(headers);
    return answer;
}

static struct answer ask(const struct child *child, const char *method, const char *path,
                         const char *body)
{
    CURL *curl = curl_easy_init();
    struct answer answer =
        ask_with(curl, child, path, &(struct call){ .method = method, .body = body });
    curl_easy_cleanup(curl);
    return answer;
}

static const struct api_settings plain = { .host = "127.0.0.1" };

/* patroni-compat 2.2, design part 8: HTTP/1.1, the connection is kept, health answers carry the JSON
 * of /patroni. */
START_TEST(keeps_connections)
{
    struct child child = start(&plain, "leader");
    CURL *curl = curl_easy_init();
    struct call get = { .method = "GET" };
    for (int i = 0; i < 5; i++) {
        struct answer answer = ask_with(curl, &child, "/primary", &get);
        ck_assert_int_eq(answer.status, 200);
        ck_assert_int_eq(answer.connects, i == 0 ? 1 : 0);
        ck_assert_ptr_nonnull(strstr(answer.body, "\"role\": \"primary\""));
        ck_assert_ptr_nonnull(strstr(answer.head, "HTTP/1.1 200 OK"));
        answer = ask_with(curl, &child, "/replica", &get);
        ck_assert_int_eq(answer.status, 503);
        ck_assert_int_eq(answer.connects, 0);
    }
    curl_easy_cleanup(curl);
    stop(&child);
}
END_TEST

/* patroni-compat part 7, trap 2: `Connection: close` is honoured. */
START_TEST(closes_when_asked)
{
    struct child child = start(&plain, "leader");
    CURL *curl = curl_easy_init();
    struct call get = { .method = "GET", .header = "Connection: close" };
    for (int i = 0; i < 2; i++) {
        struct answer answer = ask_with(curl, &child, "/liveness", &get);
        ck_assert_int_eq(answer.code, CURLE_OK);
        ck_assert_int_eq(answer.status, 200);
        ck_assert_int_eq(answer.connects, 1);
        ck_assert_ptr_nonnull(strstr(answer.head, "Connection: close"));
    }
    curl_easy_cleanup(curl);
    stop(&child);
}
END_TEST

/* patroni-compat 2.1: HEAD and OPTIONS are health checks without a body; "//leader" works. */
START_TEST(head_options_and_slashes)
{
    struct child child = start(&plain, "leader");
    CURL *curl = curl_easy_init();
    const char *const methods[] = { "HEAD", "OPTIONS" };
    for (int i = 0; i < 2; i++) {
        struct call call = { .method = methods[i] };
        struct answer answer = ask_with(curl, &child, "/", &call);
        ck_assert_int_eq(answer.status, 200);
        ck_assert_str_eq(answer.body, "");
        ck_assert_int_eq(ask_with(curl, &child, "/replica", &call).status, 503);
        ck_assert_int_eq(ask_with(curl, &child, "/patroni", &call).status, 503);
        ck_assert_int_eq(ask_with(curl, &child, "/health", &call).status, 200);
    }
    struct call get = { .method = "GET" };
    ck_assert_int_eq(ask_with(curl, &child, "//leader", &get).status, 200);
    ck_assert_int_eq(ask_with(curl, &child, "///leader", &get).status, 200);
    ck_assert_int_eq(ask_with(curl, &child, "/patroni/x?a=b", &get).status, 200);
    curl_easy_cleanup(curl);
    stop(&child);
}
END_TEST

/* A query reaches the handler decoded. */
START_TEST(queries_are_decoded)
{
    struct child child = start(&plain, "standby");
    ck_assert_int_eq(ask(&child, "GET", "/replica", NULL).status, 200);
    ck_assert_int_eq(ask(&child, "GET", "/replica?lag=1MB", NULL).status, 200);
    ck_assert_int_eq(ask(&child, "GET", "/replica?lag=100", NULL).status, 503);
    ck_assert_int_eq(ask(&child, "GET", "/replica?x=1&lag=%31%30%30", NULL).status, 503);
    ck_assert_int_eq(ask(&child, "GET", "/replica?tag_x=1", NULL).status, 503);
    stop(&child);
}
END_TEST

/* patroni-compat 2.1: no length 411, bad JSON 400, no handler 501 with the sentence that patronictl
 * looks for; the server goes on. */
START_TEST(body_rules)
{
    struct child child = start(&plain, "leader");
    struct answer answer = ask(&child, "PATCH", "/config", NULL);
    ck_assert_int_eq(answer.status, 411);
    ck_assert_int_eq(ask(&child, "PATCH", "/config", "").status, 400);
    ck_assert_int_eq(ask(&child, "PATCH", "/config", "[1]").status, 400);
    ck_assert_int_eq(ask(&child, "PATCH", "/config", "{\"a\"").status, 400);
    answer = ask(&child, "PATCH", "/config", "{\"ttl\": 5}");
    ck_assert_int_eq(answer.status, 200);
    ck_assert_str_eq(answer.body, "{\"ttl\":5}");
    answer = ask(&child, "POST", "/nonsense", "{}");
    ck_assert_int_eq(answer.status, 501);
    ck_assert_ptr_nonnull(strstr(answer.body, "Server does not support this operation"));
    ck_assert_int_eq(ask(&child, "DELETE", "/leader", NULL).status, 501);
    ck_assert_int_eq(ask(&child, "POST", "/pgvigil/accept", NULL).status, 501);
    stop(&child);
}
END_TEST

/* A large body arrives whole; one over the limit is refused. */
START_TEST(body_limits)
{
    struct child child = start(&plain, "leader");
    char *big = mem_new(2 * LIMIT_API_BODY);
    memset(big, ' ', 2 * LIMIT_API_BODY - 1);
    struct answer answer = ask(&child, "PATCH", "/config", big);
    ck_assert_int_eq(answer.status, 413);
    memcpy(big, "{\"a\":1", 6);
    big[200000] = '}';
    big[200001] = '\0';
    answer = ask(&child, "PATCH", "/config", big);
    ck_assert_int_eq(answer.status, 200);
    ck_assert_str_eq(answer.body, "{\"a\":1}");
    free(big);
    stop(&child);
}
END_TEST

/* An order is answered later; the server serves others meanwhile, and does not mind when the client
 * goes away before. */
START_TEST(orders_answer_later)
{
    struct child child = start(&plain, "leader");
    struct answer answer = ask(&child, "POST", "/reload", NULL);
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
    ck_assert_int_eq(ask(&child, "POST", "/reload", NULL).status, 202);
    ck_assert_int_eq(ask(&child, "GET", "/liveness", NULL).status, 200);
    stop(&child);
}
END_TEST

/* patroni-compat 2.1: unsafe verbs need the login, health checks do not. */
START_TEST(basic_authentication)
{
    struct api_settings settings = plain;
    settings.username = "admin";
    settings.password = "se:cret";
    struct child child = start(&settings, "leader");
    CURL *curl = curl_easy_init();
    struct call call = { .method = "PATCH", .body = "{}" };
    struct answer answer = ask_with(curl, &child, "/config", &call);
    ck_assert_int_eq(answer.status, 401);
    ck_assert_str_eq(answer.body, "no auth header received");
    ck_assert_ptr_nonnull(strstr(answer.head, "WWW-Authenticate: Basic realm=\"Patroni\""));
    call.user = "admin:wrong";
    answer = ask_with(curl, &child, "/config", &call);
    ck_assert_int_eq(answer.status, 401);
    ck_assert_str_eq(answer.body, "not authenticated");
    call.user = "admin:se:cret";
    ck_assert_int_eq(ask_with(curl, &child, "/config", &call).status, 200);
    ck_assert_int_eq(ask(&child, "GET", "/primary", NULL).status, 200);
    ck_assert_int_eq(ask(&child, "GET", "/pgvigil/views", NULL).status, 401);
    curl_easy_cleanup(curl);
    stop(&child);
}
END_TEST

/* patroni-compat 2.1: the allow-list. */
START_TEST(allow_list)
{
    const char *const list[] = { "10.0.0.0/8" };
    struct api_settings settings = plain;
    settings.n_allowlist = 1;
    settings.allowlist = list;
    struct child child = start(&settings, "leader");
    struct answer answer = ask(&child, "PATCH", "/config", "{}");
    ck_assert_int_eq(answer.status, 403);
    ck_assert_str_eq(answer.body, "Access is denied");
    ck_assert_int_eq(ask(&child, "GET", "/config", NULL).status, 200);
    stop(&child);
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
    struct child child = start(&settings, "leader");
    CURL *curl = curl_easy_init();
    struct call get = { .method = "GET", .tls = true, .ca = pki.ca };
    struct call patch = { .method = "PATCH", .body = "{}", .tls = true, .ca = pki.ca };
    ck_assert_int_eq(ask_with(curl, &child, "/primary", &get).status, 200);
    struct answer answer = ask_with(curl, &child, "/config", &patch);
    ck_assert_int_eq(answer.status, 403);
    ck_assert_str_eq(answer.body, "client certificate required");
    patch.cert = pki.client_cert;
    patch.key = pki.client_key;
    ck_assert_int_eq(ask_with(curl, &child, "/config", &patch).status, 200);
    curl_easy_cleanup(curl);
    stop(&child);

    settings.verify_client = API_VERIFY_REQUIRED;
    child = start(&settings, "leader");
    curl = curl_easy_init();
    ck_assert_int_ne(ask_with(curl, &child, "/primary", &get).code, CURLE_OK);
    get.cert = pki.client_cert;
    get.key = pki.client_key;
    ck_assert_int_eq(ask_with(curl, &child, "/primary", &get).status, 200);
    curl_easy_cleanup(curl);
    stop(&child);
    pki_done(&pki);
}
END_TEST

/* A reload takes a new certificate; one that cannot be used leaves the old one. */
START_TEST(certificates_are_reloaded)
{
    struct pki pki;
    pki_init(&pki);
    struct api_settings settings = tls_settings(&pki, API_VERIFY_NONE);
    struct child child = start(&settings, "leader");
    struct call get = { .method = "GET", .tls = true, .ca = pki.ca };
    const char *const names[] = { "CN=server", "CN=second", "CN=second" };
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            pki_issue(&pki, "second", 9);
        if (i == 2)
            pki_spoil(&pki);
        if (i > 0) {
            kill(child.pid, SIGHUP);
            ck_assert_int_eq(report(&child), i == 1 ? ERR_OK : ERR_INVALID);
        }
        CURL *curl = curl_easy_init();
        struct curl_certinfo *info = NULL;
        ck_assert_int_eq(ask_with(curl, &child, "/primary", &get).status, 200);
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
    stop(&child);
    pki_done(&pki);
}
END_TEST

/* What cannot be used is said at once. */
START_TEST(start_errors)
{
    struct err err;
    struct api_stub stub;
    struct api_control control = { 0 };
    struct loop *loop = loop_new();
    struct api_server *server = NULL, *second = NULL;
    struct api_server_spec spec = { .loop = loop,
                                    .settings = plain,
                                    .state = node_state,
                                    .state_arg = &stub,
                                    .control = &control };
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
    struct child child = start(&plain, "leader");
    CURL *curl = curl_easy_init();
    struct call get = { .method = "GET" };
    for (int i = 0; i < SAMPLES; i++)
        seconds[i] = ask_with(curl, &child, "/primary", &get).seconds;
    qsort(seconds, SAMPLES, sizeof(seconds[0]), by_size);
    printf("GET /primary: median %.3f ms, p99 %.3f ms, worst %.3f ms\n", seconds[SAMPLES / 2] * 1e3,
           seconds[SAMPLES * 99 / 100] * 1e3, seconds[SAMPLES - 1] * 1e3);
    ck_assert(seconds[SAMPLES / 2] < 0.01);
    curl_easy_cleanup(curl);
    stop(&child);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("api/server");
    TCase *tcase = tcase_create("server");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, keeps_connections);
    tcase_add_test(tcase, closes_when_asked);
    tcase_add_test(tcase, head_options_and_slashes);
    tcase_add_test(tcase, queries_are_decoded);
    tcase_add_test(tcase, body_rules);
    tcase_add_test(tcase, body_limits);
    tcase_add_test(tcase, orders_answer_later);
    tcase_add_test(tcase, basic_authentication);
    tcase_add_test(tcase, allow_list);
    tcase_add_test(tcase, client_certificates);
    tcase_add_test(tcase, certificates_are_reloaded);
    tcase_add_test(tcase, start_errors);
    tcase_add_test(tcase, answers_at_once);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "serve") == 0) {
        struct api_settings settings = plain;
        settings.port = (int)strtol(argv[2], NULL, 10);
        return serve(&settings, argv[3], STDERR_FILENO);
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
