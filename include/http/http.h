#pragma once
/* HTTP requests on the loop: libcurl's multi interface, one call = one handle. For etcd, the peers'
 * REST and Kubernetes: proxies of the environment are ignored, redirects are not followed, names are
 * looked up beside the loop, a cancelled look-up does not block. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

struct http;      /* a set of kept-alive connections */
struct http_call; /* one request under way */
struct http_tls;  /* certificates, read into memory: no disk is touched while connecting */

/* Once in main, before any thread: libcurl with the checked allocation of base/mem. */
void http_setup(void);

/* `dead_peer_ms`: a connection whose other end is silent on the level of TCP (node gone, packets
 * lost) breaks after about this time, seconds in effect; the only end of a watch without timeout. */
struct http *http_new(struct loop *loop, int64_t dead_peer_ms);
/* Cancels what is under way (without `done`): handles must not be used afterwards. NULL is fine. */
struct http *http_free(struct http *http);

struct http_tls_files {
    const char *ca;           /* PEM; NULL: the system's */
    const char *cert;         /* PEM with chain; NULL: none */
    const char *key;          /* PEM; NULL: it is in `cert` */
    const char *key_password; /* NULL: none */
    bool insecure;            /* accept any certificate */
    bool any_name;            /* check the chain but not the host name */
};
/* Errors: of file_read. Reads files: at start and reload only. */
enum err_code http_tls_load(const struct http_tls_files *files, struct http_tls **ret_tls,
                            struct err *err);
/* The same files anew, for the requests to come. On errors everything stays. What was made of memory, and
 * NULL: nothing happens. */
enum err_code http_tls_reload(struct http_tls *tls, struct err *err);
/* From memory; copied. NULL or "": none (`ca`: the system's). */
struct http_tls_pem {
    const char *ca;
    const char *cert; /* with chain */
    const char *key;
    bool insecure;
};
struct http_tls *http_tls_new(const struct http_tls_pem *pem);
/* Calls under way keep what they need, here and at a reload. NULL is fine. */
struct http_tls *http_tls_free(struct http_tls *tls);

struct http_result {
    enum err_code code; /* ERR_OK: a whole response is here, whatever its status.
                                 ERR_UNREACHABLE: nothing was sent, it did not happen.
                                 ERR_TIMEOUT: something was sent, it may have happened.
                                 ERR_LIMIT: body or line too long. ERR_PROTOCOL, ERR_INVALID (url) */
    const char *error;  /* why, for a person; "" when ERR_OK */
    int status;         /* 200 …; 0 when none came */
    const char *body; /* 0-terminated; borrowed during the callback, even if that frees the call */
    size_t body_len;
    const char *content_type; /* "" when none was given */
};

/* From the loop, exactly once, never from inside http_start; the owner still frees the handle. */
typedef void http_done_fn(void *arg, const struct http_result *result);
/* One line of a streamed body with status 2xx, without its newline. May free the call. */
typedef void http_line_fn(void *arg, const char *line, size_t len);

struct http_request {
    const char *method; /* NULL: GET */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    const void *body;           /* NULL: none */
    size_t body_len;
    int64_t timeout_ms;         /* from start to end; 0: none, for streams only */
    int64_t connect_timeout_ms; /* 0: as timeout_ms */
    const struct http_tls *tls; /* for https; NULL: the system's certificates */
    const char *user;           /* basic authentication; NULL: none */
    const char *password;
    http_line_fn *line; /* NULL: the body is gathered, up to LIMIT_HTTP_BODY */
    bool fresh;         /* a new connection, closed afterwards */
};

/* Everything is copied. A request is sent at most once: curl's own repetition on a connection that
 * had just been closed is off, since it may double what had happened. Never fails: errors come
 * through `done`. New handle. */
struct http_call *http_start(struct http *http, const struct http_request *request,
                             http_done_fn *done, void *arg);
/* Cancels if it is under way: no callback afterwards. NULL is fine; returns NULL. */
struct http_call *http_call_free(struct http_call *call);
/* Takes the handle: no callback afterwards, but the rest of the response is awaited (up to the
 * timeout) so that the connection can serve again. NULL is fine; returns NULL. */
struct http_call *http_call_release(struct http_call *call);
