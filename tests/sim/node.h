#pragma once
/* One sidecar: what it knows, its lease and renewals, its running plan. The real decide(), plan_make()
 * and step_await() work on the view that is built here from knowledge that may be stale. */
#include <stdbool.h>
#include <stdint.h>

#include "sidecar/core/await.h"
#include "sidecar/core/decide.h"
#include "sidecar/core/plan.h"
#include "sidecar/core/sync.h"
#include "sidecar/core/view.h"
#include "sidecar/guard/cookie.h"
#include "tests/sim/pg.h"
#include "tests/sim/store.h"
#include "tests/sim/store_request.h"

/* One renewal under way (L1). */
struct sequence {
    bool active;
    uint32_t id;
    int member;
    int stage;
    int64_t asked_us;
    struct lease_renewal renewal;
};

struct runner {
    bool running;
    bool op_done;          /* the operation half of the present step */
    enum err_code op_code; /* of the last operation that ended */
    bool op_failed;
    uint32_t op; /* tells late answers from the present operation's */
    size_t at;
    struct mono step_began;
    int64_t began_us;
    struct plan plan;
    struct plan_memory memory;
    bool accepts_loss;
    bool doubtful; /* a try of this transaction had no answer */
    bool sending;
    int64_t released; /* the lease that a release gave up */
    struct txn txn;
    int64_t data_id[DATA_MAX]; /* as the plan began */
    enum action failed;        /* the last plan that did; ACT_WAIT: it succeeded */
    int64_t retry_us, pause_us;
};

struct poll {
    bool asked, answered, in_recovery;
    bool in_vain; /* a moment ago; asked again */
    int branch;
    lsn_t position;
    int64_t sent_us;
};

/* Rounds of /failsafe (L6). */
struct round {
    bool writing, in_doubt; /* /failsafe itself */
    int64_t compared;
    bool usable, under_way;
    uint32_t id;
    node_set others, open;
    struct mono sent, accepted, retry_at;
};

struct node {
    bool alive;
    bool loaded;
    bool resync;
    bool resyncing;
    int64_t resync_sent_us;
    struct kv cache;
    bool cache_dirty;
    int cache_of;     /* cluster id */
    bool cache_void;  /* of another cluster: to be read anew, whatever the revision */
    int64_t word_us;  /* last word of the store */
    int64_t heard_us; /* when the last linearizable answer was asked for; -1: none */
    int64_t heard_rev;
    int watch; /* member; NODE_NONE: none */
    bool watch_coming;
    int64_t watch_rev;
    bool wal_read; /* S7: of the stop that began at */
    int64_t wal_read_of_us;
    lsn_t wal_whole;
    int64_t failover_seen_us;
    bool failover_after_loss;
    int64_t renewed; /* the last trace of a renewal, seen at: */
    int64_t renewed_seen_us;
    bool holder_gone; /* of cache.holder.lease */
    bool holder_asking;
    int64_t holder_asked_us;
    int64_t highest_sync_mod; /* on its volume (S6) */
    int store_known;          /* etcd's cluster id, on its volume as well */
    bool accept_restored;

    struct lease lease;
    bool granting;
    uint32_t sequences;
    struct sequence sequence[2];
    int64_t renewed_us, round_us;
    int endpoint;
    uint64_t known_term[ETCD_MEMBERS];
    bool skips_confirmed;
    struct guard_cookie cookie; /* under which the guard knows the key, also once it is gone */
    struct round round;

    bool guard_connected;
    struct guard_view guard_seen;
    struct pg seen; /* Postgres as last probed */
    int64_t seen_us;
    struct mono progress_at;
    lsn_t progress_lsn;
    struct mono walsender_gone[DATA_MAX];

    struct memory memory;
    bool wants_out; /* nosync was asked for by a plan */
    struct orders orders;
    int64_t leader_seen;
    bool pending_reload;
    int slots_known;
    struct kv_member published, publishing_now;
    bool publishing;
    int64_t published_us;
    struct poll poll[DATA_MAX];
    int64_t polled_us;
    uint32_t tool; /* runs in the guard: its number; 0 none */

    int64_t cycle_at_us; /* the next one; 0: none */
    int64_t cycle_us;    /* the last one */
    struct runner runner;
    const char *last_rule;
    enum action last_action;
    char last_reason[LIMIT_REASON]; /* while a transcript is made */
    struct view view;
};

void node_boot(struct sim *sim, int node);
void node_die(struct sim *sim, int node);
/* Something is new: a cycle soon. */
void node_wake(struct sim *sim, int node);
void node_wake_now(struct sim *sim, int node);
void sidecar_crash(struct sim *sim, int node, int64_t back_us);
struct mono node_clock(const struct sim *sim, int host);
const char *node_name(int node);
int node_index(const char *name);

#include "tests/sim/node_parts.h"
