#pragma once
/* The membership of etcd itself, compactly (E1, E3): three nodes with a volume each, their sidecars'
 * real member_decide(), a list of members that needs a quorum to change. Its own dice and its own time;
 * the rest of the simulation begins where this one ends, with three voters. */
#include <stdbool.h>
#include <stdint.h>

struct sim;

struct formation_counts {
    uint64_t runs, founded, joined, added, removed, promoted, set_aside, lost;
};

/* One life of 300 s: formed, members lost and back, healed. Breaks E1, E3 or liveness. */
void formation_run(struct sim *sim);
