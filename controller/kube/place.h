#pragma once
/* Where the Kubernetes API is and who we are there: in a cluster by the service account, outside by
 * a kubeconfig. Reads files: at start, else beside the loop, since tokens and CAs rotate. */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct kube_place {
    char *server; /* "https://10.96.0.1:443", no slash at its end */
    char *ns;     /* NULL: not said */
    char *token;  /* NULL: none */
    char *ca;     /* PEM; NULL: the system's */
    char *cert;   /* PEM; NULL: none */
    char *key;
    bool insecure;
};

/* KUBECONFIG (its first file) if set, else the service account. New place. Errors: of file_read,
 * ERR_INVALID with the file and the key. */
enum err_code kube_place_find(struct kube_place **ret_place, struct err *err);
/* From a kubeconfig's text; `directory`: what relative paths are relative to. */
enum err_code kube_place_parse(const char *bytes, size_t len, const char *name,
                               const char *directory, struct kube_place **ret_place,
                               struct err *err);
bool kube_place_equal(const struct kube_place *a, const struct kube_place *b);
/* Secrets are overwritten. NULL is fine; returns NULL. */
struct kube_place *kube_place_free(struct kube_place *place);
