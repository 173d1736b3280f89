#include "controller/kube/pods.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/text.h"
#include "cluster/failover.h"

/* ---- out of JSON ------------------------------------------------------------------------------ */

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static enum component component_of(const json_t *labels)
{
    static const struct {
        const char *name;
        enum component component;
    } components[] = { { "data", COMPONENT_DATA },
                       { "witness", COMPONENT_WITNESS },
                       { "controller", COMPONENT_CONTROLLER } };
    const char *name = text_at(labels, "app.kubernetes.io/component");
    for (size_t i = 0; i < sizeof(components) / sizeof(components[0]); i++)
        if (strcmp(components[i].name, name) == 0)
            return components[i].component;
    return COMPONENT_OTHER;
}

static bool is_ready(const json_t *status)
{
    size_t at;
    const json_t *condition;
    json_array_foreach (json_object_get(status, "conditions"), at, condition) {
        if (strcmp(text_at(condition, "type"), "Ready") == 0)
            return strcmp(text_at(condition, "status"), "True") == 0;
    }
    return false;
}

static void read_addresses(const json_t *status, struct pod *pod)
{
    (void)text_copy(pod->address, sizeof(pod->address), text_at(status, "podIP"));
    bool v6 = strchr(pod->address, ':') != NULL;
    size_t at;
    const json_t *address;
    json_array_foreach (json_object_get(status, "podIPs"), at, address) {
        const char *ip = text_at(address, "ip");
        if ((strchr(ip, ':') != NULL) != v6)
            (void)text_copy(pod->second, sizeof(pod->second), ip);
    }
}

static void read_claims(const json_t *spec, struct pod *pod)
{
    auto_text struct text names = text_new(sizeof(pod->claims) - 1);
    size_t at;
    const json_t *volume;
    json_array_foreach (json_object_get(spec, "volumes"), at, volume) {
        const char *name = text_at(json_object_get(volume, "persistentVolumeClaim"), "claimName");
        if (name[0] != '\0')
            text_addf(&names, "%s%s", names.len > 0 ? " " : "", name);
    }
    (void)text_copy(pod->claims, sizeof(pod->claims), text_str(&names));
}

enum err_code pod_from_json(const json_t *object, const char *label_key, struct pod *ret_pod,
                            struct err *err)
{
    struct pod pod = { 0 };
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *labels = json_object_get(metadata, "labels");
    const json_t *status = json_object_get(object, "status");
    const char *phase = text_at(status, "phase");
    struct json_reader reader = { .object = metadata, .name = "pod: metadata" };
    const char *version;
    enum err_code code = json_copy_string(reader, "name", pod.name, sizeof(pod.name), err);
    if (code == ERR_OK)
        code = json_copy_string(reader, "uid", pod.uid, sizeof(pod.uid), err);
    if (code == ERR_OK)
        code = json_get_string(reader, "resourceVersion", &version, err);
    if (code != ERR_OK)
        return code;
    pod.version = strtoll(version, NULL, 10);
    pod.component = component_of(labels);
    (void)text_copy(pod.label, sizeof(pod.label), text_at(labels, label_key));
    (void)text_copy(pod.revision, sizeof(pod.revision),
                    text_at(labels, "controller-revision-hash"));
    const json_t *spec = json_object_get(object, "spec");
    (void)text_copy(pod.node, sizeof(pod.node), text_at(spec, "nodeName"));
    read_claims(spec, &pod);
    read_addresses(status, &pod);
    pod.ready = is_ready(status);
    pod.ended = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
    struct wall created, deadline;
    if (iso_parse(text_at(metadata, "creationTimestamp"), &created) == ISO_OK)
        pod.created_ms = created.ms;
    const char *deletion = text_at(metadata, "deletionTimestamp");
    pod.deleting = deletion[0] != '\0';
    if (pod.deleting && iso_parse(deletion, &deadline) == ISO_OK)
        pod.deadline_ms = deadline.ms;
    *ret_pod = pod;
    return ERR_OK;
}

/* ---- the table -------------------------------------------------------------------------------- */

static size_t index_of(const struct pod_table *table, const char *name)
{
    size_t at = 0;
    while (at < table->pods.n && strcmp(table->pods.pod[at].name, name) != 0)
        at++;
    return at;
}

struct pod *pod_table_find(struct pod_table *table, const char *name, const char *uid)
{
    size_t at = index_of(table, name);
    if (at == table->pods.n || strcmp(table->pods.pod[at].uid, uid) != 0)
        return NULL;
    return &table->pods.pod[at];
}

bool pod_table_put(struct pod_table *table, const struct pod *pod)
{
    size_t at = index_of(table, pod->name);
    if (at == table->pods.n) {
        if (at == LIMIT_PODS)
            return false;
        table->pods.n++;
        table->pods.pod[at] = *pod;
        table->listed[at] = true;
        return true;
    }
    struct pod *known = &table->pods.pod[at];
    table->listed[at] = true;
    if (strcmp(known->uid, pod->uid) != 0) {
        if (pod->version < known->version)
            return false; /* a late word of the former one */
        *known = *pod;
        return true;
    }
    if (pod->version <= known->version)
        return false;
    bool patching = known->patching, maybe_primary = known->maybe_primary;
    *known = *pod;
    known->patching = patching;
    known->maybe_primary = maybe_primary;
    return true;
}

static void remove_at(struct pod_table *table, size_t at)
{
    table->pods.n--;
    memmove(&table->pods.pod[at], &table->pods.pod[at + 1],
            (table->pods.n - at) * sizeof(table->pods.pod[0]));
    memmove(&table->listed[at], &table->listed[at + 1],
            (table->pods.n - at) * sizeof(table->listed[0]));
}

bool pod_table_remove(struct pod_table *table, const char *name, const char *uid)
{
    size_t at = index_of(table, name);
    if (at == table->pods.n || strcmp(table->pods.pod[at].uid, uid) != 0)
        return false;
    remove_at(table, at);
    return true;
}

void pod_table_begin(struct pod_table *table)
{
    memset(table->listed, 0, sizeof(table->listed));
}

bool pod_table_end(struct pod_table *table)
{
    bool removed = false;
    for (size_t at = table->pods.n; at-- > 0;) {
        if (table->listed[at])
            continue;
        remove_at(table, at);
        removed = true;
    }
    return removed;
}
