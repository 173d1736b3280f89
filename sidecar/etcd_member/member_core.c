/* The order of the rules, and the facts that they share. */
#include "sidecar/etcd_member/member_core.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sidecar/etcd_member/member_rules.h"

enum when { ALWAYS, DOWN, RUNNING };

/* The first that applies wins. What a person ordered and what keeps data safe comes first. */
static const struct {
    const char *name;
    member_rule_fn *applies;
    enum when when;
} rules[] = {
    { "stopping", member_rule_stopping, ALWAYS },
    { "guard-away", member_rule_guard_away, ALWAYS },
    { "disk", member_rule_disk, ALWAYS },
    { "recover", member_rule_recover, ALWAYS },
    { "ending", member_rule_ending, ALWAYS },

    { "program", member_rule_program, DOWN },
    { "superseded", member_rule_superseded, DOWN },
    { "removed", member_rule_removed, DOWN },
    { "pause", member_rule_pause, DOWN },
    { "restart", member_rule_restart, DOWN },
    { "other-cluster", member_rule_other_cluster, DOWN },
    { "join", member_rule_join, DOWN },
    { "found", member_rule_found, DOWN },
    { "formation", member_rule_formation, DOWN },
    { "nothing-left", member_rule_nothing_left, DOWN },
    { "ask", member_rule_ask, DOWN },

    { "silent", member_rule_silent, RUNNING },
    { "remember", member_rule_remember, RUNNING },
    { "no-quorum", member_rule_no_quorum, RUNNING },
    { "learner", member_rule_learner, RUNNING },
    { "promote", member_rule_promote, RUNNING },
    { "again", member_rule_again, RUNNING },
    { "add", member_rule_add, RUNNING },
    { "replace", member_rule_replace, RUNNING },
    { "url", member_rule_url, RUNNING },
    { "compact", member_rule_compact, RUNNING },
    { "shrink", member_rule_shrink, RUNNING },
    { "disarm", member_rule_disarm, RUNNING },
    { "no-space", member_rule_no_space, RUNNING },
    { "move", member_rule_move, RUNNING },
    { "defragment", member_rule_defrag, RUNNING },
    { "replace-waits", member_rule_replace_waits, RUNNING },
    { "calm", member_rule_calm, RUNNING }, /* the last of each half always applies */
};

enum { N_RULES = sizeof(rules) / sizeof(rules[0]) };

struct member_decision member_decide(const struct member_view *view)
{
    struct member_decision decision = { .action = MEMBER_WAIT, .rule = "none" };
    for (size_t rule = 0; rule < N_RULES; rule++) {
        bool fits =
            rules[rule].when == ALWAYS || (rules[rule].when == RUNNING) == view->guard.alive;
        if (!fits || !rules[rule].applies(view, &decision))
            continue;
        decision.rule = rules[rule].name;
        return decision;
    }
    return decision;
}

const char *member_rule_name(size_t index)
{
    return index < N_RULES ? rules[index].name : NULL;
}

const char *member_action_name(enum member_action action)
{
#define MEMBER_ACTION_TEXT(name, text) [MEMBER_##name] = (text),
    static const char *const names[] = { MEMBER_ACTIONS(MEMBER_ACTION_TEXT) };
#undef MEMBER_ACTION_TEXT
    return action < MEMBER_ACTION_MAX ? names[action] : "?";
}

/* --- what rules say --- */

__attribute__((format(printf, 2, 0))) static void say_words(struct member_decision *decision,
                                                            const char *format, va_list args)
{
    (void)vsnprintf(decision->reason, sizeof(decision->reason), format, args);
}

bool member_say(struct member_decision *decision, enum member_action action, const char *format,
                ...)
{
    va_list args;
    va_start(args, format);
    say_words(decision, format, args);
    va_end(args);
    decision->action = action;
    return true;
}

bool member_warn(struct member_decision *decision, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say_words(decision, format, args);
    va_end(args);
    decision->action = MEMBER_WAIT;
    decision->trouble = true;
    return true;
}

/* --- facts --- */

const struct member_peer *member_us(const struct member_view *view)
{
    return &view->peers[view->self];
}

const struct member_listed *member_listed_id(const struct member_view *view, uint64_t id)
{
    for (size_t at = 0; at < view->list.n; at++) {
        if (view->list.members[at].id == id)
            return &view->list.members[at];
    }
    return NULL;
}

const struct member_listed *member_listed_peer(const struct member_view *view,
                                               const struct member_peer *peer)
{
    const struct member_list *list = &view->list;
    for (size_t at = 0; at < list->n; at++) {
        if (strcmp(list->members[at].peer_url, peer->peer_url) == 0)
            return &list->members[at];
    }
    for (size_t at = 0; at < list->n; at++) {
        if (strcmp(list->members[at].name, peer->name) == 0)
            return &list->members[at];
    }
    return NULL;
}

const struct member_peer *member_peer_listed(const struct member_view *view,
                                             const struct member_listed *listed)
{
    for (size_t at = 0; at < view->n; at++) {
        if (member_listed_peer(view, &view->peers[at]) == listed)
            return &view->peers[at];
    }
    return NULL;
}

bool member_started(const struct member_listed *listed)
{
    return listed->name[0] != '\0';
}

bool member_leads(const struct member_view *view)
{
    return view->me.answers && view->me.id != 0 && view->me.leader == view->me.id &&
           view->list.fresh;
}

int64_t member_generation(const struct member_view *view)
{
    int64_t most = member_us(view)->word.generation;
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        if (peer->answered && peer->word.voter && peer->word.generation > most)
            most = peer->word.generation;
    }
    return most;
}

/* Is there, or was there, a cluster that we lost or never joined? */
static bool cluster_exists(const struct member_view *view)
{
    if (view->list.fresh || member_us(view)->word.mark)
        return true;
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        if (at != view->self && peer->answered &&
            (peer->word.data || peer->word.mark || peer->word.running))
            return true;
    }
    return false;
}

bool member_wants(const struct member_view *view)
{
    if (!view->disk_known || member_us(view)->word.data || view->guard.alive || view->stopping)
        return false;
    return view->self != 0 || cluster_exists(view);
}
