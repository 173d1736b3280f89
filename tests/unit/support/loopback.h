#pragma once
/* Sockets on loopback. What cannot be made fails the test. */
#include <stdbool.h>

/* A listener at a port that nobody else has; the caller closes it. */
int loopback_listen(int *ret_port);
/* A port where nobody listens and that is ours until the process ends: for a server that sets
 * SO_REUSEADDR. */
int loopback_free_port(void);
/* A connection; -1 where nobody listens. The caller closes it. */
int loopback_dial(int port);
/* Whether somebody listens there for both families; for IPv4 alone where the machine has no ::1. */
bool loopback_answers_both(int port);
