/* Faults of etcd: members, raft, what a person does to the store. */
#include "base/text.h"
#include "sidecar/core/accept.h"
#include "tests/sim/faults.h"
#include "tests/sim/sim.h"

void fault_etcd_ended(struct sim *sim, int host)
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

void fault_etcd_begins(struct sim *sim, int host)
{
    struct event event = { .fn = on_etcd_up, .host = HOST_NONE, .arg = { host } };
    sim_at(sim, rng_range(&sim->rng, MS(200), SECONDS(2)), &event);
}

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
    fault_etcd_ended(sim, (int)fault->a);
    return true;
}

void fault_etcd_back(struct sim *sim, const struct fault *fault)
{
    fault_etcd_begins(sim, (int)fault->a);
}

bool fault_etcd_stopped(struct sim *sim, struct fault *fault)
{
    (void)fault;
    for (int m = 0; m < ETCD_MEMBERS; m++)
        fault_etcd_ended(sim, store_host(m));
    return true;
}

void fault_etcd_goes_on(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    for (int m = 0; m < ETCD_MEMBERS; m++)
        fault_etcd_begins(sim, store_host(m));
}

/* arg: host, frozen. A host that stands still as a whole goes on as a whole: its turn comes then. */
static void on_freeze(struct sim *sim, const struct event *event)
{
    int host = (int)event->arg[0];
    bool frozen = event->arg[1] != 0;
    if (!sim->host[host].alive)
        return;
    if (!sim->host[host].frozen[PROC_GUARD])
        sim_freeze(sim, host, PROC_ETCD, frozen);
    else if (!frozen)
        sim_at(sim, MS(10), event);
}

static void freeze_etcd(struct sim *sim, bool frozen)
{
    for (int m = 0; m < ETCD_MEMBERS; m++) {
        struct event event = { .fn = on_freeze,
                               .host = HOST_NONE,
                               .arg = { store_host(m), frozen } };
        on_freeze(sim, &event);
    }
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
    if (!sim->etcd_may_go || !store_now(sim)->config.pause)
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
    sim->etcd_may_go = true;
    if (fault->a != 0)
        sim_at(sim, rng_tail(&sim->rng, 0, SECONDS(4)), &event);
    return true;
}

void fault_resumed_alone(struct sim *sim, const struct fault *fault)
{
    sim->etcd_may_go = false;
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
    sim->restored_rev = to;
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
        fault_etcd_begins(sim, store_host(m));
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

static void person_sends(struct sim *sim, int member, const struct txn *txn)
{
    struct request request = { .kind = REQ_TXN, .node = NODE_NONE, .member = member, .txn = *txn };
    store_send(sim, &request);
}

/* "Where every member that /failsafe names is lost for good and the primary is known to be down: delete
 * the key /failsafe" (docs/operations.md). */
static void forget_failsafe(struct sim *sim, int member)
{
    const struct kv *kv = store_now(sim);
    for (int i = 0; i < sim->n; i++)
        if (((kv->failsafe.names >> i & 1) && sim->pg[i].state == PG_UP) ||
            pg_writable(&sim->pg[i]))
            return;
    struct txn txn = txn_make(TXN_FAILSAFE, NODE_NONE);
    if (kv->failsafe.names != 0)
        person_sends(sim, member, &txn);
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
    forget_failsafe(sim, member);
    struct txn txn = txn_make(TXN_FAILOVER, NODE_NONE);
    txn.candidate = best;
    person_sends(sim, member, &txn);
}

/* What i hears of j; a silent one a person looks at. */
static struct accept_answer answer_of(const struct sim *sim, int i, int j)
{
    const struct node *node = &sim->node[j];
    bool runs = pg_writable(&sim->pg[j]) || sim->guard[j].deadline.lifted;
    struct accept_answer answer = { .known_dead = !runs };
    (void)text_copy(answer.name, LIMIT_NAME, node_name(j));
    if (link_up(sim, i, j) && link_up(sim, j, i) && sim_lives(sim, j, PROC_SIDECAR) && node->alive)
        answer.leading = leading_of(&node->view, &node->lease, node_clock(sim, j));
    return answer;
}

/* S6, as control_accept.c does it. A person does what the refusal says: whoever runs unseen is ended. */
static bool accepts_at(struct sim *sim, int i)
{
    const struct view *view = &sim->node[i].view;
    bool allowed = true;
    if (!sim->node[i].alive || !view->store.loaded || !view->store.reachable)
        return false;
    for (int j = 0; j < sim->n; j++) {
        struct accept_answer answer = answer_of(sim, i, j);
        char why[ACCEPT_WHY];
        if (accept_judge(view, &answer, 1, why))
            continue;
        say_line(sim, i, "accept: %s -> refused", why);
        allowed = false;
        if (link_up(sim, j, j))
            pg_kill_tree(sim, j);
    }
    return allowed;
}

/* A person accepts the store, and what it does not know of, on one member after the other. arg: who
 * has. */
static void on_accepted(struct sim *sim, const struct event *event)
{
    struct event next = *event;
    for (int i = 0; i < sim->n; i++) {
        if ((event->arg[0] >> i & 1) || !accepts_at(sim, i))
            continue;
        next.arg[0] |= 1 << i;
        sim->tainted = true;
        sim->node[i].store_known = sim->store.cluster_id;
        sim->node[i].highest_sync_mod = 0;
        sim->node[i].accept_restored = true;
        node_wake(sim, i);
    }
    if (event->arg[0] == 0 && next.arg[0] != 0) {
        struct event chosen = { .fn = on_chosen, .host = HOST_NONE };
        sim_at(sim, SECONDS(6), &chosen);
    }
    if (next.arg[0] != (1 << sim->n) - 1)
        sim_at(sim, MS(200), &next);
}

void fault_store_accepted(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    struct event event = { .fn = on_accepted, .host = HOST_NONE };
    sim_at(sim, MS(sim->ttl_ms) + SECONDS(6), &event);
}
