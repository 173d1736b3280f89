#pragma once
/* Seeds that failed once, run before all others, and those that have caught a mutation. A seed is a life
 * only as long as the model draws its dice alike: the faults that they showed are held by unit tests of the
 * core (or were the model's own); here they cost nothing and may show the next one. */
#include <stdint.h>

#include "tests/sim/mutate.h"

static const struct {
    uint64_t seed;
    enum mutation focus;
    const char *showed;
} regressions[] = {
    { 11592, MUT_NONE, "after a restored etcd nobody chose a member" },
    { 16471, MUT_NONE, "initialize written over another's" },
    { 22923, MUT_NONE, "initialize written over another's" },
    { 27191, MUT_NONE, "after a restored etcd nobody chose a member" },
    { 31043, MUT_NONE, "what a thawed node had begun" },
    { 2347, MUT_NONE, "a complete initdb was made again, a late write named the former one" },
    { 7650, MUT_NONE, "what a replaced raft leader had queued was committed when it led again" },
    { 4678, MUT_NONE, "/failsafe written by one that was not primary yet: nobody could race" },
    { 1378, MUT_NONE, "two timelines that look alike, and a store that was set back" },
    { 1716, MUT_NONE, "a lift's mark cleared by a second guard's sidecar" },
    { 300351, MUT_NONE, "a lift's mark left by one that was started as a standby in pause (L8)" },
    { 305536, MUT_NONE, "the key taken anew in pause while the lifted primary restarted itself" },
    { 2882, MUT_NONE, "waiting for a rival that /failsafe keeps out (L6)" },
    { 11398, MUT_NONE, "a lost leader that /failsafe did not name yet was kept out by it (L6)" },
    { 401581, MUT_NONE, "a key that came back with a restored store" },
    { 191777, MUT_NONE,
      "a thawed node began to accept writes just when the next leader's key was gone" },
    { 269303, MUT_NONE, "a key taken anew in pause came after the guard had ended the primary" },
    { 54482, MUT_ROUND_UNWRITTEN,
      "a key taken anew in pause came after the guard had ended the primary" },
    { 1511833, MUT_NONE, "a restored store in which nobody writes: nobody read it again" },
    { 1525505, MUT_NONE, "a thawed primary beside a key that came back with a restored store" },
    { 1087212, MUT_NONE, "a guard that was killed just after it had been told to kill" },
    { 1216855, MUT_NONE,
      "a member named in /failsafe while the lease stood on the others' promises (L6)" },
    { 3020266, MUT_NONE,
      "etcd stayed frozen where its guard was not scheduled as the others went on" },
    { 3528269, MUT_NONE, "etcd went away in the very moment in which it had been brought back" },
    { 3786326, MUT_NONE, "a tool ran while its guard stood still" },
    { 3829511, MUT_NONE, "pg_rewind without a leader to ask was taken for one that failed" },
    { 1260260, MUT_NONE, "a pause whose writing a frozen etcd kept until it had been ended" },
    { 1733390, MUT_NONE, "a clone went on under a /sync that came back with a restored store" },
    { 4138738, MUT_NONE, "data removed for a leader whose key came back with a restored store" },
    { 4140841, MUT_NONE, "data removed for a leader whose key came back with a restored store" },
    { 16590, MUT_NONE, "a word of a member that had not looked at its disk" },
};

enum { REGRESSIONS = sizeof(regressions) / sizeof(regressions[0]) };

/* Where each mutation was caught last; tried first. 0: not known. */
static const uint64_t mutation_seeds[MUT_MAX] = {
    [MUT_LEASE_FROM_REPLY] = 75,  [MUT_NO_READ] = 1,
    [MUT_TERMS] = 1106,           [MUT_NO_TRACE] = 509,
    [MUT_NO_DEMOTE] = 6,          [MUT_GUARD_SLEEPS] = 6,
    [MUT_GUARD_LATE] = 6,         [MUT_GUARD_COUNTS_ANEW] = 151,
    [MUT_NO_GUARD_ACK] = 10,      [MUT_CONNECT_LIFTS] = 2829,
    [MUT_RELEASE_BY_NAME] = 2,    [MUT_RELEASE_KEPT] = 437,
    [MUT_TAKE_NO_HOLDER] = 27,    [MUT_TAKE_OVER] = 191,
    [MUT_TAKE_NO_CONFIG] = 168,   [MUT_ROUND_OF_SOME] = 156,
    [MUT_ROUND_FROM_REPLY] = 186, [MUT_PROMISE_BROKEN] = 151,
    [MUT_YOUNG_RACES] = 912,      [MUT_UNNAMED_RACES] = 452,
    [MUT_NAMED_UNPROMISED] = 934, [MUT_ADOPT_FORGETS] = 5972,
    [MUT_ROUND_UNWRITTEN] = 253,  [MUT_UNMARKED_EARLY] = 238,
    [MUT_LIFT_UNMARKED] = 83,     [MUT_LIFT_NO_BAR] = 52,
    [MUT_RACE_IN_PAUSE] = 77,     [MUT_GROW_AT_ONCE] = 27,
    [MUT_RACE_OUTSIDE_SYNC] = 11, [MUT_SYNC_FIRST] = 2,
    [MUT_SSN_FIRST] = 5,          [MUT_NO_PROBE] = 112,
    [MUT_NO_NOBODY] = 2,          [MUT_EARLY_FLUSH] = 27,
    [MUT_CLONE_IN_SYNC] = 3,      [MUT_SSN_NOT_COVERING] = 45,
    [MUT_SYNC_NO_COMPARE] = 6,    [MUT_NO_S4] = 3,
    [MUT_NEVER_SHRINK] = 27,      [MUT_ANY_STORE] = 45,
    [MUT_NO_CONFIRMED] = 164,     [MUT_LEADER_UNASKED] = 157,
    [MUT_STOP_LEFT_ALONE] = 234,  [MUT_NO_LOCK] = 5,
    [MUT_GONE_EARLY] = 369,       [MUT_REVOKED_REUSED] = 303,
    [MUT_ADOPT_IN_PLACE] = 2,     [MUT_FOUND_ALONE] = 30,
    [MUT_REPLACE_ABSENT] = 10,    [MUT_EMPTY_VOTES] = 155,
};
