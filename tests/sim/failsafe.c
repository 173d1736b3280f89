/* L6 as sidecar/act/failsafe_round and sidecar_failsafe run it: /failsafe as leader, rounds beside the
 * cycle while renewals have no answer, and the answer to one. Verdicts are core/failsafe's. */
#include "sidecar/core/failsafe.h"

#include <string.h>

#include "tests/sim/sim.h"

/* ---- /failsafe ------------------------------------------------------------------------ */

static void on_written(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    struct node *node = &sim->node[i];
    (void)ctx;
    node->round.writing = false;
    if (reply->code != ERR_OK)
        return;
    node->round.in_doubt = false;
    if (reply->txn_ok)
        observe_store(sim, i, reply->rev);
}

bool failsafe_committed(const struct node *node)
{
    return !node->round.in_doubt || node->cache.failsafe.mod != node->round.compared;
}

static void write_members(struct sim *sim, int i, node_set members)
{
    struct node *node = &sim->node[i];
    struct request request = { .kind = REQ_TXN,
                               .node = i,
                               .member = node->endpoint,
                               .txn = txn_make(TXN_FAILSAFE, i),
                               .timeout_us = SECONDS(1),
                               .done = on_written };
    request.txn.cmp_leader_create = node->lease.create_revision;
    request.txn.cmp_leader_mod = node->lease.mod_revision;
    request.txn.cmp_failsafe_mod = node->cache.failsafe.mod;
    request.txn.standbys = members;
    node->round.compared = node->cache.failsafe.mod;
    node->round.in_doubt = true;
    node->round.writing = true;
    store_send(sim, &request);
}

static void publish_members(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    if (node->round.writing || !view_is_primary(&node->view) || !view_self_leads(&node->view) ||
        !node->view.store.reachable)
        return;
    if (sim->mutation == MUT_ADOPT_FORGETS)
        node->view.lease.inherited = false;
    if (sim->mutation == MUT_NAMED_UNPROMISED)
        node->view.lease.promised_until = (struct mono){ 0 };
    struct names names = failsafe_members(&node->view);
    if (set_of(&names) == node->cache.failsafe.names)
        return;
    write_members(sim, i, set_of(&names));
    node->view.store.failsafe_committed = failsafe_committed(node);
}

/* ---- the round ------------------------------------------------------------------------ */

static struct mono due_at(const struct node *node)
{
    const struct round *round = &node->round;
    struct mono due = failsafe_due(&node->lease);
    if (due.ms == MONO_NEVER.ms)
        return due;
    if (lease_by_promise(&node->lease))
        due = mono_min(due, mono_add(round->accepted, node->lease.ttl_ms / 4));
    return mono_max(due, round->retry_at);
}

static void end_round(struct round *round)
{
    round->under_way = false;
    round->id++;
    round->open = 0;
}

static void accepted_by_all(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct round *round = &node->round;
    struct mono sent = sim->mutation == MUT_ROUND_FROM_REPLY ? node_clock(sim, i) : round->sent;
    end_round(round);
    round->accepted = round->sent;
    round->retry_at = (struct mono){ 0 };
    if (!lease_promised(&node->lease, sent, sim->ttl_ms))
        return;
    sim->counters.rounds++;
    say_line(sim, i, "failsafe: all of /failsafe accept");
    renew_offer(sim, i);
    node_wake(sim, i);
}

static void in_vain(struct sim *sim, int i)
{
    struct round *round = &sim->node[i].round;
    end_round(round);
    round->retry_at = mono_add(node_clock(sim, i), sim->ttl_ms / 16);
}

/* arg: who answers, the round's id, accepted or not. */
static void on_answer(struct sim *sim, const struct event *event)
{
    int i = event->host;
    struct round *round = &sim->node[i].round;
    if (!round->under_way || round->id != (uint32_t)event->arg[1])
        return;
    if (event->arg[2] == 0) {
        in_vain(sim, i);
        return;
    }
    round->open &= (node_set) ~(1u << event->arg[0]);
    bool some_will_do = sim->mutation == MUT_ROUND_OF_SOME;
    if (round->open == 0 || some_will_do)
        accepted_by_all(sim, i);
}

static void on_round_timeout(struct sim *sim, const struct event *event)
{
    const struct round *round = &sim->node[event->host].round;
    if (round->under_way && round->id == (uint32_t)event->arg[0])
        in_vain(sim, event->host);
}

/* arg: who asks, the round's id, the asker's create_revision. */
static void on_asked(struct sim *sim, const struct event *event)
{
    int self = event->host, asker = (int)event->arg[0];
    struct node *node = &sim->node[self];
    char why[LIMIT_REASON];
    if (!node->alive)
        return;
    struct failsafe_ask ask = { .create_revision = event->arg[2], .ttl_ms = sim->ttl_ms };
    memcpy(ask.name, node_name(asker), sizeof("n1"));
    node->view.now = node_clock(sim, self);
    node->view.lease = node->lease;
    enum action running = node->runner.running ? node->runner.plan.action : ACT_WAIT;
    bool yes = failsafe_judge(&node->view, running, &ask, why) == FAILSAFE_ACCEPTED;
    if (yes)
        failsafe_promise(&node->memory, node->view.now, &ask, sim->ttl_ms);
    struct event answer = {
        .fn = on_answer, .host = asker, .proc = PROC_SIDECAR, .arg = { self, event->arg[1], yes }
    };
    net_send(sim, self, &answer);
}

static void begin(struct sim *sim, int i)
{
    struct round *round = &sim->node[i].round;
    end_round(round);
    round->under_way = true;
    round->sent = node_clock(sim, i);
    round->open = round->others;
    for (int p = 0; p < sim->n; p++) {
        if (!(round->others >> p & 1))
            continue;
        struct event ask = { .fn = on_asked,
                             .host = p,
                             .proc = PROC_SIDECAR,
                             .arg = { i, round->id, sim->node[i].lease.create_revision } };
        net_send(sim, i, &ask);
    }
    struct event over = {
        .fn = on_round_timeout, .host = i, .proc = PROC_SIDECAR, .arg = { round->id }
    };
    sim_at(sim, MS(sim->ttl_ms / 4), &over);
    if (round->open == 0)
        accepted_by_all(sim, i);
}

/* The timer beside the cycle. */
static void on_look(struct sim *sim, const struct event *event)
{
    int i = event->host;
    struct node *node = &sim->node[i];
    struct mono now = node_clock(sim, i);
    if (node->round.usable && !node->round.under_way && !mono_before(now, due_at(node)) &&
        lease_holds(&node->lease, now))
        begin(sim, i);
    sim_at(sim, MS(sim->ttl_ms / 32), event);
}

void failsafe_start(struct sim *sim, int i)
{
    struct event look = { .fn = on_look, .host = i, .proc = PROC_SIDECAR };
    if (sim->failsafe)
        sim_at(sim, MS(sim->ttl_ms / 32), &look);
}

void failsafe_cycle(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct round *round = &node->round;
    struct names others;
    if (!sim->failsafe)
        return;
    publish_members(sim, i);
    bool usable = view_is_primary(&node->view) && failsafe_others(&node->view, &others);
    if (sim->mutation == MUT_ROUND_UNWRITTEN && node->cache.failsafe.mod != 0) {
        others = failsafe_members(&node->view);
        names_remove(&others, node->view.self);
        usable = view_is_primary(&node->view);
    }
    node_set wanted = usable ? set_of(&others) : 0;
    if (usable != round->usable || wanted != round->others)
        end_round(round);
    round->usable = usable;
    round->others = wanted;
}
