#pragma once
/* POST /pgvigil/accept (S6): asks every member that is known whether it leads, and accepts the etcd
 * that is there only if nobody stands against it (core/accept.h). Body: {"dead": [name, …]}, members
 * whose Postgres a person knows to be down. */
#include "http/http.h"
#include "loop/loop.h"
#include "sidecar/api/server.h"
#include "sidecar/control.h"
#include "sidecar/core/accept.h"

struct control_accept;

struct control_accept_spec {
    struct loop *loop;
    struct http *http;
    const struct http_tls *tls; /* as for peers; NULL: none; borrowed */
    api_state_fn *state;
    void *state_arg;
    void (*members)(void *arg,
                    struct known_members *list); /* fills an empty one; self is left out */
    loop_fn *accepted;
    void *arg; /* of both */
};

struct control_accept *control_accept_new(const struct control_accept_spec *spec);
/* Before the server and http are freed. */
struct control_accept *control_accept_free(struct control_accept *accept);
void control_accept_install(struct control_accept *accept, struct api_control *control);
