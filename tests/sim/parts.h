#pragma once
/* What the parts of the simulation offer to each other: invariants, guard, faults. */
#include "base/instant.h"
#include "sidecar/guard/cookie.h"
#include "tests/sim/store.h"

struct sim;
struct txn;

/* check.c */
void check_broken(struct sim *sim, const char *invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void check_key(struct sim *sim); /* the leader key has changed */
void check_taken(struct sim *sim, const struct txn *txn);
void check_writable(struct sim *sim, int node); /* Postgres has begun to accept writes */
void check_replaced(struct sim *sim, int node);
void check_leader_lived(struct sim *sim, int node);
void check_promoting(struct sim *sim, int node);
bool check_acked(struct sim *sim, int node, lsn_t lsn); /* false: it is not counted */
void check_sync(struct sim *sim);                       /* /sync or somebody's WAL has changed */
void check_thawed(struct sim *sim, int host);
void check_tick(struct sim *sim);
void check_stopped(struct sim *sim, int node); /* the grace of its stop is over */
void check_forgive(struct sim *sim, int node); /* a person accepted what this node lacks */

/* guard.c */
void guard_offer(struct sim *sim, int node, struct mono at, struct guard_cookie cookie);
void guard_arm(struct sim *sim, int node);
void guard_tree_gone(struct sim *sim, int node);
void guard_connect(struct sim *sim, int node);
void guard_tell(struct sim *sim, int node);
void guard_heard(struct sim *sim, int node);
void guard_left(struct sim *sim, int node); /* its sidecar has ended */
void guard_stop(struct sim *sim, int node, int64_t grace_ms);
/* Another guard begins on this PGDATA while the former one's tree runs; and the former one's end. */
void guard_second(struct sim *sim, int node);
void guard_former_killed(struct sim *sim, int node);

/* faults.c */
void faults_plan(struct sim *sim);
const char *fault_name(int fault);
