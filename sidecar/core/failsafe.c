#include "sidecar/core/failsafe.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static enum failsafe_answer refuse(enum failsafe_answer answer, char why[LIMIT_REASON],
                                   const char *text)
{
    (void)snprintf(why, LIMIT_REASON, "%s", text);
    return answer;
}

/* What ends with our own Postgres as primary. */
static bool about_to_lead(enum action running)
{
    return running == ACT_TAKE || running == ACT_BOOTSTRAP || running == ACT_ADOPT ||
           running == ACT_RETAKE;
}

static bool leads(const struct view *view, const struct failsafe_ask *ask)
{
    const struct store_view *store = &view->store;
    return store->leader_exists && strcmp(store->leader, ask->name) == 0 &&
           (ask->create_revision == 0 || ask->create_revision == store->leader_create_revision);
}

enum failsafe_answer failsafe_judge(const struct view *view, enum action running,
                                    const struct failsafe_ask *ask, char ret_why[LIMIT_REASON])
{
    if (ask->member[0] != '\0' && strcmp(ask->member, view->self) != 0)
        return refuse(FAILSAFE_REFUSED, ret_why, "another member is asked for at this address");
    if (view->store.loaded && !view->policy.failsafe)
        return refuse(FAILSAFE_OFF, ret_why, "failsafe_mode is off");
    if (view->lease.owns_key || view_holds_lease(view) || view_is_primary(view) ||
        about_to_lead(running))
        return refuse(FAILSAFE_LEADING, ret_why, "Running as a leader");
    if (view->store.loaded && view->store.reachable && !leads(view, ask))
        return refuse(FAILSAFE_REFUSED, ret_why,
                      "etcd has a quorum here, and the leader key is not the asker's");
    return FAILSAFE_ACCEPTED;
}

void failsafe_promise(struct memory *memory, struct mono now, const struct failsafe_ask *ask,
                      int64_t own_ttl_ms)
{
    int64_t ttl_ms = ask->ttl_ms > own_ttl_ms ? ask->ttl_ms : own_ttl_ms;
    memory->promised_until = mono_max(memory->promised_until, mono_add(now, ttl_ms));
    (void)text_copy(memory->promised_to, LIMIT_NAME, ask->name);
}

/* "With failsafe on, a restarted sidecar does not race for one ttl": the longest that the holder can
 * have told a former process here. */
static struct mono quiet_until(const struct view *view)
{
    int64_t ttl_ms = view->policy.ttl_ms;
    if (view->store.renewed_ttl_ms > ttl_ms)
        ttl_ms = view->store.renewed_ttl_ms;
    return mono_add(view->memory.started_at, ttl_ms);
}

/* A holder that /failsafe does not name has not written it since it leads: it has no way round the lease
 * (failsafe_others), and the taking of the key compares this very /failsafe. */
bool failsafe_leaves_out(const struct view *view, const char *name)
{
    const struct store_view *store = &view->store;
    const struct lease_holder *holder = &store->holder;
    bool usable = store->failsafe.n > 0 &&
                  (holder->name[0] == '\0' || names_has(&store->failsafe, holder->name));
    return holder->exists && !holder->released && usable && !names_has(&store->failsafe, name);
}

bool failsafe_bars(const struct view *view, char ret_why[LIMIT_REASON])
{
    const struct store_view *store = &view->store;
    if (!store->holder.exists || store->holder.released)
        return false;
    if (mono_before(view->now, view->memory.promised_until)) {
        (void)snprintf(ret_why, LIMIT_REASON,
                       "%s may go on without etcd (failsafe_mode): promised not to race for %d ms",
                       view->memory.promised_to,
                       (int)mono_diff(view->memory.promised_until, view->now));
        return true;
    }
    if (store->failsafe.n == 0)
        return false;
    if (mono_before(view->now, quiet_until(view))) {
        (void)snprintf(ret_why, LIMIT_REASON,
                       "this process has just started; a former one here may have promised not to "
                       "race (failsafe_mode)");
        return true;
    }
    if (!failsafe_leaves_out(view, view->self))
        return false;
    (void)snprintf(ret_why, LIMIT_REASON,
                   "/failsafe does not name this member: the former leader may go on without it; a "
                   "person deletes that key once all whom it names are lost for good");
    return true;
}

/* Who is named anew has promised nothing, nor has who may race because nobody is named any more: not
 * while the holding may rest on what the others promised, us or the process before us. */
static struct names without_new_ones(const struct view *view, const struct names *wanted)
{
    const struct names *now = &view->store.failsafe;
    bool promises_live =
        view->lease.inherited || mono_before(view->now, view->lease.promised_until);
    if (!promises_live)
        return *wanted;
    if (wanted->n == 0)
        return *now;
    struct names names = { .n = 0 };
    for (size_t i = 0; i < wanted->n; i++)
        if (strcmp(wanted->name[i], view->self) == 0 || names_has(now, wanted->name[i]))
            names_add(&names, wanted->name[i]);
    return names;
}

struct names failsafe_members(const struct view *view)
{
    struct names names = { .n = 0 };
    if (!view->policy.failsafe)
        return without_new_ones(view, &names);
    names_add(&names, view->self);
    for (size_t i = 0; i < view->store.n_peers; i++) {
        const struct peer *peer = &view->store.peers[i];
        bool stays = names_has(&view->store.sync.standbys, peer->member.name) &&
                     names_has(&view->store.failsafe, peer->member.name);
        if ((peer->has_key && peer->member.api_url[0] != '\0') || stays)
            names_add(&names, peer->member.name);
    }
    return without_new_ones(view, &names);
}

bool failsafe_others(const struct view *view, struct names *ret_others)
{
    if (!view->policy.failsafe || !view->store.failsafe_committed ||
        !names_has(&view->store.failsafe, view->self))
        return false;
    *ret_others = view->store.failsafe;
    names_remove(ret_others, view->self);
    return true;
}

struct mono failsafe_due(const struct lease *lease)
{
    if (lease->lifted || lease->inherited || !(lease->owns_key || lease->keyless) ||
        !lease->held_once)
        return MONO_NEVER;
    return mono_add(lease->held_until, -lease->ttl_ms * 5 / 8);
}
