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

void fault_etcd_ended(struct sim *sim, int host)
{
    etcd_down(sim, host);
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

/* What a former process of this name still has in mind, with the revisions that it knew. */
enum ghost { GHOST_RELEASE, GHOST_SYNC, GHOST_KEEPALIVE, GHOST_KINDS };

static void ghost_ignores(struct sim *sim, int node, int64_t ctx, const struct reply *reply)
{
    (void)sim;
    (void)node;
    (void)ctx;
    (void)reply;
}

/* arg: what and who, the key's create and mod revision, /sync's. */
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
        request.txn.standbys = (node_set)(rng_next(&sim->rng) & ((1u << sim->n) - 1) & ~(1u << i));
        if (sim->mutation == MUT_SYNC_NO_COMPARE)
            request.txn.cmp_sync_mod = request.txn.cmp_leader_mod = CMP_NONE;
        break;
    case GHOST_KEEPALIVE:
        request.kind = REQ_KEEPALIVE;
        request.lease = event->arg[1];
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
        int64_t what = rng_range(&sim->rng, 0, GHOST_KINDS - 1);
        struct event event = {
            .fn = on_ghost,
            .host = HOST_NONE,
            .arg = { (int64_t)i << 32 | what, what == GHOST_KEEPALIVE ? lease : kv->leader.create,
                     kv->leader.mod, kv->sync.exists ? kv->sync.mod : 0 },
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

static void on_unstuck_cut(struct sim *sim, const struct event *event)
{
    int node = (int)event->arg[0];
    fault_cut(sim, node, (int)event->arg[1]);
}

/* The raft leader beside the primary hangs (its disk), and goes on to answer keepalives. Its node is cut
 * off with it, joined as it recovers, and cut off again: what was renewed there last must not count. */
bool fault_raft_stuck(struct sim *sim, struct fault *fault)
{
    const struct kv *kv = store_now(sim);
    int m = store_raft_leader(sim);
    if (kv->leader.exists && kv->leader.owner < ETCD_MEMBERS - 1 && rng_chance(&sim->rng, 800)) {
        (void)store_move_leader(sim, kv->leader.owner);
        m = store_raft_leader(sim);
    }
    if (m == NODE_NONE)
        return false;
    int64_t most = MS(sim->ttl_ms) * 9 / 10;
    sim->store.member[m].stuck_us = sim->now_us + rng_range(&sim->rng, SECONDS(1), most);
    fault->a = NODE_NONE;
    if (store_host(m) == WITNESS || rng_chance(&sim->rng, 300))
        return true;
    fault->a = m;
    fault_cut(sim, m, 1);
    struct event event = { .fn = on_unstuck_cut, .host = HOST_NONE, .arg = { m, -1 } };
    int64_t joined = sim->store.member[m].stuck_us - sim->now_us - rng_range(&sim->rng, 0, MS(500));
    sim_at(sim, joined, &event);
    event.arg[1] = 1;
    sim_at(sim, joined + rng_tail(&sim->rng, MS(300), MS(300 + sim->ttl_ms / 4)), &event);
    fault->b = sim->now_us + joined + MS(300 + sim->ttl_ms / 4);
    return true;
}

void fault_raft_unstuck(struct sim *sim, const struct fault *fault)
{
    if (fault->a == NODE_NONE)
        return;
    struct event event = { .fn = on_unstuck_cut, .host = HOST_NONE, .arg = { fault->a, -1 } };
    sim_at(sim, fault->b - sim->now_us, &event);
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

static void freeze_etcd(struct sim *sim, bool frozen)
{
    for (int m = 0; m < ETCD_MEMBERS; m++)
        if (sim->host[store_host(m)].alive && !sim->host[store_host(m)].frozen[PROC_GUARD])
            sim_freeze(sim, store_host(m), PROC_ETCD, frozen);
}

/* As it goes on, leases have run out by its own count. */
bool fault_etcd_frozen(struct sim *sim, struct fault *fault)
{
    (void)fault;
    freeze_etcd(sim, true);
    return true;
}

void fault_etcd_thawed(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    freeze_etcd(sim, false);
}

/* arg: 1 stopped, 2 frozen. */
static void on_away(struct sim *sim, const struct event *event)
{
    struct fault none = { .kind = 0 };
    if (sim->healed_us != 0 || !store_now(sim)->config.pause)
        return;
    if (event->arg[0] == 1)
        (void)fault_etcd_stopped(sim, &none);
    else
        freeze_etcd(sim, true);
}

/* In pause a stay of etcd is survived without a deadline (L8). a: how it is away. */
bool fault_paused_alone(struct sim *sim, struct fault *fault)
{
    if (!fault_pause(sim, fault))
        return false;
    fault->a = rng_range(&sim->rng, 0, 2);
    struct event event = { .fn = on_away, .host = HOST_NONE, .arg = { fault->a } };
    if (fault->a != 0)
        sim_at(sim, rng_tail(&sim->rng, 0, SECONDS(4)), &event);
    return true;
}

void fault_resumed_alone(struct sim *sim, const struct fault *fault)
{
    if (fault->a == 1)
        fault_etcd_goes_on(sim, fault);
    if (fault->a == 2)
        freeze_etcd(sim, false);
    fault_resume(sim, fault);
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
    if (kv->leader.exists || best == NODE_NONE || member == NODE_NONE || fault_lifted(sim))
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
    /* A lift of which this store knows nothing: whoever runs under it is ended first. */
    for (int i = 0; i < sim->n; i++)
        if (sim->guard[i].deadline.lifted && link_up(sim, i, i))
            pg_kill_tree(sim, i);
    if (fault_lifted(sim)) {
        sim_at(sim, MS(200), event);
        return;
    }
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
