/* Roles of a new cluster (patroni-compat 1.2), and the user's command after the bootstrap. */
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/text.h"
#include "sidecar/postgres/op.h"
#include "sidecar/postgres/options.h"

/* The password leaves us only as its SCRAM verifier: it is in no statement and in no log. */
static char *verifier(const struct pg_op *op, const struct config_login *login)
{
    if (login->password == NULL)
        return NULL;
    auto_free char *text = session_verifier(op->steps->admin, login->username, login->password);
    return text == NULL ? NULL : session_quote_literal(text);
}

static void add_role(const struct pg_op *op, struct text *sql, const struct config_login *login,
                     const char *attributes)
{
    if (login->username == NULL)
        return;
    auto_free char *name = session_quote_identifier(login->username);
    auto_free char *literal = session_quote_literal(login->username);
    auto_free char *create = session_quote_literal(name);
    auto_free char *password = verifier(op, login);
    text_addf(sql,
              "DO $pgvigil$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %s) THEN"
              " EXECUTE 'CREATE ROLE ' || %s; END IF; END $pgvigil$;",
              literal, create);
    text_addf(sql, "ALTER ROLE %s WITH LOGIN%s", name, attributes);
    if (password != NULL)
        text_addf(sql, " PASSWORD %s", password);
    text_add(sql, ";");
}

/* What pg_rewind needs of its source without being superuser. */
static void add_rewind_grants(struct text *sql, const struct config_login *login)
{
    static const char *const functions[] = {
        "pg_ls_dir(text, boolean, boolean)",
        "pg_stat_file(text, boolean)",
        "pg_read_binary_file(text)",
        "pg_read_binary_file(text, bigint, bigint, boolean)",
    };
    auto_free char *name = session_quote_identifier(login->username);
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        text_addf(sql, "GRANT EXECUTE ON FUNCTION pg_catalog.%s TO %s;", functions[i], name);
}

static bool same_user(const struct config_login *a, const struct config_login *b)
{
    return a->username == NULL || b->username == NULL || strcmp(a->username, b->username) == 0;
}

/* ---- the user's command ---- */

static void after_command(struct pg_op *op, const struct tool_result *result)
{
    struct err err = { .code = ERR_OK };
    enum err_code code = tool_verdict(result, "post_bootstrap", &err);
    if (code == ERR_OK)
        op_done(op);
    else
        op_fail(op, code, "%s", err.text);
}

static void run_command(struct pg_op *op)
{
    const struct config *config = op->pg->parts.config;
    struct arguments arguments = { .n = 0 };
    auto_text struct text conninfo = text_new(CONF_CONNINFO_MAX);
    auto_text struct text passfile = text_new(LIMIT_PATH + 16);
    const char *env[] = { NULL, "PGOPTIONS=-c synchronous_commit=local -c statement_timeout=0",
                          NULL };
    const struct conf_target target = {
        .login = &config->postgresql.superuser,
        .host = op->pg->place.local_host,
        .port = op->pg->place.port,
        .database = config->postgresql.database,
        .application_name = "pgvigil_bootstrap",
    };
    conf_conninfo(&op->pg->place, &target, &conninfo);
    text_addf(&passfile, "PGPASSFILE=%s", op->pg->place.pgpass);
    env[0] = text_str(&passfile);
    arguments_add(&arguments, "-c");
    arguments_add(&arguments, "exec %s \"$@\"", config->bootstrap.post_bootstrap);
    arguments_add(&arguments, "post_bootstrap");
    arguments_add(&arguments, "%s", text_str(&conninfo));
    op_tool(op, "/bin/sh", (const char *const *)arguments.item, env, NULL, after_command);
    arguments_done(&arguments);
}

static void when_made(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code != ERR_OK)
        op_fail_with(op, answer->code, answer->err);
    else if (op->pg->parts.config->bootstrap.post_bootstrap != NULL)
        run_command(op);
    else
        op_done(op);
}

/* Connected: the verifier is made with the server's number of iterations. */
static void make_roles(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code != ERR_OK) {
        op_fail_with(op, answer->code, answer->err);
        return;
    }
    const struct config_postgresql *pg = &op->pg->parts.config->postgresql;
    auto_text struct text sql = text_new(1 << 14);
    if (!same_user(&pg->replication, &pg->superuser))
        add_role(op, &sql, &pg->replication, " REPLICATION");
    if (!same_user(&pg->rewind, &pg->superuser)) {
        if (!same_user(&pg->rewind, &pg->replication))
            add_role(op, &sql, &pg->rewind, "");
        add_rewind_grants(&sql, &pg->rewind);
    }
    text_add(&sql, "SELECT 1");
    op_query(op, text_str(&sql), SESSION_ANY, 0, when_made);
}

void pg_create_roles(struct pg_op *op)
{
    op_query(op, "SELECT 1", SESSION_ROW, 1, make_roles);
}
