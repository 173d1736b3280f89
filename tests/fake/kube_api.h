#pragma once
/* A Kubernetes API as the controller uses it, on the loop of the test: any collection of objects,
 * named by their paths; resourceVersion, uid, list in pages, watch with bookmarks, merge patch, 409 on
 * another uid or version, 410 for what is compacted; and faults on order. */
#include <jansson.h>
#include <stdbool.h>

#include "loop/loop.h"

struct kube_api;

/* Listens on loopback; writes a kubeconfig and sets KUBECONFIG to it. */
struct kube_api *kube_api_new(struct loop *loop);
struct kube_api *kube_api_free(struct kube_api *api);

/* "http://127.0.0.1:port"; it may stand in for the members' REST API as well. Borrowed. */
const char *kube_api_url(const struct kube_api *api);

/* Makes or replaces an object ("/api/v1/namespaces/x/pods/db-0"); takes the reference. name, uid and
 * resourceVersion are filled in; a replaced one keeps its uid unless it brings another. */
void kube_api_put(struct kube_api *api, const char *path, json_t *object);
void kube_api_delete(struct kube_api *api, const char *path);
/* Borrowed; NULL: none. */
const json_t *kube_api_get(const struct kube_api *api, const char *path);

/* The first object of a collection with this text under this key; borrowed; NULL: none. */
const json_t *kube_api_find(const struct kube_api *api, const char *collection, const char *key,
                            const char *value);

/* Every watch gets a bookmark of the newest version. */
void kube_api_bookmark(struct kube_api *api);
/* What happened up to now cannot be watched any more; pages that were begun neither. */
void kube_api_compact(struct kube_api *api);
/* Says 410 as an event in the stream instead of a status. */
void kube_api_expire_in_stream(struct kube_api *api, bool in_stream);
/* Every connection is closed at once. */
void kube_api_hang_up(struct kube_api *api);
/* The next n requests of this method ("" every one) are answered with this status, or with none at
 * all (0: done, and the connection closed); n < 0: until further notice. */
void kube_api_fail(struct kube_api *api, const char *method, int status, int n);

struct kube_api_counts {
    int requests, lists, pages, watches, patches, posts, puts;
};
const struct kube_api_counts *kube_api_counts(const struct kube_api *api);
