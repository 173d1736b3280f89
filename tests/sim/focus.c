#include "tests/sim/focus.h"

#include <string.h>

#include "tests/sim/sim.h"

enum { FAULTS_PERMILLE = 750 };

static const struct focus focuses[MUT_MAX] = {
    /* A raft leader that was deposed keeps a lease alive which its successor lets end. */
    [MUT_NO_READ] = { .faults = { "etcd's raft leader hangs and answers keepalives",
                                  "raft leadership moved to the primary",
                                  "node partitioned from everything" } },
    /* An answer that took long makes a lease longer than etcd's. */
    [MUT_LEASE_FROM_REPLY] = { .faults = { "node partitioned from etcd only",
                                           "sidecar killed for long" },
                               .late = REQ_TXN,
                               .late_txn = TXN_RENEW,
                               .late_permille = 500,
                               .late_ms = 2500 },
    /* A raft leader that stood still ends by its own clock what its successor has renewed. */
    [MUT_NO_TRACE] = { .faults = { "etcd's raft leader hangs and answers keepalives",
                                   "etcd frozen everywhere", "node frozen and thawed",
                                   "raft leadership moved to the primary" } },
    [MUT_ANY_STORE] = { .faults = { "etcd set back to an older state", "switchover asked for" } },
    /* What a former process of this name had in mind arrives late. */
    [MUT_SYNC_NO_COMPARE] = { .faults = { "two processes of one name", "data of a standby lost",
                                          "node dead and back" } },
    /* The release is still on its way when its holder, that nobody can replace, has gone on. */
    [MUT_RELEASE_KEPT] = { .faults = { "postmaster killed", "sidecar killed and restarted",
                                       "node partitioned from other Postgres only" },
                           .late = REQ_TXN,
                           .late_txn = TXN_RELEASE,
                           .late_permille = 800,
                           .late_ms = 12000 },
    /* A key that vanished is given up with its lease, and taken again before the revocation arrives. */
    [MUT_REVOKED_REUSED] = { .faults = { "leader key deleted by hand" },
                             .late = REQ_REVOKE,
                             .late_permille = 800,
                             .late_ms = 20000 },
    /* The guard hears late, and nobody but the guard can end Postgres in time. */
    [MUT_GUARD_COUNTS_ANEW] = { .faults = { "network slow", "sidecar stopped (SIGSTOP)",
                                            "sidecar killed for long" } },
    /* Whoever has promised forgets it while the store that would tell is away. */
    [MUT_YOUNG_RACES] = { .faults = { "etcd frozen everywhere", "sidecar killed and restarted",
                                      "etcd stopped everywhere" },
                          .failsafe = true },
    /* The answers took long, and nobody but the guard can end Postgres in time. */
    [MUT_ROUND_FROM_REPLY] = { .faults = { "network slow", "sidecar killed for long",
                                           "sidecar stopped (SIGSTOP)" },
                               .failsafe = true },
    /* A member comes back while etcd answers now and then, and the primary goes on by promises. */
    [MUT_NAMED_UNPROMISED] = { .faults = { "node dead and back", "node partitioned from etcd only",
                                           "node partitioned from everything",
                                           "etcd frozen everywhere" },
                               .failsafe = true,
                               .sync_off = true,
                               .late = REQ_KEEPALIVE,
                               .late_permille = 500,
                               .late_ms = 20000 },
    /* A member comes back just as a sidecar is replaced that had gone on by promises; the first renewals
     * after that come to nothing. */
    [MUT_ADOPT_FORGETS] = { .faults = { "sidecar killed and restarted", "node dead and back",
                                        "node partitioned from etcd only",
                                        "node partitioned from everything" },
                            .failsafe = true,
                            .sync_off = true,
                            .kills_promised = true,
                            .late = REQ_KEEPALIVE,
                            .late_permille = 500,
                            .late_ms = 20000 },
    /* Without /sync to keep it out, a member comes back that /failsafe has not dropped yet. */
    [MUT_ROUND_UNWRITTEN] = { .faults = { "node partitioned from everything", "node dead and back",
                                          "etcd frozen everywhere" },
                              .failsafe = true,
                              .sync_off = true,
                              .late = REQ_TXN,
                              .late_txn = TXN_FAILSAFE,
                              .late_permille = 800,
                              .late_ms = 30000 },
    /* The sidecar ends between the mark's end and the deadline that the next renewal brings. */
    [MUT_UNMARKED_EARLY] = { .faults = { "cluster paused", "sidecar killed for long",
                                         "node partitioned from etcd only" } },
    /* The data are lost while the primary, or its checkpointer, cannot shrink /sync. */
    [MUT_CLONE_IN_SYNC] = { .faults = { "data of a standby lost", "node dead and back",
                                        "checkpointer busy" } },
    /* The witness helps a member to lead that lacks what was committed with the former witness. */
    [MUT_EMPTY_VOTES] = { .faults = { "witness dead and back with an empty disk",
                                      "node partitioned from everything", "node dead and back" } },
};

const struct focus *focus_of(enum mutation mutation)
{
    const struct focus *focus = &focuses[mutation];
    return focus->faults[0] != NULL ? focus : NULL;
}

int focus_draw_fault(const struct focus *focus, struct rng *rng)
{
    if (focus == NULL || !rng_chance(rng, FAULTS_PERMILLE))
        return -1;
    int n = 0;
    while (n < FOCUS_FAULTS && focus->faults[n] != NULL)
        n++;
    const char *name = focus->faults[rng_range(rng, 0, n - 1)];
    int kind = 0;
    while (strcmp(fault_name(kind), name) != 0)
        kind++;
    return kind;
}

int64_t focus_late_us(const struct focus *focus, struct rng *rng, const struct request *request)
{
    if (focus == NULL || focus->late_ms == 0 || request->kind != focus->late ||
        (request->kind == REQ_TXN && request->txn.kind != focus->late_txn) ||
        !rng_chance(rng, focus->late_permille))
        return request->late_us;
    return rng_range(rng, 0, MS(focus->late_ms));
}
