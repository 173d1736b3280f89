#pragma once
/* What a data member remembers of the store on its own volume (S6): <state_dir>/state.json,
 * {"etcd_cluster_id": "…", "sync_revision": n, "members": {name: api_url}}. Written atomically and
 * fsynced, in the thread pool. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"
#include "sidecar/core/accept.h"

struct store_memory {
    bool exists;                  /* false: no file yet (first start, or a new volume) */
    uint64_t etcd_cluster_id;     /* as etcd's header says */
    int64_t sync_revision;        /* highest mod_revision at which /sync was seen */
    struct known_members members; /* the others; nobody: a file of an older version */
};

struct state_file;

/* Runs once, from the loop. On failure `memory` is not meaningful. */
typedef void state_file_done_fn(void *arg, enum err_code code, const struct store_memory *memory,
                                const struct err *err);

/* `state_dir` is copied. */
struct state_file *state_file_new(struct loop *loop, const char *state_dir);
struct state_file *state_file_free(struct state_file *file);

/* Requests are carried out in their order.
 * Errors of a read: ERR_PROTOCOL (not such a file: a person must look), ERR_SYSTEM. A missing file is
 * ERR_OK with exists = false. */
void state_file_read(struct state_file *file, state_file_done_fn *done, void *arg);
void state_file_write(struct state_file *file, const struct store_memory *memory,
                      state_file_done_fn *done, void *arg);
