#pragma once
/* The pod's own etcd member (design part 7, E1-E5): formed, joined, replaced and looked after through
 * a guard without deadline. A small cycle of its own on the loop: observe, decide (pure, in
 * member_core.c), act. It knows nothing of Postgres but whether there is a PGDATA (E1). */
#include <stdbool.h>
#include <stdint.h>

#include "etcd/etcd.h"
#include "http/http.h"
#include "loop/loop.h"
#include "settings/config.h"
#include "sidecar/control.h"

struct etcd_member;

struct etcd_member_spec {
    struct loop *loop;
    const struct config *config; /* borrowed; config->managed is what it is about */
    struct etcd *etcd;           /* client with every member's client_url */
    struct http *http;           /* for the other members' REST */
    const struct http_tls
        *etcd_tls; /* for etcd's own pages; borrowed like the next one; may be NULL */
    const struct http_tls *peer_tls;
    const char *guard_path; /* the guard's program, used when config->etcd_socket is NULL */
    int64_t ttl_ms;         /* < 6 s: heartbeat 50 ms, election timeout 500 ms (part 3) */
    loop_fn *changed;       /* status is new */
    void *arg;
};

struct etcd_member *etcd_member_new(const struct etcd_member_spec *spec);
/* etcd itself goes on. NULL is fine; returns NULL. */
struct etcd_member *etcd_member_free(struct etcd_member *member);

struct etcd_member_status {
    bool voter; /* a started voter of the quorum */
    const char
        *formation; /* JSON of GET /pgvigil/etcd; never NULL; borrowed until the loop goes on */
    const char
        *trouble;  /* what a person must know or do (E4, E5), or what formation waits for; NULL */
    bool no_space; /* E5: failover impossible */
    int voters;    /* of the cluster, as last seen */
    int64_t db_bytes;
};
const struct etcd_member_status *etcd_member_status(const struct etcd_member *member);

/* Leader placement (part 3): who leads the Postgres cluster, and whether this is a moment to move raft
 * leadership: a fresh lease and no plan under way. To be called in every cycle of the sidecar. */
void etcd_member_leader_is(struct etcd_member *member, const char *leader, bool may_move);

/* The node stops: moves raft leadership away (at most 1 s), ends etcd through its guard. Call again
 * and again; true when etcd is down. */
bool etcd_member_stop(struct etcd_member *member);

/* API_ETCD_RECOVER (E4), a person's order. */
void etcd_member_install(struct etcd_member *member, struct api_control *control);
