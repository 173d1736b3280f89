#include "controller_world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "etcd/kv.h"
#include "http/http.h"
#include "until.h"
#include "json/json.h"

/* What a condition looks for. */
struct want {
    struct controller_world *world;
    const char *text;
};

static void on_put(void *arg, const struct etcd_write_result *result)
{
    *(bool *)arg = true;
    ck_assert_msg(result->outcome.code == ERR_OK, "%s", result->outcome.error);
}

void world_key(struct controller_world *world, const char *name, const char *value)
{
    char path[200];
    bool done = false;
    (void)snprintf(path, sizeof(path), "/service/db/%s", name);
    struct etcd_how how = { .timeout_ms = 10000, .endpoint = ETCD_ANY };
    struct etcd_call *call;
    if (value != NULL) {
        struct etcd_put put = { .key = path, .value = value, .value_len = strlen(value) };
        call = etcd_put(world->etcd, &put, how, on_put, &done);
    } else {
        struct etcd_delete del = { .key = path };
        call = etcd_delete(world->etcd, &del, how, on_put, &done);
    }
    run_until(world->loop, &done, 10000);
    etcd_call_free(call);
}

void world_member(struct controller_world *world, const char *name, const char *role,
                  const char *more)
{
    char path[100], value[600];
    (void)snprintf(path, sizeof(path), "members/%s", name);
    (void)snprintf(
        value, sizeof(value),
        "{\"api_url\":\"%s/patroni\",\"state\":\"running\",\"role\":\"%s\",\"xlog_location\":1000,\"receive_lsn\":"
        "1000,\"replication_state\":\"streaming\",\"timeline\":1%s}",
        kube_api_url(world->api), role, more);
    world_key(world, path, value);
}

void world_pod(struct controller_world *world, const char *name, const char *component,
               const char *node)
{
    char path[200], address[32], at[CLOCK_ISO_MAX];
    static int last = 1;
    (void)snprintf(path, sizeof(path), WORLD_PODS "%s", name);
    (void)snprintf(address, sizeof(address), "10.0.0.%d", last++);
    kube_api_put(world->api, path,
                 json_pack("{s:{s:s,s:{s:s}},s:{s:s},s:{s:s,s:s,s:[{s:s,s:s}]}}", "metadata",
                           "creationTimestamp", clock_iso(clock_wall(), at), "labels",
                           "app.kubernetes.io/component", component, "spec", "nodeName", node,
                           "status", "phase", "Running", "podIP", address, "conditions", "type",
                           "Ready", "status", "True"));
}

const char *world_label(struct controller_world *world, const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), WORLD_PODS "%s", name);
    const json_t *metadata = json_object_get(kube_api_get(world->api, path), "metadata");
    const char *value =
        json_string_value(json_object_get(json_object_get(metadata, "labels"), "role"));
    return value != NULL ? value : "";
}

static bool has_labels(void *arg)
{
    const struct want *want = arg;
    struct controller_world *world = want->world;
    char labels[100];
    (void)snprintf(labels, sizeof(labels), "%s,%s", world_label(world, "db-0"),
                   world_label(world, "db-1"));
    ck_assert_str_ne(labels, "primary,primary");
    return strcmp(labels, want->text) == 0;
}

void world_expect_labels(struct controller_world *world, const char *labels)
{
    struct want want = { world, labels };
    ck_assert_msg(until(world->loop, has_labels, &want, 15000), "labels are %s,%s and not %s",
                  world_label(world, "db-0"), world_label(world, "db-1"), labels);
}

void world_expect_labels_stay(struct controller_world *world, const char *labels, int64_t ms)
{
    struct want want = { world, labels };
    const int64_t end = clock_mono().ms + ms;
    while (clock_mono().ms < end) {
        run_for(world->loop, 50);
        ck_assert_msg(has_labels(&want), "labels are %s,%s", world_label(world, "db-0"),
                      world_label(world, "db-1"));
    }
}

struct controller *world_begin(struct controller_world *world, int index, const char *name)
{
    struct err err;
    setenv("PGVIGIL_NAME", name, 1);
    ck_assert_msg(options_read(&world->options[index], &err) == ERR_OK, "%s", err.text);
    ck_assert_msg(controller_new(world->loop, world->options[index], &world->controllers[index],
                                 &err) == ERR_OK,
                  "%s", err.text);
    return world->controllers[index];
}

void world_end(struct controller_world *world, int index)
{
    world->controllers[index] = controller_free(world->controllers[index]);
    world->options[index] = options_free(world->options[index]);
}

void world_setup(struct controller_world *world)
{
    json_setup();
    http_setup();
    *world = (struct controller_world){ 0 };
    world->loop = loop_new();
    world->api = kube_api_new(world->loop);
    world->http = http_new(world->loop, 5000);
    etcd_cluster_start(&world->store, world->loop, 1, NULL);
    const struct etcd_config config = { .endpoints = world->store.urls };
    world->etcd = etcd_new(world->loop, world->http, &config);
    setenv("PGVIGIL_RELEASE", "db", 1);
    setenv("PGVIGIL_ETCD3_HOSTS", world->store.urls[0], 1);
    setenv("PGVIGIL_MANAGE", "none", 1);
    setenv("PGVIGIL_ROUTING", "label", 1);
    setenv("PGVIGIL_RESTAPI_LISTEN", "127.0.0.1:0", 1);
    world_key(world, "config", "{\"ttl\":5}");
    world_key(world, "leader", "db-0");
    world_member(world, "db-0", "primary", "");
    world_member(world, "db-1", "replica", "");
    world_pod(world, "db-0", "data", "n0");
    world_pod(world, "db-1", "data", "n1");
    world_pod(world, "db-witness-1", "witness", "n2");
}

void world_teardown(struct controller_world *world)
{
    for (int i = 0; i < WORLD_CONTROLLERS; i++)
        world_end(world, i);
    etcd_free(world->etcd);
    http_free(world->http);
    etcd_cluster_stop(&world->store);
    kube_api_free(world->api);
    loop_free(world->loop);
}

/* A key that was asked for. */
struct answer {
    char value[1000];
    bool done;
};

static void on_read(void *arg, const struct etcd_range_result *result)
{
    struct answer *answer = arg;
    ck_assert_int_eq(result->outcome.code, ERR_OK);
    (void)snprintf(answer->value, sizeof(answer->value), "%s",
                   result->n_kvs > 0 ? result->kvs[0].value : "");
    answer->done = true;
}

static void read_key(struct controller_world *world, const char *name, struct answer *ret_answer)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "/service/db/%s", name);
    const struct etcd_range range = { .key = path };
    const struct etcd_how how = { .timeout_ms = 5000, .endpoint = ETCD_ANY };
    struct etcd_call *call = etcd_range(world->etcd, &range, how, on_read, ret_answer);
    run_until(world->loop, &ret_answer->done, 10000);
    etcd_call_free(call);
}

void world_expect_key(struct controller_world *world, const char *name, const char *part)
{
    struct answer answer;
    for (int i = 0; i < 200; i++) {
        answer = (struct answer){ 0 };
        read_key(world, name, &answer);
        if (strstr(answer.value, part) != NULL)
            return;
        run_for(world->loop, 50);
    }
    ck_abort_msg("%s is %s and has no %s", name, answer.value, part);
}

/* ---- Kubernetes' events ----------------------------------------------------------------------- */

static bool has_event(void *arg)
{
    const struct want *want = arg;
    return kube_api_find(want->world->api, "/api/v1/namespaces/x/events", "reason", want->text) !=
           NULL;
}

void world_expect_event(struct controller_world *world, const char *reason)
{
    struct want want = { world, reason };
    ck_assert_msg(until(world->loop, has_event, &want, 10000), "no event %s", reason);
}
