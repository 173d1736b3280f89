#pragma once
/* The one event loop of a program: libuv behind a few verbs (style A9). Every wake-up is a source
 * that its owner frees; freeing stops it at once and no callback runs afterwards (libuv's two-phase
 * closing is hidden here). One thread; callbacks run from loop_run only, never from inside the call
 * that armed them. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"

struct loop;
struct source;
struct uv_loop_s;

typedef void loop_fn(void *arg);
typedef void loop_fd_fn(void *arg, int events);
typedef void loop_signal_fn(void *arg, int signum);

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop *loop_new(void);
/* Closes what is left open; NULL is fine; returns NULL. */
struct loop *loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* CLOCK_BOOTTIME at the start of this iteration: the same for every callback of one iteration. */
struct mono loop_now(const struct loop *loop);
/* For libraries that join the loop themselves (curl multi_socket, libwebsockets). */
struct uv_loop_s *loop_uv(struct loop *loop);

/* A timer, unarmed. Arming an armed one moves it; it fires once per arming. */
struct source *loop_timer(struct loop *loop, loop_fn *fn, void *arg);
void source_arm_at(struct source *timer, struct mono at);
void source_arm_in(struct source *timer, int64_t ms);
/* In `ms`, or up to `slack_ms` later together with what else wakes the loop: what is in no hurry costs
 * no wake-up of its own. */
void source_arm_loosely(struct source *timer, int64_t ms, int64_t slack_ms);
void source_disarm(struct source *timer);
bool source_armed(const struct source *timer);

/* Readiness of a descriptor that stays the caller's; interest is a set of LOOP_READ, LOOP_WRITE and
 * may be 0. The source must be freed before the descriptor is closed. */
struct source *loop_fd(struct loop *loop, int fd, int interest, loop_fd_fn *fn, void *arg);
void source_interest(struct source *fd_source, int interest);

struct source *loop_signal(struct loop *loop, int signum, loop_signal_fn *fn, void *arg);

/* Runs `fn` once in the next iteration after each source_trigger (several triggers, one run). */
struct source *loop_defer(struct loop *loop, loop_fn *fn, void *arg);
void source_trigger(struct source *defer);

/* Runs `work` in the thread pool (disk, DNS), then `done` on the loop. `work` must only touch what
 * `arg` owns. Freeing the source before `done` means `done` is never called; `arg` must then stay
 * valid until `work` returned, so give `drop` (called in place of done, may be NULL) to free it. */
struct source *loop_work(struct loop *loop, loop_fn *work, loop_fn *done, loop_fn *drop, void *arg);

struct source *source_free(struct source *source);

#define auto_source __attribute__((cleanup(source_cleanup)))
static inline void source_cleanup(struct source **source)
{
    source_free(*source);
}
