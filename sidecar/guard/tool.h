#pragma once
/* The one-shot tool that the guard runs for the sidecar (`run`): pg_basebackup, pg_rewind and the
 * like, in the image of Postgres. Its output is read into one chunk at a time; nothing more is read
 * before the sidecar took it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "sidecar/guard/child.h"
#include "sidecar/guard/proto.h"

struct tool {
    bool active; /* from the start until the end has been told */
    int pid;     /* 0: reaped */
    uint32_t id; /* of the request */
    int verdict_fd;
    int output_fd; /* -1: everything was read */
    struct mono deadline;
    struct mono retry_at; /* the next pass of killing, while it does not end */
    struct mono drain_by; /* after its end: how long somebody may keep its output open */
    enum proto_end end;
    int wait_status;
    bool tree_gone; /* nothing that it forked is left, as far as can be known */
};

void tool_init(struct tool *tool);

/* Answers later, by verdict_fd. */
enum proto_code tool_start(struct tool *tool, const struct child_program *program,
                           struct mono deadline, uint32_t id, char *text, size_t size);

/* Kills it with everything below; the first reason is kept. When it has ended: gives up output. */
void tool_kill(struct tool *tool, enum proto_end why, struct mono now);
/* The deadline, and killing again what did not die. */
void tool_check(struct tool *tool, struct mono now);
/* It is a zombie: what is left of its process group dies while the group cannot be another's. */
void tool_before_reaping(const struct tool *tool, int pid);
void tool_reaped(struct tool *tool, int pid, int status, struct mono now);
/* Reads at most `size` bytes; 0: nothing now or never again (then output_fd is -1). */
size_t tool_read(struct tool *tool, char *to, size_t size);
/* Ended, and all output was read. */
bool tool_finished(const struct tool *tool);
void tool_done(struct tool *tool);
struct mono tool_next(const struct tool *tool);
