/* Requests that are waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "ctl/ctl.h"

struct waiting {
    struct loop *loop;
    struct ctl_answer answer;
};

static void on_done(void *arg, const struct http_result *result)
{
    struct waiting *waiting = arg;
    waiting->answer.code = result->code;
    waiting->answer.status = result->status;
    waiting->answer.body = mem_strdup(result->body != NULL ? result->body : "");
    text_copy(waiting->answer.error, sizeof(waiting->answer.error), result->error);
    loop_stop(waiting->loop);
}

struct ctl_answer ctl_rest(struct ctl *ctl, const char *method, const char *url, const char *body,
                           int64_t timeout_ms)
{
    struct waiting waiting = { .loop = ctl->loop };
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    bool unsafe = strcmp(method, "GET") != 0;
    struct http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .body = body != NULL ? body
                : unsafe     ? ""
                             : NULL,
        .body_len = body != NULL ? strlen(body) : 0,
        .timeout_ms = timeout_ms,
        .connect_timeout_ms = timeout_ms < 5000 ? timeout_ms : 5000,
        .tls = ctl->tls,
        .user = ctl->username,
        .password = ctl->password,
    };
    struct http_call *call = http_start(ctl->http, &request, on_done, &waiting);
    loop_run(ctl->loop);
    http_call_free(call);
    return waiting.answer;
}

void ctl_answer_done(struct ctl_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

char *ctl_url(const char *api_url, const char *path)
{
    const char *host = strstr(api_url, "://");
    size_t len = host == NULL ? strcspn(api_url, "/")
                              : (size_t)(host - api_url) + 3 + strcspn(host + 3, "/");
    struct text url = text_new(LIMIT_PATH);
    if (host == NULL)
        text_add(&url, "http://");
    text_add_bytes(&url, api_url, len);
    text_add(&url, path);
    return text_take(&url);
}

static void end_pause(void *arg)
{
    loop_stop(arg);
}

void ctl_pause(struct ctl *ctl, int64_t ms)
{
    auto_source struct source *timer = loop_timer(ctl->loop, end_pause, ctl->loop);
    source_arm_in(timer, ms);
    loop_run(ctl->loop);
}
