#include "loop/process.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

struct seen {
    struct loop *loop;
    struct process *process;
    struct process_result result;
    char output[70000];
    int lines;
    int done;
    char last_line[64];
};

static void on_line(void *arg, const char *line)
{
    struct seen *seen = arg;
    seen->lines++;
    (void)strncpy(seen->last_line, line, sizeof(seen->last_line) - 1);
}

static void on_done(void *arg, const struct process_result *result)
{
    struct seen *seen = arg;
    seen->done++;
    seen->result = *result;
    (void)strncpy(seen->output, result->output, sizeof(seen->output) - 1);
    seen->process = process_free(seen->process);
    loop_stop(seen->loop);
}

static struct seen run_shell(const char *script, const char *input, int64_t deadline_ms)
{
    struct seen seen = { .loop = loop_new() };
    const char *argv[] = { "sh", "-c", script, NULL };
    struct process_spec spec = {
        .argv = argv,
        .input = input,
        .cwd = "/tmp",
        .deadline = mono_add(clock_mono(), deadline_ms),
        .line = on_line,
        .done = on_done,
        .arg = &seen,
    };
    struct err err;
    ck_assert_int_eq(process_start(seen.loop, &spec, &seen.process, &err), ERR_OK);
    loop_run(seen.loop);
    loop_free(seen.loop);
    ck_assert_int_eq(seen.done, 1);
    return seen;
}

/* Both outputs in one, the exit code, the directory, the input, lines also without a newline. */
START_TEST(captures)
{
    struct seen seen = run_shell("pwd; cat; echo oops >&2; printf end; exit 3", "hello\n", 5000);
    ck_assert_str_eq(seen.output, "/tmp\nhello\noops\nend");
    ck_assert_int_eq(seen.result.exit_code, 3);
    ck_assert_int_eq(seen.result.term_signal, 0);
    ck_assert(!seen.result.timed_out);
    ck_assert_int_eq(seen.lines, 4);
    ck_assert_str_eq(seen.last_line, "end");
}
END_TEST

/* No descriptor of ours gets through, whatever a library forgot. */
START_TEST(nothing_inherited)
{
    int forgotten = dup(STDERR_FILENO);
    struct seen seen = run_shell("exec ls /proc/self/fd", NULL, 5000);
    close(forgotten);
    ck_assert_str_eq(seen.output, "0\n1\n2\n3\n"); /* 3: the directory that ls reads */
}
END_TEST

/* The deadline kills the whole group, and says so. */
START_TEST(deadline_kills_the_group)
{
    struct mono start = clock_mono();
    struct seen seen = run_shell("sleep 30 & sleep 30", NULL, 50);
    ck_assert(seen.result.timed_out);
    ck_assert_int_eq(seen.result.exit_code, -1);
    ck_assert_int_eq(seen.result.term_signal, SIGKILL);
    ck_assert_int_lt(mono_diff(clock_mono(), start), 3000);
}
END_TEST

/* What stays in the background with the pipe open does not keep the result from us. */
START_TEST(background_child_does_not_block)
{
    struct mono start = clock_mono();
    struct seen seen = run_shell("sleep 2 & echo started", NULL, 5000);
    ck_assert_str_eq(seen.output, "started\n");
    ck_assert_int_lt(mono_diff(clock_mono(), start), 1000);
}
END_TEST

/* Only the end of a long output is kept, every line is reported. */
START_TEST(long_output)
{
    struct seen seen = run_shell("seq 1 100000", NULL, 10000);
    ck_assert_int_eq(seen.lines, 100000);
    ck_assert_uint_le(strlen(seen.output), 65536);
    ck_assert_uint_gt(strlen(seen.output), 50000);
    ck_assert_ptr_nonnull(strstr(seen.output, "\n99999\n100000\n"));
}
END_TEST

START_TEST(not_there)
{
    struct loop *loop = loop_new();
    const char *argv[] = { "/no/such/program", NULL };
    struct process_spec spec = { .argv = argv, .deadline = MONO_NEVER, .done = on_done };
    struct process *process = NULL;
    struct err err;
    ck_assert_int_eq(process_start(loop, &spec, &process, &err), ERR_SYSTEM);
    ck_assert_str_eq(err.text, "start /no/such/program: No such file or directory");
    ck_assert_ptr_null(process);
    loop_free(loop);
}
END_TEST

static void stop(void *arg)
{
    loop_stop(arg);
}

/* Freeing kills, never calls done, and leaves no zombie. */
START_TEST(free_kills)
{
    struct seen seen = { .loop = loop_new() };
    const char *argv[] = { "sleep", "30", NULL };
    const char *env[] = { "PATH=/usr/bin:/bin", NULL };
    struct process_spec spec = {
        .argv = argv, .env = env, .deadline = MONO_NEVER, .done = on_done, .arg = &seen
    };
    ck_assert_int_eq(process_start(seen.loop, &spec, &seen.process, NULL), ERR_OK);
    process_free(seen.process);
    struct source *end = loop_timer(seen.loop, stop, seen.loop);
    source_arm_in(end, 100);
    loop_run(seen.loop);
    source_free(end);
    loop_free(seen.loop);
    ck_assert_int_eq(seen.done, 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody left, not even a zombie */
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("process");
    TCase *tcase = tcase_create("process");
    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, captures);
    tcase_add_test(tcase, nothing_inherited);
    tcase_add_test(tcase, deadline_kills_the_group);
    tcase_add_test(tcase, background_child_does_not_block);
    tcase_add_test(tcase, long_output);
    tcase_add_test(tcase, not_there);
    tcase_add_test(tcase, free_kills);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
