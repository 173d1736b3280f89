#include "sidecar/guard/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sidecar/guard/proc.h"
#include "sidecar/guard/spawn.h"

enum { TOOL_RETRY_MS = 50, TOOL_DRAIN_MS = 1000 };

void tool_init(struct tool *tool)
{
    *tool = (struct tool){ .verdict_fd = -1, .output_fd = -1 };
}

enum proto_code tool_start(struct tool *tool, const struct child_program *program,
                           struct mono deadline, uint32_t id, char *text, size_t size)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)snprintf(text, size, "cannot make a pipe: %s", strerror(errno));
        return PROTO_SYSTEM;
    }
    /* Our end only: tools expect a pipe that blocks. */
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const struct spawn spawn = { .argv = program->argv,
                                 .env = program->env,
                                 .cwd = program->cwd,
                                 .output = ends[1],
                                 .die_with_parent = true,
                                 .own_session = true };
    tool_init(tool);
    pid_t pid = spawn_start(&spawn, &tool->verdict_fd);
    int why = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        (void)snprintf(text, size, "cannot fork: %s", strerror(why));
        return PROTO_SYSTEM;
    }
    tool->active = true;
    tool->pid = (int)pid;
    tool->id = id;
    tool->output_fd = ends[0];
    tool->deadline = deadline;
    tool->retry_at = MONO_NEVER;
    tool->drain_by = MONO_NEVER;
    return PROTO_OK;
}

static void tool_close_output(struct tool *tool)
{
    if (tool->output_fd >= 0)
        close(tool->output_fd);
    tool->output_fd = -1;
}

void tool_kill(struct tool *tool, enum proto_end why, struct mono now)
{
    if (!tool->active)
        return;
    if (tool->pid == 0) {
        tool_close_output(tool);
        return;
    }
    if (tool->end == PROTO_END_EXITED)
        tool->end = why;
    proc_kill_tree(tool->pid);
    tool->retry_at = mono_add(now, TOOL_RETRY_MS);
}

/* It has ended and somebody that it left behind keeps its output open. What was written is passed
 * on, however slowly it is taken. */
static void tool_check_drain(struct tool *tool, struct mono now)
{
    struct pollfd more = { .fd = tool->output_fd, .events = POLLIN };
    if (poll(&more, 1, 0) == 1 && (more.revents & POLLIN) != 0)
        tool->drain_by = mono_add(now, TOOL_DRAIN_MS);
    else
        tool_close_output(tool);
}

void tool_check(struct tool *tool, struct mono now)
{
    if (mono_before(now, tool_next(tool)))
        return;
    if (tool->pid == 0)
        tool_check_drain(tool, now);
    else
        tool_kill(tool, PROTO_END_DEADLINE, now);
}

void tool_before_reaping(const struct tool *tool, int pid)
{
    if (tool->active && pid == tool->pid)
        (void)kill(-pid, SIGKILL);
}

void tool_reaped(struct tool *tool, int pid, int status, struct mono now)
{
    if (!tool->active || pid != tool->pid)
        return;
    tool->pid = 0;
    tool->wait_status = status;
    tool->drain_by = mono_add(now, TOOL_DRAIN_MS);
}

size_t tool_read(struct tool *tool, char *to, size_t size)
{
    if (tool->output_fd < 0)
        return 0;
    ssize_t got = read(tool->output_fd, to, size);
    if (got > 0)
        return (size_t)got;
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        tool_close_output(tool);
    return 0;
}

bool tool_finished(const struct tool *tool)
{
    return tool->active && tool->pid == 0 && tool->tree_gone && tool->output_fd < 0 &&
           tool->verdict_fd < 0;
}

void tool_done(struct tool *tool)
{
    tool_close_output(tool);
    if (tool->verdict_fd >= 0)
        close(tool->verdict_fd);
    tool_init(tool);
}

struct mono tool_next(const struct tool *tool)
{
    if (!tool->active)
        return MONO_NEVER;
    if (tool->pid == 0)
        return tool->output_fd >= 0 ? tool->drain_by : MONO_NEVER;
    return tool->retry_at.ms != INT64_MAX ? tool->retry_at : tool->deadline;
}
