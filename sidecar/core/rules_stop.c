/* A stop that the guard reported, or SIGTERM where the guards are our own (G2). */
#include "sidecar/core/rules.h"

/* Part 6: container or pod stop of the primary is a switchover. */
bool rule_stop_primary(const struct view *view, struct decision *decision)
{
    if (!view->guard.stop_requested || !view_is_primary(view) || !view_holds_lease(view))
        return false;
    const struct peer *successor = view_ready_successor(view);
    return say(decision, ACT_HANDOVER, "the node is to stop; %s%s",
               successor != NULL ? "ready to take over: " : "nobody is ready to take over",
               successor != NULL ? successor->member.name : "");
}

/* S5: "A sync standby that stops in order first asks to leave /sync". */
bool rule_stop_standby(const struct view *view, struct decision *decision)
{
    if (!view->guard.stop_requested || !view->guard.tree_alive)
        return false;
    return say(decision, ACT_LEAVE, "the node is to stop");
}

bool rule_stop_release(const struct view *view, struct decision *decision)
{
    if (!view->guard.stop_requested || !view->lease.owns_key)
        return false;
    return say(decision, ACT_RELEASE, "the node is to stop and Postgres is down");
}

bool rule_stopped(const struct view *view, struct decision *decision)
{
    if (!view->guard.stop_requested)
        return false;
    if (view->memory.handed_over)
        return say(decision, ACT_WAIT, "stopped");
    return say(decision, ACT_STOPPED, "Postgres is down and the key is not ours");
}
