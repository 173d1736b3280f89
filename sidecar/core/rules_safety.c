/* Who may accept writes. These rules come first: they take away, they never give. */
#include <string.h>

#include "sidecar/core/rules.h"

/* Part 3: "After a lost guard the sidecar itself kills the whole tree and counts it gone by the rule
 * of G1; until then it neither renews nor releases. A dead guard is a dead postmaster." */
bool rule_guard_dead(const struct view *view, struct decision *decision)
{
    if (!view->guard.dead || !view->guard.tree_alive)
        return false;
    return say(decision, ACT_FENCE, "the guard is gone; what it started must not go on");
}

/* The guard's cookie and the key agree: the same holding, known to a process that is no more. */
static bool cookie_is_key(const struct view *view)
{
    return view->guard.lease_id != 0 && view->store.leader_exists &&
           strcmp(view->store.leader, view->self) == 0 &&
           view->store.leader_lease == view->guard.lease_id &&
           view->store.leader_create_revision == view->guard.create_revision;
}

static bool guard_deadline_lives(const struct view *view)
{
    return view->guard.has_deadline && mono_before(view->now, view->guard.deadline);
}

/* L5: "A restarted sidecar takes over a running postmaster without restarting it, if it adopts the
 * key (L7) in time; else the guard ends it." */
bool rule_adopt(const struct view *view, struct decision *decision)
{
    if (view->lease.owns_key || !view->guard.tree_alive ||
        !(view->guard.lifted || guard_deadline_lives(view)))
        return false;
    if (!view->store.loaded) {
        if (!view_is_primary(view))
            return false;
        return say(decision, ACT_WAIT,
                   "a primary of the former process runs under the guard's "
                   "deadline; the store is not read yet");
    }
    if (!cookie_is_key(view))
        return false;
    return say(decision, ACT_ADOPT, "the guard's cookie and the leader key agree");
}

/* L6, L8: etcd may end our lease while it is away, and with it the key. Nobody else may take it, so that
 * the primary goes on and takes it anew. */
bool rule_retake(const struct view *view, struct decision *decision)
{
    if (!view->guard.connected || !view->store.loaded || !view->store.reachable ||
        !view_may_retake(view))
        return false;
    if (view->lease.id == 0)
        return say(decision, ACT_WAIT, "the leader key is gone; waiting for a lease to take it");
    return say(decision, ACT_RETAKE, "the leader key is gone and nobody else may take it: %s",
               view->guard.lifted ? "the last leader runs without a deadline"
                                  : "every member of /failsafe has promised");
}

/* The watch may show our key before the reply to our own taking. */
static bool shows_our_try(const struct view *view)
{
    return view->store.leader_exists && view->lease.tried != 0 &&
           view->store.leader_lease == view->lease.tried;
}

/* L8: "nobody takes the key except on a person's `failover`": where that happened the lift must not
 * keep the former primary running. */
static bool was_replaced(const struct view *view)
{
    const struct store_view *store = &view->store;
    if (view->lease.owns_key || !store->loaded)
        return false;
    if (!store->leader_exists)
        return store->reachable && !view_may_retake(view);
    return view_other_leads(view) || (store->reachable && !shows_our_try(view));
}

/* A new process does not know yet what its Postgres is. The guard does: a primary is started, and a
 * standby promoted, under a deadline only, and that goes away with the child or by a lift (L4, L7). */
static bool never_had_a_deadline(const struct view *view)
{
    const struct guard_view *guard = &view->guard;
    return view->pg.state != PG_UP && !guard->has_deadline && !guard->lifted;
}

/* I1. The guard kills at the deadline by itself (L3); this is the second line, and needs the guard's
 * ear. */
bool rule_primary_without_key(const struct view *view, struct decision *decision)
{
    if (!view->guard.connected || !view_is_primary(view) || never_had_a_deadline(view))
        return false;
    if (view_holds_lease(view) && !was_replaced(view))
        return false;
    return say(decision, ACT_FENCE, "running as primary without a lease that holds");
}

/* L2: "A primary that cannot renew starts an orderly demotion when less than margin + max(1 s,
 * ttl/10) is left, and is read-only before the lease ends." */
bool rule_demote_before_expiry(const struct view *view, struct decision *decision)
{
    if (!view->guard.connected || !view_is_primary(view) || never_had_a_deadline(view))
        return false;
    int64_t left_ms = lease_left_ms(&view->lease, view->now);
    if (left_ms >= lease_demote_ms(view->policy.ttl_ms, view->policy.cpu_limited))
        return false;
    return say(decision, ACT_DEMOTE, "the lease could not be renewed, %d ms are left",
               (int)left_ms);
}

/* Our lease bars everybody else: from a key that is not there, or by a key that we do not hold (etcd
 * was set back). */
static bool bars_the_key(const struct view *view)
{
    const struct store_view *store = &view->store;
    if (view->lease.id == 0)
        return false;
    if (store->leader_exists)
        return store->leader_lease == view->lease.id;
    return store->holder.exists && !store->holder.released &&
           store->holder.lease_id == view->lease.id;
}

/* L7: "A holder whose key vanished gives that lease up as soon as its Postgres is down." A standby
 * under a deadline may be on its way to become primary: it is stopped first. A key that is just being
 * taken anew (L6, L8) is left alone while its reply may come (decide_interrupts), then given up. */
bool rule_key_vanished(const struct view *view, struct decision *decision)
{
    bool lost = view->lease.owns_key ? !view_self_leads(view) : bars_the_key(view);
    if (!lost || view_may_retake(view) || !view->store.loaded || !view->store.reachable)
        return false;
    if ((view->lease.keyless || view->lease.lifted) && shows_our_try(view))
        return say(decision, ACT_ABANDON, "the leader key was taken anew and nobody told us");
    if (view_is_primary(view) || (view->guard.tree_alive && view->guard.has_deadline))
        return say(decision, ACT_DEMOTE, "the leader key is not ours any more");
    return say(decision, ACT_ABANDON, "the leader key is not ours any more and Postgres %s",
               view->guard.tree_alive ? "is a standby" : "is down");
}

/* L1: a renewal counts only if the one before still held. What has run out cannot be renewed: the key
 * is given back, and whoever is fit takes it anew. */
bool rule_holding_ran_out(const struct view *view, struct decision *decision)
{
    if (!view->lease.owns_key || !view->lease.held_once || view_holds_lease(view))
        return false;
    if (view_is_primary(view) || !view->store.reachable)
        return false;
    return say(decision, ACT_RELEASE, "our holding of the key has run out; it is given back");
}
