#pragma once
/* The dice of a seed (xorshift64*): the same seed always gives the same run. */
#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t x = rng->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rng->state = x;
    return x * 0x2545F4914F6CDD1Dull;
}

static inline struct rng rng_seed(uint64_t seed)
{
    uint64_t z = seed * 0x9E3779B97F4A7C15ull + 0xD1B54A32D192ED03ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    struct rng rng = { z ^ (z >> 31) };
    if (rng.state == 0)
        rng.state = 1;
    (void)rng_next(&rng);
    return rng;
}

/* Uniform in [low, high]. */
static inline int64_t rng_range(struct rng *rng, int64_t low, int64_t high)
{
    if (high <= low)
        return low;
    uint64_t span = (uint64_t)(high - low) + 1;
    return low + (int64_t)((rng_next(rng) >> 11) % span);
}

/* True `permille` times in a thousand. */
static inline bool rng_chance(struct rng *rng, int permille)
{
    return rng_range(rng, 0, 999) < permille;
}

/* Mostly near `low`, now and then far out: how long things take. */
static inline int64_t rng_tail(struct rng *rng, int64_t low, int64_t high)
{
    int64_t a = rng_range(rng, low, high);
    int64_t b = rng_range(rng, low, high);
    int64_t c = rng_range(rng, low, high);
    int64_t least = a < b ? a : b;
    return least < c ? least : c;
}
