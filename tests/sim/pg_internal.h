#pragma once
/* What the files of the Postgres model share. */
#include "tests/sim/sim.h"

/* An event of Postgres itself: lost when its tree dies. */
void pg_event(struct sim *sim, int node, int64_t delay_us, event_fn *fn, int64_t arg);
void pg_move(struct sim *sim, int node, enum pg_state state);
void pg_begin_recovery(struct sim *sim, int node, bool clean);
void pg_standby_consistent(struct sim *sim, int node);
void pg_release_waiters(struct sim *sim, int node, lsn_t up_to);
