/* A running primary that holds the key. */
#include <string.h>

#include "sidecar/core/history.h"
#include "sidecar/core/rules.h"
#include "sidecar/core/sync.h"

static bool leading(const struct view *view)
{
    return view->pg.state == PG_UP && !view->pg.in_recovery && view_self_leads(view);
}

bool rule_finish_bootstrap(const struct view *view, struct decision *decision)
{
    if (!leading(view) || (view->store.config_exists && view->store.initialize != 0))
        return false;
    return say(decision, ACT_FINISH_BOOTSTRAP, "the cluster has no %s yet",
               view->store.config_exists ? "initialize" : "config");
}

/* Written before our own key was: it is what made us leader, or history. */
bool rule_failover_request_done(const struct view *view, struct decision *decision)
{
    const struct failover_request *request = &view->store.failover;
    if (!leading(view) || !request->exists)
        return false;
    if (request->mod_revision < view->store.leader_create_revision)
        return say(decision, ACT_CLEAR_FAILOVER, "the request is older than this leader");
    if (strcmp(request->candidate, view->self) == 0)
        return say(decision, ACT_CLEAR_FAILOVER, "the request names the leader as candidate");
    if (request->leader[0] != '\0' && strcmp(request->leader, view->self) != 0)
        return say(decision, ACT_CLEAR_FAILOVER, "the request names another leader");
    if (request->stale)
        return say(decision, ACT_CLEAR_FAILOVER, "the time of the scheduled switchover has passed");
    return false;
}

static const char *switchover_hindrance(const struct view *view, const struct peer *peer)
{
    if (peer == NULL)
        return "is not a member";
    if (!peer->has_key || peer->member.state != MEMBER_RUNNING)
        return "is not running";
    if (peer->member.tags.nofailover)
        return "is tagged nofailover";
    if (sync_in_force(&view->store.sync) &&
        !names_has(&view->store.sync.standbys, peer->member.name))
        return "is not a synchronous standby";
    return NULL;
}

/* Part 6: switchover: "checkpoint; fast stop; standby has the shutdown record; release naming the
 * candidate; promote". */
bool rule_switchover(const struct view *view, struct decision *decision)
{
    const struct failover_request *request = &view->store.failover;
    if (!leading(view) || !request->exists || !request->due)
        return false;
    if (request->candidate[0] == '\0') {
        const struct peer *successor = view_ready_successor(view);
        if (successor == NULL)
            return say(decision, ACT_CLEAR_FAILOVER, "switchover is not possible: nobody is ready");
        text_into(decision->peer, successor->member.name);
    } else {
        const char *why = switchover_hindrance(view, view_peer(view, request->candidate));
        if (why != NULL)
            return say(decision, ACT_CLEAR_FAILOVER, "switchover is not possible: %s %s",
                       request->candidate, why);
        text_into(decision->peer, request->candidate);
    }
    return say(decision, ACT_HANDOVER, "switchover to %s was asked for", decision->peer);
}

/* "off": /sync is deleted first, then our names go; a user's own take their place with the same write
 * (patroni-compat 1.6). What the server shows then is the business of rule_reload. */
bool rule_sync_off(const struct view *view, struct decision *decision)
{
    if (!leading(view) || view->policy.sync_on)
        return false;
    bool ours = view->pg.ssn_disk == SSN_NAMES || view->pg.ssn_disk == SSN_NOBODY ||
                view->pg.ssn == SSN_NOBODY;
    if (!view->store.sync.exists && !ours)
        return false;
    return say(decision, ACT_SYNC_OFF, "synchronous_mode is off");
}

static bool names_match(enum ssn_kind kind, const struct names *names, enum ssn_kind want,
                        const struct names *wanted)
{
    return kind == want && (kind != SSN_NAMES || names_equal(names, wanted));
}

/* S2: "shrink `/sync` first, then SSN". The same plan makes the names agree with /sync after a growth
 * or a shrink that was cut short, and meets a foreign value ("a foreign value shrinks /sync at once"). */
bool rule_sync_shrink(const struct view *view, struct decision *decision)
{
    if (!leading(view) || !view->policy.sync_on)
        return false;
    const struct sync_state *sync = &view->store.sync;
    if (!sync->exists || strcmp(sync->leader, view->self) != 0)
        return say(decision, ACT_SYNC_SHRINK, "/sync does not name this leader");
    bool covered =
        view->pg.ssn == SSN_NOBODY ||
        (view->pg.ssn == SSN_NAMES && names_covers(&view->pg.ssn_names, &sync->standbys));
    if (sync->standbys.n > 0 && !covered)
        return say(decision, ACT_SYNC_SHRINK, "synchronous_standby_names does not cover /sync");
    char why[LIMIT_REASON];
    struct names keep = sync_keep(view, why);
    /* Strict mode keeps the last one and blocks (S5), unless somebody else can take its place. */
    bool blocks = keep.n == 0 && view->policy.sync_strict && !sync_has_joiner(view);
    if (!names_equal(&keep, &sync->standbys) && !blocks) {
        decision->names = keep;
        return say(decision, ACT_SYNC_SHRINK, "%s", why);
    }
    enum ssn_kind want = sync_ssn_for(view, &sync->standbys);
    if (names_match(view->pg.ssn, &view->pg.ssn_names, want, &sync->standbys) &&
        names_match(view->pg.ssn_disk, &view->pg.ssn_disk_names, want, &sync->standbys))
        return false;
    decision->names = sync->standbys;
    return say(decision, ACT_SYNC_SHRINK, "synchronous_standby_names does not agree with /sync");
}

/* S2: "grow SSN first, then /sync", by way of the name that nobody has. */
bool rule_sync_grow(const struct view *view, struct decision *decision)
{
    if (!leading(view) || !view->policy.sync_on)
        return false;
    if (mono_diff(view->now, view->memory.grow_failed_at) < SYNC_GROW_RETRY_MS)
        return false;
    struct names grown = sync_grown(view);
    if (grown.n <= view->store.sync.standbys.n)
        return false;
    decision->names = grown;
    char list[LIMIT_REASON / 2];
    return say(decision, ACT_SYNC_GROW, "caught up and streaming: %s",
               names_join(&grown, list, sizeof(list)));
}

bool rule_settle(const struct view *view, struct decision *decision)
{
    if (!leading(view) || (view->pg.checkpointed && !view->pg.slots_differ) ||
        view_fresh_primary(view))
        return false;
    return say(decision, ACT_SETTLE, "%s",
               view->pg.slots_differ ? "member slots differ from the members"
                                     : "no checkpoint since the promotion");
}
