#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- time and events ------------------------------------------------------------------ */

void sim_at(struct sim *sim, int64_t delay_us, const struct event *event)
{
    struct event made = *event;
    made.at_us = sim->now_us + (delay_us > 0 ? delay_us : 0);
    if (made.host != HOST_NONE)
        made.epoch = sim->host[made.host].epoch[made.proc];
    queue_add(&sim->queue, &made);
}

static int64_t local_us(const struct sim *sim, int host)
{
    const struct host *h = &sim->host[host];
    return sim->now_us + h->offset_us + sim->now_us * h->ppm / 1000000;
}

struct mono node_clock(const struct sim *sim, int host)
{
    return (struct mono){ local_us(sim, host) / 1000 };
}

bool sim_lives(const struct sim *sim, int host, enum proc proc)
{
    return sim->host[host].alive && !sim->host[host].frozen[proc];
}

static void dispatch(struct sim *sim, const struct event *event)
{
    if (event->host != HOST_NONE) {
        const struct host *host = &sim->host[event->host];
        if (event->epoch != host->epoch[event->proc])
            return;
        if (host->frozen[event->proc]) {
            if (sim->n_stash < (int)(sizeof(sim->stash) / sizeof(sim->stash[0])))
                sim->stash[sim->n_stash++] = *event;
            return;
        }
    }
    sim->counters.events++;
    event->fn(sim, event);
}

/* What came while a process stood still reaches it, in order, once it is scheduled again; the guard
 * is the first (it has the highest priority and nothing else to do). */
static void thaw(struct sim *sim, int host, enum proc proc)
{
    int64_t delay =
        proc == PROC_GUARD ? rng_range(&sim->rng, 100, MS(20)) : rng_range(&sim->rng, 100, MS(40));
    int kept = 0;
    for (int i = 0; i < sim->n_stash; i++) {
        struct event *event = &sim->stash[i];
        if (event->host != host || event->proc != proc) {
            sim->stash[kept++] = *event;
            continue;
        }
        uint32_t epoch = event->epoch;
        if (epoch == sim->host[host].epoch[proc])
            sim_at(sim, delay, event);
    }
    sim->n_stash = kept;
}

void sim_freeze(struct sim *sim, int host, enum proc proc, bool frozen)
{
    if (sim->host[host].frozen[proc] == frozen)
        return;
    sim->host[host].frozen[proc] = frozen;
    if (!frozen)
        thaw(sim, host, proc);
}

/* Its events, and messages on their way to it, are lost. */
void sim_kill_proc(struct sim *sim, int host, enum proc proc)
{
    sim->host[host].epoch[proc]++;
    sim->host[host].frozen[proc] = false;
}

/* ---- the network ---------------------------------------------------------------------- */

bool link_up(const struct sim *sim, int from, int to)
{
    if (!sim->host[from].alive || !sim->host[to].alive)
        return false;
    return from == to || sim->cut[from][to] == 0;
}

bool repl_up(const struct sim *sim, int from, int to)
{
    return sim->host[from].alive && sim->host[to].alive && sim->repl_cut[from][to] == 0;
}

void net_send(struct sim *sim, int from, const struct event *event)
{
    bool local = from == event->host;
    if (!link_up(sim, from, event->host))
        return;
    /* What is lost, TCP sends again: some of it arrives when nobody waits any more. */
    bool lost = !local && sim->loss_permille > 0 && rng_chance(&sim->rng, sim->loss_permille);
    if (lost && rng_chance(&sim->rng, 600))
        return;
    int64_t delay = local ? 80 : rng_range(&sim->rng, 150, 900);
    if (lost)
        delay += rng_tail(&sim->rng, MS(300), SECONDS(15));
    if (!local && sim->delay_us > 0)
        delay += rng_tail(&sim->rng, 0, sim->delay_us);
    if (rng_chance(&sim->rng, 3))
        delay += rng_tail(&sim->rng, MS(1), MS(400));
    /* Lost and sent again and again by TCP, or kept by a proxy: long after nobody waits any more. */
    if (!local && rng_chance(&sim->rng, 1))
        delay += rng_tail(&sim->rng, SECONDS(1), SECONDS(20));
    sim_at(sim, delay, event);
}

/* ---- the transcript ------------------------------------------------------------------- */

void say_line(struct sim *sim, int node, const char *format, ...)
{
    if (!sim->tracing)
        return;
    char *line = sim->trace[sim->n_trace++ % TRACE_LINES];
    double at = (double)sim->now_us / 1e6;
    int used = node < 0 ? snprintf(line, TRACE_LINE, "[%7.3f] -- ", at)
                        : snprintf(line, TRACE_LINE, "[%7.3f] %s ", at, node_name(node));
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line + used, (size_t)(TRACE_LINE - used), format, args);
    va_end(args);
}

/* ---- a run ---------------------------------------------------------------------------- */

static void tick(struct sim *sim, const struct event *event)
{
    store_tick(sim);
    pg_tick(sim);
    check_tick(sim);
    sim_at(sim, MS(100), event);
}

static void boot(struct sim *sim, const struct event *event)
{
    node_boot(sim, (int)event->arg[0]);
}

/* Everything but the events' store and the trace begins as zero. */
static void reset(struct sim *sim)
{
    memset(sim->host, 0, sizeof(sim->host));
    memset(sim->cut, 0, sizeof(sim->cut));
    memset(sim->repl_cut, 0, sizeof(sim->repl_cut));
    memset(sim->pg, 0, sizeof(sim->pg));
    memset(sim->guard, 0, sizeof(sim->guard));
    memset(sim->stalled_us, 0, sizeof(sim->stalled_us));
    sim->now_us = 0;
    sim->n_stash = 0;
    sim->loss_permille = 0;
    memset(sim->no_failover, 0, sizeof(sim->no_failover));
    sim->tag_until_us = 0;
    memset(sim->flap_until_us, 0, sizeof(sim->flap_until_us));
    sim->etcd_may_go = false;
    sim->delay_us = 0;
    sim->tainted = false;
    sim->restored = false;
    sim->restored_rev = 0;
    sim->quiet = false;
    sim->healed_us = 0;
    sim->last_leader = NODE_NONE;
    sim->forgiven_mod = 0;
    sim->loss_forgiven = false;
    sim->broken = NULL;
    sim->n_trace = 0;
    queue_init(&sim->queue);
}

static void draw_hosts(struct sim *sim)
{
    for (int i = 0; i < HOSTS; i++) {
        bool used = i < sim->n || i == WITNESS;
        sim->host[i].alive = used;
        sim->host[i].ppm = rng_range(&sim->rng, -100, 100);
        sim->host[i].offset_us = SECONDS(rng_range(&sim->rng, 1, 100000));
    }
}

void sim_init(struct sim *sim, uint64_t seed, enum mutation mutation, enum mutation focus)
{
    reset(sim);
    sim->seed = seed;
    sim->mutation = mutation;
    sim->focus = focus_of(focus);
    sim->rng = rng_seed(seed);
    sim->end_us = SECONDS(300);
    static const int sizes[] = { 2, 2, 2, 3, 3, 4, 5 };
    sim->n = sizes[rng_range(&sim->rng, 0, 6)];
    sim->ttl_ms = rng_chance(&sim->rng, 500) ? 3000 : 10000;
    sim->sync_on = rng_chance(&sim->rng, 930);
    sim->strict = sim->sync_on && rng_chance(&sim->rng, 150);
    sim->rewind = rng_chance(&sim->rng, 850);
    sim->failsafe = rng_chance(&sim->rng, 400);
    if (sim->focus != NULL) {
        sim->failsafe |= sim->focus->failsafe;
        sim->sync_on = sim->sync_on && !sim->focus->sync_off;
    }
    draw_hosts(sim);
    store_init(sim);
    pg_init(sim);
    say_line(sim, -1, "seed %llu: %d data nodes, ttl %lld ms, sync %s%s%s",
             (unsigned long long)seed, sim->n, (long long)sim->ttl_ms, sim->sync_on ? "on" : "off",
             sim->strict ? ", strict" : "", sim->failsafe ? ", failsafe" : "");
    for (int i = 0; i < sim->n; i++) {
        sim->node[i].alive = false;
        sim->node[i].highest_sync_mod = 0;
        sim->node[i].store_known = 1;
        sim->guard[i].alive = true;
        struct event start = { .fn = boot, .host = HOST_NONE, .arg = { i } };
        sim_at(sim, rng_range(&sim->rng, 0, SECONDS(3)), &start);
    }
    struct event clock = { .fn = tick, .host = HOST_NONE };
    sim_at(sim, MS(100), &clock);
    faults_plan(sim);
}

void sim_run(struct sim *sim)
{
    struct event event;
    if (sim->seed % FORMATION_EVERY == 0)
        formation_run(sim);
    while (sim->broken == NULL && queue_take(&sim->queue, &event)) {
        if (event.at_us > sim->end_us)
            return;
        sim->now_us = event.at_us;
        dispatch(sim, &event);
    }
}
