#pragma once
/* etcd as child of a guard without deadline: the guard of the configuration, or one of our own. Finds
 * the program, starts it, counts how it ends. Decides nothing. */
#include "base/err.h"
#include "loop/loop.h"
#include "settings/config.h"
#include "sidecar/etcd_member/etcd_argv.h"
#include "sidecar/etcd_member/member_core.h"

struct etcd_child;

struct etcd_child_spec {
    struct loop *loop;
    const struct config *config; /* borrowed */
    const char *guard_path;      /* program of a guard of our own; borrowed */
    int64_t ttl_ms;
    loop_fn *changed;
    void *arg;
};

struct etcd_child *etcd_child_new(const struct etcd_child_spec *spec);
/* etcd and its guard go on. */
struct etcd_child *etcd_child_free(struct etcd_child *child);

void etcd_child_fill(const struct etcd_child *child, struct member_guard *ret_guard);
/* How many learners etcd takes at a time. */
size_t etcd_child_max_learners(const struct etcd_child *child);
/* How many times etcd has ended or begun since we look: the disk may look different after each. */
uint64_t etcd_child_changes(const struct etcd_child *child);

/* One start at a time; what came of it shows in the state. `initial_cluster` for JOIN only. */
void etcd_child_start(struct etcd_child *child, enum etcd_begin begin, const char *initial_cluster);
void etcd_child_end(struct etcd_child *child);
/* It has answered: failures are forgotten after a while of that. */
void etcd_child_answers(struct etcd_child *child);

/* The node stops: ends etcd through its guard. True when it is down. Call again and again. */
bool etcd_child_stop(struct etcd_child *child);
/* The guard reports a stop of its container (G2). */
bool etcd_child_stop_requested(const struct etcd_child *child);
