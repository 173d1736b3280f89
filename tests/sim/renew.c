/* The lease beside the cycle (L1): every ttl/4 a sequence of read, keepalive, read or transaction on
 * the key at one endpoint, after ttl/8 a second one at another. Verdicts are lease_apply()'s. */
#include <string.h>

#include "tests/sim/sim.h"

static void step(struct sim *sim, int node, int64_t ctx, const struct reply *reply);

static void send(struct sim *sim, int i, int at, const struct request *base)
{
    struct node *node = &sim->node[i];
    struct sequence *sequence = &node->sequence[at];
    struct request request = *base;
    request.node = i;
    request.member = sequence->member;
    request.timeout_us = MS(sim->ttl_ms / 4);
    request.done = step;
    request.ctx = (int64_t)sequence->id * 2 + at;
    sequence->asked_us = sim->now_us;
    store_send(sim, &request);
}

static void send_read(struct sim *sim, int i, int at)
{
    struct request request = { .kind = REQ_READ };
    send(sim, i, at, &request);
}

static void send_keepalive(struct sim *sim, int i, int at)
{
    struct node *node = &sim->node[i];
    struct request request = { .kind = REQ_KEEPALIVE, .lease = node->lease.id };
    node->sequence[at].renewal.sent = node_clock(sim, i);
    send(sim, i, at, &request);
}

/* S7: what /sync has confirmed, where that is news. */
static void add_confirmed(struct node *node, struct txn *txn)
{
    const struct view *view = &node->view;
    if (node->skips_confirmed || !view_is_primary(view) || view->pg.state != PG_UP ||
        !view_self_leads(view) || node->seen.state != PG_UP || node->seen.in_recovery)
        return;
    lsn_t lsn = sync_confirmed(view);
    const struct kv *kv = &node->cache;
    bool told = kv->confirmed.exists && kv->confirmed.branch == node->seen.branch &&
                lsn <= kv->confirmed.lsn;
    if (lsn == LSN_NONE || told)
        return;
    txn->cmp_sync_mod = view->store.sync.mod_revision;
    txn->cmp_confirmed_mod = kv->confirmed.exists ? kv->confirmed.mod : 0;
    txn->branch = node->seen.branch;
    txn->lsn = lsn;
}

/* The third message of who owns the key: the transaction on it that leaves the trace. */
static void send_trace(struct sim *sim, int i, int at)
{
    struct node *node = &sim->node[i];
    struct request request = { .kind = REQ_TXN, .txn = txn_make(TXN_RENEW, i) };
    request.txn.cmp_leader_create = node->lease.create_revision;
    request.txn.cmp_leader_lease = node->lease.id;
    add_confirmed(node, &request.txn);
    send(sim, i, at, &request);
}

void renew_offer(struct sim *sim, int i)
{
    const struct lease *lease = &sim->node[i].lease;
    bool keeps_lift = sim->node[i].guard_seen.lifted && sim->node[i].cache.config.pause;
    if (lease->owns_key)
        sim->node[i].cookie = (struct guard_cookie){ lease->id, lease->create_revision };
    if (!(lease->owns_key || lease->keyless) || !lease->held_once || keeps_lift)
        return;
    guard_offer(sim, i, mono_add(lease->held_until, -lease_margin_ms(lease->ttl_ms, false)),
                sim->node[i].cookie);
}

static void lease_lost(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    if (node->lease.owns_key)
        return;
    lease_forget_id(&node->lease);
    renew_grant(sim, i);
}

static void judge(struct sim *sim, int i, struct sequence *sequence)
{
    struct node *node = &sim->node[i];
    struct lease_renewal *renewal = &sequence->renewal;
    if (sim->mutation == MUT_LEASE_FROM_REPLY)
        renewal->sent = node_clock(sim, i);
    if (sim->mutation == MUT_TERMS)
        renewal->term_before = renewal->term_read = renewal->term_keepalive;
    for (int k = 0; k < 2; k++)
        node->sequence[k].active = false;
    node->renewed_us = sim->now_us;
    renewal->member_id = (uint64_t)sequence->member + 1;
    if (!node->lease.owns_key) {
        if (lease_prove(&node->lease, renewal) == LEASE_GONE)
            lease_lost(sim, i);
        return;
    }
    enum lease_verdict verdict = lease_apply(&node->lease, renewal);
    if (verdict == LEASE_COUNTS)
        renew_offer(sim, i);
    else
        say_line(sim, i, "renewal: %s", lease_verdict_name(verdict));
    node_wake(sim, i);
}

static void read_key(struct sim *sim, struct lease_renewal *renewal, const struct reply *reply)
{
    const struct kv *kv = store_at(sim, reply->rev);
    renewal->term_read = reply->term;
    renewal->key_exists = kv != NULL && kv->leader.exists;
    renewal->key_lease = kv == NULL ? 0 : kv->leader.lease;
    renewal->key_create_revision = kv == NULL ? 0 : kv->leader.create;
    renewal->key_mod_revision = kv == NULL ? 0 : kv->leader.mod;
}

/* Where only the compares of S7 were lost the renewal does not count; the next goes without them. */
static bool left_its_trace(struct node *node, const struct lease_renewal *renewal,
                           const struct reply *reply)
{
    if (!node->lease.owns_key)
        return true;
    bool ours = renewal->key_exists && renewal->key_lease == node->lease.id &&
                renewal->key_create_revision == node->lease.create_revision;
    node->skips_confirmed = ours && !reply->txn_ok;
    return !node->skips_confirmed;
}

/* NO_READ: the keepalive alone counts; what follows it is not looked at. */
static void count_unread(struct sim *sim, int i, struct sequence *sequence)
{
    struct node *node = &sim->node[i];
    struct lease_renewal *renewal = &sequence->renewal;
    node->known_term[sequence->member] = renewal->term_keepalive;
    renewal->complete = true;
    renewal->term_read = renewal->term_keepalive = renewal->term_before;
    renewal->key_exists = true;
    renewal->key_lease = node->lease.id;
    renewal->key_create_revision = node->lease.create_revision;
    renewal->key_mod_revision = node->lease.mod_revision;
    judge(sim, i, sequence);
    sequence->active = true;
}

static void step(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    struct node *node = &sim->node[i];
    int at = (int)(ctx & 1);
    struct sequence *sequence = &node->sequence[at];
    struct lease_renewal *renewal = &sequence->renewal;
    if (!sequence->active || (int64_t)sequence->id != ctx >> 1)
        return;
    if (reply->code != ERR_OK || node->lease.id == 0) {
        sequence->active = false;
        return;
    }
    switch (sequence->stage++) {
    case 0:
        renewal->term_before = reply->term;
        observe_heard(sim, i, sequence->asked_us, reply->rev);
        send_keepalive(sim, i, at);
        break;
    case 1:
        renewal->term_keepalive = reply->term;
        renewal->keepalive_ttl_s = reply->ttl_s;
        if (sim->mutation == MUT_NO_READ)
            count_unread(sim, i, sequence);
        if (node->lease.owns_key)
            send_trace(sim, i, at);
        else
            send_read(sim, i, at);
        break;
    case 2:
        observe_heard(sim, i, sequence->asked_us, reply->rev);
        if (store_at(sim, reply->rev) == NULL) {
            sequence->active = false;
            break;
        }
        read_key(sim, renewal, reply);
        renewal->complete = left_its_trace(node, renewal, reply);
        node->known_term[sequence->member] = reply->term;
        if (sim->mutation == MUT_NO_READ)
            sequence->active = false;
        else
            judge(sim, i, sequence);
        break;
    }
}

static void begin_at(struct sim *sim, int i, int at)
{
    struct node *node = &sim->node[i];
    struct sequence *sequence = &node->sequence[at];
    int member = node->endpoint;
    if (at == 1 || rng_chance(&sim->rng, 100))
        member = (member + 1 + (int)rng_range(&sim->rng, 0, 1)) % ETCD_MEMBERS;
    node->endpoint = member;
    *sequence = (struct sequence){ .active = true, .id = ++node->sequences, .member = member };
    /* "The last reply before the keepalive" may be the former renewal's. */
    sequence->renewal.term_before = node->known_term[member];
    node->known_term[member] = 0;
    if (sequence->renewal.term_before == 0) {
        send_read(sim, i, at);
        return;
    }
    sequence->stage = 1;
    send_keepalive(sim, i, at);
}

/* As the product's rounds are: without the key there is no holding to keep. */
static int64_t round_ms(const struct sim *sim, const struct node *node)
{
    return node->lease.owns_key ? sim->ttl_ms / 4 : sim->ttl_ms * 2 / 5;
}

static int64_t hedge_ms(const struct sim *sim, const struct node *node)
{
    return sim->ttl_ms / (node->lease.owns_key ? 8 : 16);
}

static void on_hedge(struct sim *sim, const struct event *event)
{
    struct node *node = &sim->node[event->host];
    if (node->alive && node->lease.id != 0 && node->round_us == event->arg[0] &&
        node->renewed_us < event->arg[0])
        begin_at(sim, event->host, 1);
}

void renew_begin(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    node->round_us = sim->now_us;
    if (node->lease.id == 0) {
        renew_grant(sim, i);
        return;
    }
    begin_at(sim, i, 0);
    struct event hedge = {
        .fn = on_hedge, .host = i, .proc = PROC_SIDECAR, .arg = { sim->now_us }
    };
    sim_at(sim, MS(hedge_ms(sim, node)), &hedge);
}

static void on_round(struct sim *sim, const struct event *event)
{
    struct node *node = &sim->node[event->host];
    if (!node->alive)
        return;
    /* A step that needs a renewal at once has begun one of its own. */
    if (sim->now_us - node->round_us >= MS(sim->ttl_ms / 8))
        renew_begin(sim, event->host);
    sim_at(sim, MS(round_ms(sim, node)), event);
}

static void on_granted(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    struct node *node = &sim->node[i];
    (void)ctx;
    node->granting = false;
    if (reply->code != ERR_OK || reply->lease == 0 || node->lease.id != 0)
        return;
    node->lease.id = reply->lease;
    node->lease.ttl_ms = sim->ttl_ms;
    observe_heard(sim, i, sim->now_us - MS(5), reply->rev);
    node_wake(sim, i);
}

void renew_grant(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    if (node->granting)
        return;
    node->granting = true;
    struct request request = { .kind = REQ_GRANT,
                               .node = i,
                               .member = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1),
                               .ttl_s = sim->ttl_ms / 1000,
                               .timeout_us = MS(sim->ttl_ms / 8),
                               .done = on_granted };
    store_send(sim, &request);
}

void renew_start_timers(struct sim *sim, int i)
{
    sim->node[i].endpoint = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1);
    struct event round = { .fn = on_round, .host = i, .proc = PROC_SIDECAR };
    sim_at(sim, MS(5), &round);
}
