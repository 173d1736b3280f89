#pragma once
/* The Lease of the controllers, read and written at the pace of core/election.h. */
#include "controller/core/election.h"
#include "controller/kube/kube.h"

struct kube_lease;

struct kube_lease_spec {
    struct loop *loop;
    struct kube *kube;
    const char *ns;   /* copied, like all texts */
    const char *name; /* "db-controller" */
    const char *self;
    loop_fn *changed; /* it was taken, or is over; from the loop */
    void *arg;
};

struct kube_lease *kube_lease_new(const struct kube_lease_spec *spec);
/* The end: ours is over at once; true: the record is being handed back, see kube_lease_resigned. */
bool kube_lease_resign(struct kube_lease *lease);
bool kube_lease_resigned(const struct kube_lease *lease);
struct kube_lease *kube_lease_free(struct kube_lease *lease);

/* True: nobody else writes, until this turn of the loop ends. */
bool kube_lease_held(const struct kube_lease *lease, struct mono now);
/* Who holds it as last read; "" nobody. Borrowed. */
const char *kube_lease_holder(const struct kube_lease *lease);

void kube_lease_set_ttl(struct kube_lease *lease, int64_t ttl_ms);
/* `successor` is copied; NULL: none. */
void kube_lease_set_place(struct kube_lease *lease, bool beside_primary, const char *successor);
