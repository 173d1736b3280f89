#include "sidecar/act/publish.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/store_node.h"
#include "base/clock.h"
#include "json/json.h"

static struct loop *loop;
static struct etcd_cluster servers;
static struct store_node a;
static struct store_node b;

static void setup(void)
{
    loop = store_nodes_start(&servers, 1, &a, &b);
}

static void teardown(void)
{
    store_nodes_stop(&servers, &a, &b);
}

static struct cluster_key key_of(struct store_node *node, const char *name)
{
    struct cluster_key key = { .value = "(none)" };
    (void)cluster_get(node->cluster, name, &key);
    return key;
}

/* Trap 10: the member key lies under the lease of the leader key; it is written only when content
 * or lease differs. */
START_TEST(the_member_key_follows_the_lease)
{
    publish_member(a.publish, "{\"state\":\"running\"}");
    run_for(loop, 100);
    struct cluster_key key = key_of(&a, "members/a");
    ck_assert_str_eq(key.value, "{\"state\":\"running\"}");
    ck_assert_int_eq(key.lease, lease_keeper_lease(a.keeper)->id);
    for (int cycle = 0; cycle < 20; cycle++) {
        publish_member(a.publish, "{\"state\":\"running\"}");
        run_for(loop, 10);
    }
    ck_assert_int_eq(key_of(&a, "members/a").mod_revision, key.mod_revision);

    int64_t former = key.lease;
    lease_keeper_give_up(a.keeper);
    store_node_wait(&a, store_node_ready, 1000);
    publish_member(a.publish, "{\"state\":\"running\"}");
    run_for(loop, 200);
    key = key_of(&b, "members/a");
    ck_assert_int_eq(key.lease, lease_keeper_lease(a.keeper)->id);
    ck_assert_int_ne(key.lease, former);
}
END_TEST

/* Somebody else overwrites the key: it is put right in the next cycle. */
START_TEST(a_foreign_value_is_put_right)
{
    publish_member(a.publish, "{\"state\":\"running\"}");
    run_for(loop, 100);
    store_node_put(&b, "/service/t/members/a", "{}");
    run_for(loop, 100);
    publish_member(a.publish, "{\"state\":\"running\"}");
    run_for(loop, 100);
    ck_assert_str_eq(key_of(&b, "members/a").value, "{\"state\":\"running\"}");
}
END_TEST

/* Only who holds the key writes the leader's keys, and /status not more than once a second. */
START_TEST(status_is_the_leaders)
{
    publish_status(a.publish, 100);
    run_for(loop, 200);
    ck_assert_str_eq(key_of(&a, "status").value, "(none)");
    ck_assert_int_eq(store_node_step(&a, STEP_TAKE_KEY, ""), ERR_OK);
    for (lsn_t lsn = 101; lsn <= 250; lsn++) {
        publish_status(a.publish, lsn);
        run_for(loop, 10);
    }
    struct cluster_key key = key_of(&a, "status");
    ck_assert_int_ge(key.mod_revision, key.create_revision + 1);
    run_for(loop, 1100);
    key = key_of(&b, "status");
    ck_assert_str_eq(key.value, "{\"optime\":250}");
}
END_TEST

/* L6: only who leads writes /failsafe; while nobody knows whether that happened it is not known to be
 * what was last committed. */
START_TEST(failsafe_is_committed_or_in_doubt)
{
    ck_assert(publish_failsafe_committed(a.publish));
    ck_assert_int_eq(store_node_step(&a, STEP_TAKE_KEY, ""), ERR_OK);
    publish_failsafe(a.publish, "{\"a\":\"http://a/\"}");
    ck_assert(!publish_failsafe_committed(a.publish)); /* under way */
    run_for(loop, 300);
    ck_assert(publish_failsafe_committed(a.publish));
    ck_assert_str_eq(key_of(&b, "failsafe").value, "{\"a\":\"http://a/\"}");
    etcd_server_signal(&servers, 0, SIGSTOP);
    publish_failsafe(a.publish, "{}");
    run_for(loop, 2500);
    ck_assert(!publish_failsafe_committed(a.publish));
    etcd_server_signal(&servers, 0, SIGCONT);
}
END_TEST

/* L6: whom it may name is known in the cycle alone: what could not be written then is not written later. */
START_TEST(failsafe_waits_for_its_cycle)
{
    ck_assert_int_eq(store_node_step(&a, STEP_TAKE_KEY, ""), ERR_OK);
    publish_failsafe(a.publish, "{\"a\":\"http://a/\"}");
    publish_failsafe(a.publish, "{}"); /* the former one is under way */
    run_for(loop, 1000);
    ck_assert_str_eq(key_of(&b, "failsafe").value, "{\"a\":\"http://a/\"}");
    publish_failsafe(a.publish, "{}");
    run_for(loop, 300);
    ck_assert_str_eq(key_of(&b, "failsafe").value, "{}");
}
END_TEST

static bool sees_the_last_event(struct store_node *node)
{
    struct cluster_key key;
    return cluster_get(node->cluster, "pgvigil/events/16", &key) &&
           text_starts_with(key.value, "{\"n\":80,");
}

/* Events of all members share one ring, in the order of their numbers. */
START_TEST(events_make_one_ring)
{
    for (int event = 0; event < 40; event++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "event \"%d\"", event);
        publish_event(a.publish, "test", text);
        publish_event(b.publish, "test", text);
    }
    store_node_wait(&a, sees_the_last_event, 20000);
    struct cluster_key key = { .name = "" };
    int n = 0;
    while (cluster_next(a.cluster, "pgvigil/events/", key.name, &key))
        n++;
    ck_assert_int_eq(n, 64);
    key = key_of(&a, "pgvigil/events/16");
    ck_assert_msg(text_starts_with(key.value, "{\"n\":80,\"at\":\"20"), "%s", key.value);
    key = key_of(&a, "pgvigil/events/17");
    ck_assert_msg(text_starts_with(key.value, "{\"n\":17,\"at\":\"20"), "%s", key.value);
    ck_assert_ptr_nonnull(strstr(key.value, "\"kind\":\"test\",\"text\":\"event \\\""));
}
END_TEST

/* What happens while the store is away is told when it is back. */
START_TEST(events_wait_for_the_store)
{
    etcd_server_signal(&servers, 0, SIGSTOP);
    for (int event = 0; event < LIMIT_EVENTS + 10; event++)
        publish_event(a.publish, "test", "while away");
    run_for(loop, 500);
    etcd_server_signal(&servers, 0, SIGCONT);
    run_for(loop, 4000);
    struct cluster_key key = { .name = "" };
    int n = 0;
    while (cluster_next(a.cluster, "pgvigil/events/", key.name, &key))
        n++;
    ck_assert_int_ge(n, LIMIT_EVENTS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("publish");
    TCase *quick = tcase_create("two nodes");
    tcase_set_timeout(quick, 60);
    tcase_add_checked_fixture(quick, setup, teardown);
    tcase_add_test(quick, the_member_key_follows_the_lease);
    tcase_add_test(quick, a_foreign_value_is_put_right);
    suite_add_tcase(suite, quick);
    TCase *slow = tcase_create("two nodes, what takes longer");
    tcase_set_tags(slow, "slow");
    tcase_set_timeout(slow, 60);
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_add_test(slow, status_is_the_leaders);
    tcase_add_test(slow, events_make_one_ring);
    tcase_add_test(slow, failsafe_is_committed_or_in_doubt);
    tcase_add_test(slow, failsafe_waits_for_its_cycle);
    tcase_add_test(slow, events_wait_for_the_store);
    suite_add_tcase(suite, slow);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
