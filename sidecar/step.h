#pragma once
/* How a step is carried out. A step is an operation (may be absent) and then a condition
 * (core/await.h). The operation half of each kind lives in steps_store.c or steps_postgres.c. */
#include <stdbool.h>

#include "base/err.h"
#include "loop/loop.h"
#include "sidecar/core/await.h"
#include "sidecar/core/plan.h"

/* One operation under way. Freeing it cancels what can be cancelled; `done` is not called then. */
struct step_op {
    void (*free)(struct step_op *op);
};

/* Runs exactly once, from the loop, never from inside the start. */
typedef void step_done_fn(void *arg, enum err_code code, const struct err *err);

struct step_call {
    const struct step *step;
    const struct view *view;    /* as of the start of the step; borrowed during the call only */
    struct plan_memory *memory; /* lives as long as the plan */
    struct mono deadline;       /* the operation must have ended by then; MONO_NEVER: none */
    step_done_fn *done;
    void *arg;
};

static inline struct step_op *step_op_free(struct step_op *op)
{
    if (op != NULL)
        op->free(op);
    return NULL;
}

struct steps_store;
struct steps_postgres;

/* Which of the two executes this kind; false for both: the step is only a condition. */
bool steps_store_has(enum step_kind kind);
bool steps_postgres_has(enum step_kind kind);
/* Starts the operation. Never NULL; failures come through `done`. */
struct step_op *steps_store_start(struct steps_store *steps, const struct step_call *call);
struct step_op *steps_postgres_start(struct steps_postgres *steps, const struct step_call *call);
