#pragma once
/* `pgvigil-guard --status S`: asks the guard of a socket as an observer, which fences nobody, and
 * prints what it says. */

/* Returns the exit status. */
int observe_main(const char *path);
