#include "sidecar/guard/observe.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "sidecar/guard/frame.h"
#include "sidecar/guard/os.h"

enum { OBSERVE_S = 2 };

static void print_status(const struct proto_status *status)
{
    static const char *const children[] = { "none", "running", "dying" };
    unsigned child = (unsigned)status->child < 3 ? (unsigned)status->child : 2;
    (void)printf("child: %s\npid: %d\nstarted: %llu\nlast wait status: %d\n", children[child],
                 status->pid, (unsigned long long)status->children, status->exit_status);
    if ((status->flags & PROTO_HAS_DEADLINE) != 0)
        (void)printf("deadline in ms: %lld\n", (long long)(status->deadline_ms - os_now().ms));
    (void)printf("lease: %llx\ncreate revision: %lld\n", (unsigned long long)status->lease_id,
                 (long long)status->create_revision);
    static const struct {
        unsigned flag;
        const char *text;
    } facts[] = { { PROTO_LIFTED, "the deadline is lifted" },
                  { PROTO_KILLED_BY_DEADLINE, "the last child was killed by its deadline" },
                  { PROTO_STOP_REQUESTED, "a stop was requested" },
                  { PROTO_LOCK_HELD, "the lock is held" },
                  { PROTO_NO_DEADLINE, "this guard knows no deadline" } };
    for (unsigned index = 0; index < sizeof(facts) / sizeof(facts[0]); index++)
        if ((status->flags & facts[index].flag) != 0)
            (void)printf("%s\n", facts[index].text);
}

int observe_main(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path)) {
        (void)fprintf(stderr, "pgvigil-guard: the path of the socket is too long\n");
        return 1;
    }
    memcpy(address.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const struct timeval patience = { .tv_sec = OBSERVE_S };
    char buffer[512];
    struct frame_out hello = frame_begin(buffer, sizeof(buffer), PROTO_VERSION, PROTO_OBSERVE, 1);
    size_t size = frame_end(&hello);
    struct frame answer;
    struct proto_status status;
    ssize_t got = -1;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
        send(fd, buffer, size, MSG_NOSIGNAL) == (ssize_t)size)
        got = recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0 || !frame_parse(buffer, (size_t)got, &answer) ||
        answer.header.type != PROTO_STATUS || !frame_take(&answer, &status, sizeof(status))) {
        (void)fprintf(stderr, "pgvigil-guard: %s: %s\n", path,
                      got < 0 ? strerror(errno) : "no answer that makes sense");
        return 1;
    }
    print_status(&status);
    return 0;
}
