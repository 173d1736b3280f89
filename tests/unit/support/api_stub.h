#pragma once
/* A node's API state as a test wants it: a leader of three members with a sync standby, or its
 * standby. Everything points into the stub; change what the test is about. */
#include "sidecar/api/routes.h"
#include "sidecar/api/state.h"

enum { STUB_NOW_MS = 1000000 };

struct api_stub {
    struct api_state state;
    struct view view;
    struct decision decision;
    struct lease lease;
    struct api_key members[3];
    struct api_key witnesses[1];
    struct api_walsender walsenders[1];
};

void api_stub_leader(struct api_stub *stub);
void api_stub_standby(struct api_stub *stub);
void api_stub_witness(struct api_stub *stub);

/* One request at STUB_NOW_MS; "PATCH /config?x=1" with or without a body. The reply is the
 * caller's. */
struct reply api_stub_ask(struct api_stub *stub, const char *line, const char *body);
/* The status alone. */
int api_stub_status(struct api_stub *stub, const char *line);
