#pragma once
/* What the files of the top folder share. */
#include "controller/controller.h"
#include "controller/core/changes.h"
#include "controller/kube/events.h"
#include "controller/kube/kube.h"
#include "controller/kube/labeller.h"
#include "controller/kube/lease.h"
#include "controller/kube/slice.h"
#include "controller/kube/watch.h"
#include "controller/secrets.h"
#include "controller/status/status.h"
#include "controller/store/store.h"

struct fleet;
struct values;

struct controller {
    struct loop *loop;
    const struct options *options;
    const char *ns; /* Kubernetes' */
    struct http *kube_http;
    struct http *etcd_http;
    struct kube *kube;
    struct secrets *secrets;
    struct http_tls *etcd_tls;
    struct http_tls *rest_tls; /* towards the members; NULL: plain */
    char *rest_password;       /* NULL: not known */
    struct etcd *etcd;
    struct store *store; /* NULL until there is a certificate, where one is needed */
    struct kube_watch *pods_watch;
    struct pod_table pods;
    struct labeller *labeller;
    struct slices *slices; /* NULL with `routing: label` */
    struct text service;   /* the name that they belong to */
    struct kube_lease *lease;
    struct status_server *status;
    struct kube_events *events; /* NULL: not managed */
    struct changes changes;
    int64_t copied_revision; /* of the newest event that was copied */

    struct source *cycle; /* deferred: many wake-ups, one reconciliation */
    struct source *tick;  /* what only time changes: freshness, lag */
    struct source *end;
    struct values *values; /* NULL: not managed, like the next one */
    struct fleet *fleet;
    char leader_url[LIMIT_URL]; /* REST of the leader; "": none */
    bool stopping;
    bool store_known;              /* as of the last cycle */
    bool writes;                   /* the Lease was ours in the last cycle */
    char primary[LIMIT_KUBE_NAME]; /* as last seen, for the log */
};

/* Something is new: reconcile in this turn of the loop. */
void controller_wake(void *arg);

/* controller_status.c: a status_fn. */
int controller_status(void *arg, const char *path, struct text *to);

/* controller_events.c: an Event about the release; a secrets_say_fn. */
void controller_say(void *arg, const char *reason, bool warning, const char *text);
/* controller_events.c: Events of what has changed; `writes`: this controller may. */
void controller_tell(struct controller *controller, const struct cluster_view *cluster,
                     bool writes);
