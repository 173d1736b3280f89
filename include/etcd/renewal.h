#pragma once
/* One renewal sequence of L1 on one endpoint: (read,) keepalive, read or transaction of the leader
 * key. It only collects what cluster/lease.h judges. Two of them may run at the same time on two
 * endpoints (design part 3: the second one starts after ttl/8). */
#include "base/instant.h"
#include "base/limits.h"
#include "etcd/kv.h"

struct etcd_renewal;

struct etcd_renewal_spec {
    const char *leader_key;
    int64_t lease;
    int endpoint;       /* an index */
    int64_t timeout_ms; /* for the whole sequence */
    /* The last reply of that very member, when the caller has one: then the first read, whose only
     * use is the term, is left out. 0: not known. */
    uint64_t known_member_id;
    uint64_t known_term;
    /* NULL: a linearizable read ends the sequence. Else this transaction does (S7); in both branches
     * the last operation must be a range of the leader key. Copied. */
    const struct etcd_txn *txn;
};

struct etcd_renewal_result {
    struct etcd_outcome outcome; /* of the last step; not ERR_OK: the sequence broke there */
    bool complete;               /* every step was answered, all by the same member */
    struct mono sent;            /* CLOCK_BOOTTIME, taken before the keepalive was sent */
    uint64_t member_id;          /* of the keepalive's reply: for the next known_member_id */
    uint64_t term_before;        /* raft_term of the reply before the keepalive */
    uint64_t term_keepalive;
    uint64_t term_read;
    int64_t revision;        /* of the last reply */
    int64_t keepalive_ttl_s; /* 0: the lease is gone */
    bool txn_succeeded;
    bool no_space; /* E5: the transaction was refused; a read ended the sequence */
    bool key_exists;
    char key_value[LIMIT_NAME];
    int64_t key_lease;
    int64_t key_create_revision;
    int64_t key_mod_revision;
};
typedef void etcd_renewal_fn(void *arg, const struct etcd_renewal_result *result);

/* `done` exactly once, from the loop; it may free the sequence. */
struct etcd_renewal *etcd_renewal_start(struct etcd *etcd, const struct etcd_renewal_spec *spec,
                                        etcd_renewal_fn *done, void *arg);
/* Cancels. NULL is fine; returns NULL. Free it before the client. */
struct etcd_renewal *etcd_renewal_free(struct etcd_renewal *renewal);
