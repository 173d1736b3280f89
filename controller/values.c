#include "controller/values.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/controller_internal.h"
#include "controller/rest.h"
#include "etcd/kv.h"
#include "etcd/table.h"
#include "settings/settings.h"
#include "settings/yaml.h"

#define KEY_VALUES "pgvigil/values"

enum {
    RETRY_MS = 3000,
    REFUSED_MS = 60000, /* settings that the leader refuses; new ones are tried at once */
    WRITE_MS = 5000,
    SETTLED_MS = 5000, /* until members have read new settings and asked their servers */
};

struct values {
    struct controller *controller;
    struct kube_watch *watch;
    json_t *now; /* of the ConfigMap; NULL: there is none, or it cannot be read */
    struct source *timer;
    struct http_call *call;
    struct etcd_call *write;
    bool told;                  /* of a ConfigMap, since the list began */
    bool listed;                /* whether there is one is known */
    char revision[LIMIT_LABEL]; /* of the ConfigMap; "": it does not say */
    struct mono since;          /* when `now` was seen to be in force; 0: it is not */
};

json_t *values_patch(const json_t *before, const json_t *now)
{
    json_t *patch = json_object();
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)before, key, value) {
        if (json_object_get(now, key) == NULL && !json_is_null(value))
            json_object_set_new(patch, key, json_null());
    }
    json_object_foreach ((json_t *)(uintptr_t)now, key, value) {
        const json_t *old = json_object_get(before, key);
        if (json_is_object(value) && json_is_object(old))
            json_object_set_new(patch, key, values_patch(old, value));
        else
            json_object_set(patch, key, value);
    }
    return patch;
}

static json_t *parameters_of(const json_t *settings)
{
    return json_object_get(json_object_get(settings, "postgresql"), "parameters");
}

json_t *values_note(const json_t *before, const json_t *now, const json_t *config)
{
    json_t *noted = json_deep_copy(now);
    json_t *parameters = parameters_of(noted);
    const char *name;
    json_t *value;
    json_object_foreach (parameters_of(before), name, value) {
        (void)value;
        if (json_object_get(parameters, name) == NULL &&
            json_object_get(parameters_of(config), name) == NULL)
            json_object_set_new(parameters, name, json_null());
    }
    return noted;
}

bool values_asked_for(const json_t *noted, const json_t *reason)
{
    const char *name, *waiting;
    json_t *value, *more;
    json_object_foreach (parameters_of(noted), name, value)
        json_object_foreach ((json_t *)(uintptr_t)reason, waiting, more)
            if (strcasecmp(name, waiting) == 0)
                return true;
    return false;
}

/* ---- the ConfigMap ---------------------------------------------------------------------------- */

static void take_revision(struct values *values, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *annotations = json_object_get(metadata, "annotations");
    const char *revision = json_string_value(json_object_get(annotations, "pgvigil/revision"));
    (void)text_copy(values->revision, sizeof(values->revision), revision != NULL ? revision : "");
}

/* An uninstall removes nothing from /config. */
static void drop_map(struct values *values)
{
    json_decref(values->now);
    values->now = NULL;
}

static void take_map(struct values *values, const json_t *object)
{
    const json_t *text = json_object_get(json_object_get(object, "data"), "config.yml");
    const char *yaml = json_string_value(text);
    json_t *tree = NULL;
    struct err err;
    if (yaml == NULL || yaml_parse(yaml, strlen(yaml), "config.yml", &tree, &err) != ERR_OK ||
        !json_is_object(tree)) {
        log_warn("settings: the ConfigMap's config.yml cannot be read: %s -> left alone",
                 yaml == NULL || tree != NULL ? "it is no mapping" : err.text);
        json_decref(tree);
        return;
    }
    if (!json_equal(values->now, tree)) {
        source_disarm(values->timer);
        values->since = (struct mono){ 0 };
    }
    take_revision(values, object);
    json_decref(values->now);
    values->now = tree;
    controller_wake(values->controller);
}

static void on_map(void *arg, enum kube_news news, const json_t *object)
{
    struct values *values = arg;
    switch (news) {
    case KUBE_NEWS_LIST:
        values->told = false;
        break;
    case KUBE_NEWS_PUT:
        values->told = true;
        take_map(values, object);
        break;
    case KUBE_NEWS_GONE:
        drop_map(values);
        break;
    case KUBE_NEWS_LISTED:
        values->listed = true;
        if (!values->told)
            drop_map(values);
        break;
    }
}

static void watch_map(struct values *values)
{
    const struct controller *controller = values->controller;
    auto_text struct text path = text_new(LIMIT_PATH);
    auto_text struct text query = text_new(LIMIT_PATH);
    text_addf(&path, "/api/v1/namespaces/%s/configmaps", controller->ns);
    text_addf(&query, "fieldSelector=metadata.name%%3D%s-settings", controller->options->release);
    const struct kube_watch_spec spec = { .loop = controller->loop,
                                          .kube = controller->kube,
                                          .what = "settings",
                                          .path = text_str(&path),
                                          .query = text_str(&query),
                                          .fn = on_map,
                                          .arg = values };
    values->watch = kube_watch_new(&spec);
}

/* ---- one step --------------------------------------------------------------------------------- */

static void on_timer(void *arg)
{
    struct values *values = arg;
    controller_wake(values->controller);
}

static void tell_refused(const struct values *values, const char *why)
{
    auto_text struct text text = text_new(LIMIT_LOG_LINE);
    text_addf(&text, "the settings of %s-settings are not taken: %s",
              values->controller->options->release, why);
    controller_say(values->controller, "SettingsRefused", true, text_str(&text));
}

static void on_patched(void *arg, const struct http_result *result)
{
    struct values *values = arg;
    struct err err;
    values->call = http_call_free(values->call);
    enum err_code code = rest_outcome(result, &err);
    if (code == ERR_OK)
        log_info("settings: the values' settings are new -> written into /config");
    else
        log_warn("settings: %s -> again", err.text);
    if (code == ERR_REFUSED)
        tell_refused(values, err.text);
    /* Otherwise the store tells of it by then. */
    source_arm_in(values->timer, code == ERR_REFUSED ? REFUSED_MS : RETRY_MS);
}

static void on_noted(void *arg, const struct etcd_write_result *result)
{
    struct values *values = arg;
    values->write = etcd_call_free(values->write);
    if (result->outcome.code != ERR_OK)
        log_debug("settings: %s", result->outcome.error);
    source_arm_in(values->timer, RETRY_MS);
}

static void note_applied(struct values *values, const json_t *noted)
{
    const struct controller *controller = values->controller;
    auto_text struct text key = text_new(LIMIT_PATH);
    auto_text struct text text = text_new(LIMIT_API_BODY);
    text_addf(&key, "%s%s", controller->options->prefix, KEY_VALUES);
    json_write(&text, noted);
    const struct etcd_put put = { .key = text_str(&key),
                                  .value = text_str(&text),
                                  .value_len = text.len };
    const struct etcd_how how = { .timeout_ms = WRITE_MS, .endpoint = ETCD_ANY };
    values->write = etcd_put(controller->etcd, &put, how, on_noted, values);
}

/* The value of a key as JSON; NULL: absent or unreadable. New reference. */
static json_t *read_key(const struct controller *controller, const char *name)
{
    const struct etcd_entry *entry = store_get(controller->store, name);
    json_t *json = NULL;
    if (entry != NULL)
        (void)json_parse(entry->value, entry->len, name, &json, NULL);
    return json;
}

void values_step(struct values *values)
{
    struct controller *controller = values->controller;
    const char *api_url = controller->leader_url;
    if (values->now == NULL || values->call != NULL || values->write != NULL ||
        source_armed(values->timer) || api_url[0] == '\0')
        return;
    auto_json json_t *config = read_key(controller, "config");
    auto_json json_t *before = read_key(controller, KEY_VALUES);
    if (config == NULL)
        return;
    auto_json json_t *patch = values_patch(before, values->now);
    bool changed = false;
    auto_json json_t *result = settings_patch(config, patch, &changed);
    const struct rest_order order = {
        .api_url = api_url, .method = "PATCH", .path = "/config", .body = patch
    };
    auto_json json_t *noted = values_note(before, values->now, config);
    if (changed) {
        values->since = (struct mono){ 0 };
        values->call = rest_send(controller, &order, on_patched, values);
        return;
    }
    if (values->since.ms == 0)
        values->since = loop_now(controller->loop);
    if (!json_equal(before, noted))
        note_applied(values, noted);
}

/* ---- restarts --------------------------------------------------------------------------------- */

bool values_current(const struct values *values, const char *revision, struct mono now)
{
    if (values->now == NULL)
        return values->listed;
    return (values->revision[0] == '\0' || strcmp(values->revision, revision) == 0) &&
           values->since.ms != 0 && mono_diff(now, values->since) >= SETTLED_MS;
}

void values_due(const struct values *values, const struct cluster_view *cluster,
                struct names *ret_names)
{
    const struct controller *controller = values->controller;
    auto_json json_t *noted = read_key(controller, KEY_VALUES);
    *ret_names = (struct names){ 0 };
    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *member = &cluster->members[i];
        if (!member->pending_restart)
            continue;
        auto_text struct text key = text_new(LIMIT_PATH);
        text_addf(&key, "members/%s", member->name);
        auto_json json_t *told = read_key(controller, text_str(&key));
        if (values_asked_for(noted, json_object_get(told, "pending_restart_reason")))
            names_add(ret_names, member->name);
    }
}

struct values *values_new(struct controller *controller)
{
    struct values *values = mem_struct(struct values);
    values->controller = controller;
    values->timer = loop_timer(controller->loop, on_timer, values);
    watch_map(values);
    return values;
}

void values_drop(struct values *values)
{
    if (values != NULL)
        values->write = etcd_call_free(values->write);
}

struct values *values_free(struct values *values)
{
    if (values == NULL)
        return NULL;
    kube_watch_free(values->watch);
    http_call_free(values->call);
    etcd_call_free(values->write);
    source_free(values->timer);
    json_decref(values->now);
    free(values);
    return NULL;
}
