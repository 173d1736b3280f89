#pragma once
/* `pgvigil-guard --supervise -- COMMAND…`: PID 1 of a container, or a small supervisor elsewhere.
 * Reaps everything, starts the sidecar again within 100 ms of its death (10 times a minute, then
 * one time in 5 s), and forwards stop signals.
 *
 * A stop is over when the sidecar has ended (it ends only once it has handed over, and stops its
 * own guards) and nothing of its children is left. Guards whose sidecar was killed are children
 * of ours by then: they are told to stop, and waited for. A sidecar that ends by itself with
 * status 0 was told to stop in another way: that is a stop too. */
#include <stdint.h>

struct supervise_options {
    char *const *argv; /* argv[0] is looked up in PATH unless it has a slash */
    char *const *env;
    int64_t grace_ms; /* from the stop until everything that is left is killed */
};

/* Returns the exit status. */
int supervise_main(const struct supervise_options *options);
