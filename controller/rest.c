#include "controller/rest.h"

#include <string.h>

#include "base/clean.h"
#include "base/limits.h"
#include "controller/controller_internal.h"

enum { REST_MS = 30000, CONNECT_MS = 3000 }; /* a switchover is answered when it is done */

struct http_call *rest_send(struct controller *controller, const struct rest_order *order,
                            http_done_fn *done, void *arg)
{
    auto_text struct text url = text_new(LIMIT_PATH);
    auto_text struct text text = text_new(LIMIT_API_BODY);
    const char *host = strstr(order->api_url, "://");
    host = host != NULL ? host + 3 : order->api_url;
    text_add_bytes(&url, order->api_url, (size_t)(host - order->api_url) + strcspn(host, "/"));
    text_add(&url, order->path);
    if (order->body != NULL)
        json_write(&text, order->body);
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    const struct http_request request = {
        .method = order->method,
        .url = text_str(&url),
        .headers = headers,
        .body = order->body != NULL ? text_str(&text) : NULL,
        .body_len = text.len,
        .timeout_ms = REST_MS,
        .connect_timeout_ms = CONNECT_MS,
        .tls = controller->rest_tls,
        .user = controller->rest_password != NULL ? controller->options->rest_user : NULL,
        .password = controller->rest_password,
    };
    return http_start(controller->etcd_http, &request, done, arg);
}

enum err_code rest_outcome(const struct http_result *result, struct err *err)
{
    if (result->code != ERR_OK)
        return err_set(err, result->code, "REST: %s", result->error);
    if (result->status / 100 == 2)
        return ERR_OK;
    enum err_code code = result->status >= 500 ? ERR_UNREACHABLE : ERR_REFUSED;
    return err_set(err, code, "REST: %d: %.300s", result->status, result->body);
}
