#include "sidecar/core/await.h"

#include <string.h>

static enum await when(bool condition)
{
    return condition ? AWAIT_YES : AWAIT_NOT_YET;
}

/* L4: "a promotion happens only after … the guard has acknowledged a deadline for that lease". */
static enum await guard_deadline(const struct view *view)
{
    const struct guard_view *guard = &view->guard;
    if (!view->lease.owns_key)
        return AWAIT_FAILED;
    return when(view_holds_lease(view) && guard->connected && guard->has_deadline &&
                guard->lease_id == view->lease.id &&
                guard->create_revision == view->lease.create_revision &&
                mono_before(view->now, guard->deadline));
}

static enum await lifted(const struct view *view)
{
    const struct guard_view *guard = &view->guard;
    if (!view->lease.owns_key || !guard->tree_alive)
        return AWAIT_FAILED;
    return when(guard->lifted && guard->lease_id == view->lease.id &&
                guard->create_revision == view->lease.create_revision);
}

static enum await ssn_shown(const struct view *view, const struct step *step)
{
    return when(view->pg.ssn == step->ssn &&
                (step->ssn != SSN_NAMES || names_equal(&view->pg.ssn_names, &step->names)));
}

/* S2: "until exactly one walsender of that name, whose pid is the active_pid of that member's slot, is
 * sync and has flushed past a primary flush LSN read after commits were seen to wait". */
static enum await sync_reached(const struct view *view, const struct step *step,
                               const struct plan_memory *memory)
{
    if (memory->flush == LSN_NONE)
        return AWAIT_FAILED;
    for (size_t i = 0; i < step->names.n; i++) {
        const struct walsender *sender = view_walsender(view, step->names.name[i]);
        if (sender == NULL || !sender->only_one)
            return AWAIT_FAILED;
        if (!sender->streaming || !sender->holds_slot || !sender->sync ||
            sender->flush < memory->flush)
            return AWAIT_NOT_YET;
    }
    return ssn_shown(view, &(struct step){ .ssn = SSN_NAMES, .names = step->names });
}

static bool has_shutdown_record(const struct view *view, const char *name)
{
    const struct peer *peer = view_peer(view, name);
    return peer != NULL && peer->answered && peer->position > view->pg.position;
}

static enum await received(const struct view *view, const struct step *step)
{
    if (view->guard.tree_alive || view->pg.dir == DATA_DIR_UNKNOWN)
        return AWAIT_NOT_YET;
    if (!view->pg.clean_stop)
        return AWAIT_YES; /* there is no shutdown record to wait for */
    if (step->name[0] != '\0')
        return when(has_shutdown_record(view, step->name));
    for (size_t i = 0; i < step->names.n; i++)
        if (has_shutdown_record(view, step->names.name[i]))
            return AWAIT_YES;
    return when(step->names.n == 0);
}

/* Where it does not, somebody must take over: no time for its answer. */
static enum await leads_still(const struct view *view, const struct step *step)
{
    bool leads = view->store.leader_exists && strcmp(view->store.leader, step->name) == 0;
    return leads ? AWAIT_YES : AWAIT_FAILED;
}

static enum await primary_up(const struct view *view)
{
    if (!view->guard.tree_alive)
        return AWAIT_FAILED;
    return when(view->pg.state == PG_UP && !view->pg.in_recovery);
}

enum await step_await(const struct view *view, const struct step *step,
                      const struct plan_memory *memory)
{
    switch (step->kind) {
    case STEP_INITDB:
        return when(view->pg.dir == DATA_DIR_FRESH && view->pg.system_id != 0);
    case STEP_ADOPT_NEW:
    case STEP_BASE_BACKUP:
        return when(view->pg.dir == DATA_DIR_VALID);
    case STEP_READ_WAL:
        return when(view->pg.wal_read);
    case STEP_GUARD_DEADLINE:
        return guard_deadline(view);
    case STEP_GUARD_LIFT:
        return lifted(view);
    case STEP_STOP_FAST:
    case STEP_KILL_TREE:
        return when(!view->guard.tree_alive);
    case STEP_REACH_LEADER:
        return leads_still(view, step);
    case STEP_SLOTS:
        return when(!view->pg.slots_differ);
    case STEP_AWAIT_OUT:
        return when(!names_has(&view->store.sync.standbys, view->self));
    case STEP_AWAIT_PRIMARY:
        return primary_up(view);
    case STEP_AWAIT_SSN_SHOWN:
        return ssn_shown(view, step);
    case STEP_AWAIT_SYNC:
        return sync_reached(view, step, memory);
    case STEP_AWAIT_RECEIVED:
        return received(view, step);
    case STEP_CREATE_INITIALIZE:
    case STEP_WRITE_INITIALIZE:
    case STEP_WRITE_CONFIG:
    case STEP_TAKE_KEY:
    case STEP_ADOPT_KEY:
    case STEP_MARK_LIFTED:
    case STEP_CLEAR_LIFTED:
    case STEP_RELEASE_KEY:
    case STEP_REVOKE_LEASE:
    case STEP_WRITE_SYNC:
    case STEP_DELETE_SYNC:
    case STEP_DROP_CONFIRMED:
    case STEP_CLEAR_FAILOVER:
    case STEP_WRITE_DATA_ID:
    case STEP_ASK_OUT:
    case STEP_WRITE_HISTORY:
    case STEP_HANDED_OVER:
    case STEP_START_STANDBY:
    case STEP_START_PRIMARY:
    case STEP_CREATE_ROLES:
    case STEP_REMOVE_DATA:
    case STEP_REWIND:
    case STEP_FOLLOW:
    case STEP_END_BLOCKERS:
    case STEP_PROMOTE:
    case STEP_CHECKPOINT:
    case STEP_PROBE_FREE:
    case STEP_SET_SSN:
    case STEP_PROBE_WAITS:
    case STEP_READ_FLUSH:
    case STEP_WRITE_CONF:
    case STEP_RELOAD:
    case STEP_WAKE_WAITERS:
    case STEP_MAX:
        return AWAIT_YES;
    }
    return AWAIT_YES;
}
