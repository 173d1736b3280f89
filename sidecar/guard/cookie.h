#pragma once
/* The identity under which a primary may run (L7: a name is not an identity, and the lease is not
 * the key). Both ends of the guard's socket and the simulation share it. All zero: none. */
#include <stdbool.h>
#include <stdint.h>

struct guard_cookie {
    int64_t lease_id;
    int64_t create_revision;
};

static inline bool guard_cookie_none(struct guard_cookie cookie)
{
    return cookie.lease_id == 0 && cookie.create_revision == 0;
}

static inline bool guard_cookie_equal(struct guard_cookie a, struct guard_cookie b)
{
    return a.lease_id == b.lease_id && a.create_revision == b.create_revision;
}
