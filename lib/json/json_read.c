#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/json.h"

void json_setup(void)
{
    json_set_alloc_funcs(mem_new, free);
    json_object_seed(0);
}

enum err_code json_parse(const char *bytes, size_t len, const char *name, json_t **ret_json,
                         struct err *err)
{
    json_error_t error;
    json_t *json = json_loadb(bytes, len, JSON_DECODE_ANY, &error);
    if (json == NULL)
        return err_set(err, ERR_PROTOCOL, "%s: not JSON: %s (line %d, column %d)", name, error.text,
                       error.line, error.column);
    *ret_json = json;
    return ERR_OK;
}

static enum err_code wrong(struct json_reader reader, const char *key, const char *what,
                           struct err *err)
{
    return err_set(err, ERR_PROTOCOL, "%s: %s: %s", reader.name, key, what);
}

/* Absent and null give NULL. */
static enum err_code look_up(struct json_reader reader, const char *key, const json_t **ret_value,
                             struct err *err)
{
    if (!json_is_object(reader.object))
        return err_set(err, ERR_PROTOCOL, "%s: not an object", reader.name);
    const json_t *value = json_object_get(reader.object, key);
    *ret_value = json_is_null(value) ? NULL : value;
    return ERR_OK;
}

/* The value of a key when it is there, with its type checked by one of the two. */
static enum err_code find(struct json_reader reader, const char *key, json_type type,
                          const char *wrong_type, const json_t **ret_value, struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = look_up(reader, key, &value, err);
    if (code != ERR_OK)
        return code;
    if (value != NULL && json_typeof(value) != type)
        return wrong(reader, key, wrong_type, err);
    *ret_value = value;
    return ERR_OK;
}

static enum err_code need(struct json_reader reader, const char *key, json_type type,
                          const char *wrong_type, const json_t **ret_value, struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = find(reader, key, type, wrong_type, &value, err);
    if (code != ERR_OK)
        return code;
    if (value == NULL)
        return wrong(reader, key, "missing", err);
    *ret_value = value;
    return ERR_OK;
}

static enum err_code find_bool(struct json_reader reader, const char *key, const json_t **ret_value,
                               struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = look_up(reader, key, &value, err);
    if (code != ERR_OK)
        return code;
    if (value != NULL && !json_is_boolean(value))
        return wrong(reader, key, "not a boolean", err);
    *ret_value = value;
    return ERR_OK;
}

enum err_code json_get_string(struct json_reader reader, const char *key, const char **ret_string,
                              struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = need(reader, key, JSON_STRING, "not a string", &value, err);
    if (code == ERR_OK)
        *ret_string = json_string_value(value);
    return code;
}

enum err_code json_get_int(struct json_reader reader, const char *key, int64_t *ret_value,
                           struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = need(reader, key, JSON_INTEGER, "not an integer", &value, err);
    if (code == ERR_OK)
        *ret_value = json_integer_value(value);
    return code;
}

enum err_code json_get_bool(struct json_reader reader, const char *key, bool *ret_value,
                            struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = find_bool(reader, key, &value, err);
    if (code != ERR_OK)
        return code;
    if (value == NULL)
        return wrong(reader, key, "missing", err);
    *ret_value = json_is_true(value);
    return ERR_OK;
}

enum err_code json_get_object(struct json_reader reader, const char *key, const json_t **ret_object,
                              struct err *err)
{
    return need(reader, key, JSON_OBJECT, "not an object", ret_object, err);
}

enum err_code json_get_array(struct json_reader reader, const char *key, const json_t **ret_array,
                             struct err *err)
{
    return need(reader, key, JSON_ARRAY, "not an array", ret_array, err);
}

enum err_code json_opt_string(struct json_reader reader, const char *key, const char *fallback,
                              const char **ret_string, struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = find(reader, key, JSON_STRING, "not a string", &value, err);
    if (code == ERR_OK)
        *ret_string = value == NULL ? fallback : json_string_value(value);
    return code;
}

enum err_code json_opt_int(struct json_reader reader, const char *key, int64_t fallback,
                           int64_t *ret_value, struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = find(reader, key, JSON_INTEGER, "not an integer", &value, err);
    if (code == ERR_OK)
        *ret_value = value == NULL ? fallback : json_integer_value(value);
    return code;
}

enum err_code json_opt_bool(struct json_reader reader, const char *key, bool fallback,
                            bool *ret_value, struct err *err)
{
    const json_t *value = NULL;
    enum err_code code = find_bool(reader, key, &value, err);
    if (code == ERR_OK)
        *ret_value = value == NULL ? fallback : json_is_true(value);
    return code;
}

enum err_code json_opt_object(struct json_reader reader, const char *key, const json_t **ret_object,
                              struct err *err)
{
    return find(reader, key, JSON_OBJECT, "not an object", ret_object, err);
}

enum err_code json_opt_array(struct json_reader reader, const char *key, const json_t **ret_array,
                             struct err *err)
{
    return find(reader, key, JSON_ARRAY, "not an array", ret_array, err);
}

enum err_code json_copy_string(struct json_reader reader, const char *key, char *ret_string,
                               size_t size, struct err *err)
{
    const char *string = NULL;
    enum err_code code = json_get_string(reader, key, &string, err);
    if (code != ERR_OK)
        return code;
    if (strlen(string) >= size)
        return err_set(err, ERR_LIMIT, "%s: %s: longer than %zu bytes", reader.name, key, size - 1);
    text_copy(ret_string, size, string);
    return ERR_OK;
}
