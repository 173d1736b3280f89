#pragma once
/* What REST (patroni-compat 2.3), metrics (2.6) and the member key (3.4) show of the local Postgres
 * and a decision does not need. Plain values, as of `answered_at`. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"
#include "cluster/lsn.h"
#include "cluster/member.h"

/* A row of pg_stat_replication. */
struct pg_walsender_fact {
    int pid;
    char usename[LIMIT_NAME];
    char application_name[LIMIT_NAME];
    char client_addr[LIMIT_NAME]; /* "" on a unix socket */
    char state[LIMIT_NAME];
    char sync_state[LIMIT_NAME];
    int sync_priority;
};

/* A parameter that waits for a restart (pending_restart_reason). */
struct pg_pending {
    char name[LIMIT_NAME];
    char old_value[LIMIT_NAME];
    char new_value[LIMIT_NAME]; /* cut where longer */
};

enum { PG_PENDING_MAX = 16, PG_SLOTS_MAX = LIMIT_SLOTS };

struct pg_slot_fact {
    char name[LIMIT_NAME];
    bool active;
    int active_pid; /* 0: nobody */
    bool physical;
    lsn_t restart_lsn;
};

struct pg_facts {
    /* The last answer of a living server; MONO_NEVER: none yet from this postmaster. "Too many
     * connections" and "starting up" are answers (design part 2). For the stall rule. */
    struct mono answered_at;
    bool queryable;              /* the values below are of the postmaster that runs now */
    int server_version;          /* 170004; 0: not known */
    int64_t postmaster_start_us; /* microseconds since 1970 UTC; 0: not known */
    bool in_recovery;
    lsn_t location; /* primary: flushed, perhaps in the middle of a record */
    lsn_t boundary; /* primary: the insert position, where a record ends (S7) */
    lsn_t received; /* standby: written (else received, else replayed) */
    lsn_t replayed;
    int64_t replayed_timestamp_us; /* of the last replayed transaction; 0: none */
    bool paused;
    lsn_t latest_end; /* the WAL receiver's latest_end_lsn; LSN_NONE: no receiver */
    bool streaming;
    bool archive_recovery; /* not streaming, and restore_command is set */
    uint32_t timeline;
    size_t n_walsenders;
    struct pg_walsender_fact walsenders[LIMIT_MEMBERS];
    size_t n_slots;
    struct pg_slot_fact slots[PG_SLOTS_MAX];
    size_t n_pending; /* > 0: pending_restart */
    struct pg_pending pending[PG_PENDING_MAX];
    char ssn[LIMIT_SSN]; /* synchronous_standby_names as the session shows it */
    bool data_checksums;
    bool wal_log_hints;

    enum member_state state; /* Patroni's state text */
    enum member_role role;   /* primary or replica by Postgres, not by the key */
    char trouble[512];       /* what keeps Postgres from running or following, for a person; "" */
    int clone_percent;       /* a base backup runs; -1: none */
    char progress[LIMIT_REASON]; /* the last line of the tool that runs, "" none */
};
