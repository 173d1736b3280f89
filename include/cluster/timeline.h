#pragma once
/* Timeline histories, compared by content and never by number alone: two crashed promotions can give
 * two different timelines 2 (design part 6). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "cluster/lsn.h"

struct timeline_entry {
    uint32_t tli;    /* a former timeline */
    lsn_t switch_at; /* where it was left */
};

/* A timeline and all that it descends from, oldest first. tli 0: unknown. */
struct timeline {
    uint32_t tli;
    uint32_t n;
    struct timeline_entry entries[LIMIT_TIMELINES];
};

/* The content of `<tli>.history` (PostgreSQL's format). Timeline 1 has no file: text "" is fine.
 * Errors: ERR_PROTOCOL (not such a file), ERR_LIMIT. */
enum err_code timeline_parse(uint32_t tli, const char *text, struct timeline *ret, struct err *err);

/* Is the position (`point`, `lsn`) on the way that leads to `timeline`? True when point's own history
 * is a prefix of it and, where `timeline` left point->tli, it did so at `lsn` or later. Nothing is
 * said about how far `timeline` itself has got. */
bool timeline_contains(const struct timeline *timeline, const struct timeline *point, lsn_t lsn);

/* Same number and same content. */
bool timeline_equal(const struct timeline *a, const struct timeline *b);

/* Where two histories part: the last position common to both; LSN_NONE when they have nothing in
 * common; MAX when one is the other. */
lsn_t timeline_divergence(const struct timeline *a, const struct timeline *b);

/* Total order for candidates (design part 4): the longer history wins when it contains the other's
 * fork, else the larger number, else the later last switch. <0, 0, >0. */
int timeline_cmp(const struct timeline *a, const struct timeline *b);
