#include "controller/controller.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/text.h"
#include "etcd/codec.h"
#include "etcd/kv.h"
#include "http/http.h"
#include "tests/fake/kube_api.h"
#include "tests/unit/support/etcd_server.h"
#include "tests/unit/support/rest_client.h"
#include "tests/unit/support/until.h"
#include "json/json.h"

#define PODS "/api/v1/namespaces/x/pods/"
#define SLICE "/apis/discovery.k8s.io/v1/namespaces/x/endpointslices/db-primary-ipv4"
#define LEASE "/apis/coordination.k8s.io/v1/namespaces/x/leases/db-controller"

static struct loop *loop;
static struct kube_api *api;
static struct http *http;
static struct etcd *etcd;
static struct etcd_cluster store;
static struct options *options, *other_options;
static struct controller *controller, *other;

/* ---- the world -------------------------------------------------------------------------------- */

static void on_put(void *arg, const struct etcd_write_result *result)
{
    *(bool *)arg = true;
    ck_assert_msg(result->outcome.code == ERR_OK, "%s", result->outcome.error);
}

static void key(const char *name, const char *value)
{
    char path[200];
    bool done = false;
    (void)snprintf(path, sizeof(path), "/service/db/%s", name);
    struct etcd_how how = { .timeout_ms = 10000, .endpoint = ETCD_ANY };
    struct etcd_call *call;
    if (value != NULL) {
        struct etcd_put put = { .key = path, .value = value, .value_len = strlen(value) };
        call = etcd_put(etcd, &put, how, on_put, &done);
    } else {
        struct etcd_delete del = { .key = path };
        call = etcd_delete(etcd, &del, how, on_put, &done);
    }
    run_until(loop, &done, 10000);
    etcd_call_free(call);
}

static void member(const char *name, const char *role)
{
    char path[100], value[400];
    (void)snprintf(path, sizeof(path), "members/%s", name);
    (void)snprintf(
        value, sizeof(value),
        "{\"api_url\":\"%s/patroni\",\"state\":\"running\",\"role\":\"%s\",\"xlog_location\":1000,\"receive_lsn\":"
        "1000,\"replication_state\":\"streaming\",\"timeline\":1}",
        kube_api_url(api), role);
    key(path, value);
}

static void pod(const char *name, const char *component, const char *node)
{
    char path[200], address[32];
    static int last = 1;
    (void)snprintf(path, sizeof(path), PODS "%s", name);
    (void)snprintf(address, sizeof(address), "10.0.0.%d", last++);
    kube_api_put(api, path,
                 json_pack("{s:{s:{s:s}},s:{s:s},s:{s:s,s:s,s:[{s:s,s:s}]}}", "metadata", "labels",
                           "app.kubernetes.io/component", component, "spec", "nodeName", node,
                           "status", "phase", "Running", "podIP", address, "conditions", "type",
                           "Ready", "status", "True"));
}

static const char *label(const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), PODS "%s", name);
    const json_t *metadata = json_object_get(kube_api_get(api, path), "metadata");
    const char *value =
        json_string_value(json_object_get(json_object_get(metadata, "labels"), "role"));
    return value != NULL ? value : "";
}

static const char *slice_pod(void)
{
    const json_t *endpoints = json_object_get(kube_api_get(api, SLICE), "endpoints");
    const json_t *target = json_object_get(json_array_get(endpoints, 0), "targetRef");
    const char *name = json_string_value(json_object_get(target, "name"));
    return name != NULL ? name : "";
}

static const char *holder(void)
{
    const json_t *spec = json_object_get(kube_api_get(api, LEASE), "spec");
    const char *name = json_string_value(json_object_get(spec, "holderIdentity"));
    return name != NULL ? name : "";
}

/* "primary,replica" of db-0 and db-1; at no look two primaries. */
static bool has_labels(void *arg)
{
    char labels[100];
    (void)snprintf(labels, sizeof(labels), "%s,%s", label("db-0"), label("db-1"));
    ck_assert_str_ne(labels, "primary,primary");
    return strcmp(labels, arg) == 0;
}

static void expect_labels(const char *labels)
{
    ck_assert_msg(until(loop, has_labels, (void *)(uintptr_t)labels, 15000),
                  "labels are %s,%s and not %s", label("db-0"), label("db-1"), labels);
}

static void expect_labels_stay(const char *labels, int64_t ms)
{
    const int64_t end = clock_mono().ms + ms;
    while (clock_mono().ms < end) {
        run_for(loop, 50);
        ck_assert_msg(has_labels((void *)(uintptr_t)labels), "labels are %s,%s", label("db-0"),
                      label("db-1"));
    }
}

static bool is_held_by(void *arg)
{
    return strcmp(holder(), arg) == 0;
}

static void expect_holder(const char *name)
{
    ck_assert_msg(until(loop, is_held_by, (void *)(uintptr_t)name, 15000), "held by %s", holder());
}

static bool leads_to(void *arg)
{
    return kube_api_get(api, SLICE) != NULL && strcmp(slice_pod(), arg) == 0;
}

static struct controller *begin(const char *name, struct options **ret_options)
{
    struct controller *made;
    struct err err;
    setenv("PGVIGIL_NAME", name, 1);
    ck_assert_msg(options_read(ret_options, &err) == ERR_OK, "%s", err.text);
    ck_assert_msg(controller_new(loop, *ret_options, &made, &err) == ERR_OK, "%s", err.text);
    return made;
}

static void setup(void)
{
    json_setup();
    http_setup();
    loop = loop_new();
    api = kube_api_new(loop);
    http = http_new(loop, 5000);
    etcd_cluster_start(&store, loop, 1, NULL);
    const struct etcd_config config = { .endpoints = store.urls };
    etcd = etcd_new(loop, http, &config);
    setenv("PGVIGIL_RELEASE", "db", 1);
    setenv("PGVIGIL_ETCD3_HOSTS", store.urls[0], 1);
    setenv("PGVIGIL_MANAGE", "none", 1);
    setenv("PGVIGIL_ROUTING", "label", 1);
    setenv("PGVIGIL_RESTAPI_LISTEN", "127.0.0.1:0", 1);
    key("config", "{\"ttl\":5}");
    key("leader", "db-0");
    member("db-0", "primary");
    member("db-1", "replica");
    pod("db-0", "data", "n0");
    pod("db-1", "data", "n1");
    pod("db-witness-1", "witness", "n2");
}

static void teardown(void)
{
    controller = controller_free(controller);
    other = controller_free(other);
    options = options_free(options);
    other_options = options_free(other_options);
    etcd_free(etcd);
    http_free(http);
    etcd_cluster_stop(&store);
    kube_api_free(api);
    loop_free(loop);
}

/* ---- tests ------------------------------------------------------------------------------------ */

START_TEST(labels_follow_the_leader)
{
    controller = begin("c-0", &options);
    expect_labels("primary,replica");
    ck_assert_str_eq(label("db-witness-1"), "");
    key("leader", NULL);
    expect_labels(",replica");
    key("leader", "db-1");
    expect_labels_stay(",replica", 300);
    member("db-1", "primary");
    member("db-0", "replica");
    expect_labels("replica,primary");
}
END_TEST

START_TEST(a_new_pod_of_the_same_name)
{
    controller = begin("c-0", &options);
    expect_labels("primary,replica");
    kube_api_delete(api, PODS "db-1");
    pod("db-1", "data", "n2");
    ck_assert_str_eq(label("db-1"), "");
    expect_labels("primary,replica");
}
END_TEST

/* The label goes on while the watch has not told yet that the pod is another one: 409, then the new
 * one is labelled. */
START_TEST(failures_of_the_api)
{
    controller = begin("c-0", &options);
    expect_labels("primary,replica");
    kube_api_fail(api, "PATCH", 500, 2);
    key("leader", "db-1");
    member("db-1", "primary");
    member("db-0", "replica");
    expect_labels("replica,primary");
    kube_api_fail(api, "PATCH", 0, 3); /* done, the answer is lost */
    key("leader", "db-0");
    member("db-0", "primary");
    member("db-1", "replica");
    expect_labels("primary,replica");
}
END_TEST

/* Without etcd labels stay; without the API they follow when it is back. */
START_TEST(without_etcd_and_without_the_api)
{
    controller = begin("c-0", &options);
    expect_labels("primary,replica");
    etcd_server_kill(&store, 0);
    expect_labels_stay("primary,replica", 2500);
    etcd_server_start(&store, 0);
    kube_api_fail(api, "", 503, -1);
    kube_api_hang_up(api);
    key("leader", "db-1");
    member("db-1", "primary");
    member("db-0", "replica");
    expect_labels_stay("primary,replica", 4000);
    kube_api_fail(api, "", 0, 0);
    expect_labels("replica,primary");
}
END_TEST

START_TEST(one_of_two_writes)
{
    controller = begin("c-0", &options);
    expect_labels("primary,replica");
    other = begin("c-1", &other_options);
    run_for(loop, 2500);
    ck_assert_str_eq(holder(), "c-0");
    controller = controller_free(controller); /* as if it were killed */
    key("leader", NULL);
    expect_holder("c-1");
    expect_labels(",replica");
}
END_TEST

/* The active one hands over when it finds itself on the primary's node. */
START_TEST(not_on_the_primarys_node)
{
    pod("c-0", "controller", "n0");
    pod("c-1", "controller", "n2");
    controller = begin("c-0", &options);
    other = begin("c-1", &other_options);
    expect_labels("primary,replica");
    expect_holder("c-1");
    key("leader", "db-1");
    member("db-1", "primary");
    member("db-0", "replica");
    expect_labels("replica,primary");
    ck_assert_str_eq(holder(), "c-1");
}
END_TEST

START_TEST(an_orderly_end_hands_the_lease_back)
{
    controller = begin("c-0", &options);
    expect_labels("primary,replica");
    struct mono begun = clock_mono();
    controller_stop(controller);
    loop_run(loop);
    ck_assert_int_lt(mono_diff(clock_mono(), begun), 900);
    ck_assert_str_eq(holder(), "");
}
END_TEST

START_TEST(the_slice_leads_to_the_primary)
{
    setenv("PGVIGIL_ROUTING", "slice", 1);
    controller = begin("c-0", &options);
    ck_assert_msg(until(loop, leads_to, (void *)(uintptr_t)"db-0", 10000), "%s", slice_pod());
    key("leader", NULL);
    ck_assert_msg(until(loop, leads_to, (void *)(uintptr_t)"", 10000), "%s", slice_pod());
    key("leader", "db-1");
    member("db-1", "primary");
    ck_assert_msg(until(loop, leads_to, (void *)(uintptr_t)"db-1", 10000), "%s", slice_pod());
    const json_t *labels =
        json_object_get(json_object_get(kube_api_get(api, SLICE), "metadata"), "labels");
    ck_assert_str_eq(json_string_value(json_object_get(labels, "kubernetes.io/service-name")),
                     "db-primary");
    ck_assert_str_eq(
        json_string_value(json_object_get(labels, "endpointslice.kubernetes.io/managed-by")),
        "pgvigil-controller");
    expect_labels(",primary");
}
END_TEST

START_TEST(what_it_tells_of_itself)
{
    kube_api_fail(api, "", 500, -1);
    controller = begin("c-0", &options);
    struct rest_client client = { .loop = loop, .http = http, .port = controller_port(controller) };
    rest_expect(&client, "GET /healthz", NULL, 200, "ok\n");
    rest_expect(&client, "GET /readyz", NULL, 503, NULL);
    kube_api_fail(api, "", 0, 0);
    expect_labels("primary,replica");
    rest_expect(&client, "GET /readyz", NULL, 200, "pods are watched, active\n");
    rest_expect(&client, "GET /metrics", NULL, 200, NULL);
    ck_assert_msg(strstr(client.body, "\npgvigil_controller_primaries 1\n") != NULL, "%s",
                  client.body);
}
END_TEST

static bool has_event(void *arg)
{
    return kube_api_find(api, "/api/v1/namespaces/x/events", "reason", arg) != NULL;
}

static void expect_event(const char *reason)
{
    ck_assert_msg(until(loop, has_event, (void *)(uintptr_t)reason, 10000), "no event %s", reason);
}

START_TEST(events_of_what_changes)
{
    setenv("PGVIGIL_MANAGE", "events", 1);
    controller = begin("c-0", &options);
    expect_labels("primary,replica");
    char at[CLOCK_ISO_MAX], value[300];
    (void)snprintf(value, sizeof(value),
                   "{\"n\":1,\"at\":\"%s\",\"member\":\"db-0\",\"kind\":\"one-copy\",\"text\":"
                   "\"commits are acknowledged with one copy\"}",
                   clock_iso(clock_wall(), at));
    key("pgvigil/events/01", value);
    expect_event("OneCopy");
    kube_api_delete(api, PODS "db-witness-1");
    pod("db-witness-2", "witness", "n3");
    expect_event("WitnessReplaced");
    key("leader", "db-1");
    member("db-1", "primary");
    key("members/db-0", "{\"state\":\"stopped\",\"role\":\"replica\"}");
    expect_event("Failover");
    expect_event("StandbyLost");
    const json_t *event = kube_api_find(api, "/api/v1/namespaces/x/events", "reason", "Failover");
    ck_assert_str_eq(json_string_value(json_object_get(event, "message")),
                     "db-1 is the primary now; before it was db-0");
    key("failover", "{\"leader\":\"db-1\",\"member\":\"db-0\"}");
    run_for(loop, 100);
    key("failover", "{}");
    key("leader", "db-0");
    member("db-0", "primary");
    expect_event("Switchover");
    expect_event("StandbyBack");
}
END_TEST

/* ---- settings, roll, scale-in ----------------------------------------------------------------- */

static void on_read(void *arg, const struct etcd_range_result *result)
{
    ck_assert_int_eq(result->outcome.code, ERR_OK);
    (void)snprintf(arg, 1000, "%s", result->n_kvs > 0 ? result->kvs[0].value : "");
    loop_stop(loop);
}

static bool key_has(void *arg)
{
    const char *const *want = arg;
    char path[200], value[1000];
    (void)snprintf(path, sizeof(path), "/service/db/%s", want[0]);
    const struct etcd_range range = { .key = path };
    const struct etcd_how how = { .timeout_ms = 5000, .endpoint = ETCD_ANY };
    struct etcd_call *call = etcd_range(etcd, &range, how, on_read, value);
    loop_run(loop);
    etcd_call_free(call);
    return strstr(value, want[1]) != NULL;
}

static void expect_key(const char *name, const char *part)
{
    const char *want[] = { name, part };
    for (int i = 0; i < 200; i++) {
        if (key_has(want))
            return;
        run_for(loop, 50);
    }
    ck_abort_msg("%s has no %s", name, part);
}

static void settings(const char *yaml)
{
    kube_api_put(api, "/api/v1/namespaces/x/configmaps/db-settings",
                 json_pack("{s:{s:s}}", "data", "config.yml", yaml));
}

static bool config_is(void *arg)
{
    auto_json json_t *shown = json_deep_copy(kube_api_get(api, "/config"));
    json_object_del(shown, "metadata");
    auto_text struct text text = text_new(1000);
    json_write(&text, shown);
    return strcmp(text_str(&text), arg) == 0;
}

START_TEST(settings_are_merged)
{
    setenv("PGVIGIL_MANAGE", "settings,events", 1);
    kube_api_put(api, "/config", json_pack("{s:i,s:b}", "ttl", 5, "check_timeline", 1));
    settings("ttl: 7\npostgresql: {parameters: {work_mem: 8MB}}\n");
    controller = begin("c-0", &options);
    static const char merged[] = "{\"ttl\":7,\"check_timeline\":true,\"postgresql\":{"
                                 "\"parameters\":{\"work_mem\":\"8MB\"}}}";
    ck_assert(until(loop, config_is, (void *)(uintptr_t)merged, 10000));
    key("config", merged); /* what the leader would have written */
    expect_key("pgvigil/values", "work_mem");
    settings("ttl: 7\n");
    static const char dropped[] = "{\"ttl\":7,\"check_timeline\":true}";
    ck_assert(until(loop, config_is, (void *)(uintptr_t)dropped, 10000));
    key("config", dropped);
    kube_api_delete(api, "/config"); /* the leader refuses */
    settings("ttl: 1\n");
    expect_event("SettingsRefused");
}
END_TEST

static bool is_gone(void *arg)
{
    return kube_api_get(api, arg) == NULL;
}

static void objects(const char *revision)
{
    kube_api_put(api, "/apis/apps/v1/namespaces/x/statefulsets/db",
                 json_pack("{s:{s:i,s:{s:s}},s:{s:i},s:{s:i,s:s}}", "metadata", "generation", 1,
                           "annotations", "pgvigil/revision", "r", "spec", "replicas", 2, "status",
                           "observedGeneration", 1, "updateRevision", revision));
    kube_api_put(api, "/apis/apps/v1/namespaces/x/deployments/db-witness",
                 json_pack("{s:{s:i,s:{s:s}},s:{s:i},s:{s:i,s:i,s:i,s:i}}", "metadata",
                           "generation", 1, "annotations", "pgvigil/revision", "r", "spec",
                           "replicas", 1, "status", "observedGeneration", 1, "updatedReplicas", 1,
                           "replicas", 1, "availableReplicas", 1));
}

START_TEST(the_roll_and_what_is_scaled_in)
{
    setenv("PGVIGIL_MANAGE", "roll,scale", 1);
    key("members/db-2", "{\"state\":\"stopped\",\"role\":\"replica\"}");
    kube_api_put(api, "/pgvigil/members/db-2", json_object());
    objects("new");
    controller = begin("c-0", &options);
    ck_assert(until(loop, is_gone, (void *)(uintptr_t)"/pgvigil/members/db-2", 10000));
    expect_key("pgvigil/rollout", "every pod is to be ready for 10 s");
    ck_assert_ptr_nonnull(kube_api_get(api, PODS "db-1"));
    ck_assert(until(loop, is_gone, (void *)(uintptr_t)PODS "db-1", 20000));
    ck_assert_ptr_nonnull(kube_api_get(api, PODS "db-0"));
    expect_key("pgvigil/rollout", "not every pod is ready");
}
END_TEST

static void pending(const char *name, const char *role, const char *parameter)
{
    char path[100], value[400];
    (void)snprintf(path, sizeof(path), "members/%s", name);
    (void)snprintf(value, sizeof(value),
                   "{\"api_url\":\"%s/patroni\",\"state\":\"running\",\"role\":\"%s\","
                   "\"replication_state\":\"streaming\",\"timeline\":1,\"pending_restart\":true,"
                   "\"pending_restart_reason\":{\"%s\":{}}}",
                   kube_api_url(api), role, parameter);
    key(path, value);
}

static void label_revision(const char *name, const char *revision)
{
    char path[200];
    (void)snprintf(path, sizeof(path), PODS "%s", name);
    json_t *object = json_deep_copy(kube_api_get(api, path));
    json_object_set_new(json_object_get(json_object_get(object, "metadata"), "labels"),
                        "controller-revision-hash", json_string(revision));
    kube_api_put(api, path, object);
}

static bool was_restarted(void *arg)
{
    (void)arg;
    return kube_api_get(api, "/restart/?") != NULL;
}

/* What the values set is restarted for, what a person has set by edit-config is not; no pod goes. */
START_TEST(parameters_that_wait_for_a_restart)
{
    setenv("PGVIGIL_MANAGE", "settings,roll", 1);
    objects("hash");
    settings("postgresql: {parameters: {max_connections: 200}}\n");
    key("config", "{\"ttl\":5,\"postgresql\":{\"parameters\":{\"max_connections\":200}}}");
    label_revision("db-0", "hash");
    label_revision("db-1", "hash");
    pending("db-1", "replica", "wal_buffers");
    controller = begin("c-0", &options);
    expect_key("pgvigil/rollout", "the values' settings are not in force yet");
    expect_key("pgvigil/values", "max_connections");
    expect_key("pgvigil/rollout", "\"done\":true");
    ck_assert(!was_restarted(NULL));
    pending("db-1", "replica", "max_connections");
    ck_assert(until(loop, was_restarted, NULL, 10000));
    const json_t *order = kube_api_get(api, "/restart/?");
    ck_assert(json_is_true(json_object_get(order, "restart_pending")));
    ck_assert_ptr_nonnull(kube_api_get(api, PODS "db-1"));
}
END_TEST

/* ---- secrets ---------------------------------------------------------------------------------- */

#define SECRETS "/api/v1/namespaces/x/secrets/db-"

static char *secret(const char *name, const char *key_name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), SECRETS "%s", name);
    const json_t *data = json_object_get(kube_api_get(api, path), "data");
    const char *encoded = json_string_value(json_object_get(data, key_name));
    if (encoded == NULL)
        return NULL;
    size_t len = strlen(encoded);
    char *text = calloc(1, len + 4);
    ck_assert_int_eq(codec_base64(encoded, len, text, &len, NULL), ERR_OK);
    return text;
}

static bool has_secret(void *arg)
{
    char path[200];
    (void)snprintf(path, sizeof(path), SECRETS "%s", (const char *)arg);
    return kube_api_get(api, path) != NULL;
}

static void expect_secret(const char *name)
{
    ck_assert_msg(until(loop, has_secret, (void *)(uintptr_t)name, 10000), "no %s", name);
}

START_TEST(secrets_are_made_once)
{
    setenv("PGVIGIL_MANAGE", "secrets", 1);
    setenv("PGVIGIL_CERTIFICATES", "make", 1);
    setenv("PGVIGIL_APP_DATABASE", "shop", 1);
    setenv("PGVIGIL_ETCD3_PROTOCOL", "http", 1);
    controller = begin("c-0", &options);
    expect_secret("client");
    expect_labels("primary,replica"); /* the store is opened with the certificate that was made */
    auto_free char *password = secret("credentials", "superuser-password");
    auto_free char *rest = secret("credentials", "restapi-password");
    ck_assert_uint_eq(strlen(password), 32);
    ck_assert_str_ne(password, rest);
    auto_free char *uri = secret("app", "uri");
    auto_free char *app = secret("app", "password");
    ck_assert_ptr_nonnull(strstr(uri, "postgresql://shop:"));
    ck_assert_ptr_nonnull(strstr(uri, app));
    ck_assert_ptr_nonnull(strstr(uri, "@db-primary.x.svc:5432/shop"));
    const json_t *made = kube_api_get(api, SECRETS "server");
    ck_assert_str_eq(json_string_value(json_object_get(made, "type")), "kubernetes.io/tls");
    ck_assert_ptr_null(json_object_get(json_object_get(made, "metadata"), "ownerReferences"));
    auto_free char *server = secret("server", "tls.crt");

    controller_stop(controller);
    loop_run(loop);
    controller = controller_free(controller);
    options = options_free(options);
    json_t *broken = json_deep_copy(kube_api_get(api, SECRETS "credentials"));
    json_object_del(json_object_get(broken, "data"), "rewind-password");
    kube_api_put(api, SECRETS "credentials", broken);
    kube_api_delete(api, SECRETS "client");
    controller = begin("c-1", &options);
    expect_secret("client");
    auto_free char *password_now = secret("credentials", "superuser-password");
    auto_free char *rewind = secret("credentials", "rewind-password");
    auto_free char *server_now = secret("server", "tls.crt");
    ck_assert_str_eq(password_now, password);
    ck_assert_uint_eq(strlen(rewind), 32);
    ck_assert_str_eq(server_now, server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("controller");
    TCase *tcase = tcase_create("controller");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, labels_follow_the_leader);
    tcase_add_test(tcase, a_new_pod_of_the_same_name);
    tcase_add_test(tcase, failures_of_the_api);
    tcase_add_test(tcase, without_etcd_and_without_the_api);
    tcase_add_test(tcase, one_of_two_writes);
    tcase_add_test(tcase, not_on_the_primarys_node);
    tcase_add_test(tcase, an_orderly_end_hands_the_lease_back);
    tcase_add_test(tcase, the_slice_leads_to_the_primary);
    tcase_add_test(tcase, what_it_tells_of_itself);
    tcase_add_test(tcase, events_of_what_changes);
    tcase_add_test(tcase, settings_are_merged);
    tcase_add_test(tcase, the_roll_and_what_is_scaled_in);
    tcase_add_test(tcase, parameters_that_wait_for_a_restart);
    tcase_add_test(tcase, secrets_are_made_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
