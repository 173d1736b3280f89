#include "controller/status/status.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/mem.h"

enum {
    BACKLOG = 16,
    CONNECTIONS = 32, /* more are closed at once */
    HEAD_MAX = 8192,
    PATIENCE_MS = 5000, /* for a request and its answer */
};

struct asking {
    struct status_server *server;
    struct asking *next;
    int fd;
    struct source *source;
    struct source *timer;
    struct text in;
    struct text out;
    size_t sent;
};

struct status_server {
    struct status_server_spec spec;
    int fd;
    struct source *source;
    struct asking *first;
    int n;
};

static void asking_free(struct asking *asking)
{
    struct status_server *server = asking->server;
    struct asking **link = &server->first;
    while (*link != asking)
        link = &(*link)->next;
    *link = asking->next;
    server->n--;
    source_free(asking->source);
    source_free(asking->timer);
    close(asking->fd);
    text_done(&asking->in);
    text_done(&asking->out);
    free(asking);
}

static void on_late(void *arg)
{
    asking_free(arg);
}

/* ---- one request ------------------------------------------------------------------------------ */

static const char *word_of(int status)
{
    return status == 200 ? "OK" : status == 404 ? "Not Found" : "Service Unavailable";
}

static void answer(struct asking *asking)
{
    const struct status_server_spec *spec = &asking->server->spec;
    char method[16] = "", path[256] = "";
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    int fields = sscanf(text_str(&asking->in), "%15s %255[^? \r\n]", method, path);
    bool head = strcmp(method, "HEAD") == 0;
    bool good = fields == 2 && (head || strcmp(method, "GET") == 0);
    int status = good ? spec->fn(spec->arg, path, &body) : 404;
    text_addf(&asking->out,
              "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %zu\r\n"
              "Connection: close\r\n\r\n%s",
              status, word_of(status), body.len, head ? "" : text_str(&body));
}

/* True: all of it has gone out, or nobody takes it. */
static bool send_some(struct asking *asking)
{
    while (asking->sent < asking->out.len) {
        ssize_t n = send(asking->fd, asking->out.data + asking->sent,
                         asking->out.len - asking->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno != EAGAIN && errno != EINTR;
        asking->sent += (size_t)n;
    }
    return true;
}

/* True: the request is whole, or there will be none. */
static bool read_some(struct asking *asking)
{
    char bytes[2048];
    ssize_t n = recv(asking->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n > 0)
        text_add_bytes(&asking->in, bytes, (size_t)n);
    return n <= 0 || asking->in.overflow || strstr(text_str(&asking->in), "\r\n\r\n") != NULL;
}

static void on_ready(void *arg, int events)
{
    struct asking *asking = arg;
    (void)events;
    if (asking->out.len == 0) {
        if (!read_some(asking))
            return;
        answer(asking);
        source_interest(asking->source, LOOP_WRITE);
    }
    if (send_some(asking))
        asking_free(asking);
}

static void on_connection(void *arg, int events)
{
    struct status_server *server = arg;
    (void)events;
    auto_close int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || server->n == CONNECTIONS)
        return;
    struct asking *asking = mem_struct(struct asking);
    asking->server = server;
    asking->fd = take_fd(&fd);
    asking->in = text_new(HEAD_MAX);
    asking->out = text_new(LIMIT_HTTP_BODY + LIMIT_HTTP_HEADER);
    asking->source = loop_fd(server->spec.loop, asking->fd, LOOP_READ, on_ready, asking);
    asking->timer = loop_timer(server->spec.loop, on_late, asking);
    source_arm_in(asking->timer, PATIENCE_MS);
    asking->next = server->first;
    server->first = asking;
    server->n++;
}

/* ---- listening -------------------------------------------------------------------------------- */

static int open_socket(const struct addrinfo *address)
{
    auto_close int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, off = 0;
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        return -1;
    return take_fd(&fd);
}

static enum err_code listen_on(const struct status_server_spec *spec, const char *host, int *ret_fd,
                               struct err *err)
{
    char port[16];
    (void)snprintf(port, sizeof(port), "%d", spec->port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0)
        return err_set(err, ERR_INVALID, "PGVIGIL_RESTAPI_LISTEN: %s: %s", host, gai_strerror(rc));
    int fd = open_socket(list);
    int failure = errno;
    freeaddrinfo(list);
    if (fd < 0)
        return err_errno(err, failure, "PGVIGIL_RESTAPI_LISTEN: %s:%s", host, port);
    *ret_fd = fd;
    return ERR_OK;
}

enum err_code status_server_new(const struct status_server_spec *spec,
                                struct status_server **ret_server, struct err *err)
{
    bool any = spec->host[0] == '\0' || strcmp(spec->host, "*") == 0;
    int fd = -1;
    enum err_code code = listen_on(spec, any ? "::" : spec->host, &fd, err);
    if (code != ERR_OK && any)
        code = listen_on(spec, "0.0.0.0", &fd, err);
    if (code != ERR_OK)
        return code;
    struct status_server *server = mem_struct(struct status_server);
    server->spec = *spec;
    server->fd = fd;
    server->source = loop_fd(spec->loop, fd, LOOP_READ, on_connection, server);
    *ret_server = server;
    return ERR_OK;
}

struct status_server *status_server_free(struct status_server *server)
{
    if (server == NULL)
        return NULL;
    while (server->first != NULL)
        asking_free(server->first);
    source_free(server->source);
    close(server->fd);
    free(server);
    return NULL;
}

int status_server_port(const struct status_server *server)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    if (getsockname(server->fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}
