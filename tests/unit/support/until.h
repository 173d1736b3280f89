#pragma once
/* Runs the loop until a condition holds. */
#include "loop/loop.h"

typedef bool condition_fn(void *arg);

/* False: it did not within `ms`. The condition is looked at every few milliseconds. */
bool until(struct loop *loop, condition_fn *condition, void *arg, int64_t ms);
