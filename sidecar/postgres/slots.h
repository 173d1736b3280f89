#pragma once
/* Which physical slots members should have on this primary (patroni-compat 1.9), and which of those
 * that are there are ours to drop: only slots that this node made for a member, kept by name in a
 * file beside PGDATA. A person's slot is never touched. */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/limits.h"
#include "loop/loop.h"
#include "sidecar/core/view.h"
#include "sidecar/postgres/facts.h"

struct slots;

struct slot_plan {
    size_t n_create;
    char create[LIMIT_MEMBERS][LIMIT_NAME];
    size_t n_drop;
    char drop[LIMIT_MEMBERS][LIMIT_NAME];
};

/* `path` (the file) is copied; it is read at once, in the thread pool. */
struct slots *slots_new(struct loop *loop, const char *path);
struct slots *slots_free(struct slots *slots);

/* What is to be done on a primary. A slot of a member that is gone is kept for `ttl_s`, then dropped
 * when nobody uses it. Empty until the file was read. */
void slots_plan(struct slots *slots, const struct view *view, const struct pg_facts *facts,
                int64_t ttl_s, struct slot_plan *ret_plan);
/* On a standby: slots that we made when it was primary hold WAL for nobody. */
void slots_plan_standby(struct slots *slots, const struct pg_facts *facts,
                        struct slot_plan *ret_plan);

/* A person says that the member of this slot is gone for good: it is dropped with the next plan of a
 * primary instead of after `ttl_s`, unless the member is back or somebody uses it. False: no slot of
 * this name was made here. */
bool slots_drop_soon(struct slots *slots, const char *name);

/* Remembers, durably, that these are ours; `done` runs from the loop, with an error if the file could
 * not be written. To be called before they are created. Not called when the slots are freed. */
typedef void slots_done_fn(void *arg, enum err_code code, const struct err *err);
void slots_remember(struct slots *slots, const struct slot_plan *plan, slots_done_fn *done,
                    void *arg);
/* `done` of the last slots_remember will not be called. */
void slots_cancel(struct slots *slots);
/* They are gone: forgotten in memory at once, on the disk with the next write. */
void slots_forget(struct slots *slots, const char *name);
