#pragma once
/* One operation of steps_postgres under way, and what operations are made of: work in the thread
 * pool, a tool, a request to the guard, a query, a pause. At most one of each kind runs at a time;
 * freeing the operation drops them. Private to the step_*.c. */
#include "sidecar/postgres/conf_write.h"
#include "sidecar/postgres/context.h"
#include "sidecar/postgres/session.h"
#include "sidecar/postgres/steps_postgres.h"
#include "sidecar/step.h"

struct pg_op;
struct op_ticket;

typedef void op_fn(struct pg_op *op);
typedef void op_after_fn(struct pg_op *op, enum err_code code, const struct err *err);
typedef void op_answer_fn(struct pg_op *op, const struct session_answer *answer);
typedef void op_tool_fn(struct pg_op *op, const struct tool_result *result);
typedef void op_line_fn(struct pg_op *op, const char *line);

/* What work in the pool may touch: copies, nothing of the loop's. */
struct op_job {
    struct pg_op *op; /* for the loop only */
    struct place place;
    struct conf_files files;
    enum conf_signal signal;
    bool starting;
    bool alone;       /* the guard holds PGDATA's lock and has no child */
    bool flag;        /* of the work's own meaning */
    char *text;       /* heap; owned by the job */
    const char *word; /* static */
    enum err_code code;
    struct err err;
    enum err_code (*work)(struct op_job *job, struct err *err);
};

struct steps_postgres {
    struct postgres *postgres;
    struct session *admin; /* superuser, for one operation at a time */
    struct session *probe; /* the commits of S2 */
    struct source *rest;   /* looks after the admin session */
    struct pg_op *op;      /* the one under way: a plan runs one step at a time */
};

struct pg_op {
    struct step_op base; /* first: the owner frees by it */
    struct steps_postgres *steps;
    struct postgres *pg;
    struct step step;
    struct plan_memory *memory;
    struct mono deadline;
    bool writes; /* in PGDATA or what will become it: all its work needs the lock (G3) */
    step_done_fn *done;
    void *arg;
    enum err_code code;
    struct err err;

    struct source *finish;
    struct source *timer;
    op_fn *tick;
    struct source *work;
    op_after_fn *worked;
    struct tool_call *tool;
    op_tool_fn *tool_done;
    op_line_fn *tool_line;
    struct op_ticket *ticket;
    op_answer_fn *answered;
    op_answer_fn *probe_answered;
    op_fn *cleanup; /* of the step's own; may be NULL */

    /* of the view at the start */
    char host[LIMIT_URL]; /* of step.name; "" not known */
    int port;
    lsn_t source_position; /* of step.name as it publishes it */
    uint64_t system_id;    /* the cluster's; 0: not told */
    lsn_t confirmed;       /* S7 */
    struct guard_cookie cookie;
    struct slot_plan slots;
    size_t index; /* which of several is being tried */
    bool flag;
    struct conf_role former; /* to go back to when writing failed */
    enum conf_signal signal;
    bool starting;
    op_after_fn *checked; /* of pg_write_checked */
    op_fn *versioned;     /* of pg_ask_version */
    unsigned checks;
};

/* The end, told from the loop; the operation is not used afterwards. */
void op_done(struct pg_op *op);
void op_fail(struct pg_op *op, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* With the error as it is. */
void op_fail_with(struct pg_op *op, enum err_code code, const struct err *err);

/* New; the work gets it, or op_job_free. */
struct op_job *op_job_new(struct pg_op *op);
void op_work(struct pg_op *op, struct op_job *job,
             enum err_code (*work)(struct op_job *job, struct err *err), op_after_fn *after);

/* `args` and `env` NULL-terminated; until the operation's deadline. */
void op_tool(struct pg_op *op, const char *program, const char *const *args, const char *const *env,
             op_line_fn *line, op_tool_fn *after);

void op_signal(struct pg_op *op, int signum, op_after_fn *after);
void op_kill(struct pg_op *op, op_after_fn *after);
void op_handed_over(struct pg_op *op, op_after_fn *after);
void op_lift(struct pg_op *op, op_after_fn *after); /* L8, with op->cookie */
void op_start(struct pg_op *op, const struct guard_start *start, op_after_fn *after);

/* On the admin session. */
void op_query(struct pg_op *op, const char *sql, enum session_shape shape, int columns,
              op_answer_fn *after);
/* A commit that waits as a user's would, on a session of its own (S2). */
void op_probe_commit(struct pg_op *op, op_answer_fn *after);

/* Runs `fn` after `ms`; the operation's deadline ends it with a timeout instead. */
void op_later(struct pg_op *op, int64_t ms, op_fn *fn);
bool op_is_late(const struct pg_op *op);

static inline const struct guard_status *op_guard(const struct pg_op *op)
{
    return guard_client_status(op->pg->parts.guard);
}

/* The beginnings of the operations. */
op_fn pg_start_standby, pg_start_primary, pg_stop_fast, pg_kill_tree, pg_hand_over;
op_fn pg_lift_deadline;
op_fn pg_initdb, pg_adopt_new, pg_create_roles, pg_reach_leader, pg_base_backup, pg_remove_data,
    pg_rewind;
op_fn pg_follow, pg_end_blockers, pg_set_ssn, pg_write_conf, pg_reload;
op_fn pg_promote, pg_checkpoint, pg_probe_free, pg_probe_waits, pg_read_flush, pg_wake_waiters;
op_fn pg_slots, pg_read_wal;

/* step_conf.c: writes the files for postgres->role; on failure the role goes back to op->former. */
void pg_write_files(struct pg_op *op, enum conf_signal signal, bool starting, op_after_fn *after);
/* The same, and asks the server's binary what it thinks of them: what it does not take is left out and
 * the files are written again. */
void pg_write_checked(struct pg_op *op, enum conf_signal signal, bool starting, op_after_fn *after);
/* The outcome of either; false: the operation has failed, and the role is the former one. */
bool op_files_written(struct pg_op *op, enum err_code code, const struct err *err);

/* step_run.c: the arguments of the postmaster, program included; the caller frees the texts. */
struct argv {
    size_t n;
    char *item[LIMIT_ARGV + 1];
};
/* then() with the version of the programs that the guard runs known: what may stand in the files depends on it. */
void pg_ask_version(struct pg_op *op, op_fn *then);
void pg_make_argv(const struct pg_op *op, bool primary, struct argv *ret_argv);
