#include "rest_client.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "etcd_server.h"

enum { REST_PATIENCE_MS = 30000 };

static void on_answer(void *arg, const struct http_result *result)
{
    struct rest_client *client = arg;
    client->done = true;
    client->status = result->status;
    text_copy(client->body, sizeof(client->body), result->body);
}

struct http_call *rest_start(struct rest_client *client, const char *request, const char *body)
{
    char url[256], method[16];
    snprintf(method, sizeof(method), "%.*s", (int)strcspn(request, " "), request);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", client->port, strchr(request, ' ') + 1);
    client->done = false;
    return http_start(client->http,
                      &(struct http_request){ .method = method,
                                              .url = url,
                                              .body = body,
                                              .body_len = body != NULL ? strlen(body) : 0,
                                              .timeout_ms = REST_PATIENCE_MS },
                      on_answer, client);
}

void rest_wait(struct rest_client *client)
{
    run_until(client->loop, &client->done, REST_PATIENCE_MS);
}

void rest_expect(struct rest_client *client, const char *request, const char *body, int status,
                 const char *text)
{
    struct http_call *call = rest_start(client, request, body);
    rest_wait(client);
    http_call_free(call);
    ck_assert_msg(client->status == status && (text == NULL || strcmp(client->body, text) == 0),
                  "%s %s: %d %s", request, body != NULL ? body : "", client->status, client->body);
}
