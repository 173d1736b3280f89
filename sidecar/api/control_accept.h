#pragma once
/* POST /pgvigil/accept (S6): asks every member that is known whether it leads, and accepts the etcd
 * that is there only if nobody stands against it (core/accept.h). Body: {"dead": [name, …]}, members
 * whose Postgres a person knows to be down. */
#include "http/http.h"
#include "loop/loop.h"
#include "sidecar/api/server.h"
#include "sidecar/control.h"

struct control_accept;

/* Whom to ask; self is left out. */
struct accept_list {
    size_t n;
    struct accept_member {
        char name[LIMIT_NAME];
        char api_url[LIMIT_URL];
    } member[LIMIT_MEMBERS];
};
/* False: it is there already, by name or by URL, or there is no room. */
bool accept_list_add(struct accept_list *list, const char *name, const char *api_url);

struct control_accept_spec {
    struct loop *loop;
    struct http *http;
    const struct http_tls *tls; /* as for peers; NULL: none; borrowed */
    api_state_fn *state;
    void *state_arg;
    void (*members)(void *arg, struct accept_list *list); /* fills an empty one */
    loop_fn *accepted;
    void *arg; /* of both */
};

struct control_accept *control_accept_new(const struct control_accept_spec *spec);
/* Before the server and http are freed. */
struct control_accept *control_accept_free(struct control_accept *accept);
void control_accept_install(struct control_accept *accept, struct api_control *control);
