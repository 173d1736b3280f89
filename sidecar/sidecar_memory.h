#pragma once
/* What the volume remembers of the store (S6), and what a person's accept makes of it. */
#include <stdbool.h>
#include <stdint.h>

#include "base/instant.h"
#include "sidecar/cluster.h"
#include "sidecar/postgres/state_file.h"

struct sidecar;

struct remembrance {
    struct state_file *file;
    bool read;
    struct store_memory known;   /* on the disk */
    struct store_memory writing; /* under way */
    bool busy;
    struct mono again; /* the last write failed: not before; else 0 */
    bool broken;       /* the file cannot be read or written: nothing is trusted */
    bool accepted;     /* a person accepted the store that is there */
};

/* When the sidecar is built: the file is read. */
void sidecar_read_memory(struct sidecar *sidecar);
enum cluster_memory sidecar_remember(void *arg, uint64_t cluster_id, int64_t sync_revision);
/* In every cycle. */
void sidecar_remember_members(struct sidecar *sidecar);
/* POST /pgvigil/accept; sidecar_api.c frees it. */
void sidecar_accept_new(struct sidecar *sidecar);
