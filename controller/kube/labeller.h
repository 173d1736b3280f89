#pragma once
/* Writes role labels: a JSON merge patch with the pod's uid and our field manager, at most one under
 * way for each pod. Answers are believed and put into the table at once; a pod that is gone (404, or
 * another uid) is taken out of it; after a failure the pod waits, longer each time. */
#include "controller/kube/kube.h"
#include "controller/kube/pods.h"

struct labeller;

struct labeller_spec {
    struct loop *loop;
    struct kube *kube;
    const char *ns;          /* borrowed, like all texts */
    const char *key;         /* of the label */
    const char *primary;     /* its value for the primary */
    struct pod_table *table; /* whose patching and maybe_primary it keeps */
    loop_fn *changed;        /* the table is; from the loop */
    void *arg;
};

struct labeller *labeller_new(const struct labeller_spec *spec);
struct labeller *labeller_free(struct labeller *labeller);

/* `value` NULL: no label. The pod must not be `patching`. */
void labeller_send(struct labeller *labeller, struct pod *pod, const char *value);

/* For the metrics. */
struct labeller_counts {
    uint64_t sent, failed;
    int64_t last_ms; /* from sending to the answer of the last one that succeeded */
};
const struct labeller_counts *labeller_counts(const struct labeller *labeller);
