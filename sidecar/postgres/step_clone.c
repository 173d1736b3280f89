/* Replacing the data directory by a copy of another member's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/text.h"
#include "sidecar/postgres/files.h"
#include "sidecar/postgres/fresh.h"
#include "sidecar/postgres/op.h"
#include "sidecar/postgres/options.h"

/* A cluster that has written less WAL than this is small: its checkpoint need not be spread. */
static const lsn_t small_cluster = (lsn_t)1 << 30;

static const char *const refused[] = { "pgdata", "format",   "wal-method", "xlog-method",
                                       "gzip",   "version",  "dbname",     "host",
                                       "port",   "username", "password",   "help",
                                       NULL };

static void next_method(struct pg_op *op);

/* ---- afterwards ---- */

static enum err_code take_over(struct op_job *job, struct err *err)
{
    char path[LIMIT_PATH];
    if (!file_exists(path_join(path, job->place.fresh_data, "PG_VERSION")))
        return err_set(err, ERR_INVALID, "%s has become no data directory", job->place.fresh_data);
    enum err_code code = fresh_complete(&job->place, "clone", err);
    if (code == ERR_OK)
        code = file_remove(job->place.rewinding, err);
    return code == ERR_OK ? fresh_adopt(&job->place, err) : code;
}

static void after_take_over(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK) {
        op_fail_with(op, code, err);
        return;
    }
    postgres_data_changed(op->pg);
    op_done(op);
}

/* ---- a method ---- */

/* "  23456/34567 kB (67%), 0/1 tablespace" */
static void on_line(struct pg_op *op, const char *line)
{
    int percent = -1;
    const char *open = strchr(line, '(');
    if (open == NULL || sscanf(open, "(%d%%)", &percent) != 1)
        percent = op->pg->clone_percent;
    postgres_set_progress(op->pg, line, percent);
    if (percent < 0)
        log_info("clone: %s", line);
}

static enum err_code clear(struct op_job *job, struct err *err)
{
    return dir_remove(job->place.fresh_data, err);
}

static void after_clear(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK)
        op_fail_with(op, code, err);
    else
        next_method(op);
}

/* The member's slot keeps the WAL from here to the first streaming; where it is not there yet, or
 * taken, the backup goes on without. */
static bool slot_is_in_the_way(const struct pg_op *op, const char *output)
{
    return !op->flag && strstr(output, "replication slot \"") != NULL;
}

static void after_method(struct pg_op *op, const struct tool_result *result)
{
    const struct text_list *methods = &op->pg->parts.config->postgresql.create_replica_methods;
    struct err err = { .code = ERR_OK };
    enum err_code code = tool_verdict(result, "clone", &err);
    if (code == ERR_OK) {
        op_work(op, op_job_new(op), take_over, after_take_over);
        return;
    }
    bool without_slot = slot_is_in_the_way(op, result->output);
    if (!without_slot)
        op->index++;
    if (without_slot || op->index < methods->n) {
        struct op_job *job = op_job_new(op);
        job->flag = without_slot;
        log_warn("%s -> trying %s", err.text, without_slot ? "without the slot" : "another way");
        op_work(op, job, clear, after_clear);
        return;
    }
    op_fail(op, code, "%s", err.text);
}

/* Tools never use a member's name as application_name (S7). */
static void add_source(const struct pg_op *op, const char *database, struct text *conninfo)
{
    const struct conf_target source = {
        .login = &op->pg->parts.config->postgresql.replication,
        .host = op->host,
        .port = op->port,
        .database = database,
        .application_name = "pgvigil_clone",
    };
    conf_conninfo(&op->pg->place, &source, conninfo);
}

static void run_base_backup(struct pg_op *op)
{
    const struct config_postgresql *pg = &op->pg->parts.config->postgresql;
    struct arguments arguments = { .n = 0 };
    char slot[LIMIT_NAME];
    auto_text struct text conninfo = text_new(CONF_CONNINFO_MAX);
    bool small = op->source_position != LSN_NONE && op->source_position < small_cluster;
    add_source(op, NULL, &conninfo);
    member_slot_name(op->pg->parts.config->name, slot);
    arguments_add(&arguments, "--pgdata=%s", op->pg->place.fresh_data);
    arguments_add(&arguments, "--dbname=%s", text_str(&conninfo));
    arguments_add(&arguments, "--wal-method=stream");
    arguments_add(&arguments, "--checkpoint=%s", small ? "fast" : "spread");
    arguments_add(&arguments, "--no-password");
    arguments_add(&arguments, "--progress");
    if (op->pg->parts.settings->use_slots && !op->flag)
        arguments_add(&arguments, "--slot=%s", slot);
    arguments_add_options(&arguments, pg->basebackup, refused);
    op_tool(op, "pg_basebackup", (const char *const *)arguments.item, NULL, on_line, after_method);
    arguments_done(&arguments);
}

/* patroni-compat 1.2: a user's own method. */
static void run_command(struct pg_op *op, const char *method)
{
    static const char *const ours[] = { "command", NULL };
    static const char *const ours_bare[] = { "command", "no_params", "no_leader", "keep_data",
                                             NULL };
    const struct config *config = op->pg->parts.config;
    const json_t *section = json_object_get(config->postgresql.tree, method);
    const char *command = json_string_value(json_object_get(section, "command"));
    bool no_params = json_is_true(json_object_get(section, "no_params"));
    struct arguments arguments = { .n = 0 };
    auto_text struct text conninfo = text_new(CONF_CONNINFO_MAX);
    add_source(op, config->postgresql.database, &conninfo);
    arguments_add(&arguments, "-c");
    arguments_add(&arguments, "exec %s \"$@\"", command != NULL ? command : method);
    arguments_add(&arguments, "%s", method);
    if (!no_params) {
        arguments_add(&arguments, "--scope=%s", config->scope);
        arguments_add(&arguments, "--role=replica");
        arguments_add(&arguments, "--datadir=%s", op->pg->place.fresh_data);
        arguments_add(&arguments, "--connstring=%s", text_str(&conninfo));
    }
    arguments_add_section(&arguments, section, no_params ? ours_bare : ours);
    op_tool(op, "/bin/sh", (const char *const *)arguments.item, NULL, on_line, after_method);
    arguments_done(&arguments);
}

static void next_method(struct pg_op *op)
{
    const struct text_list *methods = &op->pg->parts.config->postgresql.create_replica_methods;
    const char *method = op->index < methods->n ? methods->item[op->index] : "basebackup";
    log_info("clone: %s from %s (%s:%d)", method, op->step.name, op->host, op->port);
    if (strcmp(method, "basebackup") == 0)
        run_base_backup(op);
    else
        run_command(op, method);
}

/* ---- before ---- */

static enum err_code prepare(struct op_job *job, struct err *err)
{
    bool empty = true;
    enum err_code code = dir_is_empty(job->place.data, &empty, err);
    if (code == ERR_OK && !empty)
        return err_set(err, ERR_REFUSED, "%s is not empty: nothing is cloned over it",
                       job->place.data);
    if (code == ERR_OK)
        code = fresh_prepare(&job->place, err);
    return code == ERR_OK ? conf_write_pgpass(&job->place, &job->files, err) : code;
}

static void after_prepare(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK)
        op_fail_with(op, code, err);
    else
        next_method(op);
}

void pg_base_backup(struct pg_op *op)
{
    struct op_job *job;
    if (op->host[0] == '\0') {
        op_fail(op, ERR_NOT_FOUND, "no address of member %s is known", op->step.name);
        return;
    }
    job = op_job_new(op);
    postgres_set_activity(op->pg, MEMBER_CREATING_REPLICA);
    postgres_render(op->pg, &job->files);
    op_work(op, job, prepare, after_prepare);
}

/* ---- REMOVE_DATA ---- */

static enum err_code remove_data(struct op_job *job, struct err *err)
{
    return fresh_remove_data(&job->place, err);
}

void pg_remove_data(struct pg_op *op)
{
    if (op_guard(op)->child != GUARD_CHILD_NONE) {
        op_fail(op, ERR_CONFLICT, "Postgres runs on the data that should be removed");
        return;
    }
    log_warn("removing %s, as was asked for", op->pg->place.data);
    op_work(op, op_job_new(op), remove_data, after_take_over);
}
