#pragma once
/* A TCP proxy on the loop in front of one etcd, that can let a request through and lose its answer:
 * "done, but the reply is lost". */
#include <stdbool.h>

#include "loop/loop.h"

enum { LOSSY_CONNECTIONS = 16 };

struct lossy_pair {
    struct lossy_proxy *proxy;
    int client; /* -1: free */
    int server;
    struct source *from_client;
    struct source *from_server;
};

struct lossy_proxy {
    struct loop *loop;
    int fd;
    int port; /* of the server behind */
    struct source *source;
    char url[64];
    bool loses; /* what the server answers from now on is lost, and the connection with it */
    int lost;
    struct lossy_pair pairs[LOSSY_CONNECTIONS];
};

void lossy_proxy_start(struct lossy_proxy *proxy, struct loop *loop, int port);
void lossy_proxy_stop(struct lossy_proxy *proxy);
