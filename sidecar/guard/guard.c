#include "sidecar/guard/guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sidecar/guard/os.h"
#include "sidecar/guard/proc.h"
#include "sidecar/guard/spawn.h"

/* Requests that are taken in one turn, each after a look at the clock. */
enum { GUARD_TURN_REQUESTS = 16 };

enum wake {
    WAKE_SIGNAL,
    WAKE_TIMER,
    WAKE_DOOR,
    WAKE_NEWCOMER,
    WAKE_SIDECAR,
    WAKE_CHILD,
    WAKE_TOOL,
    WAKE_OUTPUT,
    WAKE_MAX
};

struct proto_status guard_status_now(const struct guard *guard)
{
    const struct deadline *deadline = &guard->deadline;
    const struct child *child = &guard->child;
    unsigned flags = (deadline->has ? PROTO_HAS_DEADLINE : 0U) |
                     (deadline->lifted ? PROTO_LIFTED : 0U) |
                     (child->killed_by_deadline ? PROTO_KILLED_BY_DEADLINE : 0U) |
                     (guard->stop.requested ? PROTO_STOP_REQUESTED : 0U) |
                     (child->lock_fd >= 0 ? PROTO_LOCK_HELD : 0U) |
                     (guard->options->no_deadline ? PROTO_NO_DEADLINE : 0U);
    return (struct proto_status){ .deadline_ms = deadline->has ? deadline->at.ms : 0,
                                  .lease_id = deadline->cookie.lease_id,
                                  .create_revision = deadline->cookie.create_revision,
                                  .stop_by_ms = guard->stop.requested ? guard->stop.fast_at.ms : 0,
                                  .children = child->children,
                                  .child = (int32_t)child->state,
                                  .pid = child->state == PROTO_CHILD_RUNNING ? child->pid : 0,
                                  .exit_status = child->exit_status,
                                  .flags = flags };
}

static struct stop_facts guard_stop_facts(const struct guard *guard, struct mono now)
{
    return (struct stop_facts){ .now = now,
                                .connected = guard->server.sidecar_fd >= 0,
                                .since = guard->server.since,
                                .child = guard->child.state != PROTO_CHILD_NONE,
                                .etcd = guard->options->no_deadline };
}

void guard_stop_requested(struct guard *guard, const char *why)
{
    if (guard->stop.requested)
        return;
    struct mono now = os_now();
    stop_request(&guard->stop, now, guard->options->grace_ms);
    say("%s -> stop, waiting at most %lld ms for the handover", why,
        (long long)mono_diff(guard->stop.fast_at, now));
}

/* Pid 1 of a container or not: what loses its parent comes to us, and nobody else reaps it. */
static void guard_reap(struct guard *guard, struct mono now)
{
    for (;;) {
        siginfo_t info = { 0 };
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
            if (errno != ECHILD)
                return;
            guard->tool.tree_gone = true;
            if (child_all_gone(&guard->child)) {
                deadline_child_gone(&guard->deadline);
                say("nothing of the child is left -> gone");
            }
            return;
        }
        if (info.si_pid == 0)
            return;
        tool_before_reaping(&guard->tool, (int)info.si_pid);
        int status = 0;
        if (waitpid(info.si_pid, &status, WNOHANG) != info.si_pid)
            continue;
        tool_reaped(&guard->tool, (int)info.si_pid, status, now);
        if (!child_reaped(&guard->child, (int)info.si_pid, status, now))
            continue;
        tool_kill(&guard->tool, PROTO_END_CANCELLED, now);
        say("child %d ended by %s %d -> kill what it left behind", (int)info.si_pid,
            WIFSIGNALED(status) ? "signal" : "itself, exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

/* What a tool left behind is ours to kill; beside a running child it cannot be told from what the
 * child left behind, and only the tool's process group went with it. */
static void guard_end_tool_tree(struct guard *guard, struct mono now)
{
    struct tool *tool = &guard->tool;
    if (!tool->active || tool->pid != 0 || tool->tree_gone)
        return;
    if (guard->child.state == PROTO_CHILD_RUNNING) {
        tool->tree_gone = true;
    } else if (guard->child.state == PROTO_CHILD_NONE) {
        (void)proc_kill_descendants();
        guard_reap(guard, now);
    }
}

static void guard_enforce_stop(struct guard *guard, struct mono now)
{
    const struct stop_facts facts = guard_stop_facts(guard, now);
    switch (stop_step(&guard->stop, &facts)) {
    case STOP_WAIT:
        return;
    case STOP_FAST:
        if (guard->fast_stop_sent || guard->child.pid == 0)
            return;
        guard->fast_stop_sent = true;
        (void)kill(guard->child.pid, SIGINT);
        say("nobody to wait for -> fast stop of child %d", guard->child.pid);
        return;
    case STOP_KILL:
        if (guard->child.state != PROTO_CHILD_RUNNING)
            return;
        child_kill(&guard->child, now);
        say("the grace is over -> kill the child's tree");
        return;
    case STOP_EXIT:
        tool_kill(&guard->tool, PROTO_END_CANCELLED, now);
        guard->done = true;
        return;
    }
}

void guard_enforce(struct guard *guard)
{
    struct mono now = os_now();
    if (deadline_check(&guard->deadline, now) && guard->child.state == PROTO_CHILD_RUNNING) {
        child_kill(&guard->child, now);
        guard->child.killed_by_deadline = true;
        say("deadline of lease %llx has passed -> kill the child's tree",
            (unsigned long long)guard->deadline.cookie.lease_id);
    }
    guard_reap(guard, now);
    child_sweep(&guard->child, now);
    tool_check(&guard->tool, now);
    guard_end_tool_tree(guard, now);
    guard_enforce_stop(guard, now);
}

static struct mono guard_next(const struct guard *guard)
{
    struct mono now = os_now();
    const struct stop_facts facts = guard_stop_facts(guard, now);
    struct mono next = deadline_next(&guard->deadline);
    next = mono_min(next, stop_next(&guard->stop, &facts));
    next = mono_min(next, tool_next(&guard->tool));
    if (guard->child.state == PROTO_CHILD_DYING)
        next = mono_min(next, guard->child.sweep_at);
    if (guard->tool.active && guard->tool.pid == 0 && !guard->tool.tree_gone)
        next = mono_min(next, mono_add(now, 5));
    if (guard->server.newcomer_fd >= 0)
        next = mono_min(next, guard->server.newcomer_by);
    return next;
}

static void guard_set_timer(const struct guard *guard)
{
    struct mono next = guard_next(guard);
    struct itimerspec at = { 0 };
    if (next.ms != INT64_MAX) {
        /* All zero would disarm. */
        int64_t ms = next.ms > 0 ? next.ms : 1;
        at.it_value.tv_sec = (time_t)(ms / 1000);
        at.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
    }
    (void)timerfd_settime(guard->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void guard_wait(struct guard *guard, struct pollfd wakes[WAKE_MAX])
{
    const struct server *server = &guard->server;
    const struct tool *tool = &guard->tool;
    bool answer = server->sidecar_fd < 0 || server->reply_len == 0;
    bool chunk = server->sidecar_fd < 0 || server->chunk_len == 0;
    short sidecar = (short)((server_may_receive(server) ? POLLIN : 0) |
                            (server_wants_room(server) ? POLLOUT : 0));
    wakes[WAKE_SIGNAL] = (struct pollfd){ .fd = guard->signal_fd, .events = POLLIN };
    wakes[WAKE_TIMER] = (struct pollfd){ .fd = guard->timer_fd, .events = POLLIN };
    wakes[WAKE_DOOR] = (struct pollfd){ .fd = server->listen_fd, .events = POLLIN };
    wakes[WAKE_NEWCOMER] = (struct pollfd){ .fd = server->newcomer_fd, .events = POLLIN };
    wakes[WAKE_SIDECAR] = (struct pollfd){ .fd = server->sidecar_fd, .events = sidecar };
    wakes[WAKE_CHILD] =
        (struct pollfd){ .fd = answer ? guard->child.verdict_fd : -1, .events = POLLIN };
    wakes[WAKE_TOOL] = (struct pollfd){ .fd = answer ? tool->verdict_fd : -1, .events = POLLIN };
    wakes[WAKE_OUTPUT] = (struct pollfd){ .fd = chunk ? tool->output_fd : -1, .events = POLLIN };
    guard_set_timer(guard);
    if (poll(wakes, WAKE_MAX, -1) < 0)
        memset(wakes, 0, sizeof(*wakes) * WAKE_MAX);
}

static void guard_take_signals(struct guard *guard)
{
    struct signalfd_siginfo info;
    while (read(guard->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        char why[64];
        if (info.ssi_signo == SIGCHLD || info.ssi_signo == SIGHUP)
            continue;
        (void)snprintf(why, sizeof(why), "signal %u from process %u", info.ssi_signo, info.ssi_pid);
        guard_stop_requested(guard, why);
    }
}

/* Whether what was started runs is known now, or still not. One place for a reply. */
static void guard_answer_start(struct guard *guard, int *verdict_fd, uint32_t id, const char *what)
{
    int why = 0;
    char text[PROTO_TEXT_MAX] = "";
    if (*verdict_fd < 0 || (guard->server.sidecar_fd >= 0 && guard->server.reply_len > 0))
        return;
    enum spawn_verdict verdict = spawn_verdict(*verdict_fd, &why);
    if (verdict == SPAWN_PENDING)
        return;
    close(*verdict_fd);
    *verdict_fd = -1;
    if (verdict == SPAWN_FAILED) {
        (void)snprintf(text, sizeof(text), "cannot execute the %s: %s", what, strerror(why));
        say("%s -> not started", text);
    }
    if (guard->server.sidecar_fd >= 0 && id != 0)
        server_reply(&guard->server, id, verdict == SPAWN_RUNS ? PROTO_OK : PROTO_SYSTEM, text);
}

/* Is there still somebody to tell? */
static bool guard_tool_has_caller(const struct guard *guard)
{
    return guard->server.sidecar_fd >= 0 && guard->tool.id != 0;
}

static void guard_move_output(struct guard *guard)
{
    struct server *server = &guard->server;
    bool told = guard_tool_has_caller(guard);
    if (!guard->tool.active || (told && server->chunk_len > 0))
        return;
    size_t len = tool_read(&guard->tool, server_chunk_room(server), PROTO_CHUNK_MAX);
    if (told && len > 0)
        server_put_chunk(server, guard->tool.id, len);
}

/* Once all of its output is on its way. */
static void guard_end_tool(struct guard *guard)
{
    struct server *server = &guard->server;
    struct tool *tool = &guard->tool;
    bool told = guard_tool_has_caller(guard);
    if (!tool_finished(tool) || (told && (server->chunk_len > 0 || server->exit_waits)))
        return;
    const struct proto_exit end = { .wait_status = tool->wait_status, .end = (int32_t)tool->end };
    if (told)
        server_put_exit(server, tool->id, &end);
    tool_done(tool);
}

/* A sidecar left or another came: what was asked for on the old connection has nobody to hear of
 * it, and a tool runs for its caller only. */
static void guard_sidecar_changed(struct guard *guard)
{
    deadline_new_sidecar(&guard->deadline);
    guard->child.start_id = 0;
    guard->tool.id = 0;
    tool_kill(&guard->tool, PROTO_END_CANCELLED, os_now());
}

static void guard_tell(struct guard *guard)
{
    bool had = guard->server.sidecar_fd >= 0;
    const struct proto_status status = guard_status_now(guard);
    server_flush(&guard->server, &status, os_now());
    if (had && guard->server.sidecar_fd < 0)
        guard_sidecar_changed(guard);
}

static void guard_take_requests(struct guard *guard)
{
    struct server *server = &guard->server;
    for (int count = 0; count < GUARD_TURN_REQUESTS && server->sidecar_fd >= 0; count++) {
        struct frame request;
        if (!server_receive(server, os_now(), &request)) {
            if (server->sidecar_fd < 0)
                guard_sidecar_changed(guard);
            return;
        }
        /* L3: the clock before the message, however long it lay there. */
        guard_enforce(guard);
        guard_request(guard, &request);
        guard_tell(guard);
    }
}

static void guard_turn(struct guard *guard)
{
    struct pollfd wakes[WAKE_MAX];
    struct server *server = &guard->server;
    guard_wait(guard, wakes);
    guard_enforce(guard);
    if (wakes[WAKE_SIGNAL].revents != 0)
        guard_take_signals(guard);
    if (wakes[WAKE_DOOR].revents != 0)
        server_accept(server, os_now());
    const struct proto_status status = guard_status_now(guard);
    if (server_greet(server, &status, os_now()))
        guard_sidecar_changed(guard);
    guard_answer_start(guard, &guard->child.verdict_fd, guard->child.start_id, "child");
    guard_answer_start(guard, &guard->tool.verdict_fd, guard->tool.id, "tool");
    guard_take_requests(guard);
    guard_move_output(guard);
    guard_enforce(guard);
    guard_tell(guard);
    guard_end_tool(guard);
    guard_tell(guard);
}

static bool guard_open_wakes(struct guard *guard)
{
    guard->signal_fd = os_signal_fd();
    guard->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    return guard->signal_fd >= 0 && guard->timer_fd >= 0;
}

int guard_main(struct guard *guard, const struct guard_options *options)
{
    guard->options = options;
    child_init(&guard->child);
    tool_init(&guard->tool);
    os_shield();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1UL) != 0 || !guard_open_wakes(guard)) {
        say("the system said no (%s) -> end", strerror(errno));
        return 1;
    }
    if (!server_open(&guard->server, options->socket_path, os_now())) {
        say("cannot listen on %s: %s -> end", options->socket_path, strerror(errno));
        return 1;
    }
    say("listening on %s -> waiting for the sidecar", options->socket_path);
    while (!guard->done)
        guard_turn(guard);
    server_close(&guard->server);
    say("stopped, nothing is left to guard -> end");
    return 0;
}
