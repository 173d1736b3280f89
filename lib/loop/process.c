#include "loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/mem.h"
#include "loop_internal.h"

/* The child ends when its pidfd says so; output is then read until the pipe is empty, not until it
 * is closed: what the child left behind in the background may hold it open for ever. */
struct process {
    pid_t pid;
    int pid_fd;
    int output_fd;
    bool timed_out;
    struct loop *loop;
    struct source *exit_source;
    struct source *output_source;
    struct source *deadline;
    process_line_fn *line;
    process_done_fn *done;
    void *arg;
    size_t line_start; /* where the line that is not yet complete begins in `output` */
    struct text output;
};

enum { OUTPUT_MAX = LIMIT_PROCESS_OUTPUT };

/* --- output --- */

/* Keeps the last part: a tool says what went wrong at its end. */
static void drop_oldest(struct process *process, size_t room)
{
    struct text *output = &process->output;
    if (output->max - output->len >= room)
        return;
    size_t drop = output->len < room ? output->len : room;
    memmove(output->data, output->data + drop, output->len - drop + 1);
    output->len -= drop;
    process->line_start = process->line_start > drop ? process->line_start - drop : 0;
}

static void report_line(struct process *process, size_t len)
{
    auto_free char *line = mem_strndup(process->output.data + process->line_start, len);
    process->line_start += len;
    if (process->line != NULL)
        process->line(process->arg, line);
}

static void report_lines(struct process *process)
{
    const char *end;
    while (process->output.len > process->line_start &&
           (end = memchr(process->output.data + process->line_start, '\n',
                         process->output.len - process->line_start)) != NULL) {
        report_line(process, (size_t)(end - (process->output.data + process->line_start)));
        process->line_start++;
    }
}

/* Reads what is there, at most a bounded amount a turn; false when nothing more will come. */
static bool read_output(struct process *process, int turns)
{
    char chunk[4096];
    while (turns-- > 0) {
        ssize_t got = read(process->output_fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno == EAGAIN;
        drop_oldest(process, (size_t)got);
        text_add_bytes(&process->output, chunk, (size_t)got);
        report_lines(process);
    }
    return true;
}

static void on_output(void *arg, int events)
{
    (void)events;
    struct process *process = arg;
    if (!read_output(process, 16))
        process->output_source = source_free(process->output_source);
}

/* --- the end --- */

static void reap(int pid_fd, siginfo_t *ret_info)
{
    *ret_info = (siginfo_t){ 0 };
    while (waitid(P_PIDFD, (id_t)pid_fd, ret_info, WEXITED | WNOHANG) < 0 && errno == EINTR)
        ;
}

static void process_discard(struct process *process)
{
    source_free(process->exit_source);
    source_free(process->output_source);
    source_free(process->deadline);
    if (process->pid_fd >= 0)
        close(process->pid_fd);
    if (process->output_fd >= 0)
        close(process->output_fd);
    text_done(&process->output);
    free(process);
}

static void on_gone(void *arg, int events)
{
    (void)events;
    struct process *process = arg;
    siginfo_t info;
    reap(process->pid_fd, &info);
    if (info.si_pid == 0)
        return;
    process->pid = 0;
    process->exit_source = source_free(process->exit_source);
    process->deadline = source_free(process->deadline);
    if (process->output_source != NULL)
        read_output(process, OUTPUT_MAX / 4096);
    process->output_source = source_free(process->output_source);
    if (process->output.len > process->line_start)
        report_line(process, process->output.len - process->line_start);
    bool exited = info.si_code == CLD_EXITED;
    struct process_result result = {
        .exit_code = exited ? info.si_status : -1,
        .term_signal = exited ? 0 : info.si_status,
        .timed_out = process->timed_out,
        .output = text_str(&process->output),
    };
    /* The callback may free the process; the output must last until it returns. */
    struct text output = process->output;
    process->output = text_new(OUTPUT_MAX);
    process->done(process->arg, &result);
    text_done(&output);
}

static void on_deadline(void *arg)
{
    struct process *process = arg;
    process->timed_out = true;
    process_signal(process, SIGKILL);
}

void process_signal(struct process *process, int signum)
{
    if (process->pid != 0)
        kill(-process->pid, signum);
}

static void on_orphan(struct source *source, int pid_fd)
{
    siginfo_t info;
    reap(pid_fd, &info);
    source_free(source);
}

struct process *process_free(struct process *process)
{
    if (process == NULL)
        return NULL;
    if (process->pid != 0) {
        kill(-process->pid, SIGKILL);
        process->exit_source = source_free(process->exit_source);
        loop_owned_fd(process->loop, take_fd(&process->pid_fd), on_orphan);
    }
    process_discard(process);
    return NULL;
}

/* --- the start --- */

/* A file in memory instead of a pipe: nobody has to write it bit by bit. */
static enum err_code open_input(const char *input, int *ret_fd, struct err *err)
{
    if (input == NULL) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_errno(err, errno, "open /dev/null");
        *ret_fd = fd;
        return ERR_OK;
    }
    auto_close int fd = memfd_create("input", MFD_CLOEXEC);
    size_t len = strlen(input);
    if (fd < 0 || write(fd, input, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
        return err_errno(err, errno, "hold a child's input");
    *ret_fd = take_fd(&fd);
    return ERR_OK;
}

/* A session of its own, so that the deadline reaches what it forks; no signal blocked or ignored. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setsigmask(attributes, &none);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETSIGMASK);
}

static int spawn(const struct process_spec *spec, int input, int output, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int failed = set_attributes(&attributes);
    if (failed == 0 && spec->cwd != NULL)
        failed = posix_spawn_file_actions_addchdir_np(&actions, spec->cwd);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    if (failed == 0) /* libraries do not always say O_CLOEXEC */
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    /* posix_spawn does not write through these; its prototype only lacks the const. */
    union {
        const char *const *in;
        char *const *out;
    } argv = { .in = spec->argv }, env = { .in = spec->env };
    if (failed == 0)
        failed = posix_spawnp(ret_pid, spec->argv[0], &actions, &attributes, argv.out,
                              spec->env == NULL ? environ : env.out);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static struct process *process_new(struct loop *loop, const struct process_spec *spec)
{
    struct process *process = mem_struct(struct process);
    process->loop = loop;
    process->pid_fd = -1;
    process->output_fd = -1;
    process->output = text_new(OUTPUT_MAX);
    process->line = spec->line;
    process->done = spec->done;
    process->arg = spec->arg;
    return process;
}

/* Without a pidfd nobody could wait for it: the child goes again. */
static enum err_code give_up_child(pid_t pid, int errnum, struct err *err)
{
    kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return err_errno(err, errnum, "pidfd_open");
}

enum err_code process_start(struct loop *loop, const struct process_spec *spec,
                            struct process **ret_process, struct err *err)
{
    auto_close int input = -1;
    enum err_code code = open_input(spec->input, &input, err);
    if (code != ERR_OK)
        return code;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, errno, "pipe");
    auto_close int read_end = ends[0];
    auto_close int write_end = ends[1];
    pid_t pid = 0;
    int failed = spawn(spec, input, write_end, &pid);
    if (failed != 0)
        return err_errno(err, failed, "start %s", spec->argv[0]);
    int pid_fd = pidfd_open(pid, 0);
    if (pid_fd < 0)
        return give_up_child(pid, errno, err);
    (void)fcntl(pid_fd, F_SETFD, FD_CLOEXEC);
    struct process *process = process_new(loop, spec);
    process->pid = pid;
    process->pid_fd = pid_fd;
    process->output_fd = take_fd(&read_end);
    process->exit_source = loop_fd(loop, pid_fd, LOOP_READ, on_gone, process);
    process->output_source = loop_fd(loop, process->output_fd, LOOP_READ, on_output, process);
    process->deadline = loop_timer(loop, on_deadline, process);
    source_arm_at(process->deadline, spec->deadline);
    *ret_process = process;
    return ERR_OK;
}
