#include "controller/core/election.h"

#include <string.h>

enum { SECOND_MS = 1000, DURATION_MIN_MS = 2000 };

struct election_times election_times(int64_t ttl_ms)
{
    int64_t duration_ms = ttl_ms * 2 / 5 / SECOND_MS * SECOND_MS;
    if (duration_ms < DURATION_MIN_MS)
        duration_ms = DURATION_MIN_MS;
    return (struct election_times){
        .duration_ms = duration_ms,
        .deadline_ms = duration_ms * 3 / 4,
        .retry_ms = duration_ms / 4,
    };
}

/* One beside the primary leaves the other one a whole duration more. */
static bool is_over(const struct election_view *view)
{
    bool polite = view->beside_primary && view->successor != NULL;
    int64_t wait_ms = view->holder[0] == '\0' ? 0 : view->duration_ms;
    if (polite)
        wait_ms += view->duration_ms;
    return mono_diff(view->now, view->changed) >= wait_ms;
}

enum election_move election_move(const struct election_view *view)
{
    if (view->holder == NULL)
        return ELECTION_TAKE;
    if (strcmp(view->holder, view->self) != 0)
        return is_over(view) ? ELECTION_TAKE : ELECTION_WAIT;
    if (view->beside_primary && view->successor != NULL)
        return ELECTION_HAND_OVER;
    return ELECTION_RENEW;
}

const struct pod *election_successor(const struct pods *pods, const char *self,
                                     const struct pod *primary)
{
    const struct pod *first = NULL;
    for (size_t i = 0; i < pods->n; i++) {
        const struct pod *pod = &pods->pod[i];
        if (pod->component != COMPONENT_CONTROLLER || !pod->ready || pod->ended || pod->deleting ||
            strcmp(pod->name, self) == 0)
            continue;
        if (primary != NULL && strcmp(pod->node, primary->node) == 0)
            continue;
        if (first == NULL || strcmp(pod->name, first->name) < 0)
            first = pod;
    }
    return first;
}
