#pragma once
/* Controllers and what is around them: a Kubernetes API (fake), etcd (real), a release "db" with two
 * data pods and a witness, db-0 leading. What is expected is waited for, 10 s and more, and fails the
 * test with what there is instead. */
#include "controller/controller.h"
#include "etcd_server.h"
#include "tests/fake/kube_api.h"

#define WORLD_PODS "/api/v1/namespaces/x/pods/"

enum { WORLD_CONTROLLERS = 2 };

struct controller_world {
    struct loop *loop;
    struct kube_api *api; /* stands in for the members' REST API as well */
    struct http *http;
    struct etcd *etcd;
    struct etcd_cluster store;
    struct options *options[WORLD_CONTROLLERS];
    struct controller *controllers[WORLD_CONTROLLERS];
};

/* The environment is that of a controller that only labels; a test sets more before world_begin. */
void world_setup(struct controller_world *world);
void world_teardown(struct controller_world *world);

struct controller *world_begin(struct controller_world *world, int index, const char *name);
/* At once, as if it were killed. */
void world_end(struct controller_world *world, int index);

/* Below "/service/db/"; NULL: deleted. */
void world_key(struct controller_world *world, const char *name, const char *value);
void world_expect_key(struct controller_world *world, const char *name, const char *part);
/* Runs, and streams; `more`: further fields, ",\"x\":1". */
void world_member(struct controller_world *world, const char *name, const char *role,
                  const char *more);
void world_pod(struct controller_world *world, const char *name, const char *component,
               const char *node);

/* The role label; "": none. */
const char *world_label(struct controller_world *world, const char *name);
/* "primary,replica" of db-0 and db-1; at no look two primaries. */
void world_expect_labels(struct controller_world *world, const char *labels);
void world_expect_labels_stay(struct controller_world *world, const char *labels, int64_t ms);
/* A Kubernetes Event with this reason. */
void world_expect_event(struct controller_world *world, const char *reason);
