#include "sidecar/core/plan.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "sidecar/core/sync.h"

#define STEP_NAME(name, text) [STEP_##name] = (text),
static const char *const step_names[] = { STEPS(STEP_NAME) };
_Static_assert(sizeof(step_names) / sizeof(step_names[0]) == STEP_MAX, "a name for each step");

const char *step_name(enum step_kind kind)
{
    return step_names[kind];
}

/* Deadlines of steps that talk to the store, the guard or a healthy local server. */
enum {
    QUICK_MS = 3000,
    ROLES_MS = 30000,
    STOP_MS = 20000, /* fast stop with a shutdown checkpoint; then the tree is killed */
    KILL_MS = 60000,
    RECEIVED_MS = 1000,
    OUT_MS = 2000,
    REACH_MS = 8000, /* a tool that connects, for 5 s at most: its own words say more */
    SYNC_MS = 3000,  /* commits wait while the set grows */
    PROBE_MS = 2000,
    CHECKPOINT_MS = 300000,
    INITDB_MS = 300000,
    READ_WAL_MS = 60000, /* as long as the recovery that follows would read it */
    UNBOUNDED = 0,       /* base backup, rewind: as long as the data takes */
};

static struct step *add(struct plan *plan, enum step_kind kind, int64_t deadline_ms)
{
    assert(plan->n < LIMIT_STEPS);
    struct step *step = &plan->steps[plan->n++];
    *step = (struct step){ .kind = kind, .deadline_ms = deadline_ms };
    return step;
}

static void add_optional(struct plan *plan, enum step_kind kind, int64_t deadline_ms)
{
    add(plan, kind, deadline_ms)->optional = true;
}

static void add_named(struct plan *plan, enum step_kind kind, int64_t deadline_ms, const char *name)
{
    (void)text_copy(add(plan, kind, deadline_ms)->name, LIMIT_NAME, name);
}

static void add_names(struct plan *plan, enum step_kind kind, int64_t deadline_ms,
                      const struct names *names)
{
    add(plan, kind, deadline_ms)->names = *names;
}

static void add_ssn(struct plan *plan, enum ssn_kind kind, const struct names *names)
{
    struct step *step = add(plan, STEP_SET_SSN, QUICK_MS);
    step->ssn = kind;
    if (kind == SSN_NAMES)
        step->names = *names;
}

static void add_stop(struct plan *plan, int64_t deadline_ms)
{
    add_optional(plan, STEP_STOP_FAST, deadline_ms);
    add(plan, STEP_KILL_TREE, KILL_MS);
}

/* "A restart in place as primary needs an SSN on disk that covers /sync" (S2): the start writes it. */
static void add_start_primary(struct plan *plan, const struct view *view,
                              const struct names *standbys)
{
    add_names(plan, STEP_START_PRIMARY, QUICK_MS, standbys);
    plan->steps[plan->n - 1].ssn = sync_ssn_for(view, standbys);
}

/* S4: "The last step before pg_promote is a transaction that writes /sync = {leader: self, no
 * standbys}." Not where the cluster is asynchronous. */
static void add_promotion(struct plan *plan, const struct view *view)
{
    const struct names nobody = { .n = 0 };
    add(plan, STEP_GUARD_DEADLINE, view->policy.ttl_ms); /* L4 */
    add_optional(plan, STEP_END_BLOCKERS, QUICK_MS);
    /* Only an accepted loss comes here without it; what is lost must not bar the next leader for ever. */
    if (!view_has_confirmed(view))
        add(plan, STEP_DROP_CONFIRMED, QUICK_MS);
    if (view->policy.sync_on || sync_in_force(&view->store.sync))
        add_names(plan, STEP_WRITE_SYNC, QUICK_MS, &nobody);
    add(plan, STEP_PROMOTE, QUICK_MS);
    add(plan, STEP_AWAIT_PRIMARY, view->policy.primary_start_timeout_ms);
    add_optional(plan, STEP_WRITE_HISTORY, QUICK_MS); /* the former primary waits to compare */
}

static void plan_take(struct plan *plan, const struct view *view)
{
    add(plan, STEP_TAKE_KEY, QUICK_MS);
    add_promotion(plan, view);
}

/* L6, L8: as take, but Postgres is a primary already. Under a lift the guard learns the new cookie and
 * stays without a deadline; else the next renewal that counts moves it. */
static void plan_retake(struct plan *plan, const struct view *view)
{
    add(plan, STEP_TAKE_KEY, QUICK_MS);
    if (view->guard.lifted)
        add(plan, STEP_GUARD_LIFT, QUICK_MS);
    else
        add(plan, STEP_GUARD_DEADLINE, view->policy.ttl_ms);
}

/* L8. The mark is written even where it stands already: a late end of a former lift would else take it
 * away. */
static void plan_lift(struct plan *plan)
{
    add(plan, STEP_MARK_LIFTED, QUICK_MS);
    add(plan, STEP_GUARD_LIFT, QUICK_MS);
}

/* L8: the deadline is back before anybody may count with it. */
static void plan_unlift(struct plan *plan, const struct view *view)
{
    if (view->guard.lifted)
        add(plan, STEP_GUARD_DEADLINE, view->policy.ttl_ms);
    add(plan, STEP_CLEAR_LIFTED, QUICK_MS);
}

static void plan_round_the_lease(struct plan *plan, const struct view *view)
{
    if (plan->action == ACT_RETAKE)
        plan_retake(plan, view);
    else if (plan->action == ACT_LIFT)
        plan_lift(plan);
    else
        plan_unlift(plan, view);
}

/* L2: read-only before the lease ends; what is left after half of the time is killed. Under a lift
 * (L8) there is no end, and no reason to wait longer than any stop does. */
static void plan_demote(struct plan *plan, const struct view *view)
{
    int64_t left_ms = lease_left_ms(&view->lease, view->now) -
                      lease_margin_ms(view->policy.ttl_ms, view->policy.cpu_limited);
    int64_t wait_ms = left_ms > 200 ? left_ms / 2 : 100;
    add_stop(plan, wait_ms < STOP_MS ? wait_ms : STOP_MS);
}

/* Initdb, then the first primary. WRITE_INITIALIZE stands before the rename: from then on this node's
 * initdb is the cluster's, also after a crash (rule_bootstrap finishes it). */
static void plan_bootstrap(struct plan *plan, const struct view *view)
{
    const struct names nobody = { .n = 0 };
    if (view->store.initialize == 0) {
        add(plan, STEP_CREATE_INITIALIZE, QUICK_MS);
        add(plan, STEP_INITDB, INITDB_MS);
        add(plan, STEP_WRITE_INITIALIZE, QUICK_MS);
    }
    add(plan, STEP_ADOPT_NEW, QUICK_MS);
    add(plan, STEP_TAKE_KEY, QUICK_MS);
    add(plan, STEP_GUARD_DEADLINE, view->policy.ttl_ms);
    if (view->policy.sync_on)
        add_names(plan, STEP_WRITE_SYNC, QUICK_MS, &nobody);
    add_start_primary(plan, view, &nobody);
    add(plan, STEP_AWAIT_PRIMARY, view->policy.primary_start_timeout_ms);
    add(plan, STEP_CREATE_ROLES, ROLES_MS);
    add(plan, STEP_WRITE_CONFIG, QUICK_MS);
}

static void plan_finish_bootstrap(struct plan *plan, const struct view *view)
{
    add(plan, STEP_CREATE_ROLES, ROLES_MS);
    if (view->store.initialize == 0)
        add(plan, STEP_WRITE_INITIALIZE, QUICK_MS);
    if (!view->store.config_exists)
        add(plan, STEP_WRITE_CONFIG, QUICK_MS);
}

/* /sync is written even where it stays as it is: a late write of a growth that was cut short would else
 * arrive after a start with names that do not cover it (S2). Where it names another leader this is S4's
 * transaction. */
static void plan_start_primary(struct plan *plan, const struct view *view)
{
    const struct sync_state *sync = &view->store.sync;
    struct names standbys = { .n = 0 };
    if (strcmp(sync->leader, view->self) == 0)
        standbys = sync->standbys;
    add(plan, STEP_GUARD_DEADLINE, view->policy.ttl_ms);
    if (view->policy.sync_on || sync_in_force(sync))
        add_names(plan, STEP_WRITE_SYNC, QUICK_MS, &standbys);
    add_start_primary(plan, view, &standbys);
}

/* G1: the guard's word about everything that was asked of it before, a start included. */
static void plan_release(struct plan *plan, const struct decision *decision)
{
    add(plan, STEP_KILL_TREE, KILL_MS);
    add_named(plan, STEP_RELEASE_KEY, QUICK_MS, decision->peer);
}

static void plan_abandon(struct plan *plan)
{
    add(plan, STEP_KILL_TREE, KILL_MS); /* as for a release */
    add(plan, STEP_REVOKE_LEASE, QUICK_MS);
}

static void plan_handover(struct plan *plan, const struct view *view,
                          const struct decision *decision)
{
    if (view->pg.state == PG_UP)
        add_optional(plan, STEP_CHECKPOINT, CHECKPOINT_MS);
    add_stop(plan, STOP_MS);
    if (decision->peer[0] != '\0' || view_ready_successor(view) != NULL) {
        struct step *received = add(plan, STEP_AWAIT_RECEIVED, RECEIVED_MS);
        received->optional = true;
        received->names = view->store.sync.standbys;
        (void)text_copy(received->name, LIMIT_NAME, decision->peer);
    }
    add_named(plan, STEP_RELEASE_KEY, QUICK_MS, decision->peer);
}

/* S5: "A sync standby that stops in order first asks to leave /sync and stops when the primary has
 * shrunk, or after 2 s". */
static void add_leave_sync(struct plan *plan, const struct view *view, bool must)
{
    if (!names_has(&view->store.sync.standbys, view->self))
        return;
    add(plan, STEP_ASK_OUT, QUICK_MS)->optional = !must;
    add(plan, STEP_AWAIT_OUT, must ? view->policy.ttl_ms : OUT_MS)->optional = !must;
}

static void plan_leave(struct plan *plan, const struct view *view)
{
    add_leave_sync(plan, view, false);
    add_stop(plan, STOP_MS);
}

static void add_clone(struct plan *plan, const struct view *view, const struct decision *decision)
{
    add_named(plan, STEP_BASE_BACKUP, UNBOUNDED, view_clone_source(view));
    add_named(plan, STEP_START_STANDBY, QUICK_MS, decision->peer);
}

/* S2: "A member clones only while /sync does not name it, and writes a new data id first". */
static void plan_clone(struct plan *plan, const struct view *view, const struct decision *decision)
{
    add(plan, STEP_WRITE_DATA_ID, QUICK_MS);
    add_clone(plan, view, decision);
}

static void plan_reclone(struct plan *plan, const struct view *view,
                         const struct decision *decision)
{
    add_leave_sync(plan, view, true);
    add_named(plan, STEP_REACH_LEADER, REACH_MS, decision->peer);
    if (view->guard.tree_alive)
        add_stop(plan, STOP_MS);
    add(plan, STEP_WRITE_DATA_ID, QUICK_MS);
    add(plan, STEP_REMOVE_DATA, UNBOUNDED);
    add_clone(plan, view, decision);
}

static void plan_rewind(struct plan *plan, const struct view *view, const struct decision *decision)
{
    add_named(plan, STEP_REACH_LEADER, REACH_MS, decision->peer);
    if (view->guard.tree_alive)
        add_stop(plan, STOP_MS);
    add(plan, STEP_WRITE_DATA_ID, QUICK_MS);
    add_named(plan, STEP_REWIND, UNBOUNDED, decision->peer);
    add_named(plan, STEP_START_STANDBY, QUICK_MS, decision->peer);
}

static void plan_restart(struct plan *plan, const struct view *view,
                         const struct decision *decision)
{
    if (view_is_primary(view)) {
        add_optional(plan, STEP_CHECKPOINT, CHECKPOINT_MS);
        add_stop(plan, STOP_MS);
        plan_start_primary(plan, view);
        return;
    }
    add_leave_sync(plan, view, false);
    add_stop(plan, STOP_MS);
    add_named(plan, STEP_START_STANDBY, QUICK_MS, decision->peer);
}

/* Backends wait until a standby answers. Where all of them wait nothing new is sent that it could answer
 * to, until the next keepalive seconds later. */
static void add_wake(struct plan *plan, const struct names *names)
{
    add_names(plan, STEP_WAKE_WAITERS, PROBE_MS, names);
    plan->steps[plan->n - 1].optional = true;
}

/* S2: "shrink /sync first, then SSN"; "SSN is emptied only after a /sync write of this very shrink has
 * succeeded". */
static void plan_sync_shrink(struct plan *plan, const struct view *view,
                             const struct decision *decision)
{
    add_names(plan, STEP_WRITE_SYNC, QUICK_MS, &decision->names);
    add_ssn(plan, sync_ssn_for(view, &decision->names), &decision->names);
    add(plan, STEP_AWAIT_SSN_SHOWN, QUICK_MS)->ssn = sync_ssn_for(view, &decision->names);
    plan->steps[plan->n - 1].names = decision->names;
    if (decision->names.n > 0)
        add_wake(plan, &decision->names);
}

/* S2: "Every growth goes by way of the name that nobody has: see a probe commit not wait (from empty),
 * set that name, see it wait and every walsender at sync_priority 0, read the LSN, set the real names",
 * wait for each to be sync beyond that LSN, and only then grow /sync. */
static void plan_sync_grow(struct plan *plan, const struct view *view,
                           const struct decision *decision)
{
    const struct names nobody = { .n = 0 };
    if (view->pg.ssn == SSN_EMPTY)
        add(plan, STEP_PROBE_FREE, PROBE_MS);
    add_ssn(plan, SSN_NOBODY, &nobody);
    add(plan, STEP_PROBE_WAITS, PROBE_MS);
    add(plan, STEP_READ_FLUSH, QUICK_MS);
    add_ssn(plan, SSN_NAMES, &decision->names);
    add_names(plan, STEP_AWAIT_SYNC, SYNC_MS, &decision->names);
    add_wake(plan, &decision->names);
    add_names(plan, STEP_WRITE_SYNC, QUICK_MS, &decision->names);
}

static void plan_sync_off(struct plan *plan, const struct view *view)
{
    const struct names nobody = { .n = 0 };
    if (view->store.sync.exists)
        add(plan, STEP_DELETE_SYNC, QUICK_MS);
    add_ssn(plan, SSN_EMPTY, &nobody);
}

static void plan_sync(struct plan *plan, const struct view *view, const struct decision *decision)
{
    if (decision->action == ACT_SYNC_SHRINK)
        plan_sync_shrink(plan, view, decision);
    else if (decision->action == ACT_SYNC_GROW)
        plan_sync_grow(plan, view, decision);
    else
        plan_sync_off(plan, view);
}

static void plan_reload(struct plan *plan)
{
    add(plan, STEP_WRITE_CONF, QUICK_MS);
    add(plan, STEP_RELOAD, QUICK_MS);
}

static void plan_settle(struct plan *plan, const struct view *view)
{
    if (view->pg.slots_differ)
        add(plan, STEP_SLOTS, QUICK_MS);
    if (view->pg.checkpointed)
        return;
    add_optional(plan, STEP_WRITE_HISTORY, QUICK_MS);
    add(plan, STEP_CHECKPOINT, CHECKPOINT_MS);
}

static void plan_one_step(struct plan *plan, const struct decision *decision)
{
    static const enum step_kind steps[ACT_MAX] = {
        [ACT_FENCE] = STEP_KILL_TREE,
        [ACT_ADOPT] = STEP_ADOPT_KEY,
        [ACT_START_STANDBY] = STEP_START_STANDBY,
        [ACT_STOPPED] = STEP_HANDED_OVER,
        [ACT_FOLLOW] = STEP_FOLLOW,
        [ACT_CLEAR_FAILOVER] = STEP_CLEAR_FAILOVER,
    };
    int64_t deadline_ms = decision->action == ACT_FENCE ? KILL_MS : QUICK_MS;
    add_named(plan, steps[decision->action], deadline_ms, decision->peer);
}

struct plan plan_make(const struct view *view, const struct decision *decision)
{
    struct plan plan = { .action = decision->action };
    switch (decision->action) {
    case ACT_WAIT:
    case ACT_MAX:
        break;
    case ACT_FENCE:
    case ACT_ADOPT:
    case ACT_START_STANDBY:
    case ACT_STOPPED:
    case ACT_FOLLOW:
    case ACT_CLEAR_FAILOVER:
        plan_one_step(&plan, decision);
        break;
    case ACT_DEMOTE:
        plan_demote(&plan, view);
        break;
    case ACT_ABANDON:
        plan_abandon(&plan);
        break;
    case ACT_BOOTSTRAP:
        plan_bootstrap(&plan, view);
        break;
    case ACT_FINISH_BOOTSTRAP:
        plan_finish_bootstrap(&plan, view);
        break;
    case ACT_CLONE:
        plan_clone(&plan, view, decision);
        break;
    case ACT_READ_WAL:
        add(&plan, STEP_READ_WAL, READ_WAL_MS);
        break;
    case ACT_START_PRIMARY:
        plan_start_primary(&plan, view);
        break;
    case ACT_RELEASE:
        plan_release(&plan, decision);
        break;
    case ACT_TAKE:
        plan_take(&plan, view);
        break;
    case ACT_RETAKE:
    case ACT_LIFT:
    case ACT_UNLIFT:
        plan_round_the_lease(&plan, view);
        break;
    case ACT_PROMOTE:
        add_promotion(&plan, view);
        break;
    case ACT_HANDOVER:
        plan_handover(&plan, view, decision);
        break;
    case ACT_LEAVE:
        plan_leave(&plan, view);
        break;
    case ACT_REWIND:
        plan_rewind(&plan, view, decision);
        break;
    case ACT_RECLONE:
        plan_reclone(&plan, view, decision);
        break;
    case ACT_SYNC_SHRINK:
    case ACT_SYNC_GROW:
    case ACT_SYNC_OFF:
        plan_sync(&plan, view, decision);
        break;
    case ACT_RESTART:
        plan_restart(&plan, view, decision);
        break;
    case ACT_RELOAD:
        plan_reload(&plan);
        break;
    case ACT_SETTLE:
        plan_settle(&plan, view);
        break;
    }
    return plan;
}
