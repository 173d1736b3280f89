#pragma once
/* What a peer says of itself in GET /patroni (patroni-compat 2.3), as far as a race needs it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cluster/lsn.h"

struct peer_answer {
    bool in_recovery;
    lsn_t position;    /* primary: xlog.location; standby: max(received, replayed) */
    uint32_t timeline; /* 0: not said */
};

/* Errors: ERR_PROTOCOL. An answer without `xlog` is none: its Postgres could not be asked (1.5). */
enum err_code peer_answer_parse(const char *bytes, size_t len, struct peer_answer *ret_answer,
                                struct err *err);
