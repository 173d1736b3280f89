#pragma once
/* The operation half of the steps that write the store (core/plan.h, `store`). Each is one etcd
 * transaction; the compares are those that plan.h names. How failures are told (act/step.h):
 *
 * ERR_CONFLICT  a compare was lost; the text says what is different; the table is read again
 * ERR_TIMEOUT   the reply was lost: it may have happened; the table is read again
 * ERR_REFUSED   what the view says makes the step impossible (no lease, not the holder …)
 *
 * memory->sync_mod_revision is set by WRITE_SYNC and compared by what follows in the same plan;
 * memory->config_mod_revision by WRITE_CONFIG, and compared by TAKE_KEY (L8; 0: the view's). */
#include "base/text.h"
#include "sidecar/act/lease_keeper.h"
#include "sidecar/act/publish.h"
#include "sidecar/cluster.h"
#include "sidecar/step.h"

/* Texts that the owner has; each adds to `to`, false: there is none (the step is then done at once,
 * WRITE_CONFIG refused). */
typedef bool steps_store_text_fn(void *arg, struct text *to);

struct steps_store_spec {
    struct loop *loop;
    struct etcd *etcd;
    struct cluster *cluster;
    struct lease_keeper *keeper;
    struct publish *publish;
    steps_store_text_fn *config;  /* WRITE_CONFIG: the first `config` (settings_default_config) */
    steps_store_text_fn *history; /* WRITE_HISTORY: the JSON of /history (patroni-compat 3.2) */
    void *arg;
};

struct steps_store *steps_store_new(const struct steps_store_spec *spec);
/* Every step_op must have been freed before. */
struct steps_store *steps_store_free(struct steps_store *steps);

/* A plan begins: the ids of the members' data are remembered, so that WRITE_SYNC compares what they
 * were before anybody looked at walsenders (S2). To be called by the runner with the plan's first
 * view; without it the ids of the view at WRITE_SYNC are compared. */
void steps_store_begin(struct steps_store *steps, const struct view *view);
