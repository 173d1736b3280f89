#pragma once
/* A recorded view as JSON and back, and the ring of the last ones (style A26): "send us this file"
 * becomes a test, `pgvigil-sidecar --replay VIEW.json` prints rule and reason again.
 *
 * Numbers, booleans and names are written as they are in struct view; what is zero, false or empty is
 * left out, and reads as that. */
#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "sidecar/core/decide.h"
#include "sidecar/core/view.h"

/* New reference. `decision` (may be NULL) is added as "decision": {rule, action, reason}. */
json_t *view_to_json(const struct view *view, const struct decision *decision);
/* Unknown keys are errors: a view of another version must not be judged by half.
 * Errors: ERR_PROTOCOL, ERR_LIMIT. A field that is absent is zero, MONO_NEVER where that is written. */
enum err_code view_from_json(const json_t *json, struct view *ret_view, struct err *err);

/* The last LIMIT_EVENTS views; each is kept as compact text. */
struct view_ring;

struct view_ring *view_ring_new(void);
struct view_ring *view_ring_free(struct view_ring *ring);
/* Records it when rule or action differ from the last one's. */
void view_ring_add(struct view_ring *ring, const struct view *view,
                   const struct decision *decision);
/* A JSON array, oldest first; "[]" for NULL. */
void view_ring_write(const struct view_ring *ring, struct text *to);
