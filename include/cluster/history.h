#pragma once
/* The key history: [[timeline, lsn, "reason", "iso time", "leader"], …] (patroni-compat 1.9). For
 * people and for the cluster's timeline; decisions compare struct timeline. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "cluster/lsn.h"

struct history_entry {
    uint32_t tli;
    lsn_t lsn;
    char reason[LIMIT_REASON];
    char at[CLOCK_ISO_MAX];  /* "" when not known */
    char leader[LIMIT_NAME]; /* who led after it; "" when not known */
};

/* About 40 kB: keep it on the heap. */
struct history {
    size_t n;
    struct history_entry entries[LIMIT_TIMELINES]; /* oldest first; too many: the newest are kept */
};

/* The content of `<tli>.history`; times and leaders are empty. Errors: as timeline_parse. */
enum err_code history_from_file(uint32_t tli, const char *text, struct history *ret_history,
                                struct err *err);
/* Takes times and leaders of equal entries over from `old`; the last entry, when it has none yet,
 * gets `at` and `leader`. */
void history_merge(struct history *history, const struct history *old, const char *at,
                   const char *leader);
/* Errors: ERR_PROTOCOL. */
enum err_code history_from_json(const char *bytes, size_t len, struct history *ret_history,
                                struct err *err);
/* The newest `max` entries, 0: all. New reference. */
json_t *history_to_json(const struct history *history, size_t max);
/* The cluster's timeline: last entry + 1; 1 when there is none. (The missing key stands for 0.) */
uint32_t history_timeline(const struct history *history);
