#pragma once
/* What the files of lib/loop share; nobody else includes it. */
#include "loop/loop.h"

/* As loop_fd, but the source owns the descriptor: it is closed with the source, also by loop_free.
 * The callback's argument is the source itself. For children that nobody waits for any more. */
typedef void loop_owned_fd_fn(struct source *source, int fd);
struct source *loop_owned_fd(struct loop *loop, int fd, loop_owned_fd_fn *fn);
