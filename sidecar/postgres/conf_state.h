#pragma once
/* What our postgresql.conf says of the things that change with the role: read back after a restart of
 * the sidecar, because the file and not our memory is what counts at the next start (S2). */
#include <stdbool.h>

#include "base/limits.h"
#include "cluster/sync_state.h"
#include "sidecar/postgres/place.h"

enum { CONF_CONNINFO_MAX = 1024 };

struct conf_state {
    bool ours;                 /* the file begins with our mark; otherwise the rest is empty */
    char upstream[LIMIT_NAME]; /* member whose address primary_conninfo has; "" none */
    char upstream_host[LIMIT_URL];
    int upstream_port;
    char ssn[LIMIT_SSN];
    enum ssn_kind ssn_kind;
    struct names ssn_names;
};

/* Blocks (thread pool). A missing or unreadable file gives the empty state. */
void conf_state_read(const struct place *place, struct conf_state *ret);
/* The same from the file's text. */
void conf_state_parse(const char *text, struct conf_state *ret);
