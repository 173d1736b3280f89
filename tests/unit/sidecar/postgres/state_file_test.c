/* What a member remembers of the store (S6), and options as Patroni's configuration writes them. */
#include "sidecar/postgres/state_file.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sidecar/postgres/files.h"
#include "sidecar/postgres/options.h"

static char folder[64];
static struct loop *loop;
static struct state_file *file;
static int answers;
static enum err_code last_code;
static struct store_memory last;

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/pgvigil-state-%d", (int)getpid());
    loop = loop_new();
    file = state_file_new(loop, folder);
    answers = 0;
}

static void teardown(void)
{
    state_file_free(file);
    loop_free(loop);
    ck_assert_int_eq(dir_remove(folder, NULL), ERR_OK);
}

static void on_done(void *arg, enum err_code code, const struct store_memory *memory,
                    const struct err *err)
{
    (void)err;
    answers++;
    last_code = code;
    last = *memory;
    if (answers == *(const int *)arg)
        loop_stop(loop);
}

/* Missing is no error; what was written is read back, in the order of the requests. */
START_TEST(test_life)
{
    const int four = 4;
    const struct store_memory one = { .etcd_cluster_id = 14841639068965178418ULL,
                                      .sync_revision = 7 };
    const struct store_memory two = {
        .etcd_cluster_id = 5,
        .sync_revision = 9000000000,
        .members = { .n = 2, .member = { { "b", "http://b:8008/patroni" }, { "c \"1\"", "" } } }
    };
    state_file_read(file, on_done, (void *)(uintptr_t)&four);
    state_file_write(file, &one, on_done, (void *)(uintptr_t)&four);
    state_file_write(file, &two, on_done, (void *)(uintptr_t)&four);
    state_file_read(file, on_done, (void *)(uintptr_t)&four);
    loop_run(loop);
    ck_assert_int_eq(last_code, ERR_OK);
    ck_assert(last.exists);
    ck_assert_uint_eq(last.etcd_cluster_id, 5);
    ck_assert_int_eq(last.sync_revision, 9000000000);
    ck_assert_uint_eq(last.members.n, 2);
    ck_assert_str_eq(last.members.member[0].name, "b");
    ck_assert_str_eq(last.members.member[0].api_url, "http://b:8008/patroni");
    ck_assert_str_eq(last.members.member[1].name, "c \"1\"");
}
END_TEST

START_TEST(test_missing)
{
    const int once = 1;
    state_file_read(file, on_done, (void *)(uintptr_t)&once);
    loop_run(loop);
    ck_assert_int_eq(last_code, ERR_OK);
    ck_assert(!last.exists);
}
END_TEST

/* Written by a version that knew no members. */
START_TEST(test_without_members)
{
    static const char content[] = "{\"etcd_cluster_id\":\"5\",\"sync_revision\":7}\n";
    const int once = 1;
    char path[LIMIT_PATH];
    ck_assert_int_eq(dir_make(folder, 0700, NULL), ERR_OK);
    path_join(path, folder, "state.json");
    ck_assert_int_eq(file_replace(path, content, sizeof(content) - 1, 0600, NULL), ERR_OK);
    state_file_read(file, on_done, (void *)(uintptr_t)&once);
    loop_run(loop);
    ck_assert_int_eq(last_code, ERR_OK);
    ck_assert_int_eq(last.sync_revision, 7);
    ck_assert_uint_eq(last.members.n, 0);
}
END_TEST

/* A broken memory is not an empty one: a person must look (S6). */
START_TEST(test_broken)
{
    const int once = 1;
    char path[LIMIT_PATH];
    ck_assert_int_eq(dir_make(folder, 0700, NULL), ERR_OK);
    path_join(path, folder, "state.json");
    ck_assert_int_eq(file_replace(path, "{\"etcd", 6, 0600, NULL), ERR_OK);
    state_file_read(file, on_done, (void *)(uintptr_t)&once);
    loop_run(loop);
    ck_assert_int_eq(last_code, ERR_PROTOCOL);
}
END_TEST

/* Freed with requests under way: no callback, no leak. */
START_TEST(test_freed)
{
    const int once = 1;
    const struct store_memory one = { .sync_revision = 1 };
    state_file_write(file, &one, on_done, (void *)(uintptr_t)&once);
    state_file_write(file, &one, on_done, (void *)(uintptr_t)&once);
    file = state_file_free(file);
    ck_assert_int_eq(answers, 0);
}
END_TEST

/* A list of texts and one-key objects, or one object; what is ours to set is left out. */
START_TEST(test_options)
{
    static const char *const refused[] = { "pgdata", NULL };
    struct arguments arguments = { .n = 0 };
    json_t *list = json_loads("[\"data-checksums\", {\"encoding\": \"UTF8\"}, \"--pgdata=/x\","
                              " {\"wal-segsize\": 32}, \"locale=C\"]",
                              0, NULL);
    json_t *object =
        json_loads("{\"verbose\": true, \"max-rate\": \"100M\", \"pgdata\": \"x\"}", 0, NULL);
    arguments_add_options(&arguments, list, refused);
    arguments_add_options(&arguments, object, refused);
    ck_assert_uint_eq(arguments.n, 6);
    ck_assert_str_eq(arguments.item[0], "--data-checksums");
    ck_assert_str_eq(arguments.item[1], "--encoding=UTF8");
    ck_assert_str_eq(arguments.item[2], "--wal-segsize=32");
    ck_assert_str_eq(arguments.item[3], "--locale=C");
    ck_assert_str_eq(arguments.item[4], "--verbose");
    ck_assert_str_eq(arguments.item[5], "--max-rate=100M");
    arguments_done(&arguments);
    json_decref(list);
    json_decref(object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_file");
    TCase *tcase = tcase_create("memory");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_life);
    tcase_add_test(tcase, test_missing);
    tcase_add_test(tcase, test_without_members);
    tcase_add_test(tcase, test_broken);
    tcase_add_test(tcase, test_freed);
    tcase_add_test(tcase, test_options);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
