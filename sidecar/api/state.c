/* Facts that several answers ask for. */
#include "sidecar/api/state.h"

#include <string.h>

/* L1: by CLOCK_BOOTTIME at the time of the request, not by a flag that a cycle left behind. */
bool api_holds_lock(const struct api_state *state, struct mono now)
{
    const struct lease *lease = state->lease;
    if (state->witness)
        return false;
    if (lease != NULL && lease_holds(lease, now))
        return true;
    /* patroni-compat 2.2: in pause, without a view of the store, the role decides. */
    return api_paused(state) && !state->view->store.reachable &&
           state->postgres.role == MEMBER_ROLE_PRIMARY;
}

bool api_paused(const struct api_state *state)
{
    return state->view != NULL && state->view->policy.pause;
}

bool api_cluster_unlocked(const struct api_state *state)
{
    return state->view == NULL || !state->view->store.leader_exists;
}

bool api_is_sync_standby(const struct api_state *state)
{
    if (state->view == NULL || state->postgres.role == MEMBER_ROLE_PRIMARY)
        return false;
    const struct sync_state *sync = &state->view->store.sync;
    return sync_in_force(sync) && names_has(&sync->standbys, state->name);
}

bool api_one_copy(const struct api_state *state, struct mono now)
{
    if (state->view == NULL || !state->view->policy.sync_on || !api_holds_lock(state, now))
        return false;
    return state->postgres.role == MEMBER_ROLE_PRIMARY && state->view->store.sync.standbys.n == 0 &&
           state->view->pg.ssn == SSN_EMPTY;
}

const char *api_action_under_way(const struct api_state *state)
{
    return state->running;
}
