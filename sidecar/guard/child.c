#include "sidecar/guard/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sidecar/guard/os.h"
#include "sidecar/guard/proc.h"
#include "sidecar/guard/spawn.h"

enum { SWEEP_FIRST_MS = 2, SWEEP_LAST_MS = 50, HOLDER_MAX = 100 };

void child_init(struct child *child)
{
    *child = (struct child){ .verdict_fd = -1, .lock_fd = -1 };
}

/* Who has the lock, for a person: in a pod the host's name is the pod's. A file that does not take
 * it is no reason not to start. */
static void lock_sign(int fd)
{
    char host[HOLDER_MAX / 2] = "";
    char words[HOLDER_MAX];
    (void)gethostname(host, sizeof(host) - 1);
    int len = snprintf(words, sizeof(words), "process %d of %s\n", (int)getpid(), host);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, words, (size_t)len, 0) != len)
        say("the lock file does not say who holds it: %s", strerror(errno));
}

/* What the holder has written, one line without surprises. */
static const char *lock_holder(int fd, char words[HOLDER_MAX])
{
    ssize_t got = pread(fd, words, HOLDER_MAX - 1, 0);
    size_t len = 0;
    while (got > 0 && len < (size_t)got && words[len] >= ' ' && words[len] <= '~')
        len++;
    words[len] = 0;
    return len > 0 ? words : "it does not say who";
}

enum proto_code child_lock(struct child *child, const char *path, char *text, size_t size)
{
    if (child->lock_fd >= 0 || path == NULL)
        return PROTO_OK;
    /* Not O_CLOEXEC: the lock belongs to the open file, and the child shares it (G3). */
    int fd = open(path, O_RDWR | O_CREAT | O_NOCTTY, 0600); /* NOLINT(android-cloexec-open) */
    if (fd < 0) {
        (void)snprintf(text, size, "cannot open the lock file %s: %s", path, strerror(errno));
        return PROTO_SYSTEM;
    }
    struct stat opened;
    struct stat named;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        bool held = why == EWOULDBLOCK;
        char holder[HOLDER_MAX];
        (void)snprintf(text, size, "%s %s (%s)%s",
                       held ? "another guard or its child holds" : "cannot lock", path,
                       held ? lock_holder(fd, holder) : strerror(why),
                       held ? ": only one may run on this data" : "");
        close(fd);
        return held ? PROTO_REFUSED : PROTO_SYSTEM;
    }
    if (fstat(fd, &opened) != 0 || stat(path, &named) != 0 || opened.st_ino != named.st_ino ||
        opened.st_dev != named.st_dev) {
        (void)snprintf(text, size, "the lock file %s was replaced while it was locked", path);
        close(fd);
        return PROTO_REFUSED;
    }
    lock_sign(fd);
    child->lock_fd = fd;
    return PROTO_OK;
}

enum proto_code child_start(struct child *child, const struct child_program *program, char *text,
                            size_t size)
{
    const struct spawn spawn = { .argv = program->argv,
                                 .env = program->env,
                                 .cwd = program->cwd,
                                 .output = -1,
                                 .die_with_parent = true,
                                 .own_session = true };
    pid_t pid = spawn_start(&spawn, &child->verdict_fd);
    if (pid < 0) {
        (void)snprintf(text, size, "cannot fork: %s", strerror(errno));
        return PROTO_SYSTEM;
    }
    child->pid = (int)pid;
    child->state = PROTO_CHILD_RUNNING;
    child->children++;
    child->killed_by_deadline = false;
    return PROTO_OK;
}

static void child_pass(struct child *child, struct mono now)
{
    /* The child first: a dead postmaster starts no more backends. */
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL);
        proc_kill_head_start(child->pid);
    }
    (void)proc_kill_descendants();
    child->sweep_at = mono_add(now, child->sweep_wait_ms);
    child->sweep_wait_ms *= 2;
    if (child->sweep_wait_ms > SWEEP_LAST_MS)
        child->sweep_wait_ms = SWEEP_LAST_MS;
}

void child_kill(struct child *child, struct mono now)
{
    if (child->state != PROTO_CHILD_RUNNING)
        return;
    child->state = PROTO_CHILD_DYING;
    child->sweep_wait_ms = SWEEP_FIRST_MS;
    child_pass(child, now);
}

void child_sweep(struct child *child, struct mono now)
{
    if (child->state == PROTO_CHILD_DYING && !mono_before(now, child->sweep_at))
        child_pass(child, now);
}

bool child_reaped(struct child *child, int pid, int status, struct mono now)
{
    if (child->pid == 0 || pid != child->pid)
        return false;
    child->pid = 0;
    child->exit_status = status;
    if (child->state == PROTO_CHILD_RUNNING) {
        child->state = PROTO_CHILD_DYING;
        child->sweep_wait_ms = SWEEP_FIRST_MS;
        /* The caller goes on reaping; most often nothing is left and no pass is needed. */
        child->sweep_at = now;
    }
    return true;
}

bool child_all_gone(struct child *child)
{
    if (child->state != PROTO_CHILD_DYING)
        return false;
    child->state = PROTO_CHILD_NONE;
    child->pid = 0;
    return true;
}
