#pragma once
/* The local Postgres in the view (core/view.h). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"
#include "cluster/lsn.h"
#include "cluster/sync_state.h"
#include "cluster/timeline.h"

/* The data directory, looked at only while no postmaster runs on it. */
enum data_dir {
    DATA_DIR_UNKNOWN, /* not looked at yet */
    DATA_DIR_EMPTY,   /* nothing there, or it is missing */
    DATA_DIR_FRESH,   /* empty, and a complete initdb that carries our mark waits beside it */
    DATA_DIR_VALID,
    DATA_DIR_BROKEN, /* something is there that is not a usable data directory: keep out */
};

enum pg_state {
    PG_DOWN,     /* no postmaster, nothing of its tree (G1) */
    PG_STARTING, /* runs, does not answer queries yet */
    PG_UP,       /* answers queries */
    PG_STOPPING, /* told to stop, or dying; something of the tree still runs */
};

/* One row of pg_stat_replication that belongs to a member (application_name is its name). */
struct walsender {
    char name[LIMIT_NAME];
    bool streaming;
    bool only_one;   /* no second walsender carries this name */
    bool holds_slot; /* its pid is the active_pid of the member's slot */
    bool sync;       /* sync_state is "sync" (or "quorum") */
    int sync_priority;
    lsn_t flush;
};

struct pg_view {
    enum pg_state state;
    enum data_dir dir;
    uint64_t system_id; /* 0: not known (empty directory) */
    bool in_recovery; /* PG_UP: pg_is_in_recovery(). Otherwise: it was (or is) started as standby */
    struct timeline timeline; /* of the running server, else of the control file */
    lsn_t position;   /* PG_UP primary: flushed; standby: max(received, replayed); PG_DOWN: from the
                           control file (checkpoint, or minimum recovery end) */
    bool clean_stop;  /* PG_DOWN: control file says shut down / shut down in recovery */
    bool was_primary; /* PG_DOWN: control file says that it last ran as primary */
    bool wal_read;    /* PG_DOWN: local WAL was read for the sake of S7, and */
    lsn_t wal_whole;  /* is whole up to here; LSN_NONE: that could not be seen */
    bool
        rewinding; /* PG_DOWN: a pg_rewind began here and did not end: only it or a clone may go on */
    unsigned start_failures; /* starts in a row that ended before the server answered */
    struct mono state_since;
    char upstream[LIMIT_NAME]; /* standby: member that primary_conninfo names; "" none */
    bool streaming;            /* standby: the WAL receiver streams */
    bool replay_held; /* standby: replay waits, and a promotion would, until a restart takes
                                  settings as high as the primary's */
    bool
        follow_stuck; /* standby: upstream refuses to stream on our timeline, or it has been retried
                           in vain: divergence must be looked at */
    bool wal_missing; /* follow_stuck, and the upstream has not the WAL any more that comes next */
    bool archive;     /* a standby that does not stream reads WAL from an archive */

    /* Synchronous replication, primary only. */
    enum ssn_kind ssn;      /* as backends obey it */
    struct names ssn_names; /* with SSN_NAMES */
    enum ssn_kind ssn_disk; /* as written: in force at the next start */
    struct names ssn_disk_names;
    unsigned waiters; /* backends that wait for SyncRep */
    struct mono
        progress_at; /* last time that a /sync standby's flush position moved or nobody waited */
    size_t n_walsenders;
    struct walsender walsenders[LIMIT_MEMBERS];

    bool checkpointed;   /* primary: a checkpoint was done since the promotion */
    bool pending_reload; /* settings differ from the files: rewriting and a reload are due */
    bool slots_differ;   /* primary: member slots are missing or left over */
};
