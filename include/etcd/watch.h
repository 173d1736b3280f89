#pragma once
/* A watch: news of a key or a prefix from a revision on, in order, without gaps. It ends with the
 * first of ETCD_NEWS_RESYNC and ETCD_NEWS_LOST; a new one is the owner's decision, and so is taking
 * silence for a loss (etcd tells progress only as often as it was configured, by default every ten
 * minutes). "Require leader" is set: a member that loses its quorum ends the watch. */
#include "base/instant.h"
#include "etcd/kv.h"

struct etcd_watch;

enum etcd_news_kind {
    ETCD_NEWS_CREATED, /* etcd has it; everything from start_revision on will come */
    ETCD_NEWS_EVENTS,
    ETCD_NEWS_PROGRESS, /* nothing happened up to header.revision */
    ETCD_NEWS_RESYNC,   /* start_revision is compacted: read everything anew. Over */
    ETCD_NEWS_LOST,     /* broken, refused, timed out: see code, failure, reason. Over */
};

struct etcd_event {
    bool deleted;               /* else put; the value of a deleted key is "" */
    struct etcd_kv kv;          /* of a deleted key: mod_revision is that of the deletion */
    const struct etcd_kv *prev; /* NULL: not asked for, or there was none */
};

struct etcd_news {
    enum etcd_news_kind kind;
    struct etcd_header header;
    const struct etcd_event *events;
    size_t n_events;
    enum err_code code; /* LOST only */
    enum etcd_failure failure;
    const char *reason; /* "" except for LOST */
};
/* Everything is borrowed until it returns. It may free the watch. */
typedef void etcd_watch_fn(void *arg, const struct etcd_news *news);

struct etcd_watch_spec {
    const char *key;
    bool prefix;
    bool previous;          /* events carry the value before */
    int64_t start_revision; /* 0: from now */
    int64_t timeout_ms;     /* until CREATED */
    int endpoint;           /* ETCD_ANY: the sticky one */
    etcd_watch_fn *fn;
    void *arg;
};

/* Never fails: LOST says what was wrong. */
struct etcd_watch *etcd_watch_new(struct etcd *etcd, const struct etcd_watch_spec *spec);
/* No callback afterwards. NULL is fine; returns NULL. Free it before the client. */
struct etcd_watch *etcd_watch_free(struct etcd_watch *watch);

/* When the last line came (its creation until then): for the owner's idea of silence. */
struct mono etcd_watch_heard(const struct etcd_watch *watch);
int etcd_watch_endpoint(const struct etcd_watch *watch);
