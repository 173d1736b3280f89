#pragma once
/* Our own keys: pgvigil/confirmed (S7) and pgvigil/release (the holder record of L7). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "cluster/lease.h"
#include "cluster/timeline.h"

/* The lowest flush position that /sync has confirmed:
 * {"timeline":3,"history":[[1,83886080],[2,100663296]],"lsn":117440512}.
 * Errors: ERR_PROTOCOL, ERR_LIMIT. A history that is out of order is no history. */
enum err_code confirmed_from_json(const char *bytes, size_t len, struct timeline *ret_timeline,
                                  lsn_t *ret_lsn, struct err *err);
void confirmed_write(struct text *to, const struct timeline *timeline, lsn_t lsn);

/* {"lease":7587880000000000000,"released":false,"name":"a"}, and "lifted":true under a lift (L8).
 * Sets exists, lease_id, released, lifted, name, mod_revision; lease_gone is false. Errors:
 * ERR_PROTOCOL. */
enum err_code lease_holder_from_json(const char *bytes, size_t len, int64_t mod_revision,
                                     struct lease_holder *ret_holder, struct err *err);
/* lease_id, released, lifted and name. */
void lease_holder_write(struct text *to, const struct lease_holder *holder);

/* pgvigil/renewed, the trace of a renewal: {"lease":7587880000000000000,"ttl":10}. Nothing that holds at
 * `now`, or is renewed with this trace, lasts for longer than these seconds from now: the lease's length, or
 * what is left of a longer one from before the ttl was lowered. */
void lease_trace_write(struct text *to, const struct lease *lease, struct mono now);
