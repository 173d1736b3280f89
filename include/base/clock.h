#pragma once
/* The only reader of clocks. Cycle and rules get the iteration's time as an argument; only send
 * times of renewals and deadlines of the guard are read afresh here (design part 3, L1). */
#include <stddef.h>

#include "base/instant.h"

struct mono clock_mono(void);
struct wall clock_wall(void);

/* "2026-01-31T23:59:59.123456+00:00", the form of Patroni's JSON; borrowed until the buffer goes. */
enum { CLOCK_ISO_MAX = 40 };
const char *clock_iso(struct wall at, char buffer[CLOCK_ISO_MAX]);
