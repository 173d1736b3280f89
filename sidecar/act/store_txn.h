#pragma once
/* One compare-and-write on the cluster's keys (names without the prefix), told from begin to end:
 * what succeeded is in the table at once; a lost compare says which number is different and brings
 * the present values into the table; a lost reply is asked for again until the deadline.
 *
 * Asking again is safe: the compares make a second run of the same transaction fail once the first
 * one was done, and what it wrote is then recognised by its content. */
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "etcd/kv.h"
#include "loop/loop.h"
#include "sidecar/cluster.h"

struct store_txn;

/* ERR_OK with the revision; ERR_CONFLICT; ERR_TIMEOUT: it may have happened, and the table does not
 * know; ERR_NOT_FOUND: the lease of a put is gone; else as the client says. */
typedef void store_txn_fn(void *arg, enum err_code code, const struct err *err, int64_t revision);

struct store_txn *store_txn_new(struct loop *loop, struct etcd *etcd, struct cluster *cluster);
/* Cancels; it may have been sent. NULL is fine; returns NULL. */
struct store_txn *store_txn_free(struct store_txn *txn);

/* Equal; 0 of an absent key. */
void store_txn_expect(struct store_txn *txn, const char *name, enum etcd_target target,
                      int64_t number);
/* Not written after `revision`: its mod revision is at most that. */
void store_txn_expect_until(struct store_txn *txn, const char *name, int64_t revision);
void store_txn_put(struct store_txn *txn, const char *name, const char *value, int64_t lease);
void store_txn_delete(struct store_txn *txn, const char *name);

/* Of the reply that said that it was done, in `done` and later; zeros where an earlier try may have done
 * it. */
struct store_txn_reply {
    uint64_t term;
    uint64_t member_id;
};
struct store_txn_reply store_txn_reply(const struct store_txn *txn);

/* Once. `done` may free it. */
void store_txn_send(struct store_txn *txn, struct mono deadline, store_txn_fn *done, void *arg);
