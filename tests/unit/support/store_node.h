#pragma once
/* The store side of one sidecar in a test: cluster, lease keeper, publishing and steps against a
 * real etcd, without Postgres and guard. Several of them share the loop. */
#include "etcd_server.h"
#include "sidecar/act/steps_store.h"

struct store_node {
    struct loop *loop;
    struct http *http;
    struct etcd *etcd;
    struct cluster *cluster;
    struct lease_keeper *keeper;
    struct publish *publish;
    struct steps_store *steps;

    enum cluster_memory remembered; /* what S6's memory answers */
    uint64_t asked_id;              /* and what it was asked last */
    int64_t asked_revision;
    struct mono deadline; /* the last one told to the guard */
    int64_t deadline_lease;
    int deadlines;
    const char *confirmed; /* what S7 publishes; NULL: nothing */
    int changes;           /* of the cluster */

    struct source *cycle;
    bool stalls; /* set it: lease_keeper_alive is not called any more */
    struct plan_memory memory;
    struct guard_view guard;  /* of the views made here */
    char error[ERR_TEXT_MAX]; /* of the last step */
};

/* Prefix /service/t/. */
void store_node_start(struct store_node *node, struct etcd_cluster *servers, const char *name,
                      int64_t ttl_ms);
void store_node_stop(struct store_node *node);
/* `n` etcd members and the nodes "a" and (unless NULL) "b", ready, on a new loop. */
enum { STORE_NODES_TTL_MS = 3000 };
struct loop *store_nodes_start(struct etcd_cluster *servers, int n, struct store_node *a,
                               struct store_node *b);
void store_nodes_stop(struct etcd_cluster *servers, struct store_node *a, struct store_node *b);
/* The view as of now, its store part and lease filled. On the heap: free it. */
struct view *store_node_view(struct store_node *node);
/* Runs one step to its end; with a view that may be older than what the node knows. */
enum err_code store_node_run_with(struct store_node *node, const struct step *step,
                                  const struct view *view);
enum err_code store_node_run(struct store_node *node, const struct step *step);
enum err_code store_node_step(struct store_node *node, enum step_kind kind, const char *name);
/* Runs the loop until `holds`; fails the test after ms. */
typedef bool store_node_condition(struct store_node *node);
void store_node_wait(struct store_node *node, store_node_condition *holds, int64_t ms);
/* Common conditions. */
bool store_node_ready(struct store_node *node);    /* table read, lease granted */
bool store_node_holds(struct store_node *node);    /* the lease holds now */
bool store_node_may_take(struct store_node *node); /* the key is gone, the former lease, too */
/* Behind everybody's back: value NULL deletes. */
void store_node_put(struct store_node *node, const char *key, const char *value);
