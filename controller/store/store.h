#pragma once
/* The cluster as etcd tells it, through two of its members at once, so that the loss of the primary's
 * node, which has one, does not hold up what the other one tells. Two feeds, two tables; the one that
 * was told more is shown. */
#include "base/instant.h"
#include "controller/core/view.h"
#include "etcd/etcd.h"

struct store;

struct store_spec {
    struct loop *loop;
    struct etcd *etcd;
    const char *prefix; /* "/service/db/"; copied */
    loop_fn *changed;   /* from the loop */
    void *arg;
};

struct store *store_new(const struct store_spec *spec);
struct store *store_free(struct store *store);

/* Everything of the view; `known` is false before the first whole read, and while nothing
 * linearizable was heard for a second. */
void store_fill(struct store *store, struct mono now, struct cluster_view *ret_view);

/* A value, or NULL; and the keys below `prefix` in their order after `after` ("" to begin), NULL: no
 * more. Borrowed until the loop goes on. */
struct etcd_entry;
const struct etcd_entry *store_get(const struct store *store, const char *name);
const struct etcd_entry *store_next(const struct store *store, const char *prefix,
                                    const char *after);
