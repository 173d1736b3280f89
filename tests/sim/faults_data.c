/* Faults of Postgres and its volume, and what people ask for. */
#include "tests/sim/faults.h"
#include "tests/sim/sim.h"

bool fault_postmaster_killed(struct sim *sim, struct fault *fault)
{
    if (!sim->pg[fault->target].postmaster || !sim->host[fault->target].alive)
        return false;
    pg_postmaster_crash(sim, fault->target);
    return true;
}

bool fault_backend_crashed(struct sim *sim, struct fault *fault)
{
    if (sim->pg[fault->target].state != PG_UP || !sim_lives(sim, fault->target, PROC_POSTGRES))
        return false;
    pg_backend_crash(sim, fault->target);
    return true;
}

bool fault_backend_hung(struct sim *sim, struct fault *fault)
{
    if (sim->pg[fault->target].state != PG_UP)
        return false;
    sim->pg[fault->target].hung = true;
    return true;
}

bool fault_slow_disk(struct sim *sim, struct fault *fault)
{
    sim->pg[fault->target].slow_us = rng_tail(&sim->rng, MS(20), SECONDS(3));
    return true;
}

void fault_disk_fast(struct sim *sim, const struct fault *fault)
{
    sim->pg[fault->target].slow_us = 0;
}

bool fault_checkpointer_busy(struct sim *sim, struct fault *fault)
{
    int64_t until = sim->now_us + rng_range(&sim->rng, SECONDS(1), SECONDS(30));
    sim->pg[fault->target].checkpointer_busy_us = until;
    return true;
}

/* ---- volumes ---------------------------------------------------------------------------- */

/* A standby that may be replaced: not the only copy of anything that was acknowledged. */
static bool spare(const struct sim *sim, int i)
{
    const struct kv *kv = store_now(sim);
    if (!kv->leader.exists || kv->leader.owner == i || sim->pg[i].dir != DATA_DIR_VALID ||
        !sim->pg[i].in_recovery)
        return false;
    for (int p = 0; p < sim->n; p++)
        if (p != i && sim->pg[p].lost)
            return false;
    const struct pg *primary = &sim->pg[kv->leader.owner];
    return pg_writable(primary) && primary->postmaster;
}

static void on_return(struct sim *sim, const struct event *event)
{
    host_up(sim, (int)event->arg[0]);
}

static bool node_goes(struct sim *sim, int i)
{
    if (!sim->host[i].alive || !spare(sim, i))
        return false;
    host_down(sim, i);
    struct event back = { .fn = on_return, .host = HOST_NONE, .arg = { i } };
    sim_at(sim, rng_range(&sim->rng, MS(200), SECONDS(5)), &back);
    sim->pg[i].lost = true;
    return true;
}

bool fault_disk_lost(struct sim *sim, struct fault *fault)
{
    struct pg *pg = &sim->pg[fault->target];
    if (!node_goes(sim, fault->target))
        return false;
    pg->dir = DATA_DIR_EMPTY;
    pg->branch = -1;
    pg->flush = pg->control = LSN_NONE;
    pg->system_id = 0;
    pg->torn = false;
    return true;
}

/* Somebody restores yesterday's snapshot of the volume: whole, and older. */
bool fault_disk_set_back(struct sim *sim, struct fault *fault)
{
    struct pg *pg = &sim->pg[fault->target];
    lsn_t back = (lsn_t)rng_range(&sim->rng, 1, 60) * RECORD;
    if (pg->branch < 0 || pg->flush < sim->branch[pg->branch].fork + back + RECORD ||
        pg->min_recovery > pg->flush - back || !node_goes(sim, fault->target))
        return false;
    pg->flush -= back;
    pg->control = pg->flush;
    return true;
}

bool fault_disk_bad(struct sim *sim, struct fault *fault)
{
    struct pg *pg = &sim->pg[fault->target];
    if (!node_goes(sim, fault->target))
        return false;
    if (rng_chance(&sim->rng, 500)) {
        pg->dir = DATA_DIR_BROKEN;
        return true;
    }
    pg->system_id = rng_next(&sim->rng) | 1;
    pg->branch = branch_new(sim, -1, LSN_NONE, pg->system_id);
    return true;
}

/* A person reads the message and orders a new copy, until there is one. */
static void on_person(struct sim *sim, const struct event *event)
{
    int i = (int)event->arg[0];
    if (!sim->pg[i].lost)
        return;
    if (sim->node[i].alive)
        sim->node[i].orders.reinit = true;
    node_wake(sim, i);
    sim_at(sim, SECONDS(3), event);
}

void fault_disk_mended(struct sim *sim, const struct fault *fault)
{
    struct event person = { .fn = on_person, .host = HOST_NONE, .arg = { fault->target } };
    sim_at(sim, 0, &person);
}

/* ---- people ----------------------------------------------------------------------------- */

static void person_writes(struct sim *sim, const struct txn *txn)
{
    struct request request = { .kind = REQ_TXN, .node = NODE_NONE, .txn = *txn };
    request.member = store_raft_leader(sim);
    if (request.member != NODE_NONE)
        store_send(sim, &request);
}

bool fault_switchover(struct sim *sim, struct fault *fault)
{
    const struct kv *kv = store_now(sim);
    if (!kv->leader.exists || kv->failover.exists)
        return false;
    struct txn txn = txn_make(TXN_FAILOVER, NODE_NONE);
    txn.former = kv->leader.owner;
    if (rng_chance(&sim->rng, 600))
        txn.candidate = (int)rng_range(&sim->rng, 0, sim->n - 1);
    if (rng_chance(&sim->rng, 200))
        txn.former = fault->target;
    person_writes(sim, &txn);
    return true;
}

/* The tag on one node, mostly where it matters: just as it takes the key. */
static void on_tag(struct sim *sim, const struct event *event)
{
    int i = (int)event->arg[0];
    const struct node *node = &sim->node[i];
    bool takes =
        node->runner.running && node->runner.plan.action == ACT_TAKE && node->lease.owns_key;
    if (!takes && sim->now_us < event->arg[1] && !sim->no_failover[i]) {
        sim_at(sim, MS(5), event);
        return;
    }
    sim->no_failover[i] = sim->now_us < sim->tag_until_us;
    node_wake(sim, i);
}

bool fault_tagged(struct sim *sim, struct fault *fault)
{
    if (sim->tag_until_us != 0)
        return false;
    sim->tag_until_us = INT64_MAX;
    struct event event = { .fn = on_tag,
                           .host = HOST_NONE,
                           .arg = { fault->target, sim->now_us + SECONDS(20) } };
    sim_at(sim, MS(1), &event);
    return true;
}

void fault_untagged(struct sim *sim, const struct fault *fault)
{
    sim->tag_until_us = sim->now_us;
    sim->no_failover[fault->target] = false;
    node_wake(sim, fault->target);
}

/* L8: before somebody else takes over, a person sees to it that whoever runs without a deadline is down. */
bool fault_lifted(const struct sim *sim)
{
    for (int i = 0; i < sim->n; i++)
        if ((sim->guard[i].deadline.lifted || sim->guard[i].former.lifted) &&
            pg_tree_alive(&sim->pg[i]))
            return true;
    return false;
}

/* A person waits until nobody leads, then asks for a member, whatever it lacks. arg: candidate, until. */
static void on_nobody_leads(struct sim *sim, const struct event *event)
{
    const struct kv *kv = store_now(sim);
    if (sim->now_us > event->arg[1])
        return;
    if (kv->leader.exists || !kv->config.exists || fault_lifted(sim)) {
        sim_at(sim, MS(150), event);
        return;
    }
    struct txn txn = txn_make(TXN_FAILOVER, NODE_NONE);
    txn.candidate = (int)event->arg[0];
    person_writes(sim, &txn);
}

static void person_waits(struct sim *sim, int candidate)
{
    struct event event = { .fn = on_nobody_leads,
                           .host = HOST_NONE,
                           .arg = { candidate, sim->now_us + SECONDS(25) } };
    sim_at(sim, MS(10), &event);
}

/* L8: "except on a person's failover": where nobody can tell any more that the last leader is down, a
 * person can. Whoever is asked has everything: no loss is accepted. */
static void on_mark_left(struct sim *sim, const struct event *event)
{
    const struct kv *kv = store_now(sim);
    if (kv->leader.exists || !kv->holder.exists || !kv->holder.lifted || kv->holder.released ||
        sim->healed_us == 0 || fault_lifted(sim))
        return;
    int best = NODE_NONE;
    for (int i = 0; i < sim->n; i++) {
        bool named = !kv->sync.exists || kv->sync.leader == i || (kv->sync.standbys >> i & 1);
        if (named && sim->pg[i].state == PG_UP &&
            (best == NODE_NONE || sim->pg[i].flush > sim->pg[best].flush))
            best = i;
    }
    struct txn txn = txn_make(TXN_FAILOVER, NODE_NONE);
    txn.candidate = best;
    if (best != NODE_NONE)
        person_writes(sim, &txn);
    sim_at(sim, SECONDS(5), event);
}

/* A pause whose writing a frozen etcd kept may land when its person has long gone. arg: until. */
static void on_pause_left(struct sim *sim, const struct event *event)
{
    if (sim->healed_us == 0 || sim->now_us > event->arg[0])
        return;
    struct txn txn = txn_make(TXN_PAUSE, NODE_NONE);
    if (store_now(sim)->config.pause)
        person_writes(sim, &txn);
    sim_at(sim, SECONDS(1), event);
}

void fault_person_looks(struct sim *sim)
{
    struct event mark = { .fn = on_mark_left, .host = HOST_NONE };
    sim_at(sim, MS(sim->ttl_ms) + SECONDS(12), &mark);
    struct event pause = { .fn = on_pause_left,
                           .host = HOST_NONE,
                           .arg = { sim->now_us + SECONDS(15) } };
    sim_at(sim, SECONDS(1), &pause);
}

bool fault_failover(struct sim *sim, struct fault *fault)
{
    (void)fault;
    person_waits(sim, (int)rng_range(&sim->rng, 0, sim->n - 1));
    return true;
}

static void cut_standby(struct sim *sim, int node, int by)
{
    for (int i = 0; i < sim->n; i++) {
        if (i == node)
            continue;
        sim->repl_cut[i][node] = (uint8_t)(sim->repl_cut[i][node] + by);
        sim->repl_cut[node][i] = (uint8_t)(sim->repl_cut[node][i] + by);
    }
}

/* arg: the one that is left. */
static void on_sync_lost(struct sim *sim, const struct event *event)
{
    const struct kv *kv = store_now(sim);
    int left = (int)event->arg[0];
    bool over = sim->healed_us != 0 || sim->repl_cut[left][left == 0] == 0;
    if (over || !kv->sync.exists || kv->sync.leader == left || (kv->sync.standbys >> left & 1))
        return;
    for (int i = 0; i < sim->n; i++)
        if (i == kv->sync.leader || (kv->sync.standbys >> i & 1))
            host_down(sim, i);
    person_waits(sim, left);
}

/* One standby is behind; then everybody whom /sync names is lost, and a person chooses that one. */
bool fault_sync_lost(struct sim *sim, struct fault *fault)
{
    const struct kv *kv = store_now(sim);
    if (!kv->leader.exists || !kv->config.exists || !kv->sync.exists)
        return false;
    int left = 0;
    while (left < sim->n && (left == kv->sync.leader || (kv->sync.standbys >> left & 1) ||
                             sim->pg[left].state != PG_UP))
        left++;
    if (left == sim->n)
        return false;
    fault->a = left;
    cut_standby(sim, left, 1);
    struct event event = { .fn = on_sync_lost, .host = HOST_NONE, .arg = { left } };
    sim_at(sim, MS(sim->ttl_ms / 2) + SECONDS(1), &event);
    return true;
}

void fault_sync_back(struct sim *sim, const struct fault *fault)
{
    cut_standby(sim, (int)fault->a, -1);
    for (int i = 0; i < sim->n; i++)
        host_up(sim, i);
}

bool fault_key_deleted(struct sim *sim, struct fault *fault)
{
    (void)fault;
    if (!store_now(sim)->leader.exists)
        return false;
    struct txn txn = txn_make(TXN_DELETE_LEADER, NODE_NONE);
    person_writes(sim, &txn);
    return true;
}

bool fault_pause(struct sim *sim, struct fault *fault)
{
    (void)fault;
    if (!store_now(sim)->config.exists || store_now(sim)->config.pause)
        return false;
    struct txn txn = txn_make(TXN_PAUSE, NODE_NONE);
    txn.flag = true;
    person_writes(sim, &txn);
    return true;
}

bool fault_sync_off(struct sim *sim, struct fault *fault)
{
    (void)fault;
    if (!store_now(sim)->config.exists || !sim->sync_on)
        return false;
    struct txn txn = txn_make(TXN_PAUSE, NODE_NONE);
    txn.candidate = 1;
    txn.flag = store_now(sim)->config.pause;
    person_writes(sim, &txn);
    sim->tainted = true; /* what is acknowledged now may be lost */
    return true;
}

static void on_sync_on(struct sim *sim, const struct event *event)
{
    struct txn txn = txn_make(TXN_PAUSE, NODE_NONE);
    if (!store_now(sim)->config.sync_off)
        return;
    txn.flag = store_now(sim)->config.pause;
    person_writes(sim, &txn);
    sim_at(sim, MS(300), event);
}

void fault_sync_on(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    struct event event = { .fn = on_sync_on, .host = HOST_NONE };
    sim_at(sim, 0, &event);
}

/* Until it is written. */
static void on_resume(struct sim *sim, const struct event *event)
{
    struct txn txn = txn_make(TXN_PAUSE, NODE_NONE);
    if (!store_now(sim)->config.pause)
        return;
    person_writes(sim, &txn);
    sim_at(sim, MS(300), event);
}

void fault_resume(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    struct event event = { .fn = on_resume, .host = HOST_NONE };
    sim_at(sim, 0, &event);
}

bool fault_orders(struct sim *sim, struct fault *fault)
{
    struct node *node = &sim->node[fault->target];
    if (!node->alive)
        return false;
    int64_t what = rng_range(&sim->rng, 0, 3);
    if (what == 0)
        node->orders.restart = true;
    else if (what == 1)
        node->orders.reload = true;
    else if (what == 2)
        node->pending_reload = true;
    else if (spare(sim, fault->target))
        node->orders.reinit = true;
    node_wake(sim, fault->target);
    return true;
}
