#pragma once
/* L6: the way round the lease while etcd is down for everybody. Pure: who stands in /failsafe, whom a
 * primary asks, what the one that was asked answers and what it is bound to by that. The round itself
 * is act/failsafe_round.h, what it moves is lease_promised (cluster/lease.h).
 *
 * Why I1 holds: nobody races whom /failsafe does not name (the taking of the key compares /failsafe),
 * and whoever it names has promised, or is not promised and the round did not count. */
#include <stdbool.h>
#include <stdint.h>

#include "sidecar/core/decide.h"
#include "sidecar/core/view.h"

/* What a primary asks with. */
struct failsafe_ask {
    char name[LIMIT_NAME];
    int64_t create_revision; /* of its key; 0: not told (Patroni) */
    int64_t ttl_ms;          /* that it counts with; 0: not told */
    char member[LIMIT_NAME]; /* whom it takes us for; "" not told (Patroni) */
};

enum failsafe_answer {
    FAILSAFE_ACCEPTED,
    FAILSAFE_OFF,     /* the mode is not on */
    FAILSAFE_LEADING, /* we lead, or are about to */
    FAILSAFE_REFUSED, /* there is a quorum, and no lease of the asker; or another member is meant */
};

/* `running`: the plan that runs here, ACT_WAIT none. `ret_why` is filled unless accepted. Where the
 * store was not read yet nobody knows whether the mode is on: a promise binds nobody but us, so it is
 * given. */
enum failsafe_answer failsafe_judge(const struct view *view, enum action running,
                                    const struct failsafe_ask *ask, char ret_why[LIMIT_REASON]);
/* "An acknowledgement is a promise not to race for one ttl", counted from receiving: the longer of
 * both sides' ttl. */
void failsafe_promise(struct memory *memory, struct mono now, const struct failsafe_ask *ask,
                      int64_t own_ttl_ms);

/* Must this node leave the key alone, because a former holder may go on without etcd? True with
 * `ret_why`: it has promised, a former process here may have, or /failsafe does not name it. Never once
 * the holder has marked its record as released. */
bool failsafe_bars(const struct view *view, char ret_why[LIMIT_REASON]);

/* Does /failsafe keep this member from the race, as long as the former holder may go on? */
bool failsafe_leaves_out(const struct view *view, const char *name);

/* As leader: who /failsafe should name. Nobody where the mode is off. Who stands in /sync stays in it
 * without a member key, too. While promises live nobody is named who gave none, and it is not emptied. */
struct names failsafe_members(const struct view *view);
/* As leader: whom a round has to ask, which is everybody else in /failsafe as last committed. False:
 * there is no way round the lease. */
bool failsafe_others(const struct view *view, struct names *ret_others);

/* When the next round is due: while renewals count never (each moves it on), nor before the first one after
 * an adoption; for the first time once 5/8 of the ttl are left, when a renewal and the one beside it had no answer. */
struct mono failsafe_due(const struct lease *lease);
