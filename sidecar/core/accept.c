#include "sidecar/core/accept.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define LEADING_NAME(name, text) [LEADING_##name] = (text),
static const char *const names[] = { LEADINGS(LEADING_NAME) };

const char *leading_name(enum leading_by by)
{
    return names[by];
}

enum leading_by leading_from_name(const char *name)
{
    for (int by = 0; by < LEADING_MAX; by++)
        if (strcmp(names[by], name) == 0)
            return (enum leading_by)by;
    return LEADING_UNSAID;
}

static enum leading_by held_by(const struct view *view, const struct lease *lease, struct mono now)
{
    if (lease->lifted || view->guard.lifted)
        return LEADING_NO_DEADLINE;
    if (!lease_holds(lease, now))
        return LEADING_ENDING;
    return lease_by_promise(lease) || lease->keyless ? LEADING_PROMISES : LEADING_LEASE;
}

struct leading leading_of(const struct view *view, const struct lease *lease, struct mono now)
{
    if (view_is_primary(view) || lease->owns_key || lease_holds(lease, now))
        return (struct leading){ held_by(view, lease, now), lease->create_revision };
    /* Without the guard's word nobody knows what runs here. */
    bool known = view->guard.connected || view->guard.dead;
    return (struct leading){ known ? LEADING_NO : LEADING_UNSAID, 0 };
}

bool known_members_add(struct known_members *members, const char *name, const char *api_url)
{
    for (size_t i = 0; i < members->n; i++)
        if (strcmp(members->member[i].name, name) == 0 ||
            (api_url[0] != '\0' && strcmp(members->member[i].api_url, api_url) == 0))
            return false;
    if (members->n == LIMIT_MEMBERS)
        return false;
    struct known_member *member = &members->member[members->n++];
    (void)text_copy(member->name, sizeof(member->name), name);
    (void)text_copy(member->api_url, sizeof(member->api_url), api_url);
    return true;
}

/* Does this etcd bar everybody else for as long as that member runs as primary? */
static bool seen_here(const struct store_view *store, const struct accept_answer *answer)
{
    bool leads = store->leader_exists && strcmp(store->leader, answer->name) == 0 &&
                 store->leader_create_revision == answer->leading.create_revision;
    bool lifted = store->holder.exists && store->holder.lifted && !store->holder.released &&
                  strcmp(store->holder.name, answer->name) == 0;
    if (answer->leading.by == LEADING_NO_DEADLINE)
        return lifted;
    return leads && answer->leading.by != LEADING_PROMISES; /* else its guard ends it in time */
}

static bool stands_against(const struct store_view *store, const struct accept_answer *answer,
                           char why[ACCEPT_WHY])
{
    switch (answer->leading.by) {
    case LEADING_NO:
        return false;
    case LEADING_UNSAID:
        if (answer->known_dead)
            return false;
        (void)snprintf(why, ACCEPT_WHY,
                       "%s does not say whether its Postgres runs as primary: bring it back or see "
                       "to it that its Postgres is down for good, then say so (--dead %s)",
                       answer->name, answer->name);
        return true;
    case LEADING_LEASE:
    case LEADING_PROMISES:
    case LEADING_NO_DEADLINE:
    case LEADING_ENDING:
    case LEADING_MAX:
        break;
    }
    if (seen_here(store, answer))
        return false;
    (void)snprintf(why, ACCEPT_WHY,
                   "%s runs as primary%s and this etcd does not know it: a second primary would be "
                   "made. Accept on %s, or stop its Postgres first",
                   answer->name,
                   answer->leading.by == LEADING_PROMISES      ? " (failsafe_mode)"
                   : answer->leading.by == LEADING_NO_DEADLINE ? " (pause)"
                                                               : "",
                   answer->name);
    return true;
}

bool accept_judge(const struct view *view, const struct accept_answer *answers, size_t n,
                  char ret_why[ACCEPT_WHY])
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(answers[i].name, view->self) != 0 &&
            stands_against(&view->store, &answers[i], ret_why))
            return false;
    return true;
}
