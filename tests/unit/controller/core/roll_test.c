#include "controller/core/roll.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static struct cluster_view cluster;
static struct pods pods;
static struct roll_view view;

static struct pod *add_pod(const char *name, enum component component, const char *revision)
{
    struct pod *pod = &pods.pod[pods.n++];
    *pod = (struct pod){ .component = component, .ready = true };
    (void)text_copy(pod->name, sizeof(pod->name), name);
    (void)text_copy(pod->revision, sizeof(pod->revision), revision);
    (void)snprintf(pod->node, sizeof(pod->node), "node-of-%.40s", name);
    return pod;
}

static void add_member(const char *name, enum member_role role)
{
    struct member *member = &cluster.members[cluster.n_members++];
    *member = (struct member){ .role = role, .state = MEMBER_RUNNING, .tags = tags_default() };
    member->streaming = role == MEMBER_ROLE_REPLICA;
    (void)text_copy(member->name, sizeof(member->name), name);
}

/* db-0 leads, db-1 is its sync standby; the templates are new, the pods are not. */
static void setup(void)
{
    cluster = (struct cluster_view){ .known = true, .leader = "db-0" };
    cluster.sync = (struct sync_state){ .exists = true, .leader = "db-0" };
    names_add(&cluster.sync.standbys, "db-1");
    pods = (struct pods){ 0 };
    (void)add_pod("db-0", COMPONENT_DATA, "old");
    (void)add_pod("db-1", COMPONENT_DATA, "old");
    (void)add_pod("db-witness-x", COMPONENT_WITNESS, "w");
    add_member("db-0", MEMBER_ROLE_PRIMARY);
    add_member("db-1", MEMBER_ROLE_REPLICA);
    view = (struct roll_view){
        .now = { 100000 },
        .cluster = &cluster,
        .pods = &pods,
        .set_known = true,
        .replicas = 2,
        .revision = "new",
        .stamp = "2",
        .witness_known = true,
        .witness_exists = true,
        .witness_complete = true,
        .witness_stamp = "2",
        .healthy_since = { 90000 },
        .settings_current = true,
    };
}

static const char *decided(void)
{
    static char text[400];
    static const char *const moves[] = { "done", "wait", "delete", "switchover", "restart" };
    struct roll_decision decision = roll_decide(&view);
    (void)snprintf(text, sizeof(text), "%s %s", moves[decision.move],
                   decision.pod != NULL ? decision.pod->name : decision.reason);
    return text;
}

/* Standby first, then a switchover, then the old primary. */
START_TEST(the_order)
{
    ck_assert_str_eq(decided(), "delete db-1");
    (void)text_copy(pods.pod[1].revision, LIMIT_LABEL, "new");
    ck_assert_str_eq(decided(), "switchover db-1");
    (void)text_copy(cluster.leader, LIMIT_NAME, "db-1");
    cluster.members[0].role = MEMBER_ROLE_REPLICA;
    cluster.members[1].role = MEMBER_ROLE_PRIMARY;
    ck_assert_str_eq(decided(), "delete db-0");
    (void)text_copy(pods.pod[0].revision, LIMIT_LABEL, "new");
    ck_assert_str_eq(decided(), "done all pods are up to date");
    pods.pod[0].ready = false;
    ck_assert_str_eq(decided(), "wait not every pod is ready");
}
END_TEST

static void all_new(void)
{
    for (size_t i = 0; i < pods.n; i++)
        (void)text_copy(pods.pod[i].revision, LIMIT_LABEL, "new");
}

/* A parameter that waits for a restart: standbys first, the highest first; the primary in place; no pod
 * is deleted; what a standby keeps from its primary comes after that. */
START_TEST(restarts)
{
    (void)add_pod("db-2", COMPONENT_DATA, "new");
    add_member("db-2", MEMBER_ROLE_REPLICA);
    view.replicas = 3;
    names_add(&view.due, "db-0");
    names_add(&view.due, "db-1");
    names_add(&view.due, "db-2");
    ck_assert_str_eq(decided(), "delete db-1"); /* a pod that is made anew has it all */
    all_new();
    ck_assert_str_eq(decided(), "restart db-2");
    (void)text_copy(view.restarted, LIMIT_NAME, "db-2");
    view.restarted_at = (struct mono){ 40001 };
    ck_assert_str_eq(decided(), "wait a member is being restarted");
    view.restarted_at = (struct mono){ 40000 };
    ck_assert_str_eq(decided(), "restart db-2");
    view.restarted_at = (struct mono){ 99000 };
    names_remove(&view.due, "db-2");
    ck_assert_str_eq(decided(), "restart db-1");
    names_remove(&view.due, "db-1");
    ck_assert_str_eq(decided(), "restart db-0");
    names_remove(&view.due, "db-0");
    ck_assert_str_eq(decided(), "done all pods are up to date");
    names_add(&view.due, "db-1"); /* it had kept what the primary had */
    ck_assert_str_eq(decided(), "restart db-1");
    names_add(&view.due, "gone");
    names_remove(&view.due, "db-1");
    ck_assert_str_eq(decided(), "done all pods are up to date");
}
END_TEST

START_TEST(what_holds_a_restart_up)
{
    all_new();
    names_add(&view.due, "db-0");
    view.settings_current = false;
    ck_assert_str_eq(decided(), "wait the values' settings are not in force yet");
    view.settings_current = true;
    cluster.members[1].streaming = false;
    ck_assert_str_eq(decided(),
                     "wait a parameter waits for a restart, and not every standby streams");
    cluster.members[1].streaming = true;
    names_remove(&cluster.sync.standbys, "db-1");
    ck_assert_str_eq(decided(),
                     "wait a parameter waits for a restart, and not every standby streams");
    names_add(&cluster.sync.standbys, "db-1");
    cluster.paused = true;
    ck_assert_str_eq(decided(), "wait a parameter waits for a restart, and the cluster is paused");
    cluster.paused = false;
    cluster.members[0].role = MEMBER_ROLE_REPLICA;
    ck_assert_str_eq(decided(), "wait there is no primary");
    cluster.members[0].role = MEMBER_ROLE_PRIMARY;
    pods.pod[2].ready = false; /* the witness has no part in it */
    ck_assert_str_eq(decided(), "restart db-0");
}
END_TEST

START_TEST(three_data_pods_highest_first)
{
    (void)add_pod("db-2", COMPONENT_DATA, "old");
    add_member("db-2", MEMBER_ROLE_REPLICA);
    view.replicas = 3;
    ck_assert_str_eq(decided(), "delete db-2");
    (void)text_copy(pods.pod[3].revision, LIMIT_LABEL, "new");
    ck_assert_str_eq(decided(), "delete db-1");
    (void)text_copy(pods.pod[1].revision, LIMIT_LABEL, "new");
    ck_assert_str_eq(decided(), "switchover db-1"); /* db-2 is not synchronous */
}
END_TEST

/* Nothing is deleted before everything is well. */
START_TEST(what_holds_it_up)
{
    view.witness_complete = false;
    ck_assert_str_eq(decided(), "wait the witness is still being rolled out");
    setup();
    (void)text_copy(view.witness_stamp, LIMIT_LABEL, "1");
    ck_assert_str_eq(decided(), "wait the witness's Deployment is of another chart revision");
    setup();
    view.witness_known = false;
    ck_assert_str_eq(decided(), "wait the witness's Deployment is not known yet");
    setup();
    view.healthy_since = (struct mono){ 90001 };
    ck_assert_str_eq(decided(), "wait every pod is to be ready for 10 s");
    view.healthy_since = (struct mono){ 0 };
    ck_assert_str_eq(decided(), "wait every pod is to be ready for 10 s");
    setup();
    pods.pod[2].ready = false;
    ck_assert_str_eq(decided(), "wait not every pod is ready");
    setup();
    pods.n = 1;
    ck_assert_str_eq(decided(), "wait not every pod is ready");
    setup();
    cluster.sync.standbys.n = 0;
    ck_assert_str_eq(decided(), "wait no standby is synchronous");
    setup();
    cluster.paused = true;
    ck_assert_str_eq(decided(), "wait the cluster is paused");
    setup();
    cluster.leader[0] = '\0';
    ck_assert_str_eq(decided(), "wait there is no primary");
    setup();
    cluster.known = false;
    ck_assert_str_eq(decided(), "wait etcd or the StatefulSet is not known yet");
    setup();
    pods.pod[1].deleting = true; /* the one that is on its way */
    ck_assert_str_eq(decided(), "wait not every pod is ready");
    setup();
    (void)text_copy(pods.pod[1].revision, LIMIT_LABEL, "new");
    cluster.members[1].streaming = false;
    ck_assert_str_eq(decided(), "wait no standby can take over");
}
END_TEST

/* A pod that the old template broke is not waited for: it is the first to go; one, not two. */
START_TEST(a_broken_pod_is_mended)
{
    pods.pod[1].ready = false;
    ck_assert_str_eq(decided(), "delete db-1");
    pods.pod[0].ready = false;
    ck_assert_str_eq(decided(), "wait not every pod is ready");
}
END_TEST

START_TEST(without_a_witness)
{
    view.witness_exists = false;
    pods.n = 2;
    ck_assert_str_eq(decided(), "delete db-1");
}
END_TEST

START_TEST(away_from_a_node)
{
    (void)text_copy(pods.pod[1].revision, LIMIT_LABEL, "new");
    ck_assert_ptr_eq(roll_successor(&view, "node-of-db-0"), &pods.pod[1]);
    ck_assert_ptr_null(roll_successor(&view, "node-of-db-1"));
}
END_TEST

START_TEST(ordinals)
{
    ck_assert_int_eq(roll_ordinal("db", "db-0"), 0);
    ck_assert_int_eq(roll_ordinal("db", "db-12"), 12);
    ck_assert_int_eq(roll_ordinal("db", "db-witness-5f"), -1);
    ck_assert_int_eq(roll_ordinal("db", "db-1x"), -1);
    ck_assert_int_eq(roll_ordinal("db", "other-1"), -1);
    ck_assert_int_eq(roll_ordinal("db", "db"), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("roll");
    TCase *tcase = tcase_create("roll");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, the_order);
    tcase_add_test(tcase, restarts);
    tcase_add_test(tcase, what_holds_a_restart_up);
    tcase_add_test(tcase, three_data_pods_highest_first);
    tcase_add_test(tcase, what_holds_it_up);
    tcase_add_test(tcase, a_broken_pod_is_mended);
    tcase_add_test(tcase, without_a_witness);
    tcase_add_test(tcase, away_from_a_node);
    tcase_add_test(tcase, ordinals);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
