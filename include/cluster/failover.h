#pragma once
/* The key failover: a person's wish (patroni-compat 3.2). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"

struct failover {
    bool exists;                /* and it asks for something: `{}` is none */
    char leader[LIMIT_NAME];    /* "" when not named */
    char candidate[LIMIT_NAME]; /* "" when not named; `member` on the wire */
    bool scheduled;
    struct wall scheduled_at;
    char scheduled_text[CLOCK_ISO_MAX]; /* as it was written */
    int64_t mod_revision;
};

/* JSON, or the old form `leader:candidate`; empty text and `{}` are none.
 * Errors: ERR_PROTOCOL, ERR_LIMIT. */
enum err_code failover_from_json(const char *bytes, size_t len, int64_t mod_revision,
                                 struct failover *ret_failover, struct err *err);
/* `{}` when it does not exist: the key is emptied, never deleted. */
void failover_write(struct text *to, const struct failover *failover);

/* ISO 8601 with date, time and zone: "2026-01-31T23:59:59.123456+00:00", 'T' or blank, seconds and
 * fraction optional, Z or ±hh:mm or ±hhmm or ±hh. */
enum iso_verdict { ISO_OK, ISO_NO_ZONE, ISO_BAD };
enum iso_verdict iso_parse(const char *text, struct wall *ret_wall);
