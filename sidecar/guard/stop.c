#include "sidecar/guard/stop.h"

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void stop_request(struct stop *stop, struct mono now, int64_t grace_ms)
{
    if (stop->requested)
        return;
    stop->requested = true;
    stop->fast_at = mono_add(now, grace_ms - min_ms(STOP_RESERVE_MS, grace_ms / 2));
    stop->kill_at = mono_add(now, grace_ms - min_ms(STOP_KILL_MS, grace_ms / 4));
}

/* From when on nobody is there to hand over; MONO_NEVER while a sidecar is connected. */
static struct mono stop_alone_at(const struct stop_facts *facts)
{
    if (facts->connected)
        return MONO_NEVER;
    return mono_add(facts->since, facts->etcd ? 0 : STOP_ALONE_MS);
}

enum stop_step stop_step(const struct stop *stop, const struct stop_facts *facts)
{
    if (!stop->requested)
        return STOP_WAIT;
    bool own = stop->handed_over || !mono_before(facts->now, stop->fast_at) ||
               !mono_before(facts->now, stop_alone_at(facts));
    if (!facts->child)
        return own ? STOP_EXIT : STOP_WAIT;
    if (!mono_before(facts->now, stop->kill_at))
        return STOP_KILL;
    return own ? STOP_FAST : STOP_WAIT;
}

struct mono stop_next(const struct stop *stop, const struct stop_facts *facts)
{
    if (!stop->requested)
        return MONO_NEVER;
    struct mono next = MONO_NEVER;
    const struct mono points[] = { stop->fast_at, stop->kill_at, stop_alone_at(facts) };
    for (unsigned point = 0; point < sizeof(points) / sizeof(points[0]); point++)
        if (mono_before(facts->now, points[point]))
            next = mono_min(next, points[point]);
    return next;
}
