#pragma once
/* Everything that decide() may look at: one observation, taken at .now. Plain data; no pointer to a
 * live thing, no clock. Positions of other members are what the store last told, unless said. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"
#include "cluster/lease.h"
#include "cluster/tags.h"
#include "sidecar/core/view_pg.h"
#include "sidecar/core/view_store.h"

struct guard_view {
    bool connected;
    bool dead; /* the guard itself is known to be gone: its tree is ours to kill (part 3) */
    bool
        tree_alive; /* something of the child's tree runs or may run (G1: false only on its word) */
    bool has_deadline;
    struct mono deadline;
    bool lifted;      /* L8: the child runs without a deadline until one is offered */
    int64_t lease_id; /* cookie (L7); 0: none */
    int64_t create_revision;
    bool stop_requested; /* G2, or SIGTERM with guards of our own */
};

/* What the settings say, as far as a decision needs it. */
struct policy {
    int64_t ttl_ms;
    bool cpu_limited;
    bool sync_on; /* synchronous_mode: on */
    bool sync_strict;
    int sync_count; /* synchronous_node_count */
    int64_t max_lag_on_failover;
    int64_t max_lag_on_syncnode; /* <= 0: off */
    bool pause;
    bool failsafe;
    bool use_rewind;
    bool clone_on_divergence; /* remove_data_directory_on_diverged_timelines */
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

/* A member that did not confirm in time when it should have joined /sync: commits wait meanwhile. */
struct late {
    char name[LIMIT_NAME];
    unsigned times;       /* in a row */
    lsn_t goal;           /* once it has flushed this it may be tried at once, */
    struct mono retry_at; /* else not before */
};

/* What this process remembers between cycles: facts about its own acts, no opinions. */
struct memory {
    bool rewind_failed;  /* since the leader changed */
    bool rewind_checked; /* pg_rewind said that nothing was needed, or succeeded, for this leader */
    bool handed_over;    /* the guard was told that the requested stop may go on */
    struct mono started_at;     /* of this process */
    struct mono promised_until; /* L6: no race before: a primary asked, and was told yes; 0: none */
    char promised_to[LIMIT_NAME];
    struct mono promoted_at;    /* our own last promotion; 0: none */
    struct mono grow_failed_at; /* the last growth of the set that did not succeed */
    size_t n_late;
    struct late late[LIMIT_MEMBERS];
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
bool view_holds_lease(const struct view *view); /* the key is ours and the lease holds now */
bool view_is_primary(const struct view *view);  /* the running Postgres may accept writes */
bool view_self_leads(const struct view *view);  /* the store says that we are the leader, and the
                                                       key is this very process's */
bool view_other_leads(const struct view *view); /* somebody else does */
/* A primary whose key is gone, and nobody else may take it: every member of /failsafe has promised
 * (L6), or the guard's deadline is lifted and the holder record is the one of that lift (L8). */
bool view_may_retake(const struct view *view);
const struct peer *view_peer(const struct view *view, const char *name); /* NULL when unknown */
/* Whom a base backup is taken from: of the members with the tag `clonefrom` that stream from the leader, on
 * its timeline, the one that is furthest on; else the leader. */
const char *view_clone_source(const struct view *view);
const struct walsender *view_walsender(const struct view *view, const char *name);
/* S7: our history contains the confirmed position and we have got that far. */
bool view_has_confirmed(const struct view *view);
/* Our history does, and only the checkpoint of a server that ended as primary lies before it: what local
 * WAL holds beyond that is not known and was not looked at. */
bool view_may_have_confirmed(const struct view *view);
/* Promoted a moment ago: what is in no hurry must not keep the disk from the first commits. */
bool view_fresh_primary(const struct view *view);
/* A member of /sync other than self that looks able to take over at once. */
const struct peer *view_ready_successor(const struct view *view);
