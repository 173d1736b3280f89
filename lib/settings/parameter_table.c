#include "parameter_table.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
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

static bool is_in(const char *name, const char *const names[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

#define IS_IN(name, names) is_in(name, names, sizeof(names) / sizeof((names)[0]))

/* PostgreSQL 15 is the oldest that we know. */
int parameter_since(const char *name)
{
    static const char *const in_16[] = {
        "createrole_self_grant",
        "debug_logical_replication_streaming",
        "debug_parallel_query",
        "enable_presorted_aggregate",
        "gss_accept_delegation",
        "icu_validation_level",
        "max_parallel_apply_workers_per_subscription",
        "reserved_connections",
        "scram_iterations",
        "send_abort_for_crash",
        "send_abort_for_kill",
        "vacuum_buffer_usage_limit",
    };
    static const char *const in_17[] = {
        "allow_alter_system",
        "commit_timestamp_buffers",
        "enable_group_by_reordering",
        "event_triggers",
        "io_combine_limit",
        "max_notify_queue_pages",
        "multixact_member_buffers",
        "multixact_offset_buffers",
        "notify_buffers",
        "restrict_nonsystem_relation_kind",
        "serializable_buffers",
        "subtransaction_buffers",
        "summarize_wal",
        "sync_replication_slots",
        "synchronized_standby_slots",
        "trace_connection_negotiation",
        "transaction_buffers",
        "transaction_timeout",
        "wal_summary_keep_time",
    };
    static const char *const in_18[] = {
        "autovacuum_vacuum_max_threshold",
        "autovacuum_worker_slots",
        "extension_control_path",
        "file_copy_method",
        "idle_replication_slot_timeout",
        "io_max_combine_limit",
        "io_max_concurrency",
        "io_method",
        "io_workers",
        "max_active_replication_origins",
        "md5_password_warnings",
        "oauth_validator_libraries",
        "ssl_groups",
        "ssl_tls13_ciphers",
        "track_cost_delay_timing",
        "vacuum_max_eager_freeze_failure_rate",
        "vacuum_truncate",
    };
    if (IS_IN(name, in_16))
        return 160000;
    if (IS_IN(name, in_17))
        return 170000;
    return IS_IN(name, in_18) ? 180000 : 0;
}

bool parameters_needs_restart(const char *name)
{
    static const char *const postmaster[] = {
        "archive_mode",
        "autovacuum_freeze_max_age",
        "autovacuum_max_workers",
        "autovacuum_multixact_freeze_max_age",
        "bonjour",
        "cluster_name",
        "dynamic_shared_memory_type",
        "event_source",
        "external_pid_file",
        "hba_file",
        "huge_page_size",
        "huge_pages",
        "ident_file",
        "jit_provider",
        "listen_addresses",
        "logging_collector",
        "max_files_per_process",
        "max_logical_replication_workers",
        "max_pred_locks_per_transaction",
        "min_dynamic_shared_memory",
        "old_snapshot_threshold",
        "port",
        "recovery_prefetch",
        "reserved_connections",
        "shared_buffers",
        "shared_memory_type",
        "shared_preload_libraries",
        "superuser_reserved_connections",
        "track_activity_query_size",
        "unix_socket_directories",
        "unix_socket_group",
        "unix_socket_permissions",
        "wal_buffers",
        "wal_decode_buffer_size",
    };
    return parameter_command_line(name) != NULL || IS_IN(name, postmaster);
}
