#include "parameter_table.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "known_parameter.h"
#include "settings/parameters.h"

static const struct command_line command_lines[] = {
    { "hot_standby", COMMAND_LINE_FORCED, "on", 0, 0 },
    { "max_connections", COMMAND_LINE_INT, "100", 25, 262143 },
    { "max_locks_per_transaction", COMMAND_LINE_INT, "64", 32, INT32_MAX },
    { "max_prepared_transactions", COMMAND_LINE_INT, "0", 0, 262143 },
    { "max_replication_slots", COMMAND_LINE_INT, "10", 4, 262143 },
    { "max_wal_senders", COMMAND_LINE_INT, "10", 3, 262143 },
    { "max_worker_processes", COMMAND_LINE_INT, "8", 2, 262143 },
    { "track_commit_timestamp", COMMAND_LINE_BOOL, "off", 0, 0 },
    { "wal_level", COMMAND_LINE_WAL_LEVEL, "replica", 0, 0 },
    { "wal_log_hints", COMMAND_LINE_FORCED, "on", 0, 0 },
};

size_t parameter_command_lines(const struct command_line **ret_rows)
{
    *ret_rows = command_lines;
    return sizeof(command_lines) / sizeof(command_lines[0]);
}

const struct command_line *parameter_command_line(const char *name)
{
    for (size_t i = 0; i < sizeof(command_lines) / sizeof(command_lines[0]); i++)
        if (strcmp(command_lines[i].name, name) == 0)
            return &command_lines[i];
    return NULL;
}

const char *parameter_refused(const char *name)
{
    static const struct {
        const char *name, *why;
    } refused[] = {
        { "listen_addresses", "ignored: it comes from postgresql.listen" },
        { "port", "ignored: it comes from postgresql.listen" },
        { "cluster_name", "ignored: it is the scope" },
        { "data_directory", "ignored: it comes from postgresql.data_dir" },
        { "config_file", "ignored: it is ours" },
        { "primary_conninfo", "ignored: it names the leader and is ours" },
        { "primary_slot_name", "ignored: it is ours" },
        { "promote_trigger_file", "ignored: promotions are ours" },
        { "wal_sender_timeout", "ignored: it is the ttl (docs/design.md L2)" },
        { "wal_receiver_timeout", "ignored: it is the ttl (docs/design.md part 5)" },
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (strcmp(refused[i].name, name) == 0)
            return refused[i].why;
    return text_starts_with(name, "recovery_target") ? "ignored: it is ours" : NULL;
}

bool parameters_needs_restart(const char *name)
{
    const struct known_parameter *known = known_parameter(name);
    return known != NULL && known->restart;
}
