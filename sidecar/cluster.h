#pragma once
/* The cluster as last seen in the store: a table of our prefix, filled by one range and then kept
 * by one watch from that revision on. It lies in the top folder because observe/ fills it, act/
 * writes through it and api/ shows it. It decides nothing; `changed` says that the view is stale.
 *
 * Own writes are applied at once (cluster_saw), with the revision of the answer; what the watch
 * brings later is then no news. A watch that is lost, compacted, or that a read beside it shows to
 * lag is opened anew on another endpoint, after the prefix was read again. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/instant.h"
#include "loop/loop.h"
#include "sidecar/core/view.h"

struct cluster;
struct etcd;

/* S6: what our volume remembers of this store: its id and the highest revision at which /sync was
 * seen. Asked in every cluster_fill, so it must answer from memory; a higher revision is to be
 * brought to the disk (fsync) beside the loop, and SAME is said once it is there. `sync_revision`:
 * /sync's mod_revision; where /sync does not exist, the revision at which that was seen. */
enum cluster_memory {
    CLUSTER_SAME,
    CLUSTER_RECORDING, /* not on the disk yet: `same_cluster` is false, but for who leads already */
    CLUSTER_OTHER,     /* another id or a lower revision */
};
typedef enum cluster_memory cluster_remember_fn(void *arg, uint64_t cluster_id,
                                                int64_t sync_revision);

struct cluster_spec {
    struct loop *loop;
    struct etcd *etcd;
    const char *prefix; /* "/service/demo/"; copied */
    const char *self;   /* copied */
    int64_t ttl_ms;
    cluster_remember_fn *remember; /* NULL: nothing is remembered (witness), always the same */
    loop_fn *changed; /* something in the table or in its reachability is new; from the loop */
    void *arg;        /* of both */
};

/* Begins to read at once. */
struct cluster *cluster_new(const struct cluster_spec *spec);
struct cluster *cluster_free(struct cluster *cluster);
void cluster_set_ttl(struct cluster *cluster, int64_t ttl_ms);

/* The store's part of the view, all of it but what peers answered (observe/peers.h). Asks in
 * passing whether the lease of an unmarked holder record still lives (L7), at most every 500 ms. */
void cluster_fill(struct cluster *cluster, struct mono now, struct store_view *ret_view);

/* One key, its name without the prefix ("config", "members/a"). Borrowed until the loop goes on. */
struct cluster_key {
    const char *name;
    const char *value; /* 0-terminated, may be "" */
    size_t len;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t lease;
};
bool cluster_get(const struct cluster *cluster, const char *name, struct cluster_key *ret_key);
/* The value, NULL when the key is absent: for readers that want nothing else. */
const char *cluster_value(const struct cluster *cluster, const char *name);
/* The keys below `prefix` in their order: the first one after `after` ("" to begin). */
bool cluster_next(const struct cluster *cluster, const char *prefix, const char *after,
                  struct cluster_key *ret_key);

const char *cluster_prefix(const struct cluster *cluster);
const char *cluster_self(const struct cluster *cluster);
int64_t cluster_revision(const struct cluster *cluster); /* of the store, the highest heard of */
uint64_t cluster_id(const struct cluster *cluster);      /* etcd's; 0: not heard yet */
/* Wall time of the last word of the store, for dcs_last_seen; 0: never. */
struct wall cluster_last_seen(const struct cluster *cluster);

/* --- for those who write --- */

/* A key as an answer at `revision` told it, or as a write of ours left it; create_revision 0: kept,
 * or `revision` where the key is new. */
void cluster_saw(struct cluster *cluster, const struct cluster_key *key);
/* … that it does not exist. */
void cluster_saw_none(struct cluster *cluster, const char *name, int64_t revision);
/* A linearizable answer has come to a request sent at `sent`, with the revision and the raft term
 * of its header (0: not known). */
void cluster_heard(struct cluster *cluster, struct mono sent, int64_t revision, uint64_t term);
/* A reply was lost or a compare failed: the table is read again; until then it is not `loaded`. */
void cluster_resync(struct cluster *cluster);
