#include "controller/core/roll.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/labels.h"

int roll_ordinal(const char *set, const char *pod)
{
    size_t len = strlen(set);
    if (strncmp(pod, set, len) != 0 || pod[len] != '-' || pod[len + 1] < '0' || pod[len + 1] > '9')
        return -1;
    char *end;
    long ordinal = strtol(pod + len + 1, &end, 10);
    return *end == '\0' && ordinal < 10000 ? (int)ordinal : -1;
}

static bool is_outdated(const struct roll_view *view, const struct pod *pod)
{
    return pod->component == COMPONENT_DATA && !pod->deleting && !pod->ended &&
           strcmp(pod->revision, view->revision) != 0;
}

static bool leads(const struct roll_view *view, const struct pod *pod)
{
    return strcmp(view->cluster->leader, pod->name) == 0;
}

static bool is_broken(const struct roll_view *view, const struct pod *pod)
{
    return is_outdated(view, pod) && !pod->ready && !leads(view, pod);
}

bool roll_is_healthy(const struct roll_view *view)
{
    int data = 0, witnesses = 0, broken = 0;
    for (size_t i = 0; i < view->pods->n; i++) {
        const struct pod *pod = &view->pods->pod[i];
        bool well = pod->ready && !pod->deleting && !pod->ended;
        if (pod->component == COMPONENT_WITNESS)
            witnesses += well;
        if (pod->component == COMPONENT_DATA) {
            data += well;
            broken += is_broken(view, pod);
        }
    }
    return data + (broken == 1) >= view->replicas && (witnesses > 0 || !view->witness_exists);
}

/* Synchronous mode: a standby has every acknowledged commit. */
static bool sync_is_full(const struct roll_view *view)
{
    return !sync_in_force(&view->cluster->sync) || view->cluster->sync.standbys.n > 0 ||
           view->replicas < 2;
}

/* The next one to be deleted: a broken one first, then the highest name; the primary never. */
static const struct pod *next_standby(const struct roll_view *view)
{
    const struct pod *best = NULL;
    for (size_t i = 0; i < view->pods->n; i++) {
        const struct pod *pod = &view->pods->pod[i];
        if (!is_outdated(view, pod) || leads(view, pod))
            continue;
        if (is_broken(view, pod))
            return pod;
        if (best == NULL || strcmp(pod->name, best->name) > 0)
            best = pod;
    }
    return best;
}

const struct pod *roll_successor(const struct roll_view *view, const char *node)
{
    const struct sync_state *sync = &view->cluster->sync;
    for (size_t i = 0; i < view->pods->n; i++) {
        const struct pod *pod = &view->pods->pod[i];
        const struct member *member = cluster_member(view->cluster, pod->name);
        if (pod->component != COMPONENT_DATA || !pod->ready || pod->deleting || leads(view, pod) ||
            is_outdated(view, pod) || member == NULL || !member->streaming ||
            member->tags.nofailover)
            continue;
        if (node != NULL && strcmp(pod->node, node) == 0)
            continue;
        if (!sync_in_force(sync) || names_has(&sync->standbys, pod->name))
            return pod;
    }
    return NULL;
}

static bool any_outdated(const struct roll_view *view)
{
    for (size_t i = 0; i < view->pods->n; i++)
        if (is_outdated(view, &view->pods->pod[i]))
            return true;
    return false;
}

static struct roll_decision waits(const char *reason)
{
    return (struct roll_decision){ .move = ROLL_WAIT, .reason = reason };
}

/* NULL: nothing holds it up. */
static const char *obstacle(const struct roll_view *view)
{
    if (view->cluster->paused)
        return "the cluster is paused";
    if (!view->witness_known)
        return "the witness's Deployment is not known yet";
    if (view->witness_exists && strcmp(view->stamp, view->witness_stamp) != 0)
        return "the witness's Deployment is of another chart revision";
    if (view->witness_exists && !view->witness_complete)
        return "the witness is still being rolled out";
    if (labels_primary(view->cluster, view->pods) == NULL)
        return "there is no primary";
    if (!roll_is_healthy(view))
        return "not every pod is ready";
    if (view->healthy_since.ms == 0 || mono_diff(view->now, view->healthy_since) < ROLL_HEALTHY_MS)
        return "every pod is to be ready for 10 s";
    return sync_is_full(view) ? NULL : "no standby is synchronous";
}

/* ---- parameters that wait for a restart ------------------------------------------------------- */

/* Standbys first, the highest name first; the primary last. NULL: nothing waits. */
static const struct pod *next_restart(const struct roll_view *view)
{
    const struct pod *best = NULL;
    for (size_t i = 0; i < view->pods->n; i++) {
        const struct pod *pod = &view->pods->pod[i];
        if (pod->component != COMPONENT_DATA || !names_has(&view->due, pod->name))
            continue;
        if (best == NULL || leads(view, best) ||
            (!leads(view, pod) && strcmp(pod->name, best->name) > 0))
            best = pod;
    }
    return best;
}

static bool all_stream(const struct roll_view *view)
{
    int streaming = 0;
    for (size_t i = 0; i < view->cluster->n_members; i++)
        streaming += view->cluster->members[i].streaming;
    return streaming + 1 >= view->replicas;
}

static struct roll_decision decide_restart(const struct roll_view *view)
{
    const struct pod *pod = next_restart(view);
    if (pod == NULL)
        return roll_is_healthy(view) ? (struct roll_decision){ .move = ROLL_DONE,
                                                               .reason = "all pods are up to date" }
                                     : waits("not every pod is ready");
    if (view->cluster->paused)
        return waits("a parameter waits for a restart, and the cluster is paused");
    if (labels_primary(view->cluster, view->pods) == NULL)
        return waits("there is no primary");
    if (!all_stream(view) || !sync_is_full(view))
        return waits("a parameter waits for a restart, and not every standby streams");
    if (strcmp(view->restarted, pod->name) == 0 &&
        mono_diff(view->now, view->restarted_at) < ROLL_RESTART_AGAIN_MS)
        return waits("a member is being restarted");
    return (struct roll_decision){ .move = ROLL_RESTART,
                                   .pod = pod,
                                   .reason = "a parameter waits for a restart" };
}

struct roll_decision roll_decide(const struct roll_view *view)
{
    if (!view->cluster->known || !view->set_known)
        return waits("etcd or the StatefulSet is not known yet");
    if (!any_outdated(view))
        return view->settings_current ? decide_restart(view)
                                      : waits("the values' settings are not in force yet");
    const char *why = obstacle(view);
    if (why != NULL)
        return waits(why);
    const struct pod *pod = next_standby(view);
    if (pod != NULL)
        return (struct roll_decision){ .move = ROLL_DELETE,
                                       .pod = pod,
                                       .reason = "it is of an old revision" };
    pod = roll_successor(view, NULL);
    if (pod == NULL)
        return waits("no standby can take over");
    return (struct roll_decision){ .move = ROLL_SWITCHOVER,
                                   .pod = pod,
                                   .reason = "the primary is of an old revision" };
}
