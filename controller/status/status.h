#pragma once
/* What the kubelet and Prometheus ask the controller: GET over plain HTTP, one answer for a
 * connection. It takes no orders, so it needs neither TLS nor keep-alive nor bodies. */
#include "base/err.h"
#include "base/text.h"
#include "loop/loop.h"

struct status_server;

/* Writes the body; returns the status: 404 for a path that is not known. */
typedef int status_fn(void *arg, const char *path, struct text *to);

struct status_server_spec {
    struct loop *loop;
    const char *host; /* "" or "*": every address of both families */
    int port;         /* 0: any free one */
    status_fn *fn;
    void *arg;
};

/* Errors: ERR_INVALID (address), ERR_SYSTEM (port taken). */
enum err_code status_server_new(const struct status_server_spec *spec,
                                struct status_server **ret_server, struct err *err);
struct status_server *status_server_free(struct status_server *server);
int status_server_port(const struct status_server *server);
