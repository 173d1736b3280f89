/* A view as JSON and back, by the tables of view_fields.c. */
#include "sidecar/view_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sidecar/view_fields.h"
#include "json/json.h"

/* ---- writing ---------------------------------------------------------------------------------- */

static json_t *write_fields(const struct field *fields, const void *base);

static size_t get_count(const struct field *field, const char *base)
{
    const char *at = base + field->count_offset;
    size_t n;
    if (field->count_size == sizeof(uint32_t)) {
        uint32_t small;
        memcpy(&small, at, sizeof(small));
        n = small;
    } else {
        memcpy(&n, at, sizeof(n));
    }
    return n < field->max ? n : field->max;
}

static json_t *write_number(int64_t value)
{
    return value != 0 ? json_integer(value) : NULL;
}

static json_t *write_id(uint64_t id)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, id);
    return id != 0 ? json_string(text) : NULL;
}

static json_t *write_lsn(lsn_t lsn)
{
    char text[LSN_TEXT_MAX];
    return lsn != LSN_NONE ? json_string(lsn_format(lsn, text)) : NULL;
}

static json_t *write_mono(struct mono at)
{
    return at.ms == MONO_NEVER.ms ? json_string("never") : write_number(at.ms);
}

static json_t *write_names(const struct names *names)
{
    if (names->n == 0)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < names->n; i++)
        json_array_append_new(list, json_string(names->name[i]));
    return list;
}

static json_t *write_list(const struct field *field, const char *base)
{
    size_t n = get_count(field, base);
    if (n == 0)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              write_fields(field->fields, base + field->offset + i * field->size));
    return list;
}

static json_t *write_word(const struct field *field, const void *at)
{
    int value = *(const int *)at;
    if (value <= 0 || (size_t)value >= field->max)
        return NULL;
    return json_string(field->words[value]);
}

static json_t *write_struct(const struct field *field, const void *at)
{
    json_t *object = write_fields(field->fields, at);
    if (json_object_size(object) > 0)
        return object;
    json_decref(object);
    return NULL;
}

/* NULL: zero, false or empty; left out. */
static json_t *write_field(const struct field *field, const char *base)
{
    const void *at = base + field->offset;
    switch (field->type) {
    case FIELD_BOOL:
        return *(const bool *)at ? json_true() : NULL;
    case FIELD_INT:
        return write_number(*(const int *)at);
    case FIELD_UNSIGNED:
        return write_number(*(const unsigned *)at);
    case FIELD_I64:
        return write_number(*(const int64_t *)at);
    case FIELD_U32:
        return write_number(*(const uint32_t *)at);
    case FIELD_ID:
        return write_id(*(const uint64_t *)at);
    case FIELD_LSN:
        return write_lsn(*(const lsn_t *)at);
    case FIELD_MONO:
        return write_mono(*(const struct mono *)at);
    case FIELD_TEXT:
        return *(const char *)at != '\0' ? json_string(at) : NULL;
    case FIELD_WORD:
        return write_word(field, at);
    case FIELD_NAMES:
        return write_names(at);
    case FIELD_STRUCT:
        return write_struct(field, at);
    case FIELD_LIST:
        return write_list(field, base);
    }
    return NULL;
}

static json_t *write_fields(const struct field *fields, const void *base)
{
    json_t *object = json_object();
    for (const struct field *field = fields; field->name != NULL; field++) {
        json_t *value = write_field(field, base);
        if (value != NULL)
            json_object_set_new(object, field->name, value);
    }
    return object;
}

json_t *view_to_json(const struct view *view, const struct decision *decision)
{
    json_t *object = write_fields(view_fields, view);
    if (decision == NULL)
        return object;
    json_t *said = json_object();
    json_object_set_new(said, "rule", json_string(decision->rule));
    json_object_set_new(said, "action", json_string(action_name(decision->action)));
    json_object_set_new(said, "reason", json_string(decision->reason));
    json_object_set_new(object, "decision", said);
    return object;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static enum err_code read_fields(const struct field *fields, void *base, const json_t *object,
                                 struct err *err);

static enum err_code wrong(const struct field *field, struct err *err, const char *expected)
{
    return err_set(err, ERR_PROTOCOL, "%s: not %s", field->name, expected);
}

static enum err_code read_integer(const struct field *field, const json_t *value, int64_t *ret,
                                  struct err *err)
{
    if (!json_is_integer(value))
        return wrong(field, err, "an integer");
    *ret = json_integer_value(value);
    return ERR_OK;
}

static enum err_code read_id(const struct field *field, void *at, const json_t *value,
                             struct err *err)
{
    uint64_t id;
    char end;
    if (!json_is_string(value) || sscanf(json_string_value(value), "%" SCNu64 "%c", &id, &end) != 1)
        return wrong(field, err, "a number in quotes");
    *(uint64_t *)at = id;
    return ERR_OK;
}

static enum err_code read_mono(const struct field *field, void *at, const json_t *value,
                               struct err *err)
{
    struct mono *mono = at;
    if (json_is_string(value) && strcmp(json_string_value(value), "never") == 0) {
        *mono = MONO_NEVER;
        return ERR_OK;
    }
    return read_integer(field, value, &mono->ms, err);
}

static enum err_code read_word(const struct field *field, void *at, const json_t *value,
                               struct err *err)
{
    const char *word = json_string_value(value);
    for (size_t i = 0; word != NULL && i < field->max; i++)
        if (strcmp(field->words[i], word) == 0) {
            *(int *)at = (int)i;
            return ERR_OK;
        }
    return wrong(field, err, "a word of it");
}

static enum err_code read_text(const struct field *field, void *at, const json_t *value,
                               struct err *err)
{
    if (!json_is_string(value))
        return wrong(field, err, "a text");
    if (!text_copy(at, field->size, json_string_value(value)))
        return err_set(err, ERR_LIMIT, "%s: longer than %zu bytes", field->name, field->size - 1);
    return ERR_OK;
}

static enum err_code read_names(const struct field *field, void *at, const json_t *value,
                                struct err *err)
{
    if (!json_is_array(value))
        return wrong(field, err, "a list");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *name = json_string_value(json_array_get(value, i));
        if (name == NULL || strlen(name) >= LIMIT_NAME || names_full(at))
            return wrong(field, err, "a list of names");
        names_add(at, name);
    }
    return ERR_OK;
}

static enum err_code read_list(const struct field *field, char *base, const json_t *value,
                               struct err *err)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value))
        return wrong(field, err, "a list");
    if (n > field->max)
        return err_set(err, ERR_LIMIT, "%s: more than %zu", field->name, field->max);
    for (size_t i = 0; i < n; i++) {
        void *element = base + field->offset + i * field->size;
        if (read_fields(field->fields, element, json_array_get(value, i), err) != ERR_OK)
            return err_wrap(err, "%s[%zu]", field->name, i);
    }
    if (field->count_size == sizeof(uint32_t)) {
        uint32_t small = (uint32_t)n;
        memcpy(base + field->count_offset, &small, sizeof(small));
    } else {
        memcpy(base + field->count_offset, &n, sizeof(n));
    }
    return ERR_OK;
}

static enum err_code read_scalar(const struct field *field, void *at, const json_t *value,
                                 struct err *err)
{
    int64_t number = 0;
    enum err_code code = read_integer(field, value, &number, err);
    if (code != ERR_OK)
        return code;
    if (field->type == FIELD_INT)
        *(int *)at = (int)number;
    else if (field->type == FIELD_UNSIGNED)
        *(unsigned *)at = (unsigned)number;
    else if (field->type == FIELD_U32)
        *(uint32_t *)at = (uint32_t)number;
    else
        *(int64_t *)at = number;
    return ERR_OK;
}

static enum err_code read_field(const struct field *field, char *base, const json_t *value,
                                struct err *err)
{
    void *at = base + field->offset;
    switch (field->type) {
    case FIELD_BOOL:
        if (!json_is_boolean(value))
            return wrong(field, err, "true or false");
        *(bool *)at = json_is_true(value);
        return ERR_OK;
    case FIELD_INT:
    case FIELD_UNSIGNED:
    case FIELD_I64:
    case FIELD_U32:
        return read_scalar(field, at, value, err);
    case FIELD_ID:
        return read_id(field, at, value, err);
    case FIELD_LSN:
        if (!json_is_string(value) || !lsn_parse(json_string_value(value), at))
            return wrong(field, err, "a position");
        return ERR_OK;
    case FIELD_MONO:
        return read_mono(field, at, value, err);
    case FIELD_TEXT:
        return read_text(field, at, value, err);
    case FIELD_WORD:
        return read_word(field, at, value, err);
    case FIELD_NAMES:
        return read_names(field, at, value, err);
    case FIELD_STRUCT:
        return read_fields(field->fields, at, value, err);
    case FIELD_LIST:
        return read_list(field, base, value, err);
    }
    return ERR_OK;
}

static const struct field *find_field(const struct field *fields, const char *name)
{
    for (const struct field *field = fields; field->name != NULL; field++)
        if (strcmp(field->name, name) == 0)
            return field;
    return NULL;
}

static enum err_code read_fields(const struct field *fields, void *base, const json_t *object,
                                 struct err *err)
{
    if (!json_is_object(object))
        return err_set(err, ERR_PROTOCOL, "not an object");
    void *iter = json_object_iter((json_t *)(uintptr_t)object);
    while (iter != NULL) {
        const char *name = json_object_iter_key(iter);
        const struct field *field = find_field(fields, name);
        if (field == NULL)
            return err_set(err, ERR_PROTOCOL, "%s: no such field", name);
        enum err_code code = read_field(field, base, json_object_iter_value(iter), err);
        if (code != ERR_OK)
            return field->type == FIELD_STRUCT ? err_wrap(err, "%s", name) : code;
        iter = json_object_iter_next((json_t *)(uintptr_t)object, iter);
    }
    return ERR_OK;
}

enum err_code view_from_json(const json_t *json, struct view *ret_view, struct err *err)
{
    auto_json json_t *object = json_copy((json_t *)(uintptr_t)json);
    struct view *view = mem_struct(struct view);
    if (json_is_object(object))
        json_object_del(object, "decision");
    enum err_code code = read_fields(view_fields, view, object, err);
    if (code == ERR_OK)
        *ret_view = *view;
    else
        err_wrap(err, "view");
    free(view);
    return code;
}
