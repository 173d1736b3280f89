#pragma once
/* A node's Postgres half for tests: the real guard in a process of its own, a real PostgreSQL, and
 * struct postgres with its steps over them. PostgreSQL refuses root: pg_node_become_postgres first. */
#include <libpq-fe.h>
#include <stdbool.h>

#include "loop/loop.h"
#include "settings/config.h"
#include "settings/settings.h"
#include "sidecar/guard/guard_client.h"
#include "sidecar/postgres/postgres.h"
#include "sidecar/postgres/steps_postgres.h"

struct pg_node {
    char name[16];
    int port;
    char folder[128];
    char socket[160];
    char lock[160];
    int guard_pid;
    struct loop *loop; /* shared by the nodes of a test */
    struct config *config;
    struct settings *settings;
    struct guard_client *guard;
    struct postgres *postgres;
    struct steps_postgres *steps;
    struct view view;
    struct plan_memory memory;
    struct step_op *op;
    bool step_ended;
    enum err_code code;
    struct err err;
};

/* False: no PostgreSQL here, or no user to run it as. */
bool pg_node_become_postgres(void);

/* Starts its guard. To be called for all nodes before the loop is made. */
void pg_node_init(struct pg_node *node, const char *name, int port, const char *folder,
                  const char *more_yaml);
/* Makes the rest; `config` as JSON text. */
void pg_node_open(struct pg_node *node, struct loop *loop, const char *settings);
/* The sidecar goes, guard and Postgres stay: pg_node_open comes back to them. */
void pg_node_leave(struct pg_node *node);
/* Ends everything, the guard and Postgres included. */
void pg_node_close(struct pg_node *node);

/* The view as the cycle would fill it; `peers` are the other nodes. */
void pg_node_look(struct pg_node *node, struct pg_node *const *peers);

/* Runs one step to its end. */
enum err_code pg_node_step(struct pg_node *node, const struct step *step);

/* Runs the loop until `condition` says so, or `ms` have passed (false). */
typedef bool pg_until_fn(struct pg_node *node, void *arg);
bool pg_node_wait(struct pg_node *node, pg_until_fn *condition, void *arg, int ms);

/* A blocking connection as superuser; the caller finishes it. */
PGconn *pg_node_connect(const struct pg_node *node);
/* One value from this node's server, by a blocking connection; "" on failure. */
const char *pg_node_sql(const struct pg_node *node, const char *sql, char *buffer, size_t size);
