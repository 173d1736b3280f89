#include "controller/core/labels.h"

#include <string.h>

const struct member *cluster_member(const struct cluster_view *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->n_members; i++)
        if (strcmp(cluster->members[i].name, name) == 0)
            return &cluster->members[i];
    return NULL;
}

const struct pod *pods_named(const struct pods *pods, const char *name)
{
    for (size_t i = 0; i < pods->n; i++)
        if (strcmp(pods->pod[i].name, name) == 0)
            return &pods->pod[i];
    return NULL;
}

bool label_preset(const char *name, struct label_names *ret_names)
{
    static const struct {
        const char *name;
        struct label_names names;
    } presets[] = {
        { "patroni", { "role", "primary", "replica" } },
        { "spilo", { "spilo-role", "master", "replica" } },
        { "cloudnativepg", { "cnpg.io/instanceRole", "primary", "replica" } },
    };
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        if (strcmp(presets[i].name, name) == 0) {
            *ret_names = presets[i].names;
            return true;
        }
    }
    return false;
}

/* A pod that ended runs nothing. One that is being deleted may still be primary: its guard hands the
 * key over, and until then clients work (design part 6). */
static bool is_primary(const struct cluster_view *cluster, const struct pod *pod)
{
    const struct member *member = cluster_member(cluster, pod->name);
    return pod->component == COMPONENT_DATA && !pod->ended && member != NULL &&
           strcmp(cluster->leader, pod->name) == 0 && member->state == MEMBER_RUNNING &&
           member->role == MEMBER_ROLE_PRIMARY;
}

static lsn_t position(const struct member *member)
{
    return member->receive_lsn > member->replay_lsn ? member->receive_lsn : member->replay_lsn;
}

static bool lags(const struct cluster_view *cluster, const struct member *member)
{
    lsn_t at = position(member);
    if (cluster->optime == LSN_NONE || at >= cluster->optime)
        return false;
    return cluster->optime - at > (lsn_t)cluster->maximum_lag;
}

/* `keeps`: it is one already, and nobody is there to stream from. Off and on again in every takeover
 * would be two changes of the replicas' Service, for which kube-proxy holds back the primary's. */
static bool is_replica(const struct cluster_view *cluster, const struct pod *pod, bool keeps)
{
    const struct member *member = cluster_member(cluster, pod->name);
    return pod->component == COMPONENT_DATA && !pod->ended && !pod->deleting && member != NULL &&
           member->state == MEMBER_RUNNING && member->role == MEMBER_ROLE_REPLICA &&
           (member->streaming || keeps) && !member->tags.noloadbalance && !lags(cluster, member);
}

const struct pod *labels_primary(const struct cluster_view *cluster, const struct pods *pods)
{
    for (size_t i = 0; cluster->known && i < pods->n; i++)
        if (is_primary(cluster, &pods->pod[i]))
            return &pods->pod[i];
    return NULL;
}

/* What has the primary label, or may have it when what is on its way arrives. */
static bool has_primary_label(const struct pod *pod, const struct label_names *names)
{
    return strcmp(pod->label, names->primary) == 0 || pod->maybe_primary;
}

static void add(struct label_plan *plan, size_t pod, const char *value, const char *reason)
{
    plan->op[plan->n++] = (struct label_op){ .pod = pod, .value = value, .reason = reason };
}

struct label_plan labels_plan(const struct cluster_view *cluster, const struct pods *pods,
                              const struct label_names *names)
{
    struct label_plan plan = { 0 };
    if (!cluster->known)
        return plan;
    const struct pod *primary = labels_primary(cluster, pods);
    bool elsewhere = false;
    for (size_t i = 0; i < pods->n; i++) {
        const struct pod *pod = &pods->pod[i];
        if (pod == primary)
            continue;
        bool keeps = primary == NULL && strcmp(pod->label, names->replica) == 0;
        const char *value = is_replica(cluster, pod, keeps) ? names->replica : NULL;
        bool was_primary = has_primary_label(pod, names);
        elsewhere |= was_primary;
        if (pod->patching ||
            (!pod->maybe_primary && strcmp(pod->label, value != NULL ? value : "") == 0))
            continue;
        add(&plan, i, value,
            was_primary     ? "no longer primary"
            : value != NULL ? "streams"
                            : "neither primary nor streaming");
    }
    if (primary != NULL && !elsewhere && !primary->patching &&
        strcmp(primary->label, names->primary) != 0)
        add(&plan, (size_t)(primary - pods->pod), names->primary,
            "holds the leader key and is read-write");
    return plan;
}
