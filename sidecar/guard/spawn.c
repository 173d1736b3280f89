#include "sidecar/guard/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sidecar/guard/os.h"

enum { SPAWN_EXIT_FAILED = 127 };

static void spawn_reset_signals(void)
{
    for (int signum = 1; signum < NSIG; signum++)
        (void)signal(signum, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool spawn_files(const struct spawn *spawn)
{
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (input >= 0 && dup2(input, STDIN_FILENO) < 0)
        return false;
    if (spawn->output < 0)
        return true;
    return dup2(spawn->output, STDOUT_FILENO) >= 0 && dup2(spawn->output, STDERR_FILENO) >= 0;
}

/* Only what is safe between fork and exec. */
static _Noreturn void spawn_child(const struct spawn *spawn, pid_t parent, int verdict)
{
    spawn_reset_signals();
    if (spawn->own_session)
        (void)setsid();
    os_unshield_child();
    bool fine = spawn_files(spawn) && (spawn->cwd == NULL || chdir(spawn->cwd) == 0);
    if (fine && spawn->die_with_parent) {
        fine = prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL) == 0;
        /* It may have died before the line above. */
        if (getppid() != parent)
            _exit(SPAWN_EXIT_FAILED);
    }
    if (fine)
        (void)execve(spawn->argv[0], spawn->argv, spawn->env);
    int why = errno;
    ssize_t written = write(verdict, &why, sizeof(why));
    (void)written;
    _exit(SPAWN_EXIT_FAILED);
}

pid_t spawn_start(const struct spawn *spawn, int *ret_verdict)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        spawn_child(spawn, parent, ends[1]);
    int saved = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        errno = saved;
        return -1;
    }
    *ret_verdict = ends[0];
    return pid;
}

enum spawn_verdict spawn_verdict(int verdict, int *ret_errno)
{
    int why = 0;
    ssize_t got = read(verdict, &why, sizeof(why));
    if (got == 0)
        return SPAWN_RUNS;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return SPAWN_PENDING;
    *ret_errno = got == (ssize_t)sizeof(why) ? why : EIO;
    return SPAWN_FAILED;
}
