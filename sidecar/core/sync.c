#include "sidecar/core/sync.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* S5: judged by the primary itself: there are waiters and no flush progress for ttl. */
static bool silent(const struct view *view)
{
    return view->pg.waiters > 0 && mono_diff(view->now, view->pg.progress_at) > view->policy.ttl_ms;
}

static bool stopped_in_order(const struct peer *peer)
{
    return peer->member.state == MEMBER_STOPPED || peer->member.state == MEMBER_STOPPING ||
           peer->member.state == MEMBER_CRASHED || peer->member.state == MEMBER_CREATING_REPLICA;
}

/* Why this member must leave /sync; NULL: it stays. */
static const char *leaves(const struct view *view, const char *name)
{
    const struct peer *peer = view_peer(view, name);
    if (peer == NULL)
        return "is not a member any more";
    if (peer->member.tags.nosync)
        return "asked to leave";
    bool gone = view_walsender(view, name) == NULL;
    if (gone && stopped_in_order(peer))
        return "has stopped";
    if (gone && mono_diff(view->now, peer->walsender_gone) > SYNC_RETURN_MS)
        return "closed its connection and did not return";
    if (silent(view))
        return "has been silent for the ttl while commits wait";
    return NULL;
}

struct names sync_keep(const struct view *view, char ret_why[LIMIT_REASON])
{
    const struct names *now = &view->store.sync.standbys;
    struct names keep = { .n = 0 };
    ret_why[0] = '\0';
    for (size_t i = 0; i < now->n; i++) {
        const char *why = leaves(view, now->name[i]);
        if (why == NULL && (int)keep.n >= view->policy.sync_count)
            why = "is one more than synchronous_node_count";
        if (why == NULL)
            names_add(&keep, now->name[i]);
        else
            (void)snprintf(ret_why, LIMIT_REASON, "%s %s", now->name[i], why);
    }
    return keep;
}

static int64_t catch_up_limit(const struct view *view)
{
    return view->policy.max_lag_on_syncnode > 0 ? view->policy.max_lag_on_syncnode
                                                : SYNC_CATCH_UP_BYTES;
}

/* ---- members that did not confirm in time ---- */

static const struct late *find_late(const struct memory *memory, const char *name)
{
    for (size_t i = 0; i < memory->n_late; i++)
        if (strcmp(memory->late[i].name, name) == 0)
            return &memory->late[i];
    return NULL;
}

static void forget_late(struct memory *memory, const char *name)
{
    for (size_t i = 0; i < memory->n_late; i++)
        if (strcmp(memory->late[i].name, name) == 0)
            memory->late[i] = memory->late[--memory->n_late];
}

static bool owes(const struct late *late, const struct walsender *sender)
{
    return late != NULL && sender->flush < late->goal;
}

static bool held_back(const struct view *view, const struct walsender *sender)
{
    const struct late *late = find_late(&view->memory, sender->name);
    bool commits_wait_anyway = view->policy.sync_strict && view->store.sync.standbys.n == 0;
    return owes(late, sender) && mono_before(view->now, late->retry_at) && !commits_wait_anyway;
}

const struct late *sync_late(const struct view *view)
{
    for (size_t i = 0; i < view->pg.n_walsenders; i++)
        if (held_back(view, &view->pg.walsenders[i]))
            return find_late(&view->memory, view->pg.walsenders[i].name);
    return NULL;
}

static void note_late(struct memory *memory, const struct view *view, const char *name)
{
    const struct walsender *sender = view_walsender(view, name);
    if (sender == NULL || names_has(&view->store.sync.standbys, name))
        return;
    const struct late *former = find_late(memory, name);
    struct late late = { .times = 1, .goal = view->pg.position };
    if (owes(former, sender))
        late.times = former->times + 1;
    int64_t pause_ms = SYNC_GROW_RETRY_MS;
    for (unsigned i = 1; i < late.times && pause_ms < SYNC_LATE_MAX_MS; i++)
        pause_ms *= 2;
    late.retry_at = mono_add(view->now, pause_ms < SYNC_LATE_MAX_MS ? pause_ms : SYNC_LATE_MAX_MS);
    (void)text_copy(late.name, LIMIT_NAME, name);
    forget_late(memory, name);
    if (memory->n_late < LIMIT_MEMBERS)
        memory->late[memory->n_late++] = late;
}

void sync_note_growth(struct memory *memory, const struct view *view, const struct step *step,
                      bool completed)
{
    if (!completed)
        memory->grow_failed_at = view->now;
    for (size_t i = 0; i < step->names.n; i++) {
        if (completed)
            forget_late(memory, step->names.name[i]);
        else if (step->kind == STEP_AWAIT_SYNC)
            note_late(memory, view, step->names.name[i]);
    }
}

/* ---- who joins ---- */

static bool may_join(const struct view *view, const struct peer *peer)
{
    const struct walsender *sender = view_walsender(view, peer->member.name);
    if (!peer->has_key || peer->member.state != MEMBER_RUNNING || peer->member.tags.nosync)
        return false;
    /* L6: who may race must be asked: /failsafe first, then /sync. */
    if (view->policy.failsafe && !names_has(&view->store.failsafe, peer->member.name))
        return false;
    if (sender == NULL || !sender->streaming || !sender->only_one || !sender->holds_slot)
        return false;
    if (held_back(view, sender))
        return false;
    return sender->flush != LSN_NONE &&
           sender->flush + (lsn_t)catch_up_limit(view) >= view->pg.position;
}

/* The better one joins: sync_priority, then who may fail over, then the flush position, then name. */
static bool joins_before(const struct view *view, const struct peer *a, const struct peer *b)
{
    if (a->member.tags.sync_priority != b->member.tags.sync_priority)
        return a->member.tags.sync_priority > b->member.tags.sync_priority;
    if (a->member.tags.nofailover != b->member.tags.nofailover)
        return b->member.tags.nofailover;
    lsn_t flush_a = view_walsender(view, a->member.name)->flush;
    lsn_t flush_b = view_walsender(view, b->member.name)->flush;
    if (flush_a != flush_b)
        return flush_a > flush_b;
    return strcmp(a->member.name, b->member.name) < 0;
}

static const struct peer *best_joiner(const struct view *view, const struct names *present)
{
    const struct peer *best = NULL;
    for (size_t i = 0; i < view->store.n_peers; i++) {
        const struct peer *peer = &view->store.peers[i];
        if (names_has(present, peer->member.name) || !may_join(view, peer))
            continue;
        if (best == NULL || joins_before(view, peer, best))
            best = peer;
    }
    return best;
}

bool sync_has_joiner(const struct view *view)
{
    return best_joiner(view, &view->store.sync.standbys) != NULL;
}

struct names sync_grown(const struct view *view)
{
    struct names grown = view->store.sync.standbys;
    while ((int)grown.n < view->policy.sync_count && !names_full(&grown)) {
        const struct peer *joiner = best_joiner(view, &grown);
        if (joiner == NULL)
            break;
        names_add(&grown, joiner->member.name);
    }
    return grown;
}

enum ssn_kind sync_ssn_for(const struct view *view, const struct names *standbys)
{
    if (standbys->n > 0)
        return SSN_NAMES;
    return view->policy.sync_strict && view->policy.sync_on ? SSN_NOBODY : SSN_EMPTY;
}

lsn_t sync_confirmed(const struct view *view)
{
    const struct names *standbys = &view->store.sync.standbys;
    lsn_t lowest = LSN_NONE;
    for (size_t i = 0; i < standbys->n; i++) {
        const struct walsender *sender = view_walsender(view, standbys->name[i]);
        if (sender == NULL || sender->flush == LSN_NONE)
            return LSN_NONE;
        if (lowest == LSN_NONE || sender->flush < lowest)
            lowest = sender->flush;
    }
    return lowest;
}
