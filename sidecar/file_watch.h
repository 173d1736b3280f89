#pragma once
/* Files that change under us (renewed certificates): looked at beside the loop, at a pace. Told once a
 * change has stood still for one more look, since a certificate and its key may be written one after
 * the other. A file that is missing is a state like any other. */
#include "loop/loop.h"

enum { FILE_WATCH_MAX = 16 };

struct file_watch;

struct file_watch_spec {
    struct loop *loop;
    const char *const *paths; /* NULL-terminated; copied; one too many is not watched */
    int64_t pace_ms;
    loop_fn *changed; /* from the loop */
    void *arg;
};

struct file_watch *file_watch_new(const struct file_watch_spec *spec);
/* No callback afterwards. NULL is fine; returns NULL. */
struct file_watch *file_watch_free(struct file_watch *watch);
