#include "sidecar/postgres/options.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

void arguments_add(struct arguments *arguments, const char *format, ...)
{
    struct text text = text_new(2 * LIMIT_PATH);
    va_list args;
    if (arguments->n == LIMIT_ARGV - 2) /* the program's own name takes up to two */
        return;
    va_start(args, format);
    text_vaddf(&text, format, args);
    va_end(args);
    arguments->item[arguments->n++] = text_take(&text);
}

void arguments_done(struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->n; i++)
        free(arguments->item[i]);
    *arguments = (struct arguments){ .n = 0 };
}

void arguments_add_question(struct arguments *arguments, const char *conninfo, const char *sql)
{
    arguments_add(arguments, "--no-psqlrc");
    arguments_add(arguments, "--no-password");
    arguments_add(arguments, "--tuples-only");
    arguments_add(arguments, "--no-align");
    arguments_add(arguments, "--dbname=%s", conninfo);
    arguments_add(arguments, "--command=%s", sql);
}

static bool is_in(const char *name, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

/* "--data-checksums" and "data-checksums" are the same. */
static const char *bare(const char *name)
{
    return name + strspn(name, "-");
}

static void add_option(struct arguments *arguments, const char *name, const json_t *value,
                       const char *const *refused)
{
    char text[32];
    name = bare(name);
    if (is_in(name, refused)) {
        log_warn("option %s is ours to set -> left out", name);
        return;
    }
    if (value == NULL || json_is_true(value)) {
        arguments_add(arguments, "--%s", name);
    } else if (json_is_integer(value)) {
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
        arguments_add(arguments, "--%s=%s", name, text);
    } else if (json_is_string(value)) {
        arguments_add(arguments, "--%s=%s", name, json_string_value(value));
    }
}

/* "name" or "name=value" */
static void add_text(struct arguments *arguments, const char *text, const char *const *refused)
{
    char name[LIMIT_NAME];
    size_t len = strcspn(bare(text), "=");
    if (len >= sizeof(name))
        return;
    memcpy(name, bare(text), len);
    name[len] = '\0';
    if (is_in(name, refused))
        log_warn("option %s is ours to set -> left out", name);
    else
        arguments_add(arguments, "--%s", bare(text));
}

static void add_object(struct arguments *arguments, const json_t *object,
                       const char *const *refused)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, name, value) {
        add_option(arguments, name, value, refused);
    }
}

void arguments_add_options(struct arguments *arguments, const json_t *options,
                           const char *const *refused)
{
    size_t index;
    json_t *item;
    if (json_is_object(options))
        add_object(arguments, options, refused);
    json_array_foreach (options, index, item) {
        if (json_is_string(item)) {
            add_text(arguments, json_string_value(item), refused);
        } else {
            add_object(arguments, item, refused);
        }
    }
}

void arguments_add_section(struct arguments *arguments, const json_t *section,
                           const char *const *refused)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)section, name, value) {
        if (is_in(name, refused))
            continue;
        if (json_is_string(value))
            arguments_add(arguments, "--%s=%s", name, json_string_value(value));
        else if (json_is_integer(value))
            arguments_add(arguments, "--%s=%lld", name, (long long)json_integer_value(value));
        else if (json_is_boolean(value))
            arguments_add(arguments, "--%s=%s", name, json_is_true(value) ? "true" : "false");
    }
}
