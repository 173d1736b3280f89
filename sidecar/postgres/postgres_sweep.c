/* A primary that became a standby keeps the slots that it made for the members; nobody will ever use
 * them there, and they hold its WAL until the disk is full. They are made again at a promotion. */
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/text.h"
#include "sidecar/postgres/context.h"

enum { SWEEP_EVERY_MS = 10000, SWEEP_MS = 3000 };

static void on_swept(void *arg, const struct session_answer *answer)
{
    struct postgres *postgres = arg;
    if (answer->code != ERR_OK)
        log_debug("slots of a former primary: %s", answer->err->text);
    session_close(postgres->sweeper);
    probe_look(postgres->probe);
}

void sweep_begin(struct postgres *postgres)
{
    const struct config_postgresql *pg = &postgres->parts.config->postgresql;
    const struct session_options options = {
        .host = postgres->place.local_host,
        .port = postgres->place.port,
        .database = pg->database,
        .login = &pg->superuser,
        .application_name = "pgvigil_sweep",
        .settings = "-c statement_timeout=2500",
    };
    postgres->sweeper = session_new(postgres->parts.loop, &options, NULL, NULL);
    postgres->swept_at = (struct mono){ -SWEEP_EVERY_MS };
}

static void drop(struct postgres *postgres, const struct slot_plan *plan)
{
    auto_text struct text sql = text_new(1 << 13);
    text_add(&sql, "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM"
                   " pg_catalog.pg_replication_slots WHERE pg_catalog.pg_is_in_recovery()"
                   " AND NOT active AND slot_name IN (");
    for (size_t i = 0; i < plan->n_drop; i++) {
        auto_free char *name = session_quote_literal(plan->drop[i]);
        text_addf(&sql, "%s%s", i > 0 ? ", " : "", name);
    }
    text_add(&sql, ")");
    const struct session_query query = {
        .sql = text_str(&sql),
        .deadline = mono_add(loop_now(postgres->parts.loop), SWEEP_MS),
        .done = on_swept,
        .arg = postgres,
    };
    session_query(postgres->sweeper, &query);
}

void sweep_slots(struct postgres *postgres)
{
    const struct probe_state *probe = probe_state(postgres->probe);
    struct mono now = loop_now(postgres->parts.loop);
    struct slot_plan plan;
    if (!probe->queryable || !probe->view.in_recovery || session_busy(postgres->sweeper) ||
        mono_diff(now, postgres->swept_at) < SWEEP_EVERY_MS)
        return;
    slots_plan_standby(postgres->slots, &probe->facts, &plan);
    if (plan.n_drop == 0)
        return;
    postgres->swept_at = now;
    drop(postgres, &plan);
}
