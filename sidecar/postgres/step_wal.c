/* Reading local WAL while Postgres is down (S7). pg_control tells the latest checkpoint only; what a crash
 * left behind it is known once it was read. pg_waldump walks from record to record as recovery does and
 * fails where the chain ends before the position that it was given. */
#include "base/log.h"
#include "sidecar/postgres/op.h"
#include "sidecar/postgres/options.h"

static void note(struct pg_op *op, lsn_t whole_to)
{
    op->pg->wal_read = true;
    op->pg->wal_whole = whole_to;
    postgres_changed(op->pg);
}

/* What could not be read in time proves nothing, and is not read again. */
static void give_up(struct pg_op *op)
{
    if (op_is_late(op))
        note(op, LSN_NONE);
}

static void after_reading(struct pg_op *op, const struct tool_result *result)
{
    char position[LSN_TEXT_MAX];
    struct err err = { .code = ERR_OK };
    enum err_code code = tool_verdict(result, "pg_waldump", &err);
    if (result->code != ERR_OK) { /* the guard went away, or a stop came between */
        op_fail_with(op, code, &err);
        return;
    }
    if (code == ERR_OK)
        log_info(
            "WAL: read from the latest checkpoint to %s, which the cluster has confirmed: whole",
            lsn_format(op->confirmed, position));
    else
        log_warn("WAL: nothing proves that it reaches %s, which the cluster has confirmed: %s",
                 lsn_format(op->confirmed, position), err.text);
    note(op, code == ERR_OK ? op->confirmed : LSN_NONE);
    op_done(op);
}

static void read_to(struct pg_op *op, const struct controldata *control, lsn_t end)
{
    struct arguments arguments = { .n = 0 };
    char position[LSN_TEXT_MAX];
    arguments_add(&arguments, "--quiet");
    arguments_add(&arguments, "--path=%s/pg_wal", op->pg->place.data);
    arguments_add(&arguments, "--timeline=%u", control->checkpoint_tli);
    arguments_add(&arguments, "--start=%s", lsn_format(control->redo, position));
    arguments_add(&arguments, "--end=%s", lsn_format(end, position));
    op_tool(op, "pg_waldump", (const char *const *)arguments.item, NULL, NULL, after_reading);
    arguments_done(&arguments);
}

void pg_read_wal(struct pg_op *op)
{
    const struct look *look = &op->pg->look;
    const struct controldata *control = &look->found.control;
    op->cleanup = give_up;
    if (op_guard(op)->child != GUARD_CHILD_NONE || !look->found.control_known) {
        op_fail(op, ERR_CONFLICT, "Postgres runs, or its data directory is not looked at yet");
        return;
    }
    /* A checkpoint of the timeline before: files of two timelines would have to be read. */
    if (control->checkpoint_tli != controldata_timeline(control) || op->confirmed < control->redo) {
        note(op, LSN_NONE);
        op_done(op);
        return;
    }
    read_to(op, control, op->confirmed);
}
