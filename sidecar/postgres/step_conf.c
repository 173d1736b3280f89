/* Steps that write the files of Postgres and tell it to read them again. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/postgres/op.h"

/* ---- writing ---- */

static enum err_code write_files(struct op_job *job, struct err *err)
{
    const struct conf_write write = {
        .place = &job->place,
        .files = &job->files,
        .signal = job->signal,
        .starting = job->starting,
        .alone = job->starting && job->alone,
    };
    return conf_write(&write, err);
}

void pg_write_files(struct pg_op *op, enum conf_signal signal, bool starting, op_after_fn *after)
{
    struct op_job *job = op_job_new(op);
    op->pg->writing = true; /* until the operation is freed */
    postgres_render(op->pg, &job->files);
    job->signal = signal;
    job->starting = starting;
    op_work(op, job, write_files, after);
}

/* ---- and asking the server's binary ---- */

enum { CHECKS_MAX = 4 };

static void write_and_check(struct pg_op *op);

static void when_checked(struct pg_op *op, const struct tool_result *result)
{
    struct err err = { .code = ERR_OK };
    enum err_code code = tool_verdict(result, "postgres -C", &err);
    if (code != ERR_OK && result->code == ERR_OK && op->checks < CHECKS_MAX &&
        postgres_refuse(op->pg, result->output)) {
        write_and_check(op);
        return;
    }
    /* What is left Postgres must say itself; the check is no condition of a start. */
    if (code != ERR_OK)
        log_warn("%s", err.text);
    op->pg->checked = code == ERR_OK;
    op->checked(op, ERR_OK, NULL);
}

/* "-C" reads everything that a start would read, and prints one parameter. */
static void check(struct pg_op *op, enum err_code code, const struct err *err)
{
    struct argv argv = { .n = 0 };
    /* A failover does not ask again what has not changed. */
    if (code != ERR_OK || op->pg->checked) {
        op->checked(op, code, err);
        return;
    }
    pg_make_argv(op, !op->pg->role.standby, &argv);
    char **args = argv.item + (strcmp(argv.item[0], "/usr/bin/env") == 0 ? 2 : 1);
    if (argv.n + 2 <= LIMIT_ARGV) {
        argv.item[argv.n++] = mem_strdup("-C");
        argv.item[argv.n++] = mem_strdup("data_directory");
    }
    op_tool(op, "postgres", (const char *const *)args, NULL, NULL, when_checked);
    for (size_t i = 0; i < argv.n; i++)
        free(argv.item[i]);
}

static void write_and_check(struct pg_op *op)
{
    op->checks++;
    pg_write_files(op, op->signal, op->starting, check);
}

void pg_write_checked(struct pg_op *op, enum conf_signal signal, bool starting, op_after_fn *after)
{
    op->signal = signal;
    op->starting = starting;
    op->checked = after;
    write_and_check(op);
}

/* ---- write, then reload ---- */

static void when_ended(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code == ERR_OK)
        op_done(op);
    else
        op_fail_with(op, answer->code, answer->err);
}

/* A replay that waits for a session already does not read the new delay before that one ends: who
 * is in a transaction then is in its way. */
static void end_sessions(struct pg_op *op)
{
    op_query(
        op,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND xact_start IS NOT NULL"
        " AND application_name NOT LIKE 'pgvigil%' AND EXISTS (SELECT FROM pg_stat_activity AS s"
        " WHERE s.backend_type = 'startup' AND (s.wait_event LIKE 'RecoveryConflict%'"
        " OR s.wait_event_type IN ('Lock', 'BufferPin')))",
        SESSION_ROW, 1, when_ended);
}

static void after_signal(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK) {
        op_fail_with(op, code, err);
        return;
    }
    op->pg->reload_due = false;
    probe_look_at_settings(op->pg->probe);
    if (op->step.kind == STEP_END_BLOCKERS)
        end_sessions(op);
    else
        op_done(op);
}

bool op_files_written(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK) {
        op->pg->role = op->former;
        op_fail_with(op, code, err);
        return false;
    }
    op->pg->role_known = true;
    op->pg->files_differ = false;
    postgres_note_ssn(op->pg);
    return true;
}

static void after_write(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (!op_files_written(op, code, err))
        return;
    op->pg->reload_due = true; /* until the server was told */
    if (op->step.kind == STEP_WRITE_CONF)
        op_done(op); /* RELOAD is a step of its own */
    else
        op_signal(op, SIGHUP, after_signal);
}

/* Nothing is written before we know what stands there: an SSN that we did not read would be lost. */
static bool may_write(struct pg_op *op)
{
    op->former = op->pg->role;
    if (op->pg->role_known)
        return true;
    op_fail(op, ERR_CONFLICT, "the configuration on the disk was not read yet");
    return false;
}

/* S2: "on disk before the reload". */
void pg_set_ssn(struct pg_op *op)
{
    if (!may_write(op))
        return;
    op->pg->role.ssn = op->step.ssn;
    op->pg->role.ssn_names = op->step.names;
    pg_write_files(op, CONF_SIGNAL_KEEP, false, after_write);
}

/* Design part 6: "new leader appears: change primary_conninfo by reload, no restart". Without a name:
 * nobody is followed. */
void pg_follow(struct pg_op *op)
{
    struct conf_role *role = &op->pg->role;
    if (!may_write(op))
        return;
    if (op->host[0] == '\0' && op->step.name[0] != '\0') {
        op_fail(op, ERR_NOT_FOUND, "no address of member %s is known", op->step.name);
        return;
    }
    memcpy(role->upstream, op->step.name, sizeof(role->upstream));
    memcpy(role->upstream_host, op->host, sizeof(role->upstream_host));
    role->upstream_port = op->port;
    role->end_blockers = false;
    probe_restart_follow(op->pg->probe);
    pg_write_files(op, CONF_SIGNAL_KEEP, false, after_write);
}

static enum err_code write_soon(struct op_job *job, struct err *err)
{
    return conf_write_soon(&job->place, &job->files, err);
}

/* Everything that was received is replayed: nobody blocks, and the failover need not wait for a file. */
static void when_compared(struct pg_op *op, const struct session_answer *answer)
{
    struct op_job *job;
    if (answer->code != ERR_OK) {
        op_fail_with(op, answer->code, answer->err);
        return;
    }
    if (strcmp(PQgetvalue(answer->result, 0, 0), "t") == 0) {
        op_done(op);
        return;
    }
    op->pg->role.end_blockers = true;
    op->pg->writing = true;
    job = op_job_new(op);
    postgres_render(op->pg, &job->files);
    op_work(op, job, write_soon, after_write);
}

/* Design part 6: "sessions that block replay are ended first (max_standby_*_delay = 0 by reload)". It
 * is undone when the role changes, or by the next reload. */
void pg_end_blockers(struct pg_op *op)
{
    if (may_write(op))
        op_query(op, "SELECT pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()", SESSION_ROW, 1,
                 when_compared);
}

void pg_write_conf(struct pg_op *op)
{
    if (may_write(op))
        pg_write_checked(op, CONF_SIGNAL_KEEP, false, after_write);
}

void pg_reload(struct pg_op *op)
{
    op_signal(op, SIGHUP, after_signal);
}
