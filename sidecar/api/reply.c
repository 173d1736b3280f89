/* Replies: what handlers give back. */
#include <stdarg.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sidecar/api/routes.h"
#include "json/json.h"

void reply_done(struct reply *reply)
{
    free(reply->body);
    json_decref(reply->order_body);
    *reply = (struct reply){ 0 };
}

struct reply reply_bare(int status)
{
    return (struct reply){ .status = status, .kind = REPLY_BARE };
}

struct reply reply_text(int status, const char *text)
{
    return (struct reply){ .status = status, .kind = REPLY_TEXT, .body = mem_strdup(text) };
}

struct reply reply_textf(int status, const char *format, ...)
{
    struct text text = text_new(LIMIT_HTTP_BODY);
    va_list args;
    va_start(args, format);
    text_vaddf(&text, format, args);
    va_end(args);
    return (struct reply){ .status = status, .kind = REPLY_TEXT, .body = text_take(&text) };
}

struct reply reply_json(int status, const json_t *json)
{
    struct text text = text_new(LIMIT_HTTP_BODY);
    json_write_python(&text, json);
    return (struct reply){ .status = status, .kind = REPLY_JSON, .body = text_take(&text) };
}

struct reply reply_order(enum api_order_kind kind)
{
    return (struct reply){ .order = { .kind = kind } };
}

/* patronictl looks for 501 and this very sentence before it tries POST /failover instead. */
static const char *explain(int status)
{
    switch (status) {
    case 400:
        return "Bad request syntax or unsupported method";
    case 411:
        return "Client must specify Content-Length";
    case 413:
        return "Entity is too large";
    case 501:
        return "Server does not support this operation";
    case 502:
        return "Invalid responses from another server/proxy";
    default:
        return "The request could not be served";
    }
}

struct reply reply_html(int status, const char *message)
{
    struct text text = text_new(LIMIT_HTTP_BODY);
    text_addf(&text,
              "<!DOCTYPE HTML>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
              "<title>Error response</title></head>\n<body><h1>Error response</h1>\n"
              "<p>Error code: %d</p>\n<p>Message: %s.</p>\n"
              "<p>Error code explanation: %d - %s.</p></body></html>\n",
              status, message, status, explain(status));
    return (struct reply){ .status = status, .kind = REPLY_HTML, .body = text_take(&text) };
}

const char *request_arg(const struct request *request, const char *name)
{
    for (size_t i = request->n_args; i-- > 0;)
        if (strcmp(request->args[i].name, name) == 0)
            return request->args[i].value;
    return NULL;
}
