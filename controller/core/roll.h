#pragma once
/* The roll (design part 9): one pod at a time, standbys first, then a switchover, then the old
 * primary; nothing is deleted before everything that is needed then is well. Then the parameters that
 * wait for a restart: one member at a time, standbys first, the primary in place. Pure.
 *
 * In place, and not by a switchover: a standby keeps what its primary had where that was more
 * (max_connections and the like), so that it would take the old value along when it is promoted. */
#include "controller/core/view.h"

enum {
    ROLL_HEALTHY_MS = 10000,
    ROLL_RESTART_AGAIN_MS = 60000, /* a member that waits for a restart still, or again */
};

struct roll_view {
    struct mono now;
    const struct cluster_view *cluster;
    const struct pods *pods;
    bool set_known;             /* the StatefulSet was read, as of its newest generation */
    int replicas;               /* of its spec */
    char revision[LIMIT_LABEL]; /* status.updateRevision */
    char stamp[LIMIT_LABEL];    /* annotation pgvigil/revision */
    bool witness_known;         /* the witness's Deployment was read, or is known to be absent */
    bool witness_exists;        /* false with external etcd */
    bool witness_complete;      /* rolled out and available, as of its newest generation */
    char witness_stamp[LIMIT_LABEL];
    struct mono healthy_since; /* see roll_is_healthy; 0: it is not */
    /* The values' settings of this revision are in /config, for long enough that members have said what
     * waits for a restart. */
    bool settings_current;
    struct names due;           /* members where a parameter of the values waits for a restart */
    char restarted[LIMIT_NAME]; /* the member that was told last; "": none */
    struct mono restarted_at;
};

enum roll_move {
    ROLL_DONE, /* every pod is of the newest revision, and ready; the settings are in force */
    ROLL_WAIT,
    ROLL_DELETE,
    ROLL_SWITCHOVER, /* to `pod`, so that the primary can be deleted */
    ROLL_RESTART,    /* its PostgreSQL; the pod stays */
};

struct roll_decision {
    enum roll_move move;
    const struct pod *pod; /* DELETE, SWITCHOVER, RESTART */
    const char *reason;    /* static */
};

/* All data pods are there and ready (readiness says: a voter, too), and the witness is. A pod of an
 * old revision that is not ready and does not lead does not count: deleting it may mend it. */
bool roll_is_healthy(const struct roll_view *view);
struct roll_decision roll_decide(const struct roll_view *view);

/* Who takes over: a ready standby of the newest revision, in synchronous mode one that /sync names, and
 * not on `node` (NULL: wherever). NULL: nobody. */
const struct pod *roll_successor(const struct roll_view *view, const char *node);

/* The ordinal in "<set>-<n>"; -1: the name is not of that set. */
int roll_ordinal(const char *set, const char *pod);
