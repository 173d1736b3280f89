/* The data directory and <data>.new: what is ours, what is a person's, what a crash leaves. */
#include "sidecar/postgres/datadir.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "sidecar/postgres/conf_write.h"
#include "sidecar/postgres/files.h"
#include "sidecar/postgres/fresh.h"

static char folder[64];
static struct place place;

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/pgvigil-datadir-%d", (int)getpid());
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    place = (struct place){ .port = 5432 };
    snprintf(place.parent, sizeof(place.parent), "%s", folder);
    snprintf(place.data, sizeof(place.data), "%s/data", folder);
    snprintf(place.conf_dir, sizeof(place.conf_dir), "%s/data", folder);
    snprintf(place.state_dir, sizeof(place.state_dir), "%s/pgvigil", folder);
    snprintf(place.pgpass, sizeof(place.pgpass), "%s/pgvigil/pgpass", folder);
    snprintf(place.rewinding, sizeof(place.rewinding), "%s/pgvigil/rewinding", folder);
    snprintf(place.fresh, sizeof(place.fresh), "%s/data.new", folder);
    snprintf(place.fresh_data, sizeof(place.fresh_data), "%s/data.new/data", folder);
    snprintf(place.fresh_mark, sizeof(place.fresh_mark), "%s/data.new/pgvigil", folder);
    snprintf(place.fresh_done, sizeof(place.fresh_done), "%s/data.new/complete", folder);
    ck_assert_int_eq(mkdir(place.state_dir, 0700), 0);
}

static void teardown(void)
{
    ck_assert_int_eq(dir_remove(folder, NULL), ERR_OK);
}

static void put(const char *directory, const char *name, const char *content)
{
    char path[LIMIT_PATH];
    path_join(path, directory, name);
    ck_assert_int_eq(file_replace(path, content, strlen(content), 0600, NULL), ERR_OK);
}

static void make_cluster(const char *directory)
{
    char path[LIMIT_PATH];
    ck_assert_int_eq(dir_make(directory, 0700, NULL), ERR_OK);
    ck_assert_int_eq(dir_make(path_join(path, directory, "global"), 0700, NULL), ERR_OK);
    ck_assert_int_eq(dir_make(path_join(path, directory, "pg_wal"), 0700, NULL), ERR_OK);
    put(directory, "PG_VERSION", "17\n");
    put(directory, "global/pg_control", "x");
}

static enum data_dir look(void)
{
    struct datadir dir;
    datadir_look(&place, &dir);
    ck_assert(dir.dir != DATA_DIR_BROKEN || dir.trouble[0] != '\0');
    return dir.dir;
}

/* Nothing, an empty directory, a cluster, and what is none. */
START_TEST(test_kinds)
{
    ck_assert_int_eq(look(), DATA_DIR_EMPTY);
    ck_assert_int_eq(mkdir(place.data, 0700), 0);
    ck_assert_int_eq(look(), DATA_DIR_EMPTY);
    put(place.data, "letter", "of a person");
    ck_assert_int_eq(look(), DATA_DIR_BROKEN);
    make_cluster(place.data);
    ck_assert_int_eq(look(), DATA_DIR_VALID);
}
END_TEST

/* "a PGDATA that is itself a mount point is refused with the way out" */
START_TEST(test_mount_point)
{
    struct datadir dir;
    snprintf(place.data, sizeof(place.data), "/proc");
    datadir_look(&place, &dir);
    ck_assert_int_eq(dir.dir, DATA_DIR_BROKEN);
    ck_assert_ptr_nonnull(strstr(dir.trouble, "subdirectory"));
}
END_TEST

/* initdb into <data>.new, the word that it is complete, the rename. */
START_TEST(test_fresh)
{
    ck_assert_int_eq(fresh_prepare(&place, NULL), ERR_OK);
    ck_assert_int_eq(look(), DATA_DIR_EMPTY);
    make_cluster(place.fresh_data);
    ck_assert_int_eq(look(), DATA_DIR_EMPTY); /* killed in the middle: not complete */
    ck_assert_int_eq(fresh_adopt(&place, NULL), ERR_NOT_FOUND);
    ck_assert_int_eq(fresh_complete(&place, "initdb", NULL), ERR_OK);
    ck_assert_int_eq(look(), DATA_DIR_FRESH);
    ck_assert_int_eq(mkdir(place.data, 0700), 0);
    ck_assert_int_eq(fresh_adopt(&place, NULL), ERR_OK);
    ck_assert_int_eq(look(), DATA_DIR_VALID);
    ck_assert(!file_exists(place.fresh));
    ck_assert_int_eq(fresh_adopt(&place, NULL), ERR_OK); /* idempotent */
}
END_TEST

/* "A `<data>.new` that carries our mark is ours to delete", and no other. */
START_TEST(test_not_ours)
{
    struct err err = { .code = ERR_OK };
    ck_assert_int_eq(mkdir(place.fresh, 0700), 0);
    put(place.fresh, "letter", "of a person");
    ck_assert_int_eq(fresh_prepare(&place, &err), ERR_REFUSED);
    ck_assert_int_eq(fresh_remove(&place, &err), ERR_REFUSED);
    make_cluster(place.data);
    ck_assert_int_eq(fresh_remove_data(&place, &err), ERR_REFUSED);
    ck_assert_int_eq(look(), DATA_DIR_VALID);
}
END_TEST

/* A clone is never renamed over data. */
START_TEST(test_adopt_over_data)
{
    ck_assert_int_eq(fresh_prepare(&place, NULL), ERR_OK);
    make_cluster(place.fresh_data);
    ck_assert_int_eq(fresh_complete(&place, "clone", NULL), ERR_OK);
    ck_assert_int_eq(look(), DATA_DIR_EMPTY); /* only an initdb waits to be chosen */
    make_cluster(place.data);
    ck_assert_int_eq(fresh_adopt(&place, NULL), ERR_REFUSED);
    ck_assert(file_exists(place.fresh_data));
}
END_TEST

/* Data that is told to go goes as a whole, also when that was cut short before. */
START_TEST(test_remove_data)
{
    char removed[LIMIT_PATH];
    make_cluster(place.data);
    ck_assert_int_eq(fresh_prepare(&place, NULL), ERR_OK);
    ck_assert_int_eq(dir_rename(place.data, path_join(removed, place.fresh, "removed"), NULL),
                     ERR_OK);
    ck_assert_int_eq(look(), DATA_DIR_EMPTY); /* the crash */
    ck_assert_int_eq(fresh_remove_data(&place, NULL), ERR_OK);
    ck_assert(!file_exists(place.fresh));
    make_cluster(place.data);
    ck_assert_int_eq(fresh_remove_data(&place, NULL), ERR_OK);
    ck_assert(!file_exists(place.data));
    ck_assert(!file_exists(place.fresh));
}
END_TEST

/* Timelines are compared by content: the file is read, and timeline 1 has none. */
START_TEST(test_history)
{
    struct timeline timeline;
    struct err err = { .code = ERR_OK };
    make_cluster(place.data);
    ck_assert_int_eq(datadir_history(&place, 1, &timeline, &err), ERR_OK);
    ck_assert_uint_eq(timeline.n, 0);
    ck_assert_int_eq(datadir_history(&place, 17, &timeline, &err), ERR_NOT_FOUND);
    put(place.data, "pg_wal/00000011.history", "1\t0/3000000\tno recovery target specified\n");
    ck_assert_int_eq(datadir_history(&place, 17, &timeline, &err), ERR_OK);
    ck_assert_uint_eq(timeline.tli, 17);
    ck_assert_uint_eq(timeline.entries[0].switch_at, 0x3000000);
    put(place.data, "pg_wal/00000011.history", "what\n");
    ck_assert_int_eq(datadir_history(&place, 17, &timeline, &err), ERR_PROTOCOL);
}
END_TEST

/* The original is kept and included; what would win over us is taken out; 0700 before a start. */
START_TEST(test_conf_write)
{
    char conf[] = CONF_MARK "\n";
    const struct conf_files files = { .conf = conf };
    struct conf_write write = {
        .place = &place, .files = &files, .signal = CONF_SIGNAL_STANDBY, .starting = true
    };
    struct text text = text_new(LIMIT_FILE);
    char path[LIMIT_PATH];
    struct stat st;
    make_cluster(place.data);
    ck_assert_int_eq(chmod(place.data, 0750), 0);
    put(place.data, "postgresql.conf", "port = 1\n");
    put(place.data, "postgresql.auto.conf",
        "work_mem = '1MB'\nprimary_conninfo = 'x'\nsynchronous_standby_names = ''\n");
    ck_assert_int_eq(conf_write(&write, NULL), ERR_OK);
    ck_assert_int_eq(conf_write(&write, NULL), ERR_OK);
    ck_assert(!conf_differs(&place, &files));
    ck_assert_int_eq(stat(place.data, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    ck_assert_int_eq(file_read(path_join(path, place.data, "postgresql.base.conf"), &text, NULL),
                     ERR_OK);
    ck_assert_str_eq(text_str(&text), "port = 1\n");
    text_clear(&text);
    ck_assert_int_eq(file_read(path_join(path, place.data, "postgresql.auto.conf"), &text, NULL),
                     ERR_OK);
    ck_assert_str_eq(text_str(&text), "work_mem = '1MB'\n");
    ck_assert(file_exists(path_join(path, place.data, "standby.signal")));
    write.signal = CONF_SIGNAL_NONE;
    ck_assert_int_eq(conf_write(&write, NULL), ERR_OK);
    ck_assert(!file_exists(path_join(path, place.data, "standby.signal")));
    put(place.data, "postgresql.conf", "edited\n");
    ck_assert(conf_differs(&place, &files));
    text_done(&text);
}
END_TEST

/* What a killed node leaves: the number of its postmaster may be any process's by now. A socket's lock that
 * names another PGDATA is another server's. */
START_TEST(test_leftovers)
{
    char conf[] = CONF_MARK "\n";
    const struct conf_files files = { .conf = conf };
    struct conf_write write = {
        .place = &place, .files = &files, .signal = CONF_SIGNAL_NONE, .starting = true
    };
    char words[3 * LIMIT_PATH];
    char pid[LIMIT_PATH];
    char lock[LIMIT_PATH];
    make_cluster(place.data);
    path_join(pid, place.data, "postmaster.pid");
    path_join(lock, folder, ".s.PGSQL.5432.lock");
    snprintf(words, sizeof(words), "47\n%s\n1700000000\n5432\n%s\n", place.data, folder);
    put(place.data, "postmaster.pid", words);
    put(folder, ".s.PGSQL.5432.lock", words);
    ck_assert_int_eq(conf_write(&write, NULL), ERR_OK);
    ck_assert(file_exists(pid) && file_exists(lock)); /* somebody may run */
    write.alone = true;
    ck_assert_int_eq(conf_write(&write, NULL), ERR_OK);
    ck_assert(!file_exists(pid) && !file_exists(lock));
    put(place.data, "postmaster.pid", words);
    put(folder, ".s.PGSQL.5432.lock", "47\n/somebody/elses\n");
    ck_assert_int_eq(conf_write(&write, NULL), ERR_OK);
    ck_assert(!file_exists(pid) && file_exists(lock));
    put(place.data, "postmaster.pid", "47\n"); /* cut short */
    ck_assert_int_eq(conf_write(&write, NULL), ERR_OK);
    ck_assert(!file_exists(pid));
}
END_TEST

/* Ceilings are errors with a name; a missing file is not a broken one. */
START_TEST(test_files)
{
    struct err err = { .code = ERR_OK };
    struct text text = text_new(4);
    char path[LIMIT_PATH];
    ck_assert_int_eq(file_read(path_join(path, folder, "none"), &text, &err), ERR_NOT_FOUND);
    put(folder, "long", "too long");
    ck_assert_int_eq(file_read(path_join(path, folder, "long"), &text, &err), ERR_LIMIT);
    ck_assert_uint_eq(text.len, 0);
    ck_assert_int_eq(file_remove(path, &err), ERR_OK);
    ck_assert_int_eq(file_remove(path, &err), ERR_OK);
    ck_assert_int_eq(file_replace("/nowhere/at/all", "x", 1, 0600, &err), ERR_SYSTEM);
    text_done(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("datadir");
    TCase *tcase = tcase_create("a folder of its own");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_kinds);
    tcase_add_test(tcase, test_mount_point);
    tcase_add_test(tcase, test_fresh);
    tcase_add_test(tcase, test_not_ours);
    tcase_add_test(tcase, test_adopt_over_data);
    tcase_add_test(tcase, test_remove_data);
    tcase_add_test(tcase, test_history);
    tcase_add_test(tcase, test_conf_write);
    tcase_add_test(tcase, test_leftovers);
    tcase_add_test(tcase, test_files);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
