#include "settings/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/mem.h"
#include "known_parameter.h"
#include "parameter_table.h"
#include "json/json.h"

struct building {
    const struct settings *settings;
    const struct parameter_node *node;
    int version;
    json_t *values; /* name to text */
    struct text *warnings;
};

static void warn(struct building *building, const char *name, const char *what)
{
    if (building->warnings != NULL)
        text_addf(building->warnings, "postgresql.parameters: %s: %s\n", name, what);
}

static void put(struct building *building, const char *name, const char *value)
{
    json_object_set_new(building->values, name, json_string(value));
}

/* ---- what the user says ----------------------------------------------------------------- */

/* A parameter's value as text; NULL for what is none. New. */
static char *value_text(const json_t *value)
{
    if (json_is_string(value))
        return mem_strdup(json_string_value(value));
    if (json_is_boolean(value))
        return mem_strdup(json_is_true(value) ? "on" : "off");
    if (!json_is_number(value))
        return NULL;
    struct text number = text_new(64);
    json_write(&number, value);
    return text_take(&number);
}

static bool lower_name(const char *name, char ret_name[LIMIT_NAME])
{
    if (!text_copy(ret_name, LIMIT_NAME, name) || name[0] == '\0')
        return false;
    for (char *c = ret_name; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        bool word = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '.';
        if (!word)
            return false;
    }
    return true;
}

/* In synchronous mode the name of who is waited for is ours alone (S2). */
static const char *refusal(const struct building *building, const char *name)
{
    if (strcmp(name, "synchronous_standby_names") == 0)
        return building->settings->synchronous_mode == SYNC_OFF
                   ? NULL
                   : "ignored: synchronous mode is on and sets it";
    return parameter_refused(name);
}

/* A name that the server does not know keeps it from starting. Dots are for extensions; of versions
 * after ours we do not know every name. */
static bool is_known(const struct building *building, const char *name)
{
    const struct known_parameter *known = known_parameter(name);
    if (known == NULL)
        return strchr(name, '.') != NULL || building->version >= 180000;
    return known->since <= building->version &&
           (known->until == 0 || building->version < known->until);
}

/* So does a value that it does not accept. */
static bool is_acceptable(struct building *building, const char *name, const char *value)
{
    const struct known_parameter *known = known_parameter(name);
    struct err err;
    if (known == NULL || building->version >= 180000 ||
        known_parameter_check(known, value, &err) == ERR_OK)
        return true;
    auto_text struct text what = text_new(ERR_TEXT_MAX);
    text_addf(&what, "left out: %s", err.text);
    warn(building, name, text_str(&what));
    return false;
}

static void put_user(struct building *building, const char *raw_name, const json_t *value)
{
    char name[LIMIT_NAME];
    if (json_is_null(value))
        return;
    if (!lower_name(raw_name, name)) {
        warn(building, raw_name, "ignored: not a name of a parameter");
        return;
    }
    if (parameter_command_line(name) != NULL || strcmp(name, "wal_keep_size") == 0 ||
        strcmp(name, "wal_keep_segments") == 0)
        return; /* from the store only, and checked: see put_fixed */
    const char *refused = refusal(building, name);
    auto_free char *text = value_text(value);
    if (refused != NULL)
        warn(building, name, refused);
    else if (text == NULL)
        warn(building, name, "ignored: expected a text or a number");
    else if (!is_known(building, name))
        warn(building, name, "left out: this version of PostgreSQL does not know it");
    else if (!is_acceptable(building, name, text))
        return;
    else if (json_object_size(building->values) >= LIMIT_PARAMETERS - 32)
        warn(building, name, "left out: too many parameters");
    else
        put(building, name, text);
}

static void put_users(struct building *building, const json_t *parameters)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)parameters, name, value)
        put_user(building, name, value);
}

/* restore_command and its like are parameters since PostgreSQL 12. */
static void put_recovery(struct building *building, const json_t *recovery)
{
    static const char *const known[] = { "restore_command", "archive_cleanup_command",
                                         "recovery_end_command", "recovery_min_apply_delay" };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        auto_free char *text = value_text(json_object_get(recovery, known[i]));
        if (text != NULL)
            put(building, known[i], text);
    }
}

/* ---- the command line (patroni-compat 1.3) ---------------------------------------------- */

static const json_t *find_folded(const json_t *parameters, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)parameters, key, value) {
        if (strcasecmp(key, name) == 0 && !json_is_null(value))
            return value;
    }
    return NULL;
}

/* A standby with less than its primary had does not start, or pauses replay. */
static int64_t at_least_floor(const struct building *building, const char *name, int64_t value)
{
    const struct parameter_floors *floors = &building->node->floors;
    const struct {
        const char *name;
        int64_t floor;
    } known[] = {
        { "max_connections", floors->max_connections },
        { "max_worker_processes", floors->max_worker_processes },
        { "max_wal_senders", floors->max_wal_senders },
        { "max_prepared_transactions", floors->max_prepared_transactions },
        { "max_locks_per_transaction", floors->max_locks_per_transaction },
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!building->node->primary && strcmp(known[i].name, name) == 0 && known[i].floor > value)
            return known[i].floor;
    return value;
}

static void put_integer(struct building *building, const struct command_line *row, const char *text)
{
    char number[24];
    char *end;
    long long value = text == NULL ? 0 : strtoll(text, &end, 10);
    bool good =
        text != NULL && end != text && *end == '\0' && value >= row->min && value <= row->max;
    if (!good)
        value = strtoll(row->fallback, NULL, 10);
    if (!good && text != NULL)
        warn(building, row->name, "not a number in its range, the default is used");
    value = at_least_floor(building, row->name, value);
    snprintf(number, sizeof(number), "%lld", value);
    put(building, row->name, number);
}

static void put_word(struct building *building, const struct command_line *row, const char *text)
{
    bool truth;
    if (text == NULL) {
        put(building, row->name, row->fallback);
        return;
    }
    switch (row->kind) {
    case COMMAND_LINE_BOOL:
        if (option_parse_bool(text, &truth)) {
            put(building, row->name, truth ? "on" : "off");
            return;
        }
        break;
    case COMMAND_LINE_WAL_LEVEL:
        if (strcasecmp(text, "replica") == 0 || strcasecmp(text, "logical") == 0) {
            put(building, row->name, strcasecmp(text, "logical") == 0 ? "logical" : "replica");
            return;
        }
        break;
    case COMMAND_LINE_FORCED:
        if (option_parse_bool(text, &truth) && truth) {
            put(building, row->name, row->fallback);
            return;
        }
        break;
    case COMMAND_LINE_INT:
        break;
    }
    warn(building, row->name, "cannot be that, the default is used");
    put(building, row->name, row->fallback);
}

static void put_command_line(struct building *building)
{
    const struct command_line *rows;
    size_t n = parameter_command_lines(&rows);
    for (size_t i = 0; i < n; i++) {
        const json_t *said = find_folded(building->settings->store_parameters, rows[i].name);
        auto_free char *text = value_text(said);
        if (rows[i].kind == COMMAND_LINE_INT)
            put_integer(building, &rows[i], text);
        else
            put_word(building, &rows[i], text);
    }
}

/* wal_keep_size, or the segments of 16 MB of which it was made before PostgreSQL 13. */
static void put_wal_keep(struct building *building)
{
    const json_t *store = building->settings->store_parameters;
    auto_free char *size = value_text(find_folded(store, "wal_keep_size"));
    auto_free char *segments = value_text(find_folded(store, "wal_keep_segments"));
    int64_t mb = 0;
    char text[32];
    if (size != NULL && (!option_parse_unit(size, "MB", &mb) || mb < 16))
        warn(building, "wal_keep_size", "not a size of 16MB or more, 128MB is used");
    if (size == NULL && segments != NULL)
        mb = strtoll(segments, NULL, 10) * 16;
    snprintf(text, sizeof(text), "%lldMB", mb < 16 || mb > 1 << 30 ? 128LL : (long long)mb);
    put(building, "wal_keep_size", text);
}

/* ---- what is ours ----------------------------------------------------------------------- */

static void put_defaults(struct building *building)
{
    /* A standby looks again for WAL after this long; 5 s would be lost after each failover. */
    put(building, "wal_retrieve_retry_interval", "200ms");
    if (building->version >= 170000)
        put(building, "allow_alter_system", "off");
}

static void put_fixed(struct building *building, const struct config *config)
{
    char seconds[32], host[LIMIT_URL], number[16];
    int port = 5432;
    /* A fast stop waits for walsenders up to wal_sender_timeout (L2). */
    snprintf(seconds, sizeof(seconds), "%llds", (long long)building->settings->ttl_s);
    put(building, "wal_sender_timeout", seconds);
    put(building, "wal_receiver_timeout", seconds);
    put(building, "cluster_name", config->scope);
    put_wal_keep(building);
    put_command_line(building);
    if (config->postgresql.listen == NULL ||
        !config_split_address(config->postgresql.listen, 5432, host, &port))
        return;
    snprintf(number, sizeof(number), "%d", port);
    put(building, "listen_addresses", host[0] == '\0' ? "*" : host);
    put(building, "port", number);
}

/* ---- the list --------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct parameter *)a)->name, ((const struct parameter *)b)->name);
}

static bool is_command_line(const char *name)
{
    return parameter_command_line(name) != NULL || strcmp(name, "listen_addresses") == 0 ||
           strcmp(name, "port") == 0 || strcmp(name, "cluster_name") == 0;
}

void parameters_build(const struct settings *settings, const struct config *config,
                      const struct parameter_node *node, struct parameters *ret_parameters,
                      struct text *warnings)
{
    auto_json json_t *values = json_object();
    struct building building = {
        .settings = settings,
        .node = node,
        .version = node->server_version == 0 ? 170000 : node->server_version,
        .values = values,
        .warnings = warnings,
    };
    const char *name;
    json_t *value;
    size_t i = 0;

    put_defaults(&building);
    put_users(&building, settings->parameters);
    put_recovery(&building, settings->recovery_conf);
    put_fixed(&building, config);

    ret_parameters->n = json_object_size(values);
    ret_parameters->item = mem_array(ret_parameters->n, sizeof(struct parameter));
    json_object_foreach (values, name, value) {
        ret_parameters->item[i++] = (struct parameter){
            .name = mem_strdup(name),
            .value = mem_strdup(json_string_value(value)),
            .command_line = is_command_line(name),
        };
    }
    qsort(ret_parameters->item, ret_parameters->n, sizeof(struct parameter), by_name);
}

void parameters_done(struct parameters *parameters)
{
    for (size_t i = 0; i < parameters->n; i++) {
        free(parameters->item[i].name);
        free(parameters->item[i].value);
    }
    free(parameters->item);
    *parameters = (struct parameters){ .n = 0 };
}

const char *parameters_get(const struct parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->n; i++)
        if (strcmp(parameters->item[i].name, name) == 0)
            return parameters->item[i].value;
    return NULL;
}
