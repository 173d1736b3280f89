/* Making the first data directory of a cluster: initdb, or a user's command, into <data>.new. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/postgres/files.h"
#include "sidecar/postgres/fresh.h"
#include "sidecar/postgres/op.h"
#include "sidecar/postgres/options.h"

static const char *const refused[] = { "pgdata",   "nosync",  "no-sync", "pwfile", "sync-only",
                                       "username", "version", "help",    NULL };

static const char *pwfile_path(char *buffer, const struct place *place)
{
    return path_join(buffer, place->state_dir, "pwfile");
}

/* ---- afterwards ---- */

/* Without a pg_hba of the user's own: passwords from everywhere, also for replication, so that a
 * cluster of several nodes forms at all. */
static enum err_code add_hba(struct op_job *job, struct err *err)
{
    char path[LIMIT_PATH];
    auto_text struct text text = text_new(LIMIT_FILE);
    path_join(path, job->place.fresh_data, "pg_hba.conf");
    enum err_code code = file_read(path, &text, err);
    text_add(&text, job->word);
    return code == ERR_OK ? file_replace(path, text_str(&text), text.len, 0600, err) : code;
}

static enum err_code complete(struct op_job *job, struct err *err)
{
    char path[LIMIT_PATH];
    enum err_code code = file_remove(pwfile_path(path, &job->place), err);
    if (code == ERR_OK && job->word != NULL)
        code = add_hba(job, err);
    if (code == ERR_OK && !file_exists(path_join(path, job->place.fresh_data, "PG_VERSION")))
        code = err_set(err, ERR_INVALID, "%s has become no data directory", job->place.fresh_data);
    return code == ERR_OK ? fresh_complete(&job->place, "initdb", err) : code;
}

static void after_complete(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK) {
        op_fail_with(op, code, err);
        return;
    }
    postgres_data_changed(op->pg);
    op_done(op);
}

static void finish(struct pg_op *op)
{
    static const char lines[] = "\n# Added by pgvigil: no pg_hba is configured.\n"
                                "host replication all all scram-sha-256\n"
                                "host all all all scram-sha-256\n";
    struct op_job *job = op_job_new(op);
    if (op->pg->parts.settings->pg_hba.n == 0)
        job->word = lines;
    op_work(op, job, complete, after_complete);
}

/* ---- initdb ---- */

enum attempt { INITDB_BUILTIN, INITDB_LIBC };

static void run_initdb(struct pg_op *op);

static enum err_code remove_data(struct op_job *job, struct err *err)
{
    return dir_remove(job->place.fresh_data, err);
}

static void after_removed(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK)
        op_fail_with(op, code, err);
    else
        run_initdb(op);
}

static void after_initdb(struct pg_op *op, const struct tool_result *result)
{
    struct err err = { .code = ERR_OK };
    enum err_code code = tool_verdict(result, "initdb", &err);
    if (code == ERR_OK) {
        finish(op);
        return;
    }
    /* PostgreSQL before 17 has no builtin provider. */
    bool no_builtin = op->index == INITDB_BUILTIN && strstr(result->output, "builtin") != NULL;
    if (code != ERR_OK && no_builtin && op->pg->parts.config->bootstrap.initdb == NULL) {
        op->index = INITDB_LIBC;
        op_work(op, op_job_new(op), remove_data, after_removed);
        return;
    }
    op_fail(op, code, "%s", err.text);
}

static void add_defaults(const struct pg_op *op, struct arguments *arguments)
{
    arguments_add(arguments, "--data-checksums");
    arguments_add(arguments, "--encoding=UTF8");
    if (op->index == INITDB_BUILTIN)
        arguments_add(arguments, "--locale-provider=builtin");
    arguments_add(arguments, "--locale=C.UTF-8");
}

static void run_initdb(struct pg_op *op)
{
    char path[LIMIT_PATH];
    struct arguments arguments = { .n = 0 };
    const struct config *config = op->pg->parts.config;
    bool password = config->postgresql.superuser.password != NULL;
    arguments_add(&arguments, "--pgdata=%s", op->pg->place.fresh_data);
    arguments_add(&arguments, "--username=%s", config->postgresql.superuser.username);
    if (password) {
        arguments_add(&arguments, "--pwfile=%s", pwfile_path(path, &op->pg->place));
        arguments_add(&arguments, "--auth=scram-sha-256");
    }
    if (config->bootstrap.initdb != NULL)
        arguments_add_options(&arguments, config->bootstrap.initdb, refused);
    else
        add_defaults(op, &arguments);
    op_tool(op, "initdb", (const char *const *)arguments.item, NULL, NULL, after_initdb);
    arguments_done(&arguments);
}

/* ---- a user's command (patroni-compat 1.2) ---- */

static void after_command(struct pg_op *op, const struct tool_result *result)
{
    struct err err = { .code = ERR_OK };
    enum err_code code = tool_verdict(result, "bootstrap command", &err);
    if (code == ERR_OK)
        finish(op);
    else
        op_fail(op, code, "%s", err.text);
}

static void run_command(struct pg_op *op, const char *command, const json_t *section)
{
    static const char *const ours[] = { "command", "no_params", "keep_existing_recovery_conf",
                                        "recovery_conf", NULL };
    struct arguments arguments = { .n = 0 };
    arguments_add(&arguments, "-c");
    arguments_add(&arguments, "exec %s \"$@\"", command);
    arguments_add(&arguments, "bootstrap");
    if (!json_is_true(json_object_get(section, "no_params"))) {
        arguments_add(&arguments, "--scope=%s", op->pg->parts.config->scope);
        arguments_add(&arguments, "--datadir=%s", op->pg->place.fresh_data);
    }
    arguments_add_section(&arguments, section, ours);
    postgres_set_activity(op->pg, MEMBER_CUSTOM_BOOTSTRAP);
    op_tool(op, "/bin/sh", (const char *const *)arguments.item, NULL, NULL, after_command);
    arguments_done(&arguments);
}

/* ---- before ---- */

static enum err_code prepare(struct op_job *job, struct err *err)
{
    char path[LIMIT_PATH];
    /* Made before a crash: the same again would only give another system id. */
    job->flag = fresh_is_complete(&job->place, "initdb");
    if (job->flag)
        return ERR_OK;
    enum err_code code = fresh_prepare(&job->place, err);
    if (code == ERR_OK)
        code = conf_write_pgpass(&job->place, &job->files, err);
    if (code == ERR_OK && job->text != NULL)
        code =
            file_replace(pwfile_path(path, &job->place), job->text, strlen(job->text), 0600, err);
    return code;
}

static void after_prepare(struct pg_op *op, enum err_code code, const struct err *err)
{
    const struct config_bootstrap *bootstrap = &op->pg->parts.config->bootstrap;
    bool custom = bootstrap->method != NULL && strcmp(bootstrap->method, "initdb") != 0;
    const json_t *section = custom ? json_object_get(bootstrap->tree, bootstrap->method) : NULL;
    const char *command = json_string_value(json_object_get(section, "command"));
    if (code != ERR_OK)
        op_fail_with(op, code, err);
    else if (op->flag)
        op_done(op);
    else if (custom && command == NULL)
        op_fail(op, ERR_INVALID, "bootstrap.%s.command is missing", bootstrap->method);
    else if (custom)
        run_command(op, command, section);
    else
        run_initdb(op);
}

void pg_initdb(struct pg_op *op)
{
    const char *password = op->pg->parts.config->postgresql.superuser.password;
    struct op_job *job = op_job_new(op);
    postgres_set_activity(op->pg, MEMBER_INITDB);
    postgres_render(op->pg, &job->files);
    job->text = mem_strdup(password);
    op_work(op, job, prepare, after_prepare);
}

/* ---- ADOPT_NEW ---- */

static enum err_code adopt(struct op_job *job, struct err *err)
{
    return fresh_adopt(&job->place, err);
}

void pg_adopt_new(struct pg_op *op)
{
    op_work(op, op_job_new(op), adopt, after_complete);
}
