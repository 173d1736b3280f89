#pragma once
/* The sidecar: its parts, and the cycle observe -> decide -> plan -> act -> publish (design part 2).
 * One process, one thread, one loop. With `witness` it has no Postgres: it keeps a lease, shows the
 * cluster, and looks after its etcd member. */
#include <stdbool.h>

#include "base/err.h"
#include "loop/loop.h"
#include "settings/config.h"

struct sidecar;

struct sidecar_options {
    const char *config_path; /* read again at SIGHUP; borrowed */
    const char *guard_path;  /* the guard's program, where we start our own; borrowed */
    bool witness;
};

/* Takes `config`. Everything begins to work when the loop runs. Errors: ERR_INVALID, ERR_SYSTEM: the
 * program cannot run at all. */
enum err_code sidecar_new(struct loop *loop, const struct sidecar_options *options,
                          struct config *config, struct sidecar **ret_sidecar, struct err *err);
struct sidecar *sidecar_free(struct sidecar *sidecar);

/* SIGTERM: with a guard's socket configured only this process ends, unless the guard has reported a
 * stop; with guards of our own the node is stopped as in a switchover. The loop stops when done. */
void sidecar_stop(struct sidecar *sidecar);
/* After the loop: EXIT_SUCCESS when the end was asked for. The supervisor takes that for an ordered stop
 * of the node, and starts anything else again. */
int sidecar_exit_status(const struct sidecar *sidecar);
/* SIGHUP: configuration and certificates are read again; Postgres is reloaded. */
void sidecar_reload(struct sidecar *sidecar);

/* --replay VIEW.json: prints rule, action and reason for a recorded view. Returns the exit status. */
int sidecar_replay(const char *path);
