#include "sidecar/postgres/tools.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

enum { RETRY_MS = 50, MAX_ENV = 16, LINE_MAX_BYTES = 1024 };

/* Where the images that we know keep their programs; used when bin_dir is not set. */
static const char *const usual_path =
    "/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/bin:/usr/sbin:/sbin:"
    "/usr/pgsql-17/bin:/usr/lib/postgresql/18/bin:/usr/lib/postgresql/16/bin:"
    "/usr/lib/postgresql/15/bin";

struct tool_call {
    struct tools *tools;
    struct tool_call *next; /* in the queue */
    bool queued;
    char **argv;
    char **env;
    struct mono deadline;
    tool_line_fn *line;
    tool_done_fn *done;
    void *arg;
};

/* What the guard runs for us. It outlives the call that wanted it, until the guard has answered. */
struct tool_run {
    struct tools *tools;    /* NULL: the tools are gone */
    struct tool_call *call; /* NULL: nobody wants it any more */
    struct text output;
    size_t line_start;
};

struct tools {
    struct loop *loop;
    struct guard_client *guard;
    char *bin_dir;
    char *path;
    struct tool_call *first;
    struct tool_run *run;
    struct source *next; /* time to look at the queue */
};

static void on_next(void *arg);

struct tools *tools_new(struct loop *loop, struct guard_client *guard, const char *bin_dir)
{
    struct tools *tools = mem_struct(struct tools);
    struct text path = text_new(LIMIT_PATH + 512);
    tools->loop = loop;
    tools->guard = guard;
    tools->bin_dir = mem_strdup(bin_dir);
    text_add(&path, "PATH=");
    if (bin_dir != NULL)
        text_addf(&path, "%s:", bin_dir);
    text_add(&path, usual_path);
    tools->path = text_take(&path);
    tools->next = loop_timer(loop, on_next, tools);
    return tools;
}

struct tools *tools_free(struct tools *tools)
{
    if (tools == NULL)
        return NULL;
    if (tools->run != NULL) {
        guard_run_cancel(tools->guard);
        if (tools->run->call != NULL)
            tools->run->call->tools = NULL;
        tools->run->call = NULL;
        tools->run->tools = NULL;
    }
    for (struct tool_call *call = tools->first; call != NULL; call = call->next)
        call->tools = NULL;
    source_free(tools->next);
    free(tools->bin_dir);
    free(tools->path);
    free(tools);
    return NULL;
}

bool tools_busy(const struct tools *tools)
{
    return tools->run != NULL || tools->first != NULL;
}

const char *tools_path(const struct tools *tools)
{
    return tools->path;
}

/* ---- calls ---- */

size_t tools_program(const struct tools *tools, const char *program, char *ret_argv[2])
{
    if (strchr(program, '/') != NULL) {
        ret_argv[0] = mem_strdup(program);
        return 1;
    }
    if (tools->bin_dir == NULL) {
        ret_argv[0] = mem_strdup("/usr/bin/env");
        ret_argv[1] = mem_strdup(program);
        return 2;
    }
    struct text path = text_new(LIMIT_PATH);
    text_addf(&path, "%s/%s", tools->bin_dir, program);
    ret_argv[0] = text_take(&path);
    return 1;
}

static char **copy_argv(const struct tools *tools, const struct tool_spec *spec)
{
    char **argv = mem_array(LIMIT_ARGV + 1, sizeof(char *));
    size_t n = tools_program(tools, spec->program, argv);
    for (size_t i = 0; spec->args[i] != NULL; i++) {
        assert(n < LIMIT_ARGV);
        argv[n++] = mem_strdup(spec->args[i]);
    }
    return argv;
}

static char **copy_env(const struct tools *tools, const struct tool_spec *spec)
{
    char **env = mem_array(MAX_ENV + 1, sizeof(char *));
    size_t n = 0;
    env[n++] = mem_strdup(tools->path);
    env[n++] = mem_strdup("LC_ALL=C"); /* what we read in its output */
    for (size_t i = 0; spec->env != NULL && spec->env[i] != NULL; i++) {
        assert(n < MAX_ENV);
        env[n++] = mem_strdup(spec->env[i]);
    }
    return env;
}

static void free_texts(char **texts)
{
    for (size_t i = 0; texts[i] != NULL; i++)
        free(texts[i]);
    free(texts);
}

static void enqueue(struct tools *tools, struct tool_call *call)
{
    struct tool_call **at = &tools->first;
    while (*at != NULL)
        at = &(*at)->next;
    *at = call;
    call->queued = true;
}

static void dequeue(struct tools *tools, struct tool_call *call)
{
    struct tool_call **at = &tools->first;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->next = NULL;
    call->queued = false;
}

struct tool_call *tools_run(struct tools *tools, const struct tool_spec *spec)
{
    struct tool_call *call = mem_struct(struct tool_call);
    call->tools = tools;
    call->argv = copy_argv(tools, spec);
    call->env = copy_env(tools, spec);
    call->deadline = spec->deadline;
    call->line = spec->line;
    call->done = spec->done;
    call->arg = spec->arg;
    enqueue(tools, call);
    source_arm_in(tools->next, 0);
    return call;
}

struct tool_call *tool_call_free(struct tool_call *call)
{
    if (call == NULL)
        return NULL;
    if (call->tools != NULL && call->queued)
        dequeue(call->tools, call);
    if (call->tools != NULL && call->tools->run != NULL && call->tools->run->call == call) {
        call->tools->run->call = NULL;
        guard_run_cancel(call->tools->guard);
    }
    free_texts(call->argv);
    free_texts(call->env);
    free(call);
    return NULL;
}

/* ---- running ---- */

static void report(struct tool_call *call, enum err_code code, const struct err *err, int status,
                   const char *output)
{
    const struct tool_result result = {
        .code = code,
        .err = err,
        .exit_code = code == ERR_OK && WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .output = output,
    };
    call->tools = NULL; /* nothing of ours holds it from here on */
    call->done(call->arg, &result);
}

/* Keeps the last part: a tool says what went wrong at its end. */
static void keep(struct tool_run *run, const char *bytes, size_t len)
{
    struct text *output = &run->output;
    if (len > output->max / 2) {
        bytes += len - output->max / 2;
        len = output->max / 2;
    }
    if (output->max - output->len <= len) {
        size_t drop = output->len / 2;
        memmove(output->data, output->data + drop, output->len - drop + 1);
        output->len -= drop;
        run->line_start = run->line_start > drop ? run->line_start - drop : 0;
    }
    text_add_bytes(output, bytes, len);
}

static void on_output(void *arg, const char *bytes, size_t len)
{
    struct tool_run *run = arg;
    keep(run, bytes, len);
    for (;;) {
        const char *line = text_str(&run->output) + run->line_start;
        size_t length = strcspn(line, "\r\n");
        if (line[length] == '\0')
            return;
        run->line_start += length + 1;
        if (length == 0 || run->call == NULL || run->call->line == NULL)
            continue;
        char copy[LINE_MAX_BYTES];
        snprintf(copy, sizeof(copy), "%.*s", (int)length, line);
        run->call->line(run->call->arg, copy);
    }
}

static bool try_again(struct tools *tools, struct tool_call *call, enum err_code code)
{
    /* The guard still kills what a former sidecar, or a cancelled call, had it run. */
    if (code != ERR_REFUSED || !mono_before(loop_now(tools->loop), call->deadline))
        return false;
    /* G3: somebody else's Postgres does not end within that time. */
    if (!guard_client_status(tools->guard)->lock_held)
        return false;
    call->next = tools->first;
    tools->first = call;
    call->queued = true;
    return true;
}

static void on_run_done(void *arg, enum err_code code, int wait_status)
{
    struct tool_run *run = arg;
    struct tools *tools = run->tools;
    struct tool_call *call = run->call;
    struct err err = { .code = ERR_OK };
    bool again = false;

    if (tools != NULL) {
        tools->run = NULL;
        again = call != NULL && try_again(tools, call, code);
        source_arm_in(tools->next, again ? RETRY_MS : 0);
    }
    if (code != ERR_OK)
        err_set(&err, code, "guard: %s", err_code_name(code));
    if (call != NULL && !again)
        report(call, code, &err, wait_status, text_str(&run->output));
    text_done(&run->output);
    free(run);
}

static void start(struct tools *tools, struct tool_call *call)
{
    struct tool_run *run = mem_struct(struct tool_run);
    run->tools = tools;
    run->call = call;
    run->output = text_new(LIMIT_PROCESS_OUTPUT);
    tools->run = run;
    const struct guard_run request = {
        .argv = (const char *const *)call->argv,
        .env = (const char *const *)call->env,
        .cwd = "/",
        .deadline = call->deadline,
        .output = on_output,
        .done = on_run_done,
        .arg = run,
    };
    guard_run(tools->guard, &request);
}

static void on_next(void *arg)
{
    struct tools *tools = arg;
    struct tool_call *call = tools->first;
    if (tools->run != NULL || call == NULL)
        return;
    dequeue(tools, call);
    if (mono_before(loop_now(tools->loop), call->deadline)) {
        start(tools, call);
        return;
    }
    struct err err = { .code = ERR_OK };
    err_set(&err, ERR_TIMEOUT, "another tool ran for too long");
    source_arm_in(tools->next, 0);
    report(call, ERR_TIMEOUT, &err, 0, "");
}

/* ---- verdicts ---- */

/* The last lines that say something, in one line. */
static const char *last_words(const char *output, char *buffer, size_t size)
{
    size_t end = strlen(output);
    while (end > 0 && (output[end - 1] == '\n' || output[end - 1] == '\r'))
        end--;
    size_t begin = end;
    size_t lines = 0;
    while (begin > 0 && end - begin < size - 1) {
        if (output[begin - 1] == '\n' && ++lines == 3)
            break;
        begin--;
    }
    size_t len = end - begin;
    for (size_t i = 0; i < len; i++)
        buffer[i] =
            output[begin + i] == '\n' || output[begin + i] == '\r' ? ' ' : output[begin + i];
    buffer[len] = '\0';
    return buffer;
}

enum err_code tool_verdict(const struct tool_result *result, const char *program, struct err *err)
{
    char words[384];
    if (result->code != ERR_OK)
        return err_set(err, result->code, "%s: %s: %s", program, result->err->text,
                       last_words(result->output, words, sizeof(words)));
    if (result->exit_code == 0)
        return ERR_OK;
    if (result->exit_code == 127)
        return err_set(err, ERR_INVALID, "%s: not found (postgresql.bin_dir)", program);
    last_words(result->output, words, sizeof(words));
    return err_set(err, ERR_SYSTEM, "%s: %s (exit status %d)", program,
                   words[0] != '\0' ? words : "it says nothing", result->exit_code);
}
