/* Rules while etcd runs: our own state, and who is let in, promoted or replaced (E1, E3, E4). The
 * sidecar beside the raft leader acts for all. */
#include <stdio.h>
#include <string.h>

#include "sidecar/etcd_member/member_rules.h"

enum { SILENT_MS = 10000 };

bool member_rule_silent(const struct member_view *view, struct member_decision *decision)
{
    if (view->me.answers)
        return false;
    int64_t for_ms = mono_diff(view->now, view->me.silent_since);
    if (for_ms < SILENT_MS)
        return member_say(decision, MEMBER_WAIT, "etcd is starting");
    return member_warn(decision,
                       "etcd runs but has not answered for %d s: no quorum, or its disk "
                       "is stuck",
                       (int)(for_ms / 1000));
}

/* E1: the mark lies on both volumes. */
bool member_rule_remember(const struct member_view *view, struct member_decision *decision)
{
    const struct member_word *us = &member_us(view)->word;
    if (view->me.cluster_id == 0)
        return false;
    if (us->cluster_id != 0 && us->cluster_id != view->me.cluster_id)
        return member_warn(decision,
                           "etcd's data are of cluster %llx, the mark beside them is of "
                           "%llx: a person must look",
                           (unsigned long long)view->me.cluster_id,
                           (unsigned long long)us->cluster_id);
    if (view->marks_complete && us->cluster_id == view->me.cluster_id &&
        us->member_id == view->me.id && !view->generation_due)
        return false;
    return member_say(decision, MEMBER_REMEMBER, "member %llx of cluster %llx",
                      (unsigned long long)view->me.id, (unsigned long long)view->me.cluster_id);
}

/* Names of the configured others whose etcd does not run, as far as they fit. */
static void missing_names(const struct member_view *view, char *to, size_t size)
{
    size_t len = 0;
    to[0] = '\0';
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        if (at == view->self || (peer->answered && peer->word.running))
            continue;
        int more = snprintf(to + len, size - len, "%s%s", len > 0 ? ", " : "", peer->name);
        if (more < 0 || (size_t)more >= size - len)
            return;
        len += (size_t)more;
    }
    if (len == 0)
        (void)snprintf(to, size, "the others");
}

/* E4: nothing is removed, nothing is guessed. */
bool member_rule_no_quorum(const struct member_view *view, struct member_decision *decision)
{
    if (view->me.leader != 0)
        return false;
    if (mono_diff(view->now, view->me.leaderless_since) < MEMBER_LOST_MS)
        return member_say(decision, MEMBER_WAIT, "no raft leader: an election is under way");
    char names[LIMIT_NAME];
    missing_names(view, names, sizeof(names));
    return member_warn(decision,
                       "no quorum: no word of %s. Start them; only if they are lost for good: "
                       "pgvigilctl recover-quorum",
                       names);
}

bool member_rule_learner(const struct member_view *view, struct member_decision *decision)
{
    return view->me.learner &&
           member_say(decision, MEMBER_WAIT, "a learner, waiting to be made a voter");
}

/* etcd itself refuses until it has caught up. */
bool member_rule_promote(const struct member_view *view, struct member_decision *decision)
{
    if (!member_leads(view))
        return false;
    for (size_t at = 0; at < view->list.n; at++) {
        const struct member_listed *listed = &view->list.members[at];
        if (!listed->learner || !member_started(listed))
            continue;
        const struct member_peer *peer = member_peer_listed(view, listed);
        if (peer == NULL || !peer->answered || !peer->word.running)
            continue;
        decision->target = listed->id;
        return member_say(decision, MEMBER_PROMOTE, "%s runs as a learner", peer->name);
    }
    return false;
}

/* Does this configured member, as heard lately, ask to be let in? */
static bool asks(const struct member_view *view, size_t at)
{
    const struct member_peer *peer = &view->peers[at];
    return at != view->self && peer->answered && peer->word.wants && !peer->word.data;
}

/* E1: an entry with which nobody could start is made anew; it has never voted. */
bool member_rule_again(const struct member_view *view, struct member_decision *decision)
{
    if (!member_leads(view))
        return false;
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        const struct member_listed *entry = member_listed_peer(view, peer);
        if (!asks(view, at) || entry == NULL || member_started(entry) || !entry->learner ||
            peer->word.tries < MEMBER_TRIES)
            continue;
        decision->target = entry->id;
        return member_say(decision, MEMBER_REMOVE, "%s could not start as member %llx", peer->name,
                          (unsigned long long)entry->id);
    }
    return false;
}

static size_t count_learners(const struct member_view *view)
{
    size_t n = 0;
    for (size_t at = 0; at < view->list.n; at++)
        n += view->list.members[at].learner ? 1 : 0;
    return n;
}

/* A volume of another cluster is not let in: it would mix two histories. */
static bool fits_cluster(const struct member_view *view, const struct member_peer *peer)
{
    return peer->word.cluster_id == 0 || peer->word.cluster_id == view->me.cluster_id;
}

/* E1: everybody else always joins as a learner, in the order of the configuration. */
bool member_rule_add(const struct member_view *view, struct member_decision *decision)
{
    if (!member_leads(view) || count_learners(view) >= view->max_learners)
        return false;
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        if (!asks(view, at) || member_listed_peer(view, peer) != NULL || !fits_cluster(view, peer))
            continue;
        decision->peer = at;
        return member_say(decision, MEMBER_ADD, "%s asks to join", peer->name);
    }
    return false;
}

/* --- E3 --- */

/* How long ago this sidecar's etcd heard the member; -1: it does not say. */
static int64_t heard_ago(const struct member_word *word, uint64_t id)
{
    for (size_t at = 0; at < word->n_heard; at++) {
        if (word->heard[at].id == id)
            return word->heard[at].ago_ms;
    }
    return -1;
}

/* Who stands against the removal of `old`, and why; NULL: nobody. */
static const char *objection(const struct member_view *view, const struct member_listed *old,
                             const char **ret_why)
{
    for (size_t at = 0; at < view->list.n; at++) {
        const struct member_listed *listed = &view->list.members[at];
        if (listed == old || !member_started(listed))
            continue;
        const struct member_peer *peer = member_peer_listed(view, listed);
        if (peer == NULL || !peer->answered || (!peer->word.voter && !listed->learner)) {
            *ret_why = "is not there as a voter";
            return listed->name;
        }
        int64_t ago_ms = heard_ago(&peer->word, old->id);
        if (ago_ms < MEMBER_UNHEARD_MS) {
            *ret_why = ago_ms < 0 ? "has not said when it heard it" : "heard it within 10 s";
            return listed->name;
        }
    }
    return NULL;
}

/* Somebody who asks in place of a started entry; NULL: nobody. */
static const struct member_peer *newcomer(const struct member_view *view,
                                          const struct member_listed **ret_old)
{
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        const struct member_listed *old = member_listed_peer(view, peer);
        if (!asks(view, at) || old == NULL || !member_started(old) || !fits_cluster(view, peer))
            continue;
        *ret_old = old;
        return peer;
    }
    return NULL;
}

/* Never on mere absence; only if no member has heard the old one for 10 s and a quorum remains. */
bool member_rule_replace(const struct member_view *view, struct member_decision *decision)
{
    const struct member_listed *old = NULL;
    const struct member_peer *peer = member_leads(view) ? newcomer(view, &old) : NULL;
    const char *why = NULL;
    if (peer == NULL || old->id == view->me.id || objection(view, old, &why) != NULL)
        return false;
    decision->target = old->id;
    return member_say(decision, MEMBER_REMOVE,
                      "%s came back empty and nobody has heard its old member for 10 s",
                      peer->name);
}

bool member_rule_replace_waits(const struct member_view *view, struct member_decision *decision)
{
    const struct member_listed *old = NULL;
    const struct member_peer *peer = member_leads(view) ? newcomer(view, &old) : NULL;
    const char *why = NULL;
    if (peer == NULL || old->id == view->me.id)
        return false;
    const char *who = objection(view, old, &why);
    return who != NULL && member_say(decision, MEMBER_WAIT,
                                     "%s came back empty; its old member stays for now: %s %s",
                                     peer->name, who, why);
}

/* Part 7: the configuration moved us to another address; etcd keeps the one that it was given. */
bool member_rule_url(const struct member_view *view, struct member_decision *decision)
{
    if (!view->list.fresh || view->me.learner)
        return false;
    const struct member_listed *entry = member_listed_id(view, view->me.id);
    if (entry == NULL || !member_started(entry) || entry->learner ||
        strcmp(entry->peer_url, member_us(view)->peer_url) == 0)
        return false;
    return member_say(decision, MEMBER_UPDATE, "the others know us at %s", entry->peer_url);
}

bool member_rule_calm(const struct member_view *view, struct member_decision *decision)
{
    size_t voters = view->list.n - count_learners(view);
    if (!view->list.fresh)
        return member_say(decision, MEMBER_WAIT, "waiting for a quorum's list of members");
    return member_say(decision, MEMBER_WAIT, "a voter among %zu of %zu%s", voters, view->n,
                      member_leads(view) ? ", raft leader" : "");
}
