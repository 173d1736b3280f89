/* Steps that are queries to the local server. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/text.h"
#include "sidecar/postgres/op.h"

enum { PROBE_POLL_MS = 10, PROMOTE_LOOKS = 4 };

static void when_answered(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code == ERR_OK)
        op_done(op);
    else
        op_fail_with(op, answer->code, answer->err);
}

/* ---- promotion ---- */

/* Where the request comes while a connection to the lost upstream is being tried, the startup process
 * notes it and then sleeps for what is left of wal_retrieve_retry_interval (PostgreSQL 15 to 17;
 * measured: up to 190 ms). A reload wakes it. It is looked at for a moment. */
static void look_at_startup(struct pg_op *op);

static void when_reloaded(struct pg_op *op, enum err_code code, const struct err *err)
{
    (void)code;
    (void)err; /* it wakes by itself a bit later */
    op_done(op);
}

static void when_startup_seen(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code != ERR_OK)
        op_done(op); /* AWAIT_PRIMARY sees what became of it */
    else if (strcmp(PQgetvalue(answer->result, 0, 0), "t") == 0)
        op_signal(op, SIGHUP, when_reloaded);
    else if (++op->index < PROMOTE_LOOKS)
        op_later(op, PROBE_POLL_MS, look_at_startup);
    else
        op_done(op);
}

static void look_at_startup(struct pg_op *op)
{
    op_query(op,
             "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup'"
             " AND wait_event = 'RecoveryRetrieveRetryInterval')",
             SESSION_ROW, 1, when_startup_seen);
}

static void when_promoting(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code != ERR_OK) {
        op_fail_with(op, answer->code, answer->err);
        return;
    }
    op->index = 0;
    op_later(op, PROBE_POLL_MS, look_at_startup);
}

/* Sent, and the server has taken it; AWAIT_PRIMARY sees that it was done. */
void pg_promote(struct pg_op *op)
{
    op_query(op, "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(false) ELSE true END",
             SESSION_ROW, 1, when_promoting);
}

void pg_checkpoint(struct pg_op *op)
{
    op_query(op, "CHECKPOINT", SESSION_ANY, 0, when_answered);
}

/* S2: "see a probe commit not wait". */
void pg_probe_free(struct pg_op *op)
{
    op_probe_commit(op, when_answered);
}

/* ---- S2: see a commit wait ---- */

static void look_at_waiting(struct pg_op *op);
static void when_not_waiting(struct pg_op *op, const struct session_answer *answer);

static void when_terminated(struct pg_op *op, const struct session_answer *answer)
{
    (void)answer; /* seen is seen; the session is closed with the operation */
    op_done(op);
}

/* Ends the commit that waits: nobody is told that it was done. */
static void terminate_probe(struct pg_op *op)
{
    char sql[80];
    op->flag = true;
    snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d)",
             session_backend_pid(op->steps->probe));
    op_query(op, sql, SESSION_ANY, 0, when_terminated);
}

static void when_looked_at(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code != ERR_OK) {
        op_fail_with(op, answer->code, answer->err);
        return;
    }
    bool waits = strcmp(PQgetvalue(answer->result, 0, 0), "t") == 0;
    bool nobody_counts = strcmp(PQgetvalue(answer->result, 0, 1), "0") == 0;
    if (waits && nobody_counts)
        terminate_probe(op);
    else
        op_later(op, PROBE_POLL_MS, look_at_waiting);
}

/* "see it wait (`wait_event = SyncRep`) and every walsender at `sync_priority` 0" */
static void look_at_waiting(struct pg_op *op)
{
    char sql[256];
    int pid = session_backend_pid(op->steps->probe);
    bool asked = session_busy(op->steps->probe);
    if (!asked)
        op_probe_commit(op, when_not_waiting);
    if (!asked || pid == 0) {
        op_later(op, PROBE_POLL_MS, look_at_waiting);
        return;
    }
    snprintf(
        sql, sizeof(sql),
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %d AND wait_event = 'SyncRep'),"
        " (SELECT count(*) FROM pg_stat_replication WHERE sync_priority > 0)",
        pid);
    op_query(op, sql, SESSION_ROW, 2, when_looked_at);
}

/* It returned: this backend, or the flag that the checkpointer sets, is not there yet. */
static void when_not_waiting(struct pg_op *op, const struct session_answer *answer)
{
    /* Ended by us: how it learns of that does not matter. Otherwise the next look tries again. */
    if (!op->flag && answer->code != ERR_OK)
        op_fail_with(op, answer->code, answer->err);
}

void pg_probe_waits(struct pg_op *op)
{
    look_at_waiting(op);
}

/* ---- positions ---- */

static void when_read(struct pg_op *op, const struct session_answer *answer)
{
    lsn_t flush = LSN_NONE;
    if (answer->code != ERR_OK) {
        op_fail_with(op, answer->code, answer->err);
        return;
    }
    if (!lsn_parse(PQgetvalue(answer->result, 0, 0), &flush)) {
        op_fail(op, ERR_PROTOCOL, "no flush position");
        return;
    }
    op->memory->flush = flush;
    op_done(op);
}

void pg_read_flush(struct pg_op *op)
{
    op_query(op, "SELECT pg_current_wal_flush_lsn()", SESSION_ROW, 1, when_read);
}

/* ---- commits that wait under former names ---- */

static void look_at_sync(struct pg_op *op);

static void when_sync_seen(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code != ERR_OK)
        op_fail_with(op, answer->code, answer->err);
    else if (strtoul(PQgetvalue(answer->result, 0, 0), NULL, 10) >= op->step.names.n)
        op_query(op, "SELECT pg_logical_emit_message(true, 'pgvigil', 'wake')", SESSION_ANY, 0,
                 when_answered);
    else
        op_later(op, PROBE_POLL_MS, look_at_sync);
}

/* A walsender counts an answer only after it has read the new names itself. */
static void look_at_sync(struct pg_op *op)
{
    op_query(op, "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')",
             SESSION_ROW, 1, when_sync_seen);
}

void pg_wake_waiters(struct pg_op *op)
{
    look_at_sync(op);
}

/* ---- member slots ---- */

static void when_slots_done(struct pg_op *op, const struct session_answer *answer)
{
    if (answer->code == ERR_OK)
        for (size_t i = 0; i < op->slots.n_drop; i++)
            slots_forget(op->pg->slots, op->slots.drop[i]);
    probe_look(op->pg->probe);
    when_answered(op, answer);
}

static void add_create(struct text *sql, const char *slot)
{
    auto_free char *name = session_quote_literal(slot);
    text_addf(sql,
              "SELECT pg_create_physical_replication_slot(%s, true) WHERE NOT EXISTS"
              " (SELECT FROM pg_replication_slots WHERE slot_name = %s);",
              name, name);
}

static void add_drop(struct text *sql, const char *slot)
{
    auto_free char *name = session_quote_literal(slot);
    text_addf(sql,
              "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
              " WHERE slot_name = %s AND NOT active;",
              name);
}

static void when_remembered(void *arg, enum err_code code, const struct err *err)
{
    struct pg_op *op = arg;
    auto_text struct text sql = text_new(1 << 14);
    op->cleanup = NULL;
    if (code != ERR_OK) {
        op_fail_with(op, code, err);
        return;
    }
    text_add(&sql, "SELECT 1;");
    for (size_t i = 0; i < op->slots.n_create; i++)
        add_create(&sql, op->slots.create[i]);
    for (size_t i = 0; i < op->slots.n_drop; i++)
        add_drop(&sql, op->slots.drop[i]);
    op_query(op, text_str(&sql), SESSION_ANY, 0, when_slots_done);
}

static void forget_remembering(struct pg_op *op)
{
    slots_cancel(op->pg->slots);
}

/* A slot is noted as ours before it exists: one that we forgot would hold WAL for ever. */
void pg_slots(struct pg_op *op)
{
    op->cleanup = forget_remembering;
    slots_remember(op->pg->slots, &op->slots, when_remembered, op);
}
