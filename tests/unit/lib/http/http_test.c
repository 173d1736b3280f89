#include "http/http.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"

/* --- a server on the same loop, which does what the path says --- */

struct server {
    struct loop *loop;
    int fd;
    int port;
    struct source *source;
    int connections;
    int requests;
    char last[2048]; /* the last request as it came */
};

struct peer {
    struct server *server;
    int fd;
    struct source *source;
    struct source *timer;
    int chunks;
    size_t len;
    char buffer[1 << 17];
};

static void say(const struct peer *peer, const char *text)
{
    size_t len = strlen(text);
    ck_assert_int_eq(write(peer->fd, text, len), (ssize_t)len);
}

static void hang_up(struct peer *peer)
{
    source_free(peer->source);
    source_free(peer->timer);
    close(peer->fd);
    free(peer);
}

static void next_chunk(void *arg)
{
    struct peer *peer = arg;
    static const char *const chunks[] = { "6\r\none\ntw\r\n", "2\r\no\n\r\n", "5\r\nthree\r\n",
                                          "0\r\n\r\n" };
    say(peer, chunks[peer->chunks++]);
    if (peer->chunks < 4)
        source_arm_in(peer->timer, 5);
}

static void more_zeros(void *arg)
{
    struct peer *peer = arg;
    static char zeros[1 << 16];
    for (int i = 0; i < 100; i++)
        (void)!send(peer->fd, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL);
    source_arm_in(peer->timer, 1);
}

static void answer(struct peer *peer)
{
    const char *request = peer->buffer;
    if (strstr(request, " /close ") != NULL) {
        hang_up(peer);
    } else if (strstr(request, " /slow ") != NULL) {
        return;
    } else if (strstr(request, " /stream ") != NULL) {
        say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer->timer = loop_timer(peer->server->loop, next_chunk, peer);
        source_arm_in(peer->timer, 5);
    } else if (strstr(request, " /big ") != NULL) {
        say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
        peer->timer = loop_timer(peer->server->loop, more_zeros, peer);
        source_arm_in(peer->timer, 1);
    } else if (strstr(request, " /nonsense ") != NULL) {
        say(peer, "this is not HTTP at all\r\n\r\n");
    } else if (strstr(request, " /error ") != NULL) {
        say(peer, "HTTP/1.1 503 No\r\nContent-Length: 8\r\nContent-Type: application/json\r\n\r\n"
                  "{\"a\":1}\n");
    } else {
        say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello");
    }
}

static bool is_whole(const struct peer *peer)
{
    const char *end = strstr(peer->buffer, "\r\n\r\n");
    if (end == NULL)
        return false;
    const char *length = strcasestr(peer->buffer, "content-length: ");
    size_t body = length == NULL ? 0 : strtoul(length + strlen("content-length: "), NULL, 10);
    return peer->len >= (size_t)(end + 4 - peer->buffer) + body;
}

static void on_peer(void *arg, int events)
{
    (void)events;
    struct peer *peer = arg;
    ssize_t got = read(peer->fd, peer->buffer + peer->len, sizeof(peer->buffer) - 1 - peer->len);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            hang_up(peer);
        return;
    }
    peer->len += (size_t)got;
    peer->buffer[peer->len] = '\0';
    if (!is_whole(peer))
        return;
    peer->server->requests++;
    (void)text_copy(peer->server->last, sizeof(peer->server->last), peer->buffer);
    peer->len = 0;
    answer(peer);
}

static void on_accept(void *arg, int events)
{
    (void)events;
    struct server *server = arg;
    int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    server->connections++;
    struct peer *peer = calloc(1, sizeof(*peer));
    peer->server = server;
    peer->fd = fd;
    peer->source = loop_fd(server->loop, fd, LOOP_READ, on_peer, peer);
}

static void server_open(struct server *server, struct loop *loop)
{
    *server = (struct server){ .loop = loop };
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    socklen_t len = sizeof(address);
    server->fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server->fd, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(server->fd, 16), 0);
    ck_assert_int_eq(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin6_port);
    server->source = loop_fd(loop, server->fd, LOOP_READ, on_accept, server);
}

/* --- the client's side --- */

static struct loop *loop;
static struct server server;
static struct http *http;

struct seen {
    struct http_call *call;
    int done;
    int lines;
    bool keep;
    bool free_on_line;
    char text[200]; /* lines joined by | */
    enum err_code code;
    int status;
    size_t body_len;
    char body[100];
    char type[50];
    char error[200];
};

static void setup(void)
{
    loop = loop_new();
    server_open(&server, loop);
    http = http_new(loop, 4000);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void run_for(int64_t ms)
{
    struct source *end = loop_timer(loop, stop, loop);
    source_arm_in(end, ms);
    loop_run(loop);
    source_free(end);
}

static void teardown(void)
{
    http_free(http);
    run_for(20); /* the server's ends see it and close */
    source_free(server.source);
    close(server.fd);
    loop_free(loop);
}

static void on_line(void *arg, const char *line, size_t len)
{
    struct seen *seen = arg;
    seen->lines++;
    ck_assert_uint_eq(strlen(line), len);
    (void)strncat(seen->text, line, sizeof(seen->text) - strlen(seen->text) - 2);
    (void)strncat(seen->text, "|", 2);
    if (seen->free_on_line)
        seen->call = http_call_free(seen->call);
}

static void on_done(void *arg, const struct http_result *result)
{
    struct seen *seen = arg;
    seen->done++;
    seen->code = result->code;
    seen->status = result->status;
    seen->body_len = result->body_len;
    text_copy(seen->body, sizeof(seen->body), result->body);
    text_copy(seen->type, sizeof(seen->type), result->content_type);
    text_copy(seen->error, sizeof(seen->error), result->error);
    seen->call = http_call_free(seen->call);
    loop_stop(loop);
}

static const char *url_of(const char *path)
{
    static char url[200];
    (void)snprintf(url, sizeof(url), "http://[::1]:%d%s", server.port, path);
    return url;
}

static void start(struct seen *seen, struct http_request request)
{
    seen->call = http_start(http, &request, on_done, seen);
    ck_assert_int_eq(seen->done, 0); /* never from inside start */
}

static struct seen get(const char *path, int64_t timeout_ms)
{
    struct seen seen = { 0 };
    start(&seen, (struct http_request){ .url = url_of(path), .timeout_ms = timeout_ms });
    loop_run(loop);
    ck_assert_int_eq(seen.done, 1);
    return seen;
}

/* A whole response is ERR_OK whatever its status; IPv6 works; the connection is kept alive. */
START_TEST(responses)
{
    struct seen seen = get("/ok", 1000);
    ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
    ck_assert_int_eq(seen.status, 200);
    ck_assert_str_eq(seen.body, "hello");
    ck_assert_str_eq(seen.type, "text/plain");
    seen = get("/error", 1000);
    ck_assert_int_eq(seen.code, ERR_OK);
    ck_assert_int_eq(seen.status, 503);
    ck_assert_str_eq(seen.body, "{\"a\":1}\n");
    ck_assert_int_eq(server.connections, 1);
    ck_assert_int_eq(server.requests, 2);
}
END_TEST

/* Method, headers, body and basic authentication go out as asked. */
START_TEST(request_parts)
{
    struct seen seen = { 0 };
    const char *headers[] = { "Content-Type: application/json", "X-Test: yes", NULL };
    char *body = calloc(1, 100000);
    memset(body, 'x', 99999);
    start(&seen, (struct http_request){ .method = "PATCH",
                                        .url = url_of("/config"),
                                        .headers = headers,
                                        .body = body,
                                        .body_len = 99999,
                                        .timeout_ms = 2000,
                                        .user = "u",
                                        .password = "p" });
    free(body); /* it was copied */
    loop_run(loop);
    ck_assert_msg(seen.code == ERR_OK, "%s", seen.error);
    ck_assert_ptr_nonnull(strstr(server.last, "PATCH /config HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(server.last, "Content-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(server.last, "X-Test: yes\r\n"));
    ck_assert_ptr_nonnull(strstr(server.last, "Authorization: Basic dTpw\r\n"));
    ck_assert_ptr_nonnull(strstr(server.last, "Content-Length: 99999\r\n"));
    ck_assert_ptr_null(strstr(server.last, "Expect"));
    ck_assert_ptr_null(strstr(server.last, "chunked"));
}
END_TEST

/* Nobody there: it did not happen. */
START_TEST(refused_is_unreachable)
{
    struct seen seen = { 0 };
    start(&seen, (struct http_request){ .url = "http://127.0.0.1:1/", .timeout_ms = 1000 });
    loop_run(loop);
    ck_assert_int_eq(seen.code, ERR_UNREACHABLE);
    ck_assert_str_ne(seen.error, "");
}
END_TEST

/* Sent and not answered: it may have happened. */
START_TEST(silence_is_timeout)
{
    struct mono before = clock_mono();
    struct seen seen = get("/slow", 60);
    ck_assert_int_eq(seen.code, ERR_TIMEOUT);
    ck_assert_int_ge(mono_diff(clock_mono(), before), 60);
    ck_assert_int_lt(mono_diff(clock_mono(), before), 600);
    seen = get("/ok", 1000); /* on another connection */
    ck_assert_int_eq(seen.code, ERR_OK);
}
END_TEST

/* A kept-alive connection that breaks after the request was sent: sent once, not twice. */
START_TEST(never_sent_twice)
{
    struct seen seen = get("/ok", 1000);
    seen = (struct seen){ 0 };
    start(&seen, (struct http_request){ .method = "POST",
                                        .url = url_of("/close"),
                                        .body = "x",
                                        .body_len = 1,
                                        .timeout_ms = 1000 });
    loop_run(loop);
    ck_assert_int_eq(seen.code, ERR_TIMEOUT);
    ck_assert_int_eq(server.requests, 2);
    seen = get("/ok", 1000);
    seen = (struct seen){ 0 };
    start(&seen,
          (struct http_request){ .method = "DELETE", .url = url_of("/close"), .timeout_ms = 1000 });
    loop_run(loop);
    ck_assert_int_eq(seen.code, ERR_TIMEOUT);
    ck_assert_int_eq(server.requests, 4);
}
END_TEST

START_TEST(bad_answers_and_urls)
{
    ck_assert_int_eq(get("/nonsense", 1000).code, ERR_PROTOCOL);
    ck_assert_int_eq(get("/big", 5000).code, ERR_LIMIT);
    struct seen seen = { 0 };
    start(&seen, (struct http_request){ .url = "gopher://x/", .timeout_ms = 1000 });
    loop_run(loop);
    ck_assert_int_eq(seen.code, ERR_INVALID);
}
END_TEST

/* Lines of a stream arrive whole, one by one, while it goes on; the last may lack its newline. */
START_TEST(stream_of_lines)
{
    struct seen seen = { 0 };
    start(&seen, (struct http_request){ .url = url_of("/stream"), .line = on_line });
    loop_run(loop);
    ck_assert_int_eq(seen.code, ERR_OK);
    ck_assert_str_eq(seen.text, "one|two|three|");
    ck_assert_uint_eq(seen.body_len, 0);
    /* what is not 2xx comes as a body */
    seen = (struct seen){ 0 };
    start(&seen, (struct http_request){ .url = url_of("/error"), .line = on_line });
    loop_run(loop);
    ck_assert_int_eq(seen.lines, 0);
    ck_assert_int_eq(seen.status, 503);
    ck_assert_str_eq(seen.body, "{\"a\":1}\n");
}
END_TEST

/* Freed from its own line callback: nothing comes afterwards. */
START_TEST(free_in_line)
{
    struct seen seen = { .free_on_line = true };
    start(&seen, (struct http_request){ .url = url_of("/stream"), .line = on_line });
    run_for(60);
    ck_assert_int_eq(seen.lines, 1);
    ck_assert_int_eq(seen.done, 0);
}
END_TEST

/* A cancelled call is silent; a released one is silent too but leaves its connection for the next. */
START_TEST(cancel_and_release)
{
    struct seen seen = { 0 };
    start(&seen, (struct http_request){ .url = url_of("/slow"), .timeout_ms = 1000 });
    run_for(20);
    http_call_free(seen.call);
    start(&seen, (struct http_request){ .url = url_of("/stream"), .timeout_ms = 1000 });
    run_for(3);
    http_call_release(seen.call);
    run_for(60);
    ck_assert_int_eq(seen.done, 0);
    int before = server.connections;
    ck_assert_int_eq(get("/ok", 1000).code, ERR_OK);
    ck_assert_int_eq(server.connections, before);
    /* `fresh` asks for one of its own, which is closed afterwards */
    start(&seen, (struct http_request){ .url = url_of("/ok"), .timeout_ms = 1000, .fresh = true });
    loop_run(loop);
    ck_assert_int_eq(server.connections, before + 1);
}
END_TEST

/* More than LIMIT_HTTP_CALLS: the last one fails with a name, the others go on. */
START_TEST(too_many)
{
    struct seen seen[LIMIT_HTTP_CALLS + 1] = { 0 };
    for (int i = 0; i <= LIMIT_HTTP_CALLS; i++)
        start(&seen[i], (struct http_request){ .url = url_of("/ok"), .timeout_ms = 3000 });
    for (int i = 0; i < 200 && server.requests < LIMIT_HTTP_CALLS; i++)
        run_for(10);
    for (int i = 0; i < 100; i++)
        run_for(2);
    ck_assert_int_eq(seen[LIMIT_HTTP_CALLS].code, ERR_LIMIT);
    for (int i = 0; i < LIMIT_HTTP_CALLS; i++)
        ck_assert_int_eq(seen[i].done, 1);
    ck_assert_int_eq(seen[0].code, ERR_OK);
}
END_TEST

/* A name server that answers when the test says so: when the other end of the pipe is closed. */
static int gate[2] = { -1, -1 };
static atomic_int lookups;

/* libcurl's look-ups come here instead of libc's. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    (void)hints;
    static struct sockaddr_in6 address;
    static struct addrinfo found;
    char none;
    atomic_fetch_add(&lookups, 1);
    if (strcmp(name, "slow.test") == 0)
        (void)!read(gate[0], &none, sizeof(none));
    address = (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                     .sin6_addr = in6addr_loopback,
                                     .sin6_port = htons((uint16_t)strtoul(service, NULL, 10)) };
    found = (struct addrinfo){ .ai_family = AF_INET6,
                               .ai_socktype = SOCK_STREAM,
                               .ai_addrlen = sizeof(address),
                               .ai_addr = (struct sockaddr *)&address };
    *ret_list = &found;
    atomic_fetch_sub(&lookups, 1);
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

static void run_until_lookups(int n)
{
    struct mono end = mono_add(clock_mono(), 5000);
    while (atomic_load(&lookups) != n) {
        ck_assert_msg(mono_before(clock_mono(), end), "%d look-ups are under way, not %d",
                      atomic_load(&lookups), n);
        run_for(2);
    }
}

/* A name server that does not answer blocks neither the loop nor the end of the call. */
START_TEST(slow_name_server)
{
    char url[100];
    (void)snprintf(url, sizeof(url), "http://slow.test:%d/ok", server.port);
    struct seen seen = { 0 };
    ck_assert_int_eq(pipe(gate), 0);
    start(&seen, (struct http_request){ .url = url, .timeout_ms = 100 });
    loop_run(loop);
    ck_assert_int_eq(seen.code, ERR_UNREACHABLE);
    seen = (struct seen){ 0 };
    start(&seen, (struct http_request){ .url = url, .timeout_ms = 5000 });
    run_until_lookups(2);
    http_call_free(seen.call);
    ck_assert_int_eq(get("/ok", 300).code, ERR_OK);
    ck_assert_int_eq(atomic_load(&lookups), 2);
    /* The look-ups that were left alone end: nothing of them is leaked. */
    close(gate[1]);
    run_until_lookups(0);
    close(gate[0]);
}
END_TEST

static struct seen post(const char *path)
{
    struct seen seen = { 0 };
    start(&seen, (struct http_request){ .method = "POST",
                                        .url = url_of(path),
                                        .body = "{}",
                                        .body_len = 2,
                                        .timeout_ms = 1000 });
    loop_run(loop);
    return seen;
}

/* curl remembers in its handle that a body was to be sent again: such a handle is not used again. */
START_TEST(a_failed_request_spoils_no_other)
{
    ck_assert_int_eq(post("/ok").code, ERR_OK);
    ck_assert_int_ne(post("/close").code, ERR_OK);
    ck_assert_int_eq(post("/ok").code, ERR_OK);
    ck_assert_int_eq(server.requests, 3);
}
END_TEST

int main(void)
{
    (void)setenv("http_proxy", "http://127.0.0.1:2/", 1); /* must not matter */
    http_setup();
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("http");
    tcase_set_timeout(tcase, 20);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, responses);
    tcase_add_test(tcase, request_parts);
    tcase_add_test(tcase, refused_is_unreachable);
    tcase_add_test(tcase, silence_is_timeout);
    tcase_add_test(tcase, never_sent_twice);
    tcase_add_test(tcase, a_failed_request_spoils_no_other);
    tcase_add_test(tcase, bad_answers_and_urls);
    tcase_add_test(tcase, stream_of_lines);
    tcase_add_test(tcase, free_in_line);
    tcase_add_test(tcase, cancel_and_release);
    tcase_add_test(tcase, too_many);
    tcase_add_test(tcase, slow_name_server);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
