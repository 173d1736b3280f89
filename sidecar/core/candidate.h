#pragma once
/* Who may become leader (design part 4). */
#include <stdbool.h>

#include "sidecar/core/decide.h"
#include "sidecar/core/view.h"

/* May this node lead at all, race or no race (S4, S6, S7, /sync)? On false `ret_why` says why not. */
bool candidate_fit(const struct view *view, char ret_why[LIMIT_REASON]);

/* Nobody leads and we are a running standby: take the key, ask the others first, or wait in words.
 * Always true. */
bool candidate_decide(const struct view *view, struct decision *decision);

/* What a race compares. */
struct candidate {
    const struct timeline *timeline;
    lsn_t position; /* received */
    int priority;   /* failover_priority */
    const char *name;
};

/* Total order: timeline history, then received LSN, then failover_priority, then name (the smaller
 * name is better). <0 when a is worse. */
int candidate_cmp(const struct candidate *a, const struct candidate *b);
