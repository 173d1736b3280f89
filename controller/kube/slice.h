#pragma once
/* The EndpointSlices of the primary's Service (`routing: slice`): one of each address family, each
 * rewritten in one request, made when it is missing. */
#include "controller/core/view.h"
#include "controller/kube/kube.h"

struct slices;

struct slices_spec {
    struct loop *loop;
    struct kube *kube;
    const char *ns;      /* borrowed, like all texts */
    const char *service; /* "db-primary" */
    int port;
};

struct slices *slices_new(const struct slices_spec *spec);
struct slices *slices_free(struct slices *slices);

/* Where the Service leads from now on; NULL: nowhere, once that has been so for three seconds. To be
 * called every second, since time alone changes what is due. Nothing is sent while the API has
 * confirmed it lately. */
void slices_set(struct slices *slices, const struct pod *primary);
/* Somebody else may have written: what was confirmed is not known any more. */
void slices_forget(struct slices *slices);
