#pragma once
/* The sidecar's end of the guard (design part 3): what it last said, and requests to it.
 *
 * The guard owns the postmaster (or etcd) and kills it at the deadline without help from anyone.
 * This module connects to its socket (again and again while it is not there), keeps the last
 * status, and tells its owner through `changed` whenever something new is known. It decides
 * nothing. All callbacks run from the loop, and each but `output` may free the client. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/limits.h"
#include "loop/loop.h"
#include "sidecar/guard/cookie.h"

struct guard_client;

enum guard_child {
    GUARD_CHILD_NONE,    /* nothing of the tree runs (G1: everything killed and reaped) */
    GUARD_CHILD_RUNNING, /* the child itself is alive */
    GUARD_CHILD_DYING,   /* gone or being killed; something that it forked may still run. Also
                            until the guard was heard for the first time (G1) */
};

struct guard_status {
    bool connected; /* and the protocol version agreed; the rest is the last that was said */
    enum guard_child child;
    int pid;           /* of the child while RUNNING, in the guard's pid namespace */
    int exit_status;   /* wait status of the last child that is gone; 0 if none yet */
    uint64_t children; /* how many were started since `guard_since`: tells restarts apart */
    bool has_deadline;
    struct mono deadline;    /* CLOCK_BOOTTIME; meaningful with has_deadline */
    bool killed_by_deadline; /* the last child ended because its deadline passed */
    struct guard_cookie cookie;
    bool stop_requested;     /* the node or container is to stop (G2) */
    struct mono stop_by;     /* when the guard stops the child by itself */
    bool lock_held;          /* G3: the lock beside PGDATA is the guard's */
    bool lifted;             /* L8: the child runs without a deadline until one is offered */
    struct mono guard_since; /* when this guard began: another value is another guard */
    int guard_pid;           /* 0: it is in another pid namespace, hence PID 1 of a container */
    bool dead;               /* not connected, and the guard's process has ended: its tree is ours
                                 to kill (guard_client_spawn.h). Never known with guard_pid 0 */
    bool fenced;             /* L7: another sidecar has taken the guard over. Final: the client
                                 connects no more, this process must end */
};

typedef void guard_changed_fn(void *arg);
typedef void guard_done_fn(void *arg, enum err_code code, const struct err *err);
typedef void guard_output_fn(void *arg, const char *bytes, size_t len);
typedef void guard_run_done_fn(void *arg, enum err_code code, int wait_status);

struct guard_client *guard_client_new(struct loop *loop, const char *socket_path,
                                      guard_changed_fn *changed, void *arg);
struct guard_client *guard_client_free(struct guard_client *client);
const struct guard_status *guard_client_status(const struct guard_client *client);

/* Each request has a deadline of its own (2 s unless said otherwise): `done` then gets
 * ERR_TIMEOUT, as it does when the connection is lost before the answer. `done` may be NULL and
 * runs exactly once from the loop, after the status shows what was done. Requests fail with
 * ERR_UNREACHABLE while not connected, with ERR_LIMIT when too many are under way or the words
 * do not fit into a frame. */

/* Moves the deadline forward (never back: an earlier one is accepted and ignored) and names the
 * cookie under which it holds. It is the instant at which the guard kills: the caller has
 * subtracted the margin of L3 from the end of the lease. It binds the child of now, or the next
 * one that names the cookie, and ends a lift. ERR_REFUSED: the deadline has passed, or the child
 * runs under another cookie that this connection has not named (L7: adopt with the cookie of the
 * status first; then one may move on to the cookie of a key that was taken anew). */
void guard_deadline(struct guard_client *client, struct mono deadline, struct guard_cookie cookie,
                    guard_done_fn *done, void *arg);
/* L8 only: takes the deadline away until one is offered again. */
void guard_lift_deadline(struct guard_client *client, struct guard_cookie cookie,
                         guard_done_fn *done, void *arg);

struct guard_start {
    const char *const *argv; /* NULL-terminated, argv[0] an absolute path */
    const char *const *env;  /* NULL-terminated */
    const char *cwd;
    bool primary; /* refused unless `cookie` is the one with a live deadline */
    struct guard_cookie
        cookie; /* none for a standby: what is left of a deadline is dropped then, and
                                   one must be acknowledged again before a promotion (L4) */
};
/* ERR_REFUSED: a child or a tool runs, no lock (G3), no live deadline of that cookie, a stop was
 * requested. ERR_SYSTEM: it could not be executed. */
void guard_start(struct guard_client *client, const struct guard_start *start, guard_done_fn *done,
                 void *arg);
/* G3: takes the lock beside PGDATA, as a start and a run do, and keeps it until the guard ends: asked
 * before anything in PGDATA is changed. The status tells (`lock_held`). ERR_REFUSED: somebody else
 * has it; the text says who. A guard of version 1 does it for a tool only: it runs one that does
 * nothing, and what is answered is of that tool. */
void guard_hold_lock(struct guard_client *client, guard_done_fn *done, void *arg);
/* To the child itself. */
void guard_signal(struct guard_client *client, int signum, guard_done_fn *done, void *arg);
/* SIGKILL to the whole tree until nothing is left; the word comes as status (G1). */
void guard_kill(struct guard_client *client, guard_done_fn *done, void *arg);
/* Tells the guard that the handover is done: on a requested stop it need not wait any longer. */
void guard_handed_over(struct guard_client *client, guard_done_fn *done, void *arg);
/* As if a stop signal had come to the guard (G2): how the sidecar ends a guard of its own. */
void guard_stop(struct guard_client *client, guard_done_fn *done, void *arg);

/* A one-shot tool in the image of Postgres; output is streamed back; killed at the deadline
 * (ERR_TIMEOUT), by guard_run_cancel, when the client is freed or disconnected, or with the child's
 * tree (ERR_CANCELLED). One at a time: ERR_REFUSED otherwise. `done` comes when nothing of the tool
 * is left. Why the guard refused it, or could not execute it (ERR_SYSTEM), is given to `output`. */
struct guard_run {
    const char *const *argv;
    const char *const *env;
    const char *cwd;
    struct mono deadline;
    guard_output_fn *output; /* may be NULL */
    guard_run_done_fn *done;
    void *arg;
};
void guard_run(struct guard_client *client, const struct guard_run *run);
void guard_run_cancel(struct guard_client *client);
