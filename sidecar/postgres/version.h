#pragma once
/* Versions of PostgreSQL as server_version_num writes them: 170004 is 17.4. Pure. */
#include <stdbool.h>

/* "postgres (PostgreSQL) 17.12 (Debian …)"; 0 when it is no such text. */
int version_parse(const char *text);

/* Does this release obey synchronous_standby_names from its first commit on? Fixed in May 2025; before,
 * backends might not wait for a short while after a start, and an acknowledged commit could be lost
 * (design part 5: such releases are refused in synchronous mode). */
bool version_waits_from_the_start(int version);
