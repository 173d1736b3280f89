#include "controller/kube/event_line.h"

#include <string.h>

#include "base/clean.h"

enum { GONE = 410 };

enum err_code kube_version_of(const json_t *object, char ret_version[KUBE_VERSION_MAX],
                              struct err *err)
{
    struct json_reader reader = { .object = json_object_get(object, "metadata"),
                                  .name = "metadata" };
    return json_copy_string(reader, "resourceVersion", ret_version, KUBE_VERSION_MAX, err);
}

static bool is_expired(const json_t *status)
{
    const char *reason = json_string_value(json_object_get(status, "reason"));
    return json_integer_value(json_object_get(status, "code")) == GONE ||
           (reason != NULL && (strcmp(reason, "Expired") == 0 || strcmp(reason, "Gone") == 0));
}

static bool kind_of(const char *type, const json_t *object, enum kube_event_kind *ret_kind)
{
    static const struct {
        const char *type;
        enum kube_event_kind kind;
    } kinds[] = { { "ADDED", KUBE_EVENT_PUT },
                  { "MODIFIED", KUBE_EVENT_PUT },
                  { "DELETED", KUBE_EVENT_DELETED },
                  { "BOOKMARK", KUBE_EVENT_BOOKMARK } };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].type, type) == 0) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    }
    *ret_kind = is_expired(object) ? KUBE_EVENT_EXPIRED : KUBE_EVENT_ERROR;
    return strcmp(type, "ERROR") == 0;
}

enum err_code kube_event_parse(const char *line, size_t len, struct kube_event *ret_event,
                               struct err *err)
{
    auto_json json_t *tree = NULL;
    struct kube_event event = { 0 };
    const char *type;
    const json_t *object;
    enum err_code code = json_parse(line, len, "event", &tree, err);
    struct json_reader reader = { .object = tree, .name = "event" };
    if (code == ERR_OK)
        code = json_get_string(reader, "type", &type, err);
    if (code == ERR_OK)
        code = json_get_object(reader, "object", &object, err);
    if (code != ERR_OK)
        return code;
    if (!kind_of(type, object, &event.kind))
        return err_set(err, ERR_PROTOCOL, "event: type: %.40s: not known", type);
    if (event.kind != KUBE_EVENT_EXPIRED && event.kind != KUBE_EVENT_ERROR)
        code = kube_version_of(object, event.version, err);
    if (code != ERR_OK)
        return code;
    event.object = json_incref(json_object_get(tree, "object"));
    *ret_event = event;
    return ERR_OK;
}
