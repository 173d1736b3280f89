#include "settings/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "parameter_table.h"
#include "json/json.h"

/* ---- one tree out of store and file --------------------------------------------------- */

static bool is_empty(const json_t *value)
{
    return value == NULL || json_is_null(value) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

/* Older names; where there are several, the first that says something is used. */
static void rename_aliases(json_t *tree)
{
    static const struct {
        const char *now, *old[2];
    } aliases[] = {
        { "primary_start_timeout", { "master_start_timeout", NULL } },
        { "primary_stop_timeout", { "master_stop_timeout", NULL } },
        { "slots", { "permanent_slots", "permanent_replication_slots" } },
    };
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        for (size_t j = 0; j < 2 && aliases[i].old[j] != NULL; j++) {
            json_t *value = json_object_get(tree, aliases[i].old[j]);
            if (!is_empty(value) && is_empty(json_object_get(tree, aliases[i].now)))
                json_object_set(tree, aliases[i].now, value);
            json_object_del(tree, aliases[i].old[j]);
        }
}

/* "default < store < file" (patroni-compat 1.1), for the rows that the file may have. */
static void lay_file_over(json_t *tree, json_t *file)
{
    struct option_table table = settings_options();
    json_t *section = json_object_get(tree, "postgresql");
    if (!json_is_object(section)) {
        section = json_object();
        json_object_set_new(tree, "postgresql", section);
    }
    for (size_t i = 0; i < table.n; i++) {
        const struct option *option = &table.rows[i];
        json_t *said = option->where & OPTION_FILE ? option_get(file, option->path) : NULL;
        if (said == NULL || json_is_null(said))
            continue;
        const char *key = strchr(option->path, '.') + 1;
        json_t *value = json_object_get(section, key);
        if (json_is_object(value) && json_is_object(said))
            json_object_update_recursive(value, said);
        else
            json_object_set_new(section, key, json_deep_copy(said));
    }
}

/* ---- fields --------------------------------------------------------------------------- */

static bool is_number(const struct option *option)
{
    return option->type == OPTION_INT || option->type == OPTION_DURATION ||
           option->type == OPTION_BYTES;
}

/* "Values below the floors are replaced by the floor, with a warning." (patroni-compat 1.1) */
static enum err_code set_number(const struct option *option, struct settings *settings,
                                const json_t *value, struct text *warnings, struct err *err)
{
    struct option floorless = *option;
    floorless.min = INT64_MIN;
    enum err_code code = option_set(&floorless, settings, value, err);
    int64_t *field = (int64_t *)(void *)((char *)settings + option->offset);
    if (code == ERR_OK && *field < option->min) {
        text_addf(warnings, "config: %s: %lld is too small, %lld is used\n", option->path,
                  (long long)*field, (long long)option->min);
        *field = option->min;
    }
    return code;
}

static enum err_code set_fields(struct settings *settings, json_t *tree, const char *whose,
                                struct text *warnings, struct err *err)
{
    struct option_table table = settings_options();
    for (size_t i = 0; i < table.n; i++) {
        const struct option *option = &table.rows[i];
        const json_t *value = option_get(tree, option->path);
        enum err_code code = !option->unsupported && is_number(option)
                                 ? set_number(option, settings, value, warnings, err)
                                 : option_set(option, settings, value, err);
        if (code != ERR_OK)
            return err_wrap(err, "%s: %s", whose, option->path);
    }
    return ERR_OK;
}

/* Also what the file of this very member hides: it would be wrong on the others. */
static enum err_code check_store(json_t *tree, struct err *err)
{
    struct settings *alone = mem_struct(struct settings);
    auto_text struct text unsaid = text_new(LIMIT_FILE); /* set_fields() says it of the whole */
    enum err_code code = set_fields(alone, tree, "config", &unsaid, err);
    settings_free(alone);
    return code;
}

static json_t *object_at(const json_t *tree, const char *section, const char *key)
{
    json_t *value = json_object_get(json_object_get(tree, section), key);
    return json_is_object(value) ? json_deep_copy(value) : json_object();
}

static enum err_code check(const struct settings *settings, struct err *err)
{
    if (settings->synchronous_mode == SYNC_QUORUM)
        return err_set(err, ERR_INVALID,
                       "config: synchronous_mode: quorum is not built yet: set on or off");
    if (settings->synchronous_mode == SYNC_ON && !settings->use_slots)
        return err_set(err, ERR_INVALID,
                       "config: synchronous_mode needs postgresql.use_slots: who streams under a "
                       "member's name is known by its slot; set use_slots to true, or "
                       "synchronous_mode to off");
    return ERR_OK;
}

/* The command line's parameters must be the same everywhere: only the store may set them. */
static void warn_local_parameters(const json_t *file, struct text *warnings)
{
    json_t *section = json_object_get(file, "postgresql");
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get(section, "parameters"), name, value) {
        if (parameter_command_line(name) != NULL)
            text_addf(warnings,
                      "postgresql.parameters.%s: ignored in the local file: set it in the dynamic "
                      "settings\n",
                      name);
    }
}

static enum err_code build(struct settings *settings, const json_t *store, json_t *file,
                           struct text *warnings, struct err *err)
{
    auto_json json_t *tree = store == NULL ? json_object() : json_deep_copy(store);
    if (!json_is_object(tree))
        return err_set(err, ERR_INVALID, "config: expected a mapping of settings");
    rename_aliases(tree);
    option_check_unknown(option_table(), tree, OPTION_STORE, "config", warnings);
    settings->store_parameters = object_at(tree, "postgresql", "parameters");
    warn_local_parameters(file, warnings);
    enum err_code code = check_store(tree, err);
    if (code != ERR_OK)
        return code;
    lay_file_over(tree, file);
    settings->postgresql = json_deep_copy(json_object_get(tree, "postgresql"));
    code = set_fields(settings, tree, "local file", warnings, err);
    return code == ERR_OK ? check(settings, err) : code;
}

enum err_code settings_new(const json_t *store, const struct config *config,
                           struct settings **ret_settings, struct text *warnings, struct err *err)
{
    struct settings *settings = mem_struct(struct settings);
    enum err_code code = build(settings, store, config->tree, warnings, err);
    if (code != ERR_OK) {
        settings_free(settings);
        return code;
    }
    *ret_settings = settings;
    return ERR_OK;
}

struct settings *settings_free(struct settings *settings)
{
    if (settings == NULL)
        return NULL;
    option_done(settings_options(), settings);
    json_decref(settings->store_parameters);
    json_decref(settings->postgresql);
    free(settings);
    return NULL;
}
