#include "sidecar/core/view.h"

#include <string.h>

enum { FRESH_PRIMARY_MS = 1000 };

bool view_holds_lease(const struct view *view)
{
    return lease_holds(&view->lease, view->now);
}

bool view_may_retake(const struct view *view)
{
    const struct lease_holder *holder = &view->store.holder;
    if (!view_is_primary(view) || view->store.leader_exists || !view_holds_lease(view) ||
        !holder->exists || holder->released)
        return false;
    if (!view->guard.lifted)
        return mono_before(view->now, view->lease.promised_until);
    return holder->lifted && (holder->lease_id == view->guard.lease_id ||
                              (view->lease.tried != 0 && holder->lease_id == view->lease.tried));
}

bool view_is_primary(const struct view *view)
{
    return view->guard.tree_alive && view->pg.state != PG_DOWN && !view->pg.in_recovery;
}

bool view_self_leads(const struct view *view)
{
    return view->lease.owns_key && view->store.leader_exists &&
           view->store.leader_create_revision == view->lease.create_revision;
}

bool view_other_leads(const struct view *view)
{
    return view->store.leader_exists && strcmp(view->store.leader, view->self) != 0;
}

const struct peer *view_peer(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->store.n_peers; i++)
        if (strcmp(view->store.peers[i].member.name, name) == 0)
            return &view->store.peers[i];
    return NULL;
}

const char *view_clone_source(const struct view *view)
{
    const struct peer *leader = view_peer(view, view->store.leader), *best = NULL;
    for (size_t i = 0; leader != NULL && i < view->store.n_peers; i++) {
        const struct peer *peer = &view->store.peers[i];
        const struct member *member = &peer->member;
        bool serves = peer->has_key && member->tags.clonefrom && member->streaming &&
                      member->state == MEMBER_RUNNING && member->role == MEMBER_ROLE_REPLICA &&
                      member->timeline == leader->member.timeline &&
                      strcmp(member->name, view->self) != 0;
        if (serves && (best == NULL || member->receive_lsn > best->member.receive_lsn))
            best = peer;
    }
    return best != NULL ? best->member.name : view->store.leader;
}

const struct walsender *view_walsender(const struct view *view, const char *name)
{
    for (size_t i = 0; i < view->pg.n_walsenders; i++)
        if (strcmp(view->pg.walsenders[i].name, name) == 0)
            return &view->pg.walsenders[i];
    return NULL;
}

static bool on_the_way(const struct view *view)
{
    return timeline_contains(&view->pg.timeline, &view->store.confirmed, view->store.confirmed_lsn);
}

/* S7: "Nobody promotes, and nobody restarts as primary, whose history does not contain it." */
bool view_has_confirmed(const struct view *view)
{
    const struct pg_view *pg = &view->pg;
    if (!view->store.confirmed_exists)
        return true;
    lsn_t end = pg->state == PG_DOWN && pg->wal_whole > pg->position ? pg->wal_whole : pg->position;
    return end >= view->store.confirmed_lsn && on_the_way(view);
}

bool view_may_have_confirmed(const struct view *view)
{
    const struct pg_view *pg = &view->pg;
    return !view_has_confirmed(view) && pg->state == PG_DOWN && pg->was_primary && !pg->wal_read &&
           on_the_way(view);
}

bool view_fresh_primary(const struct view *view)
{
    return view->pg.state == PG_UP && !view->pg.in_recovery && !view->pg.checkpointed &&
           mono_diff(view->now, view->memory.promoted_at) < FRESH_PRIMARY_MS;
}

static bool looks_ready(const struct view *view, const struct peer *peer)
{
    const struct member *member = &peer->member;
    if (!peer->has_key || member->state != MEMBER_RUNNING || member->role != MEMBER_ROLE_REPLICA)
        return false;
    if (member->tags.nofailover || member->pause)
        return false;
    if (sync_in_force(&view->store.sync))
        return names_has(&view->store.sync.standbys, member->name);
    return view->store.optime == LSN_NONE ||
           member->receive_lsn + (lsn_t)view->policy.max_lag_on_failover >= view->store.optime;
}

const struct peer *view_ready_successor(const struct view *view)
{
    const struct peer *best = NULL;
    for (size_t i = 0; i < view->store.n_peers; i++) {
        const struct peer *peer = &view->store.peers[i];
        if (!looks_ready(view, peer))
            continue;
        if (best == NULL || peer->member.receive_lsn > best->member.receive_lsn)
            best = peer;
    }
    return best;
}
