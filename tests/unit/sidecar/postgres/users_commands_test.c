/* Bootstrap and clone by a user's own commands (patroni-compat 1.2), and starts that fail. */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../support/loopback.h"
#include "../../support/pg_node.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sidecar/postgres/files.h"

enum { PATIENCE_MS = 15000 };

static char folder[64];
static struct pg_node c;
static struct pg_node d;
static struct pg_node *const peers_of_d[] = { &c, NULL };
static struct loop *loop;

static const char settings[] = "{\"ttl\":10,\"postgresql\":{\"use_slots\":false}}";

static void write_script(const char *name, const char *text)
{
    char path[LIMIT_PATH];
    /* Missing, it fails the test below. */
    (void)file_replace(path_join(path, folder, name), text, strlen(text), 0700, NULL);
}

static void do_step(struct pg_node *node, enum step_kind kind, const char *name)
{
    struct step step = { .kind = kind };
    text_copy(step.name, sizeof(step.name), name);
    pg_node_look(node, node == &d ? peers_of_d : NULL);
    enum err_code code = pg_node_step(node, &step);
    ck_assert_msg(code == ERR_OK, "%s: %s: %s", node->name, step_name(kind), node->err.text);
}

static bool is_up(struct pg_node *node, void *arg)
{
    (void)arg;
    pg_node_look(node, NULL);
    return node->view.pg.state == PG_UP;
}

static bool is_down(struct pg_node *node, void *arg)
{
    (void)arg;
    pg_node_look(node, NULL);
    return node->view.pg.state == PG_DOWN && node->view.pg.dir != DATA_DIR_UNKNOWN;
}

static bool has_deadline(struct pg_node *node, void *arg)
{
    (void)arg;
    return guard_client_status(node->guard)->has_deadline;
}

static bool has_failed_twice(struct pg_node *node, void *arg)
{
    (void)arg;
    pg_node_look(node, NULL);
    return node->view.pg.start_failures == 2 && node->view.pg.state == PG_DOWN;
}

static void await(struct pg_node *node, pg_until_fn *until, const char *what)
{
    bool met = pg_node_wait(node, until, NULL, PATIENCE_MS);
    ck_assert_msg(met, "%s: %s: %s", node->name, what, postgres_facts(node->postgres)->trouble);
}

/* "command + --scope= --datadir= + every other key of the section as --key=value" */
static void bootstrap(void)
{
    const struct guard_cookie cookie = { 77, 5 };
    char value[64];
    await(&c, is_down, "looked at");
    do_step(&c, STEP_INITDB, "");
    do_step(&c, STEP_ADOPT_NEW, "");
    await(&c, is_down, "looked at");
    guard_deadline(c.guard, mono_add(clock_mono(), 60000), cookie, NULL, NULL);
    await(&c, has_deadline, "deadline");
    do_step(&c, STEP_START_PRIMARY, "");
    await(&c, is_up, "up");
    do_step(&c, STEP_CREATE_ROLES, "");
    ck_assert_str_eq(pg_node_sql(&c, "SELECT word FROM made_by_user", value, sizeof(value)),
                     "it works");
}

/* Methods are tried in their order until one succeeds. */
static void clone(void)
{
    char path[LIMIT_PATH];
    await(&d, is_down, "looked at");
    do_step(&d, STEP_BASE_BACKUP, "c");
    ck_assert(file_exists(path_join(path, folder, "first-was-tried")));
    ck_assert(file_exists(path_join(path, folder, "second-was-tried")));
    do_step(&d, STEP_START_STANDBY, "c");
    await(&d, is_up, "up");
    ck_assert(d.view.pg.in_recovery);
}

/* The port is taken: each start fails, is counted, and a person is told. */
static void fail_to_start(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)d.port) };
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    do_step(&d, STEP_STOP_FAST, "");
    await(&d, is_down, "down");
    ck_assert_uint_eq(d.view.pg.start_failures, 0); /* told to */
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(setsockopt(taken, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    ck_assert_int_eq(bind(taken, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(taken, 1), 0);
    do_step(&d, STEP_START_STANDBY, "c");
    await(&d, is_down, "failed");
    do_step(&d, STEP_START_STANDBY, "c");
    await(&d, has_failed_twice, "failed again");
    ck_assert_int_eq(postgres_facts(d.postgres)->state, MEMBER_START_FAILED);
    ck_assert_ptr_nonnull(strstr(postgres_facts(d.postgres)->trouble, "2 times in a row"));
    close(taken);
    do_step(&d, STEP_START_STANDBY, "c");
    await(&d, is_up, "up at last");
    ck_assert_uint_eq(d.view.pg.start_failures, 0);
}

START_TEST(test_users_commands)
{
    char yaml_c[1024];
    char yaml_d[1024];
    snprintf(yaml_c, sizeof(yaml_c),
             "bootstrap:\n  method: mine\n  mine:\n    command: %s/make 'two words'\n"
             "    locale: C\n  post_bootstrap: %s/after 'it works'\n",
             folder, folder);
    snprintf(yaml_d, sizeof(yaml_d),
             "  create_replica_methods: [broken, copy]\n"
             "  broken: {command: %s/broken}\n  copy: {command: %s/copy, speed: fast}\n",
             folder, folder);
    pg_node_init(&c, "c", loopback_free_port(), folder, yaml_c);
    pg_node_init(&d, "d", loopback_free_port(), folder, yaml_d);
    loop = loop_new();
    pg_node_open(&c, loop, settings);
    pg_node_open(&d, loop, settings);
    bootstrap();
    clone();
    fail_to_start();
    pg_node_close(&c);
    pg_node_close(&d);
    loop_free(loop);
}
END_TEST

static void write_scripts(void)
{
    char text[1024];
    /* A quoted word of the command, then --scope, --datadir, --locale. */
    write_script("make", "#!/bin/sh\nset -e\n[ \"$1\" = 'two words' ]; [ \"$2\" = --scope=demo ]\n"
                         "[ \"$4\" = --locale=C ]\nhere=$(dirname \"$0\")\n"
                         "printf %s \"super'se\\\\cret\" >\"$here/pw\"\n"
                         "initdb -D \"${3#--datadir=}\" -U postgres --pwfile=\"$here/pw\" -A "
                         "scram-sha-256 --locale=C\n");
    write_script("after", "#!/bin/sh\nset -e\npsql -X -w \"$2\" -c \"CREATE TABLE made_by_user AS "
                          "SELECT '$1' AS word\"\n");
    snprintf(text, sizeof(text), "#!/bin/sh\ntouch %s/first-was-tried\nexit 3\n", folder);
    write_script("broken", text);
    snprintf(text, sizeof(text),
             "#!/bin/sh\nset -e\ntouch %s/second-was-tried\nfor a; do case $a in\n"
             "--datadir=*) data=${a#*=};; --connstring=*) conn=${a#*=};; --speed=*) "
             "speed=${a#*=};;\nesac; done\npg_basebackup -D \"$data\" -d \"$conn\" -X stream -c "
             "$speed -w\n",
             folder);
    write_script("copy", text);
}

/* So that make unit has a check of this program, too: the quick one needs no server. */
START_TEST(test_scripts)
{
    char path[LIMIT_PATH];
    ck_assert(file_exists(path_join(path, folder, "make")));
}
END_TEST

int main(void)
{
    if (!pg_node_become_postgres()) {
        fputs("no PostgreSQL, or no user for it\n", stderr);
        return EXIT_FAILURE;
    }
    snprintf(folder, sizeof(folder), "/tmp/pgvigil-users-%d", (int)getpid());
    if (mkdir(folder, 0700) != 0)
        return EXIT_FAILURE;
    write_scripts();
    log_open("test", getenv("PG_TEST_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, false);
    Suite *suite = suite_create("users_commands");
    TCase *quick = tcase_create("no server");
    tcase_add_test(quick, test_scripts);
    suite_add_tcase(suite, quick);
    TCase *tcase = tcase_create("real servers");
    tcase_set_tags(tcase, "slow");
    tcase_set_timeout(tcase, 110);
    tcase_add_test(tcase, test_users_commands);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    (void)dir_remove(folder, NULL);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
