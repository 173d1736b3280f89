#include <string.h>

#include "base/clean.h"
#include "base/limits.h"
#include "settings/settings.h"
#include "json/json.h"

/* ---- PATCH ---------------------------------------------------------------------------- */

/* As text, so that "5" does not replace 5 (patroni-compat part 7, trap 12). */
static bool same_text(const json_t *a, const json_t *b)
{
    auto_text struct text text_a = text_new(LIMIT_FILE);
    auto_text struct text text_b = text_new(LIMIT_FILE);
    if (json_is_string(a))
        text_add(&text_a, json_string_value(a));
    else
        json_write(&text_a, a);
    if (json_is_string(b))
        text_add(&text_b, json_string_value(b));
    else
        json_write(&text_b, b);
    return strcmp(text_str(&text_a), text_str(&text_b)) == 0;
}

static bool apply(json_t *object, const json_t *patch)
{
    const char *key;
    json_t *value;
    bool changed = false;
    json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
        json_t *present = json_object_get(object, key);
        if (json_is_null(value)) {
            changed |= json_object_del(object, key) == 0;
        } else if (json_is_object(value)) {
            bool fresh = !json_is_object(present);
            if (fresh)
                json_object_set_new(object, key, json_object());
            changed |= apply(json_object_get(object, key), value) || fresh;
        } else if (present == NULL || !same_text(present, value)) {
            json_object_set_new(object, key, json_deep_copy(value));
            changed = true;
        }
    }
    return changed;
}

json_t *settings_patch(const json_t *base, const json_t *patch, bool *ret_changed)
{
    json_t *merged = json_deep_copy(base);
    *ret_changed = apply(merged, patch);
    return merged;
}

/* ---- the first config ----------------------------------------------------------------- */

/* bootstrap.pg_hba, unless bootstrap.dcs has lines of its own. */
static void put_hba(json_t *config, const struct text_list *lines)
{
    json_t *section = json_object_get(config, "postgresql");
    if (lines->n == 0 || json_object_get(section, "pg_hba") != NULL)
        return;
    json_t *array = json_array();
    for (size_t i = 0; i < lines->n; i++)
        json_array_append_new(array, json_string(lines->item[i]));
    json_object_set_new(section, "pg_hba", array);
}

json_t *settings_default_config(const struct config *config)
{
    /* loop_wait + 2 * retry_timeout <= ttl, as Patroni and its tools want it. */
    json_t *first = json_pack("{s:i, s:i, s:i, s:i, s:b, s:b, s:{s:b, s:b, s:{}}}", "ttl", 10,
                              "loop_wait", 4, "retry_timeout", 3, "maximum_lag_on_failover",
                              1048576, "synchronous_mode", 1, "failsafe_mode", 0, "postgresql",
                              "use_pg_rewind", 1, "use_slots", 1, "parameters");
    if (config->bootstrap.dcs != NULL)
        apply(first, config->bootstrap.dcs);
    if (!json_is_object(json_object_get(first, "postgresql")))
        json_object_set_new(first, "postgresql", json_object());
    put_hba(first, &config->bootstrap.pg_hba);
    return first;
}
