#pragma once
/* The cluster in the view (core/view.h): what the store tells, and what peers answer. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"
#include "cluster/lease.h"
#include "cluster/member.h"
#include "cluster/sync_state.h"
#include "cluster/timeline.h"

/* A member as others see it. */
struct peer {
    struct member member;     /* from its key */
    bool has_key;             /* its key exists: its lease lives */
    int64_t data_id_revision; /* mod_revision of pgvigil/data/<name> (S2); 0: none */
    struct mono
        walsender_gone; /* as primary: since when no walsender of it is seen; MONO_NEVER: is seen */

    bool asked;    /* its REST API was asked for this race */
    bool answered; /* and answered: the rest is fresh */
    bool in_recovery;
    lsn_t position;           /* max(received, replayed), or the primary's location */
    struct timeline timeline; /* its number; entries only where we know them */
};

/* A person's (or a switchover's) wish: the key /failover. */
struct failover_request {
    bool exists;
    char leader[LIMIT_NAME];    /* "" when not named */
    char candidate[LIMIT_NAME]; /* "" when not named */
    bool due;                   /* not scheduled, or its time has come */
    bool stale;                 /* scheduled, and its time has passed without it: to be cleared */
    int64_t mod_revision;
    int64_t age_ms;         /* since we saw it first */
    bool after_leader_loss; /* written after the leader key vanished (design part 4) */
};

struct store_view {
    bool reachable;    /* a linearizable answer came within ttl/2 */
    bool loaded;       /* the keys below were read at least once */
    bool same_cluster; /* S6: etcd's id and the revision of /sync agree with our volume's memory */
    bool recording; /* S6: not yet, but nothing is wrong: the newest /sync is being written there */
    int64_t age_ms; /* since the last word of the watch or a read */

    bool leader_exists;
    char leader[LIMIT_NAME];
    int64_t leader_lease;
    int64_t leader_create_revision;
    int64_t leader_mod_revision;

    struct lease_holder holder; /* pgvigil/release (L7) */
    struct sync_state sync;

    bool initialize_exists;
    int64_t initialize_create_revision;
    int64_t initialize_lease; /* 0: none */
    uint64_t initialize;      /* system id; 0 while a bootstrap runs */

    bool config_exists;
    int64_t config_mod_revision;

    struct names failsafe; /* L6: /failsafe; nobody: absent or empty */
    int64_t failsafe_mod_revision;
    bool failsafe_committed; /* no write of it by this process is in doubt */
    int64_t renewed_ttl_ms;  /* the ttl of the last renewal that anybody left a trace of; 0: none */
    bool self_paused;        /* our own member key shows `pause` (L8) */

    struct failover_request failover;

    lsn_t optime; /* /status: the last flush position that the leader told */

    bool confirmed_exists; /* S7 */
    struct timeline confirmed;
    lsn_t confirmed_lsn;

    size_t n_peers; /* everyone but self */
    struct peer peers[LIMIT_MEMBERS];
};
