#pragma once
/* A look at the directory while no postmaster runs, and once after taking one over. For struct postgres
 * and its steps only. */
#include "sidecar/postgres/controldata.h"
#include "sidecar/postgres/datadir.h"

struct postgres;

/* What one look has found. */
struct findings {
    struct datadir dir;
    bool control_known;
    struct controldata control;
    struct timeline timeline; /* of the control file's position; tli 0: not known */
};

struct look {
    bool wanted;
    bool running;
    unsigned round; /* tells an answer to an older question */
    struct source *work;
    struct tool_call *tool;
    struct source *timer; /* looks again while Postgres is down */
    bool dir_known;
    struct findings found;  /* by the last look that came to its end */
    struct findings coming; /* by the one that is under way: decisions need all of it at once */
    char trouble[512];      /* why pg_control could not be read; "" */
};

void look_begin(struct postgres *postgres);
void look_end(struct postgres *postgres);
void look_again(struct postgres *postgres); /* what is known may be wrong now */
