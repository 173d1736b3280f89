#pragma once
/* One-shot tools of PostgreSQL (initdb, pg_controldata, pg_basebackup …), run through the guard in
 * the image of Postgres. The guard runs one at a time: the others wait for their turn here. */
#include <stddef.h>

#include "base/err.h"
#include "base/instant.h"
#include "loop/loop.h"
#include "sidecar/guard/guard_client.h"

struct tools;
struct tool_call;

struct tool_result {
    enum err_code code; /* OK: it ran and ended (see exit_code); else the guard's word */
    const struct err *err;
    int exit_code;      /* -1: ended by a signal */
    const char *output; /* stdout and stderr mixed, the last 64 kB; borrowed during the callback */
};

typedef void tool_line_fn(void *arg, const char *line);
typedef void tool_done_fn(void *arg, const struct tool_result *result);

struct tool_spec {
    const char *program;     /* "pg_rewind": found in bin_dir; with a '/': as it is */
    const char *const *args; /* NULL-terminated, without the program */
    const char *const *env;  /* "NAME=value" beside PATH and LC_ALL=C; NULL-terminated, or NULL */
    struct mono deadline;    /* waiting for its turn included */
    tool_line_fn *line;      /* each line as it comes; may be NULL; must not free the call */
    tool_done_fn *done;      /* once, from the loop, not after tool_call_free */
    void *arg;
};

/* `guard` is borrowed; `bin_dir` (NULL: found in PATH by env(1)) is copied. */
struct tools *tools_new(struct loop *loop, struct guard_client *guard, const char *bin_dir);
struct tools *tools_free(struct tools *tools);

/* Never NULL. The call is freed by its owner, also after `done`; before: it is cancelled. */
struct tool_call *tools_run(struct tools *tools, const struct tool_spec *spec);
struct tool_call *tool_call_free(struct tool_call *call);
/* A tool runs or waits. */
bool tools_busy(const struct tools *tools);

/* ERR_OK when it exited with 0; else what it said last, in one line. */
enum err_code tool_verdict(const struct tool_result *result, const char *program, struct err *err);

/* The argument vector's head and the environment with which programs of PostgreSQL are found: used
 * for the postmaster, too. `ret_argv` gets 1 or 2 texts. */
size_t tools_program(const struct tools *tools, const char *program, char *ret_argv[2]);
const char *tools_path(const struct tools *tools); /* "PATH=…" */
