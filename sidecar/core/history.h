#pragma once
/* Our WAL against the leader's (design part 6): by content of the histories, never by guess. */
#include <stdbool.h>

#include "sidecar/core/decide.h"
#include "sidecar/core/view.h"

enum history_verdict {
    HISTORY_SAME,     /* our WAL is on the leader's way: follow */
    HISTORY_DIVERGED, /* it holds what the leader does not have */
    HISTORY_UNKNOWN,  /* the leader's history is not known, or our end is not */
};

/* The content of the leader's history is known, not only its number. */
bool history_is_told(const struct view *view);
enum history_verdict history_against_leader(const struct view *view);

/* What is to be done about a verdict that is not HISTORY_SAME: rewind, clone again, or stay out in
 * words. Always true. */
bool history_mend(const struct view *view, struct decision *decision, enum history_verdict verdict);

/* Nothing diverged, but what comes next is nowhere to be had: clone again where the configuration allows
 * that for a member that cannot follow; else false. */
bool history_wal_missing(const struct view *view, struct decision *decision);

/* Copies a name into a decision's field. */
void text_into(char to[LIMIT_NAME], const char *from);
