#pragma once
/* Guards of the sidecar's own, where no guard's socket is configured (design part 3): starting one
 * that outlives us, and ending what a lost one left behind. Everything here blocks for a moment;
 * call it from the pool (loop_work) once the loop runs. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"

struct guard_spawn {
    const char *program; /* pgvigil-guard; all paths are absolute */
    const char *socket_path;
    const char *lock_path; /* G3; may be NULL with no_deadline */
    bool no_deadline;      /* for etcd */
    int64_t grace_s;       /* G2; 0: the guard's default */
};

/* Starts a guard detached: a session of its own, no child of ours, a cgroup of its own where
 * that is possible; its log is our standard error. Returns once it listens. Where somebody
 * listens on the socket already nothing is done: a guard that lives, and its child, live on
 * (L5). ERR_SYSTEM: it could not be executed. ERR_TIMEOUT: it does not listen after 2 s. */
enum err_code guard_client_spawn(const struct guard_spawn *spawn, struct err *err);

/* What a sidecar does at its start, and again when its guard is `dead`: if nobody listens, kills
 * what a lost guard left behind, until `give_up`, and only then starts a new one. */
enum err_code guard_client_ensure(const struct guard_spawn *spawn, struct mono give_up,
                                  struct err *err);

/* G1 after a lost guard: kills everything that holds the lock file open (every process of the
 * tree inherited it, the guard has it too) until nobody does; then the tree is gone. The proof
 * is that the lock can be had. ERR_TIMEOUT at `give_up`: something is left (stopped in the
 * kernel, or on another machine or in another pid namespace); the key must not be released then. */
enum err_code guard_client_kill_tree(const char *lock_path, struct mono give_up, struct err *err);

/* Does anything hold the lock? The same proof without killing. ERR_CONFLICT: yes. */
enum err_code guard_client_tree_gone(const char *lock_path, struct err *err);
