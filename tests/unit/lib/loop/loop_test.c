#include "loop/loop.h"

#include <check.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

struct seen {
    struct loop *loop;
    struct source *source;
    struct source *other;
    int calls;
    int value;
    struct mono at;
};

static void count(void *arg)
{
    struct seen *seen = arg;
    seen->calls++;
    seen->at = loop_now(seen->loop);
}

static void count_and_stop(void *arg)
{
    count(arg);
    loop_stop(((struct seen *)arg)->loop);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void run_for(struct loop *loop, int64_t ms)
{
    struct source *end = loop_timer(loop, stop, loop);
    source_arm_in(end, ms);
    loop_run(loop);
    source_free(end);
}

/* A timer fires once, not before its time, by CLOCK_BOOTTIME. */
START_TEST(timer_fires_once)
{
    struct seen seen = { .loop = loop_new() };
    seen.source = loop_timer(seen.loop, count, &seen);
    struct mono start = clock_mono();
    source_arm_in(seen.source, 20);
    ck_assert(source_armed(seen.source));
    run_for(seen.loop, 60);
    ck_assert_int_eq(seen.calls, 1);
    ck_assert(!source_armed(seen.source));
    ck_assert_int_ge(mono_diff(seen.at, start), 20);
    source_free(seen.source);
    loop_free(seen.loop);
}
END_TEST

/* Moving a timer replaces its time; disarming stops it; MONO_NEVER disarms; the past fires at once. */
START_TEST(timer_moves)
{
    struct loop *loop = loop_new();
    struct seen moved = { .loop = loop }, stopped = { .loop = loop }, never = { .loop = loop },
                past = { .loop = loop };
    moved.source = loop_timer(loop, count, &moved);
    stopped.source = loop_timer(loop, count, &stopped);
    never.source = loop_timer(loop, count, &never);
    past.source = loop_timer(loop, count, &past);
    source_arm_in(moved.source, 5);
    source_arm_in(moved.source, 1000);
    source_arm_in(stopped.source, 5);
    source_disarm(stopped.source);
    source_arm_at(never.source, MONO_NEVER);
    ck_assert(!source_armed(never.source));
    source_arm_at(past.source, (struct mono){ 0 });
    run_for(loop, 30);
    ck_assert_int_eq(moved.calls + stopped.calls + never.calls, 0);
    ck_assert_int_eq(past.calls, 1);
    loop_free(loop); /* closes what is left open */
}
END_TEST

static void free_other(void *arg)
{
    struct seen *seen = arg;
    seen->calls++;
    seen->other = source_free(seen->other);
}

/* No callback runs after the free, also when both were due in the same iteration. */
START_TEST(timer_freed_by_a_neighbour)
{
    struct loop *loop = loop_new();
    struct seen victim = { .loop = loop };
    struct seen first = { .loop = loop, .other = loop_timer(loop, count, &victim) };
    first.source = loop_timer(loop, free_other, &first);
    source_arm_in(first.source, 5);
    source_arm_in(first.other, 5);
    run_for(loop, 20);
    ck_assert_int_eq(first.calls, 1);
    ck_assert_int_eq(victim.calls, 0);
    loop_free(loop);
}
END_TEST

static void rearm(void *arg)
{
    struct seen *seen = arg;
    seen->calls++;
    source_arm_at(seen->source, loop_now(seen->loop));
}

/* A timer that is always due does not starve the others. */
START_TEST(timer_always_due)
{
    struct seen seen = { .loop = loop_new() };
    seen.source = loop_timer(seen.loop, rearm, &seen);
    source_arm_in(seen.source, 0);
    run_for(seen.loop, 20);
    ck_assert_int_gt(seen.calls, 1);
    loop_free(seen.loop);
}
END_TEST

static void read_byte(void *arg, int events)
{
    struct seen *seen = arg;
    char byte;
    ck_assert_int_eq(events, LOOP_READ);
    ck_assert_int_eq(read(seen->value, &byte, 1), 1);
    seen->calls++;
}

/* A loose timer waits for what else wakes the loop, a timer or a descriptor, and no longer than its
 * slack. */
START_TEST(timer_waits_for_company)
{
    struct loop *loop = loop_new();
    struct seen shared = { .loop = loop }, alone = { .loop = loop }, other = { .loop = loop };
    shared.source = loop_timer(loop, count, &shared);
    alone.source = loop_timer(loop, count, &alone);
    other.source = loop_timer(loop, count, &other);
    source_arm_loosely(shared.source, 5, 5000);
    source_arm_in(other.source, 20);
    run_for(loop, 40);
    ck_assert_int_eq(shared.calls, 1);
    ck_assert_int_eq(shared.at.ms, other.at.ms);
    struct mono start = clock_mono();
    source_arm_loosely(alone.source, 5, 20);
    run_for(loop, 60);
    ck_assert_int_eq(alone.calls, 1);
    ck_assert_int_ge(mono_diff(alone.at, start), 25);
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    other.value = pair[0];
    struct source *readable = loop_fd(loop, pair[0], LOOP_READ, read_byte, &other);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    source_arm_loosely(shared.source, 0, 5000);
    run_for(loop, 20);
    ck_assert_int_eq(other.calls, 2);
    ck_assert_int_eq(shared.calls, 2);
    source_free(readable);
    close(pair[0]);
    close(pair[1]);
    loop_free(loop);
}
END_TEST

/* Readiness follows the interest, and stops with the source. */
START_TEST(fd_readiness)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct loop *loop = loop_new();
    struct seen seen = { .loop = loop, .value = pair[0] };
    seen.source = loop_fd(loop, pair[0], 0, read_byte, &seen);
    ck_assert_int_eq(write(pair[1], "ab", 2), 2);
    run_for(loop, 5);
    ck_assert_int_eq(seen.calls, 0);
    source_interest(seen.source, LOOP_READ);
    run_for(loop, 5);
    ck_assert_int_eq(seen.calls, 2);
    ck_assert_int_eq(write(pair[1], "c", 1), 1);
    source_free(seen.source);
    close(pair[0]);
    close(pair[1]);
    run_for(loop, 5);
    ck_assert_int_eq(seen.calls, 2);
    loop_free(loop);
}
END_TEST

static void again(void *arg)
{
    struct seen *seen = arg;
    if (++seen->calls < 3)
        source_trigger(seen->source);
}

/* Several triggers are one run; never from inside the trigger. */
START_TEST(defer_runs_once)
{
    struct loop *loop = loop_new();
    struct seen seen = { .loop = loop }, chain = { .loop = loop }, freed = { .loop = loop };
    seen.source = loop_defer(loop, count, &seen);
    chain.source = loop_defer(loop, again, &chain);
    freed.source = loop_defer(loop, count, &freed);
    source_trigger(seen.source);
    source_trigger(seen.source);
    source_trigger(chain.source);
    source_trigger(freed.source);
    source_free(freed.source);
    ck_assert_int_eq(seen.calls, 0);
    run_for(loop, 10);
    ck_assert_int_eq(seen.calls, 1);
    ck_assert_int_eq(chain.calls, 3);
    ck_assert_int_eq(freed.calls, 0);
    loop_free(loop);
}
END_TEST

/* Work goes on until the test lets it. */
static sem_t may_end;

static void slow_work(void *arg)
{
    struct timespec by = { 0 };
    (void)clock_gettime(CLOCK_REALTIME, &by);
    by.tv_sec += 5;
    if (sem_timedwait(&may_end, &by) == 0)
        ((struct seen *)arg)->value = 7;
}

/* Work runs beside the loop, done on it; a freed one is dropped instead of done. */
START_TEST(work_done_or_dropped)
{
    struct loop *loop = loop_new();
    struct seen done = { .loop = loop }, dropped = { .loop = loop }, freed = { .loop = loop };
    ck_assert_int_eq(sem_init(&may_end, 0, 0), 0);
    done.source = loop_work(loop, slow_work, count_and_stop, NULL, &done);
    dropped.source = loop_work(loop, slow_work, count, count, &dropped);
    source_free(dropped.source);
    sem_post(&may_end);
    sem_post(&may_end);
    loop_run(loop);
    ck_assert_int_eq(done.calls, 1);
    ck_assert_int_eq(done.value, 7);
    source_free(done.source);
    freed.source = loop_work(loop, slow_work, NULL, count, &freed);
    sem_post(&may_end);
    loop_free(loop);
    ck_assert_int_eq(dropped.calls, 1);
    ck_assert_int_eq(freed.calls, 1);
    sem_destroy(&may_end);
}
END_TEST

static void on_usr1(void *arg, int signum)
{
    struct seen *seen = arg;
    seen->value = signum;
    loop_stop(seen->loop);
}

START_TEST(signal_arrives)
{
    struct seen seen = { .loop = loop_new() };
    seen.source = loop_signal(seen.loop, SIGUSR1, on_usr1, &seen);
    raise(SIGUSR1);
    loop_run(seen.loop);
    ck_assert_int_eq(seen.value, SIGUSR1);
    source_free(seen.source);
    loop_free(seen.loop);
}
END_TEST

static void slow_callback(void *arg)
{
    struct seen *seen = arg;
    struct mono before = loop_now(seen->loop);
    source_arm_at(seen->other, mono_add(before, 10));
    while (mono_diff(clock_mono(), before) < 15)
        continue;
    ck_assert_int_eq(loop_now(seen->loop).ms, before.ms);
    seen->at = before;
}

/* Every callback of one iteration sees the same time; the next iteration a new one. */
START_TEST(one_time_per_iteration)
{
    struct loop *loop = loop_new();
    struct seen slow = { .loop = loop }, beside = { .loop = loop }, after = { .loop = loop };
    slow.source = loop_timer(loop, slow_callback, &slow);
    beside.source = loop_timer(loop, count, &beside);
    slow.other = loop_timer(loop, count, &after);
    struct mono at = mono_add(loop_now(loop), 5);
    source_arm_at(slow.source, at);
    source_arm_at(beside.source, at);
    run_for(loop, 40);
    ck_assert_int_eq(after.calls, 1);
    ck_assert_int_eq(slow.at.ms, beside.at.ms);
    ck_assert_int_ge(mono_diff(after.at, slow.at), 15);
    loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("loop");
    tcase_add_test(tcase, timer_fires_once);
    tcase_add_test(tcase, timer_moves);
    tcase_add_test(tcase, timer_freed_by_a_neighbour);
    tcase_add_test(tcase, timer_always_due);
    tcase_add_test(tcase, timer_waits_for_company);
    tcase_add_test(tcase, fd_readiness);
    tcase_add_test(tcase, defer_runs_once);
    tcase_add_test(tcase, work_done_or_dropped);
    tcase_add_test(tcase, signal_arrives);
    tcase_add_test(tcase, one_time_per_iteration);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
