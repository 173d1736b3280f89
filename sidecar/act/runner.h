#pragma once
/* Runs one plan at a time, step by step: the operation, then the condition on the newest view. It
 * decides nothing; the cycle tells it when to begin, to go on and to stop. A step that fails or
 * whose deadline passes ends the plan (an optional one does not); the next cycle decides anew. */
#include <stdbool.h>

#include "base/err.h"
#include "base/instant.h"
#include "loop/loop.h"
#include "sidecar/core/plan.h"
#include "sidecar/step.h"

struct runner;

struct runner_end {
    enum action action;
    bool completed;   /* every step succeeded or was optional */
    bool dropped;     /* cancelled in favour of something else */
    struct step step; /* where it ended */
    enum err_code code;
    char why[ERR_TEXT_MAX];
};

struct runner_spec {
    struct loop *loop;
    struct steps_store *store;
    struct steps_postgres *postgres;
    loop_fn *changed; /* an operation ended or a deadline passed: a cycle is due at once */
    void *arg;
};

struct runner *runner_new(const struct runner_spec *spec);
/* Drops what runs. */
struct runner *runner_free(struct runner *runner);

/* Begins a plan; nothing may be running. The first step starts at once with this view. */
void runner_start(struct runner *runner, const struct plan *plan, const struct view *view);
/* Goes on as far as the view allows. True when the plan has ended: `ret_end` says how. */
bool runner_cycle(struct runner *runner, const struct view *view, struct runner_end *ret_end);
/* Cancels the operation under way and forgets the plan. */
void runner_drop(struct runner *runner, struct runner_end *ret_end);

/* NULL when nothing runs. */
const struct plan *runner_plan(const struct runner *runner);
const struct step *runner_step(const struct runner *runner);
