#include "controller/controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/controller_internal.h"
#include "controller/fleet.h"
#include "controller/values.h"

enum {
    KUBE_DEAD_PEER_MS = 5000,
    ETCD_DEAD_PEER_MS = 2000,
    TICK_MS = 1000,
    STOP_MS = 1000,
};

void controller_wake(void *arg)
{
    struct controller *controller = arg;
    source_trigger(controller->cycle);
}

/* ---- the cycle -------------------------------------------------------------------------------- */

/* The Lease should not be lost together with the primary. */
static void place_lease(struct controller *controller, const struct pod *primary)
{
    const struct pod *self = pods_named(&controller->pods.pods, controller->options->name);
    const char *node = self != NULL ? self->node : controller->options->node;
    const struct pod *successor =
        election_successor(&controller->pods.pods, controller->options->name, primary);
    bool beside = primary != NULL && node[0] != '\0' && strcmp(primary->node, node) == 0;
    kube_lease_set_place(controller->lease, beside, successor != NULL ? successor->name : NULL);
}

static void note_primary(struct controller *controller, const struct cluster_view *cluster,
                         const struct pod *primary)
{
    const char *name = primary != NULL ? primary->name : "";
    if (!cluster->known || strcmp(controller->primary, name) == 0)
        return;
    if (primary != NULL)
        log_info("primary: %s holds the leader key and is read-write -> clients lead there", name);
    else
        log_info("primary: %s is not primary any more -> clients lead nowhere",
                 controller->primary);
    (void)text_copy(controller->primary, sizeof(controller->primary), name);
}

static void write_labels(struct controller *controller, const struct cluster_view *cluster)
{
    struct pods *pods = &controller->pods.pods;
    struct label_plan plan = labels_plan(cluster, pods, &controller->options->labels);
    for (size_t i = 0; i < plan.n; i++) {
        const struct label_op *op = &plan.op[i];
        struct pod *pod = &pods->pod[op->pod];
        log_debug("label: pod %s: %s -> %s", pod->name, op->reason,
                  op->value != NULL ? op->value : "none");
        labeller_send(controller->labeller, pod, op->value);
    }
}

static void note_leader(struct controller *controller, const struct cluster_view *cluster)
{
    const struct member *leader = cluster_member(cluster, cluster->leader);
    bool told = cluster->known && leader != NULL;
    (void)text_copy(controller->leader_url, sizeof(controller->leader_url),
                    told ? leader->api_url : "");
}

static void manage(struct controller *controller, const struct cluster_view *cluster)
{
    if (controller->store == NULL || !cluster->known)
        return;
    if (controller->values != NULL)
        values_step(controller->values);
    if (controller->fleet != NULL)
        fleet_step(controller->fleet, cluster);
}

/* Of those with a certificate of their own; 0: none is there, or one does not say. */
static struct wall oldest_pod(const struct controller *controller)
{
    struct wall oldest = { 0 };
    if (!kube_watch_current(controller->pods_watch))
        return oldest;
    for (size_t i = 0; i < controller->pods.pods.n; i++) {
        const struct pod *pod = &controller->pods.pods.pod[i];
        if (pod->component != COMPONENT_DATA && pod->component != COMPONENT_WITNESS)
            continue;
        if (pod->created_ms == 0)
            return (struct wall){ 0 };
        if (oldest.ms == 0 || pod->created_ms < oldest.ms)
            oldest.ms = pod->created_ms;
    }
    return oldest;
}

static void on_cycle(void *arg)
{
    struct controller *controller = arg;
    struct mono now = clock_mono();
    if (controller->stopping) {
        if (kube_lease_resigned(controller->lease))
            loop_stop(controller->loop);
        return;
    }
    struct cluster_view *cluster = mem_struct(struct cluster_view);
    cluster->ttl_ms = 10000;
    if (controller->store != NULL)
        store_fill(controller->store, now, cluster);
    controller->store_known = cluster->known;
    const struct pod *primary = labels_primary(cluster, &controller->pods.pods);
    note_primary(controller, cluster, primary);
    note_leader(controller, cluster);
    kube_lease_set_ttl(controller->lease, cluster->ttl_ms);
    place_lease(controller, primary);
    bool writes = kube_lease_held(controller->lease, now);
    if (writes != controller->writes && controller->slices != NULL)
        slices_forget(controller->slices);
    controller->writes = writes;
    secrets_set_oldest_pod(controller->secrets, oldest_pod(controller));
    secrets_set_active(controller->secrets, writes);
    if (writes && kube_watch_current(controller->pods_watch)) {
        if (controller->slices != NULL && cluster->known)
            slices_set(controller->slices, primary);
        write_labels(controller, cluster);
        manage(controller, cluster);
    }
    controller_tell(controller, cluster, writes);
    free(cluster);
}

static void on_tick(void *arg)
{
    struct controller *controller = arg;
    source_arm_in(controller->tick, TICK_MS);
    controller_wake(controller);
}

/* ---- pods ------------------------------------------------------------------------------------- */

static bool take_pod(struct controller *controller, enum kube_news news, const json_t *object)
{
    struct pod pod;
    struct err err;
    enum err_code code = pod_from_json(object, controller->options->labels.key, &pod, &err);
    if (code != ERR_OK) {
        log_warn("kubernetes: a pod cannot be read: %s -> left out", err.text);
        return false;
    }
    if (news == KUBE_NEWS_GONE)
        return pod_table_remove(&controller->pods, pod.name, pod.uid);
    return pod_table_put(&controller->pods, &pod);
}

static void on_pods(void *arg, enum kube_news news, const json_t *object)
{
    struct controller *controller = arg;
    bool changed = true;
    switch (news) {
    case KUBE_NEWS_LIST:
        pod_table_begin(&controller->pods);
        return;
    case KUBE_NEWS_PUT:
    case KUBE_NEWS_GONE:
        changed = take_pod(controller, news, object);
        break;
    case KUBE_NEWS_LISTED:
        (void)pod_table_end(&controller->pods);
        break;
    }
    if (changed)
        controller_wake(controller);
}

/* ---- building --------------------------------------------------------------------------------- */

static enum err_code build_kube(struct controller *controller, struct err *err)
{
    const struct options *options = controller->options;
    controller->kube_http = http_new(controller->loop, KUBE_DEAD_PEER_MS);
    enum err_code code = kube_new(controller->loop, controller->kube_http, &controller->kube, err);
    if (code != ERR_OK)
        return code;
    controller->ns =
        options->namespace != NULL ? options->namespace : kube_namespace(controller->kube);
    if (controller->ns == NULL)
        controller->ns = "default";
    return ERR_OK;
}

/* Takes `tls`. Also when the client certificate is another one. */
static void build_store(struct controller *controller, struct http_tls *tls)
{
    const struct options *options = controller->options;
    values_drop(controller->values);
    fleet_drop(controller->fleet);
    store_free(controller->store);
    etcd_free(controller->etcd);
    http_tls_free(controller->etcd_tls);
    controller->etcd_tls = tls;
    const struct etcd_config config = {
        .endpoints = (const char *const *)options->etcd_urls,
        .tls = tls,
        .user = options->etcd_user,
        .password = options->etcd_password,
    };
    controller->etcd = etcd_new(controller->loop, controller->etcd_http, &config);
    const struct store_spec store = { .loop = controller->loop,
                                      .etcd = controller->etcd,
                                      .prefix = options->prefix,
                                      .changed = controller_wake,
                                      .arg = controller };
    controller->store = store_new(&store);
}

/* Own files of external etcd come before the release's client certificate. */
static enum err_code build_etcd(struct controller *controller, struct err *err)
{
    const struct options *options = controller->options;
    const struct http_tls_files files = { .ca = options->etcd_ca,
                                          .cert = options->etcd_cert,
                                          .key = options->etcd_key };
    controller->etcd_http = http_new(controller->loop, ETCD_DEAD_PEER_MS);
    if (options->etcd_ca == NULL && options->certificates != CERTIFICATES_OFF)
        return ERR_OK;
    struct http_tls *tls;
    enum err_code code = http_tls_load(&files, &tls, err);
    if (code == ERR_OK)
        build_store(controller, tls);
    return code;
}

static void on_own_secrets(void *arg, const struct secrets_own *own)
{
    struct controller *controller = arg;
    free(controller->rest_password);
    controller->rest_password = mem_strdup(own->rest_password);
    if (own->cert == NULL)
        return;
    const struct http_tls_pem pem = { .ca = own->ca, .cert = own->cert, .key = own->key };
    http_tls_free(controller->rest_tls);
    controller->rest_tls = http_tls_new(&pem);
    if (controller->options->etcd_ca == NULL)
        build_store(controller, http_tls_new(&pem));
}

static void build_secrets(struct controller *controller)
{
    const struct secrets_spec spec = { .loop = controller->loop,
                                       .kube = controller->kube,
                                       .ns = controller->ns,
                                       .options = controller->options,
                                       .fn = on_own_secrets,
                                       .say = controller_say,
                                       .arg = controller };
    controller->secrets = secrets_new(&spec);
}

static void watch_pods(struct controller *controller)
{
    auto_text struct text path = text_new(LIMIT_PATH);
    auto_text struct text query = text_new(LIMIT_HTTP_HEADER);
    text_addf(&path, "/api/v1/namespaces/%s/pods", controller->ns);
    text_add(&query, "labelSelector=");
    kube_add_query(&query, controller->options->selector);
    const struct kube_watch_spec spec = { .loop = controller->loop,
                                          .kube = controller->kube,
                                          .what = "pods",
                                          .path = text_str(&path),
                                          .query = text_str(&query),
                                          .fn = on_pods,
                                          .arg = controller };
    controller->pods_watch = kube_watch_new(&spec);
}

static void build_writers(struct controller *controller)
{
    const struct options *options = controller->options;
    const struct labeller_spec labeller = { .loop = controller->loop,
                                            .kube = controller->kube,
                                            .ns = controller->ns,
                                            .key = options->labels.key,
                                            .primary = options->labels.primary,
                                            .table = &controller->pods,
                                            .changed = controller_wake,
                                            .arg = controller };
    controller->labeller = labeller_new(&labeller);
    auto_text struct text name = text_new(LIMIT_PATH);
    text_addf(&name, "%s-controller", options->release);
    const struct kube_lease_spec lease = { .loop = controller->loop,
                                           .kube = controller->kube,
                                           .ns = controller->ns,
                                           .name = text_str(&name),
                                           .self = options->name,
                                           .changed = controller_wake,
                                           .arg = controller };
    controller->lease = kube_lease_new(&lease);
    const struct kube_events_spec events = { .loop = controller->loop,
                                             .kube = controller->kube,
                                             .ns = controller->ns,
                                             .instance = options->name,
                                             .release = options->release };
    if (options->manages_events)
        controller->events = kube_events_new(&events);
    if (options->manages_settings)
        controller->values = values_new(controller);
    if (options->manages_roll || options->manages_scale || options->watch_nodes)
        controller->fleet = fleet_new(controller);
    if (!options->slice)
        return;
    text_addf(&controller->service, "%s-primary", options->release);
    const struct slices_spec slices = { .loop = controller->loop,
                                        .kube = controller->kube,
                                        .ns = controller->ns,
                                        .service = text_str(&controller->service),
                                        .port = options->postgres_port };
    controller->slices = slices_new(&slices);
}

static enum err_code build_status(struct controller *controller, struct err *err)
{
    const struct status_server_spec spec = { .loop = controller->loop,
                                             .host = controller->options->listen_host,
                                             .port = controller->options->listen_port,
                                             .fn = controller_status,
                                             .arg = controller };
    return status_server_new(&spec, &controller->status, err);
}

static void on_end(void *arg)
{
    struct controller *controller = arg;
    loop_stop(controller->loop);
}

enum err_code controller_new(struct loop *loop, const struct options *options,
                             struct controller **ret_controller, struct err *err)
{
    struct controller *controller = mem_struct(struct controller);
    controller->loop = loop;
    controller->options = options;
    controller->service = text_new(LIMIT_KUBE_NAME);
    controller->cycle = loop_defer(loop, on_cycle, controller);
    controller->tick = loop_timer(loop, on_tick, controller);
    controller->end = loop_timer(loop, on_end, controller);
    enum err_code code = build_kube(controller, err);
    if (code == ERR_OK)
        code = build_etcd(controller, err);
    if (code == ERR_OK)
        code = build_status(controller, err);
    if (code != ERR_OK) {
        controller_free(controller);
        return code;
    }
    build_writers(controller);
    build_secrets(controller);
    watch_pods(controller);
    source_arm_in(controller->tick, TICK_MS);
    *ret_controller = controller;
    return ERR_OK;
}

void controller_stop(struct controller *controller)
{
    if (controller->stopping)
        return;
    controller->stopping = true;
    bool waits = kube_lease_resign(controller->lease);
    source_arm_in(controller->end, waits ? STOP_MS : 0);
}

struct controller *controller_free(struct controller *controller)
{
    if (controller == NULL)
        return NULL;
    status_server_free(controller->status);
    kube_watch_free(controller->pods_watch);
    kube_events_free(controller->events);
    values_free(controller->values);
    fleet_free(controller->fleet);
    secrets_free(controller->secrets);
    kube_lease_free(controller->lease);
    slices_free(controller->slices);
    labeller_free(controller->labeller);
    store_free(controller->store);
    etcd_free(controller->etcd);
    kube_free(controller->kube);
    http_free(controller->etcd_http);
    http_free(controller->kube_http);
    http_tls_free(controller->etcd_tls);
    http_tls_free(controller->rest_tls);
    free(controller->rest_password);
    source_free(controller->cycle);
    source_free(controller->tick);
    source_free(controller->end);
    text_done(&controller->service);
    free(controller);
    return NULL;
}
