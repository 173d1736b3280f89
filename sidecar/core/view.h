#pragma once
/* Everything that decide() may look at: one observation, taken at .now. Plain data; no pointer to a
 * live thing, no clock. Positions of other members are what the store last told, unless said. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"
#include "cluster/lease.h"
#include "cluster/member.h"
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
    bool only_one;       /* no second walsender carries this name */
    bool holds_slot;     /* its pid is the active_pid of the member's slot */
    bool sync;           /* sync_state is "sync" (or "quorum") */
    int sync_priority;
    lsn_t flush;
};

struct pg_view {
    enum pg_state state;
    enum data_dir dir;
    uint64_t system_id; /* 0: not known (empty directory) */
    bool in_recovery;   /* PG_UP: pg_is_in_recovery(). Otherwise: it was (or is) started as standby */
    struct timeline timeline; /* of the running server, else of the control file */
    lsn_t position;     /* PG_UP primary: flushed; standby: max(received, replayed); PG_DOWN: from the
                           control file (checkpoint, or minimum recovery end) */
    bool clean_stop;    /* PG_DOWN: control file says shut down / shut down in recovery */
    bool was_primary;   /* PG_DOWN: control file says that it last ran as primary */
    bool rewinding;     /* PG_DOWN: a pg_rewind began here and did not end: only it or a clone may go on */
    unsigned start_failures; /* starts in a row that ended before the server answered */
    struct mono state_since;
    char upstream[LIMIT_NAME]; /* standby: member that primary_conninfo names; "" none */
    bool streaming;     /* standby: the WAL receiver streams */
    bool follow_stuck;  /* standby: upstream refuses to stream on our timeline, or it has been retried
                           in vain: divergence must be looked at */

    /* Synchronous replication, primary only. */
    enum ssn_kind ssn;         /* as backends obey it */
    struct names ssn_names;    /* with SSN_NAMES */
    enum ssn_kind ssn_disk;    /* as written: in force at the next start */
    struct names ssn_disk_names;
    unsigned waiters;          /* backends that wait for SyncRep */
    struct mono progress_at;   /* last time that a /sync standby's flush position moved or nobody waited */
    size_t n_walsenders;
    struct walsender walsenders[LIMIT_MEMBERS];

    bool checkpointed;         /* primary: a checkpoint was done since the promotion */
    bool pending_reload;       /* settings differ from the files: rewriting and a reload are due */
    bool slots_differ;         /* primary: member slots are missing or left over */
};

struct guard_view {
    bool connected;
    bool dead;       /* the guard itself is known to be gone: its tree is ours to kill (part 3) */
    bool tree_alive; /* something of the child's tree runs or may run (G1: false only on its word) */
    bool has_deadline;
    struct mono deadline;
    int64_t lease_id; /* cookie (L7); 0: none */
    int64_t create_revision;
    bool stop_requested; /* G2, or SIGTERM with guards of our own */
    bool deadline_passed; /* the last child was killed by it */
};

/* A member as others see it. */
struct peer {
    struct member member;   /* from its key */
    bool has_key;           /* its key exists: its lease lives */
    int64_t data_id_revision; /* mod_revision of pgvigil/data/<name> (S2); 0: none */
    struct mono walsender_gone; /* as primary: since when no walsender of it is seen; MONO_NEVER: is seen */

    bool asked;    /* its REST API was asked for this race */
    bool answered; /* and answered: the rest is fresh */
    bool in_recovery;
    lsn_t position; /* max(received, replayed), or the primary's location */
    struct timeline timeline; /* its number; entries only where we know them */
};

/* A person's (or a switchover's) wish: the key /failover. */
struct failover_request {
    bool exists;
    char leader[LIMIT_NAME];    /* "" when not named */
    char candidate[LIMIT_NAME]; /* "" when not named */
    bool due;                   /* not scheduled, or its time has come */
    int64_t mod_revision;
    int64_t age_ms;             /* since we saw it first */
    bool after_leader_loss;     /* written after the leader key vanished (design part 4) */
};

struct store_view {
    bool reachable;   /* a linearizable answer came within ttl/2 */
    bool loaded;      /* the keys below were read at least once */
    bool same_cluster; /* S6: etcd's id and the revision of /sync agree with our volume's memory */
    int64_t age_ms;   /* since the last word of the watch or a read */

    bool leader_exists;
    char leader[LIMIT_NAME];
    int64_t leader_lease;
    int64_t leader_create_revision;
    int64_t leader_mod_revision;
    struct mono leader_lost_at; /* when the key was last seen to vanish; MONO_NEVER: never */

    struct lease_holder holder; /* pgvigil/release (L7) */
    struct sync_state sync;

    bool initialize_exists;
    int64_t initialize_create_revision;
    int64_t initialize_lease; /* 0: none */
    uint64_t initialize; /* system id; 0 while a bootstrap runs */

    bool config_exists;
    int64_t config_mod_revision;

    struct failover_request failover;

    lsn_t optime; /* /status: the last flush position that the leader told */

    bool confirmed_exists; /* S7 */
    struct timeline confirmed;
    lsn_t confirmed_lsn;

    size_t n_peers; /* everyone but self */
    struct peer peers[LIMIT_MEMBERS];
};

/* What the settings say, as far as a decision needs it. */
struct policy {
    int64_t ttl_ms;
    bool cpu_limited;
    bool sync_on;     /* synchronous_mode: on */
    bool sync_strict;
    int sync_count;   /* synchronous_node_count */
    int64_t max_lag_on_failover;
    int64_t max_lag_on_syncnode; /* <= 0: off */
    bool pause;
    bool failsafe;
    bool use_rewind;
    bool clone_on_divergence;      /* remove_data_directory_on_diverged_timelines */
    bool clone_on_rewind_failure;
    int64_t primary_start_timeout_ms;
    bool may_bootstrap; /* the configuration has a bootstrap section, or default initdb */
};

/* Orders of a person through REST, kept until done. */
struct orders {
    bool restart;
    bool reload;
    bool reinit;
};

/* What this process remembers between cycles: facts about its own acts, no opinions. */
struct memory {
    bool rewind_failed;   /* since the leader changed */
    bool rewind_checked;  /* pg_rewind said that nothing was needed, or succeeded, for this leader */
    bool was_promoted;    /* our own promotion under the present key is under way or done */
    bool handed_over;     /* the guard was told that the requested stop may go on */
    struct mono grow_failed_at; /* the last growth of the set that did not succeed */
    struct mono abstain_until;  /* no race before: own failed promotion, or leaving it to a candidate */
};

struct view {
    struct mono now;
    bool clear_head; /* A5: the loop ran on time and the clocks agree */
    char self[LIMIT_NAME];
    struct tags tags;
    bool accept_restored; /* S6: a person accepted this store */
    struct pg_view pg;
    struct guard_view guard;
    struct lease lease;
    struct store_view store;
    struct policy policy;
    struct orders orders;
    struct memory memory;
};

/* Facts that several rules ask for. */
bool view_holds_lease(const struct view *view);     /* the key is ours and the lease holds now */
bool view_is_primary(const struct view *view);      /* the running Postgres may accept writes */
bool view_self_leads(const struct view *view);      /* the store says that we are the leader, and the
                                                       key is this very process's */
bool view_other_leads(const struct view *view);     /* somebody else does */
const struct peer *view_peer(const struct view *view, const char *name); /* NULL when unknown */
const struct walsender *view_walsender(const struct view *view, const char *name);
/* S7: our history contains the confirmed position and we have got that far. */
bool view_has_confirmed(const struct view *view);
/* A member of /sync other than self that looks able to take over at once. */
const struct peer *view_ready_successor(const struct view *view);
