#pragma once
/* Who gets which role label and where the primary's Service leads (design part 9). Pure.
 *
 * primary: holds the leader key *and* publishes itself as a running primary.
 * replica: streams, and lacks at most maximum_lag of what the leader had half a ttl ago (positions
 *          are published that often); not with the tag noloadbalance. While nobody is primary there
 *          is nothing to stream from: who has the label keeps it.
 * Nobody else has a label. The primary label is off everywhere else before it is on anywhere. */
#include "controller/core/view.h"

struct label_names {
    char key[LIMIT_KUBE_NAME]; /* "role" */
    char primary[LIMIT_LABEL];
    char replica[LIMIT_LABEL];
};

/* "patroni", "spilo", "cloudnativepg". False: not one of them. */
bool label_preset(const char *name, struct label_names *ret_names);

struct label_op {
    size_t pod;         /* index in pods */
    const char *value;  /* NULL: no label; borrowed from the names */
    const char *reason; /* static */
};

struct label_plan {
    size_t n;
    struct label_op op[LIMIT_PODS];
};

/* The pod of the primary; NULL: there is none now. */
const struct pod *labels_primary(const struct cluster_view *cluster, const struct pods *pods);

/* What is to be patched now. Nothing while the cluster is not known: labels stay as they are. A pod
 * whose patch is on its way is left alone and counts as what it may be. */
struct label_plan labels_plan(const struct cluster_view *cluster, const struct pods *pods,
                              const struct label_names *names);
