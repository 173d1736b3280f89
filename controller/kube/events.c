#include "controller/kube/events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { QUEUE = 64, WRITE_MS = 5000, RETRY_MS = 1000, TRIES = 20 };

struct kube_events {
    struct kube_events_spec spec;
    struct source *timer;
    struct http_call *call;
    size_t n;
    json_t *queue[QUEUE]; /* oldest first; the first is under way */
    int tries;
    uint64_t made;
};

static void send_first(struct kube_events *events);

static void drop_first(struct kube_events *events)
{
    json_decref(events->queue[0]);
    events->n--;
    memmove(&events->queue[0], &events->queue[1], events->n * sizeof(events->queue[0]));
    events->tries = 0;
}

static void on_sent(void *arg, const struct http_result *result)
{
    struct kube_events *events = arg;
    struct err err;
    events->call = http_call_free(events->call);
    enum err_code code = kube_outcome(events->spec.kube, result, &err);
    if (code == ERR_OK || code == ERR_CONFLICT) { /* it is there already */
        drop_first(events);
        send_first(events);
        return;
    }
    if (++events->tries == TRIES || code == ERR_REFUSED) {
        log_warn("events: %s -> one is dropped", err.text);
        drop_first(events);
    }
    source_arm_in(events->timer, RETRY_MS);
}

static void send_first(struct kube_events *events)
{
    if (events->n == 0 || events->call != NULL || source_armed(events->timer))
        return;
    auto_text struct text path = text_new(LIMIT_PATH);
    text_addf(&path, "/api/v1/namespaces/%s/events?fieldManager=pgvigil-controller",
              events->spec.ns);
    const struct kube_request request = {
        .method = "POST", .path = text_str(&path), .body = events->queue[0], .timeout_ms = WRITE_MS
    };
    events->call = kube_send(events->spec.kube, &request, on_sent, events);
}

static void on_timer(void *arg)
{
    send_first(arg);
}

static json_t *involved(const struct kube_events *events, const struct pod *pod)
{
    if (pod == NULL)
        return json_pack("{s:s,s:s,s:s,s:s}", "apiVersion", "apps/v1", "kind", "StatefulSet",
                         "namespace", events->spec.ns, "name", events->spec.release);
    return json_pack("{s:s,s:s,s:s,s:s,s:s}", "apiVersion", "v1", "kind", "Pod", "namespace",
                     events->spec.ns, "name", pod->name, "uid", pod->uid);
}

void kube_events_add(struct kube_events *events, const struct kube_event_text *event)
{
    char at[CLOCK_ISO_MAX];
    (void)clock_iso(clock_wall(), at);
    memcpy(at + strlen("2026-01-31T23:59:59"), "Z", 2); /* metav1.Time has whole seconds */
    auto_text struct text name = text_new(LIMIT_KUBE_NAME);
    if (event->name != NULL)
        text_add(&name, event->name);
    else
        text_addf(&name, "%s.%" PRIx64 "%" PRIx64, events->spec.release, (uint64_t)clock_wall().ms,
                  ++events->made);
    json_t *json = json_pack(
        "{s:{s:s,s:s},s:o,s:s,s:s,s:s,s:{s:s,s:s},s:s,s:s,s:s,s:s,s:i}", "metadata", "name",
        text_str(&name), "namespace", events->spec.ns, "involvedObject",
        involved(events, event->pod), "reason", event->reason, "message", event->message, "type",
        event->warning ? "Warning" : "Normal", "source", "component", "pgvigil-controller", "host",
        events->spec.instance, "reportingComponent", "pgvigil-controller", "reportingInstance",
        events->spec.instance, "firstTimestamp", at, "lastTimestamp", at, "count", 1);
    if (events->n == QUEUE) {
        events->call = http_call_free(events->call);
        drop_first(events);
    }
    events->queue[events->n++] = json;
    send_first(events);
}

struct kube_events *kube_events_new(const struct kube_events_spec *spec)
{
    struct kube_events *events = mem_struct(struct kube_events);
    events->spec = *spec;
    events->timer = loop_timer(spec->loop, on_timer, events);
    return events;
}

struct kube_events *kube_events_free(struct kube_events *events)
{
    if (events == NULL)
        return NULL;
    http_call_free(events->call);
    source_free(events->timer);
    while (events->n > 0)
        drop_first(events);
    free(events);
    return NULL;
}
