#pragma once
/* The key status: {"optime":int,"slots":{"slot":int,…},"retain_slots":["slot",…]}. */
#include <stddef.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"
#include "cluster/lsn.h"

struct slot_position {
    char name[LIMIT_NAME];
    lsn_t lsn;
};

struct status {
    lsn_t optime; /* the primary's flush position; LSN_NONE when not known */
    size_t n_slots;
    struct slot_position slots[LIMIT_SLOTS];
    size_t n_retain;
    char retain[LIMIT_SLOTS][LIMIT_NAME];
};

/* Slots too many are left out. A bare number (the old optime/leader) is read too.
 * Errors: ERR_PROTOCOL. */
enum err_code status_from_json(const char *bytes, size_t len, struct status *ret_status,
                               struct err *err);
/* Empty slots and retain_slots are left out. */
void status_write(struct text *to, const struct status *status);
