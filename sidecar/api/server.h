#pragma once
/* The REST server on 8008: libwebsockets on our loop. It moves bytes; what is answered is decided by
 * the pure handlers behind routes.h. HTTP/1.1 with keep-alive, TLS, limits on everything.
 *
 * Served while anything else hangs: nothing here waits for Postgres or the store, except the answers
 * of orders, which come from elsewhere (control.h). */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "loop/loop.h"
#include "sidecar/api/state.h"
#include "sidecar/control.h"

enum api_verify { API_VERIFY_NONE, API_VERIFY_OPTIONAL, API_VERIFY_REQUIRED };

/* The section `restapi`. The server keeps its own copy. */
struct api_settings {
    const char *host;     /* "" or "*": all addresses */
    int port;             /* 0: any free one (tests), see api_server_port */
    const char *certfile; /* NULL: no TLS */
    const char *keyfile;  /* NULL: in certfile */
    const char *keyfile_password;
    const char *cafile;
    const char *ciphers;
    enum api_verify verify_client;
    const char *username; /* NULL: no basic authentication */
    const char *password;
    size_t n_allowlist;
    const char *const *allowlist; /* addresses, networks a.b.c.d/n, host names' addresses */
    bool allowlist_include_members;
    const char *server_tokens; /* "original" (default, also NULL), "minimal", "productonly" */
    size_t n_headers;
    const char *const *headers; /* "Name: value"; http_extra_headers, with TLS https_ ones too */
};

/* Called once for each request, so it is the place to renew what is borrowed from tables that change
 * between two cycles (keys of the store, words of the etcd member). Must not wait or fail. */
typedef const struct api_state *api_state_fn(void *arg);

struct api_server;

struct api_server_spec {
    struct loop *loop;
    struct api_settings settings;
    api_state_fn *state; /* the newest snapshot; never NULL */
    api_state_fn *known; /* where no position of Postgres is asked for; NULL: state */
    void *state_arg;
    const struct api_control *control; /* borrowed */
};

/* Listens. Errors: ERR_INVALID (certificate, address), ERR_SYSTEM (port taken). */
enum err_code api_server_new(const struct api_server_spec *spec, struct api_server **ret_server,
                             struct err *err);
/* Closes everything; orders that still run must not reply any more: free their owners first. Runs
 * the loop for some iterations (libwebsockets closes asynchronously), so free it last, before the
 * loop. NULL is fine; returns NULL. */
struct api_server *api_server_free(struct api_server *server);

/* The port that it listens on. */
int api_server_port(const struct api_server *server);

/* SIGHUP, POST /reload: new credentials, allow-list and certificates at once; another listener
 * (host, port, TLS on or off) is ERR_REFUSED: it needs a restart of the process. A certificate that
 * cannot be used leaves the old one: ERR_INVALID. */
enum err_code api_server_reload(struct api_server *server, const struct api_settings *settings,
                                struct err *err);
