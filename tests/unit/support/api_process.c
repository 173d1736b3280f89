#include "api_process.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api_stub.h"
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
    enum err_code code = api_server_reload(node->server, &node->settings, &err);
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

int api_process_report(const struct api_process *child)
{
    int value = 0;
    ck_assert_int_eq((int)read(child->report_fd, &value, sizeof(value)), (int)sizeof(value));
    return value;
}

struct api_process api_process_start(const struct api_settings *settings, const char *kind)
{
    struct api_process child;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    child.pid = fork();
    if (child.pid == 0) {
        close(ends[0]);
        _exit(serve(settings, kind, ends[1]));
    }
    close(ends[1]);
    child.report_fd = ends[0];
    child.port = api_process_report(&child);
    return child;
}

void api_process_stop(struct api_process *child)
{
    int status;
    kill(child->pid, SIGTERM);
    waitpid(child->pid, &status, 0);
    close(child->report_fd);
    ck_assert_int_eq(status, 0);
}

/* ---- the client's side ------------------------------------------------------------------------ */

static size_t keep(char *bytes, size_t size, size_t n, void *arg)
{
    char *to = arg;
    size_t have = strlen(to), room = 4095 - (have < 4095 ? have : 4095);
    size_t len = size * n < room ? size * n : room;
    memcpy(to + have, bytes, len);
    to[have + len] = '\0';
    return size * n;
}

struct api_answer api_process_ask_with(CURL *curl, const struct api_process *child,
                                       const char *path, const struct api_call *call)
{
    struct api_answer answer = { 0 };
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

struct api_answer api_process_ask(const struct api_process *child, const char *method,
                                  const char *path, const char *body)
{
    CURL *curl = curl_easy_init();
    struct api_answer answer = api_process_ask_with(
        curl, child, path, &(struct api_call){ .method = method, .body = body });
    curl_easy_cleanup(curl);
    return answer;
}
