#pragma once
/* The one child that the guard owns, and everything that it ever forked (G1, G3). The guard is a
 * child subreaper: whatever loses its parent becomes the guard's own child, so that "no child left"
 * is the kernel's word for "nothing of the tree is left". */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "sidecar/guard/proto.h"

struct child {
    enum proto_child state;
    int pid;
    int exit_status;         /* wait status of the last one that is gone */
    uint64_t children;       /* how many were started */
    bool killed_by_deadline; /* the last one was */
    int verdict_fd;          /* of a start that is not yet answered; -1: none */
    uint32_t start_id;       /* the request to answer then */
    int lock_fd;             /* G3; -1: not held */
    struct mono sweep_at;    /* the next pass of a dying tree */
    int64_t sweep_wait_ms;
};

void child_init(struct child *child);

/* G3: the lock is taken once and kept until the guard ends; child and tools inherit the open file,
 * so that it is held for as long as anything of them lives. The file says who has it, for the text
 * of the other's refusal. PROTO_REFUSED if somebody else has it. */
enum proto_code child_lock(struct child *child, const char *path, char *text, size_t size);

struct child_program {
    char **argv;
    char **env;
    const char *cwd;
};
/* Only in state NONE. Answers later, by verdict_fd. */
enum proto_code child_start(struct child *child, const struct child_program *program, char *text,
                            size_t size);

/* Kills everything; the state is DYING until child_all_gone. A tool that runs goes with it. */
void child_kill(struct child *child, struct mono now);
/* The next pass over a dying tree, if it is due. */
void child_sweep(struct child *child, struct mono now);
/* `pid` was reaped. True if it was the child itself: its tree is dying from now on. */
bool child_reaped(struct child *child, int pid, int status, struct mono now);
/* The kernel says that no child is left. True if that ended a dying tree. */
bool child_all_gone(struct child *child);
