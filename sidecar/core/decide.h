#pragma once
/* The decision: a pure function of the view. A list of small named rules, the first that applies wins
 * (design part 2). The same view always gives the same decision. */
#include <stddef.h>

#include "base/limits.h"
#include "sidecar/core/view.h"

#define ACTIONS(X)                                                                                 \
    X(WAIT, "wait")                /* nothing to do now */                                         \
    X(FENCE, "fence")              /* kill Postgres at once */                                     \
    X(DEMOTE, "demote")            /* read-only before the lease ends, key not released */         \
    X(ADOPT, "adopt")              /* take over a running primary and its key (L5, L7) */          \
    X(RETAKE, "take the key anew") /* a primary whose key is gone and nobody else's (L6, L8) */    \
    X(LIFT, "lift the deadline")   /* L8: Postgres runs on whatever becomes of etcd */             \
    X(UNLIFT, "end the lift")      /* L8: the pause is over, and seen to be by the leader */       \
    X(ABANDON, "abandon")          /* give up a lease whose key is lost (L7) */                    \
    X(BOOTSTRAP, "bootstrap")      /* initdb and first start */                                    \
    X(FINISH_BOOTSTRAP, "finish bootstrap")                                                        \
    X(CLONE, "clone") /* base backup of the cluster */                                             \
    X(START_STANDBY, "start standby")                                                              \
    X(READ_WAL, "read WAL") /* does it reach what is confirmed? (S7) */                            \
    X(START_PRIMARY, "restart in place")                                                           \
    X(RELEASE, "release")    /* Postgres is gone: hand the key on */                               \
    X(TAKE, "take the key")  /* and promote */                                                     \
    X(PROMOTE, "promote")    /* the key is ours, Postgres is a standby */                          \
    X(HANDOVER, "hand over") /* switchover, or stop of a primary */                                \
    X(LEAVE, "leave")        /* stop of a standby */                                               \
    X(STOPPED, "stopped")    /* tell the guard that we are done */                                 \
    X(FOLLOW, "follow")      /* stream from another leader */                                      \
    X(REWIND, "rewind")                                                                            \
    X(RECLONE, "clone again")     /* wipe what the configuration allows, clone */                  \
    X(SYNC_SHRINK, "shrink sync") /* or align: /sync first, then the names (S2) */                 \
    X(SYNC_GROW, "grow sync")                                                                      \
    X(SYNC_OFF, "end sync") /* synchronous_mode went off: delete /sync */                          \
    X(CLEAR_FAILOVER, "clear failover request")                                                    \
    X(RESTART, "restart") /* a person asked */                                                     \
    X(RELOAD, "reload")                                                                            \
    X(SETTLE, "settle") /* what follows a promotion: checkpoint, slots, history */

#define ACTION_ENUM(name, text) ACT_##name,
enum action { ACTIONS(ACTION_ENUM) ACT_MAX };
#undef ACTION_ENUM

struct decision {
    enum action action;
    const char *rule;          /* name, for log, metrics and tests; never NULL */
    char reason[LIMIT_REASON]; /* the fact, in words */
    struct names names;        /* sync actions: the set that is wanted */
    char peer[LIMIT_NAME];     /* clone, follow, rewind: from whom; hand over: to whom, "" anyone */
    bool ask_peers;            /* a race needs the peers' positions: ask their REST API */
    bool accepts_loss;         /* a failover outside /sync that a person asked for (part 4) */
    bool refuses; /* nobody leads, and what keeps this member from it does not pass by itself */
};

struct decision decide(const struct view *view);

const char *action_name(enum action action);

/* The rules in their order, for --print-rules; NULL past the end. */
const char *decide_rule_name(size_t index);

/* May a running plan for `running` be cancelled in favour of `wanted`? Only safety interrupts: the
 * rest waits until the plan has ended or failed. */
bool decide_interrupts(enum action running, enum action wanted);
