#include "sidecar/observe/cluster_view.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

static struct etcd_table table;
static struct cluster_words words; /* too large for some stacks */

static void setup(void)
{
    json_setup();
    table = (struct etcd_table){ 0 };
}

static void teardown(void)
{
    etcd_table_done(&table);
}

static void put(const char *name, const char *value)
{
    static int64_t revision = 100;
    revision++;
    etcd_table_put(&table, &(struct etcd_kv){ .key = name,
                                              .value = value,
                                              .value_len = strlen(value),
                                              .mod_revision = revision,
                                              .lease = 7 });
}

static const struct store_view *read(void)
{
    cluster_view_read(&table, "a", &words);
    return &words.view;
}

START_TEST(an_empty_store_is_empty)
{
    const struct store_view *view = read();
    ck_assert(!view->leader_exists && !view->sync.exists && !view->initialize_exists);
    ck_assert(!view->config_exists && !view->failover.exists && !view->confirmed_exists);
    ck_assert(!view->holder.exists);
    ck_assert_uint_eq(view->n_peers, 0);
}
END_TEST

START_TEST(every_key_is_read)
{
    put("leader", "b");
    put("pgvigil/release", "{\"lease\":77,\"released\":true}");
    put("sync", "{\"leader\":\"b\",\"quorum\":0,\"sync_standby\":\"a,c\"}");
    put("initialize", "7000000000000000001");
    put("config", "{}");
    put("failover", "{\"leader\":\"b\",\"member\":\"a\"}");
    put("pgvigil/confirmed", "{\"timeline\":2,\"history\":[[1,100]],\"lsn\":4711}");
    put("status", "{\"optime\":4712}");
    put("members/a", "{\"state\":\"running\"}");
    put("members/b", "{\"conn_url\":\"postgres://b/\",\"api_url\":\"http://b:8008/patroni\","
                     "\"state\":\"running\",\"role\":\"primary\",\"version\":\"4.1.0\","
                     "\"timeline\":2}");
    put("pgvigil/data/b", "x");
    put("pgvigil/data/c", "y");
    const struct store_view *view = read();
    ck_assert_str_eq(view->leader, "b");
    ck_assert_int_eq(view->leader_lease, 7);
    ck_assert(view->holder.released && view->holder.lease_id == 77);
    ck_assert(names_has(&view->sync.standbys, "c"));
    ck_assert_uint_eq(view->initialize, 7000000000000000001);
    ck_assert(view->config_exists && view->config_mod_revision > 0);
    ck_assert_str_eq(view->failover.candidate, "a");
    ck_assert_uint_eq(view->confirmed_lsn, 4711);
    ck_assert_uint_eq(view->optime, 4712);
    ck_assert_uint_eq(view->n_peers, 2); /* not self; c has only data */
    ck_assert(view->peers[0].has_key && view->peers[0].data_id_revision > 0);
    ck_assert_int_eq(view->peers[0].member.role, MEMBER_ROLE_PRIMARY);
    ck_assert(!view->peers[1].has_key);
    ck_assert_str_eq(view->peers[1].member.name, "c");
}
END_TEST

/* S1, L7, S7: what cannot be read never opens a way. */
START_TEST(an_unreadable_key_closes_the_way)
{
    put("sync", "{\"leader\":\"a\",\"sync_stand");
    put("pgvigil/release", "released");
    put("pgvigil/confirmed", "[]");
    put("initialize", "garbage");
    put("members/b", "nonsense");
    put("failover", "{{{");
    const struct store_view *view = read();
    ck_assert(sync_in_force(&view->sync));
    ck_assert(!sync_names(&view->sync, "a"));
    ck_assert(!lease_may_take(&view->holder, 99));
    ck_assert(view->confirmed_exists);
    ck_assert_uint_eq(view->confirmed_lsn, UINT64_MAX);
    ck_assert(view->initialize_exists);
    ck_assert_uint_eq(view->initialize, 0);
    ck_assert(view->peers[0].has_key);
    ck_assert_str_eq(view->peers[0].member.name, "b");
    ck_assert(!view->failover.exists);
}
END_TEST

/* Patroni empties /failover, it does not delete it. */
START_TEST(an_emptied_wish_is_none)
{
    put("failover", "{}");
    const struct store_view *view = read();
    ck_assert(!view->failover.exists);
    ck_assert_int_gt(view->failover.mod_revision, 0);
}
END_TEST

/* Part 6: the content of a leader's history is known where /history names it as who began it; its
 * number alone proves nothing. */
START_TEST(history_gives_content_to_its_leader_only)
{
    put("history", "[[1,100,\"x\",\"2026-01-31T00:00:00+00:00\",\"c\"],"
                   "[2,200,\"x\",\"2026-01-31T00:00:00+00:00\",\"b\"]]");
    put("members/b", "{\"state\":\"running\",\"role\":\"primary\",\"timeline\":3}");
    put("members/c", "{\"state\":\"running\",\"role\":\"replica\",\"timeline\":3}");
    const struct store_view *view = read();
    ck_assert_uint_eq(view->peers[0].timeline.tli, 3);
    ck_assert_uint_eq(view->peers[0].timeline.n, 2);
    ck_assert_uint_eq(view->peers[0].timeline.entries[1].switch_at, 200);
    ck_assert_uint_eq(view->peers[1].timeline.tli, 0);
}
END_TEST

/* A member too many is left out, without writing past the end. */
START_TEST(too_many_members_are_cut)
{
    for (int member = 0; member < LIMIT_MEMBERS + 5; member++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "members/m%02d", member);
        put(name, "{\"state\":\"running\"}");
    }
    ck_assert_uint_eq(read()->n_peers, LIMIT_MEMBERS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cluster_view");
    TCase *tcase = tcase_create("view");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_empty_store_is_empty);
    tcase_add_test(tcase, every_key_is_read);
    tcase_add_test(tcase, an_unreadable_key_closes_the_way);
    tcase_add_test(tcase, an_emptied_wish_is_none);
    tcase_add_test(tcase, history_gives_content_to_its_leader_only);
    tcase_add_test(tcase, too_many_members_are_cut);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
