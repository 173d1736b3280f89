/* members/<name>: what the others read of this node. */
#include <string.h>

#include "tests/sim/sim.h"

static void fill_state(const struct node *node, struct kv_member *member)
{
    const struct pg *pg = &node->seen;
    member->role =
        pg->in_recovery || pg->state == PG_DOWN ? MEMBER_ROLE_REPLICA : MEMBER_ROLE_PRIMARY;
    switch (pg->state) {
    case PG_DOWN:
        member->state = node->tool != 0 ? MEMBER_CREATING_REPLICA : MEMBER_STOPPED;
        if (pg->dir != DATA_DIR_VALID)
            member->role = MEMBER_ROLE_UNINITIALIZED;
        break;
    case PG_STARTING:
        member->state = MEMBER_STARTING;
        break;
    case PG_UP:
        member->state = MEMBER_RUNNING;
        break;
    case PG_STOPPING:
        member->state = MEMBER_STOPPING;
        break;
    }
}

static struct kv_member member_now(const struct sim *sim, int i)
{
    const struct node *node = &sim->node[i];
    const struct pg *pg = &node->seen;
    struct kv_member member = { .exists = true, .lease = node->lease.id };
    fill_state(node, &member);
    member.nosync = node->wants_out;
    member.nofailover = sim->no_failover[i];
    member.pause = node->cache.config.pause;
    if (pg->state != PG_UP)
        return member;
    member.timeline = pg->branch < 0 ? 0 : sim->branch[pg->branch].timeline.tli;
    member.streaming = pg->in_recovery && pg->connected;
    member.checkpoint_pending = !pg->in_recovery && !pg->checkpointed;
    member.location = pg->flush;
    member.received = pg->in_recovery ? pg->flush : LSN_NONE;
    member.replayed = member.received;
    return member;
}

static bool differs(const struct kv_member *a, const struct kv_member *b)
{
    return a->exists != b->exists || a->lease != b->lease || a->state != b->state ||
           a->role != b->role || a->nosync != b->nosync || a->nofailover != b->nofailover ||
           a->pause != b->pause || a->timeline != b->timeline || a->streaming != b->streaming ||
           a->checkpoint_pending != b->checkpoint_pending;
}

static void on_published(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    struct node *node = &sim->node[i];
    (void)ctx;
    node->publishing = false;
    if (reply->code == ERR_OK && reply->txn_ok) {
        node->published = node->publishing_now;
        node->published_us = sim->now_us;
        observe_store(sim, i, reply->rev);
        node_wake(sim, i);
    } else if (reply->code == ERR_OK && !node->lease.owns_key) {
        lease_forget_id(&node->lease); /* it is gone */
        renew_grant(sim, i);
    }
}

void publish(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    if (node->publishing || node->lease.id == 0 || !node->view.store.reachable || !node->loaded)
        return;
    struct kv_member member = member_now(sim, i);
    /* Against what is there: a late write of our own may have taken a newer one back. */
    const struct kv_member *there = &node->cache.member[i];
    bool moved =
        member.location != there->location && sim->now_us - node->published_us > SECONDS(4);
    if (!differs(&member, there) && !moved)
        return;
    node->publishing = true;
    node->publishing_now = member;
    struct request request = { .kind = REQ_TXN,
                               .node = i,
                               .member = node->endpoint,
                               .txn = txn_make(TXN_MEMBER, i),
                               .timeout_us = SECONDS(1),
                               .done = on_published };
    request.txn.lease = node->lease.id;
    request.txn.member = member;
    store_send(sim, &request);
}
