/* Streaming replication: WAL on its way, acknowledgements, who releases whom. */
#include <string.h>

#include "tests/sim/pg_internal.h"

static bool both_ways(const struct sim *sim, int a, int b)
{
    return repl_up(sim, a, b) && repl_up(sim, b, a);
}

static bool standby_receives(const struct pg *pg)
{
    return pg->postmaster && pg->in_recovery && !pg->promoting && !pg->stop_told &&
           (pg->state == PG_UP || pg->state == PG_STARTING);
}

/* ---- who releases whom (SyncRepReleaseWaiters) ----------------------------------------- */

static int count(node_set set)
{
    return __builtin_popcount(set);
}

/* As this walsender has read the names; 0: not a candidate. */
int repl_priority(const struct sender *sender, int standby)
{
    if (!sender->connected || sender->ssn.kind != SSN_NAMES || !(sender->ssn.names >> standby & 1))
        return 0;
    return 1 + count(sender->ssn.names & (node_set)((1u << standby) - 1));
}

/* The standbys that count where `wanted` are needed, by the priorities that the walsenders show. */
node_set repl_chosen(const struct sim *sim, int primary, int wanted)
{
    const struct pg *pg = &sim->pg[primary];
    node_set chosen = 0;
    for (int priority = 1; priority <= DATA_MAX; priority++)
        for (int i = 0; i < sim->n && count(chosen) < wanted; i++)
            if (repl_priority(&pg->sender[i], i) == priority)
                chosen |= (node_set)(1u << i);
    return chosen;
}

void repl_release(struct sim *sim, int primary, int standby)
{
    struct pg *pg = &sim->pg[primary];
    const struct sender *sender = &pg->sender[standby];
    if (repl_priority(sender, standby) == 0)
        return;
    int wanted = count(sender->ssn.names);
    node_set chosen = repl_chosen(sim, primary, wanted);
    if (count(chosen) < wanted || !(chosen >> standby & 1))
        return;
    lsn_t least = sender->flush;
    for (int i = 0; i < sim->n; i++)
        if ((chosen >> i & 1) && pg->sender[i].flush < least)
            least = pg->sender[i].flush;
    if (least != LSN_NONE)
        pg_release_waiters(sim, primary, least);
}

/* ---- WAL on its way -------------------------------------------------------------------- */

static void send_later(struct sim *sim, int primary, int standby, event_fn *fn, int64_t conn)
{
    struct event event = {
        .fn = fn, .host = primary, .proc = PROC_POSTGRES, .arg = { standby, conn }
    };
    sim_at(sim, MS(200), &event);
}

static void on_resend(struct sim *sim, const struct event *event)
{
    struct sender *sender = &sim->pg[event->host].sender[event->arg[0]];
    if (!sender->connected || sender->conn != (uint32_t)event->arg[1])
        return;
    sender->inflight = false;
    repl_send(sim, event->host, (int)event->arg[0]);
}

static void on_ack(struct sim *sim, const struct event *event)
{
    int primary = event->host, standby = (int)event->arg[0];
    struct pg *pg = &sim->pg[primary];
    struct sender *sender = &pg->sender[standby];
    if (!sender->connected || sender->conn != (uint32_t)event->arg[1])
        return;
    sender->inflight = false;
    sender->flush = (lsn_t)event->arg[2];
    if (pg_tree_alive(pg))
        repl_release(sim, primary, standby);
    if (sender->flush < pg->flush)
        repl_send(sim, primary, standby);
}

/* The standby's answer; where the network does not carry it, it is sent again. */
static void on_answer(struct sim *sim, const struct event *event)
{
    int standby = event->host, primary = (int)event->arg[0];
    const struct pg *pg = &sim->pg[standby];
    if (!pg->connected || pg->conn != (uint32_t)event->arg[1])
        return;
    if (!repl_up(sim, standby, primary)) {
        struct event again = *event;
        sim_at(sim, MS(200), &again);
        return;
    }
    struct event ack = { .fn = on_ack,
                         .host = primary,
                         .proc = PROC_POSTGRES,
                         .arg = { standby, pg->conn, (int64_t)pg->flush } };
    sim_at(sim, rng_range(&sim->rng, 150, 900) + rng_tail(&sim->rng, 0, sim->delay_us), &ack);
}

static void on_wal(struct sim *sim, const struct event *event)
{
    int standby = event->host;
    struct pg *pg = &sim->pg[standby];
    if (!standby_receives(pg) || !pg->connected || pg->conn != (uint32_t)event->arg[1])
        return;
    lsn_t flush = (lsn_t)event->arg[2];
    if (flush > pg->flush)
        pg->flush = flush;
    if (pg->lost && pg->flush >= sim->pg[event->arg[0]].flush)
        pg->lost = false; /* set back, and has caught up again */
    pg_standby_consistent(sim, standby);
    struct event answer = *event;
    answer.fn = on_answer;
    on_answer(sim, &answer);
}

void repl_send(struct sim *sim, int primary, int standby)
{
    struct pg *pg = &sim->pg[primary];
    struct sender *sender = &pg->sender[standby];
    if (!sender->connected || sender->inflight)
        return;
    sender->inflight = true;
    if (!repl_up(sim, primary, standby)) {
        send_later(sim, primary, standby, on_resend, sender->conn);
        return;
    }
    struct event event = { .fn = on_wal,
                           .host = standby,
                           .proc = PROC_POSTGRES,
                           .arg = { primary, sender->conn, (int64_t)pg->flush } };
    int64_t disk = rng_range(&sim->rng, 200, 1500) + sim->pg[standby].slow_us;
    sim_at(sim, disk + rng_range(&sim->rng, 150, 900) + rng_tail(&sim->rng, 0, sim->delay_us),
           &event);
}

/* ---- connections ----------------------------------------------------------------------- */

void repl_close_sender(struct sim *sim, int primary, int standby)
{
    memset(&sim->pg[primary].sender[standby], 0, sizeof(struct sender));
    node_wake(sim, primary);
}

void pg_disconnect(struct sim *sim, int standby)
{
    struct pg *pg = &sim->pg[standby];
    if (!pg->connected)
        return;
    pg->connected = false;
    int primary = pg->connected_to;
    struct sender *sender = &sim->pg[primary].sender[standby];
    if (sender->connected && sender->conn == pg->conn && repl_up(sim, standby, primary))
        repl_close_sender(sim, primary, standby);
}

/* What Postgres compares is the history; what it should compare is the content. */
static bool accepts(struct sim *sim, int primary, int standby)
{
    const struct pg *up = &sim->pg[primary], *down = &sim->pg[standby];
    const struct timeline *theirs = &sim->branch[up->branch].timeline;
    const struct timeline *ours = &sim->branch[down->branch].timeline;
    if (up->system_id != down->system_id || down->flush > up->flush ||
        !timeline_contains(theirs, ours, down->flush))
        return false;
    if (wal_contains(sim, up->branch, up->flush, down->branch, down->flush))
        return true;
    /* Where a loss is accepted (asynchronous mode, a person's failover) two promotions from one position
     * give equal histories, and PostgreSQL cannot tell. Known; let it be found out here. */
    if (sim->sync_on && !sim->tainted && !sim->loss_forgiven)
        check_broken(sim, "data", "%s streams from %s with the same history and other WAL",
                     node_name(standby), node_name(primary));
    return false;
}

static void connect_standby(struct sim *sim, int standby)
{
    struct pg *pg = &sim->pg[standby];
    int primary = pg->upstream;
    if (primary == NODE_NONE || primary == standby || sim->now_us < pg->retry_us)
        return;
    pg->retry_us = sim->now_us + MS(200);
    struct pg *up = &sim->pg[primary];
    if (up->state != PG_UP || !up->postmaster || up->in_recovery || up->sender[standby].connected ||
        !both_ways(sim, standby, primary) || !sim_lives(sim, primary, PROC_POSTGRES))
        return;
    if (!accepts(sim, primary, standby)) {
        if (pg->refused_us == 0)
            pg->refused_us = sim->now_us;
        return;
    }
    pg->refused_us = 0;
    pg->branch = up->branch;
    pg->conn++;
    pg->connected = true;
    pg->connected_to = primary;
    pg->broken_us = 0;
    up->sender[standby] = (struct sender){ .connected = true, .conn = pg->conn, .ssn = up->ssn };
    repl_send(sim, primary, standby);
    node_wake(sim, standby);
    node_wake(sim, primary);
}

/* Both ends give up after ttl (wal_sender_timeout, wal_receiver_timeout). */
static bool given_up(const struct sim *sim, bool carried, int64_t *broken_us)
{
    if (carried) {
        *broken_us = 0;
        return false;
    }
    if (*broken_us == 0)
        *broken_us = sim->now_us;
    return sim->now_us - *broken_us > MS(sim->ttl_ms);
}

static bool stands_still(const struct sim *sim, int node)
{
    return sim->host[node].frozen[PROC_POSTGRES] || !sim->host[node].alive;
}

static void watch_sender(struct sim *sim, int primary, int standby)
{
    struct pg *pg = &sim->pg[primary];
    struct sender *sender = &pg->sender[standby];
    if (!sender->connected || stands_still(sim, primary))
        return;
    const struct pg *down = &sim->pg[standby];
    bool carried = both_ways(sim, primary, standby) && !stands_still(sim, standby);
    bool closed = !down->connected || down->connected_to != primary || down->conn != sender->conn;
    if (given_up(sim, carried, &sender->broken_us) || (carried && closed))
        repl_close_sender(sim, primary, standby);
}

void repl_tick(struct sim *sim, int standby)
{
    struct pg *pg = &sim->pg[standby];
    for (int primary = 0; primary < sim->n; primary++)
        if (primary != standby && sim->pg[primary].sender[standby].connected)
            watch_sender(sim, primary, standby);
    if (!standby_receives(pg) || stands_still(sim, standby))
        return;
    if (!pg->connected) {
        connect_standby(sim, standby);
        return;
    }
    int primary = pg->connected_to;
    const struct sender *sender = &sim->pg[primary].sender[standby];
    bool carried = both_ways(sim, primary, standby) && !stands_still(sim, primary);
    bool closed = !sender->connected || sender->conn != pg->conn;
    if (given_up(sim, carried, &pg->broken_us) || (carried && closed) || pg->upstream != primary)
        pg_disconnect(sim, standby);
    if (!pg->connected)
        node_wake(sim, standby);
}
