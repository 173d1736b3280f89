#include "controller/controller.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/unit/support/controller_world.h"
#include "tests/unit/support/rest_client.h"
#include "tests/unit/support/until.h"

#define SLICE "/apis/discovery.k8s.io/v1/namespaces/x/endpointslices/db-primary-ipv4"
#define LEASE "/apis/coordination.k8s.io/v1/namespaces/x/leases/db-controller"

static struct controller_world world;

static void setup(void)
{
    world_setup(&world);
}

static void teardown(void)
{
    world_teardown(&world);
}

static const char *slice_pod(void)
{
    const json_t *endpoints = json_object_get(kube_api_get(world.api, SLICE), "endpoints");
    const json_t *target = json_object_get(json_array_get(endpoints, 0), "targetRef");
    const char *name = json_string_value(json_object_get(target, "name"));
    return name != NULL ? name : "";
}

static const char *holder(void)
{
    const json_t *spec = json_object_get(kube_api_get(world.api, LEASE), "spec");
    const char *name = json_string_value(json_object_get(spec, "holderIdentity"));
    return name != NULL ? name : "";
}

static bool is_held_by(void *arg)
{
    return strcmp(holder(), arg) == 0;
}

static void expect_holder(const char *name)
{
    ck_assert_msg(until(world.loop, is_held_by, (void *)(uintptr_t)name, 15000), "held by %s",
                  holder());
}

static bool leads_to(void *arg)
{
    return kube_api_get(world.api, SLICE) != NULL && strcmp(slice_pod(), arg) == 0;
}

/* ---- tests ------------------------------------------------------------------------------------ */

START_TEST(labels_follow_the_leader)
{
    (void)world_begin(&world, 0, "c-0");
    world_expect_labels(&world, "primary,replica");
    ck_assert_str_eq(world_label(&world, "db-witness-1"), "");
    world_key(&world, "leader", NULL);
    world_expect_labels(&world, ",replica");
    world_key(&world, "leader", "db-1");
    world_expect_labels_stay(&world, ",replica", 300);
    world_member(&world, "db-1", "primary", "");
    world_member(&world, "db-0", "replica", "");
    world_expect_labels(&world, "replica,primary");
}
END_TEST

START_TEST(a_new_pod_of_the_same_name)
{
    (void)world_begin(&world, 0, "c-0");
    world_expect_labels(&world, "primary,replica");
    kube_api_delete(world.api, WORLD_PODS "db-1");
    world_pod(&world, "db-1", "data", "n2");
    ck_assert_str_eq(world_label(&world, "db-1"), "");
    world_expect_labels(&world, "primary,replica");
}
END_TEST

/* The label goes on while the watch has not told yet that the pod is another one: 409, then the new
 * one is labelled. */
START_TEST(failures_of_the_api)
{
    (void)world_begin(&world, 0, "c-0");
    world_expect_labels(&world, "primary,replica");
    kube_api_fail(world.api, "PATCH", 500, 2);
    world_key(&world, "leader", "db-1");
    world_member(&world, "db-1", "primary", "");
    world_member(&world, "db-0", "replica", "");
    world_expect_labels(&world, "replica,primary");
    kube_api_fail(world.api, "PATCH", 0, 3); /* done, the answer is lost */
    world_key(&world, "leader", "db-0");
    world_member(&world, "db-0", "primary", "");
    world_member(&world, "db-1", "replica", "");
    world_expect_labels(&world, "primary,replica");
}
END_TEST

/* Without etcd labels stay; without the API they follow when it is back. */
START_TEST(without_etcd_and_without_the_api)
{
    (void)world_begin(&world, 0, "c-0");
    world_expect_labels(&world, "primary,replica");
    etcd_server_kill(&world.store, 0);
    world_expect_labels_stay(&world, "primary,replica", 2500);
    etcd_server_start(&world.store, 0);
    kube_api_fail(world.api, "", 503, -1);
    kube_api_hang_up(world.api);
    world_key(&world, "leader", "db-1");
    world_member(&world, "db-1", "primary", "");
    world_member(&world, "db-0", "replica", "");
    world_expect_labels_stay(&world, "primary,replica", 4000);
    kube_api_fail(world.api, "", 0, 0);
    world_expect_labels(&world, "replica,primary");
}
END_TEST

START_TEST(one_of_two_writes)
{
    (void)world_begin(&world, 0, "c-0");
    world_expect_labels(&world, "primary,replica");
    (void)world_begin(&world, 1, "c-1");
    run_for(world.loop, 2500);
    ck_assert_str_eq(holder(), "c-0");
    world_end(&world, 0); /* as if it were killed */
    world_key(&world, "leader", NULL);
    expect_holder("c-1");
    world_expect_labels(&world, ",replica");
}
END_TEST

/* The active one hands over when it finds itself on the primary's node. */
START_TEST(not_on_the_primarys_node)
{
    world_pod(&world, "c-0", "controller", "n0");
    world_pod(&world, "c-1", "controller", "n2");
    (void)world_begin(&world, 0, "c-0");
    (void)world_begin(&world, 1, "c-1");
    world_expect_labels(&world, "primary,replica");
    expect_holder("c-1");
    world_key(&world, "leader", "db-1");
    world_member(&world, "db-1", "primary", "");
    world_member(&world, "db-0", "replica", "");
    world_expect_labels(&world, "replica,primary");
    ck_assert_str_eq(holder(), "c-1");
}
END_TEST

START_TEST(an_orderly_end_hands_the_lease_back)
{
    (void)world_begin(&world, 0, "c-0");
    world_expect_labels(&world, "primary,replica");
    struct mono begun = clock_mono();
    controller_stop(world.controllers[0]);
    loop_run(world.loop);
    ck_assert_int_lt(mono_diff(clock_mono(), begun), 900);
    ck_assert_str_eq(holder(), "");
}
END_TEST

/* One request in a takeover: it is not emptied in between. */
START_TEST(the_slice_leads_to_the_primary)
{
    setenv("PGVIGIL_ROUTING", "slice", 1);
    (void)world_begin(&world, 0, "c-0");
    ck_assert_msg(until(world.loop, leads_to, (void *)(uintptr_t)"db-0", 10000), "%s", slice_pod());
    world_key(&world, "leader", NULL);
    world_expect_labels(&world, ",replica");
    ck_assert(!until(world.loop, leads_to, (void *)(uintptr_t)"", 1500));
    world_key(&world, "leader", "db-1");
    world_member(&world, "db-1", "primary", "");
    ck_assert_msg(until(world.loop, leads_to, (void *)(uintptr_t)"db-1", 10000), "%s", slice_pod());
    const json_t *labels =
        json_object_get(json_object_get(kube_api_get(world.api, SLICE), "metadata"), "labels");
    ck_assert_str_eq(json_string_value(json_object_get(labels, "kubernetes.io/service-name")),
                     "db-primary");
    ck_assert_str_eq(
        json_string_value(json_object_get(labels, "endpointslice.kubernetes.io/managed-by")),
        "pgvigil-controller");
    world_expect_labels(&world, ",primary");
    world_key(&world, "leader", NULL);
    ck_assert_msg(until(world.loop, leads_to, (void *)(uintptr_t)"", 10000), "%s", slice_pod());
}
END_TEST

START_TEST(what_it_tells_of_itself)
{
    kube_api_fail(world.api, "", 500, -1);
    (void)world_begin(&world, 0, "c-0");
    struct rest_client client = { .loop = world.loop,
                                  .http = world.http,
                                  .port = controller_port(world.controllers[0]) };
    rest_expect(&client, "GET /healthz", NULL, 200, "ok\n");
    rest_expect(&client, "GET /readyz", NULL, 503, NULL);
    kube_api_fail(world.api, "", 0, 0);
    world_expect_labels(&world, "primary,replica");
    rest_expect(&client, "GET /readyz", NULL, 200, "pods are watched, active\n");
    rest_expect(&client, "GET /metrics", NULL, 200, NULL);
    ck_assert_msg(strstr(client.body, "\npgvigil_controller_primaries 1\n") != NULL, "%s",
                  client.body);
}
END_TEST

START_TEST(events_of_what_changes)
{
    setenv("PGVIGIL_MANAGE", "events", 1);
    (void)world_begin(&world, 0, "c-0");
    world_expect_labels(&world, "primary,replica");
    char at[CLOCK_ISO_MAX], value[300];
    (void)snprintf(value, sizeof(value),
                   "{\"n\":1,\"at\":\"%s\",\"member\":\"db-0\",\"kind\":\"one-copy\",\"text\":"
                   "\"commits are acknowledged with one copy\"}",
                   clock_iso(clock_wall(), at));
    world_key(&world, "pgvigil/events/01", value);
    world_expect_event(&world, "OneCopy");
    kube_api_delete(world.api, WORLD_PODS "db-witness-1");
    world_pod(&world, "db-witness-2", "witness", "n3");
    world_expect_event(&world, "WitnessReplaced");
    world_key(&world, "leader", "db-1");
    world_member(&world, "db-1", "primary", "");
    world_key(&world, "members/db-0", "{\"state\":\"stopped\",\"role\":\"replica\"}");
    world_expect_event(&world, "Failover");
    world_expect_event(&world, "StandbyLost");
    const json_t *event =
        kube_api_find(world.api, "/api/v1/namespaces/x/events", "reason", "Failover");
    ck_assert_str_eq(json_string_value(json_object_get(event, "message")),
                     "db-1 is the primary now; before it was db-0");
    world_key(&world, "failover", "{\"leader\":\"db-1\",\"member\":\"db-0\"}");
    run_for(world.loop, 100);
    world_key(&world, "failover", "{}");
    world_key(&world, "leader", "db-0");
    world_member(&world, "db-0", "primary", "");
    world_expect_event(&world, "Switchover");
    world_expect_event(&world, "StandbyBack");
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
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
