/* What the store tells: the feed of our prefix (etcd/feed.h), what its changes mean, single keys, and
 * the question whether a holder's lease still lives. */
#include "sidecar/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "etcd/feed.h"
#include "etcd/lease.h"
#include "sidecar/observe/cluster_view.h"
#include "json/json.h"

enum {
    QUESTION_MS = 500,          /* L7: between two questions about a holder's lease */
    SCHEDULE_WINDOW_MS = 30000, /* how late a scheduled switchover may still begin */
    ANSWER_MIN_MS = 300,        /* what one read may take at least, however short the ttl */
};

struct cluster {
    struct cluster_spec spec;
    char *prefix;
    char *self;
    struct source *changed;
    struct etcd_feed *feed;
    const struct etcd_feed_state *state; /* the feed's */
    struct cluster_words words;          /* read from the table at each change */

    bool full; /* said in the log */

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

/* --- what was heard --- */

void cluster_heard(struct cluster *cluster, struct mono sent, int64_t revision, uint64_t term)
{
    etcd_feed_heard(cluster->feed, sent, revision, term);
}

void cluster_saw(struct cluster *cluster, const struct cluster_key *key)
{
    etcd_feed_saw(cluster->feed, &(struct etcd_kv){ .key = key->name,
                                                    .value = key->value,
                                                    .value_len = key->len,
                                                    .create_revision = key->create_revision,
                                                    .mod_revision = key->mod_revision,
                                                    .lease = key->lease });
}

void cluster_saw_none(struct cluster *cluster, const char *name, int64_t revision)
{
    etcd_feed_saw_none(cluster->feed, name, revision);
}

void cluster_resync(struct cluster *cluster)
{
    etcd_feed_resync(cluster->feed);
    source_trigger(cluster->changed);
}

/* --- what changes mean --- */

/* The revision at which the leader key vanished, or, where nobody saw it, one that is not earlier:
 * a wish counts as written after the loss only if it surely was (design part 4). */
static int64_t vanished_at(struct cluster *cluster)
{
    int64_t revision = etcd_table_revision(&cluster->state->table, "leader");
    if (revision == 0 && cluster->words.view.holder.released)
        revision = cluster->words.view.holder.mod_revision;
    return revision != 0 ? revision : cluster->state->revision;
}

static void note_leader(struct cluster *cluster)
{
    if (cluster->words.view.leader_exists)
        cluster->leader_lost_revision = 0;
    else if (cluster->leader_lost_revision == 0 && cluster->state->loaded)
        cluster->leader_lost_revision = vanished_at(cluster);
}

static void note_sync(struct cluster *cluster)
{
    int64_t buried = etcd_table_revision(&cluster->state->table, "sync");
    if (cluster->words.view.sync.exists)
        cluster->sync_absent_revision = 0;
    else if (cluster->sync_absent_revision == 0)
        cluster->sync_absent_revision = buried != 0 ? buried : cluster->state->revision;
}

static void note_failover(struct cluster *cluster)
{
    int64_t revision = cluster->words.view.failover.mod_revision;
    if (revision != cluster->failover_revision)
        cluster->failover_seen_at = clock_mono();
    cluster->failover_revision = revision;
}

/* A trace of a renewal (pgvigil/renewed). What is older than we are counts as new: nobody knows. */
static void note_renewed(struct cluster *cluster)
{
    int64_t revision = etcd_table_revision(&cluster->state->table, "pgvigil/renewed");
    if (revision == 0 || revision == cluster->renewed_revision)
        return;
    cluster->renewed_revision = revision;
    cluster->renewed_at = clock_mono();
    const char *value = cluster_value(cluster, "pgvigil/renewed");
    auto_json json_t *json = NULL;
    int64_t ttl_s = 0;
    if (value != NULL && json_parse(value, strlen(value), "pgvigil/renewed", &json, NULL) == ERR_OK)
        (void)json_get_int((struct json_reader){ .object = json, .name = "pgvigil/renewed" }, "ttl",
                           &ttl_s, NULL);
    cluster->renewed_ttl_ms = ttl_s * 1000;
}

static void note_full(struct cluster *cluster)
{
    bool full = etcd_table_full(&cluster->state->table);
    if (full && !cluster->full)
        log_error("store: more than %d keys under %s -> it is not taken for read", LIMIT_KEYS,
                  cluster->prefix);
    cluster->full = full;
}

static void on_change(void *arg)
{
    struct cluster *cluster = arg;
    cluster_view_read(etcd_feed_table(cluster->feed), cluster->self, &cluster->words);
    note_leader(cluster);
    note_sync(cluster);
    note_failover(cluster);
    note_renewed(cluster);
    note_full(cluster);
    source_trigger(cluster->changed);
}

/* S6: a store that went back in time, or another one: what we know is not of this one. */
static void on_forgotten(void *arg)
{
    struct cluster *cluster = arg;
    log_error("store: etcd is another cluster than before, or went back in time -> what was known "
              "of it is forgotten");
    cluster->gone_lease = 0;
    cluster->renewed_revision = 0;
    cluster->leader_lost_revision = 0;
    cluster->sync_absent_revision = 0;
}

/* --- the holder's lease (L7) --- */

static void on_question(void *arg, const struct etcd_lease_result *result)
{
    struct cluster *cluster = arg;
    cluster->question = etcd_call_free(cluster->question);
    bool gone = result->outcome.code == ERR_OK && result->ttl_s < 0;
    /* A member of an older term may never have heard of this lease. The grant lies before the
     * record, so that who has applied the record knows the lease if it lives. */
    bool knows = result->outcome.header.raft_term >= cluster->state->term &&
                 result->outcome.header.revision >= cluster->asked_revision;
    if (gone && knows) {
        cluster->gone_lease = cluster->asked_lease;
        log_info("store: lease %llx of the former holder is gone -> the key is free once its "
                 "holding has ended",
                 (unsigned long long)cluster->asked_lease);
        source_trigger(cluster->changed);
    } else {
        source_arm_in(cluster->question_timer, QUESTION_MS);
    }
}

static void ask_for_holder(struct cluster *cluster, struct mono now)
{
    const struct store_view *view = &cluster->words.view;
    if (view->holder.lease_id == cluster->gone_lease || cluster->question != NULL)
        return;
    bool same = cluster->asked_lease == view->holder.lease_id;
    if (same && mono_diff(now, cluster->asked_at) < QUESTION_MS)
        return;
    cluster->asked_at = now;
    cluster->asked_lease = view->holder.lease_id;
    cluster->asked_revision = view->holder.mod_revision;
    struct etcd_how how = { .timeout_ms = cluster->spec.ttl_ms / 4, .endpoint = ETCD_ANY };
    cluster->question = etcd_lease_time_to_live(cluster->spec.etcd, view->holder.lease_id, how,
                                                on_question, cluster);
}

/* A lease can end before its time (act/keeper_renewal.c): what was renewed under it may last until
 * ttl after its last trace. */
static bool holding_may_last(struct cluster *cluster, struct mono now)
{
    int64_t ttl_ms = cluster->renewed_ttl_ms > cluster->spec.ttl_ms ? cluster->renewed_ttl_ms
                                                                    : cluster->spec.ttl_ms;
    struct mono until = mono_add(cluster->renewed_at, ttl_ms);
    if (cluster->renewed_revision == 0 || !mono_before(now, until))
        return false;
    source_arm_at(cluster->question_timer, until);
    return true;
}

static bool holder_is_gone(struct cluster *cluster, struct mono now)
{
    const struct store_view *view = &cluster->words.view;
    if (!cluster->state->loaded || view->leader_exists || !view->holder.exists ||
        view->holder.released)
        return false;
    ask_for_holder(cluster, now);
    return cluster->gone_lease != 0 && view->holder.lease_id == cluster->gone_lease &&
           !holding_may_last(cluster, now);
}

/* --- the view --- */

/* S6. A revision that is still being recorded keeps this node from racing; one that leads already
 * does not stop to be fit because it has just written /sync itself. */
static void fill_same_cluster(const struct cluster *cluster, struct store_view *view)
{
    view->same_cluster = cluster->state->loaded && cluster->spec.remember == NULL;
    if (!cluster->state->loaded || cluster->spec.remember == NULL)
        return;
    int64_t revision = view->sync.exists ? view->sync.mod_revision : cluster->sync_absent_revision;
    switch (cluster->spec.remember(cluster->spec.arg, cluster->state->id, revision)) {
    case CLUSTER_SAME:
        view->same_cluster = true;
        break;
    case CLUSTER_RECORDING:
        view->same_cluster = view->leader_exists && strcmp(view->leader, cluster->self) == 0;
        view->recording = !view->same_cluster;
        break;
    case CLUSTER_OTHER:
        break;
    }
}

static void fill_failover(const struct cluster *cluster, struct mono now,
                          struct failover_request *request)
{
    if (!request->exists)
        return;
    const struct failover *failover = &cluster->words.failover;
    int64_t late_ms = failover->scheduled ? clock_wall().ms - failover->scheduled_at.ms : 0;
    request->due = late_ms >= 0 && late_ms < SCHEDULE_WINDOW_MS;
    request->stale = late_ms >= SCHEDULE_WINDOW_MS;
    request->age_ms = mono_diff(now, cluster->failover_seen_at);
    request->after_leader_loss = !cluster->words.view.leader_exists &&
                                 cluster->leader_lost_revision != 0 &&
                                 request->mod_revision > cluster->leader_lost_revision;
}

void cluster_fill(struct cluster *cluster, struct mono now, struct store_view *ret_view)
{
    *ret_view = cluster->words.view;
    ret_view->loaded = cluster->state->loaded;
    ret_view->reachable = cluster->state->heard_once &&
                          mono_diff(now, cluster->state->heard) <= cluster->spec.ttl_ms / 2;
    fill_same_cluster(cluster, ret_view);
    ret_view->age_ms = mono_diff(now, cluster->state->word_at);
    ret_view->renewed_ttl_ms = cluster->renewed_ttl_ms;
    fill_failover(cluster, now, &ret_view->failover);
    ret_view->holder.lease_gone = holder_is_gone(cluster, now);
}

/* --- single keys --- */

static struct cluster_key key_of(const struct etcd_entry *entry)
{
    return (struct cluster_key){
        .name = entry->name,
        .value = entry->value,
        .len = entry->len,
        .create_revision = entry->create_revision,
        .mod_revision = entry->mod_revision,
        .lease = entry->lease,
    };
}

bool cluster_get(const struct cluster *cluster, const char *name, struct cluster_key *ret_key)
{
    const struct etcd_entry *entry = etcd_table_find(&cluster->state->table, name);
    if (entry == NULL)
        return false;
    *ret_key = key_of(entry);
    return true;
}

const char *cluster_value(const struct cluster *cluster, const char *name)
{
    const struct etcd_entry *entry = etcd_table_find(&cluster->state->table, name);
    return entry != NULL ? entry->value : NULL;
}

bool cluster_next(const struct cluster *cluster, const char *prefix, const char *after,
                  struct cluster_key *ret_key)
{
    const struct etcd_entry *entry = etcd_table_next(&cluster->state->table, prefix, after);
    if (entry == NULL)
        return false;
    *ret_key = key_of(entry);
    return true;
}

const char *cluster_prefix(const struct cluster *cluster)
{
    return cluster->prefix;
}

const char *cluster_self(const struct cluster *cluster)
{
    return cluster->self;
}

int64_t cluster_revision(const struct cluster *cluster)
{
    return cluster->state->revision;
}

uint64_t cluster_id(const struct cluster *cluster)
{
    return cluster->state->id;
}

struct wall cluster_last_seen(const struct cluster *cluster)
{
    return cluster->state->last_seen;
}

/* --- life --- */

static void on_question_timer(void *arg)
{
    struct cluster *cluster = arg;
    source_trigger(cluster->changed); /* the next cluster_fill asks again */
}

/* A leader's renewals leave a trace every ttl/4 (act/keeper_renewal.c), which may take a second
 * sequence: a watch that tells nothing for longer is behind, or there is no leader. */
static int64_t silence_ms(int64_t ttl_ms)
{
    return ttl_ms * 5 / 16;
}

static int64_t answer_ms(int64_t ttl_ms)
{
    return ttl_ms / 8 > ANSWER_MIN_MS ? ttl_ms / 8 : ANSWER_MIN_MS;
}

struct cluster *cluster_new(const struct cluster_spec *spec)
{
    struct cluster *cluster = mem_struct(struct cluster);
    cluster->spec = *spec;
    cluster->prefix = mem_strdup(spec->prefix);
    cluster->self = mem_strdup(spec->self);
    cluster->changed = loop_defer(spec->loop, spec->changed, spec->arg);
    cluster->question_timer = loop_timer(spec->loop, on_question_timer, cluster);
    const struct etcd_feed_spec feed = {
        .loop = spec->loop,
        .etcd = spec->etcd,
        .prefix = spec->prefix,
        .check_ms = silence_ms(spec->ttl_ms),
        .only_silent = true,
        .answer_ms = answer_ms(spec->ttl_ms),
        .changed = on_change,
        .forgotten = on_forgotten,
        .arg = cluster,
    };
    cluster->feed = etcd_feed_new(&feed);
    cluster->state = etcd_feed_state(cluster->feed);
    return cluster;
}

struct cluster *cluster_free(struct cluster *cluster)
{
    if (cluster == NULL)
        return NULL;
    etcd_call_free(cluster->question);
    source_free(cluster->question_timer);
    source_free(cluster->changed);
    etcd_feed_free(cluster->feed);
    free(cluster->prefix);
    free(cluster->self);
    free(cluster);
    return NULL;
}

void cluster_set_ttl(struct cluster *cluster, int64_t ttl_ms)
{
    cluster->spec.ttl_ms = ttl_ms;
    etcd_feed_set_pace(cluster->feed, silence_ms(ttl_ms), answer_ms(ttl_ms));
}
