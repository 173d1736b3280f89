/* Postgres: WAL, commits, starts, promotions. */
#include "tests/sim/pg.h"

#include <string.h>

#include "tests/sim/pg_internal.h"

void pg_init(struct sim *sim)
{
    sim->n_branches = 0;
    for (int i = 0; i < DATA_MAX; i++) {
        struct pg *pg = &sim->pg[i];
        pg->dir = DATA_DIR_EMPTY;
        pg->branch = -1;
        pg->upstream = NODE_NONE;
        pg->ssn_disk.kind = SSN_EMPTY;
        pg->ssn.kind = SSN_EMPTY;
    }
}

bool pg_tree_alive(const struct pg *pg)
{
    return pg->state != PG_DOWN;
}

bool pg_writable(const struct pg *pg)
{
    return pg->state != PG_DOWN && pg->backends && !pg->in_recovery;
}

void pg_event(struct sim *sim, int node, int64_t delay_us, event_fn *fn, int64_t arg)
{
    struct event event = { .fn = fn, .host = node, .proc = PROC_POSTGRES, .arg = { arg } };
    sim_at(sim, delay_us, &event);
}

void pg_move(struct sim *sim, int node, enum pg_state state)
{
    struct pg *pg = &sim->pg[node];
    if (pg->state != state)
        pg->since_us = sim->now_us;
    pg->state = state;
    node_wake(sim, node);
}

/* ---- WAL ------------------------------------------------------------------------------ */

int branch_new(struct sim *sim, int parent, lsn_t fork, uint64_t system_id)
{
    int id = sim->n_branches;
    if (id == BRANCHES_MAX) {
        check_broken(sim, "model", "more than %d timelines", BRANCHES_MAX);
        return id - 1;
    }
    sim->n_branches++;
    struct branch *branch = &sim->branch[id];
    branch->parent = parent;
    branch->fork = fork;
    branch->acked = LSN_NONE;
    branch->system_id = system_id;
    branch->timeline.tli = 1;
    branch->timeline.n = 0;
    if (parent < 0)
        return id;
    const struct timeline *from = &sim->branch[parent].timeline;
    memcpy(branch->timeline.entries, from->entries, from->n * sizeof(from->entries[0]));
    branch->timeline.entries[from->n] = (struct timeline_entry){ from->tli, fork };
    branch->timeline.n = from->n + 1;
    branch->timeline.tli = from->tli + 1;
    return id;
}

bool wal_contains(const struct sim *sim, int of, lsn_t end, int branch, lsn_t lsn)
{
    lsn_t limit = end;
    int at = of;
    while (at >= 0 && at != branch) {
        if (sim->branch[at].fork < limit)
            limit = sim->branch[at].fork;
        at = sim->branch[at].parent;
    }
    return at >= 0 && lsn <= limit;
}

lsn_t wal_common(const struct sim *sim, int a, lsn_t a_end, int b, lsn_t b_end)
{
    lsn_t limit_a = a_end;
    for (int at = a; at >= 0; at = sim->branch[at].parent) {
        lsn_t limit_b = b_end;
        for (int other = b; other >= 0; other = sim->branch[other].parent) {
            if (other == at)
                return limit_a < limit_b ? limit_a : limit_b;
            if (sim->branch[other].fork < limit_b)
                limit_b = sim->branch[other].fork;
        }
        if (sim->branch[at].fork < limit_a)
            limit_a = sim->branch[at].fork;
    }
    return LSN_NONE;
}

/* ---- commits -------------------------------------------------------------------------- */

static void acknowledge(struct sim *sim, int node, lsn_t lsn)
{
    struct branch *branch = &sim->branch[sim->pg[node].branch];
    if (check_acked(sim, node, lsn) && lsn > branch->acked)
        branch->acked = lsn;
    sim->counters.acked++;
}

void pg_release_waiters(struct sim *sim, int node, lsn_t up_to)
{
    struct pg *pg = &sim->pg[node];
    int kept = 0;
    if (up_to > pg->released)
        pg->released = up_to;
    for (int i = 0; i < pg->n_waiters; i++) {
        if (pg->waiter[i] <= up_to)
            acknowledge(sim, node, pg->waiter[i]);
        else
            pg->waiter[kept++] = pg->waiter[i];
    }
    if (kept != pg->n_waiters)
        pg->moved_us = sim->now_us;
    pg->n_waiters = kept;
    if (kept == 0)
        pg->probe_waits = false;
}

/* What a backend does after its commit record is flushed (SyncRepWaitForLSN). */
static void on_committed(struct sim *sim, const struct event *event)
{
    struct pg *pg = &sim->pg[event->host];
    lsn_t lsn = (lsn_t)event->arg[0];
    if (!pg_writable(pg))
        return;
    if (!pg->flag || lsn <= pg->released) {
        acknowledge(sim, event->host, lsn);
        return;
    }
    if (pg->n_waiters < WAITERS_MAX)
        pg->waiter[pg->n_waiters++] = lsn;
}

lsn_t pg_commit(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    pg->flush += RECORD;
    for (int i = 0; i < sim->n; i++)
        if (pg->sender[i].connected)
            repl_send(sim, node, i);
    pg_event(sim, node, rng_range(&sim->rng, 50, 400), on_committed, (int64_t)pg->flush);
    return pg->flush;
}

static void on_write(struct sim *sim, const struct event *event)
{
    struct pg *pg = &sim->pg[event->host];
    if (!pg_writable(pg))
        return;
    if (pg->n_waiters < WAITERS_MAX - 2)
        (void)pg_commit(sim, event->host);
    /* Busier where it matters. */
    bool busy = !pg->postmaster || sim->node[event->host].runner.running;
    int64_t pause =
        busy ? rng_range(&sim->rng, MS(3), MS(25)) : rng_range(&sim->rng, MS(40), MS(700));
    pg_event(sim, event->host, pause + pg->slow_us, on_write, 0);
}

void pg_cancel_waiters(struct sim *sim, int node)
{
    sim->pg[node].n_waiters = 0;
    sim->pg[node].probe_waits = false;
}

/* ---- becoming a primary --------------------------------------------------------------- */

static void accept_writes(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    pg->backends = true;
    pg->flag = pg->ssn.kind != SSN_EMPTY;
    pg->released = LSN_NONE;
    pg->moved_us = sim->now_us;
    pg_event(sim, node, MS(1), on_write, 0);
    check_writable(sim, node);
}

static void on_promoted(struct sim *sim, const struct event *event)
{
    int node = event->host;
    struct pg *pg = &sim->pg[node];
    if (!pg->promoting || !pg->postmaster)
        return;
    check_promoting(sim, node);
    pg->promoting = false;
    pg->in_recovery = false;
    pg->control = pg->flush;
    pg->branch = branch_new(sim, pg->branch, pg->flush, pg->system_id);
    pg->flush += RECORD;
    pg->was_primary = true;
    pg->standby_signal = false;
    pg->checkpointed = false;
    memset(pg->sender, 0, sizeof(pg->sender));
    sim->counters.promotions++;
    say_line(sim, node, "postgres: promoted, timeline %u at %llu",
             sim->branch[pg->branch].timeline.tli, (unsigned long long)pg->flush);
    accept_writes(sim, node);
    pg_move(sim, node, PG_UP);
}

/* Replays what there is, then opens a timeline; a session that blocks replay holds it up. */
void pg_promote(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    if (!pg->postmaster || !pg->in_recovery || pg->state != PG_UP || pg->promoting)
        return;
    pg->promoting = true;
    pg_disconnect(sim, node);
    int64_t takes = rng_tail(&sim->rng, MS(30), MS(500));
    if (!pg->blockers_ended && rng_chance(&sim->rng, 100))
        takes += rng_range(&sim->rng, SECONDS(1), SECONDS(20));
    pg_event(sim, node, takes, on_promoted, 0);
}

/* ---- starts --------------------------------------------------------------------------- */

void pg_standby_consistent(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    if (pg->state != PG_STARTING || !pg->in_recovery || !pg->recovered ||
        pg->flush < pg->min_recovery)
        return;
    pg->backends = true;
    pg->start_failures = 0;
    pg_move(sim, node, PG_UP);
}

static void on_recovered(struct sim *sim, const struct event *event)
{
    int node = event->host;
    struct pg *pg = &sim->pg[node];
    if (pg->state != PG_STARTING || !pg->postmaster)
        return;
    pg->recovered = true;
    if (pg->in_recovery) {
        pg_standby_consistent(sim, node);
        return;
    }
    pg->start_failures = 0;
    pg->flush += RECORD; /* end of recovery */
    accept_writes(sim, node);
    pg_move(sim, node, PG_UP);
}

void pg_begin_recovery(struct sim *sim, int node, bool clean)
{
    struct pg *pg = &sim->pg[node];
    pg->recovered = false;
    pg_move(sim, node, PG_STARTING);
    int64_t takes =
        clean ? rng_tail(&sim->rng, MS(80), MS(700)) : rng_tail(&sim->rng, MS(150), SECONDS(5));
    pg_event(sim, node, takes, on_recovered, 0);
}

void pg_start(struct sim *sim, int node, bool as_primary)
{
    struct pg *pg = &sim->pg[node];
    bool clean = pg->clean_stop;
    if (pg->torn)
        check_broken(sim, "data", "%s starts on a directory that pg_rewind left half done",
                     node_name(node));
    pg->postmaster = true;
    pg->backends = false;
    pg->in_recovery = !as_primary;
    pg->was_primary = as_primary;
    pg->standby_signal = !as_primary;
    pg->clean_stop = false;
    pg->stop_told = false;
    pg->promoting = false;
    pg->checkpointed = false;
    pg->blockers_ended = false;
    pg->hung = rng_chance(&sim->rng, 20);
    pg->ssn = pg->ssn_disk;
    pg->flag = pg->ssn.kind != SSN_EMPTY;
    pg->connected = false;
    pg->refused_us = 0;
    pg->n_waiters = 0;
    pg->probe_waits = false;
    memset(pg->sender, 0, sizeof(pg->sender));
    say_line(sim, node, "postgres: started as %s", as_primary ? "primary" : "standby");
    pg_begin_recovery(sim, node, clean);
}

/* ---- synchronous_standby_names -------------------------------------------------------- */

static void on_reload_postmaster(struct sim *sim, const struct event *event)
{
    struct pg *pg = &sim->pg[event->host];
    pg->ssn = pg->ssn_disk;
    node_wake(sim, event->host);
}

static void on_reload_sender(struct sim *sim, const struct event *event)
{
    struct pg *pg = &sim->pg[event->host];
    pg->sender[event->arg[0]].ssn = pg->ssn_disk;
}

/* The checkpointer alone says whether backends wait; as it lifts that, all who wait return. */
static void on_reload_checkpointer(struct sim *sim, const struct event *event)
{
    struct pg *pg = &sim->pg[event->host];
    pg->flag = pg->ssn_disk.kind != SSN_EMPTY;
    if (!pg->flag && pg_writable(pg)) {
        lsn_t released = pg->released;
        pg_release_waiters(sim, event->host, pg->flush);
        pg->released = released;
    }
    node_wake(sim, event->host);
}

void pg_reload(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    if (!pg->postmaster)
        return;
    pg_event(sim, node, rng_range(&sim->rng, 300, MS(8)), on_reload_postmaster, 0);
    for (int i = 0; i < sim->n; i++) {
        if (!pg->sender[i].connected)
            continue;
        int64_t late = rng_chance(&sim->rng, 30) ? SECONDS(2) : MS(25);
        pg_event(sim, node, rng_range(&sim->rng, MS(8), late + MS(8)), on_reload_sender, i);
    }
    int64_t busy = pg->checkpointer_busy_us - sim->now_us;
    int64_t late = rng_chance(&sim->rng, 50) ? SECONDS(2) : MS(30);
    pg_event(sim, node, (busy > 0 ? busy : 0) + rng_range(&sim->rng, MS(1), late),
             on_reload_checkpointer, 0);
}

void pg_set_ssn(struct sim *sim, int node, struct ssn ssn)
{
    sim->pg[node].ssn_disk = ssn;
    pg_reload(sim, node);
}

void pg_tick(struct sim *sim)
{
    for (int i = 0; i < sim->n; i++)
        repl_tick(sim, i);
}
