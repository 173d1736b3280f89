/* Frames to the guard, through a real socket, the guard's server and its requests; only what would
 * start or kill a process is not there. The first byte is the state of the child; then come frames:
 * their type, two bytes of length, and what follows the header. Type 255: the bytes are the frame. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"

#include "sidecar/guard/guard.h"
#include "sidecar/guard/os.h"

enum { FUZZ_NOW_MS = 1000000, FUZZ_FRAMES = 32, FUZZ_RAW = 255, FUZZ_NO_PROCESS = INT32_MAX };

/* ---- what the guard has of the system -------------------------------------------------------- */

struct mono os_now(void)
{
    return (struct mono){ FUZZ_NOW_MS };
}

void say(const char *format, ...)
{
    (void)format;
}

void guard_stop_requested(struct guard *guard, const char *why)
{
    (void)why;
    guard->stop.requested = true;
}

enum proto_code child_lock(struct child *child, const char *path, char *text, size_t size)
{
    (void)child;
    (void)path;
    (void)text;
    (void)size;
    return PROTO_OK;
}

/* Words that lie in the frame and end there; AddressSanitizer sees it if not. */
static void look_at(const struct child_program *program)
{
    size_t bytes = strlen(program->cwd);
    for (char **word = program->argv; *word != NULL; word++)
        bytes += strlen(*word);
    for (char **word = program->env; *word != NULL; word++)
        bytes += strlen(*word);
    FUZZ_HOLDS(bytes < PROTO_FRAME_MAX && program->argv[0][0] == '/');
}

enum proto_code child_start(struct child *child, const struct child_program *program, char *text,
                            size_t size)
{
    (void)text;
    (void)size;
    FUZZ_HOLDS(child->state == PROTO_CHILD_NONE);
    look_at(program);
    child->state = PROTO_CHILD_RUNNING;
    child->pid = FUZZ_NO_PROCESS;
    return PROTO_OK;
}

void child_kill(struct child *child, struct mono now)
{
    (void)now;
    child->state = PROTO_CHILD_DYING;
}

enum proto_code tool_start(struct tool *tool, const struct child_program *program,
                           struct mono deadline, uint32_t id, char *text, size_t size)
{
    (void)text;
    (void)size;
    FUZZ_HOLDS(!tool->active && deadline.ms > FUZZ_NOW_MS);
    look_at(program);
    tool->active = true;
    tool->id = id;
    return PROTO_OK;
}

void tool_kill(struct tool *tool, enum proto_end why, struct mono now)
{
    (void)why;
    (void)now;
    tool->active = false;
}

/* ---- one input -------------------------------------------------------------------------------- */

static void send_frame(int fd, uint8_t type, const uint8_t *bytes, size_t len)
{
    if (type == FUZZ_RAW) {
        (void)send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    char frame[PROTO_FRAME_MAX];
    struct frame_out out = frame_begin(frame, sizeof(frame), PROTO_VERSION, PROTO_NONE, 7);
    const struct proto_header header = {
        .magic = PROTO_MAGIC, .version = PROTO_VERSION, .type = type, .id = 7
    };
    memcpy(frame, &header, sizeof(header));
    frame_put(&out, bytes, len);
    (void)send(fd, frame, frame_end(&out), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void drain(int fd)
{
    char frame[PROTO_FRAME_MAX];
    for (ssize_t got; (got = recv(fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0;) {
        struct frame reply;
        FUZZ_HOLDS(frame_parse(frame, (size_t)got, &reply));
    }
}

static void serve(struct guard *guard, int fd)
{
    struct frame request;
    const struct proto_status status = { .child = (int32_t)guard->child.state };
    while (server_receive(&guard->server, os_now(), &request)) {
        guard_request(guard, &request);
        server_flush(&guard->server, &status, os_now());
        drain(fd);
    }
}

/* The greeting first: it is a frame as well. */
static void greet(struct guard *guard, const uint8_t *hello, size_t len)
{
    int pair[2];
    const struct proto_status status = { 0 };
    FUZZ_HOLDS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
    guard->server.newcomer_fd = pair[1];
    guard->server.newcomer_by = os_now();
    (void)send(pair[0], hello, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)server_greet(&guard->server, &status, os_now());
    (void)close(pair[0]);
    if (guard->server.newcomer_fd >= 0)
        (void)close(guard->server.newcomer_fd);
    if (guard->server.sidecar_fd >= 0)
        (void)close(guard->server.sidecar_fd);
    guard->server.newcomer_fd = guard->server.sidecar_fd = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct guard_options options = { .lock_path = "" };
    struct guard *guard = mem_struct(struct guard);
    int pair[2];
    if (size == 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) != 0) {
        free(guard);
        return 0;
    }
    guard->options = &options;
    guard->child.state = (enum proto_child)(data[0] % 3);
    guard->child.pid = FUZZ_NO_PROCESS;
    guard->server.listen_fd = guard->server.sidecar_fd = guard->server.newcomer_fd = -1;
    greet(guard, data + 1, size - 1);
    guard->server.sidecar_fd = pair[1];
    guard->server.version = PROTO_VERSION;
    size_t at = 1;
    for (int n = 0; n < FUZZ_FRAMES && size - at >= 3; n++) {
        size_t len = ((size_t)data[at + 1] << 8) | data[at + 2];
        size_t left = size - at - 3;
        len = len < left ? len : left;
        send_frame(pair[0], data[at], data + at + 3, len);
        serve(guard, pair[0]);
        at += 3 + len;
    }
    (void)close(pair[0]);
    if (guard->server.sidecar_fd >= 0)
        (void)close(guard->server.sidecar_fd);
    free(guard);
    return 0;
}
