#pragma once
/* Where the local Postgres lives: its directories, files and addresses, worked out once from the
 * configuration.
 *
 * Nothing of ours lies inside PGDATA (design part 6): <parent>/pgvigil holds our state, and
 * <data>.new is where a data directory is made: our mark, then `data` in it, then the word that it is
 * complete. initdb and pg_basebackup want an empty directory, so that the mark cannot lie beside
 * their files. */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/limits.h"
#include "settings/config.h"

struct place {
    char data[LIMIT_PATH]; /* PGDATA, without a slash at its end */
    char parent[LIMIT_PATH];
    char conf_dir[LIMIT_PATH]; /* postgresql.conf, pg_hba.conf, pg_ident.conf */
    char state_dir[LIMIT_PATH];
    char pgpass[LIMIT_PATH];
    char fresh[LIMIT_PATH];      /* <data>.new */
    char fresh_data[LIMIT_PATH]; /* <data>.new/data */
    char fresh_mark[LIMIT_PATH]; /* <data>.new/pgvigil: ours to delete */
    char fresh_done[LIMIT_PATH]; /* <data>.new/complete: "initdb" or "clone" */
    char rewinding[LIMIT_PATH];  /* <state_dir>/rewinding: pg_rewind has begun and not ended */
    char slots[LIMIT_PATH];      /* <state_dir>/slots: the slots that we made */
    char local_host[LIMIT_NAME]; /* where we connect: a socket directory or an address */
    int port;
};

enum { PLACE_MAX_PATH = LIMIT_PATH - 64 };

/* Errors: ERR_INVALID with the key's name. */
enum err_code place_init(const struct config *config, struct place *ret_place, struct err *err);

/* "host:port" or "[v6]:port"; the host without brackets. False when there is no port. */
bool place_split(const char *address, char *ret_host, size_t size, int *ret_port);
