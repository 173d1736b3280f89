#pragma once
/* The guard: owns one child and everything that it forks, and kills it at the deadline with no help
 * from anyone (L3). One thread, one poll; on every wake-up the clock is compared before any message
 * is read. No policy but G1, G2 and G3. Allocates nothing. */
#include <stdbool.h>
#include <stdint.h>

#include "sidecar/guard/child.h"
#include "sidecar/guard/deadline.h"
#include "sidecar/guard/server.h"
#include "sidecar/guard/stop.h"
#include "sidecar/guard/tool.h"

struct guard_options {
    const char *socket_path;
    const char *lock_path; /* G3; NULL only with no_deadline */
    bool no_deadline;      /* the child is etcd */
    int64_t grace_ms;      /* G2: from the stop signal until somebody kills us */
};

struct guard {
    const struct guard_options *options;
    struct deadline deadline;
    struct stop stop;
    struct child child;
    struct tool tool;
    struct server server;
    int signal_fd;
    int timer_fd;
    bool fast_stop_sent; /* G2, to the child of now */
    bool done;
};

/* Runs until a stop has been carried out. Returns the exit status; says why when it is not 0. */
int guard_main(struct guard *guard, const struct guard_options *options);

/* Compares the clock and does what is due: L3, G1, G2. Before each message. */
void guard_enforce(struct guard *guard);

/* Acts on one request of the sidecar and puts the reply. */
void guard_request(struct guard *guard, struct frame *request);

struct proto_status guard_status_now(const struct guard *guard);

/* A stop signal, or the sidecar's word for one. */
void guard_stop_requested(struct guard *guard, const char *why);
