#pragma once
/* The Kubernetes API: one request, one answer. Who we are (token, CA, client certificate) is read
 * again every minute and after a 401, since it rotates; nothing of that concerns the callers.
 *
 * A request is a handle of http/http.h: its owner frees it, also from inside `done`. */
#include "base/err.h"
#include "http/http.h"
#include "json/json.h"

struct kube;

/* Errors: of kube_place_find. `http` is borrowed and must outlive it. */
enum err_code kube_new(struct loop *loop, struct http *http, struct kube **ret_kube,
                       struct err *err);
struct kube *kube_free(struct kube *kube);

/* The namespace that account or kubeconfig name; NULL: none. Borrowed, stays. */
const char *kube_namespace(const struct kube *kube);

struct kube_request {
    const char *method; /* NULL: GET */
    const char *path;   /* "/api/v1/namespaces/x/pods?limit=20", already encoded */
    const json_t *body; /* borrowed; PATCH sends a JSON merge patch */
    int64_t timeout_ms; /* 0: none, for streams */
    http_line_fn *line; /* NULL: the body is gathered */
};
struct http_call *kube_send(struct kube *kube, const struct kube_request *request,
                            http_done_fn *done, void *arg);

/* What an answer means: ERR_OK (2xx), ERR_NOT_FOUND (404, 410), ERR_CONFLICT (409), ERR_REFUSED
 * (other 4xx), ERR_UNREACHABLE (429, 5xx: again later), else the request's own failure. The text
 * carries the message of the Status object. */
enum err_code kube_outcome(struct kube *kube, const struct http_result *result, struct err *err);
/* The same, and what the answer carries, named `name` in errors: new reference. Also: of json_parse. */
enum err_code kube_answer(struct kube *kube, const struct http_result *result, const char *name,
                          json_t **ret_json, struct err *err);

/* Appends text as it may stand in a query. */
void kube_add_query(struct text *to, const char *text);
