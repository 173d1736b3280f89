/* A running standby. */
#include <string.h>

#include "sidecar/core/candidate.h"
#include "sidecar/core/history.h"
#include "sidecar/core/rules.h"

static bool standby_up(const struct view *view)
{
    return view->pg.state == PG_UP && view->pg.in_recovery;
}

/* The key is ours and Postgres is a standby: a promotion was cut short (S4: after the write of /sync
 * only this node may lead; before it, giving up needs no repair). */
bool rule_promote(const struct view *view, struct decision *decision)
{
    char why[LIMIT_REASON];
    if (!standby_up(view) || !view_self_leads(view) || !candidate_fit(view, why))
        return false;
    return say(decision, ACT_PROMOTE, "we hold the key and are a standby");
}

bool rule_not_fit_to_lead(const struct view *view, struct decision *decision)
{
    char why[LIMIT_REASON];
    if (!standby_up(view) || !view->lease.owns_key || candidate_fit(view, why))
        return false;
    return say(decision, ACT_RELEASE, "we hold the key but must not lead: %s", why);
}

/* One that waits for a restart could not promote: the restart comes first. */
bool rule_race(const struct view *view, struct decision *decision)
{
    if (!standby_up(view) || view->pg.replay_held || view->store.leader_exists ||
        view->lease.owns_key)
        return false;
    return candidate_decide(view, decision);
}

bool rule_rewind_running(const struct view *view, struct decision *decision)
{
    if (!standby_up(view) || !view_other_leads(view))
        return false;
    enum history_verdict verdict = history_against_leader(view);
    if (verdict == HISTORY_DIVERGED)
        return history_mend(view, decision, verdict);
    if (history_wal_missing(view, decision))
        return true;
    if (verdict == HISTORY_UNKNOWN && view->pg.follow_stuck)
        return history_mend(view, decision, verdict);
    return false;
}

/* Part 6: "new leader appears: change primary_conninfo by reload, no restart". */
bool rule_follow(const struct view *view, struct decision *decision)
{
    if (!standby_up(view) || !view_other_leads(view) ||
        strcmp(view->pg.upstream, view->store.leader) == 0)
        return false;
    if (view_peer(view, view->store.leader) == NULL)
        return say(decision, ACT_WAIT, "%s leads, but its member key is not there yet",
                   view->store.leader);
    text_into(decision->peer, view->store.leader);
    return say(decision, ACT_FOLLOW, "%s leads", view->store.leader);
}

/* Asked for, or: the primary was restarted with higher settings than a standby can replay under. */
bool rule_restart(const struct view *view, struct decision *decision)
{
    bool held = standby_up(view) && view->pg.replay_held;
    if (!(view->orders.restart || held) || view->pg.state != PG_UP)
        return false;
    text_into(decision->peer, view_other_leads(view) ? view->store.leader : "");
    if (!view->orders.restart)
        return say(decision, ACT_RESTART, "replay waits for settings as high as the primary's");
    return say(decision, ACT_RESTART, "a person asked to restart Postgres");
}

bool rule_reload(const struct view *view, struct decision *decision)
{
    bool pending = view->pg.pending_reload && !view_fresh_primary(view);
    if (view->pg.state != PG_UP || !(view->orders.reload || pending))
        return false;
    return say(decision, ACT_RELOAD, "%s",
               view->orders.reload ? "a person asked to reload"
                                   : "the files are not what settings and role ask for");
}
