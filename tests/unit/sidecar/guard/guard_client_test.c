/* The sidecar's end against the real guard, which runs in a process of the test's own. */
#include "sidecar/guard/guard_client.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../support/until.h"
#include "base/clock.h"
#include "base/text.h"
#include "sidecar/guard/frame.h"
#include "sidecar/guard/guard.h"

enum { PATIENCE_MS = 5000 };

/* One test's world: a folder, a guard, a loop, a client, and what the callbacks told. */
static struct {
    char folder[64];
    char socket[128];
    char lock[128];
    pid_t guard;
    struct loop *loop;
    struct guard_client *client;
    struct source *patience;
    bool (*until)(void);
    bool late;
    int changes;
    int answers;
    enum err_code code;
    char text[ERR_TEXT_MAX];
    char output[8192];
    size_t output_len;
    int run_answers;
    enum err_code run_code;
    int wait_status;
    bool free_in_done;
} world;

static struct guard the_guard;

static void start_guard(void)
{
    world.guard = fork();
    ck_assert_int_ge(world.guard, 0);
    if (world.guard != 0)
        return;
    const struct guard_options options = { .socket_path = world.socket,
                                           .lock_path = world.lock,
                                           .grace_ms = 4000 };
    _exit(guard_main(&the_guard, &options));
}

static void look(void)
{
    if (world.until != NULL && world.until())
        loop_stop(world.loop);
}

static void on_changed(void *arg)
{
    (void)arg;
    world.changes++;
    look();
}

static void on_late(void *arg)
{
    (void)arg;
    world.late = true;
    loop_stop(world.loop);
}

static void on_done(void *arg, enum err_code code, const struct err *err)
{
    (void)arg;
    world.answers++;
    world.code = code;
    (void)snprintf(world.text, sizeof(world.text), "%s", err->text);
    if (world.free_in_done)
        world.client = guard_client_free(world.client);
    look();
}

static void on_output(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    size_t room = sizeof(world.output) - 1 - world.output_len;
    size_t taken = len < room ? len : room;
    memcpy(world.output + world.output_len, bytes, taken);
    world.output_len += taken;
    world.output[world.output_len] = 0;
}

static void on_run_done(void *arg, enum err_code code, int wait_status)
{
    (void)arg;
    world.run_answers++;
    world.run_code = code;
    world.wait_status = wait_status;
    look();
}

static void run_until(bool (*condition)(void))
{
    if (condition())
        return;
    world.until = condition;
    world.late = false;
    source_arm_in(world.patience, PATIENCE_MS);
    loop_run(world.loop);
    source_disarm(world.patience);
    world.until = NULL;
    ck_assert_msg(!world.late, "nothing came: %s", world.text);
}

static const struct guard_status *status(void)
{
    return guard_client_status(world.client);
}

static bool is_connected(void)
{
    return status()->connected;
}

static bool is_dead(void)
{
    return status()->dead;
}

static bool is_fenced(void)
{
    return status()->fenced;
}

static bool is_none(void)
{
    return status()->child == GUARD_CHILD_NONE;
}

static bool is_answered(void)
{
    return world.answers > 0;
}

static bool is_run_answered(void)
{
    return world.run_answers > 0;
}

static bool wants_stop(void)
{
    return status()->stop_requested;
}

static void setup(void)
{
    memset(&world, 0, sizeof(world));
    (void)snprintf(world.folder, sizeof(world.folder), "/tmp/pgvigil-client-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world.folder));
    (void)snprintf(world.socket, sizeof(world.socket), "%s/s", world.folder);
    (void)snprintf(world.lock, sizeof(world.lock), "%s/lock", world.folder);
    start_guard();
    world.loop = loop_new();
    world.patience = loop_timer(world.loop, on_late, NULL);
    world.client = guard_client_new(world.loop, world.socket, on_changed, NULL);
}

static void teardown(void)
{
    world.client = guard_client_free(world.client);
    world.patience = source_free(world.patience);
    world.loop = loop_free(world.loop);
    (void)kill(world.guard, SIGKILL);
    (void)waitpid(world.guard, NULL, 0);
    (void)unlink(world.socket);
    (void)unlink(world.lock);
    (void)rmdir(world.folder);
}

static const char *const no_env[] = { NULL };

/* Waits for the answer to the request that was just made. */
static enum err_code answer(void)
{
    world.answers = 0;
    run_until(is_answered);
    ck_assert_int_eq(world.answers, 1);
    return world.code;
}

static enum err_code start(const char *const *argv, bool primary, struct guard_cookie cookie)
{
    const struct guard_start order = {
        .argv = argv, .env = no_env, .cwd = "/", .primary = primary, .cookie = cookie
    };
    guard_start(world.client, &order, on_done, NULL);
    return answer();
}

static enum err_code offer(int64_t in_ms, struct guard_cookie cookie)
{
    guard_deadline(world.client, mono_add(clock_mono(), in_ms), cookie, on_done, NULL);
    return answer();
}

static const char *const sleeper[] = { "/bin/sleep", "60", NULL };
static const struct guard_cookie key = { 7, 3 };

/* Part 3: start, deadline, signal, kill; the status shows it before `done` is called. */
START_TEST(life_of_a_child)
{
    run_until(is_connected);
    ck_assert_int_eq(status()->guard_pid, world.guard);
    ck_assert_int_eq(start(sleeper, true, key), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(world.text, "deadline"));
    ck_assert_int_eq(offer(60000, key), ERR_OK);
    ck_assert(status()->has_deadline && guard_cookie_equal(status()->cookie, key));
    ck_assert_int_eq(start(sleeper, true, key), ERR_OK);
    ck_assert_int_eq(status()->child, GUARD_CHILD_RUNNING);
    ck_assert(status()->lock_held && status()->children == 1 && status()->pid > 0);
    ck_assert_int_eq(start(sleeper, false, key), ERR_REFUSED);
    guard_signal(world.client, SIGTERM, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_OK);
    run_until(is_none);
    ck_assert_int_eq(WTERMSIG(status()->exit_status), SIGTERM);
    ck_assert(!status()->has_deadline);
    const char *const missing[] = { "/nowhere/postgres", NULL };
    const struct guard_cookie none = { 0, 0 };
    ck_assert_int_eq(start(missing, false, none), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(world.text, "No such file"));
}
END_TEST

/* L3: the guard kills at the deadline, and the client learns it. L8: a lift. */
START_TEST(deadline_and_lift)
{
    run_until(is_connected);
    ck_assert_int_eq(offer(300, key), ERR_OK);
    ck_assert_int_eq(start(sleeper, true, key), ERR_OK);
    guard_lift_deadline(world.client, (struct guard_cookie){ 0 }, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_OK);
    ck_assert(status()->lifted && !status()->has_deadline);
    ck_assert_int_eq(offer(100, key), ERR_OK);
    run_until(is_none);
    ck_assert(status()->killed_by_deadline);
    ck_assert_int_eq(offer(-100, key), ERR_REFUSED);
}
END_TEST

/* run: output streamed, the wait status, one at a time, cancel, deadline. */
START_TEST(tools)
{
    const char *const speaks[] = { "/bin/sh", "-c", "echo $A; exit 4", NULL };
    const char *const env[] = { "A=b", NULL };
    struct guard_run run = { .argv = speaks,
                             .env = env,
                             .cwd = "/",
                             .deadline = mono_add(clock_mono(), 60000),
                             .output = on_output,
                             .done = on_run_done };
    run_until(is_connected);
    guard_run(world.client, &run);
    run_until(is_run_answered);
    ck_assert_int_eq(world.run_code, ERR_OK);
    ck_assert_int_eq(WEXITSTATUS(world.wait_status), 4);
    ck_assert_str_eq(world.output, "b\n");
    run.argv = sleeper;
    world.run_answers = 0;
    guard_run(world.client, &run);
    guard_run(world.client, &run);
    run_until(is_run_answered);
    ck_assert_int_eq(world.run_code, ERR_REFUSED);
    world.run_answers = 0;
    guard_run_cancel(world.client);
    run_until(is_run_answered);
    ck_assert_int_eq(world.run_code, ERR_CANCELLED);
    world.run_answers = 0;
    run.deadline = mono_add(clock_mono(), 100);
    guard_run(world.client, &run);
    run_until(is_run_answered);
    ck_assert_int_eq(world.run_code, ERR_TIMEOUT);
    const char *const missing[] = { "/nowhere/pg_rewind", NULL };
    run.argv = missing;
    run.deadline = mono_add(clock_mono(), 1000);
    world.run_answers = 0;
    world.output_len = 0;
    guard_run(world.client, &run);
    run_until(is_run_answered);
    ck_assert_int_eq(world.run_code, ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(world.output, "No such file"));
}
END_TEST

/* Requests without a guard fail at once, from the loop; afterwards it connects by itself. */
START_TEST(not_connected)
{
    ck_assert_int_eq(status()->child, GUARD_CHILD_DYING); /* G1: nobody has said anything yet */
    guard_kill(world.client, on_done, NULL);
    ck_assert_int_eq(world.answers, 0);
    ck_assert_int_eq(answer(), ERR_UNREACHABLE);
    run_until(is_connected);
    ck_assert_int_gt(world.changes, 0);
    guard_kill(world.client, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_OK);
}
END_TEST

/* Words that do not fit into a frame, and more of them than it may have. */
START_TEST(limits)
{
    static char word[2000];
    const char *argv[LIMIT_ARGV + 2] = { "/bin/true" };
    memset(word, 'x', sizeof(word) - 1);
    for (int index = 1; index <= LIMIT_ARGV; index++)
        argv[index] = word;
    run_until(is_connected);
    const struct guard_cookie none = { 0, 0 };
    ck_assert_int_eq(start(argv, false, none), ERR_LIMIT);
    argv[40] = NULL;
    ck_assert_int_eq(start(argv, false, none), ERR_LIMIT);
    ck_assert(status()->connected);
}
END_TEST

static bool is_gone(void *arg)
{
    const int *pid = arg;
    return kill(*pid, 0) != 0;
}

/* "A dead guard is a dead postmaster": the client knows the guard's process has ended. */
START_TEST(dead_guard)
{
    run_until(is_connected);
    ck_assert_int_eq(start(sleeper, false, (struct guard_cookie){ 0, 0 }), ERR_OK);
    int child = status()->pid;
    (void)kill(world.guard, SIGSTOP);
    guard_kill(world.client, on_done, NULL);
    (void)kill(world.guard, SIGKILL);
    ck_assert_int_eq(answer(), ERR_TIMEOUT);
    run_until(is_dead);
    ck_assert(!status()->connected);
    /* An orphan of ours; its reaper may take a moment. */
    ck_assert_msg(until(world.loop, is_gone, &child, PATIENCE_MS), "process %d still runs", child);
    (void)waitpid(world.guard, NULL, 0);
    struct mono before = status()->guard_since;
    start_guard();
    run_until(is_connected);
    ck_assert(!status()->dead && status()->guard_since.ms != before.ms);
}
END_TEST

/* L7: the second connection fences the first, which then stays away. */
START_TEST(fenced)
{
    run_until(is_connected);
    struct guard_client *first = world.client;
    struct guard_client *second = guard_client_new(world.loop, world.socket, on_changed, NULL);
    run_until(is_fenced);
    ck_assert(!status()->connected && !status()->dead);
    world.client = second;
    run_until(is_connected);
    guard_kill(world.client, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_OK);
    ck_assert(!guard_client_status(first)->connected);
    first = guard_client_free(first);
}
END_TEST

/* G2: the stop is told, the handover ends the guard; a callback may free the client. */
START_TEST(stop_and_free)
{
    int ended = -1;
    run_until(is_connected);
    (void)kill(world.guard, SIGINT);
    run_until(wants_stop);
    ck_assert(mono_before(clock_mono(), status()->stop_by));
    world.free_in_done = true;
    guard_handed_over(world.client, on_done, NULL);
    guard_kill(world.client, on_done, NULL);
    (void)answer();
    ck_assert_int_eq(waitpid(world.guard, &ended, 0), world.guard);
    ck_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    start_guard();
}
END_TEST

/* A guard of another time or another program at the socket: not connected, and tried again. */
START_TEST(stranger)
{
    (void)kill(world.guard, SIGKILL);
    (void)waitpid(world.guard, NULL, 0);
    guard_kill(world.client, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_UNREACHABLE);
    ck_assert(!status()->connected);
    start_guard();
    run_until(is_connected);
}
END_TEST

/* G3: two guards on one volume. The one that is second is told who is there; the lock goes with the
 * guard that has it. */
START_TEST(lock_without_a_start)
{
    char second_path[sizeof(world.socket)];
    char holder[64];
    run_until(is_connected);
    ck_assert(!status()->lock_held);
    guard_hold_lock(world.client, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_OK);
    ck_assert(status()->lock_held && status()->child == GUARD_CHILD_NONE);
    guard_hold_lock(world.client, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_OK);
    struct guard_client *first = world.client;
    pid_t first_guard = world.guard;
    (void)snprintf(holder, sizeof(holder), "process %d of ", (int)first_guard);
    memcpy(second_path, world.socket, sizeof(second_path));
    (void)snprintf(world.socket, sizeof(world.socket), "%s/second", world.folder);
    start_guard();
    world.client = guard_client_new(world.loop, world.socket, on_changed, NULL);
    run_until(is_connected);
    guard_hold_lock(world.client, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_REFUSED);
    ck_assert_msg(strstr(world.text, world.lock) != NULL && strstr(world.text, holder) != NULL,
                  "%s", world.text);
    ck_assert(!status()->lock_held);
    first = guard_client_free(first);
    (void)kill(first_guard, SIGKILL);
    (void)waitpid(first_guard, NULL, 0);
    guard_hold_lock(world.client, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_OK);
    (void)unlink(second_path);
}
END_TEST

/* False: the client has gone. */
static bool fake_send(int fd, enum proto_type type, uint32_t id, const void *body, size_t len)
{
    char bytes[256];
    struct frame_out out = frame_begin(bytes, sizeof(bytes), 1, type, id);
    frame_put(&out, body, len);
    size_t size = frame_end(&out);
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* In a process beside the test's: Check's own words would get between those of the test. */
static void must(bool held)
{
    if (!held)
        _exit(1);
}

/* A guard of version 1 as far as it is asked here: it knows START and RUN, and locks for both. */
static void old_guard(int listener)
{
    static char bytes[PROTO_FRAME_MAX];
    const struct proto_welcome welcome = { .started_ms = 1 };
    struct proto_status told = { .child = PROTO_CHILD_NONE };
    struct frame frame = { .left = 0 };
    int fd = accept(listener, NULL, NULL);
    must(recv(fd, bytes, sizeof(bytes), 0) > 0);
    must(fake_send(fd, PROTO_WELCOME, 0, &welcome, sizeof(welcome)));
    must(fake_send(fd, PROTO_STATUS, 0, &told, sizeof(told)));
    ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
    must(got > 0 && frame_parse(bytes, (size_t)got, &frame));
    must(frame.header.version == 1);
    must(frame.header.type == PROTO_RUN);
    told.flags = PROTO_LOCK_HELD;
    const char reply[sizeof(struct proto_reply) + 1] = { 0 };
    const struct proto_exit ended = { .end = PROTO_END_EXITED };
    must(fake_send(fd, PROTO_STATUS, 0, &told, sizeof(told)));
    must(fake_send(fd, PROTO_REPLY, frame.header.id, reply, sizeof(reply)));
    (void)fake_send(fd, PROTO_EXIT, frame.header.id, &ended, sizeof(ended)); /* the reply may do */
    (void)recv(fd, bytes, sizeof(bytes), 0);
    _exit(0);
}

/* A sidecar speaks the version before, too: there only a tool makes the guard take the lock. */
START_TEST(lock_of_an_old_guard)
{
    int ended = -1;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)kill(world.guard, SIGKILL);
    (void)waitpid(world.guard, NULL, 0);
    (void)unlink(world.socket);
    ck_assert(text_copy(address.sun_path, sizeof(address.sun_path), world.socket));
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    world.guard = fork();
    if (world.guard == 0)
        old_guard(listener);
    close(listener);
    run_until(is_connected);
    guard_hold_lock(world.client, on_done, NULL);
    ck_assert_int_eq(answer(), ERR_OK);
    ck_assert(status()->lock_held && status()->connected);
    world.client = guard_client_free(world.client);
    ck_assert_int_eq(waitpid(world.guard, &ended, 0), world.guard);
    ck_assert(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    start_guard();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard_client");
    TCase *tcase = tcase_create("real guard");
    tcase_set_timeout(tcase, 20);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, life_of_a_child);
    tcase_add_test(tcase, deadline_and_lift);
    tcase_add_test(tcase, tools);
    tcase_add_test(tcase, not_connected);
    tcase_add_test(tcase, limits);
    tcase_add_test(tcase, dead_guard);
    tcase_add_test(tcase, fenced);
    tcase_add_test(tcase, stop_and_free);
    tcase_add_test(tcase, stranger);
    tcase_add_test(tcase, lock_without_a_start);
    tcase_add_test(tcase, lock_of_an_old_guard);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
