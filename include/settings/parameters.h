#pragma once
/* The parameters that PostgreSQL gets on one node: defaults, what the settings say, and what we force
 * (patroni-compat 1.3, design part 5). Not among them, because others own them:
 * synchronous_standby_names while synchronous mode is in force, primary_conninfo, primary_slot_name,
 * recovery_target*, hba_file and ident_file unless the user set them. */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "settings/settings.h"

/* How a parameter takes effect, as far as we know it without asking the server. */
struct parameter {
    char *name;        /* lower case */
    char *value;       /* text as SHOW takes it; the writer quotes */
    bool command_line; /* given to postgres as --name=value: ALTER SYSTEM cannot win */
};

struct parameters {
    size_t n;
    struct parameter *item; /* sorted by name */
};

/* The five that a standby must not have smaller than its primary had (pg_controldata). */
struct parameter_floors {
    int64_t max_connections;
    int64_t max_worker_processes;
    int64_t max_wal_senders;
    int64_t max_prepared_transactions;
    int64_t max_locks_per_transaction; /* 0 in each: not known */
};

struct parameter_node {
    bool primary;       /* else the floors apply */
    int server_version; /* 170004; parameters that it does not know are left out; 0: 17 */
    struct parameter_floors floors;
};

/* Never fails: a value that makes no sense gives way to the default, with a line in `warnings` (may
 * be NULL). listen_addresses, port and cluster_name come from the config. */
void parameters_build(const struct settings *settings, const struct config *config,
                      const struct parameter_node *node, struct parameters *ret_parameters,
                      struct text *warnings);
void parameters_done(struct parameters *parameters);
/* NULL when it is not in the list; borrowed. */
const char *parameters_get(const struct parameters *parameters, const char *name);
/* Does a change of this parameter need a restart of PostgreSQL? False for what we do not know
 * (extensions): pg_settings must be asked. */
bool parameters_needs_restart(const char *name);
