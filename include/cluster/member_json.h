#pragma once
/* The key members/<name> (patroni-compat 3.4). */
#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "cluster/member.h"

/* The value of the key `members/<name>`; the old URL form is read too. Unknown keys are ignored.
 * Errors: ERR_PROTOCOL, ERR_LIMIT; the text names the member. */
enum err_code member_from_json(const char *name, const char *bytes, size_t len,
                               struct member *ret_member, struct err *err);
/* New reference; write it with json_write. `extras` (object, borrowed, may be NULL) holds what struct
 * member does not: pending_restart_reason, scheduled_restart, a replication_state other than
 * streaming; it comes last. */
json_t *member_to_json(const struct member *member, const json_t *extras);
