#pragma once
/* The state of the etcd model: members of the raft, leases, requests under way. */
#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/store.h"
#include "tests/sim/store_request.h"

enum { CALLS_MAX = 2048, PENDING_MAX = 64 };

struct raft_member {
    bool up;
    bool learner; /* came back empty; no vote before it has caught up */
    bool leading; /* believes so */
    int leader;   /* as it knows; NODE_NONE */
    uint64_t term;
    int64_t log;         /* number of the last entry it has */
    int64_t rev;         /* applied */
    int64_t heard_us;    /* from a leader; as leader: from a quorum */
    int64_t patience_us; /* election timeout of this round */
    int64_t depose_us;   /* when a leader that has been replaced notices; 0: not replaced */
    int64_t stuck_us;    /* its raft loop hangs (a disk) until then: no word of it comes or goes */
    bool was_away;       /* stuck or frozen when looked at last */
    int64_t expiry_us[LEASES_MAX];
};

struct lease_model {
    int64_t ttl_us;
    int64_t granted_rev;
    int64_t gone_rev; /* 0: lives */
    bool revoking;
};

struct call {
    uint32_t generation;
    bool answered;
    uint32_t epoch;
    struct request request;
    struct reply reply;
};

struct pending {
    int leader;
    bool queued; /* not in its log yet: it was stuck */
    uint64_t term;
    uint32_t slot, generation;
};

struct store {
    struct raft_member member[ETCD_MEMBERS];
    struct kv history[HISTORY_MAX];
    int64_t rev, log;
    uint64_t term;
    int64_t election_us;
    bool restoring;
    int cluster_id;
    int64_t n_leases;
    struct lease_model lease[LEASES_MAX];
    int live[LEASES_MAX];
    int n_live;
    uint32_t next_call;
    struct call call[CALLS_MAX];
    struct pending pending[PENDING_MAX];
    int n_pending;
};
