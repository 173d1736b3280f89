#pragma once
/* Runs the loop until a condition holds. One run at a time. */
#include "loop/loop.h"

typedef bool condition_fn(void *arg);

/* False: it did not within `ms`. The condition is looked at every few milliseconds. */
bool until(struct loop *loop, condition_fn *condition, void *arg, int64_t ms);

/* For callbacks: ends the run that is under way, which then fails the test with this text, when no
 * callback is on the stack any more. */
void until_fails(const char *text);
