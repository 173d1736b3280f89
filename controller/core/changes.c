#include "controller/core/changes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "controller/core/labels.h"

enum {
    WISH_MS = 30000,      /* a switchover takes no longer */
    OVERSTAYED_MS = 10000 /* beyond its grace, before a pod's node is called lost */
};

static struct change *add(struct change_list *list, const char *reason, bool warning,
                          const char *pod)
{
    if (list->n == CHANGES_MAX)
        return NULL; /* one too many is dropped */
    struct change *change = &list->change[list->n++];
    *change = (struct change){ .reason = reason, .warning = warning };
    (void)text_copy(change->pod, sizeof(change->pod), pod);
    return change;
}

static void say(struct change *change, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct change *change, const char *format, ...)
{
    if (change == NULL)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(change->text, sizeof(change->text), format, args);
    va_end(args);
}

/* ---- the primary ------------------------------------------------------------------------------ */

static void look_at_primary(struct changes *changes, const struct pod *primary, struct mono now,
                            struct change_list *list)
{
    if (primary == NULL || strcmp(changes->primary, primary->name) == 0)
        return;
    bool first = changes->primary[0] == '\0';
    bool wished = changes->wished.ms != 0 && mono_diff(now, changes->wished) < WISH_MS;
    if (!first)
        say(add(list, wished ? "Switchover" : "Failover", !wished, primary->name),
            "%s is the primary now; before it was %s", primary->name, changes->primary);
    (void)text_copy(changes->primary, sizeof(changes->primary), primary->name);
}

/* ---- standbys and nodes ----------------------------------------------------------------------- */

static struct watched_pod *watched(struct changes *changes, const char *name)
{
    for (size_t i = 0; i < changes->n; i++)
        if (strcmp(changes->pods[i].name, name) == 0)
            return &changes->pods[i];
    if (changes->n == LIMIT_PODS)
        return NULL;
    struct watched_pod *pod = &changes->pods[changes->n++];
    *pod = (struct watched_pod){ 0 };
    (void)text_copy(pod->name, sizeof(pod->name), name);
    return pod;
}

static bool streams(const struct cluster_view *cluster, const char *name)
{
    const struct member *member = cluster_member(cluster, name);
    return member != NULL && member->state == MEMBER_RUNNING &&
           member->role == MEMBER_ROLE_REPLICA && member->streaming;
}

/* A standby that was one and has not streamed for a ttl; without a primary nobody streams. */
static void look_at_standby(struct watched_pod *pod, const struct cluster_view *cluster,
                            const struct pod *primary, struct mono now, struct change_list *list)
{
    bool leads = strcmp(cluster->leader, pod->name) == 0;
    if (leads || streams(cluster, pod->name)) {
        if (pod->lost_said)
            say(add(list, "StandbyBack", false, pod->name), "%s %s again", pod->name,
                leads ? "leads" : "streams");
        pod->streamed = true;
        pod->silent = (struct mono){ 0 };
        pod->lost_said = false;
        return;
    }
    if (!pod->streamed || primary == NULL)
        return;
    if (pod->silent.ms == 0)
        pod->silent = now;
    if (pod->lost_said || mono_diff(now, pod->silent) < cluster->ttl_ms)
        return;
    pod->lost_said = true;
    say(add(list, "StandbyLost", true, pod->name),
        "%s has not streamed for %d s: kubectl logs %s -c sidecar says why", pod->name,
        (int)(cluster->ttl_ms / 1000), pod->name);
}

static void look_at_node(struct watched_pod *watch, const struct pod *pod, struct change_list *list)
{
    if (!pod->deleting || pod->overstayed_ms < OVERSTAYED_MS) {
        watch->node_said = false;
        return;
    }
    if (watch->node_said)
        return;
    watch->node_said = true;
    struct change *change = add(list, "NodeLost", true, pod->name);
    if (pod->claims[0] == '\0') {
        say(change,
            "pod %s does not end on node %s, which seems lost; it has no volume, and another one is "
            "made elsewhere. If the node is lost for good: kubectl delete node %s",
            pod->name, pod->node, pod->node);
        return;
    }
    say(change,
        "pod %s does not end on node %s, which seems lost, with the claims %s. If it is lost for "
        "good, and is known to be off: volumes that attach elsewhere (network storage): kubectl taint "
        "nodes %s node.kubernetes.io/out-of-service=nodeshutdown:NoExecute. Volumes of that node "
        "alone (local disks): kubectl cordon %s, then kubectl delete pvc %s --wait=false, then kubectl "
        "delete pod %s --force --grace-period=0. Afterwards kubectl delete node %s",
        pod->name, pod->node, pod->claims, pod->node, pod->node, pod->claims, pod->name, pod->node);
}

/* ---- the witness ------------------------------------------------------------------------------ */

static void look_at_witness(struct changes *changes, const struct pod *pod,
                            struct change_list *list)
{
    if (pod->deleting || pod->ended || !pod->ready || strcmp(changes->witness, pod->uid) == 0)
        return;
    if (changes->witness[0] != '\0')
        say(add(list, "WitnessReplaced", false, pod->name), "%s is the witness now, on node %s",
            pod->name, pod->node);
    (void)text_copy(changes->witness, sizeof(changes->witness), pod->uid);
}

static void forget_unseen(struct changes *changes)
{
    size_t kept = 0;
    for (size_t i = 0; i < changes->n; i++)
        if (changes->pods[i].seen || changes->pods[i].streamed)
            changes->pods[kept++] = changes->pods[i];
    changes->n = kept;
}

struct change_list changes_look(struct changes *changes, const struct cluster_view *cluster,
                                const struct pods *pods, bool wish, struct mono now)
{
    struct change_list list = { 0 };
    if (!cluster->known)
        return list;
    const struct pod *primary = labels_primary(cluster, pods);
    if (wish)
        changes->wished = now;
    look_at_primary(changes, primary, now, &list);
    for (size_t i = 0; i < changes->n; i++)
        changes->pods[i].seen = false;
    for (size_t i = 0; i < pods->n; i++) {
        const struct pod *pod = &pods->pod[i];
        if (pod->component == COMPONENT_WITNESS)
            look_at_witness(changes, pod, &list);
        if (pod->component != COMPONENT_DATA && pod->component != COMPONENT_WITNESS)
            continue;
        struct watched_pod *watch = watched(changes, pod->name);
        if (watch == NULL)
            continue;
        watch->seen = true;
        look_at_node(watch, pod, &list);
        if (pod->component == COMPONENT_DATA)
            look_at_standby(watch, cluster, primary, now, &list);
    }
    forget_unseen(changes);
    return list;
}
