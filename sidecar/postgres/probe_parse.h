#pragma once
/* The combined query and the reading of its answer. Pure but for the texts of libpq's result. */
#include <libpq-fe.h>

#include "base/err.h"
#include "sidecar/postgres/probe.h"

extern const char *const probe_hello_sql;
extern const char *const probe_main_sql;
extern const char *const probe_pending_sql;
enum { PROBE_HELLO_COLUMNS = 5, PROBE_MAIN_COLUMNS = 17 };

/* What a round collects before it is taken over. */
struct probe_round {
    bool in_recovery;
    uint32_t timeline;
    lsn_t position;
    struct probe_state next;
};

/* ret->next begins as a copy of the state before. `now` is when the answer came. */
void probe_read_hello(const PGresult *result, struct probe_state *ret);
enum err_code probe_read_main(const PGresult *result, struct mono now, struct probe_round *ret,
                              struct err *err);
void probe_read_pending(const PGresult *result, struct probe_state *ret);
