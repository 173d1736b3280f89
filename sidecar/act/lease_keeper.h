#pragma once
/* The lease of this process, kept alive beside the cycle on timers of its own (design part 3: L1,
 * L2, L3, L5, L7). Owns struct lease; nobody else writes it. It does not decide about the key:
 * taking, adopting and releasing are steps (act/steps_store.h), which tell it here what they did.
 *
 * Every ttl/4 one sequence (read, keepalive, read or transaction on the leader key) goes to one
 * endpoint; without an answer after ttl/8 a second one starts on another endpoint beside it. Each
 * renewal that counts moves the guard's deadline to held_until - margin. Members that do not lead
 * keep their lease alive in the same way: members/<name> lies under it.
 *
 * It is the owner's duty to call lease_keeper_alive() whenever a cycle or a local probe completes:
 * without that for stall_limit renewal stops (a dead head never holds the key for ever). */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/text.h"
#include "cluster/lease.h"
#include "loop/loop.h"
#include "sidecar/cluster.h"

struct lease_keeper;

/* Tells the guard; the keeper neither waits for the word nor needs it. */
typedef void lease_deadline_fn(void *arg, struct mono deadline, int64_t lease_id,
                               int64_t create_revision);
/* S7: the value of `pgvigil/confirmed` as it should be now; false: nothing to write (not a primary,
 * /sync names nobody, the position has not moved). `ret_sync_revision`: /sync's mod_revision that
 * it was computed with. */
typedef bool lease_confirmed_fn(void *arg, struct text *value, int64_t *ret_sync_revision);

struct lease_keeper_spec {
    struct loop *loop;
    struct etcd *etcd;
    struct cluster *cluster;
    int64_t ttl_ms;
    bool cpu_limited;              /* margin of L3 */
    int64_t stall_limit_ms;        /* 0: ttl */
    lease_deadline_fn *deadline;   /* NULL: no guard (witness: never takes the key) */
    lease_confirmed_fn *confirmed; /* NULL: never */
    loop_fn *changed;              /* the lease or its verdict is new; from the loop */
    void *arg;                     /* of the three */
};

/* Begins to ask for a lease at once, and goes on until it has one. */
struct lease_keeper *lease_keeper_new(const struct lease_keeper_spec *spec);
/* Forgets the lease; it lives on in the store until it runs out. */
struct lease_keeper *lease_keeper_free(struct lease_keeper *keeper);

/* For the view. Borrowed. */
const struct lease *lease_keeper_lease(const struct lease_keeper *keeper);
/* A cycle or a local probe has completed. */
void lease_keeper_alive(struct lease_keeper *keeper, struct mono now);
/* L8. `lifted`: the guard's word that the child runs without a deadline. `keep`: the pause lasts, so
 * that no deadline goes to the guard; without it the next renewal that counts ends the lift. */
void lease_keeper_set_lift(struct lease_keeper *keeper, bool lifted, bool keep);
/* L6: a round of /failsafe was accepted by all; `sent` and `ttl_ms` as lease_promised has them. Moves
 * the guard's deadline like a renewal. */
void lease_keeper_promised(struct lease_keeper *keeper, struct mono sent, int64_t ttl_ms);
/* The ttl that a round may count with: what the others can know of; 0: none. */
int64_t lease_keeper_promise_ms(const struct lease_keeper *keeper);
/* G1: the tree may still run and no guard says otherwise: neither renew nor release until false. */
void lease_keeper_suspend(struct lease_keeper *keeper, bool suspended);
/* The setting has changed: a lease of the new length is granted. Without the key it replaces the
 * former at once. With the key in hand the key is moved to it by a rewriting; a shorter ttl is
 * first counted with, until the guard's deadline does not lie beyond it any more. */
void lease_keeper_set_ttl(struct lease_keeper *keeper, int64_t ttl_ms);

/* --- for the steps --- */

/* A transaction that takes the key is about to be sent under our lease. */
void lease_keeper_tries(struct lease_keeper *keeper);
/* The key was created by us under this lease (lease_take). A renewal begins at once. False: it is not
 * our lease any more. */
bool lease_keeper_took(struct lease_keeper *keeper, int64_t lease_id,
                       const struct lease_taken *taken);
/* The key was rewritten under the lease that it had (L7): that of a former process of this name,
 * whose Postgres runs under the guard's deadline, or our own after its renewal came too late. */
struct lease_adoption {
    int64_t lease_id;
    int64_t create_revision;
    int64_t mod_revision;       /* of the rewriting */
    struct mono guard_deadline; /* the guard's word that the lease was held until a bit later;
                                   MONO_NEVER: nothing of Postgres runs, or it runs without a deadline
                                   (L8): the holding begins anew */
};
void lease_keeper_adopted(struct lease_keeper *keeper, const struct lease_adoption *adoption);
/* The guard is told again what the last renewal that counted gave it: it forgets a deadline with its child,
 * and the next renewal may be ttl/4 away. Nothing where that is over. */
void lease_keeper_repeat(struct lease_keeper *keeper);
/* Before a release is sent (L7): nothing is held from here on, whatever the reply. */
void lease_keeper_let_go(struct lease_keeper *keeper);
/* The lease was revoked, or it is not known what lies under it: forgotten, not renewed any more,
 * and another one is granted. */
void lease_keeper_forget(struct lease_keeper *keeper);
/* As forget, and it is revoked (nobody waits for the answer). Nothing of Postgres may run as
 * primary: what lies under the lease goes with it. */
void lease_keeper_give_up(struct lease_keeper *keeper);
/* A write said that this lease does not exist. */
void lease_keeper_missed(struct lease_keeper *keeper, int64_t lease_id);

/* What metrics and people want to know. */
struct lease_keeper_stats {
    uint64_t counted; /* renewals that counted */
    uint64_t unanswered;
    uint64_t elections; /* raft terms that changed while we looked */
    uint64_t
        elections_too_fast; /* of those, less than ttl after the one before: postpones expiry */
    enum lease_verdict last;
    struct mono last_at;
    bool stalled;               /* renewal has stopped because nothing completed for stall_limit */
    char problem[LIMIT_REASON]; /* why there is no lease, in words; "" none */
};
const struct lease_keeper_stats *lease_keeper_stats(const struct lease_keeper *keeper);
