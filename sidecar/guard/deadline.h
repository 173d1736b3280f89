#pragma once
/* The guard's deadline (L3, L7, L8): pure, no clock and no I/O; the guard and the simulation run it
 * as it is.
 *
 * A deadline is the instant at which the guard kills. Who hands it over has already subtracted
 * the margin of L3 from the end of the lease. It is bound to the life of one child: it only
 * moves forward, and goes away only with the child's whole tree or by a lift (L8). One that
 * passed while a child was there is final until the tree is gone. Every call that takes `now`
 * looks at the clock before anything else, so that a message that was late is never believed. */
#include <stdbool.h>

#include "base/instant.h"
#include "sidecar/guard/cookie.h"

struct deadline {
    bool child;  /* something of a child's tree may run */
    bool has;    /* `at` holds */
    bool lifted; /* L8: the child runs without a deadline until one is offered again */
    bool passed; /* final: the tree must die */
    bool named;  /* the sidecar that is connected has named `cookie` (L7: it knows who it is) */
    struct mono at;
    struct guard_cookie cookie;
};

#define DEADLINE_VERDICTS(X)                                                                       \
    X(OK, "ok")                                                                                    \
    X(PASSED, "the deadline has passed")                                                           \
    X(FOREIGN, "a child runs under another cookie, which this sidecar has not named")              \
    X(NO_COOKIE, "no cookie was named")                                                            \
    X(NOT_LIVE, "no live deadline of that cookie")                                                 \
    X(CHILD_RUNS, "a child runs, or something of it")

#define DEADLINE_ENUM(name, text) DEADLINE_##name,
enum deadline_verdict { DEADLINE_VERDICTS(DEADLINE_ENUM) DEADLINE_MAX };
#undef DEADLINE_ENUM

const char *deadline_verdict_text(enum deadline_verdict verdict);

/* On every wake-up, before any message is read (L3). True: the child's tree must be killed. Without
 * a child there is nothing to kill and the deadline just ends. */
bool deadline_check(struct deadline *deadline, struct mono now);

/* Moves the deadline to `at` unless that is earlier, and ends a lift. While a child is there
 * another cookie is taken only from a sidecar that has named the present one (it knows that the
 * key changed hands to itself), or after a lift. */
enum deadline_verdict deadline_offer(struct deadline *deadline, struct mono now, struct mono at,
                                     struct guard_cookie cookie);

/* L8. Without a child: forgets the deadline. A cookie becomes the child's, on the same terms as with an
 * offer: the key may have been taken anew. None: it stays as it is. */
enum deadline_verdict deadline_lift(struct deadline *deadline, struct mono now,
                                    struct guard_cookie cookie);

/* A child is about to be started; OK counts it as there. A primary needs a live deadline of its
 * cookie, and so does any child that names one. One that names none is not to become primary before
 * a deadline was offered to it: what was left over from before is dropped. */
enum deadline_verdict deadline_start(struct deadline *deadline, struct mono now, bool primary,
                                     struct guard_cookie cookie);

/* G1: nothing of the tree is left. */
void deadline_child_gone(struct deadline *deadline);

/* Another sidecar is connected: it has to name the cookie before it may change it (L7). */
void deadline_new_sidecar(struct deadline *deadline);

/* When deadline_check is due next; MONO_NEVER without one. */
struct mono deadline_next(const struct deadline *deadline);
