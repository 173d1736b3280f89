#pragma once
/* Sockets on loopback. What cannot be made fails the test. */

/* A listener at a port that nobody else has; the caller closes it. */
int loopback_listen(int *ret_port);
/* A port that was free a moment ago. */
int loopback_free_port(void);
/* A connection; -1 where nobody listens. The caller closes it. */
int loopback_dial(int port);
