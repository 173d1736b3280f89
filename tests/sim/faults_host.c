/* Faults of nodes, sidecars and guards. */
#include <string.h>

#include "tests/sim/faults.h"
#include "tests/sim/sim.h"

/* ---- nodes ------------------------------------------------------------------------------ */

void host_down(struct sim *sim, int host)
{
    if (!sim->host[host].alive)
        return;
    if (host < sim->n) {
        node_die(sim, host);
        memset(&sim->guard[host], 0, sizeof(sim->guard[host]));
        pg_dead(sim, host);
    }
    fault_etcd_ended(sim, host);
    sim->host[host].alive = false;
    for (int proc = 0; proc < PROC_MAX; proc++)
        sim_kill_proc(sim, host, (enum proc)proc);
}

static void on_node_boot(struct sim *sim, const struct event *event)
{
    node_boot(sim, (int)event->arg[0]);
}

void host_up(struct sim *sim, int host)
{
    if (sim->host[host].alive)
        return;
    sim->host[host].alive = true;
    fault_etcd_begins(sim, host);
    if (host >= sim->n || host == WITNESS)
        return;
    sim->guard[host].alive = true;
    struct event event = { .fn = on_node_boot, .host = HOST_NONE, .arg = { host } };
    sim_at(sim, rng_range(&sim->rng, MS(100), SECONDS(2)), &event);
}

bool fault_node_killed(struct sim *sim, struct fault *fault)
{
    if (!sim->host[fault->target].alive)
        return false;
    host_down(sim, fault->target);
    return true;
}

void fault_node_back(struct sim *sim, const struct fault *fault)
{
    host_up(sim, fault->target);
}

static void freeze(struct sim *sim, int host, bool frozen)
{
    for (int proc = 0; proc < PROC_MAX; proc++)
        sim_freeze(sim, host, (enum proc)proc, frozen);
}

bool fault_node_frozen(struct sim *sim, struct fault *fault)
{
    const struct host *host = &sim->host[fault->target];
    if (!host->alive || host->frozen[PROC_SIDECAR] || host->frozen[PROC_GUARD])
        return false;
    freeze(sim, fault->target, true);
    return true;
}

void fault_node_thawed(struct sim *sim, const struct fault *fault)
{
    if (!sim->host[fault->target].alive)
        return;
    sim->host[fault->target].thawed_us = sim->now_us;
    freeze(sim, fault->target, false);
    check_thawed(sim, fault->target);
}

/* ---- sidecars --------------------------------------------------------------------------- */

bool fault_sidecar_killed(struct sim *sim, struct fault *fault)
{
    const struct node *node = &sim->node[fault->target];
    if (!node->alive || sim->host[fault->target].frozen[PROC_GUARD] ||
        !sim->guard[fault->target].alive)
        return false;
    if (sim->focus != NULL && sim->focus->kills_promised && !lease_by_promise(&node->lease))
        return false;
    sidecar_crash(sim, fault->target, rng_tail(&sim->rng, MS(100), SECONDS(2)));
    return true;
}

/* What a former process of this name still has in mind, with the revisions that it knew. */
enum ghost { GHOST_RELEASE, GHOST_SYNC, GHOST_KEEPALIVE, GHOST_FAILSAFE, GHOST_KINDS };

static void ghost_ignores(struct sim *sim, int node, int64_t ctx, const struct reply *reply)
{
    (void)sim;
    (void)node;
    (void)ctx;
    (void)reply;
}

static node_set any_members(struct sim *sim)
{
    return (node_set)(rng_next(&sim->rng) & ((1u << sim->n) - 1));
}

/* arg: what and who, the key's create and mod revision, that of /sync or /failsafe. */
static void on_ghost(struct sim *sim, const struct event *event)
{
    int i = (int)(event->arg[0] >> 32);
    const struct node *node = &sim->node[i];
    enum ghost what = (enum ghost)(event->arg[0] & 0xff);
    /* Whoever leads by then has adopted the key, or taken it anew. */
    if (what != GHOST_KEEPALIVE && !(node->alive && node->lease.owns_key)) {
        if (store_now(sim)->leader.exists && store_now(sim)->leader.create == event->arg[1])
            sim_at(sim, MS(200), event);
        return;
    }
    struct request request = { .node = i,
                               .member = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1),
                               .timeout_us = SECONDS(1),
                               .done = ghost_ignores };
    request.txn = txn_make(TXN_RELEASE, i);
    request.txn.cmp_leader_create = event->arg[1];
    request.txn.cmp_leader_mod = event->arg[2];
    switch (what) {
    case GHOST_RELEASE:
        request.kind = REQ_TXN;
        if (sim->mutation == MUT_RELEASE_BY_NAME) {
            request.txn.cmp_leader_create = request.txn.cmp_leader_mod = CMP_NONE;
            request.txn.cmp_leader_owner = i;
        }
        break;
    case GHOST_SYNC:
        request.kind = REQ_TXN;
        request.txn.kind = TXN_SYNC;
        request.txn.cmp_sync_mod = event->arg[3];
        request.txn.cmp_leader_create = CMP_NONE;
        request.txn.standbys = any_members(sim) & (node_set) ~(1u << i);
        if (sim->mutation == MUT_SYNC_NO_COMPARE)
            request.txn.cmp_sync_mod = request.txn.cmp_leader_mod = CMP_NONE;
        break;
    case GHOST_KEEPALIVE:
        request.kind = REQ_KEEPALIVE;
        request.lease = event->arg[1];
        break;
    case GHOST_FAILSAFE:
        request.kind = REQ_TXN;
        request.txn.kind = TXN_FAILSAFE;
        request.txn.cmp_failsafe_mod = event->arg[3];
        request.txn.standbys = any_members(sim) | (node_set)(1u << i);
        break;
    case GHOST_KINDS:
        return;
    }
    if (sim->host[i].alive)
        store_send(sim, &request);
}

/* Two processes of one name: a second one takes over, and the first goes on for a while with what it
 * knew. The guard serves the second alone. */
bool fault_two_of_one_name(struct sim *sim, struct fault *fault)
{
    int i = fault->target;
    const struct node *node = &sim->node[i];
    const struct kv *kv = &node->cache;
    if (!node->lease.owns_key || !node->lease.held_once || !kv->leader.exists ||
        kv->leader.mod != node->lease.mod_revision || sim->host[i].frozen[PROC_SIDECAR])
        return false;
    int64_t lease = node->lease.id;
    if (!fault_sidecar_killed(sim, fault))
        return false;
    for (int64_t n = rng_range(&sim->rng, 1, 4); n > 0; n--) {
        int64_t what = rng_range(&sim->rng, 0, GHOST_KINDS - 1 - !sim->failsafe);
        int64_t list = what == GHOST_FAILSAFE ? kv->failsafe.mod
                       : kv->sync.exists      ? kv->sync.mod
                                              : 0;
        struct event event = {
            .fn = on_ghost,
            .host = HOST_NONE,
            .arg = { (int64_t)i << 32 | what, what == GHOST_KEEPALIVE ? lease : kv->leader.create,
                     kv->leader.mod, list },
        };
        sim_at(sim, rng_tail(&sim->rng, MS(50), SECONDS(8)), &event);
    }
    return true;
}

bool fault_sidecar_away(struct sim *sim, struct fault *fault)
{
    if (!sim->node[fault->target].alive || sim->host[fault->target].frozen[PROC_GUARD] ||
        !sim->guard[fault->target].alive)
        return false;
    node_die(sim, fault->target);
    return true;
}

void fault_sidecar_back(struct sim *sim, const struct fault *fault)
{
    node_boot(sim, fault->target);
}

bool fault_sidecar_stopped(struct sim *sim, struct fault *fault)
{
    if (!sim->node[fault->target].alive || sim->host[fault->target].frozen[PROC_SIDECAR] ||
        !sim->guard[fault->target].alive)
        return false;
    sim_freeze(sim, fault->target, PROC_SIDECAR, true);
    return true;
}

void fault_sidecar_goes_on(struct sim *sim, const struct fault *fault)
{
    sim_freeze(sim, fault->target, PROC_SIDECAR, false);
}

/* ---- guards ----------------------------------------------------------------------------- */

static void on_guard_back(struct sim *sim, const struct event *event)
{
    int i = (int)event->arg[0];
    if (!sim->host[i].alive || sim->guard[i].alive)
        return;
    /* The sidecar ends what the former guard started, whatever the plan that runs waits for, and starts
     * another one once that is gone. */
    bool sees = sim->node[i].alive && sim_lives(sim, i, PROC_SIDECAR);
    if (sees && pg_tree_alive(&sim->pg[i]))
        pg_kill_tree(sim, i);
    if (pg_tree_alive(&sim->pg[i]) || !sees) {
        sim_at(sim, MS(100), event);
        return;
    }
    memset(&sim->guard[i], 0, sizeof(sim->guard[i]));
    sim->guard[i].alive = true;
    guard_connect(sim, i);
}

bool fault_guard_starved(struct sim *sim, struct fault *fault)
{
    if (!sim->guard[fault->target].alive || sim->host[fault->target].frozen[PROC_GUARD])
        return false;
    sim_freeze(sim, fault->target, PROC_GUARD, true);
    return true;
}

void fault_guard_runs(struct sim *sim, const struct fault *fault)
{
    if (!sim->host[fault->target].frozen[PROC_POSTGRES])
        sim_freeze(sim, fault->target, PROC_GUARD, false);
}

/* A guard that is the sidecar's own: the postmaster dies with it, its backends do not. */
bool fault_guard_killed(struct sim *sim, struct fault *fault)
{
    int i = fault->target;
    /* With the sidecar gone at the same time nobody is left to end what the guard started. */
    if (!sim->guard[i].alive || !sim->node[i].alive || sim->host[i].frozen[PROC_GUARD] ||
        sim->host[i].frozen[PROC_SIDECAR])
        return false;
    guard_left(sim, i);
    sim->guard[i].alive = false;
    sim->guard[i].stop.requested = false;
    sim_kill_proc(sim, i, PROC_GUARD);
    pg_postmaster_crash(sim, i);
    node_wake(sim, i);
    struct event event = { .fn = on_guard_back, .host = HOST_NONE, .arg = { i } };
    sim_at(sim, MS(100), &event);
    return true;
}

static void on_return(struct sim *sim, const struct event *event)
{
    host_up(sim, (int)event->arg[0]);
}

/* The pod ends when its guard has, or is killed when the grace is over. arg: node, when that is. */
static void on_stopping(struct sim *sim, const struct event *event)
{
    int i = (int)event->arg[0];
    const struct guard *guard = &sim->guard[i];
    bool over = sim->now_us >= event->arg[1];
    if (!sim->host[i].alive || !guard->alive || !guard->stop.requested)
        return;
    if (!guard->exited && !over) {
        sim_at(sim, MS(50), event);
        return;
    }
    check_stopped(sim, i);
    host_down(sim, i);
    struct event back = { .fn = on_return, .host = HOST_NONE, .arg = { i } };
    sim_at(sim, rng_range(&sim->rng, SECONDS(1), SECONDS(10)), &back);
}

bool fault_planned_stop(struct sim *sim, struct fault *fault)
{
    int i = fault->target;
    if (!sim->guard[i].alive || sim->guard[i].stop.requested || !sim->host[i].alive ||
        sim->host[i].frozen[PROC_GUARD] || sim->guard[i].blind)
        return false;
    int64_t grace_ms = rng_chance(&sim->rng, 500) ? 10000 : 30000;
    guard_stop(sim, i, grace_ms);
    struct event event = { .fn = on_stopping,
                           .host = HOST_NONE,
                           .arg = { i, sim->now_us + MS(grace_ms) } };
    sim_at(sim, MS(50), &event);
    return true;
}

/* Two pods on one volume: the second one's guard finds what the first one's started still there. Its
 * sidecar is a new one too; nobody answers for the first any more. */
bool fault_two_guards(struct sim *sim, struct fault *fault)
{
    int i = fault->target;
    if (!sim->guard[i].alive || sim->guard[i].stop.requested || sim->guard[i].blind ||
        !sim->node[i].alive || !sim->pg[i].postmaster || sim->host[i].frozen[PROC_GUARD] ||
        sim->host[i].frozen[PROC_SIDECAR])
        return false;
    guard_second(sim, i);
    sidecar_crash(sim, i, rng_tail(&sim->rng, MS(100), SECONDS(3)));
    return true;
}

void fault_former_guard_ended(struct sim *sim, const struct fault *fault)
{
    guard_former_killed(sim, fault->target);
}
