#pragma once
/* From method and path to a reply. Handlers are pure: a state and a request in, a reply out; no
 * clock, no I/O. Rules: patroni-compat part 2; differences are in docs/differences.md. */
#include <stdbool.h>
#include <stddef.h>

#include "base/instant.h"
#include "base/text.h"
#include "sidecar/api/state.h"
#include "sidecar/control.h"

enum { REQUEST_ARGS = 16 };

enum request_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_OPTIONS,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OTHER
};

struct request_arg {
    const char *name;
    const char *value;
};

/* Everything is borrowed from the server during the call. */
struct request {
    enum request_method method;
    const char *path; /* decoded, one leading slash, without the query */
    size_t n_args;
    struct request_arg args[REQUEST_ARGS];
    bool has_length;  /* a Content-Length was given */
    const char *body; /* 0-terminated; NULL without one */
    size_t body_len;
    const json_t *json; /* the parsed body of an unsafe request: an object; NULL without one */
    struct mono now;    /* CLOCK_BOOTTIME as the request arrived: L1 is judged by it */
    struct wall wall;
};

enum reply_kind {
    REPLY_BARE, /* a status line, no body */
    REPLY_JSON,
    REPLY_TEXT,
    REPLY_METRICS,
    REPLY_HTML
};

struct reply {
    int status;
    enum reply_kind kind;
    char *body;         /* owned; NULL: empty */
    const char *header; /* one more header; static; NULL: none */
    char header_value[64];
    struct api_order order; /* kind != API_NONE: there is no answer yet, somebody must do this */
    json_t *order_body;     /* owned: what order.body points to */
};

typedef struct reply api_handler_fn(const struct api_state *state, const struct request *request);

struct route {
    api_handler_fn *handler; /* NULL: 501 */
    bool unsafe;             /* access is checked first (access.h) */
    bool open_to_peers;      /* the allow-list includes members (not for /failsafe) */
    bool wants_body;         /* 411 and 400 are answered before the handler */
};

struct route route_find(const struct request *request);
/* The reply, access granted. */
struct reply route_answer(const struct api_state *state, const struct request *request,
                          const struct route *route);

void reply_done(struct reply *reply);
struct reply reply_bare(int status);
struct reply reply_text(int status, const char *text);
struct reply reply_textf(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct reply reply_json(int status, const json_t *json); /* borrows; Python's separators */
struct reply reply_html(int status,
                        const char *message); /* an error page as Patroni's server sends */
struct reply reply_order(enum api_order_kind kind);

/* The value of an argument, NULL when it is absent. The last one wins. */
const char *request_arg(const struct request *request, const char *name);

/* health.c: the generic check by substring (2.2), /liveness, /readiness. */
api_handler_fn api_health;
api_handler_fn api_liveness;
api_handler_fn api_readiness;
int health_status(const struct api_state *state, const struct request *request);
bool health_parse_size(const char *text, int64_t *ret_bytes); /* "16kB", "1MB", "100" */

/* status.c, cluster.c */
api_handler_fn api_patroni;
api_handler_fn api_cluster;
api_handler_fn api_history;
api_handler_fn api_config;
api_handler_fn api_failsafe;
api_handler_fn api_pgvigil_get; /* /pgvigil/views, /pgvigil/etcd */
/* New reference: the body of /patroni, also of every health check. */
json_t *status_json(const struct api_state *state, const struct request *request);
/* New reference: our own part of /patroni: rule and reason in words. */
json_t *status_pgvigil(const struct api_state *state, struct mono now);
/* "2026-01-31 23:59:59.123456+00:00", no fraction when it is zero. */
enum { STATUS_TIME_MAX = 40 };
const char *status_time(int64_t us, char buffer[STATUS_TIME_MAX]);

/* metrics.c */
api_handler_fn api_metrics;

/* control.c: looks only; see control.h for what happens to orders. */
api_handler_fn api_patch_config;
api_handler_fn api_put_config;
api_handler_fn api_post_reload;
api_handler_fn api_post_restart;
/* Why the filters of a restart's body do not fit what runs now; NULL: they do. */
const char *api_restart_mismatch(const struct api_state *state, const json_t *body);
api_handler_fn api_delete_restart;
api_handler_fn api_post_reinitialize;
api_handler_fn api_post_switchover;
api_handler_fn api_post_failover;
api_handler_fn api_delete_switchover;
api_handler_fn api_post_failsafe;
api_handler_fn api_pgvigil_post;
api_handler_fn api_pgvigil_delete;
