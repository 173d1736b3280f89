#pragma once
/* Which of the two controllers writes (design part 9): a Lease of coordination.k8s.io. Pure.
 *
 * Everybody reads the record every `retry`. A holder writes it anew; whoever does not hold it waits
 * until the record has not changed for its own duration, counted from when this process first saw it
 * so (no clock of another node is believed). The holder writes labels only until `deadline` after it
 * sent the last renewal that was answered, which ends before the others may take over. */
#include "controller/core/view.h"

struct election_times {
    int64_t duration_ms; /* whole seconds, as the Lease has it */
    int64_t deadline_ms;
    int64_t retry_ms;
};
/* 4, 3 and 1 s at ttl 10; never below 2, 1.5 and 0.5 s. */
struct election_times election_times(int64_t ttl_ms);

struct election_view {
    struct mono now;
    const char *self;
    const char *holder; /* of the record; "": nobody. NULL: there is no record */
    int64_t duration_ms;
    struct mono changed;   /* when this record was first seen */
    bool beside_primary;   /* the primary runs on our node: its loss should not be ours as well */
    const char *successor; /* a ready controller on another node; NULL: none */
};

enum election_move {
    ELECTION_WAIT,
    ELECTION_TAKE, /* or make the record */
    ELECTION_RENEW,
    ELECTION_HAND_OVER, /* write the successor's name; ours is over at once */
};
enum election_move election_move(const struct election_view *view);

/* A ready controller that is neither `self` nor on the primary's node; NULL: none. The first by
 * name. */
const struct pod *election_successor(const struct pods *pods, const char *self,
                                     const struct pod *primary);
