#include "etcd/table.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

static struct etcd_table table;

static void setup(void)
{
    table = (struct etcd_table){ 0 };
}

static void teardown(void)
{
    etcd_table_done(&table);
}

static bool put(const char *name, const char *value, int64_t revision)
{
    return etcd_table_put(&table, &(struct etcd_kv){ .key = name,
                                                     .value = value,
                                                     .value_len = strlen(value),
                                                     .mod_revision = revision });
}

static const char *value(const char *name)
{
    const struct etcd_entry *entry = etcd_table_find(&table, name);
    return entry != NULL ? entry->value : NULL;
}

/* Words come twice and out of order: the newest stays. */
START_TEST(the_newest_word_stays)
{
    ck_assert(put("a", "2", 20));
    ck_assert(!put("a", "1", 10));
    ck_assert(!put("a", "2", 20));
    ck_assert_str_eq(value("a"), "2");
    ck_assert(put("a", "3", 30));
    ck_assert_int_eq(etcd_table_find(&table, "a")->create_revision, 20);
}
END_TEST

/* An own deletion is not taken back by what the watch brings late; one that comes after it is news.
 * */
START_TEST(a_deleted_key_does_not_come_back)
{
    (void)put("a", "1", 10);
    ck_assert(etcd_table_delete(&table, "a", 30));
    ck_assert(!put("a", "2", 20));
    ck_assert_ptr_null(value("a"));
    ck_assert_int_eq(etcd_table_revision(&table, "a"), 30);
    ck_assert(put("a", "4", 40));
    ck_assert_int_eq(etcd_table_find(&table, "a")->create_revision, 40);
    ck_assert(!etcd_table_delete(&table, "a", 35));
    etcd_table_delete(&table, "a", 50);
    etcd_table_settle(&table, 49);
    ck_assert_int_eq(etcd_table_revision(&table, "a"), 50);
    etcd_table_settle(&table, 50);
    ck_assert_uint_eq(table.n, 0);
}
END_TEST

/* What a snapshot lacks was deleted, unless it was written after it. */
START_TEST(a_snapshot_deletes)
{
    (void)put("a", "1", 10);
    (void)put("b", "1", 11);
    (void)put("c", "1", 30);
    etcd_table_begin(&table);
    (void)put("b", "1", 11);
    (void)put("d", "1", 15);
    ck_assert(etcd_table_end(&table, 20));
    ck_assert_ptr_null(value("a"));
    ck_assert_ptr_nonnull(value("b"));
    ck_assert_ptr_nonnull(value("c"));
    ck_assert_ptr_nonnull(value("d"));
    ck_assert_int_eq(etcd_table_revision(&table, "a"), 20);
}
END_TEST

START_TEST(keys_below_a_prefix_come_in_order)
{
    (void)put("members/b", "1", 1);
    (void)put("members/a", "1", 2);
    (void)put("members/c", "1", 3);
    (void)put("member", "1", 4);
    (void)put("membersx", "1", 5);
    (void)put("leader", "1", 6);
    etcd_table_delete(&table, "members/b", 7);
    const struct etcd_entry *entry = etcd_table_next(&table, "members/", "");
    ck_assert_str_eq(entry->name, "members/a");
    entry = etcd_table_next(&table, "members/", entry->name);
    ck_assert_str_eq(entry->name, "members/c");
    ck_assert_ptr_null(etcd_table_next(&table, "members/", entry->name));
    ck_assert_str_eq(etcd_table_next(&table, "", "")->name, "leader");
}
END_TEST

/* LIMIT_KEYS is reached with an answer, not with a crash. */
START_TEST(a_full_table_says_so)
{
    for (int key = 0; key < LIMIT_KEYS; key++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "k%d", key);
        ck_assert(!etcd_table_full(&table));
        ck_assert(put(name, "1", key + 1));
    }
    ck_assert(etcd_table_full(&table));
    ck_assert(!put("one more", "1", 9999));
    ck_assert(put("k1", "2", 10000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cluster_table");
    TCase *tcase = tcase_create("table");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_newest_word_stays);
    tcase_add_test(tcase, a_deleted_key_does_not_come_back);
    tcase_add_test(tcase, a_snapshot_deletes);
    tcase_add_test(tcase, keys_below_a_prefix_come_in_order);
    tcase_add_test(tcase, a_full_table_says_so);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
