#include "sidecar/guard/guard_client_spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"

enum { SPAWN_FAILED = 127, PASS_MS = 10, ARGUMENTS = 8, LISTEN_MS = 2000, LISTEN_RETRY_MS = 5 };

/* The guard is not to be killed or counted with us. Cgroup v2 only, where we may; a failure changes
 * nothing: the lock file finds the tree as well. Makes the group; leaves the file to join it by. */
static void make_own_cgroup(char *ret_procs, size_t size)
{
    ret_procs[0] = 0;
    char line[LIMIT_PATH];
    auto_close int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
    if (got <= 0)
        return;
    line[got] = 0;
    char *own = strstr(line, "0::/");
    if (own == NULL || (own != line && own[-1] != '\n'))
        return;
    own += strlen("0::");
    own[strcspn(own, "\n")] = 0;
    char path[LIMIT_PATH];
    const char *slash = strcmp(own, "/") == 0 ? "" : "/";
    int len = snprintf(path, sizeof(path), "/sys/fs/cgroup%s%spgvigil-guard", own, slash);
    if (len < 0 || (size_t)len >= sizeof(path) || (mkdir(path, 0755) != 0 && errno != EEXIST))
        return;
    len = snprintf(ret_procs, size, "%s/cgroup.procs", path);
    if (len < 0 || (size_t)len >= size)
        ret_procs[0] = 0;
}

static void join_cgroup(const char *procs)
{
    int fd = procs[0] != 0 ? open(procs, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    ssize_t written = write(fd, "0", 1);
    (void)written;
    close(fd);
}

/* Between fork and exec of a process with threads: only what is safe there. */
static _Noreturn void spawn_exec(char *const *argv, const char *cgroup, int verdict)
{
    for (int signum = 1; signum < NSIG; signum++)
        (void)signal(signum, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    /* A second fork: the guard is nobody's child here, so that our end is not its. */
    pid_t pid = fork();
    if (pid > 0)
        _exit(0);
    if (pid == 0) {
        join_cgroup(cgroup);
        int null = open("/dev/null", O_RDONLY);
        if (null > STDIN_FILENO)
            (void)dup2(null, STDIN_FILENO);
        /* No descriptor of ours may keep a peer's connection open. */
        (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        if (chdir("/") != 0)
            _exit(SPAWN_FAILED);
        (void)execv(argv[0], argv);
    }
    int why = errno;
    ssize_t written = write(verdict, &why, sizeof(why));
    (void)written;
    _exit(SPAWN_FAILED);
}

static void spawn_arguments(const struct guard_spawn *spawn, const char **argv, char *grace,
                            size_t size)
{
    int count = 0;
    argv[count++] = spawn->program;
    argv[count++] = "--socket";
    argv[count++] = spawn->socket_path;
    if (spawn->lock_path != NULL) {
        argv[count++] = "--lock";
        argv[count++] = spawn->lock_path;
    }
    if (spawn->no_deadline)
        argv[count++] = "--no-deadline";
    if (spawn->grace_s > 0) {
        (void)snprintf(grace, size, "%lld", (long long)spawn->grace_s);
        argv[count++] = "--grace";
        argv[count++] = grace;
    }
    argv[count] = NULL;
}

/* A guard that is stopped listens as well: it is not lost. */
static bool somebody_listens(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !text_copy(address.sun_path, sizeof(address.sun_path), path))
        return false;
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
}

static enum err_code wait_until_listening(const char *path, struct err *err)
{
    struct mono give_up = mono_add(clock_mono(), LISTEN_MS);
    while (!somebody_listens(path)) {
        if (!mono_before(clock_mono(), give_up))
            return err_set(err, ERR_TIMEOUT, "the guard does not listen on %s", path);
        (void)poll(NULL, 0, LISTEN_RETRY_MS);
    }
    return ERR_OK;
}

enum err_code guard_client_spawn(const struct guard_spawn *spawn, struct err *err)
{
    const char *argv[ARGUMENTS + 1];
    char grace[32];
    char cgroup[LIMIT_PATH];
    int ends[2];
    if (somebody_listens(spawn->socket_path))
        return ERR_OK;
    make_own_cgroup(cgroup, sizeof(cgroup));
    spawn_arguments(spawn, argv, grace, sizeof(grace));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, errno, "start the guard: pipe");
    auto_close int verdict = ends[0];
    pid_t pid = fork();
    if (pid == 0)
        spawn_exec((char *const *)(uintptr_t)argv, cgroup, ends[1]);
    int why = errno;
    close(ends[1]);
    if (pid < 0)
        return err_errno(err, why, "start the guard: fork");
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    ssize_t got = 0;
    while ((got = read(verdict, &why, sizeof(why))) < 0 && errno == EINTR)
        continue;
    if (got == (ssize_t)sizeof(why))
        return err_errno(err, why, "start the guard %s", spawn->program);
    return wait_until_listening(spawn->socket_path, err);
}

/* Does the process have the file open? Zombies have nothing open: they can neither write nor
 * fork. */
static bool process_holds(const char *pid, const struct stat *lock)
{
    char path[LIMIT_PATH];
    (void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return false;
    bool holds = false;
    const struct dirent *entry = NULL;
    while (!holds && (entry = readdir(folder)) != NULL) {
        struct stat file;
        holds = fstatat(dirfd(folder), entry->d_name, &file, 0) == 0 &&
                file.st_ino == lock->st_ino && file.st_dev == lock->st_dev;
    }
    closedir(folder);
    return holds;
}

static int kill_holders(const struct stat *lock)
{
    DIR *folder = opendir("/proc");
    if (folder == NULL)
        return 0;
    int killed = 0;
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        int pid = (int)strtol(entry->d_name, NULL, 10);
        if (pid <= 0 || pid == (int)getpid() || !process_holds(entry->d_name, lock))
            continue;
        killed += kill(pid, SIGKILL) == 0 ? 1 : 0;
    }
    closedir(folder);
    return killed;
}

/* Nobody holds the lock: it can be had, and is given back at once. */
static enum err_code lock_is_free(const char *path, struct stat *ret_lock, struct err *err)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return ERR_OK;
    if (fd < 0 || fstat(fd, ret_lock) != 0)
        return err_errno(err, errno, "open the lock %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    if (errno != EWOULDBLOCK)
        return err_errno(err, errno, "try the lock %s", path);
    return err_set(err, ERR_CONFLICT, "something of the tree holds %s", path);
}

enum err_code guard_client_tree_gone(const char *lock_path, struct err *err)
{
    struct stat lock;
    return lock_is_free(lock_path, &lock, err);
}

enum err_code guard_client_kill_tree(const char *lock_path, struct mono give_up, struct err *err)
{
    for (;;) {
        struct stat lock;
        enum err_code code = lock_is_free(lock_path, &lock, err);
        if (code != ERR_CONFLICT)
            return code;
        int killed = kill_holders(&lock);
        if (killed > 0)
            log_debug("guard: lost, %d processes of its tree still ran -> killed", killed);
        if (!mono_before(clock_mono(), give_up))
            return err_set(err, ERR_TIMEOUT, "%s is still held, %s", lock_path,
                           killed > 0 ? "by processes that do not die"
                                      : "by nobody who can be seen from here");
        (void)poll(NULL, 0, PASS_MS);
    }
}

enum err_code guard_client_ensure(const struct guard_spawn *spawn, struct mono give_up,
                                  struct err *err)
{
    if (somebody_listens(spawn->socket_path))
        return ERR_OK;
    if (spawn->lock_path != NULL) {
        enum err_code code = guard_client_kill_tree(spawn->lock_path, give_up, err);
        if (code != ERR_OK)
            return code;
    }
    return guard_client_spawn(spawn, err);
}
