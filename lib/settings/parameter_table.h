#pragma once
/* What we know of PostgreSQL's parameters without asking a server. */
#include <stddef.h>
#include <stdint.h>

enum command_line_kind {
    COMMAND_LINE_INT,
    COMMAND_LINE_BOOL,
    COMMAND_LINE_WAL_LEVEL,
    COMMAND_LINE_FORCED, /* always the default */
};

/* A parameter that the postmaster gets on its command line, so that ALTER SYSTEM cannot win and every
 * member has the same (patroni-compat 1.3). */
struct command_line {
    const char *name;
    enum command_line_kind kind;
    const char *fallback;
    int64_t min, max;
};

/* The whole list; returns how many. */
size_t parameter_command_lines(const struct command_line **ret_rows);
/* NULL when it is not one. */
const struct command_line *parameter_command_line(const char *name);
/* Why a user may not set it; NULL when he may. */
const char *parameter_refused(const char *name);
