#pragma once
/* The values' settings (ConfigMap `<release>-settings`) in the cluster's /config: what the values set
 * is set, what they once set and dropped is removed, what `edit-config` alone set stays. What was
 * applied last lies in the store under pgvigil/values. */
#include <jansson.h>

#include "base/instant.h"
#include "controller/core/view.h"

struct controller;
struct values;

struct values *values_new(struct controller *controller);
struct values *values_free(struct values *values);
/* The client of etcd goes: what is under way there is given up. NULL is fine. */
void values_drop(struct values *values);
/* One step of the way, if one is due; called by the active controller in each cycle. */
void values_step(struct values *values);

/* The settings of this revision (annotation pgvigil/revision; the ConfigMap has none: any) are in
 * /config, for long enough that every member has said what waits for a restart; or there are none. */
bool values_current(const struct values *values, const char *revision, struct mono now);
/* Members where a parameter that the values set, or dropped, waits for a restart. What `edit-config`
 * alone has set is a person's to restart for. */
void values_due(const struct values *values, const struct cluster_view *cluster,
                struct names *ret_names);

/* The JSON merge patch that brings what stands in `before` to what stands in `now`: all of `now`, and
 * null for each key (at any depth) that only `before` has. New reference. */
json_t *values_patch(const json_t *before, const json_t *now);

/* What pgvigil/values shall remember once `now` is in `config`: `now`, and as null each parameter of
 * PostgreSQL that the values had and dropped and nobody has set since. New reference. */
json_t *values_note(const json_t *before, const json_t *now, const json_t *config);
/* `reason`, a member's pending_restart_reason, names a parameter that stands in `noted`. */
bool values_asked_for(const json_t *noted, const json_t *reason);
