#include "controller/kube/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct kube_lease {
    struct kube_lease_spec spec;
    char *path; /* of the collection */
    char *name;
    char *self;
    struct election_times times;
    bool beside_primary;
    char successor[LIMIT_KUBE_NAME];

    struct source *timer; /* the next look */
    struct source *end;   /* of our holding */
    struct source *changed;
    struct http_call *call;
    json_t *record; /* as last read; NULL: none, or not known */
    bool known;     /* the record, or its absence, is */
    struct mono seen;
    struct mono sent;       /* of the write under way */
    struct mono held_until; /* 0: not held */
    bool writing_self;      /* the write under way names us */
    int64_t sent_for_ms;    /* and lets us hold it for so long from `sent` on */
    bool resigned;
    char holder[LIMIT_KUBE_NAME];
};

static void act(struct kube_lease *lease);

/* ---- the record ------------------------------------------------------------------------------- */

static const json_t *spec_of(const json_t *record)
{
    return json_object_get(record, "spec");
}

static const char *holder_of(const json_t *record)
{
    const char *holder = json_string_value(json_object_get(spec_of(record), "holderIdentity"));
    return holder != NULL ? holder : "";
}

static bool same_version(const json_t *a, const json_t *b)
{
    const char *in_a =
        json_string_value(json_object_get(json_object_get(a, "metadata"), "resourceVersion"));
    const char *in_b =
        json_string_value(json_object_get(json_object_get(b, "metadata"), "resourceVersion"));
    return in_a != NULL && in_b != NULL && strcmp(in_a, in_b) == 0;
}

/* Takes the reference; NULL: there is no record. */
static void take_record(struct kube_lease *lease, json_t *record)
{
    if (!lease->known || record == NULL || !same_version(record, lease->record))
        lease->seen = clock_mono();
    lease->known = true;
    json_decref(lease->record);
    lease->record = record;
    (void)text_copy(lease->holder, sizeof(lease->holder), holder_of(record));
}

/* "2026-11-23T07:00:00.000000Z": MicroTime. */
static json_t *micro_time(void)
{
    char iso[CLOCK_ISO_MAX];
    (void)clock_iso(clock_wall(), iso);
    char *zone = strchr(iso, '+');
    if (zone != NULL)
        memcpy(zone, "Z", 2);
    return json_string(iso);
}

/* The record as it shall be. New reference. */
static json_t *next_record(const struct kube_lease *lease, const char *holder)
{
    json_t *record = lease->record != NULL
                         ? json_deep_copy(lease->record)
                         : json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "coordination.k8s.io/v1",
                                     "kind", "Lease", "metadata", "name", lease->name);
    json_t *spec = json_object_get(record, "spec");
    if (!json_is_object(spec)) {
        spec = json_object();
        json_object_set_new(record, "spec", spec);
    }
    bool taken = strcmp(lease->holder, holder) != 0;
    json_int_t transitions = json_integer_value(json_object_get(spec, "leaseTransitions"));
    json_object_set_new(spec, "holderIdentity", json_string(holder));
    json_object_set_new(spec, "leaseDurationSeconds",
                        json_integer((json_int_t)lease->times.duration_ms / 1000));
    json_object_set_new(spec, "renewTime", micro_time());
    if (!taken)
        return record;
    json_object_set_new(spec, "acquireTime", micro_time());
    json_object_set_new(spec, "leaseTransitions", json_integer(transitions + 1));
    return record;
}

/* ---- writing ---------------------------------------------------------------------------------- */

static void lose(struct kube_lease *lease, const char *why)
{
    if (lease->held_until.ms == 0)
        return;
    log_info("lease: %s -> this controller only watches", why);
    lease->held_until = (struct mono){ 0 };
    source_disarm(lease->end);
    source_trigger(lease->changed);
}

static void on_end(void *arg)
{
    lose(arg, "not renewed in time");
}

static void hold(struct kube_lease *lease)
{
    bool first = lease->held_until.ms == 0;
    lease->held_until = mono_add(lease->sent, lease->sent_for_ms);
    source_arm_at(lease->end, lease->held_until);
    if (!first)
        return;
    log_info("lease: taken -> this controller writes");
    source_trigger(lease->changed);
}

static void on_written(void *arg, const struct http_result *result)
{
    struct kube_lease *lease = arg;
    struct err err;
    json_t *record = NULL;
    lease->call = http_call_free(lease->call);
    enum err_code code = kube_answer(lease->spec.kube, result, "lease", &record, &err);
    source_arm_in(lease->timer, lease->times.retry_ms);
    if (lease->resigned)
        source_trigger(lease->changed);
    if (code != ERR_OK) {
        log_debug("lease: %s", err.text);
        lease->known = false;
        if (code == ERR_CONFLICT || code == ERR_NOT_FOUND)
            source_arm_in(lease->timer, 0); /* somebody else wrote: look who */
        return;
    }
    take_record(lease, record);
    if (lease->writing_self && !lease->resigned)
        hold(lease);
}

static void write_record(struct kube_lease *lease, const char *holder)
{
    auto_json json_t *record = next_record(lease, holder);
    auto_text struct text path = text_new(LIMIT_PATH);
    text_add(&path, lease->path);
    if (lease->record != NULL)
        text_addf(&path, "/%s", lease->name);
    const struct kube_request request = {
        .method = lease->record != NULL ? "PUT" : "POST",
        .path = text_str(&path),
        .body = record,
        .timeout_ms = lease->times.deadline_ms,
    };
    lease->writing_self = strcmp(holder, lease->self) == 0;
    lease->sent_for_ms = lease->times.deadline_ms;
    lease->sent = clock_mono();
    lease->call = kube_send(lease->spec.kube, &request, on_written, lease);
}

/* ---- looking ---------------------------------------------------------------------------------- */

static void on_read(void *arg, const struct http_result *result)
{
    struct kube_lease *lease = arg;
    struct err err;
    json_t *record = NULL;
    lease->call = http_call_free(lease->call);
    enum err_code code = kube_answer(lease->spec.kube, result, "lease", &record, &err);
    source_arm_in(lease->timer, lease->times.retry_ms);
    if (code != ERR_OK && code != ERR_NOT_FOUND) {
        log_debug("lease: %s", err.text);
        return;
    }
    take_record(lease, record);
    if (strcmp(lease->holder, lease->self) != 0)
        lose(lease, "another controller has it");
    act(lease);
}

static void look(struct kube_lease *lease)
{
    auto_text struct text path = text_new(LIMIT_PATH);
    text_addf(&path, "%s/%s", lease->path, lease->name);
    const struct kube_request request = { .path = text_str(&path),
                                          .timeout_ms = lease->times.deadline_ms };
    lease->call = kube_send(lease->spec.kube, &request, on_read, lease);
}

static void act(struct kube_lease *lease)
{
    const json_t *seconds = json_object_get(spec_of(lease->record), "leaseDurationSeconds");
    const struct election_view view = {
        .now = clock_mono(),
        .self = lease->self,
        .holder = lease->record != NULL ? lease->holder : NULL,
        .duration_ms = json_integer_value(seconds) * 1000,
        .changed = lease->seen,
        .beside_primary = lease->beside_primary,
        .successor = lease->successor[0] != '\0' ? lease->successor : NULL,
    };
    switch (election_move(&view)) {
    case ELECTION_WAIT:
        break;
    case ELECTION_TAKE:
    case ELECTION_RENEW:
        write_record(lease, lease->self);
        break;
    case ELECTION_HAND_OVER:
        lose(lease, "the primary runs on this node, handed over");
        write_record(lease, lease->successor);
        break;
    }
}

static void on_timer(void *arg)
{
    struct kube_lease *lease = arg;
    if (lease->call != NULL || lease->resigned)
        return;
    /* A holder writes on what it wrote last; a conflict tells it if that was not the last word. */
    if (lease->known && strcmp(lease->holder, lease->self) == 0)
        act(lease);
    else
        look(lease);
}

/* ---- life ------------------------------------------------------------------------------------- */

struct kube_lease *kube_lease_new(const struct kube_lease_spec *spec)
{
    struct kube_lease *lease = mem_struct(struct kube_lease);
    struct text path = text_new(LIMIT_PATH);
    text_addf(&path, "/apis/coordination.k8s.io/v1/namespaces/%s/leases", spec->ns);
    lease->spec = *spec;
    lease->path = text_take(&path);
    lease->name = mem_strdup(spec->name);
    lease->self = mem_strdup(spec->self);
    lease->times = election_times(10000);
    lease->timer = loop_timer(spec->loop, on_timer, lease);
    lease->end = loop_timer(spec->loop, on_end, lease);
    lease->changed = loop_defer(spec->loop, spec->changed, spec->arg);
    source_arm_in(lease->timer, 0);
    return lease;
}

struct kube_lease *kube_lease_free(struct kube_lease *lease)
{
    if (lease == NULL)
        return NULL;
    http_call_free(lease->call);
    source_free(lease->timer);
    source_free(lease->end);
    source_free(lease->changed);
    json_decref(lease->record);
    free(lease->path);
    free(lease->name);
    free(lease->self);
    free(lease);
    return NULL;
}

bool kube_lease_resign(struct kube_lease *lease)
{
    bool held = lease->held_until.ms != 0;
    lose(lease, "this process ends, handed back");
    lease->resigned = true;
    if (!held || lease->record == NULL)
        return false;
    lease->call = http_call_free(lease->call);
    write_record(lease, "");
    return true;
}

bool kube_lease_resigned(const struct kube_lease *lease)
{
    return lease->resigned && lease->call == NULL;
}

bool kube_lease_held(const struct kube_lease *lease, struct mono now)
{
    return lease->held_until.ms != 0 && mono_before(now, lease->held_until);
}

const char *kube_lease_holder(const struct kube_lease *lease)
{
    return lease->holder;
}

void kube_lease_set_ttl(struct kube_lease *lease, int64_t ttl_ms)
{
    lease->times = election_times(ttl_ms);
}

void kube_lease_set_place(struct kube_lease *lease, bool beside_primary, const char *successor)
{
    lease->beside_primary = beside_primary;
    (void)text_copy(lease->successor, sizeof(lease->successor), successor ? successor : "");
}
