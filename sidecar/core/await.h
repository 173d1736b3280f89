#pragma once
/* The half of a step that waits: a pure condition over the newest view, asked again in every cycle
 * until it holds once the operation has ended, fails, or the step's deadline passes. Steps without a condition answer AWAIT_YES.
 * Sidecar and simulation share it. */
#include "sidecar/core/plan.h"
#include "sidecar/core/view.h"

enum await {
    AWAIT_NOT_YET,
    AWAIT_YES,
    AWAIT_FAILED, /* it cannot hold any more: end the plan, also while the operation runs */
};

/* What a running plan carries from step to step. */
struct plan_memory {
    lsn_t flush; /* READ_FLUSH: a primary flush position after commits were seen to wait (S2) */
    int64_t sync_mod_revision;   /* of our last WRITE_SYNC in this plan, 0 none */
    int64_t config_mod_revision; /* compared by TAKE_KEY: as the plan began (L8) */
};

enum await step_await(const struct view *view, const struct step *step,
                      const struct plan_memory *memory);
