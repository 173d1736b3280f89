/* libcurl's multi interface on our loop.
 *
 * No callback of an owner runs inside libcurl: what curl's callbacks bring is put aside and handed
 * out by deliver() once curl has returned, so that owners may start and free calls as they like
 * (curl refuses that from inside its callbacks). */
#include "http/http.h"

#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http_internal.h"

enum {
    SPARE_HANDLES = 4,     /* easy handles kept for the next call */
    KEPT_CONNECTIONS = 16, /* idle ones, all endpoints together */
    NAME_CACHE_S = 5,      /* a pod that comes back has a new address */
    CONTENT_TYPE_MAX = 128,
    RECEIVE_BUFFER = 4096, /* curl allocates it per transfer; our answers are small */
};

struct http {
    struct loop *loop;
    CURLM *multi;
    struct source *timer;
    struct source *defer;
    int64_t dead_peer_ms;
    CURL *spare[SPARE_HANDLES];
    int spares;
    int calls;
    struct http_call *first;      /* all calls */
    struct http_call *delivering; /* NULL again when its callback freed it */
};

struct http_call {
    struct http *http;
    struct http_call *next;
    struct http_call *prev;
    CURL *easy; /* NULL: it never started */
    struct curl_slist *headers;
    char *body;
    size_t body_len;
    size_t body_sent;
    struct text response;
    http_line_fn *line;
    http_done_fn *done;
    void *arg;
    bool fresh;
    bool released; /* the owner is gone */
    bool lines_waiting;
    bool finished;
    bool delivered;
    struct err failure; /* valid when finished */
    bool failed;
    int status;
};

struct watched_socket {
    struct http *http;
    curl_socket_t fd;
    struct source *source;
};

/* --- memory --- */

static void *curl_malloc(size_t size)
{
    return mem_grow(NULL, size);
}

void http_setup(void)
{
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, free, mem_grow,
                                         mem_strdup, mem_array);
    assert(code == CURLE_OK);
    (void)code;
}

/* --- handing out --- */

static const char *content_type(const struct http_call *call)
{
    char *type = NULL;
    if (call->easy != NULL)
        curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    return type == NULL ? "" : type;
}

/* One line at a time: each callback may free the call. */
static void deliver_lines(struct http *http, struct http_call *call)
{
    size_t at = 0;
    auto_text struct text lines = call->response;
    call->response = text_new(lines.max);
    while (at < lines.len) {
        const char *end = memchr(lines.data + at, '\n', lines.len - at);
        if (end == NULL && !call->finished)
            break;
        size_t len = end == NULL ? lines.len - at : (size_t)(end - (lines.data + at));
        lines.data[at + len] = '\0';
        if (len > 0)
            call->line(call->arg, lines.data + at, len);
        if (http->delivering == NULL)
            return;
        at += len + (end == NULL ? 0 : 1);
    }
    if (at < lines.len) /* the beginning of a line waits for its end */
        text_add_bytes(&call->response, lines.data + at, lines.len - at);
}

/* The result outlives the call, which the callback may free. */
static void deliver_result(struct http_call *call)
{
    struct err failure = call->failure;
    struct text response = call->response;
    char type[CONTENT_TYPE_MAX];
    (void)text_copy(type, sizeof(type), content_type(call));
    call->response = text_new(response.max);
    call->delivered = true;
    struct http_result result = {
        .code = call->failed ? failure.code : ERR_OK,
        .error = call->failed ? failure.text : "",
        .status = call->status,
        .body = text_str(&response),
        .body_len = response.len,
        .content_type = type,
    };
    call->done(call->arg, &result);
    text_done(&response);
}

static void deliver_call(struct http *http, struct http_call *call)
{
    if (call->released) {
        if (call->finished)
            http_call_free(call);
        return;
    }
    http->delivering = call;
    call->lines_waiting = false;
    if (call->line != NULL && call->status / 100 == 2)
        deliver_lines(http, call);
    if (http->delivering != NULL && call->finished && !call->delivered)
        deliver_result(call);
    http->delivering = NULL;
}

static struct http_call *next_ready(const struct http *http)
{
    for (struct http_call *call = http->first; call != NULL; call = call->next)
        if (call->lines_waiting || (call->finished && !call->delivered))
            return call;
    return NULL;
}

static void note_finished(struct http_call *call, CURLcode code);

/* At most LIMIT_HTTP_CALLS entries: looking through all of them again is cheap. */
static void deliver(struct http *http)
{
    const CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct http_call *call = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        note_finished(call, message->data.result);
    }
    struct http_call *call;
    while ((call = next_ready(http)) != NULL)
        deliver_call(http, call);
}

/* --- the end of a transfer --- */

static void fail(struct http_call *call, enum err_code code, const char *text)
{
    call->failed = true;
    err_set(&call->failure, code, "%s", text);
}

/* Did any byte of the request leave? Until then it certainly did not happen. */
static bool was_sent(CURL *easy)
{
    long bytes = 0;
    curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes > 0;
}

static enum err_code classify(const struct http_call *call, CURLcode code)
{
    if (call->response.overflow)
        return ERR_LIMIT;
    bool sent = was_sent(call->easy);
    if (code == CURLE_URL_MALFORMAT || (!sent && code == CURLE_UNSUPPORTED_PROTOCOL))
        return ERR_INVALID;
    if (!sent)
        return ERR_UNREACHABLE;
    /* An answer that is not HTTP/1 is an unsupported protocol to curl. */
    bool nonsense = code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL;
    return nonsense ? ERR_PROTOCOL : ERR_TIMEOUT;
}

static void note_finished(struct http_call *call, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->status = (int)status;
    call->finished = true;
    if (code == CURLE_OK)
        return;
    enum err_code failure = classify(call, code);
    fail(call, failure, failure == ERR_LIMIT ? "the answer is too long" : curl_easy_strerror(code));
}

/* --- curl's callbacks --- */

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->status = (int)status;
    text_add_bytes(&call->response, bytes, len);
    if (call->response.overflow)
        return 0; /* curl ends the transfer */
    if (call->line != NULL && memchr(bytes, '\n', len) != NULL)
        call->lines_waiting = true;
    return len;
}

/* No seek function goes with it: curl then cannot send a body a second time on its own. */
static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t room = size * count;
    size_t len = call->body_len - call->body_sent;
    if (len > room)
        len = room;
    memcpy(to, call->body + call->body_sent, len);
    call->body_sent += len;
    return len;
}

static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)purpose;
    const struct http *http = arg;
    unsigned int timeout_ms = (unsigned int)http->dead_peer_ms;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* curl does not everywhere */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    return CURL_SOCKOPT_OK;
}

static void on_socket_ready(void *arg, int events)
{
    struct watched_socket *socket = arg;
    struct http *http = socket->http;
    int action = ((events & LOOP_READ) != 0 ? CURL_CSELECT_IN : 0) |
                 ((events & LOOP_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(http->multi, socket->fd, action, &running);
    deliver(http);
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct http *http = arg;
    struct watched_socket *socket = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (socket != NULL)
            source_free(socket->source);
        free(socket);
        curl_multi_assign(http->multi, fd, NULL);
        return 0;
    }
    int interest = ((what & CURL_POLL_IN) != 0 ? LOOP_READ : 0) |
                   ((what & CURL_POLL_OUT) != 0 ? LOOP_WRITE : 0);
    if (socket != NULL) {
        source_interest(socket->source, interest);
        return 0;
    }
    socket = mem_struct(struct watched_socket);
    socket->http = http;
    socket->fd = fd;
    socket->source = loop_fd(http->loop, fd, interest, on_socket_ready, socket);
    curl_multi_assign(http->multi, fd, socket);
    return 0;
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct http *http = arg;
    if (timeout_ms < 0)
        source_disarm(http->timer);
    else
        source_arm_in(http->timer, timeout_ms);
    return 0;
}

static void on_timer(void *arg)
{
    struct http *http = arg;
    int running;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    deliver(http);
}

static void on_defer(void *arg)
{
    deliver(arg);
}

/* --- the set of connections --- */

struct http *http_new(struct loop *loop, int64_t dead_peer_ms)
{
    struct http *http = mem_struct(struct http);
    http->loop = loop;
    http->dead_peer_ms = dead_peer_ms;
    http->timer = loop_timer(loop, on_timer, http);
    http->defer = loop_defer(loop, on_defer, http);
    http->multi = curl_multi_init();
    assert(http->multi != NULL);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    return http;
}

struct http *http_free(struct http *http)
{
    if (http == NULL)
        return NULL;
    while (http->first != NULL)
        http_call_free(http->first);
    for (int i = 0; i < http->spares; i++)
        curl_easy_cleanup(http->spare[i]);
    curl_multi_cleanup(http->multi);
    source_free(http->timer);
    source_free(http->defer);
    free(http);
    return NULL;
}

/* --- calls --- */

static void link_call(struct http *http, struct http_call *call)
{
    call->http = http;
    call->next = http->first;
    if (call->next != NULL)
        call->next->prev = call;
    http->first = call;
    http->calls++;
}

static void unlink_call(struct http_call *call)
{
    struct http *http = call->http;
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        http->first = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    http->calls--;
    if (http->delivering == call)
        http->delivering = NULL;
}

static CURL *take_handle(struct http *http)
{
    if (http->spares > 0)
        return http->spare[--http->spares];
    CURL *easy = curl_easy_init();
    assert(easy != NULL);
    return easy;
}

/* One that failed is spoilt: curl keeps in it that a body was to be sent again, also through a reset,
 * and every later request with a body fails ("rewinding … failed"). */
static void keep_handle(struct http *http, CURL *easy, bool spoilt)
{
    if (spoilt || http->spares == SPARE_HANDLES) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    http->spare[http->spares++] = easy;
}

static void set_method(CURL *easy, struct http_call *call, const struct http_request *request)
{
    const char *method = request->method == NULL ? "GET" : request->method;
    if (request->body != NULL || strcmp(method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, call);
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

/* curl repeats a request by itself when a kept connection turns out to be closed, unless it would
 * have to send a body again. What has no body and is not a read gets a connection of its own. */
static bool needs_new_connection(const struct http_request *request)
{
    if (request->fresh)
        return true;
    bool read = request->method == NULL || strcmp(request->method, "GET") == 0 ||
                strcmp(request->method, "HEAD") == 0;
    return !read && (request->body == NULL || request->body_len == 0);
}

static void set_headers(CURL *easy, struct http_call *call, const struct http_request *request)
{
    call->headers = curl_slist_append(NULL, "Expect:"); /* no round trip before a large body */
    for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++)
        call->headers = curl_slist_append(call->headers, request->headers[i]);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_connection(CURL *easy, struct http_call *call, const struct http_request *request)
{
    struct http *http = call->http;
    long dead_peer_s = (long)(http->dead_peer_ms / 1000);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Not only for the exit, as its name says: without it cancelling waits for the look-up's thread. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)NAME_CACHE_S);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(request->connect_timeout_ms > 0 ? request->connect_timeout_ms
                                                            : request->timeout_ms));
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, dead_peer_s > 2 ? dead_peer_s / 2 : 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 1L);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, http);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, needs_new_connection(request) ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, request->fresh ? 1L : 0L);
    http_tls_apply(request->tls, easy);
    if (request->user != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, request->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD,
                         request->password == NULL ? "" : request->password);
    }
}

/* A call that cannot even start still tells its owner from the loop. */
static void finish_at_once(struct http_call *call, enum err_code code, const char *text)
{
    fail(call, code, text);
    call->finished = true;
    source_trigger(call->http->defer);
}

struct http_call *http_start(struct http *http, const struct http_request *request,
                             http_done_fn *done, void *arg)
{
    struct http_call *call = mem_struct(struct http_call);
    call->line = request->line;
    call->done = done;
    call->arg = arg;
    call->response = text_new(LIMIT_HTTP_BODY);
    if (request->line != NULL)
        call->response.max = LIMIT_WATCH_LINE;
    bool full = http->calls >= LIMIT_HTTP_CALLS;
    link_call(http, call);
    if (full) {
        finish_at_once(call, ERR_LIMIT, "too many requests under way");
        return call;
    }
    call->body_len = request->body == NULL ? 0 : request->body_len;
    call->body = mem_new(call->body_len + 1);
    if (call->body_len > 0)
        memcpy(call->body, request->body, call->body_len);
    call->easy = take_handle(http);
    set_method(call->easy, call, request);
    set_headers(call->easy, call, request);
    set_connection(call->easy, call, request);
    curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
    CURLcode bad_url = curl_easy_setopt(call->easy, CURLOPT_URL, request->url);
    if (bad_url != CURLE_OK || curl_multi_add_handle(http->multi, call->easy) != CURLM_OK)
        finish_at_once(call, ERR_INVALID, "this request cannot be made");
    return call;
}

struct http_call *http_call_free(struct http_call *call)
{
    if (call == NULL)
        return NULL;
    unlink_call(call);
    if (call->easy != NULL) {
        curl_multi_remove_handle(call->http->multi, call->easy);
        keep_handle(call->http, call->easy, call->failed || !call->finished);
    }
    curl_slist_free_all(call->headers);
    free(call->body);
    text_done(&call->response);
    free(call);
    return NULL;
}

struct http_call *http_call_release(struct http_call *call)
{
    if (call == NULL)
        return NULL;
    if (call->finished)
        return http_call_free(call);
    call->released = true;
    call->line = NULL;
    call->lines_waiting = false;
    if (call->http->delivering == call)
        call->http->delivering = NULL;
    return NULL;
}
