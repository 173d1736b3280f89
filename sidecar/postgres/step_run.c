/* Steps that start and end the postmaster, through the guard that owns it. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/postgres/op.h"
#include "sidecar/postgres/version.h"

enum { POLL_MS = 10, RETRY_MS = 50, MAX_ENV = 200 };

/* ---- what the postmaster gets ---- */

/* patroni-compat 1.1: what is meant for us is kept from it; PATH is ours. */
static bool is_inherited(const char *variable)
{
    static const char *const not_these[] = { "PATRONI_",       "PGVIGIL_", "KUBERNETES_",
                                             "NOTIFY_SOCKET=", "PATH=",    "PG",
                                             "LC_ALL=" };
    for (size_t i = 0; i < sizeof(not_these) / sizeof(not_these[0]); i++)
        if (text_starts_with(variable, not_these[i]))
            return false;
    return true;
}

static const char **make_env(const struct pg_op *op)
{
    const char **env = mem_array(MAX_ENV + 2, sizeof(char *));
    size_t n = 0;
    env[n++] = tools_path(op->pg->tools);
    for (char *const *variable = environ; *variable != NULL && n < MAX_ENV; variable++)
        if (is_inherited(*variable))
            env[n++] = *variable;
    return env;
}

static void add_arg(struct argv *argv, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_arg(struct argv *argv, const char *format, ...)
{
    struct text text = text_new(LIMIT_PATH + LIMIT_URL);
    va_list args;
    if (argv->n == LIMIT_ARGV)
        return;
    va_start(args, format);
    text_vaddf(&text, format, args);
    va_end(args);
    argv->item[argv->n++] = text_take(&text);
}

/* patroni-compat 1.3: what only the store may set goes on the command line, so that ALTER SYSTEM
 * cannot win. */
void pg_make_argv(const struct pg_op *op, bool primary, struct argv *ret_argv)
{
    struct parameters parameters = { .n = 0 };
    struct argv *argv = ret_argv;
    argv->n = tools_program(op->pg->tools, "postgres", argv->item);
    add_arg(argv, "-D");
    add_arg(argv, "%s", op->pg->place.data);
    add_arg(argv, "--config-file=%s/postgresql.conf", op->pg->place.conf_dir);
    postgres_parameters(op->pg, primary, &parameters);
    for (size_t i = 0; i < parameters.n; i++)
        if (parameters.item[i].command_line)
            add_arg(argv, "--%s=%s", parameters.item[i].name, parameters.item[i].value);
    parameters_done(&parameters);
}

/* ---- start ---- */

static void send_start(struct pg_op *op);

static void after_start(struct pg_op *op, enum err_code code, const struct err *err)
{
    /* A tool of ours runs (somebody looks at pg_control): it ends soon. */
    if (code == ERR_REFUSED && tools_busy(op->pg->tools) && !op_is_late(op)) {
        op_later(op, RETRY_MS, send_start);
        return;
    }
    if (code != ERR_OK) {
        op_fail_with(op, code, err);
        return;
    }
    op->pg->reload_due = false;
    op_done(op);
}

static void send_start(struct pg_op *op)
{
    bool primary = op->step.kind == STEP_START_PRIMARY;
    struct argv argv = { .n = 0 };
    pg_make_argv(op, primary, &argv);
    auto_free const char **env = make_env(op);
    const struct guard_start start = {
        .argv = (const char *const *)argv.item,
        .env = env,
        .cwd = op->pg->place.parent,
        .primary = primary,
        .cookie = primary ? op->cookie : (struct guard_cookie){ 0 },
    };
    op_start(op, &start, after_start);
    for (size_t i = 0; i < argv.n; i++)
        free(argv.item[i]);
}

static void after_files(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (op_files_written(op, code, err))
        send_start(op);
}

static void write_files(struct pg_op *op)
{
    bool primary = op->step.kind == STEP_START_PRIMARY;
    pg_write_checked(op, primary ? CONF_SIGNAL_NONE : CONF_SIGNAL_STANDBY, true, after_files);
}

/* Design part 5: "Minor releases of PostgreSQL with the SSN start-up race are refused in synchronous
 * mode." */
static void with_version(struct pg_op *op)
{
    int version = op->pg->binary_version;
    bool synchronous = op->pg->parts.settings->synchronous_mode != SYNC_OFF;
    if (version != 0 && synchronous && !version_waits_from_the_start(version))
        op_fail(
            op, ERR_REFUSED,
            "PostgreSQL %d.%d may acknowledge commits before it obeys synchronous_standby_names:"
            " update it to a release of May 2025 or later, or set synchronous_mode to off",
            version / 10000, version % 10000);
    else
        write_files(op);
}

static void when_version(struct pg_op *op, const struct tool_result *result)
{
    struct err err = { .code = ERR_OK };
    enum err_code code = tool_verdict(result, "postgres", &err);
    if (code != ERR_OK) {
        op_fail(op, code, "%s", err.text);
        return;
    }
    op->pg->binary_version = version_parse(result->output);
    op->versioned(op);
}

void pg_ask_version(struct pg_op *op, op_fn *then)
{
    static const char *const args[] = { "--version", NULL };
    op->versioned = then;
    if (op->pg->binary_version != 0)
        then(op);
    else
        op_tool(op, "postgres", args, NULL, NULL, when_version);
}

/* What is known of the directory must be of now: a clone or a rewind has just changed it. */
static void when_looked(struct pg_op *op)
{
    const struct look *look = &op->pg->look;
    if (!look->dir_known) {
        op_later(op, POLL_MS, when_looked);
        return;
    }
    if (look->found.dir.dir != DATA_DIR_VALID) {
        op_fail(op, ERR_INVALID, "%s",
                look->found.dir.trouble[0] != '\0' ? look->found.dir.trouble
                                                   : "there is no data directory");
        return;
    }
    if (look->found.dir.rewinding) {
        op_fail(op, ERR_INVALID,
                "pg_rewind was interrupted and has left %s unusable: it must end, "
                "or the member be cloned again",
                op->pg->place.data);
        return;
    }
    pg_ask_version(op, with_version);
}

static bool may_start(struct pg_op *op)
{
    op->former = op->pg->role;
    if (op_guard(op)->child == GUARD_CHILD_NONE) {
        op->pg->writing = true; /* a look must not put the disk's role in place of the new one */
        return true;
    }
    op_fail(op, ERR_CONFLICT, "Postgres runs already");
    return false;
}

/* S2: "A standby runs with an empty SSN." Nobody to follow: the former upstream's address stays, so
 * that a standby may find its WAL when that one comes back. */
void pg_start_standby(struct pg_op *op)
{
    struct conf_role *role = &op->pg->role;
    if (!may_start(op))
        return;
    role->standby = true;
    role->ssn = SSN_EMPTY;
    role->ssn_names = (struct names){ .n = 0 };
    role->end_blockers = false;
    if (op->host[0] != '\0') {
        memcpy(role->upstream, op->step.name, sizeof(role->upstream));
        memcpy(role->upstream_host, op->host, sizeof(role->upstream_host));
        role->upstream_port = op->port;
    } else if (op->step.name[0] != '\0') {
        op_fail(op, ERR_NOT_FOUND, "no address of member %s is known", op->step.name);
        *role = op->former;
        return;
    }
    when_looked(op);
}

/* "A restart in place as primary needs an SSN on disk that covers /sync" (S2). */
void pg_start_primary(struct pg_op *op)
{
    if (!may_start(op))
        return;
    op->pg->role = (struct conf_role){ .ssn = op->step.ssn, .ssn_names = op->step.names };
    if (op->step.ssn == SSN_EMPTY && op->step.names.n > 0)
        op->pg->role.ssn = SSN_NAMES;
    when_looked(op);
}

/* ---- stop ---- */

/* G1: only the guard's word that nothing is left counts. */
static void wait_until_gone(struct pg_op *op)
{
    if (op_guard(op)->child != GUARD_CHILD_NONE)
        op_later(op, POLL_MS, wait_until_gone);
    else
        op_done(op);
}

static void after_stop(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK && op_guard(op)->child != GUARD_CHILD_NONE)
        op_fail_with(op, code, err);
    else
        wait_until_gone(op);
}

static bool gone_already(struct pg_op *op)
{
    const struct guard_status *guard = op_guard(op);
    if (!guard->connected)
        op_fail(op, ERR_UNREACHABLE, "the guard is not connected");
    else if (guard->child == GUARD_CHILD_NONE)
        op_done(op);
    else
        return false;
    return true;
}

void pg_stop_fast(struct pg_op *op)
{
    if (gone_already(op))
        return;
    postgres_told_to_stop(op->pg);
    op_signal(op, SIGINT, after_stop);
}

static void after_kill(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK)
        op_fail_with(op, code, err);
    else
        wait_until_gone(op);
}

/* Asked also where nothing seems to run: the socket keeps the order, so that the guard's answer comes
 * after whatever was sent to it before, a start without an answer included (I1, G1). */
void pg_kill_tree(struct pg_op *op)
{
    if (!op_guard(op)->connected) {
        op_fail(op, ERR_UNREACHABLE, "the guard is not connected");
        return;
    }
    if (op_guard(op)->child != GUARD_CHILD_NONE)
        postgres_told_to_stop(op->pg);
    op_kill(op, after_kill);
}

static void after_word(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code == ERR_OK)
        op_done(op);
    else
        op_fail_with(op, code, err);
}

void pg_hand_over(struct pg_op *op)
{
    op_handed_over(op, after_word);
}

void pg_lift_deadline(struct pg_op *op)
{
    op_lift(op, after_word);
}
