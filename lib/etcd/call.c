/* The life of one request: which endpoint, how long, again or not. See etcd.h for the rules. */
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "etcd_internal.h"

enum {
    PAUSE_MS = 100,    /* between two rounds over all endpoints */
    LEAST_TRY_MS = 50, /* a try shorter than this is not worth it */
    LOGINS_MAX = 2,    /* per call: a token that is refused at once again will not get better */
};

static void on_timer(void *arg);
static void send_to(struct etcd_call *call, int endpoint);

/* --- the end --- */

static void finish(struct etcd_call *call, const struct etcd_outcome *outcome, const json_t *json)
{
    call->state = CALL_DONE;
    call->http = http_call_free(call->http);
    if (call->timer != NULL)
        source_disarm(call->timer);
    if (call->released)
        etcd_call_free(call);
    else
        call->reply(call, outcome, json);
}

static void finish_failed(struct etcd_call *call)
{
    struct err error = call->error;
    const char *url =
        call->endpoint == ETCD_ANY ? NULL : etcd_endpoint_url(call->etcd, call->endpoint);
    if (url != NULL)
        err_wrap(&error, "etcd %s", url);
    finish(call,
           &(struct etcd_outcome){ .code = call->error.code,
                                   .failure = call->failure,
                                   .error = error.text,
                                   .endpoint = call->endpoint },
           NULL);
}

static void arm(struct etcd_call *call, enum call_state state, struct mono at)
{
    call->state = state;
    if (call->timer == NULL)
        call->timer = loop_timer(call->etcd->loop, on_timer, call);
    source_arm_at(call->timer, at);
}

void call_fail(struct etcd_call *call, enum etcd_failure failure, enum err_code code,
               const char *error)
{
    call->failure = failure;
    err_set(&call->error, code, "%s", error);
    arm(call, CALL_FAILS, loop_now(call->etcd->loop));
}

static int64_t left_ms(const struct etcd_call *call)
{
    return mono_diff(call->deadline, loop_now(call->etcd->loop));
}

/* --- the next try --- */

static int count_untried(const struct etcd_call *call)
{
    int count = 0;
    for (int i = 0; i < LIMIT_ENDPOINTS; i++)
        if (call->etcd->endpoints[i].url != NULL && (call->tried & (1U << i)) == 0)
            count++;
    return count;
}

/* The sticky endpoint, or the next after it that was not asked in this round. */
static int choose_endpoint(const struct etcd_call *call)
{
    if (call->pinned != ETCD_ANY)
        return call->pinned;
    int endpoint = etcd_endpoint_current(call->etcd);
    for (int i = 0; i < LIMIT_ENDPOINTS && endpoint != ETCD_ANY; i++) {
        if ((call->tried & (1U << endpoint)) == 0)
            return endpoint;
        endpoint = etcd_endpoint_after(call->etcd, endpoint);
    }
    return ETCD_ANY;
}

static void take_a_rest(struct etcd_call *call)
{
    call->tried = 0;
    struct mono end = mono_add(loop_now(call->etcd->loop), PAUSE_MS);
    arm(call, CALL_PAUSES, mono_min(end, call->deadline));
}

/* Endpoints may be set at any time, so an empty list is only a pause. */
static void wait_for_endpoint(struct etcd_call *call)
{
    if (call->pinned != ETCD_ANY) {
        call_fail(call, ETCD_FAIL_NO_ANSWER, ERR_UNREACHABLE, "no such endpoint");
        return;
    }
    err_set(&call->error, ERR_UNREACHABLE, "no endpoint is known");
    call->failure = ETCD_FAIL_NO_ANSWER;
    take_a_rest(call);
}

void call_go_on(struct etcd_call *call)
{
    if (!call->login && login_needed(call->etcd)) {
        arm(call, CALL_WAITS_LOGIN, call->deadline);
        login_wait(call);
        return;
    }
    int endpoint = choose_endpoint(call);
    if (etcd_endpoint_url(call->etcd, endpoint) != NULL)
        send_to(call, endpoint);
    else
        wait_for_endpoint(call);
}

/* Is it certain that the request had no effect? Then it may go to the next endpoint, else a read. */
static bool may_repeat(const struct etcd_call *call, const struct etcd_outcome *outcome)
{
    if (call->pinned != ETCD_ANY)
        return false;
    return outcome->code == ERR_UNREACHABLE || (outcome->code == ERR_TIMEOUT && call->read);
}

static void repeat(struct etcd_call *call)
{
    if (left_ms(call) < LEAST_TRY_MS) {
        finish_failed(call);
    } else if (count_untried(call) > 0) {
        call_go_on(call);
    } else {
        take_a_rest(call);
    }
}

/* A token that is not valid any more, or that is asked for now: log in and send again. */
static bool wants_login(struct etcd_call *call, const struct etcd_outcome *outcome)
{
    bool token = outcome->failure == ETCD_FAIL_TOKEN || outcome->failure == ETCD_FAIL_LOGIN;
    if (!token || call->login || call->etcd->user == NULL || call->logins >= LOGINS_MAX)
        return false;
    call->logins++;
    login_forget(call->etcd);
    return left_ms(call) >= LEAST_TRY_MS;
}

static void settle(struct etcd_call *call, struct etcd_outcome *outcome, const json_t *json,
                   const struct err *error)
{
    outcome->endpoint = call->endpoint;
    if (outcome->code == ERR_OK) {
        term_seen(call->etcd, outcome->header.raft_term);
        outcome->error = "";
        finish(call, outcome, json);
        return;
    }
    call->failure = outcome->failure;
    call->error = *error;
    if (outcome->code == ERR_UNREACHABLE || outcome->code == ERR_TIMEOUT)
        endpoint_failed(call->etcd, call->endpoint);
    else if (outcome->failure == ETCD_FAIL_NO_SPACE)
        etcd_sign(call->etcd);
    if (wants_login(call, outcome)) {
        call->tried = 0;
        call_go_on(call);
    } else if (may_repeat(call, outcome)) {
        repeat(call);
    } else {
        finish_failed(call);
    }
}

/* --- HTTP --- */

static void on_done(void *arg, const struct http_result *result)
{
    struct etcd_call *call = arg;
    struct etcd_outcome outcome = { 0 };
    struct err error = { 0 };
    auto_json json_t *json = NULL;
    reply_read(result, &outcome, &json, &error);
    if (call->stream && outcome.code == ERR_OK) { /* a stream that ended without a line */
        outcome.code = err_set(&error, ERR_TIMEOUT, "the stream ended without an answer");
        outcome.failure = ETCD_FAIL_NO_ANSWER;
    }
    call->http = http_call_free(call->http);
    settle(call, &outcome, json, &error);
}

/* The first line is the answer; the end of the stream is left to itself, so that neither the caller
 * waits for it nor the connection is lost. */
static void on_line(void *arg, const char *line, size_t len)
{
    struct etcd_call *call = arg;
    struct etcd_outcome outcome = { 0 };
    struct err error = { 0 };
    auto_json json_t *json = NULL;
    reply_read_line(line, len, &outcome, &json, &error);
    call->http = http_call_release(call->http);
    settle(call, &outcome, json, &error);
}

static void send_to(struct etcd_call *call, int endpoint)
{
    struct etcd *etcd = call->etcd;
    int64_t left = left_ms(call);
    int untried = count_untried(call);
    /* A write has one try, for as long as there is time; only its connecting may be cut short. */
    int64_t share = call->pinned != ETCD_ANY || untried < 2 ? left : left / untried;
    auto_text struct text url = text_new(2 * LIMIT_URL);
    text_addf(&url, "%s%s", etcd->endpoints[endpoint].url, call->path);
    auto_text struct text authorization = text_new(LIMIT_HTTP_HEADER);
    if (etcd->token != NULL && !call->login)
        text_addf(&authorization, "Authorization: %s", etcd->token);
    const char *headers[] = { "Content-Type: application/json",
                              authorization.len > 0 ? authorization.data : NULL, NULL };
    call->endpoint = endpoint;
    call->tried |= 1U << endpoint;
    call->state = CALL_SENT;
    call->sent = clock_mono();
    etcd->requests++;
    call->http = http_start(etcd->http,
                            &(struct http_request){ .method = "POST",
                                                    .url = text_str(&url),
                                                    .headers = headers,
                                                    .body = call->body,
                                                    .body_len = call->body_len,
                                                    .timeout_ms = call->read ? share : left,
                                                    .connect_timeout_ms = share,
                                                    .tls = etcd->tls,
                                                    .line = call->stream ? on_line : NULL },
                            on_done, call);
}

/* --- life --- */

static void on_timer(void *arg)
{
    struct etcd_call *call = arg;
    switch (call->state) {
    case CALL_WAITS_LOGIN:
        err_set(&call->error, ERR_UNREACHABLE, "no login in time");
        call->failure = ETCD_FAIL_NO_ANSWER;
        finish_failed(call);
        break;
    case CALL_PAUSES:
        if (left_ms(call) < LEAST_TRY_MS)
            finish_failed(call);
        else
            call_go_on(call);
        break;
    case CALL_FAILS:
        finish_failed(call);
        break;
    case CALL_SENT:
    case CALL_DONE:
        break;
    }
}

struct etcd_call *call_start(struct etcd *etcd, const struct call_spec *spec, struct etcd_how how)
{
    struct etcd_call *call = mem_struct(struct etcd_call);
    call->etcd = etcd;
    call->next = etcd->first;
    if (call->next != NULL)
        call->next->prev = call;
    etcd->first = call;
    call->path = spec->path;
    call->body_len = spec->body->len;
    call->body = text_take(spec->body);
    call->read = spec->read;
    call->stream = spec->stream;
    call->login = spec->login;
    call->reply = spec->reply;
    call->pinned = how.endpoint;
    call->endpoint = ETCD_ANY;
    call->deadline = mono_add(clock_mono(), how.timeout_ms);
    call_go_on(call);
    return call;
}

struct etcd_call *etcd_call_free(struct etcd_call *call)
{
    if (call == NULL)
        return NULL;
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        call->etcd->first = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    http_call_free(call->http);
    source_free(call->timer);
    free(call->body);
    free(call);
    return NULL;
}

struct etcd_call *etcd_call_release(struct etcd_call *call)
{
    if (call == NULL)
        return NULL;
    if (call->state == CALL_DONE)
        return etcd_call_free(call);
    call->released = true;
    return NULL;
}
