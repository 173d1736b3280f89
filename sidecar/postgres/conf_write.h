#pragma once
/* Puts the files of conf.h on the disk (thread pool only). Files that are as they should be are not
 * touched; a file is replaced whole and fsynced, never changed in place. */
#include "base/err.h"
#include "sidecar/postgres/conf.h"
#include "sidecar/postgres/place.h"

enum conf_signal { CONF_SIGNAL_KEEP, CONF_SIGNAL_STANDBY, CONF_SIGNAL_NONE };

struct conf_write {
    const struct place *place;
    const struct conf_files *files;
    enum conf_signal signal; /* standby.signal: as it is, made, or removed with recovery.signal */
    bool starting; /* no postmaster runs: PGDATA is set to 0700, and what would win over us
                                is taken out of postgresql.auto.conf */
    bool alone; /* nobody else can run on PGDATA: the guard holds its lock (G3) and has no child. A
                   postmaster.pid, and the lock of its socket, are then leftovers of a node that was
                   killed; the number in them may be that of any process by now, and a start would
                   believe it */
};

/* The password file comes first: primary_conninfo names it. */
enum err_code conf_write(const struct conf_write *write, struct err *err);

/* Only postgresql.conf of a running server, and not durably: for what a start would not want. */
enum err_code conf_write_soon(const struct place *place, const struct conf_files *files,
                              struct err *err);

/* Only the password file and the state directory: what tools need before there is a PGDATA. */
enum err_code conf_write_pgpass(const struct place *place, const struct conf_files *files,
                                struct err *err);

/* Does the disk differ from the files? (pgpass included; unreadable counts as different) */
bool conf_differs(const struct place *place, const struct conf_files *files);
