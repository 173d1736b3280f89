#include "controller/kube/labeller.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    PATCH_MS = 5000,
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 3000,
};

/* One pod's patch, from its sending until it succeeded or the pause after a failure is over. */
struct patch {
    struct labeller *labeller;
    struct patch *next;
    char name[LIMIT_KUBE_NAME];
    char uid[LIMIT_UID];
    bool to_primary;
    struct http_call *call;
    struct source *timer; /* of the pause */
    struct mono sent;
};

/* How often in a row a pod's patches failed: kept by slot, a name may change places. */
struct failures {
    char uid[LIMIT_UID];
    int64_t pause_ms;
};

struct labeller {
    struct labeller_spec spec;
    struct source *changed;
    struct patch *first;
    struct failures failures[LIMIT_PODS];
    size_t next_failure;
    struct labeller_counts counts;
};

static struct patch *patch_free(struct patch *patch)
{
    struct patch **link = &patch->labeller->first;
    while (*link != patch)
        link = &(*link)->next;
    *link = patch->next;
    http_call_free(patch->call);
    source_free(patch->timer);
    free(patch);
    return NULL;
}

/* ---- pauses ----------------------------------------------------------------------------------- */

static struct failures *failures_of(struct labeller *labeller, const char *uid)
{
    for (size_t i = 0; i < LIMIT_PODS; i++)
        if (strcmp(labeller->failures[i].uid, uid) == 0)
            return &labeller->failures[i];
    struct failures *failures = &labeller->failures[labeller->next_failure++ % LIMIT_PODS];
    *failures = (struct failures){ 0 };
    (void)text_copy(failures->uid, sizeof(failures->uid), uid);
    return failures;
}

/* The pod may be patched again. */
static void finish(struct patch *patch)
{
    struct labeller *labeller = patch->labeller;
    struct pod *pod = pod_table_find(labeller->spec.table, patch->name, patch->uid);
    if (pod != NULL)
        pod->patching = false;
    source_trigger(labeller->changed);
    patch_free(patch);
}

static void on_pause_end(void *arg)
{
    finish(arg);
}

static void fail(struct patch *patch, const char *why)
{
    struct failures *failures = failures_of(patch->labeller, patch->uid);
    int64_t pause_ms = failures->pause_ms == 0 ? PAUSE_MIN_MS : failures->pause_ms * 2;
    failures->pause_ms = pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms;
    patch->labeller->counts.failed++;
    log_warn("label: pod %s: %s -> again in %d ms", patch->name, why, (int)failures->pause_ms);
    source_arm_in(patch->timer, failures->pause_ms);
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void gone(struct patch *patch)
{
    log_info("label: pod %s: it is gone -> counts as off", patch->name);
    (void)pod_table_remove(patch->labeller->spec.table, patch->name, patch->uid);
    finish(patch);
}

static enum err_code read_pod(const struct patch *patch, const struct http_result *result,
                              struct pod *ret_pod, struct err *err)
{
    auto_json json_t *object = NULL;
    enum err_code code = kube_answer(patch->labeller->spec.kube, result, "pod", &object, err);
    return code != ERR_OK ? code : pod_from_json(object, patch->labeller->spec.key, ret_pod, err);
}

/* 409 is another uid, or only a busy object: the pod itself tells. */
static void on_looked(void *arg, const struct http_result *result)
{
    struct patch *patch = arg;
    struct err err;
    struct pod pod;
    patch->call = http_call_free(patch->call);
    enum err_code code = read_pod(patch, result, &pod, &err);
    if (code == ERR_NOT_FOUND || (code == ERR_OK && strcmp(pod.uid, patch->uid) != 0))
        gone(patch);
    else
        fail(patch, code == ERR_OK ? "the patch met another one" : err.text);
}

static void pod_path(const struct patch *patch, struct text *to)
{
    text_addf(to, "/api/v1/namespaces/%s/pods/%s", patch->labeller->spec.ns, patch->name);
}

static void look(struct patch *patch)
{
    auto_text struct text path = text_new(LIMIT_PATH);
    pod_path(patch, &path);
    const struct kube_request request = { .path = text_str(&path), .timeout_ms = PATCH_MS };
    patch->call = kube_send(patch->labeller->spec.kube, &request, on_looked, patch);
}

static void succeed(struct patch *patch, const struct pod *answer)
{
    struct labeller *labeller = patch->labeller;
    int64_t took_ms = mono_diff(clock_mono(), patch->sent);
    labeller->counts.last_ms = took_ms;
    failures_of(labeller, patch->uid)->pause_ms = 0;
    (void)pod_table_put(labeller->spec.table, answer);
    struct pod *pod = pod_table_find(labeller->spec.table, patch->name, patch->uid);
    if (pod != NULL)
        pod->maybe_primary = false;
    log_info("label: pod %s: %s=%s -> written in %d ms", patch->name, labeller->spec.key,
             answer->label, (int)took_ms);
    finish(patch);
}

static void on_patched(void *arg, const struct http_result *result)
{
    struct patch *patch = arg;
    struct err err;
    struct pod pod;
    patch->call = http_call_free(patch->call);
    enum err_code code = read_pod(patch, result, &pod, &err);
    if (code == ERR_OK)
        succeed(patch, &pod);
    else if (code == ERR_NOT_FOUND)
        gone(patch);
    else if (code == ERR_CONFLICT)
        look(patch);
    else
        fail(patch, err.text);
}

/* ---- sending ---------------------------------------------------------------------------------- */

void labeller_send(struct labeller *labeller, struct pod *pod, const char *value)
{
    struct patch *patch = mem_struct(struct patch);
    patch->labeller = labeller;
    patch->next = labeller->first;
    labeller->first = patch;
    memcpy(patch->name, pod->name, sizeof(patch->name));
    memcpy(patch->uid, pod->uid, sizeof(patch->uid));
    patch->to_primary = value != NULL && strcmp(value, labeller->spec.primary) == 0;
    patch->timer = loop_timer(labeller->spec.loop, on_pause_end, patch);
    pod->patching = true;
    pod->maybe_primary |= patch->to_primary;
    auto_json json_t *body = json_pack("{s:{s:s,s:{s:s?}}}", "metadata", "uid", patch->uid,
                                       "labels", labeller->spec.key, value);
    auto_text struct text path = text_new(LIMIT_PATH);
    pod_path(patch, &path);
    text_addf(&path, "?fieldManager=pgvigil-controller&timeout=%ds", PATCH_MS / 1000);
    const struct kube_request request = {
        .method = "PATCH", .path = text_str(&path), .body = body, .timeout_ms = PATCH_MS
    };
    labeller->counts.sent++;
    patch->sent = clock_mono();
    patch->call = kube_send(labeller->spec.kube, &request, on_patched, patch);
}

struct labeller *labeller_new(const struct labeller_spec *spec)
{
    struct labeller *labeller = mem_struct(struct labeller);
    labeller->spec = *spec;
    labeller->changed = loop_defer(spec->loop, spec->changed, spec->arg);
    return labeller;
}

struct labeller *labeller_free(struct labeller *labeller)
{
    if (labeller == NULL)
        return NULL;
    while (labeller->first != NULL)
        patch_free(labeller->first);
    source_free(labeller->changed);
    free(labeller);
    return NULL;
}

const struct labeller_counts *labeller_counts(const struct labeller *labeller)
{
    return &labeller->counts;
}
