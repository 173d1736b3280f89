#pragma once
/* What pg_controldata says of a data directory (LC_ALL=C), as far as we use it. The tool is run
 * through the guard by whoever wants to know; the reading of its output is here, and pure. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cluster/lsn.h"

/* "Database cluster state" */
enum control_state {
    CONTROL_STARTING_UP,
    CONTROL_SHUT_DOWN,
    CONTROL_SHUT_DOWN_IN_RECOVERY,
    CONTROL_SHUTTING_DOWN,
    CONTROL_IN_CRASH_RECOVERY,
    CONTROL_IN_ARCHIVE_RECOVERY,
    CONTROL_IN_PRODUCTION,
    CONTROL_STATE_MAX
};

struct controldata {
    uint64_t system_id;
    enum control_state state;
    lsn_t checkpoint; /* where the latest checkpoint record begins */
    lsn_t redo;
    uint32_t checkpoint_tli;
    lsn_t minimum_recovery_end;
    uint32_t minimum_recovery_tli; /* 0: none */
    bool wal_log_hints;
    bool data_checksums;
    int64_t max_connections;
    int64_t max_worker_processes;
    int64_t max_wal_senders;
    int64_t max_prepared_transactions;
    int64_t max_locks_per_transaction;
    int version; /* pg_control version number: 1300 is 13 to 17's form; for a person */
};

/* ERR_PROTOCOL names the line that is missing or makes no sense. */
enum err_code controldata_parse(const char *output, struct controldata *ret, struct err *err);

const char *control_state_name(enum control_state state);

/* Where the directory's WAL surely ends, and on which timeline: the checkpoint, or the minimum
 * recovery end where that is later (patroni-compat 1.7). */
lsn_t controldata_position(const struct controldata *control);
uint32_t controldata_timeline(const struct controldata *control);
/* Shut down, or shut down in recovery. */
bool controldata_clean(const struct controldata *control);
/* It last ran as primary. */
bool controldata_was_primary(const struct controldata *control);
