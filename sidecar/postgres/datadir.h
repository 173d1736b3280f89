#pragma once
/* Looks at the data directory and what lies beside it (thread pool). Classifies, changes nothing. */
#include <stdbool.h>

#include "cluster/sync_state.h"
#include "cluster/timeline.h"
#include "sidecar/core/view.h"
#include "sidecar/postgres/conf_state.h"
#include "sidecar/postgres/place.h"

struct datadir {
    enum data_dir dir;
    bool standby_signal;
    bool rewinding;         /* pg_rewind began and did not end: only it or a clone may go on */
    char trouble[512];      /* DATA_DIR_BROKEN: what is wrong and the way out */
    struct conf_state conf; /* what postgresql.conf says of what we write into it */
};

/* Blocks: call it in the thread pool. */
void datadir_look(const struct place *place, struct datadir *ret);

/* The history of a timeline from <data>/pg_wal. Timeline 1 has none. Blocks.
 * Errors: ERR_NOT_FOUND (not there yet), ERR_PROTOCOL, ERR_SYSTEM. */
enum err_code datadir_history(const struct place *place, uint32_t tli, struct timeline *ret,
                              struct err *err);
