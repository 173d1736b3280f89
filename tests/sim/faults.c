/* When and where things go wrong: two rounds of faults, each healed as a whole and then watched. */
#include "tests/sim/faults.h"

#include "tests/sim/sim.h"

/* ---- the network ------------------------------------------------------------------------ */

static void cut(struct sim *sim, int a, int b, int by)
{
    sim->cut[a][b] = (uint8_t)(sim->cut[a][b] + by);
    sim->repl_cut[a][b] = (uint8_t)(sim->repl_cut[a][b] + by);
}

/* a: 0 both ways, 1 what the target sends, 2 what it receives. */
static void cut_off(struct sim *sim, const struct fault *fault, int host, int by)
{
    for (int other = 0; other < HOSTS; other++) {
        if (other == host)
            continue;
        if (fault->a != 2)
            cut(sim, host, other, by);
        if (fault->a != 1)
            cut(sim, other, host, by);
    }
}

void fault_cut(struct sim *sim, int host, int by)
{
    const struct fault both_ways = { .a = 0 };
    cut_off(sim, &both_ways, host, by);
}

static bool isolated(struct sim *sim, struct fault *fault)
{
    cut_off(sim, fault, fault->target, 1);
    return true;
}

static void joined(struct sim *sim, const struct fault *fault)
{
    cut_off(sim, fault, fault->target, -1);
}

/* Cut and joined, again and again. a: both ways; b: until when. */
static void on_flap(struct sim *sim, const struct event *event)
{
    struct fault fault = { .target = (int)event->arg[0] };
    bool is_cut = event->arg[1] != 0;
    if (sim->now_us >= sim->flap_until_us[fault.target]) {
        if (is_cut)
            joined(sim, &fault);
        return;
    }
    if (is_cut)
        joined(sim, &fault);
    else
        isolated(sim, &fault);
    struct event next = *event;
    next.arg[1] = !is_cut;
    sim_at(sim,
           is_cut ? rng_tail(&sim->rng, MS(50), MS(2500))
                  : rng_tail(&sim->rng, MS(300), SECONDS(6)),
           &next);
}

static bool flapping(struct sim *sim, struct fault *fault)
{
    if (sim->flap_until_us[fault->target] != 0)
        return false;
    sim->flap_until_us[fault->target] = INT64_MAX;
    struct event event = { .fn = on_flap, .host = HOST_NONE, .arg = { fault->target, 0 } };
    sim_at(sim, 0, &event);
    return true;
}

static void steady(struct sim *sim, const struct fault *fault)
{
    sim->flap_until_us[fault->target] = sim->now_us;
}

static bool one_way(struct sim *sim, struct fault *fault)
{
    fault->a = rng_range(&sim->rng, 1, 2);
    return isolated(sim, fault);
}

static bool witness_isolated(struct sim *sim, struct fault *fault)
{
    cut_off(sim, fault, WITNESS, 1);
    return true;
}

static void witness_joined(struct sim *sim, const struct fault *fault)
{
    cut_off(sim, fault, WITNESS, -1);
}

/* From the etcd members of other hosts, not from the standbys. */
static void etcd_cut(struct sim *sim, const struct fault *fault, int by)
{
    for (int m = 0; m < ETCD_MEMBERS; m++) {
        int host = store_host(m);
        if (host == fault->target)
            continue;
        sim->cut[fault->target][host] = (uint8_t)(sim->cut[fault->target][host] + by);
        sim->cut[host][fault->target] = (uint8_t)(sim->cut[host][fault->target] + by);
    }
}

static bool etcd_away(struct sim *sim, struct fault *fault)
{
    etcd_cut(sim, fault, 1);
    return true;
}

static void etcd_there(struct sim *sim, const struct fault *fault)
{
    etcd_cut(sim, fault, -1);
}

static void stream_cut(struct sim *sim, const struct fault *fault, int by)
{
    for (int other = 0; other < sim->n; other++) {
        if (other == fault->target)
            continue;
        sim->repl_cut[fault->target][other] = (uint8_t)(sim->repl_cut[fault->target][other] + by);
        if (fault->a == 0)
            sim->repl_cut[other][fault->target] =
                (uint8_t)(sim->repl_cut[other][fault->target] + by);
    }
}

static bool streams_cut(struct sim *sim, struct fault *fault)
{
    fault->a = rng_chance(&sim->rng, 300);
    stream_cut(sim, fault, 1);
    return true;
}

static void streams_carried(struct sim *sim, const struct fault *fault)
{
    stream_cut(sim, fault, -1);
}

static bool lossy(struct sim *sim, struct fault *fault)
{
    (void)fault;
    sim->loss_permille = (int)rng_range(&sim->rng, 20, 400);
    return true;
}

static void lossless(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    sim->loss_permille = 0;
}

static bool slow(struct sim *sim, struct fault *fault)
{
    (void)fault;
    sim->delay_us = rng_tail(&sim->rng, MS(20), SECONDS(4));
    return true;
}

static void fast(struct sim *sim, const struct fault *fault)
{
    (void)fault;
    sim->delay_us = 0;
}

enum { PARTITIONED = 1 }; /* in the table */

/* ---- the table -------------------------------------------------------------------------- */

const struct fault_kind fault_kinds[] = {
    { "sidecar crashes between two steps", 0, 0, 0, NULL, NULL },
    { "node partitioned from everything", 8, 500, 40000, isolated, joined },
    { "node's network flapping", 6, 3000, 40000, flapping, steady },
    { "node's packets lost one way", 5, 500, 30000, one_way, joined },
    { "node partitioned from etcd only", 5, 500, 30000, etcd_away, etcd_there },
    { "node partitioned from other Postgres only", 6, 300, 30000, streams_cut, streams_carried },
    { "witness partitioned", 3, 500, 30000, witness_isolated, witness_joined },
    { "packets lost", 4, 500, 15000, lossy, lossless },
    { "network slow", 4, 500, 20000, slow, fast },
    { "postmaster killed", 8, 0, 0, fault_postmaster_killed, NULL },
    { "backend crashed", 4, 0, 0, fault_backend_crashed, NULL },
    { "backend does not end when told", 2, 0, 0, fault_backend_hung, NULL },
    { "sidecar killed and restarted", 6, 0, 0, fault_sidecar_killed, NULL },
    { "two processes of one name", 4, 0, 0, fault_two_of_one_name, NULL },
    { "sidecar killed for long", 4, 2000, 40000, fault_sidecar_away, fault_sidecar_back },
    { "sidecar stopped (SIGSTOP)", 5, 500, 30000, fault_sidecar_stopped, fault_sidecar_goes_on },
    { "node frozen and thawed", 6, 300, 30000, fault_node_frozen, fault_node_thawed },
    { "node dead and back", 7, 1000, 40000, fault_node_killed, fault_node_back },
    { "witness dead and back with an empty disk", 3, 1000, 30000, fault_witness_killed,
      fault_witness_back },
    { "raft leadership moved to the primary", 5, 0, 0, fault_raft_moved, NULL },
    { "etcd's raft leader hangs and answers keepalives", 4, 8000, 30000, fault_raft_stuck,
      fault_raft_unstuck },
    { "etcd member killed", 4, 500, 20000, fault_etcd_killed, fault_etcd_back },
    { "etcd stopped everywhere", 2, 1000, 60000, fault_etcd_stopped, fault_etcd_goes_on },
    { "etcd frozen everywhere", 3, 1000, 40000, fault_etcd_frozen, fault_etcd_thawed },
    { "cluster paused, then etcd away", 4, 4000, 40000, fault_paused_alone, fault_resumed_alone },
    { "guard not scheduled", 3, 20, 80, fault_guard_starved, fault_guard_runs },
    { "guard killed", 2, 0, 0, fault_guard_killed, NULL },
    { "two guards on one PGDATA", 3, 1000, 20000, fault_two_guards, fault_former_guard_ended },
    { "node stopped in order", 6, 0, 0, fault_planned_stop, NULL },
    { "data of a standby lost", 3, 0, 0, fault_disk_lost, NULL },
    { "data directory broken or foreign", 1, 1000, 20000, fault_disk_bad, fault_disk_mended },
    { "volume of a standby set back", 3, 0, 0, fault_disk_set_back, NULL },
    { "etcd set back to an older state", 1, 2000, 25000, fault_store_restored,
      fault_store_accepted },
    { "synchronous mode off for a while", 1, 2000, 25000, fault_sync_off, fault_sync_on },
    { "disk slow", 3, 500, 20000, fault_slow_disk, fault_disk_fast },
    { "checkpointer busy", 5, 1000, 30000, fault_checkpointer_busy, NULL },
    { "switchover asked for", 8, 0, 0, fault_switchover, NULL },
    { "all of /sync dead, a failover to another asked for", 3, 15000, 40000, fault_sync_lost,
      fault_sync_back },
    { "failover asked for while nobody leads", 4, 0, 0, fault_failover, NULL },
    { "nofailover set on a node", 2, 2000, 40000, fault_tagged, fault_untagged },
    { "leader key deleted by hand", 3, 0, 0, fault_key_deleted, NULL },
    { "cluster paused", 3, 2000, 25000, fault_pause, fault_resume },
    { "restart, reload or reinit asked for", 3, 0, 0, fault_orders, NULL },
};

int fault_kinds_n(void)
{
    return (int)(sizeof(fault_kinds) / sizeof(fault_kinds[0]));
}

const char *fault_name(int fault)
{
    return fault < fault_kinds_n() ? fault_kinds[fault].name : NULL;
}

/* ---- when ------------------------------------------------------------------------------- */

static int draw_target(struct sim *sim)
{
    const struct kv *kv = store_now(sim);
    if (kv->leader.exists && rng_chance(&sim->rng, 550))
        return kv->leader.owner;
    return (int)rng_range(&sim->rng, 0, sim->n - 1);
}

static int draw_kind(struct sim *sim)
{
    int focused = focus_draw_fault(sim->focus, &sim->rng);
    if (focused >= 0)
        return focused;
    int sum = 0;
    for (int i = 0; i < fault_kinds_n(); i++)
        sum += fault_kinds[i].weight;
    int64_t at = rng_range(&sim->rng, 0, sum - 1);
    int kind = 0;
    while (at >= fault_kinds[kind].weight)
        at -= fault_kinds[kind++].weight;
    return kind;
}

static void begin_fault(struct sim *sim, struct fault *fault, int64_t healed_us);

/* What ends is often followed by worse, at once: then the leader is cut off. arg: kind and when this
 * round is healed, target, the fault's own. */
static void on_end(struct sim *sim, const struct event *event)
{
    struct fault fault = { .kind = (int)(event->arg[0] & 0xff),
                           .target = (int)event->arg[1],
                           .a = event->arg[2],
                           .b = event->arg[3] };
    int64_t healed_us = event->arg[0] >> 8;
    say_line(sim, fault.target, "FAULT ENDS: %s", fault_kinds[fault.kind].name);
    fault_kinds[fault.kind].end(sim, &fault);
    const struct kv *kv = store_now(sim);
    if (sim->now_us >= healed_us - SECONDS(2) || !kv->leader.exists || !rng_chance(&sim->rng, 150))
        return;
    struct fault worse = { .kind = PARTITIONED, .target = kv->leader.owner };
    begin_fault(sim, &worse, healed_us);
}

static void begin_fault(struct sim *sim, struct fault *fault, int64_t healed_us)
{
    const struct fault_kind *kind = &fault_kinds[fault->kind];
    sim->counters.fault[fault->kind]++;
    say_line(sim, fault->target, "FAULT: %s", kind->name);
    if (fault->kind == PARTITIONED)
        (void)kind->begin(sim, fault);
    if (kind->end == NULL)
        return;
    int64_t ends = sim->now_us + MS(rng_tail(&sim->rng, kind->shortest_ms, kind->longest_ms));
    if (ends > healed_us)
        ends = healed_us;
    struct event end = {
        .fn = on_end,
        .host = HOST_NONE,
        .arg = { fault->kind | healed_us << 8, fault->target, fault->a, fault->b },
    };
    sim_at(sim, ends - sim->now_us, &end);
}

/* arg[0]: when this round is healed. What was not possible in time is left out: its end would overtake
 * its beginning. */
static void on_begin(struct sim *sim, const struct event *event)
{
    struct fault fault = { .kind = draw_kind(sim), .target = draw_target(sim) };
    if (fault.kind != PARTITIONED && !fault_kinds[fault.kind].begin(sim, &fault)) {
        if (sim->now_us < event->arg[0] - SECONDS(2))
            sim_at(sim, MS(200), event);
        return;
    }
    begin_fault(sim, &fault, event->arg[0]);
}

static void on_healed(struct sim *sim, const struct event *event)
{
    (void)event;
    sim->healed_us = sim->now_us;
    sim->healed_primary = sim->healed_copies = false;
    fault_person_looks(sim);
    say_line(sim, -1, "everything is healed");
}

static void on_round(struct sim *sim, const struct event *event)
{
    int64_t ends = event->arg[0];
    sim->healed_us = 0;
    for (int64_t i = 0; i < event->arg[1]; i++) {
        struct event begin = { .fn = on_begin, .host = HOST_NONE, .arg = { ends } };
        sim_at(sim, rng_range(&sim->rng, 0, ends - sim->now_us - SECONDS(2)), &begin);
    }
    struct event healed = { .fn = on_healed, .host = HOST_NONE };
    sim_at(sim, ends - sim->now_us + MS(1), &healed);
}

void faults_plan(struct sim *sim)
{
    int64_t first = rng_chance(&sim->rng, 200) ? SECONDS(2) : SECONDS(28);
    struct event round = { .fn = on_round,
                           .host = HOST_NONE,
                           .arg = { SECONDS(100), rng_range(&sim->rng, 4, 8) } };
    sim_at(sim, first, &round);
    round.arg[0] = SECONDS(212);
    round.arg[1] = rng_range(&sim->rng, 1, 4);
    sim_at(sim, SECONDS(188), &round);
}
