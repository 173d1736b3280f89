#pragma once
/* What the guard wants from the system for itself: the clock, its log line, and protection from
 * being starved, paged out or chosen by the memory killer. */
#include <stdint.h>

#include "base/instant.h"

/* SIGRTMIN+3 as Docker, systemd and glibc count: a number, because musl's SIGRTMIN is 35. */
enum { GUARD_SIGRTMIN_3 = 37 };

/* CLOCK_BOOTTIME, read afresh: the guard compares it before it reads any message (L3). */
struct mono os_now(void);

/* Best effort, each of it: real-time priority that children do not inherit, memory locked, last in
 * the memory killer's order. Call before the first child. */
void os_shield(void);
/* In a forked child: the memory killer may choose it as it could have chosen us at the start. */
void os_unshield_child(void);

/* SIGCHLD and every signal that may mean "stop" or "reload", blocked and to be read: as PID 1 a process
 * must handle each; ignored ones would not be seen (G2). -1 with errno. */
int os_signal_fd(void);

/* One line on standard error, `fact -> consequence`. Never blocks: what does not fit is dropped,
 * because a full pipe must not keep the guard from its deadline. */
void say_open(const char *who);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
