#include "controller/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/fleet_internal.h"
#include "controller/rest.h"
#include "controller/values.h"
#include "etcd/kv.h"
#include "etcd/table.h"

enum {
    EFFECT_MS = 2000, /* until what was done can be seen */
    FAILURE_MS = 5000,
    DELETE_MS = 5000,
    WRITE_MS = 5000,
    CORDON_MS = 60000, /* between two switchovers away from a node */
};

/* ---- doing one thing -------------------------------------------------------------------------- */

static void on_done(struct fleet *fleet, enum err_code code, const struct err *err)
{
    fleet->call = http_call_free(fleet->call);
    if (code == ERR_OK)
        log_info("fleet: %s -> done", fleet->doing);
    else
        log_warn("fleet: %s: %s -> again", fleet->doing, err->text);
    source_arm_in(fleet->pause, code == ERR_OK ? EFFECT_MS : FAILURE_MS);
}

static void on_rest(void *arg, const struct http_result *result)
{
    struct fleet *fleet = arg;
    struct err err;
    on_done(fleet, rest_outcome(result, &err), &err);
}

/* A leader of an older release leaves a key: the removal that it says is done is not asked again. */
static void on_removed(void *arg, const struct http_result *result)
{
    struct fleet *fleet = arg;
    struct err err;
    enum err_code code = rest_outcome(result, &err);
    if (code != ERR_OK)
        fleet->removed[0] = '\0';
    on_done(fleet, code, &err);
}

static void on_kube(void *arg, const struct http_result *result)
{
    struct fleet *fleet = arg;
    struct err err;
    enum err_code code = kube_outcome(fleet->controller->kube, result, &err);
    on_done(fleet, code == ERR_NOT_FOUND ? ERR_OK : code, &err);
}

static void switch_over(struct fleet *fleet, const char *leader, const char *candidate,
                        const char *why)
{
    struct controller *controller = fleet->controller;
    auto_json json_t *body = json_pack("{s:s,s:s}", "leader", leader, "candidate", candidate);
    log_info("fleet: %s -> switchover from %s to %s", why, leader, candidate);
    fleet->doing = "switchover";
    const struct rest_order order = {
        .api_url = controller->leader_url, .method = "POST", .path = "/switchover", .body = body
    };
    fleet->call = rest_send(controller, &order, on_rest, fleet);
}

/* Only this very pod: its successor of the same name stays. */
static void delete_pod(struct fleet *fleet, const struct pod *pod, const char *why)
{
    auto_text struct text path = text_new(LIMIT_PATH);
    text_addf(&path, "/api/v1/namespaces/%s/pods/%s", fleet->controller->ns, pod->name);
    auto_json json_t *body = json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind",
                                       "DeleteOptions", "preconditions", "uid", pod->uid);
    log_info("fleet: pod %s: %s -> deleted, to be made anew", pod->name, why);
    fleet->doing = "delete pod";
    const struct kube_request request = {
        .method = "DELETE", .path = text_str(&path), .body = body, .timeout_ms = DELETE_MS
    };
    fleet->call = kube_send(fleet->controller->kube, &request, on_kube, fleet);
}

/* The member looks once more itself whether anything waits. */
static void restart(struct fleet *fleet, const struct cluster_view *cluster, const struct pod *pod)
{
    const struct member *member = cluster_member(cluster, pod->name);
    auto_json json_t *body = json_pack("{s:b}", "restart_pending", 1);
    log_info("fleet: member %s: a parameter of the values waits -> PostgreSQL is restarted",
             pod->name);
    fleet->doing = "restart";
    fleet->restarted_at = loop_now(fleet->controller->loop);
    (void)text_copy(fleet->restarted, sizeof(fleet->restarted), pod->name);
    const struct rest_order order = {
        .api_url = member->api_url, .method = "POST", .path = "/restart", .body = body
    };
    fleet->call = rest_send(fleet->controller, &order, on_rest, fleet);
}

/* ---- what pgvigilctl rollout reads ------------------------------------------------------------ */

static void on_written(void *arg, const struct etcd_write_result *result)
{
    struct fleet *fleet = arg;
    fleet->write = etcd_call_free(fleet->write);
    if (result->outcome.code != ERR_OK)
        fleet->said[0] = '\0';
}

static void write_rollout(struct fleet *fleet, const struct roll_decision *decision)
{
    char said[LIMIT_REASON];
    auto_text struct text line = text_new(sizeof(said) - 1);
    text_addf(&line, "%s %s %s", fleet->revision, fleet->stamp, decision->reason);
    (void)text_copy(said, sizeof(said), text_str(&line));
    if (fleet->write != NULL || !fleet->set_known || strcmp(said, fleet->said) == 0)
        return;
    memcpy(fleet->said, said, sizeof(said));
    auto_text struct text key = text_new(LIMIT_PATH);
    auto_text struct text value = text_new(LIMIT_FILE);
    text_addf(&key, "%spgvigil/rollout", fleet->controller->options->prefix);
    auto_json json_t *json =
        json_pack("{s:s,s:s,s:b,s:s}", "revision", fleet->stamp, "pods", fleet->revision, "done",
                  decision->move == ROLL_DONE && strcmp(fleet->stamp, fleet->witness_stamp) == 0,
                  "text", decision->reason);
    json_write(&value, json);
    const struct etcd_put put = { .key = text_str(&key),
                                  .value = text_str(&value),
                                  .value_len = value.len };
    const struct etcd_how how = { .timeout_ms = WRITE_MS, .endpoint = ETCD_ANY };
    fleet->write = etcd_put(fleet->controller->etcd, &put, how, on_written, fleet);
    if (decision->move == ROLL_WAIT)
        log_info("fleet: the roll waits: %s", decision->reason);
}

/* ---- the roll --------------------------------------------------------------------------------- */

static struct roll_view roll_view(struct fleet *fleet, const struct cluster_view *cluster)
{
    struct roll_view view = {
        .now = loop_now(fleet->controller->loop),
        .cluster = cluster,
        .pods = &fleet->controller->pods.pods,
        .set_known = fleet->set_known,
        .replicas = fleet->replicas,
        .witness_known = fleet->witness_known,
        .witness_exists = fleet->witness_exists,
        .witness_complete = fleet->witness_complete,
    };
    const struct values *values = fleet->controller->values;
    view.settings_current = values == NULL || values_current(values, fleet->stamp, view.now);
    if (values != NULL && view.settings_current)
        values_due(values, cluster, &view.due);
    memcpy(view.restarted, fleet->restarted, sizeof(view.restarted));
    view.restarted_at = fleet->restarted_at;
    memcpy(view.revision, fleet->revision, sizeof(view.revision));
    memcpy(view.stamp, fleet->stamp, sizeof(view.stamp));
    memcpy(view.witness_stamp, fleet->witness_stamp, sizeof(view.witness_stamp));
    if (!view.set_known || !roll_is_healthy(&view))
        fleet->healthy_since = (struct mono){ 0 };
    else if (fleet->healthy_since.ms == 0)
        fleet->healthy_since = view.now;
    view.healthy_since = fleet->healthy_since;
    return view;
}

/* True: something was done. */
static bool roll(struct fleet *fleet, const struct cluster_view *cluster)
{
    struct roll_view view = roll_view(fleet, cluster);
    struct roll_decision decision = roll_decide(&view);
    write_rollout(fleet, &decision);
    switch (decision.move) {
    case ROLL_DONE:
    case ROLL_WAIT:
        return false;
    case ROLL_DELETE:
        delete_pod(fleet, decision.pod, decision.reason);
        return true;
    case ROLL_SWITCHOVER:
        switch_over(fleet, cluster->leader, decision.pod->name, decision.reason);
        return true;
    case ROLL_RESTART:
        restart(fleet, cluster, decision.pod);
        return true;
    }
    return false;
}

/* ---- a cordoned node -------------------------------------------------------------------------- */

static bool leave_cordoned_node(struct fleet *fleet, const struct cluster_view *cluster)
{
    const struct pods *pods = &fleet->controller->pods.pods;
    const struct pod *primary = labels_primary(cluster, pods);
    struct mono now = loop_now(fleet->controller->loop);
    if (!fleet->cordoned || primary == NULL || strcmp(primary->node, fleet->node) != 0 ||
        cluster->paused || (fleet->moved_at.ms != 0 && mono_diff(now, fleet->moved_at) < CORDON_MS))
        return false;
    struct roll_view view = roll_view(fleet, cluster);
    const struct pod *pod = roll_successor(&view, primary->node);
    if (pod == NULL)
        return false;
    fleet->moved_at = now;
    switch_over(fleet, cluster->leader, pod->name, "the primary's node is cordoned");
    return true;
}

/* ---- scaled in -------------------------------------------------------------------------------- */

static bool has_pod(const struct fleet *fleet, const char *name)
{
    return pods_named(&fleet->controller->pods.pods, name) != NULL;
}

/* Its own key lasts until its lease ends; until then the leader would refuse. */
static bool is_scaled_in(const struct fleet *fleet, const char *member)
{
    const struct controller *controller = fleet->controller;
    if (roll_ordinal(controller->options->release, member) < fleet->replicas ||
        has_pod(fleet, member) || strcmp(member, fleet->removed) == 0)
        return false;
    auto_text struct text key = text_new(LIMIT_PATH);
    text_addf(&key, "members/%s", member);
    const struct etcd_entry *entry = store_get(controller->store, text_str(&key));
    return entry == NULL || entry->lease == 0;
}

/* Its keys and its slot go; its PVC is a person's. */
static bool remove_from(struct fleet *fleet, const struct cluster_view *cluster, const char *folder)
{
    const struct controller *controller = fleet->controller;
    const struct etcd_entry *entry = NULL;
    while ((entry = store_next(controller->store, folder, entry ? entry->name : "")) != NULL) {
        const char *member = entry->name + strlen(folder);
        if (!is_scaled_in(fleet, member) || strcmp(cluster->leader, member) == 0 ||
            !text_copy(fleet->removed, sizeof(fleet->removed), member))
            continue;
        auto_text struct text path = text_new(LIMIT_PATH);
        text_addf(&path, "/pgvigil/members/%s", member);
        log_info("fleet: member %s is scaled in -> removed from the cluster", member);
        fleet->doing = "remove member";
        const struct rest_order order = { .api_url = controller->leader_url,
                                          .method = "DELETE",
                                          .path = text_str(&path) };
        fleet->call = rest_send(fleet->controller, &order, on_removed, fleet);
        return true;
    }
    return false;
}

/* A member that ended has its data id left, when the lease of the other key is over. */
static bool remove_scaled_in(struct fleet *fleet, const struct cluster_view *cluster)
{
    if (has_pod(fleet, fleet->removed))
        fleet->removed[0] = '\0';
    return fleet->set_known && fleet->replicas > 0 &&
           (remove_from(fleet, cluster, "members/") ||
            remove_from(fleet, cluster, "pgvigil/data/"));
}

/* ---- life ------------------------------------------------------------------------------------- */

void fleet_step(struct fleet *fleet, const struct cluster_view *cluster)
{
    const struct options *options = fleet->controller->options;
    if (!cluster->known || fleet->call != NULL || source_armed(fleet->pause) ||
        fleet->controller->leader_url[0] == '\0')
        return;
    if (leave_cordoned_node(fleet, cluster))
        return;
    if (options->manages_scale && remove_scaled_in(fleet, cluster))
        return;
    if (options->manages_roll)
        (void)roll(fleet, cluster);
}

static void on_look(void *arg)
{
    fleet_look_begin(arg);
}

static void on_pause(void *arg)
{
    struct fleet *fleet = arg;
    controller_wake(fleet->controller);
}

struct fleet *fleet_new(struct controller *controller)
{
    struct fleet *fleet = mem_struct(struct fleet);
    fleet->controller = controller;
    fleet->timer = loop_timer(controller->loop, on_look, fleet);
    fleet->pause = loop_timer(controller->loop, on_pause, fleet);
    source_arm_in(fleet->timer, 0);
    return fleet;
}

void fleet_drop(struct fleet *fleet)
{
    if (fleet != NULL)
        fleet->write = etcd_call_free(fleet->write);
}

struct fleet *fleet_free(struct fleet *fleet)
{
    if (fleet == NULL)
        return NULL;
    http_call_free(fleet->look);
    http_call_free(fleet->call);
    etcd_call_free(fleet->write);
    source_free(fleet->timer);
    source_free(fleet->pause);
    free(fleet);
    return NULL;
}
