#pragma once
/* The texts of the files that we write for Postgres: postgresql.conf (the original is kept as
 * postgresql.base.conf and included; patroni-compat 1.3), pg_hba.conf, pg_ident.conf, the password
 * file. Pure; conf_write.h puts them on the disk. */
#include <stdbool.h>

#include "cluster/sync_state.h"
#include "settings/config.h"
#include "settings/parameters.h"
#include "settings/settings.h"
#include "sidecar/postgres/conf_state.h"
#include "sidecar/postgres/place.h"

#define CONF_MARK "# Written by pgvigil"

/* What changes with the role. */
struct conf_role {
    bool standby;
    char upstream[LIMIT_NAME]; /* "" : stream from nobody */
    char upstream_host[LIMIT_URL];
    int upstream_port;
    enum ssn_kind ssn; /* a standby's is empty whatever stands here (S2) */
    struct names ssn_names;
    bool end_blockers; /* max_standby_*_delay = 0 (design part 6) */
};

/* Heap texts; NULL: that file is not ours to write. */
struct conf_files {
    char *conf;
    char *hba;
    char *ident;
    char *pgpass;
};
void conf_files_done(struct conf_files *files);
bool conf_files_equal(const struct conf_files *a, const struct conf_files *b);

struct conf_input {
    const struct config *config;
    const struct settings *settings;
    const struct place *place;
    const struct parameters *parameters;
    const struct conf_role *role;
    int server_version; /* 170004; 0: 17 */
};
void conf_render(const struct conf_input *input, struct conf_files *ret_files);

/* synchronous_standby_names as it is to be written for the role. */
void conf_ssn(const struct conf_role *role, char ret_ssn[LIMIT_SSN]);

struct conf_target {
    const struct config_login *login;
    const char *host; /* name, address or socket directory */
    int port;
    const char *database; /* NULL: none said */
    const char *application_name;
    bool walsender; /* a replication connection, of no database */
    bool primary;   /* one that is in recovery is no answer */
};
/* A keyword/value string for libpq without a password (that is in the password file). */
void conf_conninfo(const struct place *place, const struct conf_target *target,
                   struct text *ret_conninfo);

/* Host and port of "postgres://host:port/database". False when it is no such text. */
bool conf_parse_url(const char *url, char ret_host[LIMIT_URL], int *ret_port);
