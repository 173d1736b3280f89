#pragma once
/* Orders that this node carries out itself through the cycle: restart (at once or scheduled), reload,
 * reinitialize. An order is a flag in struct orders (core/view.h); what became of it is read from the
 * state, again and again, until it is seen or its time is over. */
#include "loop/loop.h"
#include "sidecar/api/server.h"
#include "sidecar/control.h"
#include "sidecar/core/view.h"

struct control_local;

struct control_local_spec {
    struct loop *loop;
    struct orders *orders; /* set here, cleared by the cycle when done or given up */
    api_state_fn *state;
    void *state_arg;
    loop_fn *changed; /* orders were set: a cycle is due */
    loop_fn *reload;  /* POST /reload: read the configuration again, as SIGHUP does; may be NULL */
    void *arg;        /* of both */
};

struct control_local *control_local_new(const struct control_local_spec *spec);
/* Before the server is freed. Running orders get no answer any more. */
struct control_local *control_local_free(struct control_local *local);
void control_local_install(struct control_local *local, struct api_control *control);

/* For api_state.scheduled_restart and the member key; NULL: none. Borrowed until the loop goes on. */
const char *control_local_scheduled(const struct control_local *local);
