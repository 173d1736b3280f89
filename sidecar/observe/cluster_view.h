#pragma once
/* What the keys mean: from the raw table to the store's part of the view. Only what the keys alone
 * say; ages, reachability and the memory of this process are added by cluster.c.
 *
 * A key that cannot be understood never opens a way that a good one would have closed: an
 * unreadable /sync names nobody who may race, an unreadable holder record is unmarked, an
 * unreadable `confirmed` is a position that nobody has. */
#include "cluster/failover.h"
#include "etcd/table.h"
#include "sidecar/core/view.h"

struct cluster_words {
    struct store_view view;
    struct failover failover; /* with its schedule */
};

/* Logs once for each version of a key that it cannot read. */
void cluster_view_read(struct etcd_table *table, const char *self, struct cluster_words *ret);
