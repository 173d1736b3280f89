/* The steps against real PostgreSQL and real guards: two nodes, from nothing to a promotion. */
#include "sidecar/postgres/steps_postgres.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../support/loopback.h"
#include "../../support/pg_node.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sidecar/core/await.h"
#include "sidecar/postgres/files.h"

enum { PATIENCE_MS = 15000 };

static char folder[64];
static struct pg_node a;
static struct pg_node b;
static struct pg_node *const peers_of_a[] = { &b, NULL };
static struct pg_node *const peers_of_b[] = { &a, NULL };
static struct loop *loop;

static void look(struct pg_node *node)
{
    pg_node_look(node, node == &a ? peers_of_a : peers_of_b);
}

static void run_step(struct pg_node *node, struct step step)
{
    struct mono began = clock_mono();
    look(node);
    enum err_code code = pg_node_step(node, &step);
    if (getenv("PG_TEST_VERBOSE") != NULL)
        fprintf(stderr, "%s %-24s %5lld ms\n", node->name, step_name(step.kind),
                (long long)mono_diff(clock_mono(), began));
    ck_assert_msg(code == ERR_OK, "%s: %s: %s", node->name, step_name(step.kind), node->err.text);
}

static void do_step(struct pg_node *node, enum step_kind kind)
{
    run_step(node, (struct step){ .kind = kind });
}

static void do_named(struct pg_node *node, enum step_kind kind, const char *name)
{
    struct step step = { .kind = kind };
    text_copy(step.name, sizeof(step.name), name);
    run_step(node, step);
}

/* ---- what is waited for ---- */

static bool is_primary(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    return node->view.pg.state == PG_UP && !node->view.pg.in_recovery;
}

static bool is_streaming(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    return node->view.pg.state == PG_UP && node->view.pg.in_recovery && node->view.pg.streaming;
}

static bool is_down(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    return node->view.pg.state == PG_DOWN && node->view.pg.dir != DATA_DIR_UNKNOWN;
}

static bool sees_walsender(struct pg_node *node, void *arg)
{
    look(node);
    const struct walsender *sender = view_walsender(&node->view, arg);
    return sender != NULL && sender->streaming && sender->holds_slot && sender->only_one;
}

static bool awaits(struct pg_node *node, void *arg)
{
    look(node);
    return step_await(&node->view, arg, &node->memory) == AWAIT_YES;
}

static bool was_acknowledged(struct pg_node *node, void *arg)
{
    (void)arg;
    return guard_client_status(node->guard)->has_deadline;
}

static bool is_on_timeline_2(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    return node->view.pg.timeline.tli == 2 && node->view.pg.timeline.n == 1;
}

static bool knows_its_files(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    return node->view.pg.ssn_disk == SSN_NAMES;
}

static bool has_no_slots(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    return postgres_facts(node->postgres)->n_slots == 0;
}

/* The position of a standby whose replay is blocked is what it has received. */
static bool has_received(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    return node->view.pg.position > a.view.pg.position;
}

static void await(struct pg_node *node, pg_until_fn *until, void *arg, const char *what)
{
    bool met = pg_node_wait(node, until, arg, PATIENCE_MS);
    ck_assert_msg(met, "%s: %s: %s", node->name, what, postgres_facts(node->postgres)->trouble);
}

/* As the lease keeper would. */
static void offer_deadline(struct pg_node *node)
{
    const struct guard_cookie cookie = { 77, 5 };
    guard_deadline(node->guard, mono_add(clock_mono(), 60000), cookie, NULL, NULL);
    await(node, was_acknowledged, NULL, "deadline");
}

/* ---- the story ---- */

/* Part 6: "initdb into <data>.new, rename, roles". */
static void bootstrap(void)
{
    char value[128];
    await(&a, is_down, NULL, "looked at");
    ck_assert_int_eq(a.view.pg.dir, DATA_DIR_EMPTY);
    do_step(&a, STEP_INITDB);
    await(&a, is_down, NULL, "looked at");
    ck_assert_int_eq(a.view.pg.dir, DATA_DIR_FRESH);
    ck_assert_uint_ne(a.view.pg.system_id, 0);
    do_step(&a, STEP_ADOPT_NEW);
    await(&a, is_down, NULL, "looked at");
    ck_assert_int_eq(a.view.pg.dir, DATA_DIR_VALID);
    offer_deadline(&a);
    do_step(&a, STEP_START_PRIMARY);
    await(&a, is_primary, NULL, "primary");
    do_step(&a, STEP_CREATE_ROLES);
    do_step(&a, STEP_CREATE_ROLES); /* idempotent */
    do_step(&a, STEP_SLOTS);
    ck_assert_str_eq(
        pg_node_sql(&a, "SELECT slot_name FROM pg_replication_slots", value, sizeof(value)), "b");
    ck_assert_int_eq(a.view.pg.timeline.tli, 1);
}

static void clone(void)
{
    await(&b, is_down, NULL, "looked at");
    do_named(&b, STEP_BASE_BACKUP, "a");
    do_named(&b, STEP_START_STANDBY, "a");
    await(&b, is_streaming, NULL, "streaming");
    ck_assert_str_eq(b.view.pg.upstream, "a");
    await(&a, sees_walsender, (void *)(uintptr_t)"b", "the standby's walsender, with its slot");
}

/* S2: the whole growth, step by step. */
static void grow(void)
{
    struct step names = { .kind = STEP_SET_SSN, .ssn = SSN_NAMES };
    struct step sync = { .kind = STEP_AWAIT_SYNC };
    char value[128];
    names_add(&names.names, "b");
    names_add(&sync.names, "b");
    do_step(&a, STEP_PROBE_FREE);
    run_step(&a, (struct step){ .kind = STEP_SET_SSN, .ssn = SSN_NOBODY });
    do_step(&a, STEP_PROBE_WAITS);
    do_step(&a, STEP_READ_FLUSH);
    ck_assert_uint_ne(a.memory.flush, LSN_NONE);
    run_step(&a, names);
    await(&a, awaits, &sync, "sync");
    ck_assert_str_eq(pg_node_sql(&a, "SHOW synchronous_standby_names", value, sizeof(value)), "b");
    ck_assert_int_eq(a.view.pg.ssn_disk, SSN_NAMES);
    ck_assert_str_eq(
        pg_node_sql(&a, "CREATE TABLE t AS SELECT 1 AS i; SELECT i FROM t", value, sizeof(value)),
        "1");
}

/* Part 6: a reader on the standby blocks the replay; the promotion does not wait for it. */
static PGconn *block_replay(void)
{
    char value[128];
    struct step remote = { .kind = STEP_SET_SSN, .ssn = SSN_EMPTY };
    PGconn *reader = pg_node_connect(&b);
    PQclear(PQexec(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ"));
    PQclear(PQexec(reader, "SELECT * FROM t"));
    run_step(&a, remote); /* nobody waits for the standby now */
    pg_node_sql(&a, "DELETE FROM t; INSERT INTO t VALUES (1)", value, sizeof(value));
    pg_node_sql(&a, "VACUUM FREEZE t", value, sizeof(value));
    pg_node_sql(&a, "INSERT INTO t VALUES (2)", value, sizeof(value));
    return reader;
}

static bool is_blocked(struct pg_node *node, void *arg)
{
    char value[128];
    (void)arg;
    pg_node_sql(node, "SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'",
                value, sizeof(value));
    return text_starts_with(value, "RecoveryConflict");
}

/* "checkpoint; fast stop; the standby has the shutdown record; promote" (part 6). */
static void switch_over(void)
{
    char value[128];
    PGconn *reader = block_replay();
    await(&b, is_blocked, NULL, "the reader blocks the replay");
    do_step(&a, STEP_CHECKPOINT);
    do_step(&a, STEP_STOP_FAST);
    do_step(&a, STEP_KILL_TREE);
    await(&a, is_down, NULL, "down");
    ck_assert(a.view.pg.clean_stop);
    ck_assert(a.view.pg.was_primary);
    await(&b, has_received, NULL, "shutdown record");
    do_step(&b, STEP_END_BLOCKERS);
    do_step(&b, STEP_PROMOTE);
    struct mono began = clock_mono();
    await(&b, is_primary, NULL, "promoted");
    ck_assert_int_lt(mono_diff(clock_mono(), began), 5000);
    PQfinish(reader);
    ck_assert_int_eq(b.view.pg.timeline.tli, 2);
    ck_assert_int_eq(b.view.pg.timeline.n, 1);
    do_step(&b, STEP_WRITE_CONF);
    do_step(&b, STEP_RELOAD);
    do_step(&b, STEP_CHECKPOINT);
    do_step(&b, STEP_SLOTS);
    ck_assert_str_eq(pg_node_sql(&b, "SELECT count(*) FROM t", value, sizeof(value)), "2");
    ck_assert_str_eq(pg_node_sql(&b, "SHOW primary_conninfo", value, sizeof(value)), "");
}

static void cannot_reach(struct pg_node *node, const char *name, uint64_t cluster,
                         enum err_code code, const char *words)
{
    struct step step = { .kind = STEP_REACH_LEADER };
    text_copy(step.name, sizeof(step.name), name);
    look(node);
    node->view.store.initialize = cluster;
    ck_assert_int_eq(pg_node_step(node, &step), code);
    ck_assert_msg(strstr(node->err.text, words) != NULL, "%s", node->err.text);
}

/* Before data is replaced: a primary of this cluster answers, no matter what the keys say. */
static void reach(void)
{
    do_named(&a, STEP_REACH_LEADER, "b");
    cannot_reach(&a, "b", 4711, ERR_REFUSED, "another cluster answers");
    cannot_reach(&a, "c", 0, ERR_NOT_FOUND, "no address");
    cannot_reach(&b, "a", 0, ERR_UNREACHABLE, "a does not answer as a primary");
}

/* A clean old primary follows; a diverged one is rewound first. */
static void old_primary_returns(void)
{
    do_named(&a, STEP_REWIND, "b"); /* nothing needed */
    do_named(&a, STEP_START_STANDBY, "b");
    await(&a, is_streaming, NULL, "old primary streams");
    cannot_reach(&b, "a", 0, ERR_UNREACHABLE, "hot standby mode");
    ck_assert_int_eq(a.view.pg.ssn_disk, SSN_EMPTY); /* S2: a standby's SSN is empty */
    await(&a, is_on_timeline_2, NULL, "on the new timeline");
    await(&a, has_no_slots, NULL, "slots of the former primary are gone");
}

static bool follows_nobody(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    return !node->view.pg.streaming && node->view.pg.upstream[0] == '\0';
}

/* One that stays out asks nobody, until there is somebody to follow. */
static void follow_nobody(void)
{
    char value[128];
    do_step(&a, STEP_FOLLOW);
    await(&a, follows_nobody, NULL, "follows nobody");
    ck_assert_str_eq(pg_node_sql(&a, "SHOW primary_conninfo", value, sizeof(value)), "");
    do_named(&a, STEP_FOLLOW, "b");
    await(&a, is_streaming, NULL, "streams again");
}

static void diverge_and_rewind(void)
{
    char value[128];
    do_step(&a, STEP_PROMOTE); /* both are primary now: what the lease prevents */
    await(&a, is_primary, NULL, "second primary");
    pg_node_sql(&a, "CREATE TABLE lost AS SELECT 2", value, sizeof(value));
    do_step(&a, STEP_KILL_TREE); /* in the middle of everything */
    await(&a, is_down, NULL, "killed");
    ck_assert(!a.view.pg.clean_stop);
    do_named(&a, STEP_REWIND, "b");
    do_named(&a, STEP_START_STANDBY, "b");
    await(&a, is_streaming, NULL, "rewound and streaming");
    ck_assert_str_eq(pg_node_sql(&a, "SELECT to_regclass('lost') IS NULL", value, sizeof(value)),
                     "t");
}

static void follow_settings(void)
{
    const struct pg_facts *facts;
    look(&b);
    ck_assert(!b.view.pg.pending_reload);
    facts = postgres_facts(b.postgres);
    ck_assert_uint_eq(facts->n_pending, 0);
    ck_assert_int_eq(facts->state, MEMBER_RUNNING);
    ck_assert_int_eq(facts->role, MEMBER_ROLE_PRIMARY);
    ck_assert_uint_eq(facts->n_walsenders, 1);
}

/* L5: a new sidecar takes over what runs, and reads from the disk what the former one has done. */
static void take_over(const char *settings)
{
    struct step names = { .kind = STEP_SET_SSN, .ssn = SSN_NAMES };
    int pid_a = guard_client_status(a.guard)->pid;
    int pid_b = guard_client_status(b.guard)->pid;
    names_add(&names.names, "a");
    run_step(&b, names);
    pg_node_leave(&a);
    pg_node_leave(&b);
    pg_node_open(&a, loop, settings);
    pg_node_open(&b, loop, settings);
    await(&a, is_streaming, NULL, "standby taken over");
    await(&b, is_primary, NULL, "primary taken over");
    await(&b, knows_its_files, NULL, "its names read from the disk");
    ck_assert_str_eq(a.view.pg.upstream, "b");
    ck_assert(names_has(&b.view.pg.ssn_disk_names, "a"));
    ck_assert(b.view.pg.pending_reload); /* perhaps the former one had no time for it */
    do_step(&b, STEP_WRITE_CONF);
    do_step(&b, STEP_RELOAD);
    look(&b);
    ck_assert_int_eq(b.view.pg.ssn_disk, SSN_NAMES);
    ck_assert(!b.view.pg.pending_reload);
    ck_assert_int_eq(guard_client_status(a.guard)->pid, pid_a);
    ck_assert_int_eq(guard_client_status(b.guard)->pid, pid_b);
}

static lsn_t whole_to(struct pg_node *node, lsn_t confirmed)
{
    const struct step step = { .kind = STEP_READ_WAL };
    look(node);
    node->view.store.confirmed_lsn = confirmed;
    ck_assert_msg(pg_node_step(node, &step) == ERR_OK, "read WAL: %s", node->err.text);
    look(node);
    ck_assert_int_eq(step_await(&node->view, &step, &node->memory), AWAIT_YES);
    return node->view.pg.wal_whole;
}

/* A directory that is looked at again while it is down: decisions need all that is known of it at once. */
static bool is_half_known(struct pg_node *node, void *arg)
{
    (void)arg;
    look(node);
    const struct pg_view *pg = &node->view.pg;
    return pg->dir != DATA_DIR_VALID || !pg->was_primary || pg->system_id == 0 ||
           pg->timeline.tli == 0;
}

/* S7: after a crash the control file tells the checkpoint only; what WAL holds beyond it is read. */
static void crash_and_read(void)
{
    char value[128];
    lsn_t end = LSN_NONE;
    do_step(&b, STEP_CHECKPOINT);
    pg_node_sql(&b, "CREATE TABLE late AS SELECT 1", value, sizeof(value));
    ck_assert(lsn_parse(pg_node_sql(&b, "SELECT pg_current_wal_flush_lsn()", value, sizeof(value)),
                        &end));
    do_step(&b, STEP_KILL_TREE);
    await(&b, is_down, NULL, "killed");
    ck_assert_uint_lt(b.view.pg.position, end);
    ck_assert(!pg_node_wait(&b, is_half_known, NULL, 6000)); /* it is looked at every 5 s */
    ck_assert(!b.view.pg.wal_read);
    b.view.store.confirmed_exists = true;
    b.view.store.confirmed = b.view.pg.timeline;
    b.view.store.confirmed_lsn = end;
    ck_assert(view_may_have_confirmed(&b.view));
    ck_assert_uint_eq(whole_to(&b, end), end);
    ck_assert_uint_eq(whole_to(&b, end + (1 << 20)), LSN_NONE);
    do_named(&b, STEP_START_STANDBY, "a");
    look(&b);
    ck_assert(!b.view.pg.wal_read); /* another life */
}

START_TEST(test_life_of_two_nodes)
{
    const char *settings =
        "{\"ttl\":10,\"synchronous_mode\":true,\"postgresql\":{"
        "\"use_slots\":true,\"use_pg_rewind\":true,"
        "\"parameters\":{\"nonsense\":1,\"work_mem\":\"a lot\",\"timezone\":\"Nowhere/Land\"}}}";
    pg_node_init(&a, "a", loopback_free_port(), folder, NULL);
    pg_node_init(&b, "b", loopback_free_port(), folder, NULL);
    loop = loop_new();
    pg_node_open(&a, loop, settings);
    pg_node_open(&b, loop, settings);
    postgres_set_busy(a.postgres, true);
    postgres_set_busy(b.postgres, true);
    bootstrap();
    clone();
    grow();
    switch_over();
    reach();
    old_primary_returns();
    follow_nobody();
    diverge_and_rewind();
    follow_settings();
    take_over(settings);
    crash_and_read();
    pg_node_close(&a);
    pg_node_close(&b);
    loop_free(loop);
}
END_TEST

/* Every step is carried out by one side, or is a condition only. */
START_TEST(test_steps_that_are_ours)
{
    ck_assert(steps_postgres_has(STEP_START_STANDBY));
    ck_assert(steps_postgres_has(STEP_SLOTS));
    ck_assert(steps_postgres_has(STEP_READ_WAL));
    ck_assert(!steps_postgres_has(STEP_AWAIT_SYNC));
    ck_assert(!steps_postgres_has(STEP_WRITE_SYNC));
    ck_assert(!steps_postgres_has(STEP_MAX));
}
END_TEST

static bool is_connected(struct pg_node *node, void *arg)
{
    (void)arg;
    return guard_client_status(node->guard)->connected;
}

static void make_file(char *path, const char *directory, const char *name, const char *words)
{
    path_join(path, directory, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(words, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* The other pod on the volume: its guard has the lock. */
static int lock_as_another(const struct pg_node *node)
{
    static const char words[] = "process 1 of the-other-pod\n";
    int fd = open(node->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    ck_assert_int_eq(write(fd, words, strlen(words)), (ssize_t)strlen(words));
    return fd;
}

/* G3: whatever changes PGDATA, or what will become it, is refused while somebody else's guard holds
 * the lock, says who, and has changed nothing. */
START_TEST(test_nothing_without_the_lock)
{
    static const enum step_kind kinds[] = {
        STEP_START_STANDBY, STEP_START_PRIMARY, STEP_INITDB,      STEP_ADOPT_NEW,
        STEP_BASE_BACKUP,   STEP_REMOVE_DATA,   STEP_REWIND,      STEP_FOLLOW,
        STEP_SET_SSN,       STEP_WRITE_CONF,    STEP_END_BLOCKERS
    };
    char data[LIMIT_PATH], version[LIMIT_PATH], fresh[LIMIT_PATH], begun[LIMIT_PATH];
    struct pg_node c;
    pg_node_init(&c, "c", loopback_free_port(), folder, NULL);
    ck_assert_int_eq(mkdir(path_join(data, c.folder, "data"), 0700), 0);
    ck_assert_int_eq(mkdir(path_join(fresh, c.folder, "data.new"), 0700), 0);
    make_file(version, data, "PG_VERSION", "17\n");
    make_file(begun, fresh, "begun", "a clone of the other pod\n");
    int lock = lock_as_another(&c);
    loop = loop_new();
    pg_node_open(&c, loop, "{\"ttl\":10}");
    ck_assert(pg_node_wait(&c, is_connected, NULL, PATIENCE_MS));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct step step = { .kind = kinds[i] };
        pg_node_look(&c, NULL);
        ck_assert_msg(pg_node_step(&c, &step) == ERR_REFUSED, "%s: %s", step_name(kinds[i]),
                      c.err.text);
        ck_assert_msg(strstr(c.err.text, c.lock) != NULL &&
                          strstr(c.err.text, "process 1 of the-other-pod") != NULL,
                      "%s: %s", step_name(kinds[i]), c.err.text);
    }
    ck_assert(file_exists(version) && file_exists(begun));
    ck_assert(!guard_client_status(c.guard)->lock_held);
    ck_assert_int_eq(unlink(begun), 0);
    close(lock);
    do_step(&c, STEP_REMOVE_DATA);
    ck_assert(!file_exists(data));
    ck_assert(guard_client_status(c.guard)->lock_held);
    pg_node_close(&c);
    loop_free(loop);
}
END_TEST

/* A clone whose guard ends in the middle: the lock is gone, so what is there now may be another's. */
START_TEST(test_nothing_after_the_guard)
{
    char script[LIMIT_PATH], kept[LIMIT_PATH], words[LIMIT_PATH + 64], yaml[512];
    struct step step = { .kind = STEP_BASE_BACKUP, .name = "d" };
    struct pg_node d;
    struct pg_node *const peers[] = { &d, NULL };
    (void)snprintf(yaml, sizeof(yaml),
                   "  create_replica_methods: [ours, basebackup]\n"
                   "  ours: {command: %s/suicide, no_params: true}\n",
                   folder);
    pg_node_init(&d, "d", loopback_free_port(), folder, yaml);
    (void)snprintf(kept, sizeof(kept), "%s/data.new/data/kept", d.folder);
    (void)snprintf(words, sizeof(words), "#!/bin/sh\nmkdir -p %s && kill -KILL $PPID && sleep 9\n",
                   kept);
    make_file(script, folder, "suicide", words);
    ck_assert_int_eq(chmod(script, 0700), 0);
    loop = loop_new();
    pg_node_open(&d, loop, "{\"ttl\":10}");
    ck_assert(pg_node_wait(&d, is_connected, NULL, PATIENCE_MS));
    pg_node_look(&d, peers);
    ck_assert_int_eq(pg_node_step(&d, &step), ERR_UNREACHABLE);
    ck_assert_msg(strstr(d.err.text, "is left alone") != NULL, "%s", d.err.text);
    ck_assert(file_exists(kept));
    pg_node_close(&d);
    loop_free(loop);
}
END_TEST

int main(void)
{
    if (!pg_node_become_postgres()) {
        fputs("no PostgreSQL, or no user for it\n", stderr);
        return EXIT_FAILURE;
    }
    snprintf(folder, sizeof(folder), "/tmp/pgvigil-steps-%d", (int)getpid());
    if (mkdir(folder, 0700) != 0)
        return EXIT_FAILURE;
    log_open("test", getenv("PG_TEST_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, false);
    Suite *suite = suite_create("steps_postgres");
    TCase *tcase = tcase_create("real servers");
    TCase *quick = tcase_create("no server");
    tcase_add_test(quick, test_steps_that_are_ours);
    tcase_add_test(quick, test_nothing_without_the_lock);
    tcase_add_test(quick, test_nothing_after_the_guard);
    suite_add_tcase(suite, quick);
    tcase_set_tags(tcase, "slow");
    tcase_set_timeout(tcase, 110);
    tcase_add_test(tcase, test_life_of_two_nodes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    (void)dir_remove(folder, NULL);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
