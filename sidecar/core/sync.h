#pragma once
/* The synchronous set: who should be in it (design part 5). */
#include <stdbool.h>

#include "sidecar/core/decide.h"
#include "sidecar/core/plan.h"
#include "sidecar/core/view.h"

enum {
    SYNC_RETURN_MS = 500,           /* S5: a closed walsender may return within this */
    SYNC_GROW_RETRY_MS = 2000,      /* after a growth that failed; with a member that did not */
    SYNC_LATE_MAX_MS = 300000,      /* confirm in time it doubles up to this */
    SYNC_CATCH_UP_BYTES = 16 << 20, /* a member further behind would stall commits while it joins */
};

/* Those of /sync that stay; `ret_why` says why somebody leaves ("" when all stay). */
struct names sync_keep(const struct view *view, char ret_why[LIMIT_REASON]);

/* /sync's standbys and those that may join them now, at most synchronous_node_count. */
struct names sync_grown(const struct view *view);

/* Is there somebody outside /sync who may join it now? */
bool sync_has_joiner(const struct view *view);

/* How a plan that should have grown the set has ended, at `step`. A member that did not flush in time is
 * tried again later and later, for commits wait each time; at once when it has flushed what it owed. */
void sync_note_growth(struct memory *memory, const struct view *view, const struct step *step,
                      bool completed);

/* Somebody who streams and is not tried now for that reason; NULL: nobody. */
const struct late *sync_late(const struct view *view);

/* synchronous_standby_names that belong to a /sync with these standbys: nobody's name when strict and
 * empty, else the names themselves. */
enum ssn_kind sync_ssn_for(const struct view *view, const struct names *standbys);

/* S7: the lowest flush position that /sync's standbys have confirmed; LSN_NONE when /sync names none,
 * or not all of them are connected. */
lsn_t sync_confirmed(const struct view *view);
