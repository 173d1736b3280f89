/* libuv behind the verbs of loop.h.
 *
 * Timers are ours, not libuv's: libuv's clock is CLOCK_MONOTONIC, which stands still while the node
 * sleeps, and deadlines are CLOCK_BOOTTIME (design part 3). One timerfd carries the time by which one
 * of them must run; whatever wakes the loop before runs all that may.
 * One iteration is: prepare (arm the timerfd, forget the time), poll (descriptors), check (timers,
 * then deferred calls). loop_now is read at most once between two prepares. */
#include "loop/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop_internal.h"

enum source_kind { SOURCE_TIMER, SOURCE_FD, SOURCE_SIGNAL, SOURCE_DEFER, SOURCE_WORK };

/* A link in one of the loop's rings; a free link points to itself. */
struct ring {
    struct ring *next;
    struct ring *prev;
};

struct iteration {
    bool known;
    struct mono now;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t busy; /* active while something is due: the poll does not wait then */
    uv_poll_t timer_poll;
    int timer_fd;
    struct mono timer_set; /* what the timerfd is armed for */
    struct ring timers;    /* sorted by the time from which they may run */
    struct ring deferred;
    struct ring all;
    int works;   /* in the thread pool */
    int closing; /* handles between uv_close and its callback */
    bool running;
    struct iteration *iteration; /* behind a pointer: loop_now takes a const loop */
};

struct source {
    struct ring in_all;
    struct ring in_queue; /* timers or deferred */
    struct loop *loop;
    enum source_kind kind;
    void *arg;
    union {
        struct {
            loop_fn *fn;
            struct mono at;
            struct mono latest;
        } timer;
        struct {
            uv_poll_t poll;
            loop_fd_fn *fn;
            loop_owned_fd_fn *owned_fn;
            int fd;
            int interest;
        } fd;
        struct {
            uv_signal_t handle;
            loop_signal_fn *fn;
        } signal;
        struct {
            loop_fn *fn;
        } defer;
        struct {
            uv_work_t request;
            loop_fn *work;
            loop_fn *done;
            loop_fn *drop;
            bool in_pool;
            bool dropped;
        } work;
    };
};

#define RING_ENTRY(link, member)                                                                   \
    ((struct source *)(void *)((char *)(link) - offsetof(struct source, member)))

static void ring_init(struct ring *ring)
{
    ring->next = ring;
    ring->prev = ring;
}

static bool ring_empty(const struct ring *ring)
{
    return ring->next == ring;
}

static void ring_remove(struct ring *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    ring_init(link);
}

static void ring_insert_before(struct ring *where, struct ring *link)
{
    link->prev = where->prev;
    link->next = where;
    where->prev->next = link;
    where->prev = link;
}

/* Moves everything in `from` to the empty ring `to`. */
static void ring_move(struct ring *from, struct ring *to)
{
    ring_init(to);
    if (ring_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    ring_init(from);
}

struct mono loop_now(const struct loop *loop)
{
    if (!loop->running)
        return clock_mono();
    if (!loop->iteration->known)
        *loop->iteration = (struct iteration){ .known = true, .now = clock_mono() };
    return loop->iteration->now;
}

static struct source *source_new(struct loop *loop, enum source_kind kind, void *arg)
{
    struct source *source = mem_struct(struct source);
    source->loop = loop;
    source->kind = kind;
    source->arg = arg;
    ring_init(&source->in_queue);
    ring_insert_before(&loop->all, &source->in_all);
    return source;
}

/* --- the phases of an iteration --- */

/* When the loop must be awake for a timer. */
static struct mono next_latest(const struct loop *loop)
{
    struct mono next = MONO_NEVER;
    struct ring *link = loop->timers.next;
    for (; link != &loop->timers; link = link->next) {
        const struct source *source = RING_ENTRY(link, in_queue);
        if (!mono_before(source->timer.at, next))
            break;
        next = mono_min(next, source->timer.latest);
    }
    return next;
}

static void set_timer_fd(struct loop *loop, struct mono at)
{
    if (at.ms == loop->timer_set.ms)
        return;
    loop->timer_set = at;
    struct itimerspec spec = { 0 }; /* all zero disarms */
    if (at.ms != MONO_NEVER.ms) {
        int64_t ms = at.ms > 0 ? at.ms : 1;
        spec.it_value.tv_sec = ms / 1000;
        spec.it_value.tv_nsec = (ms % 1000) * 1000000;
    }
    int rc = timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
    assert(rc == 0);
    (void)rc;
}

static void on_busy(uv_idle_t *handle)
{
    (void)handle; /* being active is its whole purpose */
}

static void on_prepare(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    struct mono next = next_latest(loop);
    /* Armed to run at once, which needs no timerfd. */
    if (loop->iteration->known && !mono_before(loop->iteration->now, next))
        uv_idle_start(&loop->busy, on_busy);
    else
        set_timer_fd(loop, next);
    loop->iteration->known = false;
}

static void on_timer_fd(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct loop *loop = handle->data;
    uint64_t expirations;
    (void)!read(loop->timer_fd, &expirations, sizeof(expirations));
    loop->timer_set = MONO_NEVER; /* it has fired: the next prepare arms it anew */
}

/* Due timers are taken out first, so that one that arms itself again waits for the next iteration. */
static void run_timers(struct loop *loop)
{
    struct ring due;
    ring_init(&due);
    while (!ring_empty(&loop->timers)) {
        struct ring *link = loop->timers.next;
        if (mono_before(loop_now(loop), RING_ENTRY(link, in_queue)->timer.at))
            break;
        ring_remove(link);
        ring_insert_before(&due, link);
    }
    while (!ring_empty(&due)) {
        struct source *source = RING_ENTRY(due.next, in_queue);
        ring_remove(&source->in_queue);
        source->timer.fn(source->arg);
    }
}

static void run_deferred(struct loop *loop)
{
    struct ring run;
    ring_move(&loop->deferred, &run);
    while (!ring_empty(&run)) {
        struct source *source = RING_ENTRY(run.next, in_queue);
        ring_remove(&source->in_queue);
        source->defer.fn(source->arg);
    }
}

static void on_check(uv_check_t *handle)
{
    struct loop *loop = handle->data;
    run_timers(loop);
    run_deferred(loop);
    if (ring_empty(&loop->deferred))
        uv_idle_stop(&loop->busy);
}

/* --- the loop --- */

struct loop *loop_new(void)
{
    struct loop *loop = mem_struct(struct loop);
    loop->iteration = mem_struct(struct iteration);
    loop->timer_set = MONO_NEVER;
    ring_init(&loop->timers);
    ring_init(&loop->deferred);
    ring_init(&loop->all);
    int failed = uv_loop_init(&loop->uv);
    assert(failed == 0);
    loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    assert(loop->timer_fd >= 0);
    failed |= uv_prepare_init(&loop->uv, &loop->prepare);
    failed |= uv_check_init(&loop->uv, &loop->check);
    failed |= uv_idle_init(&loop->uv, &loop->busy);
    failed |= uv_poll_init(&loop->uv, &loop->timer_poll, loop->timer_fd);
    loop->prepare.data = loop->check.data = loop->busy.data = loop->timer_poll.data = loop;
    failed |= uv_prepare_start(&loop->prepare, on_prepare);
    failed |= uv_check_start(&loop->check, on_check);
    failed |= uv_poll_start(&loop->timer_poll, UV_READABLE, on_timer_fd);
    assert(failed == 0);
    (void)failed;
    return loop;
}

static void on_own_handle_closed(uv_handle_t *handle)
{
    struct loop *loop = handle->data;
    loop->closing--;
}

static void close_own_handle(struct loop *loop, uv_handle_t *handle)
{
    loop->closing++;
    uv_close(handle, on_own_handle_closed);
}

struct loop *loop_free(struct loop *loop)
{
    if (loop == NULL)
        return NULL;
    while (!ring_empty(&loop->all))
        source_free(RING_ENTRY(loop->all.next, in_all));
    while (loop->works > 0)
        uv_run(&loop->uv, UV_RUN_ONCE);
    close_own_handle(loop, (uv_handle_t *)&loop->prepare);
    close_own_handle(loop, (uv_handle_t *)&loop->check);
    close_own_handle(loop, (uv_handle_t *)&loop->busy);
    close_own_handle(loop, (uv_handle_t *)&loop->timer_poll);
    close(loop->timer_fd);
    while (loop->closing > 0)
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    /* A library that joined by loop_uv closes its handles before; else this asserts in tests. */
    int rc = uv_loop_close(&loop->uv);
    assert(rc == 0);
    (void)rc;
    free(loop->iteration);
    free(loop);
    return NULL;
}

void loop_run(struct loop *loop)
{
    loop->iteration->known = false;
    loop->running = true;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->running = false;
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

/* --- timers --- */

struct source *loop_timer(struct loop *loop, loop_fn *fn, void *arg)
{
    struct source *source = source_new(loop, SOURCE_TIMER, arg);
    source->timer.fn = fn;
    return source;
}

/* A program has a few dozen timers: a sorted list is enough. Equal times fire in arming order. */
static void arm(struct source *timer, struct mono at, struct mono latest)
{
    assert(timer->kind == SOURCE_TIMER);
    ring_remove(&timer->in_queue);
    if (at.ms == MONO_NEVER.ms)
        return;
    timer->timer.at = at;
    timer->timer.latest = latest;
    struct ring *where = &timer->loop->timers;
    while (where->prev != &timer->loop->timers &&
           mono_before(at, RING_ENTRY(where->prev, in_queue)->timer.at))
        where = where->prev;
    ring_insert_before(where, &timer->in_queue);
}

void source_arm_at(struct source *timer, struct mono at)
{
    arm(timer, at, at);
}

void source_arm_in(struct source *timer, int64_t ms)
{
    source_arm_at(timer, mono_add(loop_now(timer->loop), ms));
}

void source_arm_loosely(struct source *timer, int64_t ms, int64_t slack_ms)
{
    struct mono at = mono_add(loop_now(timer->loop), ms);
    arm(timer, at, mono_add(at, slack_ms));
}

void source_disarm(struct source *timer)
{
    assert(timer->kind == SOURCE_TIMER);
    ring_remove(&timer->in_queue);
}

bool source_armed(const struct source *timer)
{
    return !ring_empty(&timer->in_queue);
}

/* --- descriptors --- */

static void start_poll(struct source *source);

/* libuv stops polling when it sees POLLERR and says EBADF; the owner learns what happened from its
 * own read or write, so it is told that both are possible, and the poll goes on. */
static void on_fd(uv_poll_t *handle, int status, int events)
{
    struct source *source = handle->data;
    int seen = ((events & UV_READABLE) != 0 ? LOOP_READ : 0) |
               ((events & UV_WRITABLE) != 0 ? LOOP_WRITE : 0);
    if (status < 0) {
        seen = LOOP_READ | LOOP_WRITE;
        start_poll(source);
    }
    if (source->fd.owned_fn != NULL)
        source->fd.owned_fn(source, source->fd.fd);
    else
        source->fd.fn(source->arg, seen);
}

static void start_poll(struct source *source)
{
    int events = ((source->fd.interest & LOOP_READ) != 0 ? UV_READABLE : 0) |
                 ((source->fd.interest & LOOP_WRITE) != 0 ? UV_WRITABLE : 0);
    int rc = events == 0 ? uv_poll_stop(&source->fd.poll)
                         : uv_poll_start(&source->fd.poll, events, on_fd);
    assert(rc == 0);
    (void)rc;
}

struct source *loop_fd(struct loop *loop, int fd, int interest, loop_fd_fn *fn, void *arg)
{
    struct source *source = source_new(loop, SOURCE_FD, arg);
    source->fd.fn = fn;
    source->fd.fd = fd;
    source->fd.interest = interest;
    int rc = uv_poll_init(&loop->uv, &source->fd.poll, fd);
    assert(rc == 0);
    (void)rc;
    source->fd.poll.data = source;
    start_poll(source);
    return source;
}

struct source *loop_owned_fd(struct loop *loop, int fd, loop_owned_fd_fn *fn)
{
    struct source *source = loop_fd(loop, fd, LOOP_READ, NULL, NULL);
    source->fd.owned_fn = fn;
    return source;
}

void source_interest(struct source *fd_source, int interest)
{
    assert(fd_source->kind == SOURCE_FD);
    if (fd_source->fd.interest == interest)
        return;
    fd_source->fd.interest = interest;
    start_poll(fd_source);
}

/* --- signals --- */

static void on_signal(uv_signal_t *handle, int signum)
{
    struct source *source = handle->data;
    source->signal.fn(source->arg, signum);
}

struct source *loop_signal(struct loop *loop, int signum, loop_signal_fn *fn, void *arg)
{
    struct source *source = source_new(loop, SOURCE_SIGNAL, arg);
    source->signal.fn = fn;
    int rc = uv_signal_init(&loop->uv, &source->signal.handle);
    assert(rc == 0);
    source->signal.handle.data = source;
    rc = uv_signal_start(&source->signal.handle, on_signal, signum);
    assert(rc == 0);
    (void)rc;
    return source;
}

/* --- deferred calls --- */

struct source *loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
    struct source *source = source_new(loop, SOURCE_DEFER, arg);
    source->defer.fn = fn;
    return source;
}

void source_trigger(struct source *defer)
{
    assert(defer->kind == SOURCE_DEFER);
    if (!ring_empty(&defer->in_queue))
        return;
    ring_insert_before(&defer->loop->deferred, &defer->in_queue);
    uv_idle_start(&defer->loop->busy, on_busy);
}

/* --- work --- */

static void on_work(uv_work_t *request)
{
    struct source *source = request->data;
    source->work.work(source->arg);
}

static void on_worked(uv_work_t *request, int status)
{
    (void)status;
    struct source *source = request->data;
    source->work.in_pool = false;
    source->loop->works--;
    if (!source->work.dropped) {
        source->work.done(source->arg);
        return;
    }
    if (source->work.drop != NULL)
        source->work.drop(source->arg);
    free(source);
}

struct source *loop_work(struct loop *loop, loop_fn *work, loop_fn *done, loop_fn *drop, void *arg)
{
    struct source *source = source_new(loop, SOURCE_WORK, arg);
    source->work.work = work;
    source->work.done = done;
    source->work.drop = drop;
    source->work.in_pool = true;
    source->work.request.data = source;
    loop->works++;
    int rc = uv_queue_work(&loop->uv, &source->work.request, on_work, on_worked);
    assert(rc == 0);
    (void)rc;
    return source;
}

/* --- the end --- */

static void on_source_closed(uv_handle_t *handle)
{
    struct source *source = handle->data;
    source->loop->closing--;
    free(source);
}

static void close_source_handle(struct source *source, uv_handle_t *handle)
{
    source->loop->closing++;
    uv_close(handle, on_source_closed);
}

struct source *source_free(struct source *source)
{
    if (source == NULL)
        return NULL;
    ring_remove(&source->in_all);
    ring_remove(&source->in_queue);
    switch (source->kind) {
    case SOURCE_TIMER:
    case SOURCE_DEFER:
        free(source);
        break;
    case SOURCE_FD:
        close_source_handle(source, (uv_handle_t *)&source->fd.poll);
        if (source->fd.owned_fn != NULL)
            close(source->fd.fd);
        break;
    case SOURCE_SIGNAL:
        close_source_handle(source, (uv_handle_t *)&source->signal.handle);
        break;
    case SOURCE_WORK:
        if (source->work.in_pool) {
            source->work.dropped = true;
            (void)uv_cancel((uv_req_t *)&source->work.request);
        } else {
            free(source);
        }
        break;
    }
    return NULL;
}
