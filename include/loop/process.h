#pragma once
/* A child process of our own (initdb, pg_rewind, a user's callback …): argument vector, environment,
 * captured output, a deadline. No shell. Postgres itself is never started here but by the guard. */
#include <stddef.h>

#include "base/err.h"
#include "base/instant.h"
#include "loop/loop.h"

struct process;

struct process_result {
    int exit_code;      /* -1 when it ended by a signal */
    int term_signal;    /* 0 when it exited */
    bool timed_out;     /* the deadline passed: it was killed */
    const char *output; /* stdout and stderr mixed, the last 64 kB; borrowed during the callback */
};

typedef void process_done_fn(void *arg, const struct process_result *result);
/* Called with every full line of output; may be NULL; must not free the process. */
typedef void process_line_fn(void *arg, const char *line);

struct process_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
    const char *const *env;  /* NULL-terminated; NULL: inherit ours */
    const char *cwd;         /* NULL: ours */
    const char *input;       /* written to its standard input, then closed; NULL: /dev/null */
    struct mono deadline;    /* killed with its process group then; MONO_NEVER is allowed */
    process_line_fn *line;
    process_done_fn *done;
    void *arg;
};

/* Strings are copied. Errors: ERR_SYSTEM (not started; done is not called). */
enum err_code process_start(struct loop *loop, const struct process_spec *spec,
                            struct process **ret_process, struct err *err);
/* Sends a signal to it and to what it forked (its process group); nothing once it has ended. */
void process_signal(struct process *process, int signum);
/* Kills it if it still runs; `done` is not called afterwards; NULL is fine; returns NULL. */
struct process *process_free(struct process *process);
