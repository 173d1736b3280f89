#pragma once
/* A member's tags (patroni-compat 1.8). The built-in ones as values, everything as ordered pairs for
 * publication and for tag_* filters. */
#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

struct tag {
    char name[LIMIT_NAME];
    char value[LIMIT_NAME]; /* JSON text of the value: true, 3, "x" */
};

struct tags {
    bool nofailover; /* also when failover_priority <= 0 */
    bool nosync;     /* also when sync_priority <= 0 */
    bool clonefrom;
    bool noloadbalance;
    int failover_priority; /* 1 unless said */
    int sync_priority;     /* 1 unless said */
    size_t n;
    struct tag all[LIMIT_TAGS]; /* as published: order kept, false built-ins left out */
};

struct tags tags_default(void);
