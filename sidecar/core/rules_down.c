/* Postgres is down and nothing of its tree is left (G1). */
#include <string.h>

#include "sidecar/core/history.h"
#include "sidecar/core/rules.h"

enum {
    START_FAILURES_MAX = 3,
    SUCCESSOR_MS = 2000, /* a takeover that takes longer may not come */
    HISTORY_MS = 5000,   /* a new leader writes its history as soon as it is primary */
};

static bool down(const struct view *view)
{
    return !view->guard.tree_alive;
}

static bool down_with_key(const struct view *view)
{
    return down(view) && view->lease.owns_key;
}

static bool down_without_key(const struct view *view)
{
    return down(view) && !view->lease.owns_key;
}

/* Part 6: "postmaster of the primary dies, a sync standby is ready: key released at once". */
bool rule_release_to_successor(const struct view *view, struct decision *decision)
{
    if (!down_with_key(view) || view->policy.pause)
        return false;
    const struct peer *successor = view_ready_successor(view);
    if (successor == NULL)
        return false;
    return say(decision, ACT_RELEASE, "Postgres is gone and %s is ready to take over",
               successor->member.name);
}

static bool may_start(const struct view *view)
{
    return view->pg.dir == DATA_DIR_VALID && !view->pg.rewinding &&
           view->pg.start_failures < START_FAILURES_MAX;
}

/* S7 before a restart in place: pg_control of a crashed primary tells its checkpoint, not where its WAL
 * ends. That is read, not believed: a disk may have lost what it said to be on it. */
bool rule_read_wal(const struct view *view, struct decision *decision)
{
    if (!down_with_key(view) || !may_start(view) || !view_may_have_confirmed(view))
        return false;
    return say(decision, ACT_READ_WAL,
               "nobody else can take over: does our WAL reach what the cluster has confirmed?");
}

bool rule_release_without_data(const struct view *view, struct decision *decision)
{
    if (!down_with_key(view) || view->pg.dir == DATA_DIR_UNKNOWN)
        return false;
    if (may_start(view) && view_has_confirmed(view))
        return false;
    if (view->pg.dir != DATA_DIR_VALID || view->pg.rewinding)
        return say(decision, ACT_RELEASE, "we hold the key and have no usable data directory");
    if (!view_has_confirmed(view))
        return say(decision, ACT_RELEASE, "our data lacks what the cluster has confirmed (S7)");
    return say(decision, ACT_RELEASE, "Postgres did not start, %u times in a row",
               view->pg.start_failures);
}

/* Part 6: "postmaster dies, nobody can take over: restart in place, keep the key". */
bool rule_restart_in_place(const struct view *view, struct decision *decision)
{
    if (!down_with_key(view) || view->pg.dir != DATA_DIR_VALID)
        return false;
    if (!view->pg.was_primary)
        return say(decision, ACT_START_STANDBY, "we hold the key and were not promoted yet");
    return say(decision, ACT_START_PRIMARY, "Postgres is gone and nobody else can take over");
}

bool rule_data_broken(const struct view *view, struct decision *decision)
{
    if (!down_without_key(view) || view->pg.dir != DATA_DIR_BROKEN)
        return false;
    return say(decision, ACT_WAIT,
               "the data directory is not usable: staying out; nothing is "
               "deleted; see the log for what was found");
}

static bool empty(const struct view *view)
{
    return down_without_key(view) &&
           (view->pg.dir == DATA_DIR_EMPTY || view->pg.dir == DATA_DIR_FRESH);
}

/* Part 6: "empty cluster: one node wins `initialize` (held under its lease while empty, replaced by
 * the system id)". A complete initdb whose id stands there already is ours to finish. */
bool rule_bootstrap(const struct view *view, struct decision *decision)
{
    const struct store_view *store = &view->store;
    if (!empty(view) || store->leader_exists || !view->policy.may_bootstrap || view->policy.pause)
        return false;
    if (store->initialize_exists && store->initialize != 0) {
        if (view->pg.dir != DATA_DIR_FRESH || view->pg.system_id != store->initialize ||
            !lease_may_take(&store->holder, view->lease.id) || store->holder.lifted)
            return false;
        return say(decision, ACT_BOOTSTRAP, "our initdb was chosen and waits to be put in place");
    }
    if (store->initialize_exists && store->initialize_lease != view->lease.id)
        return say(decision, ACT_WAIT, "another node is making the cluster");
    if (store->sync.exists || store->config_exists || view->lease.id == 0 ||
        (!store->same_cluster && !view->accept_restored))
        return false;
    return say(decision, ACT_BOOTSTRAP, "the cluster is empty");
}

static bool leader_is_primary(const struct view *view)
{
    const struct peer *leader = view_peer(view, view->store.leader);
    return view_other_leads(view) && leader != NULL && leader->has_key &&
           leader->member.role == MEMBER_ROLE_PRIMARY && leader->member.state == MEMBER_RUNNING;
}

/* S2: "A member clones only while /sync does not name it". */
static bool wait_for_sync_to_drop_us(const struct view *view, struct decision *decision)
{
    if (!sync_names(&view->store.sync, view->self))
        return false;
    return say(decision, ACT_WAIT,
               "/sync still names this member; it must be dropped there before "
               "its data may be replaced");
}

bool rule_clone(const struct view *view, struct decision *decision)
{
    if (!empty(view) || !leader_is_primary(view) || view->policy.pause ||
        !view->store.config_exists) /* written last by the bootstrap: roles are there */
        return false;
    if (wait_for_sync_to_drop_us(view, decision))
        return true;
    text_into(decision->peer, view->store.leader);
    return say(decision, ACT_CLONE, "the data directory is empty and %s leads", view->store.leader);
}

bool rule_empty_waits(const struct view *view, struct decision *decision)
{
    if (!empty(view))
        return false;
    if (view->store.leader_exists)
        return say(decision, ACT_WAIT,
                   "the data directory is empty; waiting until %s accepts "
                   "connections",
                   view->store.leader);
    return say(decision, ACT_WAIT,
               "the data directory is empty and nobody leads: waiting for a "
               "member that has the cluster's data");
}

/* A person's order; the data goes only after /sync has let go of this member. */
bool rule_reinit(const struct view *view, struct decision *decision)
{
    if (!view->orders.reinit || view->lease.owns_key || !leader_is_primary(view))
        return false;
    text_into(decision->peer, view->store.leader);
    return say(decision, ACT_RECLONE, "a person asked to clone this member again");
}

/* Part 6: "compare the content of timeline histories and switch LSNs, not numbers; follow, or
 * pg_rewind, or (if allowed) clone again; never guess". */
bool rule_rewind_stopped(const struct view *view, struct decision *decision)
{
    if (!down_without_key(view) || view->pg.dir != DATA_DIR_VALID || !view_other_leads(view))
        return false;
    if (view->pg.was_primary && !leader_is_primary(view))
        return say(decision, ACT_WAIT, "we were primary; waiting until %s is, to compare",
                   view->store.leader);
    enum history_verdict verdict = history_against_leader(view);
    if (verdict == HISTORY_SAME)
        return false;
    if (verdict == HISTORY_UNKNOWN && !view->pg.was_primary && view->pg.start_failures == 0)
        return false; /* a standby finds out by streaming */
    if (verdict == HISTORY_UNKNOWN && view->pg.clean_stop && !history_is_told(view) &&
        mono_diff(view->now, view->pg.state_since) < HISTORY_MS)
        return say(decision, ACT_WAIT, "waiting for the history of %s, to compare",
                   view->store.leader);
    return history_mend(view, decision, verdict);
}

/* The key was left to a successor, which is primary in a moment: histories are compared then, before
 * the start, which would only get in its way. */
bool rule_successor_comes(const struct view *view, struct decision *decision)
{
    if (!down_without_key(view) || view->pg.dir != DATA_DIR_VALID || !view->pg.was_primary ||
        view->store.leader_exists || mono_diff(view->now, view->pg.state_since) >= SUCCESSOR_MS)
        return false;
    const struct peer *successor = view_ready_successor(view);
    if (successor == NULL)
        return false;
    return say(decision, ACT_WAIT, "we were primary; %s is about to take over",
               successor->member.name);
}

bool rule_start_standby(const struct view *view, struct decision *decision)
{
    if (!down_without_key(view) || view->pg.dir != DATA_DIR_VALID)
        return false;
    if (view->pg.rewinding)
        return say(decision, ACT_WAIT,
                   "pg_rewind was interrupted here: waiting for a leader to go on");
    if (view->pg.start_failures >= START_FAILURES_MAX &&
        mono_diff(view->now, view->pg.state_since) < view->policy.ttl_ms)
        return say(decision, ACT_WAIT,
                   "Postgres did not start, %u times in a row: waiting before "
                   "the next try; its log says why",
                   view->pg.start_failures);
    text_into(decision->peer, view_other_leads(view) ? view->store.leader : "");
    return say(decision, ACT_START_STANDBY, "Postgres is down; %s%s",
               view_other_leads(view) ? "following " : "nobody leads", decision->peer);
}
