#include "etcd/watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "etcd_internal.h"

struct etcd_watch {
    struct etcd *etcd;
    struct http_call *http;
    struct etcd_call *login; /* a read, made only to get a token first */
    char *body;
    int64_t timeout_ms;
    struct source *timer; /* until it is created, and to tell from the loop */
    etcd_watch_fn *fn;
    void *arg;
    int endpoint;
    bool created;
    bool over;
    struct mono heard;
    const char *cannot_start; /* told by the timer */
};

static void tell(struct etcd_watch *watch, const struct etcd_news *news)
{
    watch->fn(watch->arg, news);
}

static void tell_lost(struct etcd_watch *watch, const struct etcd_outcome *outcome,
                      const struct err *error)
{
    if (watch->over)
        return;
    watch->over = true;
    source_disarm(watch->timer);
    /* A token that was refused is not tried again; the next watch starts with a new one. */
    if (outcome->failure == ETCD_FAIL_TOKEN || outcome->failure == ETCD_FAIL_LOGIN)
        login_forget(watch->etcd);
    else
        endpoint_failed(watch->etcd, watch->endpoint);
    tell(watch, &(struct etcd_news){ .kind = ETCD_NEWS_LOST,
                                     .code = outcome->code,
                                     .failure = outcome->failure,
                                     .reason = error->text });
}

static void lose(struct etcd_watch *watch, enum etcd_failure failure, const char *reason)
{
    struct err error;
    struct etcd_outcome outcome = { .failure = failure, .code = codec_failure_code(failure) };
    err_set(&error, outcome.code, "%s", reason);
    tell_lost(watch, &outcome, &error);
}

/* --- events --- */

struct event_list {
    struct etcd_event *events;
    struct etcd_kv *prev;
    char *bytes;
    size_t n;
};

static void event_list_done(struct event_list *list)
{
    free(list->events);
    free(list->prev);
    free(list->bytes);
}

static enum err_code decode_event(const json_t *json, char **at, struct etcd_kv *prev,
                                  struct etcd_event *ret_event, struct err *err)
{
    struct json_reader reader = { json, "event" };
    const char *type = "";
    enum err_code code = json_opt_string(reader, "type", "PUT", &type, err);
    if (code == ERR_OK)
        code = kv_decode(json_object_get(json, "kv"), at, &ret_event->kv, err);
    if (code != ERR_OK)
        return code;
    ret_event->deleted = type[0] == 'D';
    const json_t *previous = json_object_get(json, "prev_kv");
    if (previous == NULL)
        return ERR_OK;
    ret_event->prev = prev;
    return kv_decode(previous, at, prev, err);
}

static enum err_code decode_events(const json_t *array, struct event_list *ret_list,
                                   struct err *err)
{
    size_t n = json_array_size(array);
    size_t room = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *event = json_array_get(array, i);
        room += kv_room(json_object_get(event, "kv")) + kv_room(json_object_get(event, "prev_kv"));
    }
    ret_list->events = mem_array(n, sizeof(*ret_list->events));
    ret_list->prev = mem_array(n, sizeof(*ret_list->prev));
    ret_list->bytes = mem_new(room);
    char *at = ret_list->bytes;
    for (size_t i = 0; i < n; i++) {
        enum err_code code = decode_event(json_array_get(array, i), &at, &ret_list->prev[i],
                                          &ret_list->events[i], err);
        if (code != ERR_OK)
            return code;
    }
    ret_list->n = n;
    return ERR_OK;
}

static void tell_events(struct etcd_watch *watch, const json_t *array,
                        const struct etcd_header *header)
{
    __attribute__((cleanup(event_list_done))) struct event_list list = { 0 };
    struct err err;
    if (decode_events(array, &list, &err) != ERR_OK) {
        lose(watch, ETCD_FAIL_PROTOCOL, err.text);
        return;
    }
    tell(watch, &(struct etcd_news){ .kind = list.n > 0 ? ETCD_NEWS_EVENTS : ETCD_NEWS_PROGRESS,
                                     .header = *header,
                                     .events = list.events,
                                     .n_events = list.n,
                                     .reason = "" });
}

/* --- lines --- */

/* {"canceled": true}, with the revision up to which etcd has compacted, or with a reason. */
static void on_cancelled(struct etcd_watch *watch, const json_t *reply,
                         const struct etcd_header *header)
{
    int64_t compacted = 0;
    (void)codec_int((struct json_reader){ reply, "watch" }, "compact_revision", &compacted, NULL);
    const char *reason = json_string_value(json_object_get(reply, "cancel_reason"));
    if (compacted == 0) {
        reason = reason == NULL ? "cancelled by etcd" : reason;
        lose(watch, codec_failure(0, reason), reason);
        return;
    }
    watch->over = true;
    tell(watch, &(struct etcd_news){ .kind = ETCD_NEWS_RESYNC, .header = *header, .reason = "" });
}

/* One line may say that the watch was created and that it was cancelled. */
static void on_reply(struct etcd_watch *watch, const json_t *reply,
                     const struct etcd_header *header)
{
    if (json_is_true(json_object_get(reply, "canceled"))) {
        on_cancelled(watch, reply, header);
        return;
    }
    if (json_is_true(json_object_get(reply, "created"))) {
        watch->created = true;
        source_disarm(watch->timer);
        tell(watch,
             &(struct etcd_news){ .kind = ETCD_NEWS_CREATED, .header = *header, .reason = "" });
        return;
    }
    tell_events(watch, json_object_get(reply, "events"), header);
}

static void on_line(void *arg, const char *line, size_t len)
{
    struct etcd_watch *watch = arg;
    if (watch->over)
        return;
    watch->heard = clock_mono();
    struct etcd_outcome outcome = { 0 };
    struct err error = { 0 };
    auto_json json_t *reply = NULL;
    reply_read_line(line, len, &outcome, &reply, &error);
    term_seen(watch->etcd, outcome.header.raft_term);
    if (outcome.code == ERR_OK)
        on_reply(watch, reply, &outcome.header);
    else
        tell_lost(watch, &outcome, &error);
}

static void on_done(void *arg, const struct http_result *result)
{
    struct etcd_watch *watch = arg;
    struct etcd_outcome outcome = { 0 };
    struct err error = { 0 };
    if (result->code == ERR_OK && result->status == 200) {
        lose(watch, ETCD_FAIL_NO_ANSWER, "the stream has ended");
        return;
    }
    auto_json json_t *json = NULL;
    reply_read(result, &outcome, &json, &error);
    tell_lost(watch, &outcome, &error);
}

static void on_timer(void *arg)
{
    struct etcd_watch *watch = arg;
    bool possible = watch->cannot_start == NULL;
    watch->http = http_call_free(watch->http);
    watch->login = etcd_call_free(watch->login);
    lose(watch, ETCD_FAIL_NO_ANSWER, possible ? "not created in time" : watch->cannot_start);
}

/* --- life --- */

static void send_request(struct etcd_watch *watch)
{
    const struct etcd *etcd = watch->etcd;
    auto_text struct text url = text_new(2 * LIMIT_URL);
    text_addf(&url, "%s/v3/watch", etcd_endpoint_url(etcd, watch->endpoint));
    auto_text struct text authorization = text_new(LIMIT_HTTP_HEADER);
    if (etcd->token != NULL)
        text_addf(&authorization, "Authorization: %s", etcd->token);
    const char *headers[] = { "Content-Type: application/json", "Grpc-Metadata-hasleader: true",
                              authorization.len > 0 ? authorization.data : NULL, NULL };
    watch->http = http_start(etcd->http,
                             &(struct http_request){ .method = "POST",
                                                     .url = text_str(&url),
                                                     .headers = headers,
                                                     .body = watch->body,
                                                     .body_len = strlen(watch->body),
                                                     .connect_timeout_ms = watch->timeout_ms,
                                                     .tls = etcd->tls,
                                                     .line = on_line },
                             on_done, watch);
}

static void on_login(void *arg, const struct etcd_range_result *result)
{
    struct etcd_watch *watch = arg;
    watch->login = etcd_call_free(watch->login);
    struct err error;
    if (result->outcome.code == ERR_OK && etcd_endpoint_url(watch->etcd, watch->endpoint) != NULL) {
        send_request(watch);
        return;
    }
    err_set(&error, result->outcome.code, "%s", result->outcome.error);
    tell_lost(watch, &result->outcome, &error);
}

static void begin(struct etcd_watch *watch, const char *key)
{
    watch->etcd->requests++;
    if (etcd_endpoint_url(watch->etcd, watch->endpoint) == NULL) {
        watch->cannot_start = "no such endpoint";
        source_arm_in(watch->timer, 0);
    } else if (login_needed(watch->etcd)) {
        struct etcd_range range = {
            .key = key, .serializable = true, .keys_only = true, .limit = 1
        };
        struct etcd_how how = { .timeout_ms = watch->timeout_ms, .endpoint = watch->endpoint };
        watch->login = etcd_range(watch->etcd, &range, how, on_login, watch);
    } else {
        send_request(watch);
    }
}

struct etcd_watch *etcd_watch_new(struct etcd *etcd, const struct etcd_watch_spec *spec)
{
    struct etcd_watch *watch = mem_struct(struct etcd_watch);
    watch->etcd = etcd;
    watch->fn = spec->fn;
    watch->arg = spec->arg;
    watch->timeout_ms = spec->timeout_ms;
    watch->heard = clock_mono();
    watch->endpoint = spec->endpoint == ETCD_ANY ? etcd_endpoint_current(etcd) : spec->endpoint;
    watch->timer = loop_timer(etcd->loop, on_timer, watch);
    source_arm_in(watch->timer, spec->timeout_ms);
    struct text body = text_new(LIMIT_HTTP_BODY);
    text_add(&body, "{\"create_request\":{");
    codec_add_key(&body, spec->key, spec->prefix);
    text_addf(&body, ",\"start_revision\":\"%lld\",\"progress_notify\":true,\"prev_kv\":%s}}",
              (long long)spec->start_revision, spec->previous ? "true" : "false");
    watch->body = text_take(&body);
    begin(watch, spec->key);
    return watch;
}

struct etcd_watch *etcd_watch_free(struct etcd_watch *watch)
{
    if (watch == NULL)
        return NULL;
    http_call_free(watch->http);
    etcd_call_free(watch->login);
    source_free(watch->timer);
    free(watch->body);
    free(watch);
    return NULL;
}

struct mono etcd_watch_heard(const struct etcd_watch *watch)
{
    return watch->heard;
}

int etcd_watch_endpoint(const struct etcd_watch *watch)
{
    return watch->endpoint;
}
