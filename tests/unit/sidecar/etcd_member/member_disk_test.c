/* What lies on the volumes for etcd's sake: data, PGDATA, the mark on both (E1, E3). */
#include "sidecar/etcd_member/member_disk.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "json/json.h"

static char root[64];
static char etcd_dir[128], pgdata[128], state_dir[128];
static struct config config;

static void setup(void)
{
    (void)text_copy(root, sizeof(root), "/tmp/member-disk-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    (void)snprintf(etcd_dir, sizeof(etcd_dir), "%s/etcd/data", root);
    (void)snprintf(pgdata, sizeof(pgdata), "%s/pg/data", root);
    (void)snprintf(state_dir, sizeof(state_dir), "%s/pg/pgvigil", root);
    config = (struct config){ .state_dir = state_dir };
    config.managed.data_dir = etcd_dir;
    config.postgresql.data_dir = pgdata;
}

static void teardown(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-rf", root, NULL);
        _exit(1);
    }
}

static void make_dir(const char *path)
{
    char part[256];
    (void)text_copy(part, sizeof(part), path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(part, 0700);
        *slash = '/';
    }
    (void)mkdir(part, 0700);
}

/* <root>/<dir>/<name> with this content. */
static void make_file(const char *dir, const char *name, const char *content)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", root, dir);
    make_dir(path);
    (void)snprintf(path, sizeof(path), "%s/%s/%s", root, dir, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(content, file), 0);
    (void)fclose(file);
}

static struct member_disk_facts scan(void)
{
    struct member_disk_facts facts;
    member_disk_scan(&config, &facts);
    return facts;
}

/* E1: nothing is nothing. */
START_TEST(empty)
{
    struct member_disk_facts facts = scan();
    ck_assert(!facts.data && !facts.pgdata && !facts.mark && !facts.complete);
    ck_assert_str_eq(facts.trouble, "");
    make_dir(etcd_dir);
    make_dir(pgdata);
    facts = scan();
    ck_assert(!facts.data && !facts.pgdata && !facts.mark);
}
END_TEST

/* etcd takes a directory for one with data when there is a .wal file in it. */
START_TEST(data)
{
    make_file("etcd/data/member/snap", "db", "");
    make_file("etcd/data/member/wal", "0.tmp", "");
    ck_assert(!scan().data);
    make_file("etcd/data/member/wal", "0000000000000000-0000000000000000.wal", "");
    ck_assert(scan().data);
}
END_TEST

/* E1: a cluster of Postgres is one, whole or not. */
START_TEST(postgres)
{
    make_file("pg/data", "PG_VERSION", "17");
    ck_assert(scan().pgdata);
    teardown();
    setup();
    make_file("pg/data/global", "pg_control", "");
    ck_assert(scan().pgdata);
    config.postgresql.data_dir = NULL; /* a witness has none */
    ck_assert(!scan().pgdata);
}
END_TEST

/* E1: a mark on one volume is a mark; one that cannot be read as well. */
START_TEST(marks)
{
    make_file("pg/pgvigil", "mark.json",
              "{\"cluster\": \"ab\", \"member\": \"cd\", \"generation\": 1}");
    struct member_disk_facts facts = scan();
    ck_assert(facts.mark && !facts.complete);
    ck_assert_uint_eq(facts.is.cluster_id, 0xab);
    ck_assert_uint_eq(facts.is.member_id, 0xcd);
    ck_assert_int_eq(facts.is.generation, 1);
    make_file("etcd/pgvigil", "mark.json", "{\"cluster\": \"ab\", \"member\": \"ce\"}");
    facts = scan();
    ck_assert(facts.mark && !facts.complete);
    ck_assert_uint_eq(facts.is.member_id, 0xce); /* etcd's volume tells whose the data are */
    make_file("etcd/pgvigil", "mark.json", "rubbish");
    facts = scan();
    ck_assert(facts.mark && !facts.complete);
    ck_assert_uint_eq(facts.is.member_id, 0xcd);
    make_file("pg/pgvigil", "mark.json", "");
    facts = scan();
    ck_assert(facts.mark);
    ck_assert_uint_eq(facts.is.cluster_id, 0);
}
END_TEST

static void stop(void *arg)
{
    loop_stop(arg);
}

static struct member_disk_facts run(struct member_disk *disk, struct loop *loop,
                                    enum member_disk_job kind, const struct member_mark *mark)
{
    member_disk_run(disk, kind, mark);
    ck_assert(member_disk_busy(disk));
    loop_run(loop);
    ck_assert(!member_disk_busy(disk));
    return *member_disk_facts(disk);
}

/* The mark goes to both volumes, is forgotten on both; data that are set aside are still there. */
START_TEST(jobs)
{
    struct loop *loop = loop_new();
    struct member_disk *disk = member_disk_new(loop, &config, stop, loop);
    ck_assert_ptr_null(member_disk_facts(disk));
    loop_run(loop);
    ck_assert_ptr_nonnull(member_disk_facts(disk));

    const struct member_mark mark = { UINT64_MAX, 7, 3 };
    struct member_disk_facts facts = run(disk, loop, MEMBER_DISK_MARK, &mark);
    ck_assert(facts.mark && facts.complete);
    ck_assert_uint_eq(facts.is.cluster_id, UINT64_MAX);
    ck_assert_int_eq(facts.is.generation, 3);
    facts = run(disk, loop, MEMBER_DISK_FORGET, NULL);
    ck_assert(!facts.mark);

    make_file("etcd/data/member/wal", "0.wal", "");
    facts = run(disk, loop, MEMBER_DISK_SET_ASIDE, NULL);
    ck_assert(!facts.data);
    ck_assert_str_eq(facts.trouble, "");
    char command[256];
    (void)snprintf(command, sizeof(command), "%s/member", etcd_dir);
    ck_assert_int_ne(access(command, F_OK), 0);
    facts = run(disk, loop, MEMBER_DISK_SET_ASIDE, NULL); /* there is nothing: said, not hidden */
    ck_assert_str_ne(facts.trouble, "");

    member_disk_run(disk, MEMBER_DISK_SCAN, NULL); /* freed while it runs */
    member_disk_free(disk);
    loop_free(loop);
}
END_TEST

/* Without a state directory of its own (one volume) the mark is one file. */
START_TEST(one_place)
{
    char same[128];
    (void)snprintf(same, sizeof(same), "%s/etcd/pgvigil", root);
    config.state_dir = same;
    make_file("etcd/pgvigil", "mark.json", "{\"cluster\": \"1\"}");
    ck_assert(scan().complete);
}
END_TEST

int main(void)
{
    json_setup();
    Suite *suite = suite_create("member_disk");
    TCase *tcase = tcase_create("disk");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, empty);
    tcase_add_test(tcase, data);
    tcase_add_test(tcase, postgres);
    tcase_add_test(tcase, marks);
    tcase_add_test(tcase, jobs);
    tcase_add_test(tcase, one_place);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
