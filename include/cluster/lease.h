#pragma once
/* The lease, when a renewal counts and what holds without one (L1, L6 to L8). Pure: replies and times in, a verdict out. Runs in the
 * sidecar and in the simulation as it is. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"

/* What a renewal without the key has shown: the lease lived when the keepalive was answered. */
struct lease_proof {
    struct mono sent; /* of the keepalive */
    int64_t ttl_ms;   /* 0: none was made */
    uint64_t term;    /* of all its replies */
    uint64_t member_id;
};

/* Our claim on the leader key. */
struct lease {
    int64_t id; /* of etcd; 0: none granted */
    int64_t ttl_ms;
    bool owns_key;           /* the key was created or adopted by this process and not released */
    int64_t create_revision; /* of the key that we own */
    int64_t mod_revision;    /* of our last write of it */
    bool held_once;          /* a renewal has counted since owns_key */
    struct mono held_until;  /* never later than send time + ttl; meaningful with held_once */

    struct mono promised_until; /* L6: every member of /failsafe has promised not to race before;
                                   0: nobody was asked */
    bool inherited; /* adopted, and no renewal has counted since: held_until may stand on promises
                       that the former process was given */
    bool keyless;   /* the key vanished while nobody else may take it (L6, L8): still held, to be
                      taken anew */
    bool lifted;   /* L8: Postgres runs without a deadline, on the guard's word: held without end */
    int64_t tried; /* the last lease under which this process sent a taking of the key; 0: none */
    struct lease_proof proof; /* of the last renewal without the key */
};

/* One renewal sequence on one endpoint: a read, a keepalive, a read or transaction of the key. */
struct lease_renewal {
    bool complete;        /* all three were answered, by the same endpoint */
    struct mono sent;     /* CLOCK_BOOTTIME, taken before the keepalive was sent */
    uint64_t term_before; /* raft_term of the last reply before the keepalive */
    uint64_t term_keepalive;
    uint64_t term_read;
    uint64_t member_id;      /* who answered all three */
    int64_t keepalive_ttl_s; /* <= 0: the lease is gone */
    bool key_exists;
    int64_t key_lease;
    int64_t key_create_revision;
    int64_t key_mod_revision;
};

enum lease_verdict {
    LEASE_COUNTS,     /* held_until has moved */
    LEASE_NO_ANSWER,  /* incomplete: try again */
    LEASE_TERM_MOVED, /* the terms differ: an election; try again */
    LEASE_LATE,       /* the previous renewal did not hold any more when this one was sent */
    LEASE_GONE,       /* the lease has expired in etcd */
    LEASE_KEY_LOST,   /* the key is gone, or is not ours */
    LEASE_VERDICT_MAX
};

/* L1. Applies a renewal to the lease. LEASE_COUNTS moves held_until forward (it never goes back);
 * LEASE_KEY_LOST clears owns_key and nothing else: from then on the lease does not hold and nothing
 * counts until the owner has created or adopted a key again, which sets owns_key, the revisions and
 * held_once = false. Every other verdict leaves the lease as it is. The owner must drop sequences that
 * were under way when it released, created or adopted the key. */
enum lease_verdict lease_apply(struct lease *lease, const struct lease_renewal *renewal);
/* The same where there is no key to hold: only the lease is kept alive, and the proof noted. A member
 * that answers from an older term is not believed. */
enum lease_verdict lease_prove(struct lease *lease, const struct lease_renewal *renewal);
const char *lease_verdict_name(enum lease_verdict verdict);

/* The transaction that has created the key under our lease. It is "a transaction on the key" itself: as
 * the last reply of a renewal whose keepalive was sent before (L1), it makes the lease hold until that
 * keepalive + ttl, if term and member are those of the proof and half of the ttl is left. Else a renewal
 * has to come first. A key that is taken anew goes on where the former one was held (L6, L8). */
struct lease_taken {
    int64_t revision;
    struct mono now; /* when its reply came */
    uint64_t term;   /* of its reply; 0: not known */
    uint64_t member_id;
};
void lease_take(struct lease *lease, const struct lease_taken *taken);

/* Does the lease hold at `now`? */
bool lease_holds(const struct lease *lease, struct mono now);
/* L6: a round that every member of /failsafe has accepted. The lease is held until `sent` + ttl,
 * where `sent` is the instant before the first request left. Counts only, as a renewal does, if the
 * lease still held at `sent`; false: it did not. `ttl_ms` is what the members were told. */
bool lease_promised(struct lease *lease, struct mono sent, int64_t ttl_ms);
/* Is it the promises, and not a renewal, that held_until stands on? */
bool lease_by_promise(const struct lease *lease);
/* The id is gone, or not to be used any more. What does not hang on it stays: the promises of the
 * others, and a lift. */
void lease_forget_id(struct lease *lease);
/* Milliseconds left; 0 when it does not hold; INT32_MAX under a lift. */
int64_t lease_left_ms(const struct lease *lease, struct mono now);

/* L3: what the guard keeps back. max(250 ms, 2 % of ttl), 1 s where the container has a CPU limit. */
int64_t lease_margin_ms(int64_t ttl_ms, bool cpu_limited);
/* L2: an orderly demotion begins when less than this is left: margin + max(1 s, ttl/10). */
int64_t lease_demote_ms(int64_t ttl_ms, bool cpu_limited);

/* L7: may the key, seen absent, be taken? The holder record is absent, marked as released, names our
 * own lease, or its lease is known to be gone. What L8 says of `lifted` is asked elsewhere. */
struct lease_holder {
    bool exists;
    int64_t lease_id;
    bool released;
    bool lease_gone; /* LeaseTimeToLive answered -1 */
    bool lifted;     /* L8: the holder may run without a deadline, and has not said that the pause
                             is over */
    char name[LIMIT_NAME]; /* the holder's; "" not told */
    int64_t mod_revision;  /* compared by the transaction that takes the key */
};
bool lease_may_take(const struct lease_holder *holder, int64_t own_lease_id);
