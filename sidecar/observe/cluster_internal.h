#pragma once
/* The cluster's inside, shared by cluster.c (read, watch, check) and cluster_facts.c (what is told
 * to others). */
#include "etcd/etcd.h"
#include "sidecar/observe/cluster_view.h"

struct etcd_watch;

struct cluster {
    struct cluster_spec spec;
    char *prefix;
    char *self;
    struct source *changed;

    struct cluster_table table;
    bool loaded;
    struct cluster_words words; /* read from the table at each change */

    /* Reading and watching. */
    int endpoint;
    struct source *timer;   /* the next try, or the next check */
    struct etcd_call *read; /* of the whole prefix */
    struct mono read_sent;
    int64_t read_floor; /* the revision that was known when it was sent */
    struct etcd_watch *watch;
    struct etcd_call *check; /* of the revisions, beside the watch */
    struct mono check_sent;
    bool behind; /* the last check knew more than the watch had told */

    /* What was heard. */
    uint64_t id;
    int64_t revision;
    uint64_t term;
    struct mono heard; /* when the last request with a linearizable answer was sent */
    bool heard_once;
    struct mono word_at; /* the last word of any kind */
    struct wall last_seen;

    /* What the keys alone do not say. */
    int64_t leader_lost_revision;
    int64_t sync_absent_revision; /* where /sync does not exist: when that was seen */
    int64_t failover_revision;    /* the request that was first seen at: */
    struct mono failover_seen_at;

    /* Does the lease of the unmarked holder record still live (L7)? */
    struct etcd_call *question;
    struct source *question_timer; /* the next question, or the end of a holding that may last */
    struct mono asked_at;
    int64_t asked_lease;
    int64_t asked_revision;   /* of the record that names it */
    int64_t gone_lease;       /* known to be gone; 0: none */
    int64_t renewed_revision; /* of the last trace of a renewal, which was seen at: */
    struct mono renewed_at;
    int64_t renewed_ttl_ms;
};

/* The table has changed: everything that is derived from it is looked at again. */
void cluster_table_changed(struct cluster *cluster);
/* A word of the store has come. */
void cluster_word(struct cluster *cluster, const struct etcd_header *header);
