#include "sidecar/postgres/op.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* ---- the end ---- */

void op_done(struct pg_op *op)
{
    op->code = ERR_OK;
    source_trigger(op->finish);
}

void op_fail(struct pg_op *op, enum err_code code, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    op->code = err_set(&op->err, code, "%s", text);
    source_trigger(op->finish);
}

void op_fail_with(struct pg_op *op, enum err_code code, const struct err *err)
{
    op_fail(op, code, "%s", err != NULL && err->text[0] != '\0' ? err->text : err_code_name(code));
}

bool op_is_late(const struct pg_op *op)
{
    return !mono_before(loop_now(op->pg->parts.loop), op->deadline);
}

/* ---- the thread pool ---- */

struct op_job *op_job_new(struct pg_op *op)
{
    struct op_job *job = mem_struct(struct op_job);
    job->op = op;
    job->place = op->pg->place;
    job->alone = op_guard(op)->child == GUARD_CHILD_NONE && op_guard(op)->lock_held;
    return job;
}

static void free_job(void *arg)
{
    struct op_job *job = arg;
    conf_files_done(&job->files);
    if (job->text != NULL)
        explicit_bzero(job->text, strlen(job->text));
    free(job->text);
    free(job);
}

static void do_work(void *arg)
{
    struct op_job *job = arg;
    job->code = job->work(job, &job->err);
}

static void on_worked(void *arg)
{
    struct op_job *job = arg;
    struct pg_op *op = job->op;
    op->work = source_free(op->work);
    op->flag = job->flag;
    op->worked(op, job->code, &job->err);
    free_job(job);
}

/* G3: a guard keeps the lock until it ends; one that we do not hear may have ended. */
static bool lock_is_ours(const struct pg_op *op)
{
    return op_guard(op)->connected && op_guard(op)->lock_held;
}

static enum err_code leave_alone(struct op_job *job, struct err *err)
{
    return err_set(err, ERR_UNREACHABLE, "%s is left alone: the guard that held its lock is away",
                   job->place.data);
}

void op_work(struct pg_op *op, struct op_job *job,
             enum err_code (*work)(struct op_job *job, struct err *err), op_after_fn *after)
{
    assert(op->work == NULL);
    job->work = op->writes && !lock_is_ours(op) ? leave_alone : work;
    op->worked = after;
    op->work = loop_work(op->pg->parts.loop, do_work, on_worked, free_job, job);
}

/* ---- tools ---- */

static void on_tool_line(void *arg, const char *line)
{
    struct pg_op *op = arg;
    if (op->tool_line != NULL)
        op->tool_line(op, line);
}

static void on_tool_done(void *arg, const struct tool_result *result)
{
    struct pg_op *op = arg;
    struct tool_call *ended = op->tool;
    op->tool = NULL; /* `after` may run another one */
    op->tool_done(op, result);
    tool_call_free(ended);
}

void op_tool(struct pg_op *op, const char *program, const char *const *args, const char *const *env,
             op_line_fn *line, op_tool_fn *after)
{
    assert(op->tool == NULL);
    op->tool_line = line;
    op->tool_done = after;
    const struct tool_spec spec = {
        .program = program,
        .args = args,
        .env = env,
        .deadline = op->deadline,
        .line = on_tool_line,
        .done = on_tool_done,
        .arg = op,
    };
    op->tool = tools_run(op->pg->tools, &spec);
}

/* ---- the guard ---- */

/* A request cannot be taken back: its answer finds the ticket, and no operation in it. */
struct op_ticket {
    struct pg_op *op;
    op_after_fn *after;
};

static void on_guard(void *arg, enum err_code code, const struct err *err)
{
    struct op_ticket *ticket = arg;
    struct pg_op *op = ticket->op;
    op_after_fn *after = ticket->after;
    free(ticket);
    if (op == NULL)
        return;
    op->ticket = NULL;
    after(op, code, err);
}

static struct op_ticket *new_ticket(struct pg_op *op, op_after_fn *after)
{
    struct op_ticket *ticket = mem_struct(struct op_ticket);
    assert(op->ticket == NULL);
    ticket->op = op;
    ticket->after = after;
    op->ticket = ticket;
    return ticket;
}

void op_signal(struct pg_op *op, int signum, op_after_fn *after)
{
    guard_signal(op->pg->parts.guard, signum, on_guard, new_ticket(op, after));
}

void op_kill(struct pg_op *op, op_after_fn *after)
{
    guard_kill(op->pg->parts.guard, on_guard, new_ticket(op, after));
}

void op_handed_over(struct pg_op *op, op_after_fn *after)
{
    guard_handed_over(op->pg->parts.guard, on_guard, new_ticket(op, after));
}

void op_lift(struct pg_op *op, op_after_fn *after)
{
    guard_lift_deadline(op->pg->parts.guard, op->cookie, on_guard, new_ticket(op, after));
}

void op_start(struct pg_op *op, const struct guard_start *start, op_after_fn *after)
{
    guard_start(op->pg->parts.guard, start, on_guard, new_ticket(op, after));
}

/* ---- queries ---- */

static void on_answer(void *arg, const struct session_answer *answer)
{
    struct pg_op *op = arg;
    op->answered(op, answer);
}

void op_query(struct pg_op *op, const char *sql, enum session_shape shape, int columns,
              op_answer_fn *after)
{
    op->answered = after;
    const struct session_query query = {
        .sql = sql,
        .shape = shape,
        .columns = columns,
        .deadline = op->deadline,
        .done = on_answer,
        .arg = op,
    };
    session_query(op->steps->admin, &query);
}

static void on_probe_answer(void *arg, const struct session_answer *answer)
{
    struct pg_op *op = arg;
    op->probe_answered(op, answer);
}

/* A transactional message makes a commit record and touches no table. */
void op_probe_commit(struct pg_op *op, op_answer_fn *after)
{
    op->probe_answered = after;
    const struct session_query query = {
        .sql = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgvigil', 'probe')",
        .shape = SESSION_ROW,
        .columns = 1,
        .deadline = op->deadline,
        .done = on_probe_answer,
        .arg = op,
    };
    session_query(op->steps->probe, &query);
}

/* ---- pauses ---- */

static void on_tick(void *arg)
{
    struct pg_op *op = arg;
    if (op_is_late(op))
        op_fail(op, ERR_TIMEOUT, "not done in time");
    else
        op->tick(op);
}

void op_later(struct pg_op *op, int64_t ms, op_fn *fn)
{
    op->tick = fn;
    if (op->timer == NULL)
        op->timer = loop_timer(op->pg->parts.loop, on_tick, op);
    source_arm_at(op->timer, mono_min(mono_add(loop_now(op->pg->parts.loop), ms), op->deadline));
}

/* ---- life ---- */

static void on_finish(void *arg)
{
    struct pg_op *op = arg;
    if (op->code == ERR_OK)
        postgres_set_trouble(op->pg, "");
    else if (!op->step.optional)
        postgres_set_trouble(op->pg, op->err.text);
    op->done(op->arg, op->code, &op->err);
}

static void free_op(struct step_op *base)
{
    struct pg_op *op = (struct pg_op *)base;
    if (op->cleanup != NULL)
        op->cleanup(op);
    if (op->ticket != NULL)
        op->ticket->op = NULL;
    if (op->pg->writing) {
        op->pg->writing = false;
        /* What a look has found meanwhile was not taken over. */
        if (op->code != ERR_OK)
            postgres_data_changed(op->pg);
        conf_compare(op->pg);
    }
    source_free(op->finish);
    source_free(op->timer);
    source_free(op->work);
    tool_call_free(op->tool);
    if (session_busy(op->steps->admin))
        session_close(op->steps->admin);
    session_close(op->steps->probe);
    postgres_set_activity(op->pg, MEMBER_STATE_UNKNOWN);
    if (op->steps->op == op)
        op->steps->op = NULL;
    free(op);
}

/* ---- steps_postgres ---- */

enum { ADMIN_LOOK_MS = 2000, ADMIN_SLACK_MS = 1000, ADMIN_CONNECT_MS = 3000 };

static void when_connected(void *arg, const struct session_answer *answer)
{
    (void)arg;
    (void)answer; /* tried again at the next look */
}

/* The admin session is kept open while Postgres is up: a failover must not wait for a new backend and
 * its password. */
static void keep_connected(void *arg)
{
    struct steps_postgres *steps = arg;
    struct session *admin = steps->admin;
    source_arm_loosely(steps->rest, ADMIN_LOOK_MS, ADMIN_SLACK_MS);
    if (steps->op != NULL || session_busy(admin))
        return;
    if (steps->postgres->state != PG_UP) {
        session_close(admin);
        return;
    }
    if (session_backend_pid(admin) != 0)
        return;
    const struct session_query query = {
        .sql = "SELECT 1",
        .deadline = mono_add(loop_now(steps->postgres->parts.loop), ADMIN_CONNECT_MS),
        .done = when_connected,
        .arg = steps,
    };
    session_query(admin, &query);
}

struct steps_postgres *steps_postgres_new(struct postgres *postgres)
{
    struct steps_postgres *steps = mem_struct(struct steps_postgres);
    const struct config_postgresql *pg = &postgres->parts.config->postgresql;
    struct session_options options = {
        .host = postgres->place.local_host,
        .port = postgres->place.port,
        .database = pg->database,
        .login = &pg->superuser,
        .application_name = "pgvigil_steps",
        .settings = "-c statement_timeout=0 -c lock_timeout=5000 -c synchronous_commit=local"
                    " -c search_path=pg_catalog -c log_statement=none"
                    " -c log_min_duration_statement=-1 -c log_min_error_statement=panic",
    };
    steps->postgres = postgres;
    steps->admin = session_new(postgres->parts.loop, &options, NULL, NULL);
    options.application_name = "pgvigil_probe";
    options.settings = "-c statement_timeout=0 -c synchronous_commit=on";
    steps->probe = session_new(postgres->parts.loop, &options, NULL, NULL);
    steps->rest = loop_timer(postgres->parts.loop, keep_connected, steps);
    source_arm_loosely(steps->rest, ADMIN_LOOK_MS, ADMIN_SLACK_MS);
    return steps;
}

struct steps_postgres *steps_postgres_free(struct steps_postgres *steps)
{
    if (steps == NULL)
        return NULL;
    if (steps->op != NULL)
        free_op(&steps->op->base);
    session_free(steps->admin);
    session_free(steps->probe);
    source_free(steps->rest);
    free(steps);
    return NULL;
}

static void take_view(struct pg_op *op, const struct view *view)
{
    const struct peer *peer = view_peer(view, op->step.name);
    if (peer != NULL && conf_parse_url(peer->member.conn_url, op->host, &op->port))
        op->source_position = peer->member.role == MEMBER_ROLE_REPLICA ? peer->member.receive_lsn
                                                                       : peer->member.xlog_location;
    else
        op->host[0] = '\0';
    op->system_id = view->store.initialize;
    op->confirmed = view->store.confirmed_lsn;
    op->cookie = (struct guard_cookie){ view->lease.id, view->lease.create_revision };
    if (op->step.kind == STEP_SLOTS)
        slots_plan(op->pg->slots, view, &probe_state(op->pg->probe)->facts,
                   op->pg->parts.settings->member_slots_ttl_s, &op->slots);
}

/* `writes`: it changes something in PGDATA or what will become it, hence not without the lock (G3). */
static const struct {
    op_fn *begin;
    bool writes;
} beginnings[STEP_MAX] = {
    [STEP_START_STANDBY] = { .begin = pg_start_standby, .writes = true },
    [STEP_START_PRIMARY] = { .begin = pg_start_primary, .writes = true },
    [STEP_STOP_FAST] = { .begin = pg_stop_fast },
    [STEP_KILL_TREE] = { .begin = pg_kill_tree },
    [STEP_HANDED_OVER] = { .begin = pg_hand_over },
    [STEP_GUARD_LIFT] = { .begin = pg_lift_deadline },
    [STEP_INITDB] = { .begin = pg_initdb, .writes = true },
    [STEP_ADOPT_NEW] = { .begin = pg_adopt_new, .writes = true },
    [STEP_CREATE_ROLES] = { .begin = pg_create_roles },
    [STEP_REACH_LEADER] = { .begin = pg_reach_leader, .writes = true }, /* the password file */
    [STEP_BASE_BACKUP] = { .begin = pg_base_backup, .writes = true },
    [STEP_REMOVE_DATA] = { .begin = pg_remove_data, .writes = true },
    [STEP_REWIND] = { .begin = pg_rewind, .writes = true },
    [STEP_FOLLOW] = { .begin = pg_follow, .writes = true },
    [STEP_END_BLOCKERS] = { .begin = pg_end_blockers, .writes = true },
    [STEP_PROMOTE] = { .begin = pg_promote },
    [STEP_CHECKPOINT] = { .begin = pg_checkpoint },
    [STEP_WAKE_WAITERS] = { .begin = pg_wake_waiters },
    [STEP_PROBE_FREE] = { .begin = pg_probe_free },
    [STEP_SET_SSN] = { .begin = pg_set_ssn, .writes = true },
    [STEP_PROBE_WAITS] = { .begin = pg_probe_waits },
    [STEP_READ_FLUSH] = { .begin = pg_read_flush },
    [STEP_WRITE_CONF] = { .begin = pg_write_conf, .writes = true },
    [STEP_RELOAD] = { .begin = pg_reload },
    [STEP_SLOTS] = { .begin = pg_slots },
    [STEP_READ_WAL] = { .begin = pg_read_wal },
};

bool steps_postgres_has(enum step_kind kind)
{
    return kind < STEP_MAX && beginnings[kind].begin != NULL;
}

/* The status decides: it came before the answer, and an old guard answers for a tool. */
static void after_lock(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (lock_is_ours(op))
        beginnings[op->step.kind].begin(op);
    else
        op_fail(op, code != ERR_OK ? code : ERR_REFUSED, "%s is left alone: %s", op->pg->place.data,
                err->text[0] != '\0' ? err->text : "the guard does not hold its lock");
}

/* The first thing that an operation does runs in the loop, too: it may end at once. */
static void begin(struct pg_op *op)
{
    op->writes = beginnings[op->step.kind].writes;
    if (op->writes && !lock_is_ours(op))
        guard_hold_lock(op->pg->parts.guard, on_guard, new_ticket(op, after_lock));
    else
        beginnings[op->step.kind].begin(op);
}

struct step_op *steps_postgres_start(struct steps_postgres *steps, const struct step_call *call)
{
    struct pg_op *op = mem_struct(struct pg_op);
    op->base.free = free_op;
    op->steps = steps;
    op->pg = steps->postgres;
    op->step = *call->step;
    op->memory = call->memory;
    op->deadline = call->deadline;
    op->done = call->done;
    op->arg = call->arg;
    op->finish = loop_defer(op->pg->parts.loop, on_finish, op);
    steps->op = op;
    take_view(op, call->view);
    if (session_busy(steps->admin)) /* it was only connecting */
        session_close(steps->admin);
    op_later(op, 0, begin);
    return &op->base;
}
