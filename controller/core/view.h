#pragma once
/* What the controller decides on: pods as the Kubernetes API told them, the cluster as etcd told it,
 * plain data taken at `now`. No pointer to anything alive. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"
#include "cluster/member.h"
#include "cluster/sync_state.h"

enum {
    LIMIT_PODS = 32,       /* of a release: data, witness, controllers, old ones that end */
    LIMIT_KUBE_NAME = 254, /* bytes of an object's name with terminator (RFC 1123) */
    LIMIT_UID = 40,
    LIMIT_ADDRESS = 48,
    LIMIT_LABEL = 64, /* bytes of a label's value with terminator */
    LIMIT_CLAIMS = 256,
};

enum component { COMPONENT_OTHER, COMPONENT_DATA, COMPONENT_WITNESS, COMPONENT_CONTROLLER };

struct pod {
    char name[LIMIT_KUBE_NAME];
    char uid[LIMIT_UID];
    enum component component;
    char node[LIMIT_KUBE_NAME];  /* "": not scheduled */
    char address[LIMIT_ADDRESS]; /* status.podIP; "": none yet */
    char second[LIMIT_ADDRESS];  /* of the other family; "": none */
    char label[LIMIT_LABEL];     /* the role label's value; "": none */
    char revision[LIMIT_LABEL];  /* controller-revision-hash */
    char claims[LIMIT_CLAIMS];   /* names of its volume claims, with blanks between; "": none */
    bool ready;
    bool ended;            /* phase Succeeded or Failed: it will never run again */
    bool deleting;         /* deletionTimestamp is set */
    int64_t deadline_ms;   /* wall time at which it should have ended; 0: not deleting */
    int64_t overstayed_ms; /* how long ago that was, as of this view; 0: it was not */
    int64_t created_ms;    /* wall time at which it was made; 0: not known */
    int64_t version;       /* resourceVersion as a number: newer is greater */
    bool patching;         /* a patch of its label is on its way */
    bool maybe_primary;    /* a primary label that was sent and never answered may still arrive */
};

struct pods {
    size_t n;
    struct pod pod[LIMIT_PODS];
};

struct cluster_view {
    bool known;              /* etcd has a quorum and told something within a second */
    char leader[LIMIT_NAME]; /* "": nobody holds the key */
    struct sync_state sync;
    lsn_t optime;        /* what the leader had half a ttl ago; LSN_NONE: not known */
    int64_t maximum_lag; /* maximum_lag_on_failover, bytes */
    int64_t ttl_ms;
    bool paused;
    size_t n_members;
    struct member members[LIMIT_MEMBERS];
};

/* The member of that name; NULL: none. */
const struct member *cluster_member(const struct cluster_view *cluster, const char *name);
/* The pod of that name; NULL: none. */
const struct pod *pods_named(const struct pods *pods, const char *name);
