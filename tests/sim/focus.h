#pragma once
/* Lives in which a mutation's situation is frequent: what the common dice bring together once in a
 * hundred thousand seeds. The unmutated cores pass the very same lives, with the same seeds. */
#include <stdbool.h>

#include "tests/sim/mutate.h"
#include "tests/sim/rng.h"
#include "tests/sim/store_request.h"

enum { FOCUS_FAULTS = 4 };

struct focus {
    const char *faults[FOCUS_FAULTS]; /* by name; most of a life's faults are of these */
    bool failsafe, sync_off;
    bool kills_promised; /* a sidecar is killed only while promises hold its lease */
    int late_permille;   /* of the requests of that kind: long on their way */
    enum request_kind late;
    enum txn_kind late_txn; /* where it is a transaction */
    int late_ms;
};

/* NULL: the common dice are enough. */
const struct focus *focus_of(enum mutation mutation);
/* The kind of the next fault; -1: the common dice decide. */
int focus_draw_fault(const struct focus *focus, struct rng *rng);
/* How much longer this request is on its way. */
int64_t focus_late_us(const struct focus *focus, struct rng *rng, const struct request *request);
