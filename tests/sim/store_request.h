#pragma once
/* What is asked of the etcd model, and what it answers. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "tests/sim/store.h"

enum request_kind { REQ_READ, REQ_KEEPALIVE, REQ_TTL, REQ_GRANT, REQ_REVOKE, REQ_TXN };

enum txn_kind {
    TXN_TAKE,
    TXN_ADOPT,
    TXN_RELEASE,
    TXN_SYNC,
    TXN_DELETE_SYNC,
    TXN_RENEW,
    TXN_FAILSAFE,
    TXN_DROP_CONFIRMED,
    TXN_CREATE_INITIALIZE,
    TXN_WRITE_INITIALIZE,
    TXN_CONFIG,
    TXN_FAILOVER,
    TXN_DATA_ID,
    TXN_MEMBER,
    TXN_DELETE_LEADER,
    TXN_PAUSE,
    TXN_MARK_LIFTED,
    TXN_CLEAR_LIFTED,
};

enum { CMP_NONE = -1 }; /* otherwise a revision; 0: the key must be absent */

struct txn {
    enum txn_kind kind;
    int64_t cmp_leader_create, cmp_leader_mod, cmp_sync_mod, cmp_holder_mod, cmp_config_mod;
    int64_t cmp_initialize_create, cmp_failover_mod, cmp_confirmed_mod;
    int64_t cmp_failsafe_mod;
    int64_t cmp_leader_lease; /* CMP_NONE: not compared */
    int cmp_leader_owner;     /* NODE_NONE: not compared; only mutations compare names */
    int64_t cmp_data_id[DATA_MAX];
    int node; /* who writes */
    int64_t lease;
    node_set standbys;
    int candidate; /* TXN_FAILOVER (NODE_NONE: cleared), TXN_RELEASE */
    int former;    /* TXN_FAILOVER: the leader that is named */
    uint64_t system_id;
    int branch;
    lsn_t lsn;   /* TXN_RENEW: what is confirmed (S7); LSN_NONE: nothing new */
    bool flag;   /* TXN_TAKE: a loss was accepted; TXN_PAUSE: on */
    bool anew;   /* TXN_TAKE: sent by a primary whose key had vanished (L6, L8) */
    bool lifted; /* TXN_TAKE, TXN_ADOPT: the holder record says so (L8) */
    struct kv_member member;
};

struct reply {
    enum err_code code; /* OK, TIMEOUT */
    int member;         /* who answered */
    bool txn_ok;
    int64_t rev;
    uint64_t term;
    int64_t ttl_s;
    int64_t lease;
};

typedef void reply_fn(struct sim *sim, int node, int64_t ctx, const struct reply *reply);

struct request {
    enum request_kind kind;
    int node; /* NODE_NONE: a person; answered by nothing */
    int member;
    int64_t lease;
    int64_t ttl_s;
    struct txn txn;
    int64_t timeout_us;
    int64_t late_us; /* on its way for that much longer */
    reply_fn *done;
    int64_t ctx;
};

void store_send(struct sim *sim, const struct request *request);
/* Nothing compared yet. */
struct txn txn_make(enum txn_kind kind, int node);
