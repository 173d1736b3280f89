#include "lossy_proxy.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void pair_close(struct lossy_pair *pair)
{
    pair->from_client = source_free(pair->from_client);
    pair->from_server = source_free(pair->from_server);
    close(pair->client);
    close(pair->server);
    pair->client = -1;
}

/* Small messages on loopback: what was read is written at once. False: the end. */
static bool pass(int from, int to)
{
    char bytes[65536];
    ssize_t len = recv(from, bytes, sizeof(bytes), 0);
    return len > 0 && send(to, bytes, (size_t)len, MSG_NOSIGNAL) == len;
}

static void on_client(void *arg, int events)
{
    struct lossy_pair *pair = arg;
    (void)events;
    if (!pass(pair->client, pair->server))
        pair_close(pair);
}

static void on_server(void *arg, int events)
{
    struct lossy_pair *pair = arg;
    (void)events;
    if (pair->proxy->loses) {
        pair->proxy->lost++;
        pair_close(pair);
    } else if (!pass(pair->server, pair->client)) {
        pair_close(pair);
    }
}

static void on_connection(void *arg, int events)
{
    struct lossy_proxy *proxy = arg;
    (void)events;
    struct lossy_pair *pair = proxy->pairs;
    while (pair->client >= 0)
        pair++;
    ck_assert_ptr_ne(pair, proxy->pairs + LOSSY_CONNECTIONS);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)proxy->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    pair->client = accept4(proxy->fd, NULL, NULL, SOCK_CLOEXEC);
    pair->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(pair->server, (struct sockaddr *)&address, sizeof(address)) != 0) {
        pair_close(pair); /* etcd does not listen yet */
        return;
    }
    pair->from_client = loop_fd(proxy->loop, pair->client, LOOP_READ, on_client, pair);
    pair->from_server = loop_fd(proxy->loop, pair->server, LOOP_READ, on_server, pair);
}

void lossy_proxy_start(struct lossy_proxy *proxy, struct loop *loop, int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    *proxy = (struct lossy_proxy){ .loop = loop, .port = port };
    for (int pair = 0; pair < LOSSY_CONNECTIONS; pair++)
        proxy->pairs[pair] = (struct lossy_pair){ .proxy = proxy, .client = -1 };
    proxy->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(proxy->fd, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(proxy->fd, LOSSY_CONNECTIONS), 0);
    ck_assert_int_eq(getsockname(proxy->fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(proxy->url, sizeof(proxy->url), "http://127.0.0.1:%d", ntohs(address.sin_port));
    proxy->source = loop_fd(loop, proxy->fd, LOOP_READ, on_connection, proxy);
}

void lossy_proxy_stop(struct lossy_proxy *proxy)
{
    for (int pair = 0; pair < LOSSY_CONNECTIONS; pair++) {
        if (proxy->pairs[pair].client >= 0)
            pair_close(&proxy->pairs[pair]);
    }
    source_free(proxy->source);
    close(proxy->fd);
}
