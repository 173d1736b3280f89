#pragma once
/* A prefix of etcd kept in a table: one read, then a watch from its revision on, and beside it a look
 * at the revisions of all keys on the same endpoint, again and again. A watch that is lost, compacted,
 * silent, or that the look shows to lag is opened anew on another endpoint, after the prefix was read
 * again.
 *
 *     READING --answer--> WATCHING --lost, silent or behind--> READING on the next endpoint
 *
 * Own writes may be told at once, with the revision of their answer; what the watch brings later is
 * then no news. It decides nothing. */
#include "base/instant.h"
#include "etcd/table.h"

struct etcd_feed;

struct etcd_feed_spec {
    struct loop *loop;
    struct etcd *etcd;
    const char *prefix; /* copied */
    int64_t check_ms;   /* between two looks */
    bool only_silent;   /* no look while the watch has told something within check_ms: for who hears
                         linearizable answers elsewhere (etcd_feed_heard) */
    int64_t answer_ms;  /* what an answer to a look or a read may take */
    loop_fn *changed; /* the table is new in some key; called at once, from where it was told, while
                           gravestones still date what vanished; must not free the feed */
    loop_fn *forgotten; /* another store, or one that went back in time: the table is empty. NULL */
    void *arg;
};

/* Begins to read at once. */
struct etcd_feed *etcd_feed_new(const struct etcd_feed_spec *spec);
struct etcd_feed *etcd_feed_free(struct etcd_feed *feed);
void etcd_feed_set_pace(struct etcd_feed *feed, int64_t check_ms, int64_t answer_ms);

/* What was heard. */
struct etcd_feed_state {
    struct etcd_table table;
    bool loaded;      /* the table is whole, up to what the watch has not told yet */
    bool behind;      /* the last look knew more than the watch had told */
    uint64_t id;      /* of the etcd cluster; 0: not heard yet */
    int64_t revision; /* the highest heard of */
    int64_t told;     /* the table holds everything up to this one (but for own writes) */
    uint64_t term;
    struct mono heard; /* when the last request with a linearizable answer was sent */
    bool heard_once;
    struct mono word_at; /* the last word of any kind */
    struct wall last_seen;
    int endpoint;
};
/* Borrowed; its content changes with the loop. */
const struct etcd_feed_state *etcd_feed_state(const struct etcd_feed *feed);
/* The same for those who mark entries (complained). */
struct etcd_table *etcd_feed_table(struct etcd_feed *feed);

/* Two feeds of one prefix stay on different endpoints, where there are two: this one leaves out that
 * of the other, whenever it moves. */
void etcd_feed_avoid(struct etcd_feed *feed, const struct etcd_feed *other);

/* --- for those who write --- */

/* A key as an answer told it, or as an own write left it; create_revision 0: kept, or mod_revision. */
void etcd_feed_saw(struct etcd_feed *feed, const struct etcd_kv *kv);
/* … that it does not exist. */
void etcd_feed_saw_none(struct etcd_feed *feed, const char *name, int64_t revision);
/* A linearizable answer has come to a request sent at `sent` (0: revision, term not known). */
void etcd_feed_heard(struct etcd_feed *feed, struct mono sent, int64_t revision, uint64_t term);
/* A reply was lost or a compare failed: the table is read again; until then it is not `loaded`. */
void etcd_feed_resync(struct etcd_feed *feed);
