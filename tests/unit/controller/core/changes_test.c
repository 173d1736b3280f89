#include "controller/core/changes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static struct cluster_view cluster;
static struct pods pods;
static struct changes changes;
static struct mono now;
static bool wish;
static char last_text[CHANGE_TEXT]; /* of the last change that was told */

static void add_pod(const char *name, enum component component)
{
    struct pod *pod = &pods.pod[pods.n++];
    *pod = (struct pod){ .component = component, .ready = true, .node = "n" };
    (void)text_copy(pod->name, sizeof(pod->name), name);
    (void)snprintf(pod->uid, sizeof(pod->uid), "uid-%.30s", name);
}

static void add_member(const char *name, enum member_role role)
{
    struct member *member = &cluster.members[cluster.n_members++];
    *member = (struct member){ .role = role, .state = MEMBER_RUNNING, .tags = tags_default() };
    member->streaming = role == MEMBER_ROLE_REPLICA;
    (void)text_copy(member->name, sizeof(member->name), name);
}

/* The reasons that one more look says, after `ms`. */
static const char *look_after(int64_t ms)
{
    static char text[400];
    size_t len = 0;
    text[0] = '\0';
    now.ms += ms;
    struct change_list list = changes_look(&changes, &cluster, &pods, wish, now);
    if (list.n > 0)
        memcpy(last_text, list.change[list.n - 1].text, sizeof(last_text));
    for (size_t i = 0; i < list.n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s:%.40s", i > 0 ? " " : "",
                                list.change[i].reason, list.change[i].pod);
    return text;
}

static void setup(void)
{
    cluster = (struct cluster_view){ .known = true, .leader = "db-0", .ttl_ms = 10000 };
    pods = (struct pods){ 0 };
    changes = (struct changes){ 0 };
    now = (struct mono){ 1000000 };
    wish = false;
    add_pod("db-0", COMPONENT_DATA);
    add_pod("db-1", COMPONENT_DATA);
    add_pod("db-witness-a", COMPONENT_WITNESS);
    add_member("db-0", MEMBER_ROLE_PRIMARY);
    add_member("db-1", MEMBER_ROLE_REPLICA);
    ck_assert_str_eq(look_after(0), ""); /* what is there at first is no news */
    ck_assert_str_eq(look_after(1000), "");
}

static void lead(size_t who)
{
    (void)text_copy(cluster.leader, LIMIT_NAME, pods.pod[who].name);
    for (size_t i = 0; i < 2; i++) {
        cluster.members[i].role = i == who ? MEMBER_ROLE_PRIMARY : MEMBER_ROLE_REPLICA;
        cluster.members[i].streaming = i != who;
    }
}

START_TEST(failover_and_switchover)
{
    cluster.leader[0] = '\0';
    ck_assert_str_eq(look_after(1000), "");
    lead(1);
    ck_assert_str_eq(look_after(1000), "Failover:db-1");
    ck_assert_str_eq(look_after(1000), "");
    wish = true;
    ck_assert_str_eq(look_after(1000), "");
    wish = false;
    lead(0);
    ck_assert_str_eq(look_after(5000), "Switchover:db-0");
    lead(1);
    ck_assert_str_eq(look_after(60000), "Failover:db-1"); /* that wish was long ago */
}
END_TEST

/* Lost after a ttl of silence, once; without a primary nobody can stream. */
START_TEST(standby_lost_and_back)
{
    cluster.members[1].streaming = false;
    ck_assert_str_eq(look_after(1000), "");
    ck_assert_str_eq(look_after(9999), "");
    ck_assert_str_eq(look_after(1), "StandbyLost:db-1");
    ck_assert_str_eq(look_after(20000), "");
    cluster.members[1].streaming = true;
    ck_assert_str_eq(look_after(1000), "StandbyBack:db-1");
    cluster.leader[0] = '\0';
    cluster.members[1].streaming = false;
    ck_assert_str_eq(look_after(60000), "");
}
END_TEST

START_TEST(witness_and_node)
{
    (void)text_copy(pods.pod[2].name, LIMIT_KUBE_NAME, "db-witness-b");
    (void)text_copy(pods.pod[2].uid, LIMIT_UID, "uid-b");
    pods.pod[2].ready = false;
    ck_assert_str_eq(look_after(1000), "");
    pods.pod[2].ready = true;
    ck_assert_str_eq(look_after(1000), "WitnessReplaced:db-witness-b");
    pods.pod[1].deleting = true;
    pods.pod[1].overstayed_ms = 9999;
    ck_assert_str_eq(look_after(1000), "");
    pods.pod[1].overstayed_ms = 10000;
    (void)text_copy(pods.pod[1].claims, LIMIT_CLAIMS, "data-db-1 etcd-db-1");
    ck_assert_str_eq(look_after(1000), "NodeLost:db-1");
    ck_assert_ptr_nonnull(strstr(last_text, "kubectl delete pvc data-db-1 etcd-db-1 --wait=false"));
    ck_assert_ptr_nonnull(strstr(last_text, "kubectl taint nodes"));
    ck_assert_str_eq(look_after(1000), "");
    pods.pod[2].deleting = true;
    pods.pod[2].overstayed_ms = 10000;
    ck_assert_str_eq(look_after(1000), "NodeLost:db-witness-b");
    ck_assert_ptr_nonnull(strstr(last_text, "it has no volume"));
}
END_TEST

START_TEST(nothing_while_the_cluster_is_not_known)
{
    cluster.known = false;
    lead(1);
    ck_assert_str_eq(look_after(1000), "");
    cluster.known = true;
    ck_assert_str_eq(look_after(1000), "Failover:db-1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("changes");
    TCase *tcase = tcase_create("changes");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, failover_and_switchover);
    tcase_add_test(tcase, standby_lost_and_back);
    tcase_add_test(tcase, witness_and_node);
    tcase_add_test(tcase, nothing_while_the_cluster_is_not_known);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
