/* Reasons to do nothing now, each said in words that a person finds in REST and log. */
#include <string.h>

#include "sidecar/core/history.h"
#include "sidecar/core/rules.h"
#include "sidecar/core/sync.h"

/* A stop that no plan watches any more (the process that began it is no more) is ended after this. */
enum { STOPPING_MAX_MS = 30000 };
/* A start without the leader's WAL is given this long before it is told of the leader. */
enum { STARTING_FOLLOW_MS = 1000 };

/* A5: observe always, act only with a clear head. */
bool rule_dizzy(const struct view *view, struct decision *decision)
{
    if (view->clear_head)
        return false;
    return say(decision, ACT_WAIT, "the process stood still or the clocks disagree: looking again");
}

bool rule_guard_away(const struct view *view, struct decision *decision)
{
    if (view->guard.connected)
        return false;
    return say(decision, ACT_WAIT, "no guard is connected (yet); its deadline protects the data");
}

bool rule_store_unread(const struct view *view, struct decision *decision)
{
    if (view->store.loaded)
        return false;
    return say(decision, ACT_WAIT, "etcd has not answered yet: nothing is known of the cluster");
}

bool rule_store_away(const struct view *view, struct decision *decision)
{
    if (view->store.reachable)
        return false;
    if (view_is_primary(view) && view->guard.lifted)
        return say(decision, ACT_WAIT,
                   "etcd does not answer; the cluster is paused: primary without a deadline");
    if (view_is_primary(view) && mono_before(view->now, view->lease.promised_until))
        return say(decision, ACT_WAIT,
                   "etcd does not answer; primary while every member of /failsafe acknowledges it");
    if (view_is_primary(view))
        return say(decision, ACT_WAIT,
                   "etcd does not answer; primary until the lease ends, %d ms "
                   "left",
                   (int)lease_left_ms(&view->lease, view->now));
    return say(decision, ACT_WAIT, "etcd does not answer (no quorum?): nothing is decided");
}

static bool everybody_shows_pause(const struct view *view)
{
    for (size_t i = 0; i < view->store.n_peers; i++)
        if (view->store.peers[i].has_key && !view->store.peers[i].member.pause)
            return false;
    return view->store.self_paused;
}

/* L8: "the guard's deadline is lifted only after every member's key has shown `pause: true`". The
 * holder record says so first: it outlives the key. */
bool rule_lift(const struct view *view, struct decision *decision)
{
    if (!view->policy.pause || !view_is_primary(view) || view->pg.state != PG_UP ||
        !view_self_leads(view) || !view_holds_lease(view))
        return false;
    if (view->guard.lifted || !everybody_shows_pause(view))
        return false;
    return say(decision, ACT_LIFT,
               "every member shows the pause: Postgres runs on whatever becomes of etcd");
}

/* The one that ran without a deadline is down, and this is its data directory, or its very process. */
static bool was_lifted_here(const struct view *view)
{
    const struct lease_holder *holder = &view->store.holder;
    if (view->guard.tree_alive || view_other_leads(view))
        return false;
    bool same_process = holder->lease_id != 0 && (holder->lease_id == view->lease.id ||
                                                  holder->lease_id == view->lease.tried);
    return same_process || (strcmp(holder->name, view->self) == 0 && view->pg.was_primary &&
                            view->pg.dir == DATA_DIR_VALID);
}

/* L8: "until the last leader itself has seen the pause end, nobody takes the key". What is down runs
 * without a deadline no longer, pause or not: said before anything is started there, which would take the
 * trace of it away (a person's failover goes through in pause). */
bool rule_lift_over(const struct view *view, struct decision *decision)
{
    const struct lease_holder *holder = &view->store.holder;
    if (!holder->exists || !holder->lifted || holder->released)
        return false;
    if (was_lifted_here(view))
        return say(decision, ACT_UNLIFT, "what ran without a deadline is down");
    if (view->policy.pause || !view_self_leads(view))
        return false;
    return say(decision, ACT_UNLIFT, "the pause is over: the lease counts again");
}

/* L8: in pause nobody races and nothing is started or stopped. What a person asks for goes through, once
 * it is due. */
bool rule_pause(const struct view *view, struct decision *decision)
{
    bool failover = view->store.failover.exists && view->store.failover.due;
    if (!view->policy.pause || failover || view->orders.restart || view->orders.reinit)
        return false;
    return say(decision, ACT_WAIT, "the cluster is paused");
}

/* Part 6: a wrong system identifier keeps out, says why, and deletes nothing. */
bool rule_foreign_system(const struct view *view, struct decision *decision)
{
    if (view->store.initialize == 0 || view->pg.system_id == 0 ||
        view->pg.system_id == view->store.initialize)
        return false;
    if (view->pg.dir == DATA_DIR_FRESH)
        return false;
    return say(decision, ACT_WAIT,
               "the data directory belongs to another cluster (system identifier %llu, the "
               "cluster's is %llu): staying out; reinit this member to replace its data",
               (unsigned long long)view->pg.system_id, (unsigned long long)view->store.initialize);
}

/* G1: nothing is decided about a tree that is on its way out until the guard says that it is gone. */
bool rule_stopping(const struct view *view, struct decision *decision)
{
    if (!view->guard.tree_alive || view->pg.state != PG_STOPPING)
        return false;
    int64_t for_ms = mono_diff(view->now, view->pg.state_since);
    if (for_ms > STOPPING_MAX_MS)
        return say(decision, ACT_FENCE,
                   "Postgres has been stopping for %d s: a backend does not end",
                   (int)(for_ms / 1000));
    return say(decision, ACT_WAIT, "Postgres is stopping");
}

/* A standby that is not consistent yet needs WAL that only the leader of now may have. */
static bool starts_behind_another(const struct view *view)
{
    return view->pg.in_recovery && !view->lease.owns_key && view_other_leads(view) &&
           view_peer(view, view->store.leader) != NULL &&
           strcmp(view->pg.upstream, view->store.leader) != 0;
}

/* A start may take as long as crash recovery takes; only where another node could lead at once is it
 * cut short after primary_start_timeout. */
bool rule_starting(const struct view *view, struct decision *decision)
{
    if (!view->guard.tree_alive || view->pg.state != PG_STARTING)
        return false;
    int64_t for_ms = mono_diff(view->now, view->pg.state_since);
    if (view->lease.owns_key && !view->pg.in_recovery &&
        for_ms > view->policy.primary_start_timeout_ms && view_ready_successor(view) != NULL)
        return say(decision, ACT_FENCE, "the primary has been starting for %d s and %s is ready",
                   (int)(for_ms / 1000), view_ready_successor(view)->member.name);
    if (starts_behind_another(view) && for_ms > STARTING_FOLLOW_MS) {
        text_into(decision->peer, view->store.leader);
        return say(decision, ACT_FOLLOW, "a standby is starting without the leader %s",
                   view->store.leader);
    }
    return say(decision, ACT_WAIT, "Postgres is starting");
}

bool rule_data_unknown(const struct view *view, struct decision *decision)
{
    if (view->guard.tree_alive || view->pg.dir != DATA_DIR_UNKNOWN)
        return false;
    return say(decision, ACT_WAIT, "Postgres is down; looking at its data directory");
}

/* S5: "Acknowledging with one copy is visible at once"; strict mode blocks, and says so. */
static bool lead(const struct view *view, struct decision *decision)
{
    char why[LIMIT_REASON];
    if (view->pg.ssn == SSN_NOBODY)
        return say(decision, ACT_WAIT,
                   "leading; no commit is acknowledged until a standby is "
                   "synchronous (synchronous_mode_strict)");
    const struct late *late = sync_late(view);
    if (view->pg.ssn != SSN_NAMES && late != NULL)
        return say(
            decision, ACT_WAIT,
            "leading; commits are acknowledged with one copy: %s streams but did not confirm "
            "in time (%u in a row); next try when it has flushed, else later",
            late->name, late->times);
    if (view->pg.ssn != SSN_NAMES)
        return say(decision, ACT_WAIT, "leading; commits are acknowledged with one copy");
    if (sync_keep(view, why).n < view->store.sync.standbys.n)
        return say(decision, ACT_WAIT,
                   "leading; no commit is acknowledged "
                   "(synchronous_mode_strict): %s",
                   why);
    return say(decision, ACT_WAIT, "leading");
}

/* The last rule always applies. */
bool rule_idle(const struct view *view, struct decision *decision)
{
    if (view_is_primary(view))
        return lead(view, decision);
    if (view_other_leads(view) && view->pg.wal_missing)
        return say(decision, ACT_WAIT,
                   "%s does not have the WAL any more that this member needs next%s: staying out; "
                   "reinit this member to replace its data",
                   view->store.leader, view->pg.archive ? ", nor has the archive brought it" : "");
    if (view_other_leads(view))
        return say(decision, ACT_WAIT,
                   view->pg.streaming ? "streaming from %s" : "not streaming from %s",
                   view->store.leader);
    return say(decision, ACT_WAIT, "nothing to do");
}
