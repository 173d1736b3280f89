#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "base/mem.h"
#include "settings/option.h"
#include "json/json.h"

/* ---- texts -------------------------------------------------------------------------- */

static const struct {
    const char *unit;
    const char *kind; /* "s" or "B": what it measures */
    double factor;    /* in microseconds, bytes */
} units[] = {
    { "us", "s", 1 },          { "ms", "s", 1e3 },           { "s", "s", 1e6 },
    { "min", "s", 6e7 },       { "h", "s", 3.6e9 },          { "d", "s", 8.64e10 },
    { "B", "B", 1 },           { "kB", "B", 1024 },          { "MB", "B", 1048576 },
    { "GB", "B", 1073741824 }, { "TB", "B", 1099511627776 },
};

static size_t find_unit(const char *unit)
{
    size_t i = 0;
    while (i < sizeof(units) / sizeof(units[0]) && strcmp(units[i].unit, unit) != 0)
        i++;
    return i;
}

bool option_parse_unit(const char *text, const char *base_unit, int64_t *ret_value)
{
    size_t known = sizeof(units) / sizeof(units[0]);
    size_t base = find_unit(base_unit);
    char *end;
    if (base == known || (*text != '-' && (*text < '0' || *text > '9')))
        return false;
    double number = strtod(text, &end);
    while (*end == ' ')
        end++;
    size_t unit = *end == '\0' ? base : find_unit(end);
    if (end == text || unit == known || strcmp(units[unit].kind, units[base].kind) != 0)
        return false;
    double value = number * units[unit].factor / units[base].factor;
    if (!(value > -9e15 && value < 9e15))
        return false;
    *ret_value = (int64_t)(value < 0 ? value - 0.5 : value + 0.5);
    return true;
}

bool option_parse_bool(const char *text, bool *ret_value)
{
    static const struct {
        const char *word;
        size_t shortest;
        bool value;
    } words[] = {
        { "on", 2, true },  { "off", 2, false }, { "true", 1, true }, { "false", 1, false },
        { "yes", 1, true }, { "no", 1, false },  { "1", 1, true },    { "0", 1, false },
    };
    size_t len = strlen(text);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (len >= words[i].shortest && strncasecmp(words[i].word, text, len) == 0) {
            *ret_value = words[i].value;
            return true;
        }
    return false;
}

/* ---- one value ---------------------------------------------------------------------- */

static enum err_code expected(const struct option *option, const char *what, const json_t *value,
                              struct err *err)
{
    auto_text struct text shown = text_new(60);
    if (option->type == OPTION_SECRET)
        return err_set(err, ERR_INVALID, "expected %s (the value is not shown)", what);
    json_write(&shown, value);
    return err_set(err, ERR_INVALID, "expected %s, not %s", what, text_str(&shown));
}

/* Numbers are texts to PostgreSQL and to us; on, off, yes and no must be quoted to be one. */
static char *scalar_text(const json_t *value)
{
    if (json_is_string(value))
        return mem_strdup(json_string_value(value));
    if (!json_is_number(value))
        return NULL;
    struct text number = text_new(64);
    json_write(&number, value);
    return text_take(&number);
}

static enum err_code set_text(const struct option *option, char **field, const json_t *value,
                              struct err *err)
{
    char *text = scalar_text(value);
    if (text == NULL)
        return expected(option, json_is_boolean(value) ? "a text (quote it)" : "a text", value,
                        err);
    free(*field);
    *field = text;
    return ERR_OK;
}

static enum err_code set_bool(const struct option *option, bool *field, const json_t *value,
                              struct err *err)
{
    bool truth = json_is_true(value);
    if (json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= 1)
        truth = json_integer_value(value) == 1;
    else if (json_is_string(value) ? !option_parse_bool(json_string_value(value), &truth)
                                   : !json_is_boolean(value))
        return expected(option, "true or false", value, err);
    *field = truth;
    return ERR_OK;
}

static enum err_code set_number(const struct option *option, int64_t *field, const json_t *value,
                                struct err *err)
{
    bool seconds = option->type == OPTION_DURATION;
    const char *what = option->type == OPTION_INT ? "a whole number"
                       : seconds                  ? "a time such as 10 or 30min"
                                                  : "a size such as 1048576 or 1MB";
    int64_t number = json_integer_value(value);
    char *end;

    if (json_is_string(value) && option->type == OPTION_INT) {
        const char *text = json_string_value(value);
        errno = 0;
        number = strtoll(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0')
            return expected(option, what, value, err);
    } else if (json_is_string(value)) {
        if (!option_parse_unit(json_string_value(value), seconds ? "s" : "B", &number))
            return expected(option, what, value, err);
    } else if (!json_is_integer(value)) {
        return expected(option, what, value, err);
    }
    if (number < option->min)
        return err_set(err, ERR_INVALID, "%lld is less than the minimum of %lld", (long long)number,
                       (long long)option->min);
    if (option->max != 0 && number > option->max)
        return err_set(err, ERR_INVALID, "%lld is more than the maximum of %lld", (long long)number,
                       (long long)option->max);
    *field = number;
    return ERR_OK;
}

static enum err_code set_choice(const struct option *option, int *field, const json_t *value,
                                struct err *err)
{
    const char *text = json_is_true(value)    ? "on"
                       : json_is_false(value) ? "off"
                                              : json_string_value(value);
    const char *choice = option->choices;
    for (int i = 0; text != NULL; i++) {
        size_t len = strcspn(choice, "|");
        if (strlen(text) == len && strncasecmp(choice, text, len) == 0) {
            *field = i;
            return ERR_OK;
        }
        if (choice[len] == '\0')
            break;
        choice += len + 1;
    }
    char what[128];
    snprintf(what, sizeof(what), "one of %s", option->choices);
    return expected(option, what, value, err);
}

/* ---- lists -------------------------------------------------------------------------- */

void text_list_done(struct text_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->item[i]);
    free(list->item);
    *list = (struct text_list){ .n = 0 };
}

void text_list_add(struct text_list *list, char *item)
{
    list->item = mem_grow(list->item, (list->n + 1) * sizeof(list->item[0]));
    list->item[list->n++] = item;
}

static struct text_list split(const char *text, const char *separators)
{
    struct text_list list = { .n = 0 };
    while (*text != '\0') {
        size_t len = strcspn(text, separators);
        size_t skip = strspn(text, " \t");
        size_t end = len;
        while (end > skip && (text[end - 1] == ' ' || text[end - 1] == '\t'))
            end--;
        if (end > skip)
            text_list_add(&list, mem_strndup(text + skip, end - skip));
        text += len;
        text += *text != '\0';
    }
    return list;
}

static enum err_code set_list(const struct option *option, struct text_list *field,
                              const json_t *value, struct err *err)
{
    struct text_list list = { .n = 0 };
    const json_t *item;
    size_t i;

    if (json_is_string(value)) {
        /* Lines of pg_hba have commas of their own. */
        list = split(json_string_value(value), option->shape == OPTION_TEXTS ? "\n" : ",");
    } else if (!json_is_array(value)) {
        return expected(option, "a list of texts", value, err);
    }
    json_array_foreach (value, i, item) {
        char *text = scalar_text(item);
        if (text == NULL) {
            text_list_done(&list);
            return expected(option, "a text as item of the list", item, err);
        }
        text_list_add(&list, text);
    }
    if (option->max != 0 && list.n > (size_t)option->max) {
        text_list_done(&list);
        return err_set(err, ERR_INVALID, "more than %lld items", (long long)option->max);
    }
    text_list_done(field);
    *field = list;
    return ERR_OK;
}

static enum err_code set_tree(const struct option *option, json_t **field, const json_t *value,
                              struct err *err)
{
    if (option->shape == OPTION_OBJECT && !json_is_object(value))
        return expected(option, "a mapping of keys to values", value, err);
    if (option->shape == OPTION_ARRAY && !json_is_array(value))
        return expected(option, "a list", value, err);
    if (option->shape == OPTION_ANY && !json_is_object(value) && !json_is_array(value))
        return expected(option, "a list or a mapping", value, err);
    json_decref(*field);
    *field = json_deep_copy(value);
    return ERR_OK;
}

/* ---- fields ------------------------------------------------------------------------- */

static void *field_of(const struct option *option, void *base)
{
    return (char *)base + option->offset;
}

static void clear(const struct option *option, void *field)
{
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_SECRET:
        free(*(char **)field);
        *(char **)field = NULL;
        return;
    case OPTION_LIST:
        text_list_done(field);
        return;
    case OPTION_TREE:
        json_decref(*(json_t **)field);
        *(json_t **)field = NULL;
        return;
    case OPTION_BOOL:
        *(bool *)field = false;
        return;
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_BYTES:
        *(int64_t *)field = 0;
        return;
    case OPTION_CHOICE:
        *(int *)field = 0;
        return;
    }
}

enum err_code option_set(const struct option *option, void *base, const json_t *value,
                         struct err *err)
{
    void *field = field_of(option, base);
    auto_json json_t *fallback = NULL;

    if (option->unsupported)
        return ERR_OK;
    if (value == NULL || json_is_null(value)) {
        clear(option, field);
        if (option->fallback == NULL)
            return ERR_OK;
        fallback = json_string(option->fallback);
        value = fallback;
    }
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_SECRET:
        return set_text(option, field, value, err);
    case OPTION_BOOL:
        return set_bool(option, field, value, err);
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_BYTES:
        return set_number(option, field, value, err);
    case OPTION_CHOICE:
        return set_choice(option, field, value, err);
    case OPTION_LIST:
        return set_list(option, field, value, err);
    case OPTION_TREE:
        return set_tree(option, field, value, err);
    }
    return ERR_OK;
}

void option_done(struct option_table table, void *base)
{
    for (size_t i = 0; i < table.n; i++)
        if (!table.rows[i].unsupported)
            clear(&table.rows[i], field_of(&table.rows[i], base));
}
