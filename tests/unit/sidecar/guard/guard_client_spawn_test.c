/* Guards of the sidecar's own: started detached, and a lost one's tree ended (G1). */
#include "sidecar/guard/guard_client_spawn.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static char folder[64];
static char lock_path[128];
static char other_path[100]; /* fits into a socket address */

static void setup(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/pgvigil-spawn-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(lock_path, sizeof(lock_path), "%s/lock", folder);
    (void)snprintf(other_path, sizeof(other_path), "%s/other", folder);
    /* Orphans come back to the test, so that it can tell that they ended. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1UL);
}

static void teardown(void)
{
    (void)unlink(lock_path);
    (void)unlink(other_path);
    (void)rmdir(folder);
}

/* A tree that holds the lock: a child, and an orphan of it in a session of its own, stopped. */
static pid_t tree_with_lock(void)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    int fd = open(lock_path, O_RDWR | O_CREAT, 0600); /* inherited, as the guard's */
    (void)flock(fd, LOCK_EX | LOCK_NB);
    if (fork() == 0) {
        (void)setsid();
        if (fork() == 0)
            (void)raise(SIGSTOP);
    }
    for (;;)
        (void)pause();
}

static void wait_for_lock(void)
{
    for (int count = 0; count < 400; count++) {
        if (guard_client_tree_gone(lock_path, NULL) == ERR_CONFLICT)
            return;
        (void)poll(NULL, 0, 5);
    }
    ck_abort_msg("nobody took the lock");
}

/* G1 after a lost guard: killed until the lock can be had. */
START_TEST(kills_the_whole_tree)
{
    struct err err;
    (void)tree_with_lock();
    wait_for_lock();
    (void)poll(NULL, 0, 50);
    ck_assert_int_eq(guard_client_tree_gone(lock_path, &err), ERR_CONFLICT);
    ck_assert_int_eq(guard_client_kill_tree(lock_path, mono_add(clock_mono(), 3000), &err), ERR_OK);
    ck_assert_int_eq(guard_client_tree_gone(lock_path, &err), ERR_OK);
    int killed = 0;
    for (int status = 0; waitpid(-1, &status, 0) > 0;)
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 1 : 0;
    ck_assert_int_eq(killed, 3);
}
END_TEST

/* Never started, or nothing left: gone at once, and nobody else is touched. */
START_TEST(nothing_to_kill)
{
    struct mono give_up = mono_add(clock_mono(), 1000);
    ck_assert_int_eq(guard_client_kill_tree(lock_path, give_up, NULL), ERR_OK);
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(guard_client_kill_tree(lock_path, give_up, NULL), ERR_OK);
    close(fd);
}
END_TEST

/* Held by somebody who cannot be killed from here (it is ourselves): the word is not given. */
START_TEST(gives_up_without_the_word)
{
    struct err err;
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(guard_client_kill_tree(lock_path, mono_add(clock_mono(), 50), &err),
                     ERR_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(err.text, "nobody who can be seen"));
    close(fd);
}
END_TEST

static void write_script(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* Started with its words, in a session of its own, as nobody's child. */
START_TEST(starts_detached)
{
    char script[512];
    char said[512] = "";
    (void)snprintf(script, sizeof(script),
                   "#!/bin/sh\necho $$ $(cut -d' ' -f6 /proc/$$/stat) $(ls /proc/$$/fd | wc -l) "
                   "\"$@\" >%s.new\nmv %s.new %s\n",
                   lock_path, lock_path, lock_path);
    write_script(other_path, script);
    int leak = open("/dev/null", O_RDONLY); /* a descriptor of ours that must not go along */
    const struct guard_spawn spawn = {
        .program = other_path, .socket_path = "/s", .lock_path = "/l", .grace_s = 9
    };
    struct err err;
    /* The script listens to nobody, and that is told as well. */
    ck_assert_int_eq(guard_client_spawn(&spawn, &err), ERR_TIMEOUT);
    for (int count = 0; count < 400 && access(lock_path, R_OK) != 0; count++)
        (void)poll(NULL, 0, 5);
    int fd = open(lock_path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(read(fd, said, sizeof(said) - 1), 0);
    close(fd);
    close(leak);
    int pid = 0;
    int session = 0;
    int files = 0;
    ck_assert_int_eq(sscanf(said, "%d %d %d", &pid, &session, &files), 3);
    ck_assert_int_ne(session, (int)getsid(0));
    ck_assert_int_le(files, 5);
    ck_assert_ptr_nonnull(strstr(said, "--socket /s --lock /l --grace 9\n"));
}
END_TEST

/* L5: a guard that listens is left alone, whatever asks for another. */
START_TEST(one_that_lives_is_left_alone)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", other_path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    const struct guard_spawn spawn = { .program = "/nowhere/guard",
                                       .socket_path = other_path,
                                       .lock_path = lock_path };
    struct mono give_up = mono_add(clock_mono(), 1000);
    ck_assert_int_eq(guard_client_spawn(&spawn, NULL), ERR_OK);
    ck_assert_int_eq(guard_client_ensure(&spawn, give_up, NULL), ERR_OK);
    close(fd);
    ck_assert_int_eq(guard_client_ensure(&spawn, give_up, NULL), ERR_SYSTEM);
}
END_TEST

START_TEST(missing_program)
{
    struct err err;
    const struct guard_spawn spawn = { .program = "/nowhere/guard",
                                       .socket_path = "/s",
                                       .no_deadline = true };
    ck_assert_int_eq(guard_client_spawn(&spawn, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard_client_spawn");
    TCase *tcase = tcase_create("tree");
    tcase_set_timeout(tcase, 20);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, kills_the_whole_tree);
    tcase_add_test(tcase, nothing_to_kill);
    tcase_add_test(tcase, gives_up_without_the_word);
    tcase_add_test(tcase, starts_detached);
    tcase_add_test(tcase, one_that_lives_is_left_alone);
    tcase_add_test(tcase, missing_program);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
