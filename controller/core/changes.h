#pragma once
/* What a person should hear of: compares what is with what was. Pure; reasons are for scripts to
 * match. What the sidecars tell themselves (pgvigil/events/) is not told again here. */
#include "controller/core/view.h"

enum { CHANGES_MAX = 16, CHANGE_TEXT = 1000 };

struct change {
    const char *reason; /* "Failover"; static */
    bool warning;
    char pod[LIMIT_KUBE_NAME]; /* that it is about; "": the release */
    char text[CHANGE_TEXT];
};

struct change_list {
    size_t n;
    struct change change[CHANGES_MAX];
};

struct watched_pod {
    char name[LIMIT_KUBE_NAME];
    bool streamed;      /* it was a standby that streams */
    struct mono silent; /* since when it does not; 0: it does, or never did */
    bool lost_said;
    bool node_said;
    bool seen; /* in this look */
};

/* Between two looks. All zero: nothing is known, and what is there then is no change. */
struct changes {
    char primary[LIMIT_KUBE_NAME]; /* the last one there was */
    char witness[LIMIT_UID];
    struct mono wished; /* when a `failover` key was last there; 0: never */
    size_t n;
    struct watched_pod pods[LIMIT_PODS];
};

/* Failover, Switchover, StandbyLost, StandbyBack, WitnessReplaced, NodeLost. `wish`: a person's
 * request is in the store. Nothing while the cluster is not known. */
struct change_list changes_look(struct changes *changes, const struct cluster_view *cluster,
                                const struct pods *pods, bool wish, struct mono now);
