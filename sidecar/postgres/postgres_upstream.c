/* A standby that does not stream although its history is its upstream's: has the upstream still the WAL
 * that comes next? Its own server only logs the refusal, so the other one is asked, by a tool: names are
 * resolved there, and nothing of the loop waits. */
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/text.h"
#include "sidecar/postgres/context.h"
#include "sidecar/postgres/options.h"

enum { ASK_EVERY_MS = 10000, ASK_MS = 5000 };

static void on_told(void *arg, const struct tool_result *result)
{
    struct postgres *postgres = arg;
    struct upstream *upstream = &postgres->upstream;
    struct err err = { .code = ERR_OK };
    bool was_missing = upstream->wal_missing;
    if (tool_verdict(result, "psql", &err) == ERR_OK)
        upstream->wal_missing = result->output[0] == 't';
    else
        log_debug("WAL of the upstream: %s", err.text);
    upstream->tool = tool_call_free(upstream->tool);
    if (upstream->wal_missing && !was_missing)
        log_error("%s: it does not have the WAL any more that this standby needs next",
                  postgres->role.upstream);
    if (upstream->wal_missing != was_missing)
        postgres_changed(postgres);
}

/* Removed: the segment of our position is not there, and not because it is still to come. */
static void write_question(lsn_t position, struct text *sql)
{
    char at[LSN_TEXT_MAX];
    lsn_format(position, at);
    text_addf(
        sql,
        "SELECT pg_catalog.pg_current_wal_flush_lsn() > '%s'::pg_lsn AND NOT EXISTS (SELECT"
        " FROM pg_catalog.pg_ls_dir('pg_wal', true, false) AS name WHERE length(name) = 24 AND"
        " substr(name, 9) = substr(pg_catalog.pg_walfile_name('%s'::pg_lsn + 1), 9))",
        at, at);
}

static void ask(struct postgres *postgres)
{
    const struct config_postgresql *pg = &postgres->parts.config->postgresql;
    struct arguments arguments = { .n = 0 };
    auto_text struct text conninfo = text_new(CONF_CONNINFO_MAX);
    auto_text struct text sql = text_new(1024);
    const struct conf_target target = {
        .login = pg->rewind.username != NULL ? &pg->rewind : &pg->superuser,
        .host = postgres->role.upstream_host,
        .port = postgres->role.upstream_port,
        .database = pg->database,
        .application_name = "pgvigil_upstream",
    };
    conf_conninfo(&postgres->place, &target, &conninfo);
    write_question(probe_state(postgres->probe)->view.position, &sql);
    arguments_add_question(&arguments, text_str(&conninfo), text_str(&sql));
    const struct tool_spec spec = {
        .program = "psql",
        .args = (const char *const *)arguments.item,
        .deadline = mono_add(loop_now(postgres->parts.loop), ASK_MS),
        .done = on_told,
        .arg = postgres,
    };
    postgres->upstream.tool = tools_run(postgres->tools, &spec);
    arguments_done(&arguments);
}

void upstream_end(struct postgres *postgres)
{
    tool_call_free(postgres->upstream.tool);
}

void upstream_look(struct postgres *postgres, bool stuck)
{
    struct upstream *upstream = &postgres->upstream;
    struct mono now = loop_now(postgres->parts.loop);
    if (!stuck) {
        upstream->wal_missing = false;
        upstream->asked_at = (struct mono){ 0 };
        return;
    }
    bool recently = upstream->asked_at.ms != 0 && mono_diff(now, upstream->asked_at) < ASK_EVERY_MS;
    if (recently || upstream->tool != NULL || tools_busy(postgres->tools) ||
        postgres->role.upstream_host[0] == '\0')
        return;
    upstream->asked_at = now;
    ask(postgres);
}
