#pragma once
/* Scope-bound ownership: `auto_x` frees at the end of the scope, `take` moves a value out of it.
 * Destructors accept NULL and half-built objects. */
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"

static inline void clean_free(void *p)
{
    free(*(void **)p);
}

static inline void clean_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define auto_free __attribute__((cleanup(clean_free)))
#define auto_close __attribute__((cleanup(clean_close)))
#define auto_text __attribute__((cleanup(text_done)))

/* Moves a pointer out: the value is returned, the variable becomes NULL. */
#define take(pointer)                                                                              \
    ({                                                                                             \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}
