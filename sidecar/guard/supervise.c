#include "sidecar/guard/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "sidecar/guard/os.h"
#include "sidecar/guard/proc.h"
#include "sidecar/guard/spawn.h"

enum {
    RESTARTS_PER_MINUTE = 10,
    RESTART_WINDOW_MS = 60000,
    RESTART_SLOW_MS = 5000,
    KILL_RETRY_MS = 100,
    EXIT_FAILED = 1,
};

struct supervisor {
    const struct supervise_options *options;
    char path[LIMIT_PATH];
    int signal_fd;
    int sidecar; /* pid; 0: none runs */
    int exit_status;
    bool stopping;
    bool guards_told;                         /* what is left was sent SIGTERM */
    bool nothing_left;                        /* the kernel: no child */
    struct mono started[RESTARTS_PER_MINUTE]; /* the last starts; a ring */
    unsigned starts;
    struct mono start_at; /* the next start, while none runs and none is stopping */
    struct mono kill_at;  /* of what is left, once stopping */
};

/* As execvp would find it, but once and before anything depends on it. */
static bool supervise_find(struct supervisor *supervisor, const char *name)
{
    size_t size = sizeof(supervisor->path);
    if (strchr(name, '/') != NULL)
        return (size_t)snprintf(supervisor->path, size, "%s", name) < size;
    const char *at = getenv("PATH");
    while (at != NULL && *at != 0) {
        int len = (int)strcspn(at, ":");
        if ((size_t)snprintf(supervisor->path, size, "%.*s/%s", len, at, name) < size &&
            access(supervisor->path, X_OK) == 0)
            return true;
        at += len;
        at += *at == ':' ? 1 : 0;
    }
    return false;
}

static void supervise_start(struct supervisor *supervisor, struct mono now)
{
    char *argv[LIMIT_ARGV + 1];
    int count = 0;
    for (; count < LIMIT_ARGV && supervisor->options->argv[count] != NULL; count++)
        argv[count] = supervisor->options->argv[count];
    argv[count] = NULL;
    argv[0] = supervisor->path;
    const struct spawn spawn = { .argv = argv, .env = supervisor->options->env, .output = -1 };
    int verdict = -1;
    supervisor->started[supervisor->starts++ % RESTARTS_PER_MINUTE] = now;
    supervisor->start_at = MONO_NEVER;
    pid_t pid = spawn_start(&spawn, &verdict);
    if (pid < 0) {
        say("cannot fork: %s -> again in %d ms", strerror(errno), RESTART_SLOW_MS);
        supervisor->start_at = mono_add(now, RESTART_SLOW_MS);
        return;
    }
    /* Nothing else hangs on this loop: it may wait until the program was executed. */
    struct pollfd ready = { .fd = verdict, .events = POLLIN };
    int why = 0;
    (void)poll(&ready, 1, -1);
    if (spawn_verdict(verdict, &why) == SPAWN_FAILED)
        say("cannot execute %s: %s -> it will be tried again", argv[0], strerror(why));
    close(verdict);
    supervisor->sidecar = (int)pid;
    supervisor->nothing_left = false;
}

/* At once for the first ten deaths of a minute: the lease goes on, and so does Postgres. */
static struct mono supervise_next_start(const struct supervisor *supervisor, struct mono now)
{
    if (supervisor->starts < RESTARTS_PER_MINUTE)
        return now;
    struct mono tenth_last = supervisor->started[supervisor->starts % RESTARTS_PER_MINUTE];
    bool often = mono_diff(now, tenth_last) < RESTART_WINDOW_MS;
    return often ? mono_add(now, RESTART_SLOW_MS) : now;
}

static void supervise_stop(struct supervisor *supervisor, struct mono now)
{
    if (supervisor->stopping)
        return;
    supervisor->stopping = true;
    supervisor->start_at = MONO_NEVER;
    supervisor->kill_at = mono_add(now, supervisor->options->grace_ms);
}

static void supervise_ended(struct supervisor *supervisor, int status, struct mono now)
{
    int pid = supervisor->sidecar;
    supervisor->sidecar = 0;
    supervisor->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (supervisor->stopping || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        say("process %d of the sidecar ended with status %d -> stop", pid, supervisor->exit_status);
        supervise_stop(supervisor, now);
        return;
    }
    supervisor->start_at = supervise_next_start(supervisor, now);
    say("process %d of the sidecar ended with status %d -> start it again in %lld ms", pid,
        supervisor->exit_status, (long long)mono_diff(supervisor->start_at, now));
}

static void supervise_reap(struct supervisor *supervisor, struct mono now)
{
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            supervisor->nothing_left = true;
        if (pid <= 0)
            return;
        if ((int)pid == supervisor->sidecar)
            supervise_ended(supervisor, status, now);
    }
}

static void supervise_forward(struct supervisor *supervisor, int signum, struct mono now)
{
    if (signum == SIGHUP) {
        if (supervisor->sidecar != 0)
            (void)kill(supervisor->sidecar, SIGHUP);
        return;
    }
    say("signal %d -> the sidecar is to stop", signum);
    supervise_stop(supervisor, now);
    if (supervisor->sidecar != 0)
        (void)kill(supervisor->sidecar, SIGTERM);
}

static void supervise_take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            supervise_forward(supervisor, (int)info.ssi_signo, os_now());
}

/* What is due. Returns when to look again. */
static struct mono supervise_act(struct supervisor *supervisor, struct mono now)
{
    if (!mono_before(now, supervisor->start_at))
        supervise_start(supervisor, now);
    if (!supervisor->stopping)
        return supervisor->start_at;
    if (supervisor->sidecar == 0 && !supervisor->guards_told) {
        supervisor->guards_told = true;
        (void)proc_signal_children(SIGTERM);
    }
    if (mono_before(now, supervisor->kill_at))
        return supervisor->kill_at;
    if (proc_kill_descendants() > 0)
        say("the grace is over -> what is left was killed");
    return mono_add(now, KILL_RETRY_MS);
}

static bool supervise_prepare(struct supervisor *supervisor)
{
    supervisor->signal_fd = os_signal_fd();
    return supervisor->signal_fd >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1UL) == 0;
}

int supervise_main(const struct supervise_options *options)
{
    struct supervisor supervisor = { .options = options, .kill_at = MONO_NEVER };
    if (!supervise_prepare(&supervisor)) {
        say("the system said no (%s) -> end", strerror(errno));
        return EXIT_FAILED;
    }
    if (!supervise_find(&supervisor, options->argv[0])) {
        say("no program %s in PATH -> end", options->argv[0]);
        return EXIT_FAILED;
    }
    supervisor.start_at = os_now();
    while (!supervisor.stopping || supervisor.sidecar != 0 || !supervisor.nothing_left) {
        struct mono now = os_now();
        struct mono next = supervise_act(&supervisor, now);
        supervise_reap(&supervisor, now);
        if (supervisor.stopping && supervisor.nothing_left)
            break;
        next = mono_min(next, supervisor.start_at);
        struct pollfd wake = { .fd = supervisor.signal_fd, .events = POLLIN };
        int64_t wait = mono_diff(next, os_now());
        int timeout = next.ms == INT64_MAX ? -1 : wait < 0 ? 0 : (int)(wait + 1);
        (void)poll(&wake, 1, timeout);
        supervise_take_signals(&supervisor);
        supervise_reap(&supervisor, os_now());
    }
    say("nothing is left -> end");
    return supervisor.exit_status;
}
