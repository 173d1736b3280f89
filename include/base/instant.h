#pragma once
/* Time as types, so that a deadline and a date cannot be mixed up.
 *
 * struct mono: CLOCK_BOOTTIME in milliseconds, for every deadline and duration (design part 3: all
 * containers of a node share it). struct wall: what people see, milliseconds since 1970 UTC. */
#include <stdbool.h>
#include <stdint.h>

struct mono {
    int64_t ms;
};

struct wall {
    int64_t ms;
};

#define MONO_NEVER ((struct mono){ INT64_MAX })

static inline struct mono mono_add(struct mono at, int64_t ms)
{
    return at.ms == INT64_MAX ? at : (struct mono){ at.ms + ms };
}

/* Milliseconds from `from` to `to`; negative when `to` is earlier. */
static inline int64_t mono_diff(struct mono to, struct mono from)
{
    return to.ms - from.ms;
}

static inline bool mono_before(struct mono a, struct mono b)
{
    return a.ms < b.ms;
}

static inline struct mono mono_min(struct mono a, struct mono b)
{
    return mono_before(a, b) ? a : b;
}

static inline struct mono mono_max(struct mono a, struct mono b)
{
    return mono_before(a, b) ? b : a;
}
