#pragma once
/* Asks the running Postgres how it is: one combined query on a kept session, on a standby also
 * IDENTIFY_SYSTEM (the only exact word on its timeline), and the timeline's history from the disk.
 * A round is taken over as a whole or not at all. Decides nothing. */
#include <stdbool.h>

#include "loop/loop.h"
#include "settings/config.h"
#include "sidecar/core/view.h"
#include "sidecar/postgres/facts.h"
#include "sidecar/postgres/place.h"

struct probe;
typedef void probe_changed_fn(void *arg);

/* A parameter as the running server has it. */
struct probe_setting {
    char name[LIMIT_NAME];
    char value[LIMIT_NAME];
    bool pending; /* the server itself says that it waits for a restart */
};
enum { PROBE_SETTINGS_MAX = 32 };

/* What the last rounds brought, of the postmaster that runs now. */
struct probe_state {
    bool answered;  /* this postmaster has answered a query at least once */
    bool queryable; /* and the last attempt did, too, or failed for want of a connection slot */
    struct mono answered_at; /* any word of a living server; MONO_NEVER: none */
    uint64_t system_id;
    struct pg_view view;     /* in_recovery, timeline, position, streaming, ssn, ssn_names, waiters,
                               progress_at, walsenders, checkpointed: the rest is empty */
    struct pg_facts facts;   /* state, role, pending, progress are others' to fill */
    unsigned settings_round; /* counts answers; 0: none yet */
    size_t n_settings;       /* those of the command line, and those that wait for a restart */
    struct probe_setting settings[PROBE_SETTINGS_MAX];
    struct mono not_streaming_since; /* standby; MONO_NEVER while it streams */
    char trouble[512];               /* why it cannot be asked; "" */
};

/* All borrowed but the texts. `changed` is called after every round, good or bad. */
struct probe *probe_new(struct loop *loop, const struct config *config, const struct place *place,
                        probe_changed_fn *changed, void *arg);
struct probe *probe_free(struct probe *probe);
const struct probe_state *probe_state(const struct probe *probe);

/* A postmaster runs, or may run (`child` tells one from the next): ask. Otherwise: close and forget. */
void probe_set_running(struct probe *probe, bool running, uint64_t child);
/* Look often: something is going on. */
void probe_set_busy(struct probe *probe, bool busy);
/* Look now, or right after the round that runs. */
void probe_look(struct probe *probe);
/* A reload was sent, or settings have changed: ask for parameters that wait for a restart, too. */
void probe_look_at_settings(struct probe *probe);
/* Forget since when nothing was streamed: there is another upstream. */
void probe_restart_follow(struct probe *probe);
