#pragma once
/* A model of PostgreSQL: WAL as branches that promotions open, unclean stops, orphaned backends, the
 * checkpointer's delayed flag of synchronous replication, walsenders that obey a reload each at its own
 * time, the acknowledgement rules of synchronous_commit = on. Truth; what a node knows of it is
 * observed (observe.c). */
#include <stdbool.h>
#include <stdint.h>

#include "cluster/sync_state.h"
#include "cluster/timeline.h"
#include "sidecar/core/view.h"
#include "tests/sim/store.h"

enum { BRANCHES_MAX = 96, WAITERS_MAX = 8, RECORD = 100 };

/* WAL that one server wrote: everything of `parent` up to `fork`, then its own. */
struct branch {
    int parent; /* -1: of an initdb */
    lsn_t fork;
    lsn_t acked; /* the last commit that was acknowledged on it; LSN_NONE: none */
    uint64_t system_id;
    struct timeline timeline;
};

struct ssn {
    enum ssn_kind kind;
    node_set names;
};

/* A walsender on the primary, for the standby of that index. */
struct sender {
    bool connected;
    uint32_t conn;
    bool inflight;
    lsn_t flush;
    struct ssn ssn;    /* as this process has read it */
    int64_t broken_us; /* since when the network does not carry it; 0: it does */
};

struct pg {
    /* The volume. */
    enum data_dir dir;
    bool fresh;         /* a complete initdb waits beside */
    uint64_t system_id; /* of dir, or of the fresh one */
    int branch;
    lsn_t flush;
    lsn_t control; /* position that the control file tells */
    bool clean_stop, was_primary, standby_signal;
    lsn_t min_recovery; /* not consistent before */
    bool torn;          /* pg_rewind was cut short */
    bool lost;          /* the volume was lost or set back by a fault since it was last whole */
    struct ssn ssn_disk;

    /* The processes. */
    enum pg_state state;
    bool postmaster; /* lives */
    bool backends;   /* client backends may run */
    bool in_recovery;
    bool stop_told;
    bool promoting;
    bool blockers_ended;
    bool checkpointed;
    unsigned start_failures;
    int64_t since_us;
    struct ssn ssn; /* the postmaster's: what a new session shows */
    bool flag;      /* the checkpointer's: backends wait */
    int64_t checkpointer_busy_us;
    bool hung;       /* a backend that does not end when told */
    int64_t slow_us; /* each flush takes that much longer */
    bool recovered;

    /* As primary. */
    struct sender sender[DATA_MAX];
    lsn_t waiter[WAITERS_MAX];
    int n_waiters;
    lsn_t released;   /* commits up to here need not wait */
    int64_t moved_us; /* when waiters were last let go */
    bool probe_waits;

    /* As standby. */
    int upstream;
    bool connected;
    int connected_to;
    uint32_t conn;
    int64_t refused_us; /* since when the upstream refuses; 0: it does not */
    int64_t retry_us;
    int64_t broken_us;
};

struct sim;

void pg_init(struct sim *sim);
/* Connections, time-outs: every 100 ms. */
void pg_tick(struct sim *sim);

bool pg_tree_alive(const struct pg *pg);
bool pg_writable(const struct pg *pg);
/* Is (branch, lsn) part of the WAL that ends at (of, end)? */
bool wal_contains(const struct sim *sim, int of, lsn_t end, int branch, lsn_t lsn);
/* The last position common to both. */
lsn_t wal_common(const struct sim *sim, int a, lsn_t a_end, int b, lsn_t b_end);
int branch_new(struct sim *sim, int parent, lsn_t fork, uint64_t system_id);

void pg_start(struct sim *sim, int node, bool as_primary);
void pg_stop_fast(struct sim *sim, int node);
void pg_kill_tree(struct sim *sim, int node); /* by the guard: takes a moment */
void pg_dead(struct sim *sim, int node);      /* nothing is left, at once */
void pg_postmaster_crash(struct sim *sim, int node);
void pg_backend_crash(struct sim *sim, int node);
void pg_promote(struct sim *sim, int node);
void pg_set_ssn(struct sim *sim, int node, struct ssn ssn); /* on disk, and the reload */
lsn_t pg_commit(struct sim *sim, int node);                 /* one commit at `on` */
void pg_reload(struct sim *sim, int node);
void pg_cancel_waiters(struct sim *sim, int node);
void pg_disconnect(struct sim *sim, int node); /* standby: its receiver ends */

/* repl.c: WAL from primaries to standbys. */
void repl_send(struct sim *sim, int primary, int standby);
void repl_close_sender(struct sim *sim, int primary, int standby);
void repl_release(struct sim *sim, int primary, int standby);
void repl_tick(struct sim *sim, int standby);
int repl_priority(const struct sender *sender, int standby);
node_set repl_chosen(const struct sim *sim, int primary, int wanted);
