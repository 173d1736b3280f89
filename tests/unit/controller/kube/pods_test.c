#include "controller/kube/pods.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"

static json_t *example(void)
{
    return json_pack("{s:{s:s,s:s,s:s,s:{s:s,s:s,s:s}},s:{s:s,s:[{s:s,s:{s:s}},{s:s,s:{}},"
                     "{s:s,s:{s:s}}]},s:{s:s,s:s,s:[{s:s},{s:s}]}}",
                     "metadata", "name", "db-0", "uid", "u", "resourceVersion", "7", "labels",
                     "role", "primary", "app.kubernetes.io/component", "data",
                     "controller-revision-hash", "h", "spec", "nodeName", "n0", "volumes", "name",
                     "data", "persistentVolumeClaim", "claimName", "data-db-0", "name", "tmp",
                     "emptyDir", "name", "etcd", "persistentVolumeClaim", "claimName", "etcd-db-0",
                     "status", "phase", "Running", "podIP", "10.0.0.1", "podIPs", "ip", "10.0.0.1",
                     "ip", "fd00::1");
}

START_TEST(a_pod)
{
    auto_json json_t *object = example();
    struct pod pod;
    struct err err;
    ck_assert_msg(pod_from_json(object, "role", &pod, &err) == ERR_OK, "%s", err.text);
    ck_assert_str_eq(pod.name, "db-0");
    ck_assert_int_eq(pod.version, 7);
    ck_assert_int_eq(pod.component, COMPONENT_DATA);
    ck_assert_str_eq(pod.label, "primary");
    ck_assert_str_eq(pod.revision, "h");
    ck_assert_str_eq(pod.node, "n0");
    ck_assert_str_eq(pod.claims, "data-db-0 etcd-db-0");
    ck_assert_str_eq(pod.address, "10.0.0.1");
    ck_assert_str_eq(pod.second, "fd00::1");
    ck_assert(!pod.ready && !pod.ended && !pod.deleting);
    json_object_del(json_object_get(object, "metadata"), "uid");
    ck_assert_int_eq(pod_from_json(object, "role", &pod, &err), ERR_PROTOCOL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pods");
    TCase *tcase = tcase_create("pods");
    tcase_add_test(tcase, a_pod);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
