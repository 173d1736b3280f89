/* Postgres: how it ends. In order, by crash, by the guard. */
#include <string.h>

#include "tests/sim/pg_internal.h"

void pg_dead(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    if (pg->state == PG_DOWN)
        return;
    sim_kill_proc(sim, node, PROC_POSTGRES);
    if (!pg->clean_stop && pg->in_recovery) {
        lsn_t behind = (lsn_t)rng_range(&sim->rng, 0, 3) * RECORD;
        pg->control = pg->flush > behind ? pg->flush - behind : pg->flush;
    }
    if (pg->state == PG_STARTING && !pg->stop_told)
        pg->start_failures++;
    pg->postmaster = false;
    pg->backends = false;
    pg->stop_told = false;
    pg->promoting = false;
    pg->connected = false;
    pg->n_waiters = 0;
    pg->probe_waits = false;
    memset(pg->sender, 0, sizeof(pg->sender));
    pg_move(sim, node, PG_DOWN);
    say_line(sim, node, "postgres: nothing of it runs%s",
             pg->clean_stop ? ", stopped cleanly" : "");
    if (sim->guard[node].alive)
        guard_tree_gone(sim, node);
}

static void on_killed(struct sim *sim, const struct event *event)
{
    pg_dead(sim, event->host);
}

/* SIGKILL reaches processes that are stopped as well. */
void pg_kill_tree(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    if (pg->state == PG_DOWN)
        return;
    pg->stop_told = true;
    pg_move(sim, node, PG_STOPPING);
    struct event event = { .fn = on_killed, .host = node, .proc = PROC_GUARD };
    sim_at(sim,
           pg->hung ? rng_range(&sim->rng, MS(5), MS(150)) : rng_range(&sim->rng, MS(1), MS(15)),
           &event);
}

/* ---- the postmaster dies, its children do not ------------------------------------------ */

static void on_orphans_found(struct sim *sim, const struct event *event)
{
    if (sim->guard[event->host].alive)
        pg_kill_tree(sim, event->host);
}

void pg_postmaster_crash(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    if (!pg->postmaster)
        return;
    say_line(sim, node, "postgres: postmaster killed, its backends go on");
    pg->postmaster = false;
    pg_move(sim, node, PG_STOPPING);
    struct event event = { .fn = on_orphans_found, .host = node, .proc = PROC_GUARD };
    sim_at(sim, rng_tail(&sim->rng, MS(1), MS(300)), &event);
}

/* A backend crashes: Postgres ends the others and recovers by itself; the guard sees nothing. */
void pg_backend_crash(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    if (!pg->postmaster || pg->state != PG_UP || pg->promoting)
        return;
    say_line(sim, node, "postgres: a backend crashed, restarts itself");
    sim_kill_proc(sim, node, PROC_POSTGRES);
    pg->backends = false;
    pg->n_waiters = 0;
    pg->probe_waits = false;
    pg->connected = false;
    memset(pg->sender, 0, sizeof(pg->sender));
    pg->ssn = pg->ssn_disk;
    pg_begin_recovery(sim, node, false);
}

/* ---- fast stop ------------------------------------------------------------------------ */

static void stopped(struct sim *sim, int node)
{
    sim->pg[node].clean_stop = true;
    pg_dead(sim, node);
}

/* Walsenders are waited for until each has the shutdown record or is given up. */
static void on_senders(struct sim *sim, const struct event *event)
{
    struct pg *pg = &sim->pg[event->host];
    for (int i = 0; i < sim->n; i++) {
        if (!pg->sender[i].connected || pg->sender[i].flush >= pg->flush)
            continue;
        repl_send(sim, event->host, i);
        pg_event(sim, event->host, MS(10), on_senders, 0);
        return;
    }
    stopped(sim, event->host);
}

static void on_shutdown_checkpoint(struct sim *sim, const struct event *event)
{
    struct pg *pg = &sim->pg[event->host];
    pg->control = pg->flush;
    if (pg->in_recovery) {
        stopped(sim, event->host);
        return;
    }
    pg->flush += RECORD;
    on_senders(sim, event);
}

static void on_backends_gone(struct sim *sim, const struct event *event)
{
    struct pg *pg = &sim->pg[event->host];
    pg->backends = false;
    pg->n_waiters = 0;
    pg->probe_waits = false;
    pg_event(sim, event->host, rng_tail(&sim->rng, MS(5), SECONDS(1)) + pg->slow_us,
             on_shutdown_checkpoint, 0);
}

void pg_stop_fast(struct sim *sim, int node)
{
    struct pg *pg = &sim->pg[node];
    if (!pg->postmaster || pg->stop_told)
        return;
    bool recovering = pg->state == PG_STARTING;
    pg->stop_told = true;
    pg->promoting = false;
    pg_move(sim, node, PG_STOPPING);
    if (recovering) {
        /* Crash recovery is left as it is. */
        struct event event = { .fn = on_killed, .host = node, .proc = PROC_GUARD };
        sim_at(sim, rng_range(&sim->rng, MS(5), MS(300)), &event);
        return;
    }
    if (!pg->hung)
        pg_event(sim, node, rng_range(&sim->rng, MS(2), MS(60)), on_backends_gone, 0);
}
