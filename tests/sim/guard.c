/* The guard: the real deadline (sidecar/guard/deadline), a kill, the word that all is gone. */
#include <string.h>

#include "tests/sim/faults.h"
#include "tests/sim/sim.h"

static int64_t true_us_until(const struct sim *sim, int host, struct mono at)
{
    int64_t local_ms = mono_diff(at, node_clock(sim, host));
    return local_ms <= 0 ? 0 : MS(local_ms) - MS(local_ms) * sim->host[host].ppm / 1000000 + 1;
}

/* The last word is the present one. */
void guard_heard(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    const struct guard *guard = &sim->guard[i];
    if (!node->alive || !node->guard_connected)
        return;
    const struct pg *pg = &sim->pg[i];
    bool gone = sim->mutation == MUT_GONE_EARLY ? !pg->postmaster : !pg_tree_alive(pg);
    gone = gone || guard->blind;
    node->guard_seen = (struct guard_view){
        .connected = guard->alive,
        .tree_alive = !gone,
        .has_deadline = guard->deadline.has,
        .deadline = guard->deadline.at,
        .lifted = guard->deadline.lifted,
        .lease_id = guard->deadline.cookie.lease_id,
        .create_revision = guard->deadline.cookie.create_revision,
        .stop_requested = guard->stop.requested,
    };
    node->lease.lifted = node->guard_seen.lifted;
    node_wake(sim, i);
}

static void on_status(struct sim *sim, const struct event *event)
{
    guard_heard(sim, event->host);
}

void guard_tell(struct sim *sim, int node)
{
    if (!sim->guard[node].alive || !sim->node[node].alive)
        return;
    struct event event = { .fn = on_status, .host = node, .proc = PROC_SIDECAR };
    sim_at(sim, rng_range(&sim->rng, 50, 400), &event);
}

/* L3: the clock first. */
static bool passed(struct sim *sim, int node)
{
    struct guard *guard = &sim->guard[node];
    if (sim->mutation == MUT_GUARD_SLEEPS || sim->mutation == MUT_NO_DEMOTE)
        return false;
    if (!deadline_check(&guard->deadline, node_clock(sim, node)))
        return false;
    if (!guard->killing) {
        guard->killing = true;
        say_line(sim, node, "guard: the deadline has passed -> kill");
        pg_kill_tree(sim, node);
    }
    return true;
}

static void on_deadline(struct sim *sim, const struct event *event)
{
    if (passed(sim, event->host))
        guard_tell(sim, event->host);
}

void guard_arm(struct sim *sim, int node)
{
    struct mono next = deadline_next(&sim->guard[node].deadline);
    if (next.ms == INT64_MAX)
        return;
    struct event event = { .fn = on_deadline, .host = node, .proc = PROC_GUARD };
    sim_at(sim, true_us_until(sim, node, next), &event);
}

static void on_offer(struct sim *sim, const struct event *event)
{
    struct guard *guard = &sim->guard[event->host];
    if (!guard->alive)
        return;
    struct mono at = { event->arg[0] };
    struct guard_cookie cookie = { event->arg[1], event->arg[2] };
    if (sim->mutation == MUT_GUARD_LATE)
        at = mono_add(at, 2000 + lease_margin_ms(sim->ttl_ms, false));
    if (sim->mutation == MUT_GUARD_COUNTS_ANEW)
        at = mono_add(node_clock(sim, event->host),
                      sim->ttl_ms - lease_margin_ms(sim->ttl_ms, false));
    (void)passed(sim, event->host);
    if (deadline_offer(&guard->deadline, node_clock(sim, event->host), at, cookie) == DEADLINE_OK)
        guard_arm(sim, event->host);
    guard_tell(sim, event->host);
}

void guard_offer(struct sim *sim, int node, struct mono at, struct guard_cookie cookie)
{
    if (!sim->node[node].guard_connected)
        return;
    struct event event = { .fn = on_offer,
                           .host = node,
                           .proc = PROC_GUARD,
                           .arg = { at.ms, cookie.lease_id, cookie.create_revision } };
    sim_at(sim, rng_range(&sim->rng, 50, 500), &event);
}

/* G1: said only when nothing is left. */
void guard_tree_gone(struct sim *sim, int node)
{
    struct guard *guard = &sim->guard[node];
    if (!guard->blind)
        deadline_child_gone(&guard->deadline);
    guard->blind = false;
    guard->former.lifted = false;
    guard->killing = false;
    guard_tell(sim, node);
}

static void on_connect(struct sim *sim, const struct event *event)
{
    struct guard *guard = &sim->guard[event->host];
    if (!guard->alive)
        return;
    guard->conn++;
    guard->connected = sim->node[event->host].alive;
    deadline_new_sidecar(&guard->deadline);
    if (sim->mutation == MUT_CONNECT_LIFTS)
        guard->deadline.has = false;
    sim->node[event->host].guard_connected = true;
    guard_tell(sim, event->host);
}

void guard_connect(struct sim *sim, int node)
{
    struct event event = { .fn = on_connect, .host = node, .proc = PROC_GUARD };
    sim_at(sim, rng_tail(&sim->rng, MS(1), MS(150)), &event);
}

void guard_left(struct sim *sim, int node)
{
    sim->guard[node].connected = false;
    sim->guard[node].since = node_clock(sim, node);
    sim->node[node].guard_connected = false;
}

/* ---- G2 ------------------------------------------------------------------------------- */

enum { STOP_LOOK_US = 50000 };

static enum stop_step due(struct sim *sim, int node, bool etcd)
{
    const struct guard *guard = &sim->guard[node];
    const struct stop_facts facts = {
        .now = node_clock(sim, node),
        .connected = guard->connected,
        .since = guard->since,
        .child = !etcd && pg_tree_alive(&sim->pg[node]) && !guard->blind,
        .etcd = etcd,
    };
    return stop_step(etcd ? &guard->etcd_stop : &guard->stop, &facts);
}

static void stop_postgres(struct sim *sim, int node)
{
    struct guard *guard = &sim->guard[node];
    bool left_alone = sim->mutation == MUT_STOP_LEFT_ALONE && !guard->stop.handed_over;
    switch (left_alone ? STOP_WAIT : due(sim, node, false)) {
    case STOP_WAIT:
        break;
    case STOP_FAST:
        pg_stop_fast(sim, node);
        break;
    case STOP_KILL:
        pg_kill_tree(sim, node);
        break;
    case STOP_EXIT:
        guard->exited = true;
        break;
    }
}

static void on_stop(struct sim *sim, const struct event *event)
{
    int node = event->host;
    struct guard *guard = &sim->guard[node];
    if (!guard->alive || !guard->stop.requested || guard->exited)
        return;
    stop_postgres(sim, node);
    if (!guard->etcd_exited && due(sim, node, true) != STOP_WAIT) {
        guard->etcd_exited = true;
        fault_etcd_ended(sim, node);
    }
    sim_at(sim, STOP_LOOK_US, event);
}

void guard_stop(struct sim *sim, int node, int64_t grace_ms)
{
    struct guard *guard = &sim->guard[node];
    guard->stop_began_us = sim->now_us;
    stop_request(&guard->stop, node_clock(sim, node), grace_ms);
    stop_request(&guard->etcd_stop, node_clock(sim, node), grace_ms);
    guard_tell(sim, node);
    struct event event = { .fn = on_stop, .host = node, .proc = PROC_GUARD };
    sim_at(sim, MS(1), &event);
}

/* ---- G3 ------------------------------------------------------------------------------- */

/* The guard that started it goes on to watch over it. */
static void on_former_deadline(struct sim *sim, const struct event *event)
{
    struct guard *guard = &sim->guard[event->host];
    if (guard->blind && deadline_check(&guard->former, node_clock(sim, event->host)))
        pg_kill_tree(sim, event->host);
}

void guard_second(struct sim *sim, int node)
{
    struct guard *guard = &sim->guard[node];
    uint32_t conn = guard->conn;
    struct deadline former = guard->deadline;
    sim_kill_proc(sim, node, PROC_GUARD);
    *guard = (struct guard){ .alive = true, .conn = conn + 1, .blind = true, .former = former };
    guard->since = node_clock(sim, node);
    struct mono next = deadline_next(&former);
    if (next.ms == INT64_MAX)
        return;
    struct event event = { .fn = on_former_deadline, .host = node, .proc = PROC_GUARD };
    sim_at(sim, true_us_until(sim, node, next), &event);
}

void guard_former_killed(struct sim *sim, int node)
{
    if (sim->guard[node].blind)
        pg_kill_tree(sim, node);
}
