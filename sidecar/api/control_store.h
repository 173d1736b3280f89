#pragma once
/* Orders that are writes of the store: PATCH and PUT of /config, switchover, failover, and their
 * withdrawal (patroni-compat 2.5), on every member, leader or not, Postgres running or not; and, on the
 * leader, the removal of a member that is gone (design part 9). */
#include "etcd/etcd.h"
#include "http/http.h"
#include "loop/loop.h"
#include "settings/config.h"
#include "sidecar/api/server.h"
#include "sidecar/cluster.h"
#include "sidecar/control.h"

struct control_store;

struct control_store_spec {
    struct loop *loop;
    struct etcd *etcd;
    struct cluster *cluster;     /* own writes are told to it */
    struct http *http;           /* candidates are asked through it */
    const struct http_tls *tls;  /* for their REST; may be NULL */
    const struct config *config; /* new settings are checked against it; see …_set_config */
    api_state_fn *state;
    void *state_arg;
    loop_fn *changed; /* something was written: a cycle is due */
    /* The slot that this primary made for a member goes at once; false: there is none. NULL: never. */
    bool (*drop_slot)(void *arg, const char *member);
    void *arg; /* of both */
};

struct control_store *control_store_new(const struct control_store_spec *spec);
/* Before the server, the etcd client and http are freed. */
struct control_store *control_store_free(struct control_store *store);
void control_store_install(struct control_store *store, struct api_control *control);
/* After a reload of the configuration. Borrowed. */
void control_store_set_config(struct control_store *store, const struct config *config,
                              const struct http_tls *tls);
