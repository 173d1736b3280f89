#include "controller/kube/slice.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    FAMILIES = 2,
    WRITE_MS = 5000,
    RETRY_MS = 200,
    AGAIN_MS = 10000, /* nobody watches it: what a person changed is put right after this */
    VACANT_MS = 3000, /* longer than a takeover that nothing hinders */
};

struct target {
    char address[LIMIT_ADDRESS]; /* "": nobody */
    char pod[LIMIT_KUBE_NAME];
    char uid[LIMIT_UID];
    char node[LIMIT_KUBE_NAME];
};

struct slice {
    struct slices *slices;
    const char *type; /* "IPv4" */
    const char *suffix;
    struct target wanted;
    struct target sent;
    struct target confirmed;
    bool known; /* what is confirmed */
    bool make;  /* it does not exist: POST */
    struct http_call *call;
    struct source *timer;
    struct mono begun;
};

struct slices {
    struct slices_spec spec;
    struct slice slice[FAMILIES];
    bool on;            /* slices_set was called since slices_forget */
    struct mono vacant; /* since when nobody is primary; MONO_NEVER: somebody is */
};

static void send_slice(struct slice *slice);

static bool same(const struct target *a, const struct target *b)
{
    return strcmp(a->address, b->address) == 0 && strcmp(a->uid, b->uid) == 0 &&
           strcmp(a->node, b->node) == 0;
}

static json_t *endpoints(const struct slice *slice)
{
    const struct target *target = &slice->sent;
    json_t *list = json_array();
    if (target->address[0] == '\0')
        return list;
    json_t *endpoint = json_pack("{s:[s],s:{s:b,s:b,s:b},s:{s:s,s:s,s:s,s:s}}", "addresses",
                                 target->address, "conditions", "ready", 1, "serving", 1,
                                 "terminating", 0, "targetRef", "kind", "Pod", "namespace",
                                 slice->slices->spec.ns, "name", target->pod, "uid", target->uid);
    if (target->node[0] != '\0')
        json_object_set_new(endpoint, "nodeName", json_string(target->node));
    json_array_append_new(list, endpoint);
    return list;
}

/* Without what only a new object needs, a JSON merge patch: lists are replaced as a whole. */
static json_t *slice_body(const struct slice *slice)
{
    const struct slices_spec *spec = &slice->slices->spec;
    auto_text struct text name = text_new(LIMIT_KUBE_NAME);
    text_addf(&name, "%s-%s", spec->service, slice->suffix);
    return json_pack("{s:s,s:s,s:s,s:{s:s,s:{s:s,s:s}},s:o,s:[{s:s,s:i,s:s}]}", "apiVersion",
                     "discovery.k8s.io/v1", "kind", "EndpointSlice", "addressType", slice->type,
                     "metadata", "name", text_str(&name), "labels", "kubernetes.io/service-name",
                     spec->service, "endpointslice.kubernetes.io/managed-by", "pgvigil-controller",
                     "endpoints", endpoints(slice), "ports", "name", "postgres", "port", spec->port,
                     "protocol", "TCP");
}

static void on_sent(void *arg, const struct http_result *result)
{
    struct slice *slice = arg;
    struct err err;
    slice->call = http_call_free(slice->call);
    enum err_code code = kube_outcome(slice->slices->spec.kube, result, &err);
    if (code == ERR_OK) {
        if (!slice->known || !same(&slice->confirmed, &slice->sent))
            log_info("slice: %s of %s leads to %s -> written in %d ms", slice->type,
                     slice->slices->spec.service, slice->sent.pod[0] ? slice->sent.pod : "nobody",
                     (int)mono_diff(clock_mono(), slice->begun));
        slice->confirmed = slice->sent;
        slice->known = true;
        slice->make = false;
        source_arm_in(slice->timer, same(&slice->confirmed, &slice->wanted) ? AGAIN_MS : 0);
        return;
    }
    bool missing = code == ERR_NOT_FOUND && !slice->make;
    if (missing && slice->sent.address[0] == '\0') { /* none leads nowhere, too */
        slice->confirmed = slice->sent;
        slice->known = true;
        source_arm_in(slice->timer, AGAIN_MS);
        return;
    }
    bool appeared = code == ERR_CONFLICT && slice->make;
    slice->make = missing || (slice->make && !appeared);
    if (!missing && !appeared)
        log_warn("slice: %s: %s -> again", slice->slices->spec.service, err.text);
    source_arm_in(slice->timer, missing || appeared ? 0 : RETRY_MS);
}

static void send_slice(struct slice *slice)
{
    const struct slices_spec *spec = &slice->slices->spec;
    slice->sent = slice->wanted;
    auto_json json_t *body = slice_body(slice);
    auto_text struct text path = text_new(LIMIT_PATH);
    text_addf(&path, "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices", spec->ns);
    if (!slice->make)
        text_addf(&path, "/%s-%s", spec->service, slice->suffix);
    text_addf(&path, "?fieldManager=pgvigil-controller&timeout=%ds", WRITE_MS / 1000);
    const struct kube_request request = { .method = slice->make ? "POST" : "PATCH",
                                          .path = text_str(&path),
                                          .body = body,
                                          .timeout_ms = WRITE_MS };
    slice->begun = clock_mono();
    slice->call = kube_send(spec->kube, &request, on_sent, slice);
}

static void on_timer(void *arg)
{
    struct slice *slice = arg;
    if (slice->call == NULL && slice->slices->on)
        send_slice(slice);
}

struct slices *slices_new(const struct slices_spec *spec)
{
    static const struct {
        const char *type, *suffix;
    } families[FAMILIES] = { { "IPv4", "ipv4" }, { "IPv6", "ipv6" } };
    struct slices *slices = mem_struct(struct slices);
    slices->spec = *spec;
    slices->vacant = MONO_NEVER;
    for (int i = 0; i < FAMILIES; i++) {
        struct slice *slice = &slices->slice[i];
        slice->slices = slices;
        slice->type = families[i].type;
        slice->suffix = families[i].suffix;
        slice->timer = loop_timer(spec->loop, on_timer, slice);
    }
    return slices;
}

struct slices *slices_free(struct slices *slices)
{
    if (slices == NULL)
        return NULL;
    for (int i = 0; i < FAMILIES; i++) {
        http_call_free(slices->slice[i].call);
        source_free(slices->slice[i].timer);
    }
    free(slices);
    return NULL;
}

/* An emptied slice is a change of its own, and kube-proxy holds the next one back for its minimum sync
 * period, by default a second: it would be the new primary's. The old one takes no writes any more. */
static bool in_takeover(struct slices *slices, const struct pod *primary)
{
    struct mono now = clock_mono();
    slices->vacant = primary != NULL ? MONO_NEVER : mono_min(slices->vacant, now);
    return primary == NULL && mono_diff(now, slices->vacant) < VACANT_MS;
}

void slices_set(struct slices *slices, const struct pod *primary)
{
    if (in_takeover(slices, primary))
        return;
    slices->on = true;
    for (int i = 0; i < FAMILIES; i++) {
        struct slice *slice = &slices->slice[i];
        struct target wanted = { 0 };
        bool v6 = i == 1;
        const char *address = "";
        if (primary != NULL)
            address =
                (strchr(primary->address, ':') != NULL) == v6 ? primary->address : primary->second;
        (void)text_copy(wanted.address, sizeof(wanted.address), address);
        if (address[0] != '\0') {
            (void)text_copy(wanted.pod, sizeof(wanted.pod), primary->name);
            (void)text_copy(wanted.uid, sizeof(wanted.uid), primary->uid);
            (void)text_copy(wanted.node, sizeof(wanted.node), primary->node);
        }
        bool news = !slice->known || !same(&wanted, &slice->confirmed);
        slice->wanted = wanted;
        /* A failed one waits for its pause. */
        if (news && slice->call == NULL &&
            !(source_armed(slice->timer) && same(&wanted, &slice->sent)))
            send_slice(slice);
    }
}

void slices_forget(struct slices *slices)
{
    slices->on = false;
    slices->vacant = MONO_NEVER;
    for (int i = 0; i < FAMILIES; i++)
        slices->slice[i].known = false;
}
