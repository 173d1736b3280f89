/* The operation half of the steps that concern Postgres and the guard: what each does to the models,
 * after the time that it takes. A reply may be lost although it was done. */
#include <string.h>

#include "tests/sim/sim.h"

enum outcome { DONE, AGAIN, REFUSED, AWAY };

typedef enum outcome step_fn(struct sim *sim, int node, const struct step *step);

/* ---- frames to the guard ------------------------------------------------------------------ */

/* G3: nothing is done to files that another guard's Postgres runs on: the lock is not ours. */
static bool may_change(const struct sim *sim, int i)
{
    if (sim->guard[i].blind)
        return sim->mutation == MUT_NO_LOCK;
    return !pg_tree_alive(&sim->pg[i]);
}

/* What the sidecar does before it sends the frame. */
static enum outcome write_standby(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    if (!may_change(sim, i) || pg->torn || pg->dir != DATA_DIR_VALID)
        return REFUSED;
    pg->ssn_disk = (struct ssn){ .kind = SSN_EMPTY };
    pg->upstream = node_index(step->name);
    return DONE;
}

static enum outcome write_primary(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    if (!may_change(sim, i) || pg->torn || pg->dir != DATA_DIR_VALID ||
        !sim->node[i].lease.owns_key)
        return REFUSED;
    pg->ssn_disk = (struct ssn){ .kind = step->ssn, .names = set_of(&step->names) };
    if (sim->mutation == MUT_SSN_NOT_COVERING)
        pg->ssn_disk = (struct ssn){ .kind = SSN_EMPTY };
    return DONE;
}

static enum outcome guard_start(struct sim *sim, int i, bool primary, struct guard_cookie cookie)
{
    /* G3: the lock is the former guard's, and its child's. */
    if (sim->guard[i].blind && sim->mutation == MUT_NO_LOCK)
        check_broken(sim, "G3", "two Postgres run on the data of %s", node_name(i));
    if (sim->pg[i].dir != DATA_DIR_VALID || pg_tree_alive(&sim->pg[i]))
        return REFUSED;
    enum deadline_verdict verdict =
        deadline_start(&sim->guard[i].deadline, node_clock(sim, i), primary,
                       primary ? cookie : (struct guard_cookie){ 0 });
    if (verdict != DEADLINE_OK) {
        say_line(sim, i, "guard: refuses to start: %s", deadline_verdict_text(verdict));
        return REFUSED;
    }
    pg_start(sim, i, primary);
    return DONE;
}

static enum outcome guard_does(struct sim *sim, int i, enum step_kind kind,
                               struct guard_cookie cookie)
{
    if (kind == STEP_START_STANDBY || kind == STEP_START_PRIMARY)
        return guard_start(sim, i, kind == STEP_START_PRIMARY, cookie);
    sim->counters.lifts += kind == STEP_GUARD_LIFT;
    if (kind == STEP_GUARD_LIFT)
        return deadline_lift(&sim->guard[i].deadline, node_clock(sim, i), cookie) == DEADLINE_OK
                   ? DONE
                   : REFUSED;
    bool child = !sim->guard[i].blind;
    if (kind == STEP_STOP_FAST && child)
        pg_stop_fast(sim, i);
    else if (kind == STEP_KILL_TREE && child)
        pg_kill_tree(sim, i);
    else if (kind == STEP_HANDED_OVER)
        sim->guard[i].stop.handed_over = sim->guard[i].etcd_stop.handed_over = true;
    return DONE;
}

static void on_guard_reply(struct sim *sim, const struct event *event)
{
    guard_heard(sim, event->host);
    runner_op_done(sim, event->host, (uint32_t)event->arg[0],
                   event->arg[1] == DONE ? ERR_OK : ERR_REFUSED);
}

/* The guard reads a frame: whatever became of the plan that sent it. */
static void on_frame(struct sim *sim, const struct event *event)
{
    int i = event->host;
    struct guard_cookie cookie = { event->arg[1], event->arg[2] };
    enum step_kind kind = (enum step_kind)(event->arg[3] & 0xff);
    if (!sim->guard[i].alive || sim->guard[i].conn != (uint32_t)(event->arg[3] >> 8))
        return;
    enum outcome outcome = guard_does(sim, i, kind, cookie);
    guard_tell(sim, i);
    struct event reply = {
        .fn = on_guard_reply, .host = i, .proc = PROC_SIDECAR, .arg = { event->arg[0], outcome }
    };
    sim_at(sim, rng_range(&sim->rng, 50, 400), &reply);
}

/* A guard that is not there does nothing; the sidecar itself kills then. */
static void send_frame(struct sim *sim, int i, enum step_kind kind, uint32_t op)
{
    const struct lease *lease = &sim->node[i].lease;
    if (!sim->guard[i].alive && kind == STEP_KILL_TREE) {
        pg_kill_tree(sim, i);
        runner_op_done(sim, i, op, ERR_OK);
        return;
    }
    struct event frame = { .fn = on_frame,
                           .host = i,
                           .proc = PROC_GUARD,
                           .arg = { op, lease->id, lease->create_revision,
                                    (int64_t)sim->guard[i].conn << 8 | kind } };
    sim_at(sim, rng_range(&sim->rng, 50, 400), &frame);
}

/* ---- data ------------------------------------------------------------------------------ */

static enum outcome initdb(struct sim *sim, int i, const struct step *step)
{
    (void)step;
    if (sim->pg[i].fresh)
        return DONE; /* made before: the same again would only give another system id */
    sim->pg[i].fresh = true;
    sim->pg[i].dir = DATA_DIR_FRESH;
    sim->pg[i].system_id = rng_next(&sim->rng) | 1;
    return DONE;
}

static void whole(struct pg *pg, int branch, lsn_t flush)
{
    pg->dir = DATA_DIR_VALID;
    pg->fresh = false;
    pg->branch = branch;
    pg->flush = pg->control = flush;
    pg->min_recovery = flush;
    pg->torn = false;
    pg->lost = false;
    pg->start_failures = 0;
    pg->refused_us = 0;
    pg->ssn_disk = (struct ssn){ .kind = SSN_EMPTY };
}

static enum outcome adopt_new(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    (void)step;
    if (pg->dir == DATA_DIR_VALID)
        return DONE;
    if (!pg->fresh)
        return REFUSED;
    whole(pg, branch_new(sim, -1, LSN_NONE, pg->system_id), 1000);
    pg->was_primary = true;
    pg->clean_stop = true;
    return DONE;
}

/* The server at the other end answers. */
static struct pg *server(struct sim *sim, int i, const char *name)
{
    int from = node_index(name);
    if (from == NODE_NONE || from == i || !repl_up(sim, i, from) || !repl_up(sim, from, i) ||
        !sim_lives(sim, from, PROC_POSTGRES))
        return NULL;
    struct pg *pg = &sim->pg[from];
    return pg->state == PG_UP && pg->postmaster ? pg : NULL;
}

/* It does so as a primary. */
static struct pg *source(struct sim *sim, int i, const char *name)
{
    struct pg *pg = server(sim, i, name);
    return pg != NULL && !pg->in_recovery ? pg : NULL;
}

static enum outcome reach_leader(struct sim *sim, int i, const struct step *step)
{
    return source(sim, i, step->name) != NULL ? DONE : AWAY;
}

static enum outcome base_backup(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    const struct pg *from = server(sim, i, step->name); /* a standby serves as well */
    if (from == NULL || !may_change(sim, i))
        return REFUSED;
    check_replaced(sim, i);
    whole(pg, from->branch, from->flush);
    pg->system_id = from->system_id;
    pg->was_primary = false;
    pg->clean_stop = false;
    check_sync(sim);
    return DONE;
}

static enum outcome remove_data(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    (void)step;
    if (!may_change(sim, i))
        return REFUSED;
    check_replaced(sim, i);
    check_leader_lived(sim, i);
    pg->dir = DATA_DIR_EMPTY;
    pg->branch = -1;
    pg->flush = pg->control = LSN_NONE;
    pg->torn = false;
    check_sync(sim);
    return DONE;
}

static enum outcome rewind_to(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    const struct pg *from = source(sim, i, step->name);
    if (from == NULL)
        return AWAY;
    if (!may_change(sim, i) || rng_chance(&sim->rng, 20))
        return REFUSED;
    bool needed = !wal_contains(sim, from->branch, from->flush, pg->branch, pg->flush);
    pg->torn = false;
    if (!needed)
        return DONE;
    lsn_t common = wal_common(sim, pg->branch, pg->flush, from->branch, from->flush);
    say_line(sim, i, "pg_rewind: from %llu back to %llu", (unsigned long long)pg->flush,
             (unsigned long long)common);
    pg->branch = from->branch;
    pg->flush = pg->control = common;
    pg->min_recovery = from->flush;
    pg->was_primary = false;
    pg->clean_stop = true;
    pg->refused_us = 0;
    check_sync(sim);
    return DONE;
}

static enum outcome read_wal(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    struct node *node = &sim->node[i];
    (void)step;
    if (pg_tree_alive(pg))
        return REFUSED;
    lsn_t confirmed = node->view.store.confirmed_lsn;
    node->wal_read = true;
    node->wal_read_of_us = pg->since_us;
    node->wal_whole = pg->flush >= confirmed ? confirmed : LSN_NONE;
    return DONE;
}

/* ---- a running server ------------------------------------------------------------------ */

static enum outcome follow(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    pg->upstream = node_index(step->name);
    pg->refused_us = 0;
    return pg->state == PG_UP || pg->state == PG_STARTING ? DONE : REFUSED;
}

static enum outcome end_blockers(struct sim *sim, int i, const struct step *step)
{
    (void)step;
    sim->pg[i].blockers_ended = true;
    return DONE;
}

static enum outcome promote(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    (void)step;
    if (!pg->in_recovery && pg->state == PG_UP)
        return DONE;
    if (pg->state != PG_UP || !pg->postmaster)
        return REFUSED;
    pg_promote(sim, i);
    return DONE;
}

static enum outcome checkpoint(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    (void)step;
    if (pg->state != PG_UP || !pg->postmaster)
        return REFUSED;
    pg->control = pg->flush;
    pg->checkpointed = true;
    return DONE;
}

static enum outcome needs_primary(struct sim *sim, int i, const struct step *step)
{
    (void)step;
    return pg_writable(&sim->pg[i]) && sim->pg[i].postmaster ? DONE : REFUSED;
}

static enum outcome probe_free(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    (void)step;
    if (!pg_writable(pg) || !pg->postmaster)
        return REFUSED;
    (void)pg_commit(sim, i);
    return pg->flag ? AGAIN : DONE;
}

static enum outcome set_ssn(struct sim *sim, int i, const struct step *step)
{
    if (!pg_writable(&sim->pg[i]) || !sim->pg[i].postmaster)
        return REFUSED;
    pg_set_ssn(sim, i, (struct ssn){ .kind = step->ssn, .names = set_of(&step->names) });
    return DONE;
}

/* S2: it waits, and every walsender is at sync_priority 0. */
static enum outcome probe_waits(struct sim *sim, int i, const struct step *step)
{
    struct pg *pg = &sim->pg[i];
    (void)step;
    if (!pg_writable(pg) || !pg->postmaster)
        return REFUSED;
    for (int s = 0; s < sim->n; s++)
        if (repl_priority(&pg->sender[s], s) != 0)
            return AGAIN;
    if (pg->n_waiters > 0)
        return DONE;
    (void)pg_commit(sim, i);
    return AGAIN;
}

/* A record, so that the standbys answer: where everybody waits nothing else is written. */
static enum outcome wake_waiters(struct sim *sim, int i, const struct step *step)
{
    enum outcome outcome = needs_primary(sim, i, step);
    if (outcome == DONE && sim->pg[i].n_waiters > 0)
        (void)pg_commit(sim, i);
    return outcome;
}

static enum outcome read_flush(struct sim *sim, int i, const struct step *step)
{
    enum outcome outcome = needs_primary(sim, i, step);
    if (outcome == DONE)
        sim->node[i].runner.memory.flush = sim->pg[i].flush;
    return outcome;
}

static enum outcome reload(struct sim *sim, int i, const struct step *step)
{
    (void)step;
    sim->node[i].pending_reload = false;
    if (sim->pg[i].state == PG_UP)
        pg_reload(sim, i);
    return DONE;
}

static enum outcome slots(struct sim *sim, int i, const struct step *step)
{
    sim->node[i].slots_known = sim->n;
    return needs_primary(sim, i, step);
}

static enum outcome nothing(struct sim *sim, int i, const struct step *step)
{
    (void)sim;
    (void)i;
    (void)step;
    return DONE;
}

/* ---- which, and how long ---------------------------------------------------------------- */

static const struct {
    step_fn *fn;
    int low_ms, high_ms;
} table[STEP_MAX] = {
    [STEP_STOP_FAST] = { nothing, 0, 1 },
    [STEP_KILL_TREE] = { nothing, 0, 1 },
    [STEP_HANDED_OVER] = { nothing, 0, 1 },
    [STEP_GUARD_LIFT] = { nothing, 0, 1 },
    [STEP_START_STANDBY] = { write_standby, 3, 60 },
    [STEP_START_PRIMARY] = { write_primary, 3, 60 },
    [STEP_INITDB] = { initdb, 800, 3000 },
    [STEP_ADOPT_NEW] = { adopt_new, 1, 10 },
    [STEP_CREATE_ROLES] = { needs_primary, 5, 50 },
    [STEP_REACH_LEADER] = { reach_leader, 20, 200 },
    [STEP_BASE_BACKUP] = { base_backup, 800, 9000 },
    [STEP_REMOVE_DATA] = { remove_data, 10, 500 },
    [STEP_REWIND] = { rewind_to, 200, 4000 },
    [STEP_READ_WAL] = { read_wal, 20, 2000 },
    [STEP_FOLLOW] = { follow, 2, 20 },
    [STEP_END_BLOCKERS] = { end_blockers, 1, 10 },
    [STEP_PROMOTE] = { promote, 1, 5 },
    [STEP_CHECKPOINT] = { checkpoint, 5, 2500 },
    [STEP_WAKE_WAITERS] = { wake_waiters, 2, 20 },
    [STEP_PROBE_FREE] = { probe_free, 1, 5 },
    [STEP_SET_SSN] = { set_ssn, 1, 10 },
    [STEP_PROBE_WAITS] = { probe_waits, 3, 15 },
    [STEP_READ_FLUSH] = { read_flush, 1, 3 },
    [STEP_WRITE_CONF] = { nothing, 2, 10 },
    [STEP_RELOAD] = { reload, 1, 5 },
    [STEP_SLOTS] = { slots, 2, 20 },
    [STEP_WRITE_HISTORY] = { nothing, 2, 20 },
};

static bool by_guard(enum step_kind kind)
{
    return kind == STEP_STOP_FAST || kind == STEP_KILL_TREE || kind == STEP_HANDED_OVER ||
           kind == STEP_GUARD_LIFT || kind == STEP_START_STANDBY || kind == STEP_START_PRIMARY;
}

static bool by_tool(enum step_kind kind)
{
    return kind == STEP_BASE_BACKUP || kind == STEP_REWIND || kind == STEP_INITDB ||
           kind == STEP_READ_WAL || kind == STEP_REACH_LEADER;
}

static void on_op(struct sim *sim, const struct event *event)
{
    int i = event->host;
    struct runner *runner = &sim->node[i].runner;
    if (!runner->running || runner->op != (uint32_t)event->arg[0])
        return;
    const struct step *step = &runner->plan.steps[runner->at];
    /* The guard runs the tools, in the order in which it was asked. */
    bool waits = by_tool(step->kind) && sim->host[i].frozen[PROC_GUARD];
    enum outcome outcome = waits ? AGAIN : table[step->kind].fn(sim, i, step);
    if (outcome == AGAIN) {
        sim_at(sim, MS(10), event);
        return;
    }
    if (outcome == DONE && by_guard(step->kind)) {
        send_frame(sim, i, step->kind, runner->op);
        return;
    }
    if (outcome == DONE && rng_chance(&sim->rng, 3))
        outcome = REFUSED; /* done, but the answer is lost */
    enum err_code failure = outcome == AWAY ? ERR_UNREACHABLE : ERR_TIMEOUT;
    runner_op_done(sim, i, runner->op, outcome == DONE ? ERR_OK : failure);
}

static void on_torn(struct sim *sim, const struct event *event)
{
    const struct runner *runner = &sim->node[event->host].runner;
    if (runner->running && runner->op == (uint32_t)event->arg[0] &&
        !pg_tree_alive(&sim->pg[event->host]) &&
        source(sim, event->host, runner->plan.steps[runner->at].name) != NULL)
        sim->pg[event->host].torn = true;
}

bool step_postgres(struct sim *sim, int i, const struct step *step)
{
    struct node *node = &sim->node[i];
    if (step->kind == STEP_GUARD_DEADLINE) {
        if (node->lease.owns_key && !node->lease.held_once)
            renew_begin(sim, i);
        renew_offer(sim, i);
        return false;
    }
    if (table[step->kind].fn == NULL)
        return false;
    int64_t takes =
        rng_tail(&sim->rng, MS(table[step->kind].low_ms), MS(table[step->kind].high_ms));
    if (rng_chance(&sim->rng, 10))
        takes += rng_tail(&sim->rng, 0, SECONDS(4)); /* a slow step */
    struct event event = {
        .fn = on_op, .host = i, .proc = PROC_SIDECAR, .arg = { node->runner.op }
    };
    sim_at(sim, takes, &event);
    if (step->kind == STEP_BASE_BACKUP || step->kind == STEP_INITDB)
        node->tool = node->runner.op;
    if (step->kind == STEP_REWIND) {
        event.fn = on_torn;
        sim_at(sim, takes / 3, &event);
    }
    return true;
}
