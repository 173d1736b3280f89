/* pg_rewind: makes a data directory that has gone its own way follow the leader's again. */
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/text.h"
#include "sidecar/postgres/files.h"
#include "sidecar/postgres/op.h"
#include "sidecar/postgres/options.h"

/* After this it changes the directory, and what it leaves when it fails cannot be started. */
static const char point_of_no_return[] = "rewinding from last common checkpoint";

/* What libpq says where the source went away or did not let us in: that tells nothing of our WAL, and
 * nothing is to be cloned for it. */
static bool source_went_away(const char *output)
{
    static const char *const words[] = { "connection to server", "server closed the connection",
                                         "terminating connection", "the database system is " };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(output, words[i]) != NULL)
            return true;
    return false;
}

static enum err_code end_rewind(struct op_job *job, struct err *err)
{
    return file_remove(job->place.rewinding, err);
}

static void after_end(struct pg_op *op, enum err_code code, const struct err *err)
{
    postgres_data_changed(op->pg);
    if (op->code != ERR_OK)
        op_fail(op, op->code, "%s", op->err.text);
    else if (code != ERR_OK)
        op_fail_with(op, code, err);
    else
        op_done(op);
}

static void after_rewind(struct pg_op *op, const struct tool_result *result)
{
    struct err err = { .code = ERR_OK };
    op->code = tool_verdict(result, "pg_rewind", &err);
    if (op->code != ERR_OK && source_went_away(result->output))
        err.code = op->code = ERR_UNREACHABLE;
    op->err = err;
    bool touched = strstr(result->output, point_of_no_return) != NULL;
    if (op->code != ERR_OK && (touched || result->code != ERR_OK)) {
        postgres_data_changed(op->pg);
        op_fail(op, op->code, "%s", err.text);
        return;
    }
    op_work(op, op_job_new(op), end_rewind, after_end);
}

static void on_line(struct pg_op *op, const char *line)
{
    log_info("%s", line);
    postgres_set_progress(op->pg, line, -1);
}

static void run_rewind(struct pg_op *op)
{
    const struct config_postgresql *pg = &op->pg->parts.config->postgresql;
    static const char *const env[] = { "PGOPTIONS=-c statement_timeout=0", NULL };
    struct arguments arguments = { .n = 0 };
    struct parameters parameters = { .n = 0 };
    auto_text struct text conninfo = text_new(CONF_CONNINFO_MAX);
    const struct conf_target source = {
        .login = pg->rewind.username != NULL ? &pg->rewind : &pg->superuser,
        .host = op->host,
        .port = op->port,
        .database = pg->database,
        .application_name = "pgvigil_rewind",
    };
    conf_conninfo(&op->pg->place, &source, &conninfo);
    postgres_parameters(op->pg, false, &parameters);
    arguments_add(&arguments, "--target-pgdata=%s", op->pg->place.data);
    arguments_add(&arguments, "--source-server=%s", text_str(&conninfo));
    if (strcmp(op->pg->place.conf_dir, op->pg->place.data) != 0)
        arguments_add(&arguments, "--config-file=%s/postgresql.conf", op->pg->place.conf_dir);
    if (parameters_get(&parameters, "restore_command") != NULL)
        arguments_add(&arguments, "--restore-target-wal");
    op_tool(op, "pg_rewind", (const char *const *)arguments.item, env, on_line, after_rewind);
    arguments_done(&arguments);
    parameters_done(&parameters);
}

/* pg_rewind recovers an unclean directory itself, in single-user mode, which standby.signal forbids;
 * a start as standby makes it again. Files of ours are written first: the recovery reads them. */
static enum err_code prepare(struct op_job *job, struct err *err)
{
    static const char word[] = "pg_rewind\n";
    const struct conf_write write = {
        .place = &job->place,
        .files = &job->files,
        .signal = CONF_SIGNAL_NONE,
        .starting = true,
        .alone = job->alone,
    };
    enum err_code code = conf_write(&write, err);
    return code == ERR_OK ? file_replace(job->place.rewinding, word, strlen(word), 0600, err)
                          : code;
}

static void after_prepare(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK)
        op_fail_with(op, code, err);
    else
        run_rewind(op);
}

static void write_files(struct pg_op *op)
{
    struct op_job *job = op_job_new(op);
    postgres_render(op->pg, &job->files);
    op_work(op, job, prepare, after_prepare);
}

void pg_rewind(struct pg_op *op)
{
    if (op_guard(op)->child != GUARD_CHILD_NONE) {
        op_fail(op, ERR_CONFLICT, "Postgres runs on the data that should be rewound");
        return;
    }
    if (op->host[0] == '\0') {
        op_fail(op, ERR_NOT_FOUND, "no address of member %s is known", op->step.name);
        return;
    }
    pg_ask_version(op, write_files); /* of what the files may hold */
}
