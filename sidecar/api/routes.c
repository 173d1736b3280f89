/* The routing table (patroni-compat 2.1): method and first segment of the path; for GET whatever has
 * no handler of its own is a health check, for OPTIONS and HEAD everything is. */
#include <string.h>

#include "sidecar/api/routes.h"
#include "json/json.h"

#define METHOD(name) (1u << METHOD_##name)

static const struct {
    unsigned methods;
    const char *segment;
    struct route route;
} routes[] = {
    { METHOD(GET), "patroni", { .handler = api_patroni } },
    { METHOD(GET), "cluster", { .handler = api_cluster } },
    { METHOD(GET), "history", { .handler = api_history } },
    { METHOD(GET), "config", { .handler = api_config } },
    { METHOD(GET), "failsafe", { .handler = api_failsafe } },
    { METHOD(GET), "metrics", { .handler = api_metrics } },
    { METHOD(GET), "liveness", { .handler = api_liveness } },
    { METHOD(GET), "readiness", { .handler = api_readiness } },
    { METHOD(PATCH),
      "config",
      { .handler = api_patch_config, .unsafe = true, .open_to_peers = true, .wants_body = true } },
    { METHOD(PUT),
      "config",
      { .handler = api_put_config, .unsafe = true, .open_to_peers = true, .wants_body = true } },
    { METHOD(POST),
      "reload",
      { .handler = api_post_reload, .unsafe = true, .open_to_peers = true } },
    { METHOD(POST),
      "restart",
      { .handler = api_post_restart, .unsafe = true, .open_to_peers = true } },
    { METHOD(DELETE),
      "restart",
      { .handler = api_delete_restart, .unsafe = true, .open_to_peers = true } },
    { METHOD(POST),
      "reinitialize",
      { .handler = api_post_reinitialize, .unsafe = true, .open_to_peers = true } },
    { METHOD(POST),
      "switchover",
      { .handler = api_post_switchover,
        .unsafe = true,
        .open_to_peers = true,
        .wants_body = true } },
    { METHOD(POST),
      "failover",
      { .handler = api_post_failover, .unsafe = true, .open_to_peers = true, .wants_body = true } },
    { METHOD(DELETE),
      "switchover",
      { .handler = api_delete_switchover, .unsafe = true, .open_to_peers = true } },
    { METHOD(POST),
      "failsafe",
      { .handler = api_post_failsafe, .unsafe = true, .wants_body = true } },
    { METHOD(POST),
      "pgvigil",
      { .handler = api_pgvigil_post, .unsafe = true, .open_to_peers = true } },
    { METHOD(DELETE),
      "pgvigil",
      { .handler = api_pgvigil_delete, .unsafe = true, .open_to_peers = true } },
};

static bool first_segment_is(const char *path, const char *segment)
{
    size_t len = strlen(segment);
    return path[0] == '/' && strncmp(path + 1, segment, len) == 0 &&
           (path[1 + len] == '/' || path[1 + len] == '\0');
}

/* E1: no secret is in /pgvigil/etcd, every sidecar may ask; recorded views are for operators. */
static struct route pgvigil_get(const char *path)
{
    return (struct route){ .handler = api_pgvigil_get,
                           .unsafe = strcmp(path, "/pgvigil/etcd") != 0,
                           .open_to_peers = true };
}

struct route route_find(const struct request *request)
{
    unsigned method = 1u << request->method;
    if ((method & (METHOD(HEAD) | METHOD(OPTIONS))) != 0)
        return (struct route){ .handler = api_health };
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if ((routes[i].methods & method) != 0 && first_segment_is(request->path, routes[i].segment))
            return routes[i].route;
    if (request->method != METHOD_GET)
        return (struct route){ 0 };
    if (first_segment_is(request->path, "pgvigil"))
        return pgvigil_get(request->path);
    return (struct route){ .handler = api_health };
}

/* Body rules of patroni-compat 2.1. True: ret_body is an object, or NULL where none is needed. */
static bool read_body(const struct request *request, bool required, json_t **ret_body,
                      struct reply *ret_reply)
{
    bool empty = request->body == NULL || request->body_len == 0;
    if (!required && empty)
        return true;
    if (!request->has_length) {
        *ret_reply = reply_html(411, "Length Required");
        return false;
    }
    json_t *body = NULL;
    if (!empty && json_parse(request->body, request->body_len, "body", &body, NULL) == ERR_OK &&
        json_is_object(body)) {
        *ret_body = body;
        return true;
    }
    json_decref(body);
    *ret_reply = reply_html(400, "Bad Request");
    return false;
}

struct reply route_answer(const struct api_state *state, const struct request *request,
                          const struct route *route)
{
    if (route->handler == NULL)
        return reply_html(501, "Unsupported method");
    if (!route->unsafe)
        return route->handler(state, request);
    json_t *body = NULL;
    struct reply refusal;
    if (!read_body(request, route->wants_body, &body, &refusal))
        return refusal;
    struct request parsed = *request;
    parsed.json = body;
    struct reply reply = route->handler(state, &parsed);
    if (reply.order.kind == API_NONE) {
        json_decref(body);
        return reply;
    }
    reply.order_body = body;
    reply.order.body = body;
    return reply;
}
