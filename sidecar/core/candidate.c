#include "sidecar/core/candidate.h"

#include <stdio.h>
#include <string.h>

#include "sidecar/core/failsafe.h"
#include "sidecar/core/rules.h"

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

int candidate_cmp(const struct candidate *a, const struct candidate *b)
{
    int order = timeline_cmp(a->timeline, b->timeline); /* 1. timeline history, by content */
    if (order == 0)
        order = compare(a->position, b->position); /* 2. most WAL */
    if (order == 0)
        order = a->priority < b->priority ? -1 : a->priority > b->priority; /* 3. the wish */
    if (order == 0)
        order = -strcmp(a->name, b->name); /* 4. any fixed order */
    return order;
}

static bool not_fit(char why[LIMIT_REASON], const char *text)
{
    (void)snprintf(why, LIMIT_REASON, "%s", text);
    return false;
}

/* The one exception to S1: "honoured once, only if a person asked for it with a `failover` key
 * written after the leader was lost and younger than ttl, and logged as accepted loss". */
static bool loss_accepted(const struct view *view)
{
    const struct failover_request *request = &view->store.failover;
    return request->exists && request->due && strcmp(request->candidate, view->self) == 0 &&
           request->leader[0] == '\0' && request->after_leader_loss &&
           request->age_ms < view->policy.ttl_ms;
}

static bool outside_sync(const struct view *view)
{
    return sync_in_force(&view->store.sync) && !sync_names(&view->store.sync, view->self);
}

bool candidate_fit(const struct view *view, char ret_why[LIMIT_REASON])
{
    const struct store_view *store = &view->store;
    bool asked_for = store->failover.exists && strcmp(store->failover.candidate, view->self) == 0;
    if (view->tags.nofailover && !asked_for)
        return not_fit(ret_why, "this member is tagged nofailover");
    if (store->recording)
        return not_fit(ret_why, "the newest /sync is being written to this volume (S6)");
    if (!store->same_cluster && !view->accept_restored)
        return not_fit(ret_why, "etcd is not the one that this volume knows, or was set back: a "
                                "person must accept it (pgvigilctl accept)");
    if (outside_sync(view) && !loss_accepted(view))
        return not_fit(ret_why,
                       "/sync does not name this member: it may lack acknowledged commits");
    if (!view_has_confirmed(view) && !loss_accepted(view))
        return not_fit(ret_why, "this member lacks WAL that the cluster has confirmed");
    return true;
}

/* Somebody whom a person or the leaving leader named goes first, for one ttl. */
static const struct peer *preferred_other(const struct view *view)
{
    const struct failover_request *request = &view->store.failover;
    if (!request->exists || !request->due || request->candidate[0] == '\0' ||
        strcmp(request->candidate, view->self) == 0 || request->age_ms > view->policy.ttl_ms)
        return NULL;
    const struct peer *peer = view_peer(view, request->candidate);
    if (peer == NULL || !peer->has_key || peer->member.state != MEMBER_RUNNING)
        return NULL;
    if (sync_in_force(&view->store.sync) && !sync_names(&view->store.sync, request->candidate))
        return NULL;
    return peer;
}

/* Others that may race as well and whose position matters. With two data pods in synchronous mode
 * that is nobody: the former leader is down or will find the key taken. */
static bool is_rival(const struct view *view, const struct peer *peer)
{
    if (!peer->has_key || peer->member.tags.nofailover)
        return false;
    if (failsafe_leaves_out(view, peer->member.name))
        return false; /* L6: waiting for one that must not race is waiting for ever */
    if (sync_in_force(&view->store.sync))
        return names_has(&view->store.sync.standbys, peer->member.name);
    return true;
}

/* A peer tells the number of its timeline. Where its content is not known, the same number is taken for
 * the same timeline: else each of two such nodes would find itself the better one, whatever its position. */
static const struct timeline *timeline_of(const struct view *view, const struct peer *peer)
{
    bool number_only = peer->timeline.n == 0 && peer->timeline.tli == view->pg.timeline.tli;
    return number_only ? &view->pg.timeline : &peer->timeline;
}

static bool beaten_by(const struct view *view, const struct peer *peer)
{
    const struct candidate self = { &view->pg.timeline, view->pg.position,
                                    view->tags.failover_priority, view->self };
    const struct candidate other = { timeline_of(view, peer), peer->position,
                                     peer->member.tags.failover_priority, peer->member.name };
    return candidate_cmp(&self, &other) < 0;
}

static bool race_against(const struct view *view, struct decision *decision)
{
    for (size_t i = 0; i < view->store.n_peers; i++) {
        const struct peer *peer = &view->store.peers[i];
        if (!is_rival(view, peer))
            continue;
        if (!peer->asked) {
            decision->ask_peers = true;
            return say(decision, ACT_WAIT, "nobody leads: asking %s for its position",
                       peer->member.name);
        }
        if (!peer->answered)
            continue; /* unreachable peers do not block */
        if (!peer->in_recovery)
            return say(decision, ACT_WAIT, "nobody leads, but %s still runs as primary",
                       peer->member.name);
        if (beaten_by(view, peer)) {
            decision->ask_peers = true;
            return say(decision, ACT_WAIT, "nobody leads: %s is the better candidate",
                       peer->member.name);
        }
    }
    return false;
}

static bool too_far_behind(const struct view *view)
{
    return !sync_in_force(&view->store.sync) &&
           view->pg.position + (lsn_t)view->policy.max_lag_on_failover < view->store.optime;
}

/* A person, or the leaving leader, named this member, and the time has come. */
static bool asked_for_now(const struct view *view)
{
    const struct failover_request *request = &view->store.failover;
    return request->exists && request->due && strcmp(request->candidate, view->self) == 0;
}

/* L8: "until the last leader itself has seen the pause end, nobody takes the key except on a person's
 * `failover`": one that was written after the leader was lost. */
static bool barred_by_lift(const struct view *view)
{
    const struct failover_request *request = &view->store.failover;
    if (!view->store.holder.lifted || view->store.holder.released)
        return false;
    return !asked_for_now(view) || request->leader[0] != '\0' || !request->after_leader_loss;
}

/* Why not even try, whoever else there may be; NULL: try. `text` has room for the words. */
static const char *hindrance(const struct view *view, char text[LIMIT_REASON])
{
    if (view->policy.pause && !asked_for_now(view))
        return "the cluster is paused"; /* L8: "except on a person's failover": to the one it names */
    if (view->lease.id == 0)
        return "no lease of our own yet";
    if (view->store.initialize == 0)
        return "the cluster is not initialized";
    if (!lease_may_take(&view->store.holder, view->lease.id))
        return "the former holder's lease may still live";
    if (failsafe_bars(view, text))
        return text;
    return NULL;
}

/* What a person, or another member, has to mend; NULL: nothing. */
static const char *refusal(const struct view *view)
{
    if (barred_by_lift(view))
        return "the last leader may run without a deadline and has not seen the pause end: once it "
               "is known to be down, a failover to a named member (pgvigilctl failover) takes over";
    if (too_far_behind(view))
        return "this member is further behind than maximum_lag_on_failover";
    return NULL;
}

bool candidate_decide(const struct view *view, struct decision *decision)
{
    char why[LIMIT_REASON];
    if (!candidate_fit(view, why)) {
        decision->refuses = !view->store.recording;
        return say(decision, ACT_WAIT, "nobody leads: %s", why);
    }
    char text[LIMIT_REASON];
    const char *not_now = hindrance(view, text);
    if (not_now != NULL)
        return say(decision, ACT_WAIT, "nobody leads: %s", not_now);
    const char *refused = refusal(view);
    decision->refuses = refused != NULL;
    if (refused != NULL)
        return say(decision, ACT_WAIT, "nobody leads: %s", refused);
    bool named = asked_for_now(view);
    const struct peer *other = preferred_other(view);
    if (other != NULL)
        return say(decision, ACT_WAIT, "nobody leads: leaving it to %s, which was asked for",
                   other->member.name);
    if (!named && race_against(view, decision))
        return true;
    decision->accepts_loss = named && (outside_sync(view) || !view_has_confirmed(view));
    if (decision->accepts_loss)
        return say(decision, ACT_TAKE,
                   "nobody leads and a person asked for this member, ACCEPTING "
                   "THE LOSS of what it lacks");
    return say(decision, ACT_TAKE, "nobody leads and %s",
               named ? "this member was asked for" : "no better candidate is known");
}
