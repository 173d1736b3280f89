#pragma once
/* All objects of one kind, kept up to date: a list in pages, then a watch from its version on, with
 * bookmarks. A lost watch goes on where it was; one whose version is compacted (410, as a status or
 * as an event) begins with a list again. Tries are spaced with jitter; silence has a deadline.
 *
 *     LISTING --last page--> WATCHING --end, loss, silence--> WATCHING again
 *        ^-------------------------------- 410 ---------------------'
 */
#include "controller/kube/kube.h"

struct kube_watch;

enum kube_news {
    KUBE_NEWS_LIST,   /* everything will be told anew */
    KUBE_NEWS_PUT,    /* this object exists, with this content */
    KUBE_NEWS_GONE,   /* it does not exist any more */
    KUBE_NEWS_LISTED, /* what was not told since LIST does not exist */
};
/* `object` is NULL for LIST and LISTED, else borrowed. May not free the watch. */
typedef void kube_watch_fn(void *arg, enum kube_news news, const json_t *object);

struct kube_watch_spec {
    struct loop *loop;
    struct kube *kube;
    const char *what;  /* for the log: "pods"; static */
    const char *path;  /* "/api/v1/namespaces/x/pods"; copied */
    const char *query; /* encoded, "labelSelector=a%3Db"; "" or NULL: none; copied */
    kube_watch_fn *fn;
    void *arg;
};

struct kube_watch *kube_watch_new(const struct kube_watch_spec *spec);
/* No callback afterwards. NULL is fine; returns NULL. */
struct kube_watch *kube_watch_free(struct kube_watch *watch);

/* The list is here and a watch is open or is being opened again: what was told is what is there, up
 * to a loss that nobody knows yet. */
bool kube_watch_current(const struct kube_watch *watch);
