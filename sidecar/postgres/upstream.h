#pragma once
/* What the upstream of a standby that does not stream is asked: has it still the WAL that comes next?
 * Between the sources of struct postgres only. */
#include <stdbool.h>

#include "base/instant.h"

struct postgres;

struct upstream {
    struct tool_call *tool;
    struct mono asked_at; /* 0: not since it is stuck */
    bool wal_missing;
};

/* After each round of the probe. */
void upstream_look(struct postgres *postgres, bool stuck);
void upstream_end(struct postgres *postgres);
