#include "cluster/tags_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "json_kind.h"
#include "json/json.h"

/* A value as Patroni's clients may have written it. False: it is no truth value. */
static bool read_truth(const json_t *value, bool *ret_truth)
{
    static const char *const words[] = { "false", "true", "off", "on", "no", "yes", "0", "1" };
    for (size_t i = 0; is_text(value) && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(json_string_value(value), words[i]) == 0) {
            *ret_truth = i % 2 == 1;
            return true;
        }
    if (!json_is_boolean(value) && !is_kind(value, JSON_INTEGER))
        return false;
    *ret_truth = json_is_true(value) || json_integer_value(value) != 0;
    return true;
}

static bool truth(const json_t *value)
{
    bool is_true = false;
    return read_truth(value, &is_true) && is_true;
}

static bool is_truth(const json_t *value)
{
    bool ignored;
    return read_truth(value, &ignored);
}

static bool is_priority(const json_t *value)
{
    if (!is_text(value))
        return is_count(value);
    const char *text = json_string_value(value);
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static int priority(const json_t *value)
{
    long long number = 1;
    if (is_kind(value, JSON_INTEGER))
        number = json_integer_value(value);
    else if (is_text(value))
        number = strtoll(json_string_value(value), NULL, 10);
    return number < 0 ? 0 : number > 1000000 ? 1000000 : (int)number;
}

/* "Bool wins" over the priority (patroni-compat 1.8). */
static void read_priority(const json_t *object, const char *no_name, const char *priority_name,
                          bool *ret_no, int *ret_priority)
{
    const json_t *no = json_object_get(object, no_name);
    int said = priority(json_object_get(object, priority_name));
    bool is_said = no != NULL && !is_kind(no, JSON_NULL);
    *ret_no = is_said ? truth(no) : said <= 0;
    if (*ret_no)
        *ret_priority = 0;
    else
        *ret_priority = said > 0 ? said : 1;
}

/* False built-ins are not published, except beside the priority that they overrule. */
static bool is_published(const json_t *object, const char *name, const json_t *value)
{
    static const struct {
        const char *name, *priority;
    } built_in[] = {
        { "clonefrom", NULL },     { "nofailover", "failover_priority" },
        { "noloadbalance", NULL }, { "nosync", "sync_priority" },
        { "nostream", NULL },
    };
    for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++)
        if (strcmp(built_in[i].name, name) == 0)
            return truth(value) || (built_in[i].priority != NULL &&
                                    json_object_get(object, built_in[i].priority) != NULL);
    return true;
}

static enum err_code add_tag(struct tags *tags, const char *name, const json_t *value,
                             struct err *err)
{
    auto_text struct text written = text_new(LIMIT_NAME - 1);
    if (tags->n == LIMIT_TAGS)
        return err_set(err, ERR_LIMIT, "more than %d tags", LIMIT_TAGS);
    struct tag *tag = &tags->all[tags->n];
    json_write(&written, value);
    if (!text_copy(tag->name, sizeof(tag->name), name))
        return err_set(err, ERR_LIMIT, "tag %s: the name is longer than %d bytes", name,
                       LIMIT_NAME - 1);
    if (written.overflow)
        return err_set(err, ERR_LIMIT, "tag %s: the value is longer than %d bytes", name,
                       LIMIT_NAME - 1);
    text_copy(tag->value, sizeof(tag->value), text_str(&written));
    tags->n++;
    return ERR_OK;
}

enum err_code tags_from_json(const json_t *object, struct tags *ret_tags, struct err *err)
{
    struct tags tags = tags_default();

    if (object != NULL && !is_kind(object, JSON_NULL) && !is_kind(object, JSON_OBJECT))
        return err_set(err, ERR_PROTOCOL, "tags: not an object");
    for (void *pair = first_pair(object); pair != NULL; pair = next_pair(object, pair)) {
        const char *name = json_object_iter_key(pair);
        const json_t *value = json_object_iter_value(pair);
        if (!is_published(object, name, value))
            continue;
        enum err_code code = add_tag(&tags, name, value, err);
        if (code != ERR_OK)
            return code;
    }
    read_priority(object, "nofailover", "failover_priority", &tags.nofailover,
                  &tags.failover_priority);
    read_priority(object, "nosync", "sync_priority", &tags.nosync, &tags.sync_priority);
    tags.clonefrom = truth(json_object_get(object, "clonefrom"));
    tags.noloadbalance = truth(json_object_get(object, "noloadbalance"));
    *ret_tags = tags;
    return ERR_OK;
}

static enum err_code check_kind(const json_t *object, const char *name,
                                bool (*fits)(const json_t *), const char *wanted, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL || is_kind(value, JSON_NULL) || fits(value))
        return ERR_OK;
    auto_text struct text written = text_new(LIMIT_NAME - 1);
    json_write(&written, value);
    return err_set(err, ERR_INVALID, "tags.%s: %s is not %s", name, text_str(&written), wanted);
}

enum err_code tags_check(const json_t *object, struct err *err)
{
    static const char *const switches[] = { "clonefrom", "nofailover", "noloadbalance", "nosync",
                                            "nostream" };
    static const char *const priorities[] = { "failover_priority", "sync_priority" };
    enum err_code code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < sizeof(switches) / sizeof(switches[0]); i++)
        code = check_kind(object, switches[i], is_truth, "true or false", err);
    for (size_t i = 0; code == ERR_OK && i < sizeof(priorities) / sizeof(priorities[0]); i++)
        code = check_kind(object, priorities[i], is_priority, "a whole number from 0 on", err);
    return code;
}

json_t *tags_to_json(const struct tags *tags)
{
    if (tags->n == 0)
        return NULL;
    json_t *object = json_object();
    for (size_t i = 0; i < tags->n; i++)
        json_object_set_new(object, tags->all[i].name,
                            json_loads(tags->all[i].value, JSON_DECODE_ANY, NULL));
    return object;
}

bool tags_match(const struct tags *tags, const char *name, const char *value)
{
    for (size_t i = 0; i < tags->n; i++) {
        if (strcmp(tags->all[i].name, name) != 0)
            continue;
        auto_json json_t *own = json_loads(tags->all[i].value, JSON_DECODE_ANY, NULL);
        if (is_text(own))
            return strcmp(json_string_value(own), value) == 0;
        return strcmp(tags->all[i].value, value) == 0;
    }
    return false;
}
