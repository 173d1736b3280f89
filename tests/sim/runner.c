/* A plan, step by step: the operation, then the real condition on the newest view. */
#include <string.h>

#include "sidecar/core/sync.h"
#include "tests/sim/sim.h"

enum { RETRY_MS = 100, RETRY_MAX_MS = 5000 };

static const struct step *present(const struct node *node)
{
    return &node->runner.plan.steps[node->runner.at];
}

static void back_off(struct sim *sim, struct node *node, enum action action)
{
    struct runner *runner = &node->runner;
    int64_t pause_ms =
        runner->failed == action && runner->pause_us > 0 ? runner->pause_us / 500 : RETRY_MS;
    int64_t most_ms = action == ACT_TAKE || action == ACT_PROMOTE || action == ACT_RELEASE
                          ? RETRY_MS
                          : RETRY_MAX_MS;
    if (pause_ms > most_ms)
        pause_ms = most_ms;
    runner->failed = action;
    runner->pause_us = MS(pause_ms);
    runner->retry_us = sim->now_us + MS(pause_ms);
}

enum ending { COMPLETED, FAILED, DROPPED };

static void clear_orders(struct orders *orders, enum action action, enum ending ending)
{
    if (action == ACT_RESTART && ending != DROPPED)
        orders->restart = false;
    if (action == ACT_RELOAD && ending == COMPLETED)
        orders->reload = false;
    if (action == ACT_RECLONE && ending == COMPLETED)
        orders->reinit = false;
}

static void end_plan(struct sim *sim, int i, enum ending ending)
{
    struct node *node = &sim->node[i];
    struct runner *runner = &node->runner;
    enum action action = runner->plan.action;
    const struct step end =
        runner->plan.steps[runner->at < runner->plan.n ? runner->at : runner->plan.n - 1];
    if (ending != COMPLETED)
        step_store_drop(sim, i);
    runner->running = false;
    runner->op++;
    node->tool = 0;
    if (ending == FAILED)
        say_line(sim, i, "plan: %s stopped at \"%s\"", action_name(action), step_name(end.kind));
    if (ending == COMPLETED)
        runner->failed = ACT_WAIT;
    if (ending == FAILED)
        back_off(sim, node, action);
    clear_orders(&node->orders, action, ending);
    if (action == ACT_REWIND && ending != DROPPED) {
        node->memory.rewind_checked = ending == COMPLETED;
        /* A leader that went away in the middle says nothing of our data. */
        node->memory.rewind_failed =
            ending == FAILED && end.kind == STEP_REWIND && runner->op_code != ERR_UNREACHABLE;
    }
    if (action == ACT_SYNC_GROW)
        sync_note_growth(&node->memory, &node->view, &end, ending == COMPLETED);
    if ((action == ACT_TAKE || action == ACT_PROMOTE) && ending == COMPLETED)
        node->memory.promoted_at = node->view.now;
    if (action == ACT_STOPPED && ending == COMPLETED)
        node->memory.handed_over = true;
    if (!node->view.guard.stop_requested)
        node->wants_out = false;
    node_wake(sim, i);
}

void runner_drop(struct sim *sim, int i)
{
    if (sim->node[i].runner.running)
        end_plan(sim, i, DROPPED);
}

static void begin_step(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct runner *runner = &node->runner;
    const struct step *step = present(node);
    runner->step_began = node->view.now;
    runner->op_done = false;
    runner->op_failed = false;
    runner->op++;
    node->tool = 0;
    sim->counters.step[step->kind]++;
    say_line(sim, i, "  step: %s", step_name(step->kind));
    if (!step_store(sim, i, step) && !step_postgres(sim, i, step))
        runner->op_done = true;
}

/* "Crashes between any two plan steps". */
static bool crashes_here(struct sim *sim)
{
    return !sim->quiet && sim->healed_us == 0 && sim->now_us > SECONDS(15) &&
           rng_chance(&sim->rng, 2);
}

static void on_restart(struct sim *sim, const struct event *event)
{
    if (sim->host[event->arg[0]].alive)
        node_boot(sim, (int)event->arg[0]);
}

void sidecar_crash(struct sim *sim, int i, int64_t back_us)
{
    node_die(sim, i);
    struct event event = { .fn = on_restart, .host = HOST_NONE, .arg = { i } };
    sim_at(sim, back_us, &event);
}

/* False: the plan has ended, or waits. */
static bool next_step(struct sim *sim, int i)
{
    struct runner *runner = &sim->node[i].runner;
    if (++runner->at == runner->plan.n) {
        end_plan(sim, i, COMPLETED);
        return false;
    }
    if (crashes_here(sim)) {
        sim->counters.fault[0]++;
        sidecar_crash(sim, i, rng_range(&sim->rng, MS(100), MS(900)));
        return false;
    }
    begin_step(sim, i);
    return true;
}

static enum await look(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct runner *runner = &node->runner;
    const struct step *step = present(node);
    if (runner->op_failed)
        return AWAIT_FAILED;
    if (mutate_await(sim, step))
        return AWAIT_YES;
    enum await now = step_await(&node->view, step, &runner->memory);
    if (now == AWAIT_YES && !runner->op_done)
        now = AWAIT_NOT_YET;
    if (now == AWAIT_NOT_YET && step->deadline_ms > 0 &&
        mono_diff(node->view.now, runner->step_began) >= step->deadline_ms)
        return AWAIT_FAILED;
    return now;
}

void runner_go(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    while (node->alive && node->runner.running) {
        enum await now = look(sim, i);
        if (now == AWAIT_NOT_YET)
            return;
        if (now == AWAIT_FAILED && !present(node)->optional) {
            end_plan(sim, i, FAILED);
            return;
        }
        if (!next_step(sim, i))
            return;
        if (!node->runner.op_done)
            return;
    }
}

void runner_begin(struct sim *sim, int i, const struct decision *decision)
{
    struct node *node = &sim->node[i];
    struct runner *runner = &node->runner;
    runner->plan = plan_make(&node->view, decision);
    mutate_plan(sim, &runner->plan);
    if (runner->plan.n == 0)
        return;
    for (size_t s = 0; s < runner->plan.n; s++)
        if (runner->plan.steps[s].kind == STEP_ASK_OUT)
            node->wants_out = true;
    runner->running = true;
    runner->began_us = sim->now_us;
    runner->at = 0;
    runner->accepts_loss = decision->accepts_loss;
    runner->memory =
        (struct plan_memory){ .config_mod_revision = node->view.store.config_mod_revision };
    for (int p = 0; p < DATA_MAX; p++)
        runner->data_id[p] = node->cache.data_id[p];
    say_line(sim, i, "plan: %s%s", action_name(decision->action),
             decision->accepts_loss ? ", accepting loss" : "");
    begin_step(sim, i);
    runner_go(sim, i);
}

void runner_op_done(struct sim *sim, int i, uint32_t op, enum err_code code)
{
    struct node *node = &sim->node[i];
    if (!node->alive || !node->runner.running || node->runner.op != op)
        return;
    node->tool = 0;
    node->seen_us = 0; /* looked at anew */
    if (code == ERR_OK)
        node->runner.op_done = true;
    else
        node->runner.op_failed = true;
    node->runner.op_code = code;
    node_wake_now(sim, i);
}
