#pragma once
/* The stop budget (G2): what a guard that was told to stop does next. Pure.
 *
 * It waits for the sidecar to hand over; with no sidecar connected for 2 s, or only min(10 s,
 * half) of the grace left, it stops the child itself: fast, then by force before the grace ends.
 * The guard of etcd waits until Postgres has been handed over, and without a sidecar stops at
 * once. */
#include <stdbool.h>

#include "base/instant.h"

enum { STOP_ALONE_MS = 2000, STOP_RESERVE_MS = 10000, STOP_KILL_MS = 1000 };

struct stop {
    bool requested;
    bool handed_over;    /* the sidecar said that nobody needs to wait any longer */
    struct mono fast_at; /* from here on the guard stops the child by itself */
    struct mono kill_at; /* and from here on by force */
};

struct stop_facts {
    struct mono now;
    bool connected;    /* a sidecar is */
    struct mono since; /* when the last one left, while none is connected */
    bool child;        /* the child or something of it may run */
    bool etcd;         /* --no-deadline */
};

enum stop_step { STOP_WAIT, STOP_FAST, STOP_KILL, STOP_EXIT };

/* The first request counts; later ones change nothing. */
void stop_request(struct stop *stop, struct mono now, int64_t grace_ms);

/* What is due at facts->now. Steps repeat until they have had their effect. */
enum stop_step stop_step(const struct stop *stop, const struct stop_facts *facts);

/* When stop_step can change by time alone; MONO_NEVER if it cannot. */
struct mono stop_next(const struct stop *stop, const struct stop_facts *facts);
