#pragma once
/* Seeds that failed once, run before all others, and those that have caught a mutation. A seed is a life
 * only as long as the model draws its dice alike: the faults that they showed are held by unit tests of the
 * core (or were the model's own); here they cost nothing and may show the next one. */
#include <stdint.h>

#include "tests/sim/mutate.h"

static const struct {
    uint64_t seed;
    const char *showed;
} regressions[] = {
    { 11592, "after a restored etcd nobody chose a member" },
    { 16471, "initialize written over another's" },
    { 22923, "initialize written over another's" },
    { 27191, "after a restored etcd nobody chose a member" },
    { 31043, "what a thawed node had begun" },
    { 2347, "a complete initdb was made again, a late write named the former one" },
    { 7650, "what a replaced raft leader had queued was committed when it led again" },
    { 4678, "/failsafe written by one that was not primary yet: nobody could race" },
    { 1378, "two timelines that look alike, and a store that was set back" },
    { 1716, "a lift's mark cleared by a second guard's sidecar" },
    { 300351, "a lift's mark left by one that was started as a standby in pause (L8)" },
    { 305536, "the key taken anew in pause while the lifted primary restarted itself" },
};

enum { REGRESSIONS = sizeof(regressions) / sizeof(regressions[0]) };

/* Where each mutation was caught last; tried first. 0: not known. */
static const uint64_t mutation_seeds[MUT_MAX] = {
    [MUT_NONE] = 0,
};
