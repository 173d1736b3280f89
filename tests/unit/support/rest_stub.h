#pragma once
/* A member's REST API on the test's own loop: one canned answer, or silence. One connection for each
 * request, one at a time. */
#include "loop/loop.h"

struct rest_stub {
    struct loop *loop;
    int fd;
    struct source *source;
    int connection; /* -1: none */
    struct source *reader;
    int status;         /* 0: 200 */
    const char *body;   /* NULL: accepts the connection and says nothing */
    char url[64];       /* of /patroni */
    char request[2048]; /* the last one */
    int asked;
};

void rest_stub_start(struct rest_stub *stub, struct loop *loop, const char *body);
void rest_stub_stop(struct rest_stub *stub);
