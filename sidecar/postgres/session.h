#pragma once
/* One connection to a Postgres server on the loop, one query at a time (libpq, never blocking). It
 * connects when a query needs it, and again when the connection was lost; it does not repeat a query
 * by itself. There is no pool and no transaction over several calls.
 *
 * Names are not resolved here (libpq would block): the host is a socket directory or an address. */
#include <libpq-fe.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/instant.h"
#include "base/limits.h"
#include "loop/loop.h"
#include "settings/config.h"

struct session;

struct session_options {
    const char *host; /* directory of a unix socket, or an address in numbers */
    int port;
    const char *database;
    const struct config_login *login; /* user, password, TLS; none of it is ever logged */
    const char *application_name;     /* never a member's name (S7) */
    const char *settings;             /* "-c name=value …" for this session; NULL: none */
    bool replication;                 /* replication=database: SQL and IDENTIFY_SYSTEM */
};

/* What a result must look like; anything else is ERR_PROTOCOL. */
enum session_shape {
    SESSION_ANY,
    SESSION_ROW, /* exactly one row */
};

struct session_answer {
    enum err_code code; /* TIMEOUT, UNREACHABLE (no word from a server), REFUSED (the server's
                               error, also on connecting), PROTOCOL */
    const struct err *err;
    const PGresult *result; /* with ERR_OK; borrowed during the callback */
    char sqlstate[6];       /* of the server's error: "53300", "57P03"; "" when it said none */
    bool sent;              /* the query was on its way: it may have happened */
};

typedef void session_done_fn(void *arg, const struct session_answer *answer);
typedef void session_lost_fn(void *arg);

struct session_query {
    const char *sql; /* copied */
    enum session_shape shape;
    int columns;           /* with SESSION_ROW: at least so many */
    struct mono deadline;  /* of connecting and the query together */
    session_done_fn *done; /* once, from the loop; not after session_free or session_close */
    void *arg;
};

/* Strings are copied. `lost` (may be NULL): the server closed an idle connection. */
struct session *session_new(struct loop *loop, const struct session_options *options,
                            session_lost_fn *lost, void *arg);
struct session *session_free(struct session *session);

/* Must not be busy. */
void session_query(struct session *session, const struct session_query *query);
bool session_busy(const struct session *session);
/* Closes the connection; a query under way is forgotten. The server goes on with it until it notices. */
void session_close(struct session *session);
/* The server's process; 0 while not connected. */
int session_backend_pid(const struct session *session);
/* Counts the connections made: tells whether "the same session" is still the same. */
unsigned session_connections(const struct session *session);

/* The SCRAM verifier of a password, so that the password itself never travels; heap, freed by the
 * caller; NULL while not connected. */
char *session_verifier(const struct session *session, const char *user, const char *password);

/* Quoted for SQL, in heap memory that the caller frees. */
char *session_quote_literal(const char *text);
char *session_quote_identifier(const char *text);
/* Cuts a value into a fixed field; NULL gives "". */
void session_text(const PGresult *result, int column, char *ret_text, size_t size);
