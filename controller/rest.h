#pragma once
/* Orders to the members' REST API (design part 8), with the release's client certificate and
 * password. */
#include "http/http.h"
#include "json/json.h"

struct controller;

struct rest_order {
    const char *api_url; /* of the member key */
    const char *method;
    const char *path;
    const json_t *body; /* borrowed; NULL: none */
};
/* The owner frees the handle. */
struct http_call *rest_send(struct controller *controller, const struct rest_order *order,
                            http_done_fn *done, void *arg);
/* ERR_OK for 2xx, ERR_UNREACHABLE for 5xx (again later), ERR_REFUSED for the rest, with the text. */
enum err_code rest_outcome(const struct http_result *result, struct err *err);
