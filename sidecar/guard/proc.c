#include "sidecar/guard/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PROC_DEPTH_MAX = 64, PROC_BATCH = 4096, PROC_STAT_MAX = 512 };

/* As the kernel fills it: readdir() of the C library would allocate. */
struct proc_dirent {
    unsigned long long ino;
    long long off;
    unsigned short reclen;
    unsigned char type;
    char name[];
};

typedef bool proc_visit_fn(int pid, const void *arg);

/* The parent of a process; -1 if it is gone, or a zombie that can neither run nor fork. */
static int proc_parent(int pid)
{
    char text[PROC_STAT_MAX];
    (void)snprintf(text, sizeof(text), "/proc/%d/stat", pid);
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return -1;
    text[got] = 0;
    /* "pid (name) state ppid …"; the name may hold anything, also ") ". */
    const char *after = strrchr(text, ')');
    if (after == NULL || strlen(after) < 5)
        return -1;
    return (int)strtol(after + 4, NULL, 10);
}

static bool proc_is_below(int pid, int root)
{
    for (int depth = 0; depth < PROC_DEPTH_MAX; depth++) {
        pid = proc_parent(pid);
        if (pid == root)
            return true;
        if (pid <= 1)
            return false;
    }
    return true;
}

/* Calls `visit` for every process; returns how many answered true, -1 if /proc cannot be read. */
static int proc_each(proc_visit_fn *visit, const void *arg)
{
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    _Alignas(struct proc_dirent) char batch[PROC_BATCH];
    int seen = 0;
    int count = 0;
    long got = 0;
    while ((got = syscall(SYS_getdents64, fd, batch, sizeof(batch))) > 0) {
        const struct proc_dirent *entry = NULL;
        for (long at = 0; at < got; at += entry->reclen) {
            entry = (const void *)(batch + at);
            int pid = (int)strtol(entry->name, NULL, 10);
            if (pid <= 0)
                continue;
            seen++;
            if (visit(pid, arg))
                count++;
        }
    }
    close(fd);
    return got < 0 || seen == 0 ? -1 : count;
}

static bool proc_kill_below(int pid, const void *arg)
{
    const int *root = arg;
    return pid != *root && proc_is_below(pid, *root) && kill(pid, SIGKILL) == 0;
}

/* The list may lack some while processes end; it is only ever a head start. */
static void proc_kill_listed(int parent)
{
    char text[PROC_BATCH];
    (void)snprintf(text, sizeof(text), "/proc/%d/task/%d/children", parent, parent);
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    long pid = 0;
    ssize_t got = 0;
    while ((got = read(fd, text, sizeof(text))) > 0)
        for (ssize_t at = 0; at < got; at++) {
            if (text[at] >= '0' && text[at] <= '9') {
                pid = pid * 10 + (text[at] - '0');
                continue;
            }
            if (pid > 1)
                (void)kill((pid_t)pid, SIGKILL);
            pid = 0;
        }
    close(fd);
}

/* A /proc of another pid namespace names other processes than kill() does. */
static bool proc_is_ours(void)
{
    char link[32];
    ssize_t len = readlink("/proc/self", link, sizeof(link) - 1);
    if (len <= 0)
        return false;
    link[len] = 0;
    return (int)strtol(link, NULL, 10) == (int)getpid();
}

void proc_kill_head_start(int child)
{
    if (!proc_is_ours())
        return;
    proc_kill_listed(child);
    /* Those that lost their parent in the meantime. */
    proc_kill_listed((int)getpid());
}

int proc_kill_descendants(void)
{
    int self = (int)getpid();
    int killed = proc_is_ours() ? proc_each(proc_kill_below, &self) : -1;
    if (killed < 0 && self == 1)
        (void)kill(-1, SIGKILL);
    return killed;
}

void proc_kill_tree(int root)
{
    if (proc_is_ours())
        (void)proc_each(proc_kill_below, &root);
    (void)kill(-root, SIGKILL);
    (void)kill(root, SIGKILL);
}

struct proc_signal {
    int parent;
    int signum;
};

static bool proc_signal_child(int pid, const void *arg)
{
    const struct proc_signal *order = arg;
    return proc_parent(pid) == order->parent && kill(pid, order->signum) == 0;
}

int proc_signal_children(int signum)
{
    struct proc_signal order = { .parent = (int)getpid(), .signum = signum };
    return proc_is_ours() ? proc_each(proc_signal_child, &order) : -1;
}
