/* Requests to etcd: their way to the raft leader, commits, answers, watches. */
#include "tests/sim/store.h"

#include <string.h>

#include "tests/sim/sim.h"
#include "tests/sim/store_internal.h"

int store_host(int member)
{
    return member == ETCD_MEMBERS - 1 ? WITNESS : member;
}

const struct kv *store_at(const struct sim *sim, int64_t rev)
{
    const struct kv *kv = &sim->store.history[rev % HISTORY_MAX];
    return kv->rev == rev ? kv : NULL;
}

const struct kv *store_now(const struct sim *sim)
{
    return store_at(sim, sim->store.rev);
}

struct txn txn_make(enum txn_kind kind, int node)
{
    struct txn txn = {
        .kind = kind,
        .node = node,
        .cmp_leader_create = CMP_NONE,
        .cmp_leader_mod = CMP_NONE,
        .cmp_sync_mod = CMP_NONE,
        .cmp_holder_mod = CMP_NONE,
        .cmp_config_mod = CMP_NONE,
        .cmp_initialize_create = CMP_NONE,
        .cmp_failover_mod = CMP_NONE,
        .cmp_confirmed_mod = CMP_NONE,
        .cmp_leader_lease = CMP_NONE,
        .cmp_failsafe_mod = CMP_NONE,
        .cmp_leader_owner = NODE_NONE,
        .candidate = NODE_NONE,
        .former = NODE_NONE,
    };
    for (int i = 0; i < DATA_MAX; i++)
        txn.cmp_data_id[i] = CMP_NONE;
    return txn;
}

bool member_up(const struct sim *sim, int m)
{
    return sim->store.member[m].up && sim_lives(sim, store_host(m), PROC_ETCD);
}

bool member_stuck(const struct sim *sim, int m)
{
    return sim->now_us < sim->store.member[m].stuck_us;
}

bool members_talk(const struct sim *sim, int a, int b)
{
    return member_up(sim, a) && member_up(sim, b) && !member_stuck(sim, a) &&
           !member_stuck(sim, b) && link_up(sim, store_host(a), store_host(b)) &&
           link_up(sim, store_host(b), store_host(a));
}

bool store_has_quorum(const struct sim *sim, int leader)
{
    const struct raft_member *l = &sim->store.member[leader];
    int n = 0;
    for (int m = 0; m < ETCD_MEMBERS; m++)
        n += m == leader || (members_talk(sim, leader, m) && !sim->store.member[m].learner &&
                             sim->store.member[m].term <= l->term);
    return member_up(sim, leader) && l->leading && l->term == sim->store.term &&
           n > ETCD_MEMBERS / 2;
}

int store_raft_leader(const struct sim *sim)
{
    for (int m = 0; m < ETCD_MEMBERS; m++)
        if (store_has_quorum(sim, m))
            return m;
    return NODE_NONE;
}

/* ---- answers -------------------------------------------------------------------------- */

static void on_reply(struct sim *sim, const struct event *event)
{
    struct call *call = &sim->store.call[event->arg[0]];
    if (call->generation != (uint32_t)event->arg[1] || call->answered)
        return;
    call->answered = true;
    call->request.done(sim, call->request.node, call->request.ctx, &call->reply);
}

static void on_timeout(struct sim *sim, const struct event *event)
{
    struct call *call = &sim->store.call[event->arg[0]];
    if (call->generation != (uint32_t)event->arg[1] || call->answered)
        return;
    call->answered = true;
    struct reply reply = { .code = ERR_TIMEOUT, .member = call->request.member };
    call->request.done(sim, call->request.node, call->request.ctx, &reply);
}

void store_answer(struct sim *sim, uint32_t slot, int leader)
{
    struct call *call = &sim->store.call[slot];
    int m = call->request.member;
    if (call->request.node == NODE_NONE || (m != leader && !members_talk(sim, m, leader)))
        return;
    call->reply.code = ERR_OK;
    call->reply.member = m;
    call->reply.term = sim->store.member[m].term;
    struct event event = { .fn = on_reply,
                           .host = call->request.node,
                           .proc = PROC_SIDECAR,
                           .arg = { slot, call->generation } };
    net_send(sim, store_host(m), &event);
}

/* ---- watches -------------------------------------------------------------------------- */

static void on_watch(struct sim *sim, const struct event *event)
{
    struct node *node = &sim->node[event->host];
    int64_t rev = event->arg[0];
    node->watch_coming = false;
    if (node->watch != (int)event->arg[1])
        return;
    observe_store(sim, event->host, rev);
    if (node->watch_rev > rev)
        store_watch_send(sim, event->host);
}

void store_watch_send(struct sim *sim, int to)
{
    struct node *node = &sim->node[to];
    if (!node->alive || node->watch == NODE_NONE || !member_up(sim, node->watch))
        return;
    node->watch_rev = sim->store.member[node->watch].rev;
    if (node->watch_coming || !link_up(sim, store_host(node->watch), to))
        return;
    node->watch_coming = true;
    struct event event = {
        .fn = on_watch, .host = to, .proc = PROC_SIDECAR, .arg = { node->watch_rev, node->watch }
    };
    /* One stream: delayed, never lost. */
    sim_at(sim, rng_range(&sim->rng, 150, 900) + rng_tail(&sim->rng, 0, sim->delay_us), &event);
}

/* ---- the leader executes -------------------------------------------------------------- */

static void lease_kept_alive(struct sim *sim, struct call *call, int leader)
{
    struct store *store = &sim->store;
    struct raft_member *l = &store->member[leader];
    int64_t id = call->request.lease;
    const struct lease_model *lease = &store->lease[id];
    bool known = lease->granted_rev <= l->rev && (lease->gone_rev == 0 || lease->gone_rev > l->rev);
    if (!known || l->expiry_us[id] <= sim->now_us) {
        call->reply.ttl_s = 0;
        return;
    }
    l->expiry_us[id] = sim->now_us + lease->ttl_us;
    call->reply.ttl_s = lease->ttl_us / 1000000;
}

static void lease_asked(struct sim *sim, struct call *call, int leader)
{
    struct store *store = &sim->store;
    struct raft_member *l = &store->member[leader];
    const struct lease_model *lease = &store->lease[call->request.lease];
    bool known = lease->granted_rev <= l->rev && (lease->gone_rev == 0 || lease->gone_rev > l->rev);
    call->reply.ttl_s = known ? 1 : -1;
    call->reply.rev = l->rev;
}

static void lease_granted(struct sim *sim, struct call *call, int leader)
{
    struct store *store = &sim->store;
    if (store->n_leases + 1 >= LEASES_MAX)
        return;
    int64_t id = ++store->n_leases;
    store->lease[id] =
        (struct lease_model){ .ttl_us = SECONDS(call->request.ttl_s), .granted_rev = store->rev };
    for (int m = 0; m < ETCD_MEMBERS; m++)
        store->member[m].expiry_us[id] = 0;
    store->member[leader].expiry_us[id] = sim->now_us + store->lease[id].ttl_us;
    store->live[store->n_live++] = (int)id;
    store->log++;
    call->reply.lease = id;
    call->reply.rev = store->rev;
}

/* Needs a quorum. */
static void commit(struct sim *sim, uint32_t slot, int leader)
{
    struct call *call = &sim->store.call[slot];
    call->reply.txn_ok = true;
    switch (call->request.kind) {
    case REQ_READ:
        call->reply.rev = sim->store.rev;
        break;
    case REQ_GRANT:
        lease_granted(sim, call, leader);
        break;
    case REQ_REVOKE:
        store_revoke(sim, call->request.lease);
        call->reply.rev = sim->store.rev;
        break;
    case REQ_TXN:
        call->reply.txn_ok = store_apply(sim, &call->request.txn);
        call->reply.rev = sim->store.rev;
        break;
    case REQ_KEEPALIVE:
    case REQ_TTL:
        break;
    }
    store_replicate(sim, leader);
    store_answer(sim, slot, leader);
}

void store_commit_pending(struct sim *sim)
{
    struct store *store = &sim->store;
    int kept = 0, n = store->n_pending;
    for (int i = 0; i < n; i++) {
        struct pending p = store->pending[i];
        struct call *call = &store->call[p.slot];
        if (call->generation != p.generation)
            continue;
        bool replaced = p.term < store->term;
        if (!replaced && store_has_quorum(sim, p.leader)) {
            commit(sim, p.slot, p.leader);
            continue;
        }
        /* Another leader's log replaces ours; what is not in it yet is asked of that leader. */
        bool asked_again = call->request.kind == REQ_READ || p.queued;
        int now = store->member[call->request.member].leader;
        if (replaced && asked_again && now != NODE_NONE && store_has_quorum(sim, now))
            commit(sim, p.slot, now);
        else if (!replaced || asked_again)
            store->pending[kept++] = p;
    }
    store->n_pending = kept;
}

static void on_exec(struct sim *sim, const struct event *event)
{
    struct store *store = &sim->store;
    uint32_t slot = (uint32_t)event->arg[0];
    struct call *call = &store->call[slot];
    int leader = (int)event->arg[2];
    const struct raft_member *l = &store->member[leader];
    if (call->generation != (uint32_t)event->arg[1] || !l->leading)
        return;
    if (call->request.kind == REQ_KEEPALIVE || call->request.kind == REQ_TTL) {
        if (call->request.kind == REQ_KEEPALIVE)
            lease_kept_alive(sim, call, leader);
        else
            lease_asked(sim, call, leader);
        store_answer(sim, slot, leader);
        return;
    }
    if (store_has_quorum(sim, leader)) {
        commit(sim, slot, leader);
        return;
    }
    if (store->n_pending < PENDING_MAX)
        store->pending[store->n_pending++] = (struct pending){ .leader = leader,
                                                               .queued = member_stuck(sim, leader),
                                                               .term = l->term,
                                                               .slot = slot,
                                                               .generation = call->generation };
}

static void on_request(struct sim *sim, const struct event *event);

/* Kept on its way by somebody in between. */
static void on_late(struct sim *sim, const struct event *event)
{
    struct event now = *event;
    now.fn = on_request;
    sim_at(sim, event->arg[2], &now);
}

static void on_request(struct sim *sim, const struct event *event)
{
    struct store *store = &sim->store;
    uint32_t slot = (uint32_t)event->arg[0];
    const struct call *call = &store->call[slot];
    if (call->generation != (uint32_t)event->arg[1])
        return;
    int m = call->request.member;
    int leader = store->member[m].leader;
    if (!store->member[m].up || leader == NODE_NONE)
        return;
    if (leader != m && !members_talk(sim, m, leader))
        return;
    struct event exec = { .fn = on_exec,
                          .host = store_host(leader),
                          .proc = PROC_ETCD,
                          .arg = { slot, call->generation, leader } };
    sim_at(sim, rng_range(&sim->rng, 200, 2500) + (leader == m ? 0 : 400), &exec);
}

void store_send(struct sim *sim, const struct request *request)
{
    struct store *store = &sim->store;
    uint32_t slot = store->next_call++ % CALLS_MAX;
    struct call *call = &store->call[slot];
    call->generation++;
    call->answered = false;
    call->request = *request;
    call->request.late_us = focus_late_us(sim->focus, &sim->rng, request);
    call->reply = (struct reply){ .member = request->member };
    int host = store_host(request->member);
    struct event event = {
        .fn = call->request.late_us > 0 ? on_late : on_request,
        .host = host,
        .proc = PROC_ETCD,
        .arg = { slot, call->generation, call->request.late_us },
    };
    if (request->node == NODE_NONE) {
        sim_at(sim, 500, &event);
        return;
    }
    net_send(sim, request->node, &event);
    struct event timeout = { .fn = on_timeout,
                             .host = request->node,
                             .proc = PROC_SIDECAR,
                             .arg = { slot, call->generation } };
    sim_at(sim, request->timeout_us, &timeout);
}
