#include "sidecar/guard/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SAY_LINE_MAX = 640, OOM_TEXT_MAX = 16 };

/* The log and what a child gets back: written once at the start, as a program's log level is. */
static struct {
    const char *who;
    int fd;
    bool fd_is_socket;
    bool fd_may_block;
    char oom_score_adj[OOM_TEXT_MAX];
} os = { .who = "guard", .fd = STDERR_FILENO, .fd_may_block = true };

int os_signal_fd(void)
{
    static const int taken[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, GUARD_SIGRTMIN_3 };
    sigset_t signals;
    sigemptyset(&signals);
    for (unsigned index = 0; index < sizeof(taken) / sizeof(taken[0]); index++)
        sigaddset(&signals, taken[index]);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return -1;
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

struct mono os_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (struct mono){ (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 };
}

static bool os_write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t written = write(fd, text, strlen(text));
    close(fd);
    return written > 0;
}

static void os_shield_from_memory_killer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = read(fd, os.oom_score_adj, sizeof(os.oom_score_adj) - 1);
    close(fd);
    if (got <= 0 || !os_write_text("/proc/self/oom_score_adj", "-1000"))
        os.oom_score_adj[0] = 0;
}

void os_unshield_child(void)
{
    if (os.oom_score_adj[0] != 0)
        (void)os_write_text("/proc/self/oom_score_adj", os.oom_score_adj);
}

void os_shield(void)
{
    os_shield_from_memory_killer();
    (void)mlockall(MCL_CURRENT);
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    /* By the system call: musl's function of that name only returns ENOSYS. */
    struct sched_param param = { .sched_priority = 1 };
    if (syscall(SYS_sched_setscheduler, 0, SCHED_RR | SCHED_RESET_ON_FORK, &param) == 0)
        return;
    param.sched_priority = 0;
    if (syscall(SYS_sched_setscheduler, 0, SCHED_OTHER | SCHED_RESET_ON_FORK, &param) == 0)
        (void)setpriority(PRIO_PROCESS, 0, -20);
}

void say_open(const char *who)
{
    os.who = who;
    struct stat at;
    os.fd_is_socket = fstat(STDERR_FILENO, &at) == 0 && S_ISSOCK(at.st_mode);
    if (os.fd_is_socket)
        return;
    /* An open file description of our own: O_NONBLOCK on the one that the child shares would make
     * Postgres lose lines. */
    int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return;
    os.fd = fd;
    os.fd_may_block = false;
}

static void say_write(const char *line, size_t len)
{
    if (os.fd_is_socket) {
        (void)send(os.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    struct pollfd room = { .fd = os.fd, .events = POLLOUT };
    if (os.fd_may_block && (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0))
        return;
    ssize_t written = write(os.fd, line, len);
    (void)written;
}

void say(const char *format, ...)
{
    int saved = errno;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct tm parts;
    (void)gmtime_r(&now.tv_sec, &parts);
    char line[SAY_LINE_MAX];
    size_t len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &parts);
    len += (size_t)snprintf(line + len, sizeof(line) - len,
                            ".%03dZ INFO  %s: ", (int)(now.tv_nsec / 1000000), os.who);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + len, sizeof(line) - len, format, args);
    va_end(args);
    len += more < 0 ? 0 : (size_t)more;
    if (len > sizeof(line) - 1)
        len = sizeof(line) - 1;
    line[len] = '\n';
    say_write(line, len + 1);
    errno = saved;
}
