/* Changing a tree of settings: one key, and the difference of two trees as PATCH /config wants it. */
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "settings/yaml.h"

/* The object at the path, made where it is missing. */
static json_t *descend(json_t *tree, const char *key)
{
    json_t *child = json_object_get(tree, key);
    if (json_is_object(child))
        return child;
    json_object_set_new(tree, key, json_object());
    return json_object_get(tree, key);
}

static enum err_code parse_value(const char *text, json_t **ret_value, struct err *err)
{
    auto_text struct text document = text_new(LIMIT_FILE);
    auto_json json_t *tree = NULL;
    text_addf(&document, "value: %s\n", text);
    enum err_code code = yaml_parse(text_str(&document), document.len, "value", &tree, err);
    if (code == ERR_OK)
        *ret_value = json_incref(json_object_get(tree, "value"));
    return code;
}

/* patronictl: below postgresql.parameters the rest of the path is one name, dots and all. */
static const char parameters[] = "postgresql.parameters.";

static void set_at(json_t *tree, char *path, json_t *value)
{
    char *key = path;
    if (text_starts_with(path, parameters)) {
        tree = descend(descend(tree, "postgresql"), "parameters");
        key = path + sizeof(parameters) - 1;
    } else {
        for (char *dot = strchr(key, '.'); dot != NULL; dot = strchr(key, '.')) {
            *dot = '\0';
            tree = descend(tree, key);
            key = dot + 1;
        }
    }
    if (value == NULL || json_is_null(value))
        json_object_del(tree, key);
    else
        json_object_set(tree, key, value);
}

enum err_code ctl_set(json_t *tree, const char *pair, const char *below, struct err *err)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair)
        return err_set(err, ERR_INVALID, "Invalid parameter setting '%s': KEY=VALUE is expected",
                       pair);
    auto_json json_t *value = NULL;
    enum err_code code = parse_value(equals + 1, &value, err);
    if (code != ERR_OK)
        return err_wrap(err, "%s", pair);
    struct text path = text_new(LIMIT_PATH);
    text_add(&path, below);
    text_add_bytes(&path, pair, (size_t)(equals - pair));
    auto_free char *copy = text_take(&path);
    set_at(tree, copy, value);
    return ERR_OK;
}

enum err_code ctl_parse_all(const char *name, struct text *yaml, json_t **ret, struct err *err)
{
    const char *bytes = text_str(yaml);
    if (bytes[strspn(bytes, " \t\r\n")] == '\0')
        return err_set(err, ERR_INVALID, "%s: empty: write {} to remove every setting", name);
    return yaml_parse(bytes, yaml->len, name, ret, err);
}

json_t *ctl_merge_patch(const json_t *before, const json_t *after)
{
    json_t *patch = json_object();
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)before, key, value) {
        if (json_object_get(after, key) == NULL)
            json_object_set_new(patch, key, json_null());
    }
    json_object_foreach ((json_t *)(uintptr_t)after, key, value) {
        json_t *old = json_object_get(before, key);
        if (json_equal(old, value))
            continue;
        if (json_is_object(old) && json_is_object(value))
            json_object_set_new(patch, key, ctl_merge_patch(old, value));
        else
            json_object_set(patch, key, value);
    }
    return patch;
}
