#pragma once
/* The release's secrets (docs/controller.md): made when they are absent, certificates renewed, by the
 * active controller, CA and all (pki/authority.h); read by both, for the client certificate and the password of the REST API. */
#include "base/err.h"
#include "base/instant.h"
#include "controller/options.h"
#include "loop/loop.h"

struct secrets;
struct kube;

/* What the controller itself uses; NULL: not known yet, or not there. Borrowed during the call. */
struct secrets_own {
    const char *ca, *cert, *key; /* of <release>-client */
    const char *rest_password;
};
/* Something that a person should hear of; the text is borrowed. */
typedef void secrets_say_fn(void *arg, const char *reason, bool warning, const char *text);
/* One of them is new. */
typedef void secrets_fn(void *arg, const struct secrets_own *own);

struct secrets_spec {
    struct loop *loop;
    struct kube *kube;
    const char *ns; /* borrowed, as the options are */
    const struct options *options;
    secrets_fn *fn;
    secrets_say_fn *say;
    void *arg;
};

struct secrets *secrets_new(const struct secrets_spec *spec);
struct secrets *secrets_free(struct secrets *secrets);
/* When the oldest pod with a certificate was made; 0: not known. */
void secrets_set_oldest_pod(struct secrets *secrets, struct wall made);
/* Whether this controller may write; becoming active looks at once. */
void secrets_set_active(struct secrets *secrets, bool active);
