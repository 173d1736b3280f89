#include "sidecar/postgres/controldata.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const state_names[] = {
    [CONTROL_STARTING_UP] = "starting up",
    [CONTROL_SHUT_DOWN] = "shut down",
    [CONTROL_SHUT_DOWN_IN_RECOVERY] = "shut down in recovery",
    [CONTROL_SHUTTING_DOWN] = "shutting down",
    [CONTROL_IN_CRASH_RECOVERY] = "in crash recovery",
    [CONTROL_IN_ARCHIVE_RECOVERY] = "in archive recovery",
    [CONTROL_IN_PRODUCTION] = "in production",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == CONTROL_STATE_MAX, "a name each");

const char *control_state_name(enum control_state state)
{
    return state < CONTROL_STATE_MAX ? state_names[state] : "?";
}

enum { VALUE_MAX = 128 };

/* The value behind "<label>:" at the beginning of a line. */
static bool find(const char *output, const char *label, char ret_value[VALUE_MAX])
{
    size_t len = strlen(label);
    for (const char *line = output; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, label, len) != 0 || line[len] != ':')
            continue;
        const char *value = line + len + 1;
        value += strspn(value, " \t");
        size_t size = strcspn(value, "\r\n");
        if (size >= VALUE_MAX)
            return false;
        memcpy(ret_value, value, size);
        ret_value[size] = '\0';
        return true;
    }
    return false;
}

/* A parse that goes on after the first fault and tells of that one only. */
struct reading {
    const char *output;
    enum err_code code;
    struct err *err;
};

static bool take(struct reading *reading, const char *label, char ret_value[VALUE_MAX])
{
    if (reading->code != ERR_OK)
        return false;
    if (find(reading->output, label, ret_value))
        return true;
    reading->code = err_set(reading->err, ERR_PROTOCOL, "pg_controldata: no line '%s'", label);
    return false;
}

static void bad(struct reading *reading, const char *label, const char *value)
{
    reading->code = err_set(reading->err, ERR_PROTOCOL, "pg_controldata: %s: '%s' makes no sense",
                            label, value);
}

static uint64_t take_number(struct reading *reading, const char *label)
{
    char value[VALUE_MAX];
    char *end;
    if (!take(reading, label, value))
        return 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (end == value || *end != '\0')
        bad(reading, label, value);
    return number;
}

static lsn_t take_lsn(struct reading *reading, const char *label)
{
    char value[VALUE_MAX];
    lsn_t lsn = LSN_NONE;
    if (take(reading, label, value) && !lsn_parse(value, &lsn))
        bad(reading, label, value);
    return lsn;
}

static enum control_state take_state(struct reading *reading)
{
    static const char label[] = "Database cluster state";
    char value[VALUE_MAX];
    if (!take(reading, label, value))
        return CONTROL_STARTING_UP;
    for (size_t i = 0; i < CONTROL_STATE_MAX; i++)
        if (strcmp(value, state_names[i]) == 0)
            return (enum control_state)i;
    bad(reading, label, value);
    return CONTROL_STARTING_UP;
}

/* Lines that older or newer servers may lack. */
static bool has_value(const char *output, const char *label, const char *unwanted)
{
    char value[VALUE_MAX];
    return find(output, label, value) && strcmp(value, unwanted) != 0;
}

static void take_settings(struct reading *reading, struct controldata *control)
{
    control->max_connections = (int64_t)take_number(reading, "max_connections setting");
    control->max_worker_processes = (int64_t)take_number(reading, "max_worker_processes setting");
    control->max_wal_senders = (int64_t)take_number(reading, "max_wal_senders setting");
    control->max_prepared_transactions =
        (int64_t)take_number(reading, "max_prepared_xacts setting");
    control->max_locks_per_transaction =
        (int64_t)take_number(reading, "max_locks_per_xact setting");
    control->wal_log_hints = has_value(reading->output, "wal_log_hints setting", "off");
    control->data_checksums = has_value(reading->output, "Data page checksum version", "0");
}

enum err_code controldata_parse(const char *output, struct controldata *ret, struct err *err)
{
    struct reading reading = { .output = output, .code = ERR_OK, .err = err };
    struct controldata control = { .version = 0 };
    control.version = (int)take_number(&reading, "pg_control version number");
    control.system_id = take_number(&reading, "Database system identifier");
    control.state = take_state(&reading);
    control.checkpoint = take_lsn(&reading, "Latest checkpoint location");
    control.redo = take_lsn(&reading, "Latest checkpoint's REDO location");
    control.checkpoint_tli = (uint32_t)take_number(&reading, "Latest checkpoint's TimeLineID");
    control.minimum_recovery_end = take_lsn(&reading, "Minimum recovery ending location");
    control.minimum_recovery_tli =
        (uint32_t)take_number(&reading, "Min recovery ending loc's timeline");
    take_settings(&reading, &control);
    if (reading.code == ERR_OK)
        *ret = control;
    return reading.code;
}

static bool recovery_end_is_later(const struct controldata *control)
{
    return control->minimum_recovery_tli != 0 &&
           control->minimum_recovery_end >= control->checkpoint;
}

lsn_t controldata_position(const struct controldata *control)
{
    return recovery_end_is_later(control) ? control->minimum_recovery_end : control->checkpoint;
}

uint32_t controldata_timeline(const struct controldata *control)
{
    return recovery_end_is_later(control) ? control->minimum_recovery_tli : control->checkpoint_tli;
}

bool controldata_clean(const struct controldata *control)
{
    return control->state == CONTROL_SHUT_DOWN || control->state == CONTROL_SHUT_DOWN_IN_RECOVERY;
}

bool controldata_was_primary(const struct controldata *control)
{
    switch (control->state) {
    case CONTROL_SHUT_DOWN:
    case CONTROL_SHUTTING_DOWN:
    case CONTROL_IN_CRASH_RECOVERY:
    case CONTROL_IN_PRODUCTION:
        return true;
    case CONTROL_STARTING_UP:
    case CONTROL_SHUT_DOWN_IN_RECOVERY:
    case CONTROL_IN_ARCHIVE_RECOVERY:
    case CONTROL_STATE_MAX:
        return false;
    }
    return false;
}
