#pragma once
/* The command line of pgvigil-sidecar. */
#include <stdbool.h>

enum arg_mode {
    ARG_RUN,
    ARG_CHECK,
    ARG_RULES,
    ARG_OPTIONS,
    ARG_REPLAY,
    ARG_VERSION,
    ARG_HELP,
    ARG_BAD
};

struct arguments {
    enum arg_mode mode;
    bool witness;
    const char *file; /* CONFIG.yml or VIEW.json; NULL: none was given */
};

/* What is wrong has been said on standard error when the mode is ARG_BAD. */
struct arguments arguments_parse(int argc, char **argv);
