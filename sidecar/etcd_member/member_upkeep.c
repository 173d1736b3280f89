/* Leader placement (part 3) and upkeep (E5), by the sidecar beside the raft leader. */
#include <stdio.h>

#include "sidecar/etcd_member/member_rules.h"

enum { CALM_DEFRAG_BYTES = 64 << 20 };

/* A voter that is known to be well: as target of raft leadership. */
static bool is_fit(const struct member_view *view, const struct member_listed *listed)
{
    const struct member_peer *peer = member_peer_listed(view, listed);
    return !listed->learner && member_started(listed) && listed->id != view->me.id &&
           peer != NULL && peer->answered && peer->word.voter;
}

/* The witness before the standby. */
static const struct member_listed *heir(const struct member_view *view)
{
    const struct member_listed *best = NULL;
    for (size_t at = 0; at < view->list.n; at++) {
        const struct member_listed *listed = &view->list.members[at];
        if (!is_fit(view, listed))
            continue;
        if (member_peer_listed(view, listed)->word.witness)
            return listed;
        if (best == NULL)
            best = listed;
    }
    return best;
}

/* A witness whose etcd runs has its vote any moment now: leadership is not moved twice. */
static bool witness_comes(const struct member_view *view)
{
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        if (peer->answered && peer->word.witness && peer->word.running && !peer->word.voter)
            return true;
    }
    return false;
}

/* Part 3: a node loss must not take primary and raft leader together. */
bool member_rule_move(const struct member_view *view, struct member_decision *decision)
{
    if (!view->we_lead_postgres || !view->may_move || !member_leads(view) || witness_comes(view))
        return false;
    const struct member_listed *to = heir(view);
    if (to == NULL)
        return false;
    decision->target = to->id;
    return member_say(decision, MEMBER_MOVE, "the primary's node hosts the raft leader; to %s",
                      to->name);
}

/* All configured are listed, voters, and answered at their own endpoint. */
static bool all_healthy(const struct member_view *view)
{
    if (view->list.n < view->n)
        return false;
    for (size_t at = 0; at < view->list.n; at++) {
        const struct member_listed *listed = &view->list.members[at];
        if (listed->learner || !listed->healthy)
            return false;
    }
    return true;
}

/* Would a defragmentation give much back? With space short (NOSPACE) less is worth it, and etcd's word
 * is not: it counts what a compaction gave back only with its next write, and the alarm forbids those. */
static bool is_bloated(const struct member_view *view, const struct member_listed *listed)
{
    int64_t idle_bytes = listed->db_bytes - listed->db_used_bytes;
    if (view->me.no_space)
        return listed->db_bytes > view->quota_bytes / 2 &&
               (idle_bytes > listed->db_bytes / 8 || listed->may_shrink);
    return listed->db_bytes > CALM_DEFRAG_BYTES && idle_bytes > listed->db_bytes / 2;
}

/* One at a time, never the raft leader, only with all healthy: when it is the last one left, another
 * member must lead first. */
static bool defrag(const struct member_view *view, struct member_decision *decision)
{
    if (!all_healthy(view))
        return false;
    for (size_t at = 0; at < view->list.n; at++) {
        const struct member_listed *listed = &view->list.members[at];
        if (listed->id == view->me.id || !is_bloated(view, listed))
            continue;
        decision->target = listed->id;
        return member_say(decision, MEMBER_DEFRAG, "%s uses %lld of %lld kB", listed->name,
                          (long long)(listed->db_used_bytes / 1024),
                          (long long)(listed->db_bytes / 1024));
    }
    const struct member_listed *us = member_listed_id(view, view->me.id);
    const struct member_listed *to = heir(view);
    if (us == NULL || to == NULL || !is_bloated(view, us) || !view->may_move)
        return false;
    decision->target = to->id;
    return member_say(decision, MEMBER_MOVE, "the raft leader itself needs defragmentation; to %s",
                      to->name);
}

bool member_rule_defrag(const struct member_view *view, struct member_decision *decision)
{
    return member_leads(view) && view->may_defrag && !view->me.no_space && defrag(view, decision);
}

/* NOSPACE: history goes first, then its pages are given back, then the alarm is lifted. */
bool member_rule_compact(const struct member_view *view, struct member_decision *decision)
{
    return view->me.no_space && member_leads(view) && view->may_compact &&
           member_say(decision, MEMBER_COMPACT, "database space exceeded");
}

bool member_rule_shrink(const struct member_view *view, struct member_decision *decision)
{
    return view->me.no_space && member_leads(view) && defrag(view, decision);
}

bool member_rule_disarm(const struct member_view *view, struct member_decision *decision)
{
    if (!view->me.no_space || !member_leads(view) || !all_healthy(view))
        return false;
    for (size_t at = 0; at < view->list.n; at++) {
        if (view->list.members[at].db_bytes > view->quota_bytes / 10 * 8)
            return false;
    }
    return member_say(decision, MEMBER_DISARM, "every member has space again");
}

bool member_rule_no_space(const struct member_view *view, struct member_decision *decision)
{
    return view->me.no_space &&
           member_warn(decision,
                       "failover impossible: etcd's database space is exceeded (quota "
                       "%lld MB): the leader key cannot be written",
                       (long long)(view->quota_bytes >> 20));
}
