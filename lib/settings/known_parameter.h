#pragma once
/* PostgreSQL's own parameters, so that a typing error in `config` is said at once, and does not keep
 * every server of the cluster from starting at the next restart. */
#include <stdbool.h>

#include "base/err.h"

enum parameter_kind {
    PARAMETER_TEXT, /* anything */
    PARAMETER_BOOL,
    PARAMETER_INTEGER,
    PARAMETER_REAL,
    PARAMETER_WORD, /* one of `words` */
};

struct known_parameter {
    const char *name;
    enum parameter_kind kind;
    bool restart;      /* a change needs a restart */
    const char *unit;  /* of numbers: "8kB", "ms"; NULL: none */
    double min, max;   /* in that unit, as of 17 */
    const char *words; /* "a|b|c" */
    int since, until; /* first version that knows it and first that does not; 0: all that we know */
};

/* NULL: not one of PostgreSQL's. Case does not matter. */
const struct known_parameter *known_parameter(const char *name);
/* Would a server of 17 accept this value? Errors: ERR_INVALID: "expected …". */
enum err_code known_parameter_check(const struct known_parameter *parameter, const char *value,
                                    struct err *err);
