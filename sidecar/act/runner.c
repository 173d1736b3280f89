#include "sidecar/act/runner.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/act/steps_store.h"

enum step_state {
    STEP_IDLE,      /* not begun */
    STEP_OPERATING, /* its operation is under way */
    STEP_AWAITING,  /* the operation has succeeded, the condition does not hold yet */
    STEP_BROKEN,    /* the operation has failed */
};

struct runner {
    struct runner_spec spec;
    bool running;
    struct plan plan;
    size_t at;
    enum step_state state;
    struct mono step_began;
    struct mono deadline;
    struct step_op *op;
    struct plan_memory memory;
    struct err failure;
    struct source *alarm;
};

struct runner *runner_new(const struct runner_spec *spec)
{
    struct runner *runner = mem_struct(struct runner);
    runner->spec = *spec;
    runner->alarm = loop_timer(spec->loop, spec->changed, spec->arg);
    return runner;
}

struct runner *runner_free(struct runner *runner)
{
    if (runner == NULL)
        return NULL;
    step_op_free(runner->op);
    source_free(runner->alarm);
    free(runner);
    return NULL;
}

const struct plan *runner_plan(const struct runner *runner)
{
    return runner->running ? &runner->plan : NULL;
}

const struct step *runner_step(const struct runner *runner)
{
    return runner->running ? &runner->plan.steps[runner->at] : NULL;
}

static void op_done(void *arg, enum err_code code, const struct err *err)
{
    struct runner *runner = arg;
    if (code == ERR_OK) {
        runner->state = STEP_AWAITING;
    } else {
        runner->state = STEP_BROKEN;
        if (err != NULL)
            runner->failure = *err;
        else
            err_set(&runner->failure, code, "%s", err_code_name(code));
        runner->failure.code = code;
    }
    runner->spec.changed(runner->spec.arg);
}

static void begin_step(struct runner *runner, const struct view *view)
{
    const struct step *step = &runner->plan.steps[runner->at];
    runner->step_began = view->now;
    runner->deadline = step->deadline_ms > 0 ? mono_add(view->now, step->deadline_ms) : MONO_NEVER;
    source_disarm(runner->alarm);
    if (step->deadline_ms > 0)
        source_arm_at(runner->alarm, runner->deadline);
    const struct step_call call = {
        step, view, &runner->memory, runner->deadline, op_done, runner
    };
    runner->state = STEP_OPERATING;
    if (steps_store_has(step->kind))
        runner->op = steps_store_start(runner->spec.store, &call);
    else if (runner->spec.postgres != NULL && steps_postgres_has(step->kind))
        runner->op = steps_postgres_start(runner->spec.postgres, &call);
    else
        runner->state = STEP_AWAITING;
}

static void end_step(struct runner *runner)
{
    runner->op = step_op_free(runner->op);
    source_disarm(runner->alarm);
    runner->state = STEP_IDLE;
}

void runner_start(struct runner *runner, const struct plan *plan, const struct view *view)
{
    assert(!runner->running && plan->n > 0);
    runner->plan = *plan;
    runner->at = 0;
    runner->running = true;
    runner->memory = (struct plan_memory){ .config_mod_revision = view->store.config_mod_revision };
    auto_text struct text steps = text_new(LIMIT_LOG_LINE);
    for (size_t i = 0; i < plan->n; i++)
        text_addf(&steps, "%s%s", i > 0 ? ", " : "", step_name(plan->steps[i].kind));
    log_info("plan: %s -> %s", action_name(plan->action), text_str(&steps));
    if (runner->spec.store != NULL)
        steps_store_begin(runner->spec.store, view);
    begin_step(runner, view);
}

static void say_how_it_ended(const struct runner *runner, struct runner_end *ret_end,
                             enum err_code code)
{
    *ret_end = (struct runner_end){ .action = runner->plan.action,
                                    .completed = code == ERR_OK,
                                    .dropped = code == ERR_CANCELLED,
                                    .step = runner->plan.steps[runner->at],
                                    .code = code };
    if (code != ERR_OK)
        (void)text_copy(ret_end->why, sizeof(ret_end->why), runner->failure.text);
}

static bool end_plan(struct runner *runner, struct runner_end *ret_end, enum err_code code)
{
    say_how_it_ended(runner, ret_end, code);
    end_step(runner);
    runner->running = false;
    return true;
}

void runner_drop(struct runner *runner, struct runner_end *ret_end)
{
    err_set(&runner->failure, ERR_CANCELLED, "something more urgent came up");
    (void)end_plan(runner, ret_end, ERR_CANCELLED);
}

enum outcome { GOES_ON, SUCCEEDED, FAILED };

static enum outcome look(struct runner *runner, const struct view *view)
{
    const struct step *step = &runner->plan.steps[runner->at];
    if (runner->state == STEP_BROKEN)
        return FAILED;
    enum await condition = step_await(view, step, &runner->memory);
    if (condition == AWAIT_FAILED) {
        err_set(&runner->failure, ERR_REFUSED, "what it waits for cannot come any more");
        return FAILED;
    }
    if (condition == AWAIT_YES && runner->state == STEP_AWAITING)
        return SUCCEEDED;
    if (mono_before(view->now, runner->deadline))
        return GOES_ON;
    err_set(&runner->failure, ERR_TIMEOUT, "not done within %d ms", (int)step->deadline_ms);
    return FAILED;
}

static void log_step(const struct runner *runner, const struct view *view, bool failed)
{
    const struct step *step = &runner->plan.steps[runner->at];
    int took_ms = (int)mono_diff(view->now, runner->step_began);
    if (!failed)
        log_debug("step: %s -> done in %d ms", step_name(step->kind), took_ms);
    else if (step->optional)
        log_warn("step: %s after %d ms: %s -> going on without", step_name(step->kind), took_ms,
                 runner->failure.text);
    else /* the end of the plan says so, too */
        log_debug("step: %s after %d ms: %s -> plan \"%s\" ends here", step_name(step->kind),
                  took_ms, runner->failure.text, action_name(runner->plan.action));
}

bool runner_cycle(struct runner *runner, const struct view *view, struct runner_end *ret_end)
{
    if (!runner->running)
        return false;
    enum outcome outcome = look(runner, view);
    if (outcome == GOES_ON)
        return false;
    log_step(runner, view, outcome == FAILED);
    if (outcome == FAILED && !runner->plan.steps[runner->at].optional)
        return end_plan(runner, ret_end, runner->failure.code);
    if (runner->at + 1 == runner->plan.n)
        return end_plan(runner, ret_end, ERR_OK);
    end_step(runner);
    runner->at++;
    begin_step(runner, view);
    /* The view is as old as the step before: conditions wait for the next one. */
    if (runner->state == STEP_AWAITING)
        runner->spec.changed(runner->spec.arg);
    return false;
}
