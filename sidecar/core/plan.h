#pragma once
/* From an action to a bounded, ordered list of steps: the one place that knows the orders that protect
 * data (S2, S4, L4, G1). Pure. Every step is idempotent and has a deadline; a step that fails ends the
 * plan; a crash between any two steps is repaired by the next cycle. */
#include <stddef.h>
#include <stdint.h>

#include "sidecar/core/decide.h"
#include "sidecar/core/view.h"

/* Names, and what success of the step means. "CAS" = one etcd transaction that compares what is said.
 * Every write of the store that concerns /sync compares /sync's mod_revision and the leader key's
 * mod_revision as of the view or of the plan's own last write (S3). */
#define STEPS(X)                                                                                   \
    /* --- store --- */                                                                            \
    X(CREATE_INITIALIZE, "create initialize") /* CAS absent; empty value under our lease */        \
    X(WRITE_INITIALIZE, "write initialize") /* CAS its create_revision; the system id, no lease */ \
    X(WRITE_CONFIG, "write config")         /* CAS absent */                                       \
    X(TAKE_KEY, "take key")         /* L7, L8: CAS leader absent, holder record unchanged,\
                                                /sync and config unchanged; writes holder record */        \
    X(ADOPT_KEY, "adopt key")       /* L7: CAS create_revision of the guard's cookie */            \
    X(MARK_LIFTED, "mark the lift") /* L8: CAS leader, holder record, config; the record says  \
                                                that the holder may run without a deadline */   \
    X(CLEAR_LIFTED, "clear the lift's mark") /* L8: CAS leader, holder record */                   \
    X(RELEASE_KEY, "release key")       /* L7: CAS create_ and mod_revision; marks the holder \
                                                record; writes /failover for step.name if given.   \
                                                From sending on nothing is held */    \
    X(REVOKE_LEASE, "revoke lease")     /* gives the lease up, then a new one is granted */        \
    X(WRITE_SYNC, "write /sync")        /* CAS; {leader: self, standbys: step.names}; also    \
                                                compares the data ids of the names */    \
    X(DELETE_SYNC, "delete /sync")      /* CAS as WRITE_SYNC: synchronous mode ends */             \
    X(DROP_CONFIRMED, "drop confirmed") /* CAS; a person gave up what was confirmed (S7) */        \
    X(CLEAR_FAILOVER, "clear failover") /* CAS; value {} */                                        \
    X(WRITE_DATA_ID, "write data id")   /* a new id of this member's data (S2) */                  \
    X(ASK_OUT, "ask to leave /sync")    /* nosync in our member key is published */                \
    X(AWAIT_OUT, "await leaving /sync") /* /sync does not name us */                               \
    X(WRITE_HISTORY, "write history")                                                              \
    /* --- guard --- */                                                                            \
    X(GUARD_DEADLINE, "guard deadline") /* the guard acknowledged a live deadline of this key \
                                                after a renewal that counts (L4) */    \
    X(GUARD_LIFT, "lift the guard's deadline") /* L8: told to, with this key's cookie; success: \
                                                the guard says that it is lifted */  \
    X(STOP_FAST, "fast stop")         /* told to; success: nothing of the tree runs (G1) */        \
    X(KILL_TREE, "kill")              /* success: nothing of the tree runs (G1) */                 \
    X(HANDED_OVER, "handed over")     /* the guard need not wait any longer (G2) */                \
    X(START_STANDBY, "start standby") /* conf written, standby.signal, SSN empty; started */       \
    X(START_PRIMARY, "start primary") /* conf written with step.ssn and step.names on disk, \
                                                no standby.signal; started under the cookie of     \
                                                this key */      \
    /* --- postgres --- */                                                                         \
    X(READ_WAL, "read local WAL")          /* from the latest checkpoint to what is confirmed */   \
    X(INITDB, "initdb")                    /* into <data>.new, with our mark, fsynced */           \
    X(ADOPT_NEW, "move initdb into place") /* rename <data>.new */                                 \
    X(CREATE_ROLES, "create roles")                                                                \
    X(REACH_LEADER, "reach the leader") /* step.name answers as a primary: keys may outlive it */  \
    X(BASE_BACKUP, "base backup")       /* from step.name, into <data>.new, then renamed */        \
    X(REMOVE_DATA, "remove data")       /* only where the configuration or a person said so */     \
    X(REWIND, "pg_rewind")              /* from step.name; nothing needed is success */            \
    X(FOLLOW, "set primary_conninfo")   /* step.name ("": nobody), by reload */                    \
    X(END_BLOCKERS, "end blocking sessions") /* max_standby_*_delay = 0 by reload (part 6) */      \
    X(PROMOTE, "pg_promote")                 /* sent */                                            \
    X(AWAIT_PRIMARY, "await primary")        /* not in recovery any more */                        \
    X(CHECKPOINT, "checkpoint")                                                                    \
    X(PROBE_FREE, "see a commit not wait") /* S2: a probe commit at `on` returned */               \
    X(SET_SSN, "set synchronous names")    /* kind and names of the step; on disk, then reload;  \
                                                success: fsynced and the reload was sent */ \
    X(AWAIT_SSN_SHOWN, "await names shown") /* a new session shows the value */                    \
    X(PROBE_WAITS, "see a commit wait")  /* S2: a probe commit waits for SyncRep, and every    \
                                                walsender is at sync_priority 0 */   \
    X(READ_FLUSH, "read flush position") /* kept for AWAIT_SYNC of this plan */                    \
    X(AWAIT_SYNC, "await sync")          /* S2: each name: exactly one walsender, holding its  \
                                                slot, "sync", flushed past that position */   \
    X(WAKE_WAITERS, "wake waiters")    /* commits that waited under the former names are looked \
                                                at again: a record is written once the names are  \
                                                sync, and the answer to it releases them */  \
    X(AWAIT_RECEIVED, "await standby") /* step.name ("" any of step.names) has the shutdown  \
                                                record of a clean stop */     \
    X(WRITE_CONF, "write configuration") /* files rewritten where they differ */                   \
    X(RELOAD, "reload")                                                                            \
    X(SLOTS, "member slots") /* created and dropped as the members say */

#define STEP_ENUM(name, text) STEP_##name,
enum step_kind { STEPS(STEP_ENUM) STEP_MAX };
#undef STEP_ENUM

struct step {
    enum step_kind kind;
    int64_t deadline_ms; /* from its start; 0: as long as the plan may run */
    bool optional;       /* its failure is logged and the plan goes on */
    char name[LIMIT_NAME];
    enum ssn_kind ssn;  /* SET_SSN, AWAIT_SSN_SHOWN, START_PRIMARY */
    struct names names; /* WRITE_SYNC, SET_SSN, AWAIT_SYNC, START_PRIMARY, AWAIT_RECEIVED */
};

struct plan {
    enum action action;
    size_t n;
    struct step steps[LIMIT_STEPS];
};

/* The steps for a decision. ACT_WAIT gives an empty plan. */
struct plan plan_make(const struct view *view, const struct decision *decision);

const char *step_name(enum step_kind kind);
