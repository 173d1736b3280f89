#include "rest_stub.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

static void hang_up(struct rest_stub *stub)
{
    stub->reader = source_free(stub->reader);
    if (stub->connection >= 0)
        close(stub->connection);
    stub->connection = -1;
}

static void on_request(void *arg, int events)
{
    struct rest_stub *stub = arg;
    (void)events;
    ssize_t len = recv(stub->connection, stub->request, sizeof(stub->request) - 1, 0);
    ck_assert_int_ge(len, 0);
    stub->request[len] = '\0';
    const char *end = strstr(stub->request, "\r\n\r\n");
    bool get = strncmp(stub->request, "GET ", 4) == 0;
    if (len > 0 && (end == NULL || (!get && end[4] == '\0')))
        return; /* the body comes apart */
    if (len > 0)
        (void)dprintf(stub->connection, "HTTP/1.0 %d So\r\nContent-Length: %zu\r\n\r\n%s",
                      stub->status != 0 ? stub->status : 200, strlen(stub->body), stub->body);
    hang_up(stub);
}

static void on_connection(void *arg, int events)
{
    struct rest_stub *stub = arg;
    (void)events;
    int connection = accept4(stub->fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(connection, 0);
    stub->asked++;
    if (stub->reader != NULL) {
        close(connection);
        return;
    }
    hang_up(stub);
    stub->connection = connection;
    if (stub->body != NULL)
        stub->reader = loop_fd(stub->loop, connection, LOOP_READ, on_request, stub);
}

void rest_stub_start(struct rest_stub *stub, struct loop *loop, const char *body)
{
    int port;
    *stub = (struct rest_stub){ .loop = loop, .body = body, .connection = -1 };
    stub->fd = loopback_listen(&port);
    (void)snprintf(stub->url, sizeof(stub->url), "http://127.0.0.1:%d/patroni", port);
    stub->source = loop_fd(loop, stub->fd, LOOP_READ, on_connection, stub);
}

void rest_stub_stop(struct rest_stub *stub)
{
    source_free(stub->source);
    hang_up(stub);
    close(stub->fd);
}
