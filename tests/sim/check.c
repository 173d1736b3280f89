/* The invariants, looked at when something that they speak of changes. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/sim/sim.h"

enum { THAW_US = 250000 }; /* what a guard may need to be scheduled and to kill */

void check_broken(struct sim *sim, const char *invariant, const char *format, ...)
{
    if (sim->broken != NULL)
        return;
    sim->broken = invariant;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sim->broken_why, sizeof(sim->broken_why), format, args);
    va_end(args);
    say_line(sim, -1, "BROKEN %s: %s", invariant, sim->broken_why);
}

/* ---- I1 ------------------------------------------------------------------------------- */

/* "One exception: a node that was stopped as a whole and goes on may run for as long as its guard
 * needs to be scheduled." */
static bool excused(const struct sim *sim, int node)
{
    const struct host *host = &sim->host[node];
    if (host->frozen[PROC_GUARD] && host->frozen[PROC_POSTGRES])
        return true;
    return host->thawed_us != 0 && sim->now_us - host->thawed_us < THAW_US;
}

/* What a thawed node had begun while it led; its guard ends it. Another leads, or did last and its
 * key is gone already; where nobody has led since, nothing is excused. */
static bool begun_before(const struct sim *sim, int node)
{
    const struct kv *kv = store_now(sim);
    int leads = kv->leader.exists ? kv->leader.owner : sim->last_leader;
    return excused(sim, node) && leads != NODE_NONE && leads != node;
}

/* A key that came back with a restored store is nobody's; its process does not take it for its own. */
static bool held(const struct sim *sim)
{
    const struct kv *kv = store_now(sim);
    return kv->leader.exists && (sim->restored_rev == 0 || kv->leader.create > sim->restored_rev);
}

void check_key(struct sim *sim)
{
    const struct kv *kv = store_now(sim);
    if (!held(sim))
        return;
    for (int i = 0; i < sim->n; i++)
        if (i != kv->leader.owner && pg_writable(&sim->pg[i]) && !excused(sim, i))
            check_broken(sim, "I1", "%s holds the leader key while %s accepts writes",
                         node_name(kv->leader.owner), node_name(i));
}

static void check_owner(struct sim *sim, int node)
{
    const struct kv *kv = store_now(sim);
    if (held(sim) && kv->leader.owner != node && !excused(sim, node))
        check_broken(sim, "I1", "%s begins to accept writes while %s holds the leader key",
                     node_name(node), node_name(kv->leader.owner));
    for (int i = 0; i < sim->n; i++)
        if (i != node && pg_writable(&sim->pg[i]) && !excused(sim, i) && !excused(sim, node))
            check_broken(sim, "I1", "%s and %s accept writes", node_name(node), node_name(i));
}

static void on_thawed(struct sim *sim, const struct event *event)
{
    int node = (int)event->arg[0];
    const struct kv *kv = store_now(sim);
    if (held(sim) && kv->leader.owner != node && pg_writable(&sim->pg[node]) && !excused(sim, node))
        check_broken(sim, "I1", "%s was thawed and still accepts writes while %s leads",
                     node_name(node), node_name(kv->leader.owner));
}

void check_thawed(struct sim *sim, int host)
{
    struct event event = { .fn = on_thawed, .host = HOST_NONE, .arg = { host } };
    sim_at(sim, THAW_US + MS(1), &event);
}

/* ---- S1, S4, S7, what was acknowledged -------------------------------------------------- */

static bool counts(const struct sim *sim)
{
    return sim->sync_on && !sim->tainted;
}

static bool has(const struct sim *sim, int node, int branch, lsn_t lsn)
{
    const struct pg *pg = &sim->pg[node];
    return lsn == LSN_NONE || wal_contains(sim, pg->branch, pg->flush, branch, lsn);
}

static node_set named(const struct kv *kv)
{
    return kv->sync.exists ? kv->sync.standbys | (node_set)(1u << kv->sync.leader) : 0;
}

bool check_acked(struct sim *sim, int node, lsn_t lsn)
{
    node_set members = named(store_now(sim));
    /* A person gave up what this node has while it stood still. */
    if (sim->loss_forgiven && excused(sim, node))
        return false;
    if (!counts(sim) || sim->restored) /* the /sync of long ago speaks of nobody now */
        return true;
    for (int i = 0; i < sim->n; i++)
        if ((members >> i & 1) && !sim->pg[i].lost && !has(sim, i, sim->pg[node].branch, lsn))
            check_broken(sim, "S1", "%s acknowledged %llu, which %s in /sync lacks (it has %llu)",
                         node_name(node), (unsigned long long)lsn, node_name(i),
                         (unsigned long long)sim->pg[i].flush);
    return true;
}

void check_sync(struct sim *sim)
{
    node_set members = named(store_now(sim));
    if (!counts(sim) || sim->restored) /* the /sync of long ago speaks of nobody now */
        return;
    for (int i = 0; i < sim->n; i++) {
        if (!(members >> i & 1) || sim->pg[i].lost)
            continue;
        for (int b = 0; b < sim->n_branches; b++)
            if (!has(sim, i, b, sim->branch[b].acked))
                check_broken(sim, "S1", "/sync names %s, which lacks acknowledged %llu",
                             node_name(i), (unsigned long long)sim->branch[b].acked);
    }
}

static void check_lost(struct sim *sim, int node)
{
    /* A volume that was set back to after the confirmed position: what came later is lost with it. */
    if (sim->pg[node].lost)
        sim->tainted = true;
    for (int b = 0; counts(sim) && b < sim->n_branches; b++)
        if (!has(sim, node, b, sim->branch[b].acked))
            check_broken(sim, "lost",
                         "%s accepts writes and lacks acknowledged %llu of timeline %u",
                         node_name(node), (unsigned long long)sim->branch[b].acked,
                         sim->branch[b].timeline.tli);
}

static bool looks_contained(const struct sim *sim, int node)
{
    const struct kv *kv = store_now(sim);
    return timeline_contains(&sim->branch[sim->pg[node].branch].timeline,
                             &sim->branch[kv->confirmed.branch].timeline, kv->confirmed.lsn);
}

static void check_confirmed(struct sim *sim, int node)
{
    const struct kv *kv = store_now(sim);
    /* Where a loss was accepted two timelines may look alike (repl.c); S7 compares what they look like. */
    bool alike = !counts(sim) || sim->loss_forgiven;
    if (kv->confirmed.exists && kv->confirmed.mod != sim->forgiven_mod &&
        !(alike && looks_contained(sim, node)) &&
        !has(sim, node, kv->confirmed.branch, kv->confirmed.lsn))
        check_broken(sim, "S7", "%s becomes primary without the confirmed position %llu",
                     node_name(node), (unsigned long long)kv->confirmed.lsn);
}

/* L4: the guard has acknowledged a deadline for the lease of the key. */
static void check_guarded(struct sim *sim, int node)
{
    const struct guard *guard = &sim->guard[node];
    const struct deadline *deadline = guard->blind ? &guard->former : &guard->deadline;
    if (guard->alive && !deadline->has && !deadline->passed && !deadline->lifted) /* L8 */
        check_broken(sim, "L4", "%s becomes primary without a deadline in its guard",
                     node_name(node));
}

void check_writable(struct sim *sim, int node)
{
    check_owner(sim, node);
    if (begun_before(sim, node))
        return;
    check_lost(sim, node);
    check_confirmed(sim, node);
    check_guarded(sim, node);
}

void check_promoting(struct sim *sim, int node)
{
    const struct kv *kv = store_now(sim);
    if (sim->sync_on && !sim->tainted && !begun_before(sim, node) &&
        (!kv->sync.exists || kv->sync.leader != node || kv->sync.standbys != 0))
        check_broken(sim, "S4", "%s promotes while /sync is not {leader: %s, no standbys}",
                     node_name(node), node_name(node));
}

/* G2: by itself, within the grace; whoever stood still could not. */
void check_stopped(struct sim *sim, int node)
{
    const struct host *host = &sim->host[node];
    bool stood = host->frozen[PROC_GUARD] || host->thawed_us > sim->guard[node].stop_began_us;
    if (pg_tree_alive(&sim->pg[node]) && !sim->guard[node].blind && !stood)
        check_broken(sim, "G2", "the grace of %s is over and Postgres still runs", node_name(node));
}

/* S2: "a member clones only while /sync does not name it". */
void check_replaced(struct sim *sim, int node)
{
    if (sim->restored) /* the /sync of long ago speaks of nobody now */
        return;
    if (named(store_now(sim)) >> node & 1)
        check_broken(sim, "S2", "the data of %s are replaced while /sync names it",
                     node_name(node));
}

/* Part 6: nothing is removed for a leader that only its keys still tell of. */
void check_leader_lived(struct sim *sim, int node)
{
    const struct runner *runner = &sim->node[node].runner;
    int leader = node_index(runner->plan.steps[runner->plan.n - 1].name);
    const struct pg *pg = &sim->pg[leader];
    bool leads = pg->state == PG_UP && !pg->in_recovery;
    if (!leads && pg->since_us < runner->began_us)
        check_broken(sim, "kept", "the data of %s are removed, and the server of %s is no more",
                     node_name(node), node_name(leader));
}

/* The person who asked for this failover gave up what the new leader lacks. */
void check_forgive(struct sim *sim, int node)
{
    const struct pg *pg = &sim->pg[node];
    sim->forgiven_mod = store_now(sim)->confirmed.mod;
    sim->loss_forgiven = true;
    sim->counters.forgiven++;
    for (int b = 0; b < sim->n_branches; b++) {
        struct branch *branch = &sim->branch[b];
        if (has(sim, node, b, branch->acked))
            continue;
        lsn_t common = wal_common(sim, pg->branch, pg->flush, b, branch->acked);
        branch->acked = common > branch->fork ? common : LSN_NONE;
    }
}

void check_taken(struct sim *sim, const struct txn *txn)
{
    int node = txn->node;
    const struct kv *kv = store_now(sim);
    /* L6, L8: a primary takes anew what vanished. As it was sent: nothing calls it back on its way,
     * and where the guard ends Postgres meanwhile nobody has raced, if it was the last leader. */
    bool anew = txn->anew && sim->last_leader == node;
    sim->counters.retakes += anew;
    if (kv->config.exists && kv->config.pause && !kv->failover.exists && !anew)
        check_broken(sim, "L8", "%s takes the key while the cluster is paused", node_name(node));
    if (sim->last_leader != node && sim->last_leader != NODE_NONE)
        sim->counters.leader_changes++;
    sim->last_leader = node;
    say_line(sim, -1, "etcd: %s leads", node_name(node));
}

/* ---- liveness --------------------------------------------------------------------------- */

static int leading_primary(const struct sim *sim)
{
    const struct kv *kv = store_now(sim);
    if (!kv->leader.exists)
        return NODE_NONE;
    const struct pg *pg = &sim->pg[kv->leader.owner];
    return pg_writable(pg) && pg->postmaster && pg->state == PG_UP ? kv->leader.owner : NODE_NONE;
}

/* S5: "losing the standby stalls writes for at most ttl + 1 s plus the checkpointer's reload". */
static void check_stall(struct sim *sim)
{
    int primary = leading_primary(sim);
    for (int i = 0; i < sim->n; i++) {
        const struct pg *pg = &sim->pg[i];
        const struct node *node = &sim->node[i];
        bool stuck = i == primary && pg->n_waiters > 0 && !sim->strict && node->alive &&
                     node->view.store.reachable && sim_lives(sim, i, PROC_SIDECAR) &&
                     sim->now_us > pg->checkpointer_busy_us && !node->view.policy.pause &&
                     sim->now_us - pg->moved_us > MS(sim->ttl_ms) && sim->loss_permille == 0;
        if (!stuck)
            sim->stalled_us[i] = sim->now_us;
        else if (sim->now_us - sim->stalled_us[i] > SECONDS(20))
            check_broken(sim, "S5", "writes on %s have been waiting for %lld s", node_name(i),
                         (long long)((sim->now_us - pg->moved_us) / 1000000));
    }
}

static void check_healed(struct sim *sim)
{
    int64_t since = sim->now_us - sim->healed_us;
    bool copies =
        !sim->sync_on || store_now(sim)->config.sync_off || store_now(sim)->sync.standbys != 0;
    sim->healed_primary = sim->healed_primary || leading_primary(sim) != NODE_NONE;
    sim->healed_copies = sim->healed_copies || copies;
    if (since > MS(3 * sim->ttl_ms) + SECONDS(30) && !sim->healed_primary)
        check_broken(sim, "liveness", "no primary accepts writes %lld s after healing",
                     (long long)(since / 1000000));
    if (since > MS(3 * sim->ttl_ms) + SECONDS(55) && !sim->healed_copies)
        check_broken(sim, "liveness", "no synchronous standby %lld s after healing",
                     (long long)(since / 1000000));
}

void check_tick(struct sim *sim)
{
    check_stall(sim);
    if (sim->healed_us != 0)
        check_healed(sim);
}
