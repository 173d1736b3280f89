#include "lossy_proxy.h"

#include <check.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

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
    pair->client = accept4(proxy->fd, NULL, NULL, SOCK_CLOEXEC);
    pair->server = loopback_dial(proxy->port);
    if (pair->server < 0) {
        pair_close(pair); /* etcd does not listen yet */
        return;
    }
    pair->from_client = loop_fd(proxy->loop, pair->client, LOOP_READ, on_client, pair);
    pair->from_server = loop_fd(proxy->loop, pair->server, LOOP_READ, on_server, pair);
}

void lossy_proxy_start(struct lossy_proxy *proxy, struct loop *loop, int port)
{
    int own_port;
    *proxy = (struct lossy_proxy){ .loop = loop, .port = port };
    for (int pair = 0; pair < LOSSY_CONNECTIONS; pair++)
        proxy->pairs[pair] = (struct lossy_pair){ .proxy = proxy, .client = -1 };
    proxy->fd = loopback_listen(&own_port);
    (void)snprintf(proxy->url, sizeof(proxy->url), "http://127.0.0.1:%d", own_port);
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
