/* The leader's keys live until its lease ends, and come back with a restored etcd: before data is
 * replaced for its sake, its server is asked. */
#include <stdlib.h>

#include "base/clean.h"
#include "base/text.h"
#include "sidecar/postgres/op.h"
#include "sidecar/postgres/options.h"

static void after_answer(struct pg_op *op, const struct tool_result *result)
{
    struct err err = { .code = ERR_OK };
    if (tool_verdict(result, "psql", &err) != ERR_OK) {
        op_fail(op, ERR_UNREACHABLE, "%s does not answer as a primary: %s", op->step.name,
                err.text);
        return;
    }
    unsigned long long id = strtoull(result->output, NULL, 10);
    if (op->system_id != 0 && id != op->system_id)
        op_fail(op, ERR_REFUSED,
                "at %s:%d, the address of %s, another cluster answers (system identifier %llu, "
                "ours is %llu)",
                op->host, op->port, op->step.name, id, (unsigned long long)op->system_id);
    else
        op_done(op);
}

static void ask(struct pg_op *op)
{
    struct arguments arguments = { .n = 0 };
    auto_text struct text conninfo = text_new(CONF_CONNINFO_MAX);
    const struct conf_target leader = {
        .login = &op->pg->parts.config->postgresql.replication,
        .host = op->host,
        .port = op->port,
        .application_name = "pgvigil_reach",
        .walsender = true,
        .primary = true,
    };
    conf_conninfo(&op->pg->place, &leader, &conninfo);
    arguments_add_question(&arguments, text_str(&conninfo), "IDENTIFY_SYSTEM");
    op_tool(op, "psql", (const char *const *)arguments.item, NULL, NULL, after_answer);
    arguments_done(&arguments);
}

static enum err_code write_password(struct op_job *job, struct err *err)
{
    return conf_write_pgpass(&job->place, &job->files, err);
}

static void after_password(struct pg_op *op, enum err_code code, const struct err *err)
{
    if (code != ERR_OK)
        op_fail_with(op, code, err);
    else
        ask(op);
}

void pg_reach_leader(struct pg_op *op)
{
    if (op->host[0] == '\0') {
        op_fail(op, ERR_NOT_FOUND, "no address of member %s is known", op->step.name);
        return;
    }
    struct op_job *job = op_job_new(op);
    postgres_render(op->pg, &job->files);
    op_work(op, job, write_password, after_password);
}
