/* Rules while etcd does not run: found, join, restart, or wait and say for what (E1 to E4). */
#include <stdio.h>
#include <string.h>

#include "sidecar/etcd_member/member_rules.h"

enum { GUARD_AWAY_MS = 3000, RETIRED = 2 };

bool member_rule_stopping(const struct member_view *view, struct member_decision *decision)
{
    return view->stopping && member_say(decision, MEMBER_WAIT, "the node stops");
}

bool member_rule_guard_away(const struct member_view *view, struct member_decision *decision)
{
    if (view->guard.connected)
        return false;
    if (view->guard.away_ms < GUARD_AWAY_MS && view->guard.trouble[0] == '\0')
        return member_say(decision, MEMBER_WAIT, "connecting to etcd's guard");
    return member_warn(decision, "etcd's guard does not answer%s%s",
                       view->guard.trouble[0] != '\0' ? ": " : "", view->guard.trouble);
}

bool member_rule_disk(const struct member_view *view, struct member_decision *decision)
{
    if (view->disk_trouble[0] != '\0')
        return member_warn(decision, "etcd's directory cannot be used: %s", view->disk_trouble);
    return !view->disk_known && member_say(decision, MEMBER_WAIT, "looking at the disk");
}

/* E4: a person has said that the others are lost for good; or, where they have a quorum of their own,
 * that what we have does not count. The order was checked when it came. */
bool member_rule_recover(const struct member_view *view, struct member_decision *decision)
{
    const struct member_word *us = &member_us(view)->word;
    if (view->order != MEMBER_ORDER_RECOVER)
        return false;
    if (view->guard.alive && view->guard.running)
        return member_say(decision, MEMBER_END, "a person ordered a new quorum");
    if (view->guard.alive)
        return member_say(decision, MEMBER_WAIT, "a person ordered a new quorum; etcd is ending");
    if (us->data && view->list.fresh)
        return member_say(decision, MEMBER_SET_ASIDE, "a person ordered to join the others anew");
    if (us->data)
        return member_say(decision, MEMBER_FORCE, "a person ordered a new quorum from our data");
    if (us->mark)
        return member_say(decision, MEMBER_FORGET, "a person ordered to forget the former cluster");
    return member_say(decision, MEMBER_FOUND, "a person ordered a new quorum without data");
}

bool member_rule_ending(const struct member_view *view, struct member_decision *decision)
{
    return view->guard.alive && !view->guard.running &&
           member_say(decision, MEMBER_WAIT, "etcd is ending");
}

bool member_rule_program(const struct member_view *view, struct member_decision *decision)
{
    if (view->guard.program_known)
        return false;
    if (view->guard.trouble[0] != '\0')
        return member_warn(decision, "etcd cannot be started: %s", view->guard.trouble);
    return member_say(decision, MEMBER_WAIT, "asking etcd for its version");
}

/* E4: the quorum was made anew without us; what we have is of before. */
bool member_rule_superseded(const struct member_view *view, struct member_decision *decision)
{
    const struct member_word *us = &member_us(view)->word;
    if (!us->data)
        return false;
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        if (at == view->self || !peer->answered || peer->word.generation <= us->generation)
            continue;
        if (peer->word.voter)
            return member_say(decision, MEMBER_SET_ASIDE,
                              "a person made the quorum anew on %s without our data", peer->name);
        return member_warn(decision,
                           "the quorum was made anew on %s, which does not lead yet: waiting",
                           peer->name);
    }
    return false;
}

/* E3: who was removed never comes back under its old id; a quorum has said so. Where the mark does not
 * tell whose the data are (they were put back from elsewhere), etcd does: it ends with status 0. */
bool member_rule_removed(const struct member_view *view, struct member_decision *decision)
{
    const struct member_word *us = &member_us(view)->word;
    if (!us->data || !view->list.fresh || us->cluster_id != view->list.cluster_id)
        return false;
    if (view->guard.retired >= RETIRED)
        return member_say(decision, MEMBER_SET_ASIDE,
                          "etcd ends at once: its data are of a member that was removed");
    if (us->member_id == 0 || member_listed_id(view, us->member_id) != NULL)
        return false;
    return member_say(decision, MEMBER_SET_ASIDE, "member %llx was removed from the cluster",
                      (unsigned long long)us->member_id);
}

bool member_rule_pause(const struct member_view *view, struct member_decision *decision)
{
    if (!mono_before(view->now, view->guard.start_at))
        return false;
    if (view->guard.failures < 3)
        return member_say(decision, MEMBER_WAIT, "etcd ended by itself: starting it again soon");
    return member_warn(decision, "etcd has ended %d times by itself%s%s; see its lines in the log",
                       view->guard.failures, view->guard.trouble[0] != '\0' ? ": " : "",
                       view->guard.trouble);
}

/* E2 */
bool member_rule_restart(const struct member_view *view, struct member_decision *decision)
{
    return member_us(view)->word.data && member_say(decision, MEMBER_START, "its data are here");
}

/* Our volumes remember another cluster than the one that is there: a person must say which counts. */
bool member_rule_other_cluster(const struct member_view *view, struct member_decision *decision)
{
    const struct member_word *us = &member_us(view)->word;
    if (us->cluster_id == 0 || !view->list.fresh || us->cluster_id == view->list.cluster_id)
        return false;
    return member_warn(decision,
                       "this node belongs to etcd cluster %llx, the others are %llx: pgvigilctl "
                       "recover-quorum on this node joins it to them",
                       (unsigned long long)us->cluster_id,
                       (unsigned long long)view->list.cluster_id);
}

/* The mark must not name whom we were when new data appear: they would be taken for a removed member's.
 * It takes over how often the quorum was made anew. */
static bool must_enter(const struct member_view *view)
{
    const struct member_word *us = &member_us(view)->word;
    return !us->mark || !view->marks_complete || us->member_id != 0 ||
           us->cluster_id != view->list.cluster_id || us->generation < member_generation(view);
}

/* An entry for us that nobody has started: we have been let in. */
bool member_rule_join(const struct member_view *view, struct member_decision *decision)
{
    if (!view->list.fresh)
        return false;
    const struct member_listed *entry = member_listed_peer(view, member_us(view));
    if (entry == NULL || member_started(entry))
        return false;
    if (entry->id == view->tried_id && member_us(view)->word.tries >= MEMBER_TRIES)
        return member_say(decision, MEMBER_WAIT,
                          "joining failed %lld times: asking to be added "
                          "anew",
                          (long long)member_us(view)->word.tries);
    if (must_enter(view))
        return member_say(decision, MEMBER_ENTER, "added as member %llx",
                          (unsigned long long)entry->id);
    return member_say(decision, MEMBER_JOIN, "added as member %llx", (unsigned long long)entry->id);
}

struct survey {
    bool all_answered;
    const struct member_peer *first_missing;
    const struct member_peer *second_missing;
    const struct member_peer *with_data;   /* first that answered so */
    const struct member_peer *with_traces; /* PGDATA or a mark */
};

static struct survey survey(const struct member_view *view)
{
    struct survey found = { .all_answered = true };
    for (size_t at = 0; at < view->n; at++) {
        const struct member_peer *peer = &view->peers[at];
        bool us = at == view->self;
        if (!us && !peer->answered) {
            found.all_answered = false;
            if (found.first_missing == NULL)
                found.first_missing = peer;
            else if (found.second_missing == NULL)
                found.second_missing = peer;
            continue;
        }
        if (found.with_data == NULL && (peer->word.data || peer->word.running))
            found.with_data = peer;
        if (found.with_traces == NULL && (peer->word.pgdata || peer->word.mark))
            found.with_traces = peer;
    }
    return found;
}

/* E1: once in a cluster's life, by the founder, alone. */
bool member_rule_found(const struct member_view *view, struct member_decision *decision)
{
    struct survey found = survey(view);
    if (view->self != 0 || view->list.fresh || !found.all_answered || found.with_data != NULL ||
        found.with_traces != NULL)
        return false;
    return member_say(decision, MEMBER_FOUND, "nobody has etcd data, PGDATA or a mark");
}

/* First formation waits for all, and says so; so does who cannot know whether there is a cluster. */
bool member_rule_formation(const struct member_view *view, struct member_decision *decision)
{
    struct survey found = survey(view);
    if (found.all_answered || found.with_data != NULL || view->list.fresh)
        return false;
    const struct member_peer *second = found.second_missing;
    return member_warn(decision, "waiting for %s's sidecar at %s%s%s%s%s",
                       found.first_missing->name, found.first_missing->api_url,
                       second != NULL ? " and " : "", second != NULL ? second->name : "",
                       second != NULL ? "'s at " : "", second != NULL ? second->api_url : "");
}

/* E4 */
bool member_rule_nothing_left(const struct member_view *view, struct member_decision *decision)
{
    struct survey found = survey(view);
    if (!found.all_answered || found.with_data != NULL || found.with_traces == NULL ||
        view->list.fresh)
        return false;
    return member_warn(decision,
                       "%s has %s, but nobody has etcd data: nothing is guessed; pgvigilctl "
                       "recover-quorum makes a new quorum",
                       found.with_traces->name,
                       found.with_traces->word.pgdata ? "PGDATA" : "the mark of a cluster");
}

bool member_rule_ask(const struct member_view *view, struct member_decision *decision)
{
    struct survey found = survey(view);
    if (!view->list.fresh && found.with_data == NULL)
        return member_say(decision, MEMBER_WAIT, "waiting for %s to found the cluster",
                          view->peers[0].name);
    if (!view->list.fresh)
        return member_warn(decision, "asks to join, but the others have no quorum");
    return member_say(decision, MEMBER_WAIT, "asks to join: waiting for the raft leader's sidecar");
}
