#include "controller/core/labels.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static struct cluster_view cluster;
static struct pods pods;
static struct label_names names;
static const char *late[3]; /* what was sent and may still arrive */

static struct pod *add_pod(const char *name, const char *label)
{
    struct pod *pod = &pods.pod[pods.n++];
    *pod = (struct pod){ .component = COMPONENT_DATA, .ready = true };
    (void)text_copy(pod->name, sizeof(pod->name), name);
    (void)snprintf(pod->uid, sizeof(pod->uid), "uid-%.30s", name);
    (void)text_copy(pod->label, sizeof(pod->label), label);
    return pod;
}

static struct member *add_member(const char *name, enum member_role role)
{
    struct member *member = &cluster.members[cluster.n_members++];
    *member = (struct member){ .role = role, .state = MEMBER_RUNNING, .tags = tags_default() };
    (void)text_copy(member->name, sizeof(member->name), name);
    member->streaming = role == MEMBER_ROLE_REPLICA;
    member->receive_lsn = 1000;
    return member;
}

/* db-0 leads, db-1 streams, both are labelled so. */
static void setup(void)
{
    memset(late, 0, sizeof(late));
    cluster = (struct cluster_view){ .known = true, .leader = "db-0", .maximum_lag = 100 };
    pods = (struct pods){ 0 };
    ck_assert(label_preset("patroni", &names));
    (void)add_pod("db-0", "primary");
    (void)add_pod("db-1", "replica");
    (void)add_member("db-0", MEMBER_ROLE_PRIMARY);
    (void)add_member("db-1", MEMBER_ROLE_REPLICA);
    cluster.optime = 1000;
}

/* "db-1=primary db-0=" in the plan's order. */
static const char *plan_text(void)
{
    static char text[1024];
    struct label_plan plan = labels_plan(&cluster, &pods, &names);
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < plan.n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%s", i > 0 ? " " : "",
                                pods.pod[plan.op[i].pod].name,
                                plan.op[i].value != NULL ? plan.op[i].value : "");
    return text;
}

START_TEST(settled_is_settled)
{
    setup();
    ck_assert_str_eq(plan_text(), "");
    ck_assert_str_eq(labels_primary(&cluster, &pods)->name, "db-0");
}
END_TEST

START_TEST(new_pods_are_labelled)
{
    setup();
    pods.pod[0].label[0] = '\0';
    pods.pod[1].label[0] = '\0';
    ck_assert_str_eq(plan_text(), "db-1=replica db-0=primary");
}
END_TEST

/* Off the old pod before on the new one: the new one waits for the answer. */
START_TEST(off_before_on)
{
    setup();
    (void)text_copy(cluster.leader, sizeof(cluster.leader), "db-1");
    cluster.members[1].role = MEMBER_ROLE_PRIMARY;
    cluster.members[0].state = MEMBER_STOPPED;
    ck_assert_str_eq(plan_text(), "db-0=");
    pods.pod[0].patching = true;
    ck_assert_str_eq(plan_text(), "");
    pods.pod[0].patching = false;
    pods.pod[0].label[0] = '\0';
    ck_assert_str_eq(plan_text(), "db-1=primary");
}
END_TEST

/* "Off" is written as soon as the old one is known not to be primary. */
START_TEST(off_without_a_successor)
{
    setup();
    cluster.leader[0] = '\0';
    ck_assert_str_eq(plan_text(), "db-0=");
    setup();
    cluster.members[0].state = MEMBER_CRASHED; /* keeps the key, recovers */
    ck_assert_str_eq(plan_text(), "db-0=");
    setup();
    cluster.members[0].role = MEMBER_ROLE_REPLICA; /* has the key, is not promoted yet */
    cluster.members[0].streaming = true;
    ck_assert_str_eq(plan_text(), "db-0=replica");
    setup();
    cluster.n_members = 0;
    ck_assert_str_eq(plan_text(), "db-0= db-1=");
}
END_TEST

/* A pod that is gone counts as off. */
START_TEST(gone_counts_as_off)
{
    setup();
    (void)text_copy(cluster.leader, sizeof(cluster.leader), "db-1");
    cluster.members[1].role = MEMBER_ROLE_PRIMARY;
    pods.pod[0] = pods.pod[1];
    pods.n = 1;
    ck_assert_str_eq(plan_text(), "db-1=primary");
}
END_TEST

/* Without etcd's quorum everything stays. */
START_TEST(unknown_changes_nothing)
{
    setup();
    cluster.known = false;
    pods.pod[0].label[0] = '\0';
    pods.pod[1].label[0] = '\0';
    ck_assert_str_eq(plan_text(), "");
    ck_assert_ptr_null(labels_primary(&cluster, &pods));
}
END_TEST

/* A primary label whose answer was lost may still arrive: off again, and answered, first. */
START_TEST(lost_answer_may_be_primary)
{
    setup();
    pods.pod[1].maybe_primary = true;
    pods.pod[0].label[0] = '\0';
    ck_assert_str_eq(plan_text(), "db-1=replica");
    pods.pod[1].maybe_primary = false;
    ck_assert_str_eq(plan_text(), "db-0=primary");
}
END_TEST

START_TEST(replicas_stream_within_the_lag)
{
    setup();
    struct member *standby = &cluster.members[1];
    standby->streaming = false;
    ck_assert_str_eq(plan_text(), "db-1=");
    standby->streaming = true;
    standby->receive_lsn = 899;
    ck_assert_str_eq(plan_text(), "db-1=");
    standby->receive_lsn = 900;
    ck_assert_str_eq(plan_text(), "");
    standby->receive_lsn = LSN_NONE;
    standby->replay_lsn = 950;
    ck_assert_str_eq(plan_text(), "");
    standby->tags.noloadbalance = true;
    ck_assert_str_eq(plan_text(), "db-1=");
    standby->tags.noloadbalance = false;
    standby->state = MEMBER_STARTING;
    ck_assert_str_eq(plan_text(), "db-1=");
    standby->state = MEMBER_RUNNING;
    pods.pod[1].deleting = true;
    ck_assert_str_eq(plan_text(), "db-1=");
    pods.pod[1].deleting = false;
    cluster.optime = LSN_NONE; /* nobody knows where the leader is */
    standby->replay_lsn = LSN_NONE;
    ck_assert_str_eq(plan_text(), "");
}
END_TEST

/* With the primary the stream ends: that alone changes nothing of the replicas' Service. */
START_TEST(without_a_primary_replicas_stay)
{
    setup();
    cluster.leader[0] = '\0';
    cluster.members[1].streaming = false;
    ck_assert_str_eq(plan_text(), "db-0=");
    cluster.members[1].receive_lsn = 899;
    ck_assert_str_eq(plan_text(), "db-0= db-1=");
    cluster.members[1].receive_lsn = 1000;
    pods.pod[1].label[0] = '\0';
    ck_assert_str_eq(plan_text(), "db-0=");
}
END_TEST

/* Nobody else has a role: witness, controller, a pod that ended, a name without a key; and a primary
 * that is being deleted still is one. */
START_TEST(nobody_else)
{
    setup();
    add_pod("db-witness-x", "primary")->component = COMPONENT_WITNESS;
    ck_assert_str_eq(plan_text(), "db-witness-x=");
    pods.pod[2].component = COMPONENT_DATA;
    ck_assert_str_eq(plan_text(), "db-witness-x=");
    setup();
    pods.pod[0].deleting = true;
    ck_assert_str_eq(plan_text(), "");
    pods.pod[0].ended = true;
    ck_assert_str_eq(plan_text(), "db-0=");
}
END_TEST

/* A label that somebody else wrote is corrected; with another preset, too. */
START_TEST(foreign_values)
{
    setup();
    (void)text_copy(pods.pod[1].label, LIMIT_LABEL, "master");
    ck_assert_str_eq(plan_text(), "db-1=replica");
    ck_assert(label_preset("spilo", &names));
    ck_assert_str_eq(names.key, "spilo-role");
    ck_assert_str_eq(plan_text(), "db-1=replica");
}
END_TEST

START_TEST(presets)
{
    ck_assert(label_preset("cloudnativepg", &names));
    ck_assert_str_eq(names.key, "cnpg.io/instanceRole");
    ck_assert(!label_preset("zalando", &names));
}
END_TEST

static void send_plan(void)
{
    struct label_plan plan = labels_plan(&cluster, &pods, &names);
    for (size_t i = 0; i < plan.n; i++) {
        struct pod *pod = &pods.pod[plan.op[i].pod];
        pod->patching = true;
        late[plan.op[i].pod] = plan.op[i].value != NULL ? plan.op[i].value : "";
        pod->maybe_primary |= strcmp(late[plan.op[i].pod], names.primary) == 0;
    }
}

static void lead(size_t who)
{
    (void)text_copy(cluster.leader, sizeof(cluster.leader), pods.pod[who].name);
    for (size_t i = 0; i < 3; i++)
        cluster.members[i].role = i == who ? MEMBER_ROLE_PRIMARY : MEMBER_ROLE_REPLICA;
}

/* Done; told: the answer has come as well. */
static void arrive(size_t who, bool told)
{
    if (late[who] == NULL)
        return;
    (void)text_copy(pods.pod[who].label, LIMIT_LABEL, late[who]);
    pods.pod[who].patching = false;
    pods.pod[who].maybe_primary = pods.pod[who].maybe_primary && !told;
    late[who] = NULL;
}

/* Whatever is lost, answered or changed in whatever order: never two primary labels. */
START_TEST(never_two_primaries)
{
    unsigned seed = (unsigned)_i + 1;
    setup();
    (void)add_pod("db-2", "");
    (void)add_member("db-2", MEMBER_ROLE_REPLICA);
    for (int step = 0; step < 2000; step++) {
        send_plan();
        size_t who = (size_t)rand_r(&seed) % 3;
        int what = rand_r(&seed) % 4;
        if (what == 0)
            lead(who);
        else
            arrive(who, what == 1);
        int primaries = 0;
        for (size_t i = 0; i < 3; i++)
            primaries += strcmp(pods.pod[i].label, names.primary) == 0;
        ck_assert_int_le(primaries, 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("labels");
    TCase *labels = tcase_create("labels");
    tcase_add_test(labels, settled_is_settled);
    tcase_add_test(labels, new_pods_are_labelled);
    tcase_add_test(labels, off_before_on);
    tcase_add_test(labels, off_without_a_successor);
    tcase_add_test(labels, gone_counts_as_off);
    tcase_add_test(labels, unknown_changes_nothing);
    tcase_add_test(labels, lost_answer_may_be_primary);
    tcase_add_test(labels, replicas_stream_within_the_lag);
    tcase_add_test(labels, without_a_primary_replicas_stay);
    tcase_add_test(labels, nobody_else);
    tcase_add_test(labels, foreign_values);
    tcase_add_test(labels, presets);
    tcase_add_loop_test(labels, never_two_primaries, 0, 20);
    suite_add_tcase(suite, labels);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
