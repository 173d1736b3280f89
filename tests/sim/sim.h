#pragma once
/* A whole cluster from a seed: hosts with clocks, the network between them, etcd, Postgres, guards and
 * sidecars; faults; the invariants. One struct, no globals, reused from seed to seed. */
#include <stdbool.h>
#include <stdint.h>

#include "sidecar/guard/deadline.h"
#include "sidecar/guard/stop.h"
#include "tests/sim/focus.h"
#include "tests/sim/formation.h"
#include "tests/sim/mutate.h"
#include "tests/sim/node.h"
#include "tests/sim/pg.h"
#include "tests/sim/queue.h"
#include "tests/sim/rng.h"
#include "tests/sim/store.h"
#include "tests/sim/store_model.h"

enum { WITNESS = DATA_MAX, HOSTS = DATA_MAX + 1 };
enum { FORMATION_EVERY = 10 }; /* seeds */
enum { RULES_MAX = 96, FAULTS_MAX = 48, TRACE_LINES = 3000, TRACE_LINE = 200 };

#define MS(n) ((int64_t)(n) * 1000)
#define SECONDS(n) ((int64_t)(n) * 1000000)

struct host {
    bool alive;
    bool frozen[PROC_MAX];
    uint32_t epoch[PROC_MAX];
    int64_t thawed_us; /* when the host as a whole went on after a freeze; 0 never */
    int64_t ppm;
    int64_t offset_us;
};

struct guard {
    bool alive;
    struct deadline deadline;
    struct stop stop, etcd_stop; /* G2; the latter is the guard of the node's etcd */
    int64_t stop_began_us;
    bool exited, etcd_exited;
    bool killing;
    uint32_t conn; /* of the sidecar that is served */
    bool connected;
    struct mono since; /* when the last sidecar left */
    /* G3: another guard's tree runs on this PGDATA, under that guard's deadline. */
    bool blind;
    struct deadline former;
};

struct counters {
    uint64_t fault[FAULTS_MAX];
    uint64_t rule[RULES_MAX];
    uint64_t step[STEP_MAX];
    struct formation_counts formation;
    uint64_t rounds, lifts, retakes; /* L6, L8 */
    uint64_t forgiven, leader_changes, promotions, acked, events, cycles;
};

struct sim {
    uint64_t seed;
    struct rng rng;
    int64_t now_us;
    int64_t end_us;
    struct queue queue;
    struct event stash[QUEUE_MAX / 4];
    int n_stash;

    int n; /* data nodes */
    int64_t ttl_ms;
    bool sync_on, strict, rewind, failsafe;
    bool restored;
    int64_t restored_rev; /* what stands in the store since before that, nobody holds */
    bool tainted;         /* a fault that breaks S1 by itself: losses are not counted */
    struct host host[HOSTS];
    uint8_t cut[HOSTS][HOSTS]; /* from, to: how many partitions cut it */
    uint8_t repl_cut[HOSTS][HOSTS];
    bool no_failover[DATA_MAX]; /* its tag */
    int64_t tag_until_us;
    int64_t flap_until_us[DATA_MAX];
    bool etcd_may_go; /* between the beginning and the end of "cluster paused, then etcd away" */
    int loss_permille;
    int64_t delay_us; /* added to every message, now and then */

    struct store store;
    struct branch branch[BRANCHES_MAX];
    int n_branches;
    struct pg pg[DATA_MAX];
    struct guard guard[DATA_MAX];
    struct node node[DATA_MAX];

    enum mutation mutation;
    const struct focus *focus; /* NULL: the common dice */
    bool quiet;                /* after healing: liveness counts */
    int64_t healed_us;
    bool healed_primary, healed_copies; /* seen since then */
    int64_t stalled_us[DATA_MAX];
    bool loss_forgiven;
    int64_t forgiven_mod; /* of `confirmed`, which a person gave up */
    int last_leader;
    const char *broken; /* the invariant, NULL: none */
    char broken_why[256];
    struct counters counters;
    bool tracing;
    int n_trace;
    char (*trace)[TRACE_LINE];
};

/* sim.c */
/* Who has the tag `clonefrom`, in every second life: no dice, so that the other lives stay what they were. */
static inline int sim_clonefrom(const struct sim *sim)
{
    return (int)(sim->seed % (2 * DATA_MAX));
}
/* A life with the faults that `focus` (which may be MUT_NONE) is about. */
void sim_init(struct sim *sim, uint64_t seed, enum mutation mutation, enum mutation focus);
void sim_run(struct sim *sim);
void sim_at(struct sim *sim, int64_t delay_us, const struct event *event);
bool sim_lives(const struct sim *sim, int host, enum proc proc);
void sim_freeze(struct sim *sim, int host, enum proc proc, bool frozen);
void sim_kill_proc(struct sim *sim, int host, enum proc proc);
bool link_up(const struct sim *sim, int from, int to);
bool repl_up(const struct sim *sim, int from, int to);
/* A message; lost when the network does not carry it. */
void net_send(struct sim *sim, int from, const struct event *event);
void say_line(struct sim *sim, int node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#include "tests/sim/parts.h"
