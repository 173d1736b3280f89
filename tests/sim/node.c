/* The cycle of one sidecar (sidecar/sidecar.c's, on models). */
#include "tests/sim/node.h"

#include <string.h>

#include "tests/sim/sim.h"

static const char *const names[DATA_MAX] = { "n1", "n2", "n3", "n4", "n5" };

const char *node_name(int node)
{
    return node >= 0 && node < DATA_MAX ? names[node] : "";
}

int node_index(const char *name)
{
    for (int i = 0; i < DATA_MAX; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return NODE_NONE;
}

node_set set_of(const struct names *list)
{
    node_set set = 0;
    for (size_t i = 0; i < list->n; i++)
        if (node_index(list->name[i]) != NODE_NONE)
            set |= (node_set)(1u << node_index(list->name[i]));
    return set;
}

/* ---- the cycle ------------------------------------------------------------------------ */

enum { PACE_US = 20000, BUSY_US = 100000, CALM_US = 1000000 };

static void on_cycle(struct sim *sim, const struct event *event);

static void cycle_at(struct sim *sim, int i, int64_t delay_us)
{
    struct node *node = &sim->node[i];
    int64_t at = sim->now_us + delay_us;
    if (node->cycle_at_us != 0 && node->cycle_at_us <= at)
        return;
    node->cycle_at_us = at;
    struct event event = { .fn = on_cycle, .host = i, .proc = PROC_SIDECAR, .arg = { at } };
    sim_at(sim, delay_us, &event);
}

void node_wake(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    if (!node->alive)
        return;
    int64_t due = node->cycle_us + PACE_US - sim->now_us;
    cycle_at(sim, i, due > 200 ? due : 200);
}

/* An operation has ended: no pace. */
void node_wake_now(struct sim *sim, int i)
{
    if (sim->node[i].alive)
        cycle_at(sim, i, 100);
}

static void count_rule(struct sim *sim, const char *rule)
{
    for (size_t i = 0; i < RULES_MAX && decide_rule_name(i) != NULL; i++)
        if (decide_rule_name(i) == rule)
            sim->counters.rule[i]++;
}

static bool must_pause(const struct sim *sim, const struct node *node, enum action action)
{
    bool safety = action == ACT_FENCE || action == ACT_DEMOTE;
    return node->runner.failed == action && !safety && sim->now_us < node->runner.retry_us;
}

static void act(struct sim *sim, int i, const struct decision *decision)
{
    struct node *node = &sim->node[i];
    if (node->runner.running && decide_interrupts(node->runner.plan.action, decision->action)) {
        say_line(sim, i, "plan: %s dropped for %s", action_name(node->runner.plan.action),
                 action_name(decision->action));
        runner_drop(sim, i);
    }
    if (node->runner.running)
        runner_go(sim, i);
    else if (decision->action != ACT_WAIT && !must_pause(sim, node, decision->action))
        runner_begin(sim, i, decision);
    bool awaits = node->runner.running &&
                  node->runner.plan.steps[node->runner.at].kind == STEP_AWAIT_RECEIVED;
    if (awaits && sim->now_us - node->polled_us > MS(40))
        observe_poll(sim, i);
    else if (decision->ask_peers && sim->now_us - node->polled_us > MS(500))
        observe_poll(sim, i);
}

static void forget_former_leader(struct node *node)
{
    if (node->view.store.leader_create_revision == node->leader_seen)
        return;
    node->leader_seen = node->view.store.leader_create_revision;
    node->memory.rewind_failed = false;
    node->memory.rewind_checked = false;
    node->memory.n_late = 0;
    node->view.memory = node->memory;
}

static void plan_next_cycle(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    const struct view *view = &node->view;
    bool busy = node->runner.running || view->pg.waiters > 0 || !view->store.leader_exists ||
                view->guard.stop_requested || node->runner.failed != ACT_WAIT ||
                view->pg.state == PG_STARTING || view->pg.state == PG_STOPPING;
    int64_t in_us = busy ? BUSY_US : CALM_US;
    if (node->runner.running && node->runner.op_done)
        in_us = PACE_US + MS(10);
    int64_t left_ms = lease_left_ms(&view->lease, view->now) -
                      lease_demote_ms(view->policy.ttl_ms, view->policy.cpu_limited);
    if (view_is_primary(view) && left_ms >= 0 && MS(left_ms + 1) < in_us)
        in_us = MS(left_ms + 1);
    cycle_at(sim, i, in_us);
}

static void tell_decision(struct sim *sim, int i, const struct decision *decision)
{
    struct node *node = &sim->node[i];
    count_rule(sim, decision->rule);
    if (node->last_rule == decision->rule && node->last_action == decision->action &&
        strcmp(node->last_reason, decision->reason) == 0)
        return;
    node->last_rule = decision->rule;
    node->last_action = decision->action;
    if (sim->tracing)
        memcpy(node->last_reason, decision->reason, LIMIT_REASON);
    say_line(sim, i, "%s -> %s: %s", decision->rule, action_name(decision->action),
             decision->reason);
}

static void on_cycle(struct sim *sim, const struct event *event)
{
    int i = event->host;
    struct node *node = &sim->node[i];
    if (!node->alive || node->cycle_at_us != event->arg[0])
        return;
    node->cycle_at_us = 0;
    sim->counters.cycles++;
    observe_fill(sim, i);
    forget_former_leader(node);
    if (node->view.lease.owns_key) /* what was to be cloned leads now */
        node->orders.reinit = node->view.orders.reinit = false;
    mutate_view(sim, &node->view);
    struct decision decision = decide(&node->view);
    tell_decision(sim, i, &decision);
    act(sim, i, &decision);
    if (!node->alive)
        return;
    publish(sim, i);
    failsafe_cycle(sim, i);
    plan_next_cycle(sim, i);
    node->cycle_us = sim->now_us;
}

/* ---- life ----------------------------------------------------------------------------- */

static void init_view(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct view *view = &node->view;
    memset(view, 0, sizeof(*view));
    memcpy(view->self, names[i], sizeof("n1"));
    view->tags = tags_default();
    view->policy = (struct policy){
        .ttl_ms = sim->ttl_ms,
        .sync_on = sim->sync_on,
        .sync_strict = sim->strict,
        .sync_count = 1,
        .max_lag_on_failover = 1048576,
        .max_lag_on_syncnode = -1,
        .use_rewind = sim->rewind,
        .clone_on_divergence = true,
        .clone_on_rewind_failure = true,
        .primary_start_timeout_ms = 300000,
        .may_bootstrap = true,
        .failsafe = sim->failsafe,
    };
    for (int p = 0; p < DATA_MAX; p++)
        view->store.peers[p].member.tags = tags_default();
}

void node_boot(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    int64_t highest = node->highest_sync_mod;
    int known = node->store_known;
    if (node->alive || !sim->host[i].alive)
        return;
    memset(node, 0, offsetof(struct node, view));
    node->highest_sync_mod = highest;
    node->store_known = known;
    node->alive = true;
    node->heard_us = -1;
    node->watch = NODE_NONE;
    for (int p = 0; p < DATA_MAX; p++)
        node->walsender_gone[p] = MONO_NEVER;
    node->last_action = ACT_MAX;
    node->memory.started_at = node_clock(sim, i);
    node->guard_seen.tree_alive = true; /* nothing is gone before the guard was heard */
    node->cycle_us = sim->now_us;
    init_view(sim, i);
    say_line(sim, i, "sidecar: starts");
    guard_connect(sim, i);
    observe_resync(sim, i);
    renew_start_timers(sim, i);
    failsafe_start(sim, i);
    cycle_at(sim, i, MS(5));
}

void node_die(struct sim *sim, int i)
{
    if (!sim->node[i].alive)
        return;
    runner_drop(sim, i);
    sim->node[i].alive = false;
    guard_left(sim, i);
    sim_kill_proc(sim, i, PROC_SIDECAR);
    say_line(sim, i, "sidecar: dies");
}
