#pragma once
/* The values' settings (ConfigMap `<release>-settings`) in the cluster's /config: what the values set
 * is set, what they once set and dropped is removed, what `edit-config` alone set stays. What was
 * applied last lies in the store under pgvigil/values. */
#include <jansson.h>

struct controller;
struct values;

struct values *values_new(struct controller *controller);
struct values *values_free(struct values *values);
/* The client of etcd goes: what is under way there is given up. NULL is fine. */
void values_drop(struct values *values);
/* One step of the way, if one is due; called by the active controller in each cycle. */
void values_step(struct values *values);

/* The JSON merge patch that brings what stands in `before` to what stands in `now`: all of `now`, and
 * null for each key (at any depth) that only `before` has. New reference. */
json_t *values_patch(const json_t *before, const json_t *now);
