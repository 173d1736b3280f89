#pragma once
/* What the REST API knows: a plain snapshot, set by the sidecar after each cycle. Every answer comes
 * from here, in microseconds, whatever Postgres or etcd do (design part 8). The API never asks
 * anybody and never waits.
 *
 * Ownership: everything is borrowed from the sidecar and must stay valid until the sidecar sets the
 * next snapshot; strings may be NULL for "not known" unless said. Times that people see are
 * microseconds since 1970 UTC, 0 for "not known". */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "cluster/lease.h"
#include "cluster/member.h"
#include "sidecar/core/decide.h"
#include "sidecar/core/view.h"

/* A key of the store with its value as it is there. */
struct api_key {
    const char *name; /* last path component: the member's name */
    const char *json; /* the value */
};

/* A row of pg_stat_replication as /patroni shows it; NULL shows as null. */
struct api_walsender {
    const char *usename;
    const char *application_name;
    const char *client_addr;
    const char *state;
    const char *sync_state;
    int sync_priority;
};

/* Postgres as far as the view does not tell it; all of it as of the last probe that answered. */
struct api_postgres {
    enum member_state state; /* as the member key publishes it */
    enum member_role role;
    bool queryable;     /* the last probe answered */
    int server_version; /* 170004 */
    int64_t postmaster_start_us;
    lsn_t flushed;  /* primary */
    lsn_t received; /* standby: written, else received, else replayed */
    lsn_t replayed;
    lsn_t latest_end; /* of the WAL receiver: how far the primary had got */
    int64_t replayed_timestamp_us;
    bool replay_paused;
    bool archive_recovery; /* standby, not streaming, restore_command is set */
    const char *progress;  /* of a clone or rewind under way, in words */
    size_t n_walsenders;
    const struct api_walsender *walsenders; /* all, backups and foreign receivers included */
};

/* The store's keys as JSON texts, as last seen; NULL: the key does not exist. */
struct api_store {
    const char *config;
    const char *history;
    const char *failsafe;
    const char *failover;
    lsn_t optime; /* of /status */
    size_t n_members;
    const struct api_key *members; /* members/, self included */
    size_t n_witnesses;
    const struct api_key *witnesses; /* pgvigil/witness/ */
    int64_t last_seen_us;            /* last word of the store */
};

/* The pod's own etcd member, when it is ours to manage (design part 7). */
struct api_etcd {
    bool managed;
    bool voter;            /* a started voter of the quorum: part of /readiness */
    const char *formation; /* JSON of GET /pgvigil/etcd: {"data":…,"pgdata":…,"mark":…} (E1) */
    const char *trouble;   /* what a person must know or do (E4, E5), in words; NULL: nothing */
};

struct api_state {
    const char *scope;               /* never NULL */
    const char *name;                /* never NULL */
    bool witness;                    /* --witness: no Postgres */
    const struct view *view;         /* the last complete one; NULL before the first cycle */
    const struct decision *decision; /* of that view; NULL before the first cycle */
    const struct lease *lease;       /* live, not the view's copy: L1 moves it beside the cycle */

    struct api_postgres postgres;
    struct api_store store;
    struct api_etcd etcd;

    bool pending_restart;
    const char *pending_restart_reason; /* JSON {"guc": {"old_value": …, "new_value": …}} */
    uint64_t log_lines_lost;            /* by this process, as nobody read them */
    const char *scheduled_restart;      /* JSON {"schedule": …}; NULL: none */
    bool failsafe_active;
    const char *running; /* the action under way that no order may join: "restart"; NULL: none */
    const char *running_step; /* its step, in words */
    const char *alarm;        /* wrong passwords, data directory broken …, in words; NULL: none */

    size_t n_rules;
    const uint64_t *rule_counts;   /* how often decide_rule_name(i) has won */
    const struct view_ring *views; /* recorded views (sidecar/view_json.h); may be NULL */
};

/* Facts that several answers ask for. `now` is the time of the request (CLOCK_BOOTTIME). */
bool api_holds_lock(const struct api_state *state, struct mono now); /* L1 */
bool api_paused(const struct api_state *state);
bool api_cluster_unlocked(const struct api_state *state);
bool api_is_sync_standby(const struct api_state *state);
/* A commit is acknowledged with one copy only, although synchronous mode is asked for (S5). */
bool api_one_copy(const struct api_state *state, struct mono now);
const char *api_action_under_way(const struct api_state *state); /* NULL: none */
