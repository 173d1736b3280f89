/* Terms, elections, deposed leaders, expiry of leases. */
#include <string.h>

#include "tests/sim/store_internal.h"

static int64_t patience(struct sim *sim)
{
    return rng_range(&sim->rng, sim->store.election_us, 2 * sim->store.election_us);
}

void store_init(struct sim *sim)
{
    struct store *store = &sim->store;
    store->rev = 1;
    store->log = 1;
    store->term = 1;
    store->n_leases = 0;
    store->n_live = 0;
    store->n_pending = 0;
    store->restoring = false;
    store->cluster_id = 1;
    /* Managed etcd: 500 ms when ttl < 6, else etcd's default. */
    store->election_us = sim->ttl_ms < 6000 ? MS(500) : SECONDS(1);
    for (int i = 0; i < HISTORY_MAX; i++)
        store->history[i].rev = 0;
    for (int i = 0; i < CALLS_MAX; i++)
        store->call[i].generation++;
    memset(&store->history[1], 0, sizeof(store->history[1]));
    store->history[1].rev = 1;
    for (int m = 0; m < ETCD_MEMBERS; m++) {
        struct raft_member *member = &store->member[m];
        member->up = true;
        member->learner = false;
        member->leading = m == ETCD_MEMBERS - 1;
        member->leader = ETCD_MEMBERS - 1;
        member->term = 1;
        member->log = 1;
        member->rev = 1;
        member->heard_us = 0;
        member->depose_us = 0;
        member->stuck_us = 0;
        member->was_away = false;
        member->patience_us = patience(sim);
    }
}

/* Entries reach every member that the leader talks to; its watchers learn of them. */
void store_replicate(struct sim *sim, int leader)
{
    struct store *store = &sim->store;
    for (int m = 0; m < ETCD_MEMBERS; m++) {
        struct raft_member *member = &store->member[m];
        if (m != leader && (!members_talk(sim, leader, m) || member->term > store->term))
            continue;
        bool news = member->rev != store->rev;
        member->log = store->log;
        member->rev = store->rev;
        for (int i = 0; news && i < sim->n; i++)
            if (sim->node[i].watch == m)
                store_watch_send(sim, i);
    }
}

/* ---- elections ------------------------------------------------------------------------ */

static bool would_vote(const struct sim *sim, int voter, int candidate)
{
    const struct raft_member *v = &sim->store.member[voter];
    const struct raft_member *c = &sim->store.member[candidate];
    if (v->learner || c->learner)
        return false;
    if (voter == candidate)
        return true;
    if (!members_talk(sim, voter, candidate) || v->log > c->log)
        return false;
    if (v->leading)
        return v->depose_us == 0 ? sim->now_us - v->heard_us > sim->store.election_us : true;
    return sim->now_us - v->heard_us > sim->store.election_us;
}

/* Whoever votes without its former log lets a leader in that lacks what was committed. */
static void lose_committed(struct sim *sim, const struct raft_member *leader)
{
    struct store *store = &sim->store;
    say_line(sim, -1, "etcd: revisions %lld to %lld are lost", (long long)leader->rev + 1,
             (long long)store->rev);
    store->log = leader->log;
    store->rev = leader->rev;
    for (int i = 0; i < HISTORY_MAX; i++)
        if (store->history[i].rev > store->rev)
            store->history[i].rev = 0;
    for (int64_t id = 1; id <= store->n_leases; id++)
        if (store->lease[id].gone_rev > store->rev)
            store->lease[id].gone_rev = 0;
    if (store_now(sim) == NULL)
        check_broken(sim, "E3", "etcd lost more than the simulation keeps");
}

/* A new raft leader extends every lease by ttl + election timeout. */
static void lead(struct sim *sim, int m)
{
    struct store *store = &sim->store;
    struct raft_member *member = &store->member[m];
    store->term++;
    if (member->log < store->log)
        lose_committed(sim, member);
    for (int v = 0; v < ETCD_MEMBERS; v++) {
        struct raft_member *voter = &store->member[v];
        if (v != m && (!members_talk(sim, m, v) || !would_vote(sim, v, m)))
            continue;
        voter->term = store->term;
        voter->leader = m;
        voter->leading = v == m;
        voter->heard_us = sim->now_us;
        voter->depose_us = 0;
    }
    for (int i = 0; i < store->n_live; i++) {
        int id = store->live[i];
        store->lease[id].revoking = false;
        member->expiry_us[id] = sim->now_us + store->lease[id].ttl_us + store->election_us;
    }
    say_line(sim, -1, "etcd: member %d leads, term %llu", m, (unsigned long long)store->term);
}

/* By order (etcd's move-leader): the former one knows at once. */
bool store_move_leader(struct sim *sim, int to)
{
    int from = store_raft_leader(sim);
    struct raft_member *member = &sim->store.member[to];
    if (from == NODE_NONE || from == to || !members_talk(sim, from, to) || member->learner ||
        member->log != sim->store.log)
        return false;
    for (int m = 0; m < ETCD_MEMBERS; m++)
        if (members_talk(sim, from, m))
            sim->store.member[m].heard_us = 0;
    sim->store.member[from].leading = false;
    sim->store.member[from].depose_us = 0;
    sim->store.member[from].heard_us = 0;
    lead(sim, to);
    return true;
}

static void stand(struct sim *sim, int m)
{
    struct raft_member *member = &sim->store.member[m];
    if (!member_up(sim, m) || member_stuck(sim, m) || member->leading ||
        sim->now_us - member->heard_us < member->patience_us)
        return;
    int votes = 0;
    for (int v = 0; v < ETCD_MEMBERS; v++)
        votes += would_vote(sim, v, m);
    member->patience_us = patience(sim);
    member->leader = NODE_NONE;
    if (votes > ETCD_MEMBERS / 2)
        lead(sim, m);
    else
        member->heard_us = sim->now_us - sim->store.election_us;
}

static void on_late_revoke(struct sim *sim, const struct event *event)
{
    int leader = store_raft_leader(sim), from = (int)event->arg[1];
    if (leader == NODE_NONE || (leader != from && !members_talk(sim, leader, from)))
        return;
    store_revoke(sim, event->arg[0]);
    store_replicate(sim, leader);
}

/* Measured: a leader that was frozen, or whose raft loop hung, revokes the leases that have run out by
 * its own count, although its successor has renewed them. */
static void revoke_by_own_clock(struct sim *sim, int m)
{
    struct store *store = &sim->store;
    const struct raft_member *member = &store->member[m];
    if (!rng_chance(&sim->rng, 300) || mutation_bare_lease(sim))
        return;
    for (int i = 0; i < store->n_live; i++) {
        int id = store->live[i];
        if (store->lease[id].granted_rev > member->rev || member->expiry_us[id] == 0 ||
            member->expiry_us[id] > sim->now_us)
            continue;
        say_line(sim, -1, "etcd: member %d revokes lease %d by its own clock", m, id);
        struct event event = {
            .fn = on_late_revoke, .host = store_host(m), .proc = PROC_ETCD, .arg = { id, m }
        };
        sim_at(sim, rng_range(&sim->rng, MS(1), MS(150)), &event);
    }
}

/* Measured: one that was replaced may answer keepalives for seconds. */
static void step_down(struct sim *sim, int m)
{
    struct store *store = &sim->store;
    struct raft_member *member = &store->member[m];
    bool away = !member_up(sim, m) || member_stuck(sim, m);
    bool back = member->was_away && !away;
    member->was_away = away;
    if (!member->leading || away)
        return;
    bool replaced = member->term < store->term;
    if (back && replaced)
        revoke_by_own_clock(sim, m);
    bool alone = !store_has_quorum(sim, m);
    if (!replaced && !alone) {
        member->heard_us = sim->now_us;
        member->depose_us = 0;
        return;
    }
    if (member->depose_us == 0) {
        int64_t lingers = rng_chance(&sim->rng, 300) ? rng_range(&sim->rng, SECONDS(1), SECONDS(5))
                                                     : rng_range(&sim->rng, 0, MS(600));
        member->depose_us = sim->now_us + lingers;
    }
    if (sim->now_us >= member->depose_us &&
        (replaced || sim->now_us - member->heard_us > store->election_us)) {
        member->leading = false;
        member->leader = NODE_NONE;
        member->depose_us = 0;
    }
}

static void heartbeats(struct sim *sim)
{
    struct store *store = &sim->store;
    int leader = store_raft_leader(sim);
    if (leader == NODE_NONE)
        return;
    for (int m = 0; m < ETCD_MEMBERS; m++) {
        struct raft_member *member = &store->member[m];
        if (m == leader || !member_up(sim, m) || member_stuck(sim, m) || member->leading ||
            !link_up(sim, store_host(leader), store_host(m)))
            continue;
        member->heard_us = sim->now_us;
        member->leader = leader;
        member->term = store->term;
        /* E3: removed, added as a learner, promoted when it has caught up. */
        if (member->learner && member->log == store->log && rng_chance(&sim->rng, 50))
            member->learner = false;
    }
    store_replicate(sim, leader);
}

/* ---- leases --------------------------------------------------------------------------- */

static void expire(struct sim *sim)
{
    struct store *store = &sim->store;
    int leader = store_raft_leader(sim);
    if (leader == NODE_NONE)
        return;
    bool gone = false;
    for (int i = 0; i < store->n_live; i++) {
        int id = store->live[i];
        if (store->member[leader].expiry_us[id] > sim->now_us)
            continue;
        store_revoke(sim, id);
        gone = true;
        i--;
    }
    if (gone)
        store_replicate(sim, leader);
}

void store_tick(struct sim *sim)
{
    for (int m = 0; m < ETCD_MEMBERS; m++)
        step_down(sim, m);
    heartbeats(sim);
    for (int m = 0; m < ETCD_MEMBERS; m++)
        stand(sim, m);
    if (sim->store.n_pending > 0)
        store_commit_pending(sim);
    /* etcd looks at its leases every 500 ms. */
    if (sim->now_us / MS(100) % 5 == 0)
        expire(sim);
}

void store_host_died(struct sim *sim, int host)
{
    struct store *store = &sim->store;
    for (int m = 0; m < ETCD_MEMBERS; m++) {
        if (store_host(m) != host)
            continue;
        store->member[m].up = false;
        store->member[m].leading = false;
        store->member[m].leader = NODE_NONE;
        store->member[m].depose_us = 0;
        int kept = 0;
        for (int i = 0; i < store->n_pending; i++)
            if (store->pending[i].leader != m || rng_chance(&sim->rng, 300))
                store->pending[kept++] = store->pending[i];
        store->n_pending = kept;
    }
}
