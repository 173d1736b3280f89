/* Faults of nodes, sidecars, guards and etcd members. */
#include <string.h>

#include "tests/sim/faults.h"
#include "tests/sim/sim.h"

/* ---- nodes ------------------------------------------------------------------------------ */

static void etcd_down(struct sim *sim, int host)
{
    store_host_died(sim, host);
    sim_kill_proc(sim, host, PROC_ETCD);
}

static void on_etcd_up(struct sim *sim, const struct event *event)
{
    int host = (int)event->arg[0];
    if (!sim->host[host].alive || sim->store.restoring)
        return;
    for (int m = 0; m < ETCD_MEMBERS; m++) {
        struct raft_member *member = &sim->store.member[m];
        if (store_host(m) != host || member->up)
            continue;
        member->up = true;
        member->heard_us = sim->now_us;
    }
}

static void etcd_up(struct sim *sim, int host)
{
    struct event event = { .fn = on_etcd_up, .host = HOST_NONE, .arg = { host } };
    sim_at(sim, rng_range(&sim->rng, MS(200), SECONDS(2)), &event);
}

void host_down(struct sim *sim, int host)
{
    if (!sim->host[host].alive)
        return;
    if (host < sim->n) {
        node_die(sim, host);
        memset(&sim->guard[host], 0, sizeof(sim->guard[host]));
        pg_dead(sim, host);
    }
    etcd_down(sim, host);
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
    etcd_up(sim, host);
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
    if (!sim->node[fault->target].alive || sim->host[fault->target].frozen[PROC_GUARD] ||
        !sim->guard[fault->target].alive)
        return false;
    sidecar_crash(sim, fault->target, rng_tail(&sim->rng, MS(100), SECONDS(2)));
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

/* ---- etcd ------------------------------------------------------------------------------- */

/* Its disk is an emptyDir: it comes back as a learner. */
bool fault_witness_killed(struct sim *sim, struct fault *fault)
{
    (void)fault;
    if (!sim->host[WITNESS].alive)
        return false;
    host_down(sim, WITNESS);
    struct raft_member *member = &sim->store.member[ETCD_MEMBERS - 1];
    member->log = 0;
    member->rev = 1;
    member->term = 0;
    member->learner = sim->mutation != MUT_EMPTY_VOTES;
    return true;
}

void fault_witness_back(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    host_up(sim, WITNESS);
}

/* To the primary's own node, where it is lost together with it. */
bool fault_raft_moved(struct sim *sim, struct fault *fault)
{
    const struct kv *kv = store_now(sim);
    int to = kv->leader.exists ? kv->leader.owner : fault->target;
    return to < ETCD_MEMBERS - 1 && store_move_leader(sim, to);
}

bool fault_etcd_killed(struct sim *sim, struct fault *fault)
{
    int m = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1);
    if (!sim->store.member[m].up)
        return false;
    fault->a = store_host(m);
    etcd_down(sim, (int)fault->a);
    return true;
}

void fault_etcd_back(struct sim *sim, const struct fault *fault)
{
    etcd_up(sim, (int)fault->a);
}

bool fault_etcd_stopped(struct sim *sim, struct fault *fault)
{
    (void)fault;
    for (int m = 0; m < ETCD_MEMBERS; m++)
        etcd_down(sim, store_host(m));
    return true;
}

void fault_etcd_goes_on(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    for (int m = 0; m < ETCD_MEMBERS; m++)
        etcd_up(sim, store_host(m));
}

/* A person restores a snapshot: everybody is stopped for longer than any lease, then the keys are those
 * of a while ago, the leases begin anew. */
static void on_restored(struct sim *sim, const struct event *event)
{
    struct store *store = &sim->store;
    int64_t to = store->rev - event->arg[0];
    const struct kv *kv = to < 2 ? NULL : store_at(sim, to);
    if (kv == NULL || !kv->config.exists || kv->config.pause || kv->config.sync_off)
        to = store->rev;
    store->restoring = false;
    store->cluster_id++;
    for (int i = 0; i < HISTORY_MAX; i++)
        if (store->history[i].rev > to)
            store->history[i].rev = 0;
    store->rev = to;
    for (int i = 0; i < store->n_live; i++)
        store->lease[store->live[i]].gone_rev = to;
    store->n_live = 0;
    store->n_pending = 0;
    for (int64_t id = 1; id <= store->n_leases; id++) {
        bool lives = store->lease[id].granted_rev <= to;
        store->lease[id].gone_rev = lives ? 0 : 1;
        if (lives)
            store->live[store->n_live++] = (int)id;
    }
    for (int m = 0; m < ETCD_MEMBERS; m++) {
        store->member[m].rev = to;
        store->member[m].log = store->log;
        store->member[m].learner = false;
        etcd_up(sim, store_host(m));
    }
    /* Clients notice another cluster id: what they had is void. */
    for (int i = 0; i < sim->n; i++)
        sim->node[i].cache_void = true;
    sim->forgiven_mod = -1;
    say_line(sim, -1, "etcd: restored at revision %lld", (long long)to);
}

bool fault_store_restored(struct sim *sim, struct fault *fault)
{
    if (sim->now_us < SECONDS(40) || sim->restored)
        return false;
    sim->restored = true;
    sim->store.restoring = true;
    (void)fault_etcd_stopped(sim, fault);
    struct event event = { .fn = on_restored,
                           .host = HOST_NONE,
                           .arg = { rng_range(&sim->rng, 1, 200) } };
    sim_at(sim, MS(sim->ttl_ms) + SECONDS(3), &event);
    return true;
}

/* Where /sync of yesterday names nobody who can lead, the person chooses who has most. */
static void on_chosen(struct sim *sim, const struct event *event)
{
    const struct kv *kv = store_now(sim);
    int best = NODE_NONE;
    for (int i = 0; i < sim->n; i++)
        if (sim->pg[i].state == PG_UP &&
            (best == NODE_NONE || sim->pg[i].flush > sim->pg[best].flush))
            best = i;
    if (kv->leader.exists && pg_writable(&sim->pg[kv->leader.owner]))
        return;
    sim_at(sim, MS(sim->ttl_ms) + SECONDS(2), event);
    int member = store_raft_leader(sim);
    if (kv->leader.exists || best == NODE_NONE || member == NODE_NONE)
        return;
    struct request request = { .kind = REQ_TXN,
                               .node = NODE_NONE,
                               .member = member,
                               .txn = txn_make(TXN_FAILOVER, NODE_NONE) };
    request.txn.candidate = best;
    store_send(sim, &request);
}

/* A person accepts the store, and what it does not know of. */
static void on_accepted(struct sim *sim, const struct event *event)
{
    (void)event;
    sim->tainted = true;
    for (int i = 0; i < sim->n; i++) {
        sim->node[i].store_known = sim->store.cluster_id;
        sim->node[i].highest_sync_mod = 0;
        sim->node[i].accept_restored = true;
        node_wake(sim, i);
    }
    struct event chosen = { .fn = on_chosen, .host = HOST_NONE };
    sim_at(sim, SECONDS(6), &chosen);
}

void fault_store_accepted(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    struct event event = { .fn = on_accepted, .host = HOST_NONE };
    sim_at(sim, MS(sim->ttl_ms) + SECONDS(6), &event);
}

/* ---- guards ----------------------------------------------------------------------------- */

static void on_guard_back(struct sim *sim, const struct event *event)
{
    int i = (int)event->arg[0];
    if (!sim->host[i].alive || sim->guard[i].alive)
        return;
    /* The sidecar starts another guard once the former one's tree is gone. */
    if (pg_tree_alive(&sim->pg[i]) || !sim->node[i].alive) {
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
    sim->guard[i].alive = false;
    sim->guard[i].stop_requested = false;
    sim_kill_proc(sim, i, PROC_GUARD);
    pg_postmaster_crash(sim, i);
    sim->node[i].guard_connected = false;
    node_wake(sim, i);
    struct event event = { .fn = on_guard_back, .host = HOST_NONE, .arg = { i } };
    sim_at(sim, MS(100), &event);
    return true;
}

static void on_return(struct sim *sim, const struct event *event)
{
    host_up(sim, (int)event->arg[0]);
}

/* The pod ends when it has been handed over, or when the grace is over. */
static void on_stopping(struct sim *sim, const struct event *event)
{
    int i = (int)event->arg[0];
    const struct guard *guard = &sim->guard[i];
    bool over = sim->now_us - event->arg[1] > SECONDS(31);
    if (!sim->host[i].alive || !guard->alive || !guard->stop_requested)
        return;
    if (!guard->handed_over && !over) {
        sim_at(sim, MS(100), event);
        return;
    }
    host_down(sim, i);
    struct event back = { .fn = on_return, .host = HOST_NONE, .arg = { i } };
    sim_at(sim, rng_range(&sim->rng, SECONDS(1), SECONDS(10)), &back);
}

bool fault_planned_stop(struct sim *sim, struct fault *fault)
{
    int i = fault->target;
    if (!sim->guard[i].alive || sim->guard[i].stop_requested || !sim->host[i].alive ||
        sim->host[i].frozen[PROC_GUARD])
        return false;
    guard_stop(sim, i);
    struct event event = { .fn = on_stopping, .host = HOST_NONE, .arg = { i, sim->now_us } };
    sim_at(sim, MS(100), &event);
    return true;
}
