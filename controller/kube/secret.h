#pragma once
/* One Secret: read, and written where something is missing. It never gets an ownerReference, so that
 * it outlives an uninstall; what is there is never changed but by the rule of its owner. */
#include "controller/kube/kube.h"

struct kube_secret;

/* What is to be added or replaced: texts by key; new reference; NULL: nothing. `data`: the texts that
 * are there, NULL: there is no such Secret. May be called again if somebody else wrote meanwhile. */
typedef json_t *kube_secret_fn(void *arg, const json_t *data);
/* How it is now; borrowed. NULL: absent, or (with `err`) not known. May free the secret. */
typedef void kube_secret_done_fn(void *arg, const json_t *data, const struct err *err);

struct kube_secret_spec {
    struct kube *kube;
    const char *ns; /* copied, like all texts */
    const char *name;
    const char *type; /* "Opaque", "kubernetes.io/tls" */
    kube_secret_fn *fn;
    kube_secret_done_fn *done; /* exactly once, from the loop */
    void *arg;
};

/* Begins at once. */
struct kube_secret *kube_secret_new(const struct kube_secret_spec *spec);
/* No callback afterwards. NULL is fine; returns NULL. */
struct kube_secret *kube_secret_free(struct kube_secret *secret);
