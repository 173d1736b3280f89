/* The life of the table: one read of the prefix, then a watch from there on, and beside it every
 * ttl/4 a look at the revisions of all keys on the same endpoint, which has to answer within ttl/8.
 *
 *     READING --answer--> WATCHING --lost, silent or behind--> READING on the next endpoint
 */
#include "sidecar/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "etcd/kv.h"
#include "etcd/watch.h"
#include "sidecar/observe/cluster_internal.h"

enum {
    READ_MIN_MS = 300, /* what one read may take at least, however short the ttl */
    PAUSE_MS = 100,    /* before the next try */
    BEHIND_MS = 500,   /* what the watch may lag behind a read beside it */
};

static void read_begin(struct cluster *cluster);

static int64_t read_timeout_ms(const struct cluster *cluster)
{
    int64_t eighth_ms = cluster->spec.ttl_ms / 8;
    return eighth_ms > READ_MIN_MS ? eighth_ms : READ_MIN_MS;
}

static const char *short_name(const struct cluster *cluster, const char *key)
{
    size_t len = strlen(cluster->prefix);
    return strncmp(key, cluster->prefix, len) == 0 && key[len] != '\0' ? key + len : NULL;
}

static bool take_kv(struct cluster *cluster, const struct etcd_kv *kv)
{
    const char *name = short_name(cluster, kv->key);
    return name != NULL &&
           cluster_table_put(&cluster->table, &(struct cluster_key){
                                                  .name = name,
                                                  .value = kv->value,
                                                  .len = kv->value_len,
                                                  .create_revision = kv->create_revision,
                                                  .mod_revision = kv->mod_revision,
                                                  .lease = kv->lease,
                                              });
}

/* Everything that listens to the endpoint is ended. */
static void stop_listening(struct cluster *cluster)
{
    cluster->read = etcd_call_free(cluster->read);
    cluster->check = etcd_call_free(cluster->check);
    cluster->watch = etcd_watch_free(cluster->watch);
    cluster->behind = false;
}

static void go_on_elsewhere(struct cluster *cluster, const char *why)
{
    const char *url = etcd_endpoint_url(cluster->spec.etcd, cluster->endpoint);
    log_debug("store: %s at %s -> read again on the next endpoint", why, url ? url : "?");
    stop_listening(cluster);
    cluster->endpoint = etcd_endpoint_after(cluster->spec.etcd, cluster->endpoint);
    source_arm_in(cluster->timer, PAUSE_MS);
}

/* --- watching --- */

static void on_event(struct cluster *cluster, const struct etcd_event *event, bool *changed)
{
    const char *name = short_name(cluster, event->kv.key);
    if (name == NULL)
        return;
    if (event->deleted)
        *changed |= cluster_table_delete(&cluster->table, name, event->kv.mod_revision);
    else
        *changed |= take_kv(cluster, &event->kv);
}

static void on_events(struct cluster *cluster, const struct etcd_news *news)
{
    bool changed = false;
    for (size_t event = 0; event < news->n_events; event++)
        on_event(cluster, &news->events[event], &changed);
    cluster->behind = false;
    if (changed)
        cluster_table_changed(cluster);
}

static void on_news(void *arg, const struct etcd_news *news)
{
    struct cluster *cluster = arg;
    switch (news->kind) {
    case ETCD_NEWS_CREATED:
    case ETCD_NEWS_PROGRESS:
        cluster_word(cluster, &news->header);
        break;
    case ETCD_NEWS_EVENTS:
        cluster_word(cluster, &news->header);
        on_events(cluster, news);
        break;
    case ETCD_NEWS_RESYNC:
        log_debug("store: the watch's revision is compacted -> read again");
        stop_listening(cluster);
        read_begin(cluster);
        break;
    case ETCD_NEWS_LOST:
        go_on_elsewhere(cluster, news->reason);
        break;
    }
}

static void watch_begin(struct cluster *cluster, int64_t revision)
{
    struct etcd_watch_spec spec = {
        .key = cluster->prefix,
        .prefix = true,
        .start_revision = revision + 1,
        .timeout_ms = read_timeout_ms(cluster),
        .endpoint = cluster->endpoint,
        .fn = on_news,
        .arg = cluster,
    };
    cluster->watch = etcd_watch_new(cluster->spec.etcd, &spec);
    source_arm_in(cluster->timer, cluster->spec.ttl_ms / 4);
}

/* --- the check beside the watch --- */

static int by_key(const void *key, const void *kv)
{
    return strcmp(key, ((const struct etcd_kv *)kv)->key);
}

static bool has_key(const struct cluster *cluster, const struct etcd_range_result *result,
                    const char *name)
{
    auto_text struct text key = text_new(LIMIT_PATH);
    text_add(&key, cluster->prefix);
    text_add(&key, name);
    return result->n_kvs > 0 &&
           bsearch(text_str(&key), result->kvs, result->n_kvs, sizeof(*result->kvs), by_key);
}

/* Does the member know something that the watch has not told yet? */
static bool knows_more(const struct cluster *cluster, const struct etcd_range_result *result)
{
    for (size_t kv = 0; kv < result->n_kvs; kv++) {
        const char *name = short_name(cluster, result->kvs[kv].key);
        if (name != NULL &&
            cluster_table_revision(&cluster->table, name) < result->kvs[kv].mod_revision)
            return true;
    }
    const struct cluster_entry *entry = NULL;
    while ((entry = cluster_table_next(&cluster->table, "", entry ? entry->name : "")) != NULL) {
        if (entry->mod_revision <= result->outcome.header.revision &&
            !has_key(cluster, result, entry->name))
            return true; /* deleted */
    }
    return false;
}

static void on_check(void *arg, const struct etcd_range_result *result)
{
    struct cluster *cluster = arg;
    cluster->check = etcd_call_free(cluster->check);
    if (result->outcome.code != ERR_OK) {
        go_on_elsewhere(cluster, result->outcome.error);
        return;
    }
    if (result->outcome.header.cluster_id != cluster->id) {
        go_on_elsewhere(cluster, "another etcd cluster answers");
        return;
    }
    cluster_word(cluster, &result->outcome.header);
    cluster_heard(cluster, cluster->check_sent, result->outcome.header.revision,
                  result->outcome.header.raft_term);
    cluster->behind = knows_more(cluster, result);
    if (!cluster->behind)
        cluster_table_settle(&cluster->table, result->outcome.header.revision);
    source_arm_in(cluster->timer, cluster->behind ? BEHIND_MS : cluster->spec.ttl_ms / 4);
}

static void check_begin(struct cluster *cluster)
{
    struct etcd_range range = { .key = cluster->prefix, .prefix = true, .keys_only = true };
    struct etcd_how how = { .timeout_ms = read_timeout_ms(cluster), .endpoint = cluster->endpoint };
    cluster->check_sent = clock_mono();
    cluster->check = etcd_range(cluster->spec.etcd, &range, how, on_check, cluster);
}

/* --- reading --- */

/* S6: a store that went back in time, or another one: what we know is not of this one. */
static void forget_other_store(struct cluster *cluster, const struct etcd_header *header)
{
    bool other = cluster->id != 0 && header->cluster_id != 0 && header->cluster_id != cluster->id;
    if (!other && header->revision >= cluster->read_floor)
        return;
    log_error("store: %s -> what was known of it is forgotten",
              other ? "etcd is another cluster than before" : "etcd went back in time");
    cluster_table_done(&cluster->table);
    cluster->revision = 0;
    cluster->term = 0;
    cluster->gone_lease = 0;
    cluster->renewed_revision = 0;
    cluster->leader_lost_revision = 0;
    cluster->sync_absent_revision = 0;
    cluster->id = header->cluster_id;
}

static void take_snapshot(struct cluster *cluster, const struct etcd_range_result *result)
{
    int64_t revision = result->outcome.header.revision;
    forget_other_store(cluster, &result->outcome.header);
    cluster_table_begin(&cluster->table);
    for (size_t kv = 0; kv < result->n_kvs; kv++)
        (void)take_kv(cluster, &result->kvs[kv]);
    (void)cluster_table_end(&cluster->table, revision);
    cluster_word(cluster, &result->outcome.header);
    cluster->loaded = true;
    cluster_table_changed(cluster); /* while gravestones still date what vanished */
    cluster_table_settle(&cluster->table, revision);
}

static void on_read(void *arg, const struct etcd_range_result *result)
{
    struct cluster *cluster = arg;
    cluster->read = etcd_call_free(cluster->read);
    if (result->outcome.code != ERR_OK) {
        go_on_elsewhere(cluster, result->outcome.error);
        return;
    }
    take_snapshot(cluster, result);
    cluster_heard(cluster, cluster->read_sent, result->outcome.header.revision,
                  result->outcome.header.raft_term);
    if (cluster_table_full(&cluster->table)) {
        /* Something may be missing: nothing may be decided on it. */
        log_error("store: more than %d keys under %s -> not taken for read", LIMIT_KEYS,
                  cluster->prefix);
        cluster->loaded = false;
        source_arm_in(cluster->timer, cluster->spec.ttl_ms);
        return;
    }
    watch_begin(cluster, result->outcome.header.revision);
}

static void read_begin(struct cluster *cluster)
{
    if (etcd_endpoint_url(cluster->spec.etcd, cluster->endpoint) == NULL)
        cluster->endpoint = etcd_endpoint_current(cluster->spec.etcd);
    if (cluster->endpoint == ETCD_ANY) {
        source_arm_in(cluster->timer, PAUSE_MS); /* no endpoint is known yet */
        return;
    }
    source_disarm(cluster->timer);
    struct etcd_range range = { .key = cluster->prefix, .prefix = true };
    struct etcd_how how = { .timeout_ms = read_timeout_ms(cluster), .endpoint = cluster->endpoint };
    cluster->read_sent = clock_mono();
    cluster->read_floor = cluster->revision;
    cluster->read = etcd_range(cluster->spec.etcd, &range, how, on_read, cluster);
}

static void on_timer(void *arg)
{
    struct cluster *cluster = arg;
    if (cluster->watch == NULL)
        read_begin(cluster);
    else if (cluster->behind)
        go_on_elsewhere(cluster, "the watch does not tell what a read shows");
    else if (cluster->check == NULL)
        check_begin(cluster);
}

void cluster_resync(struct cluster *cluster)
{
    cluster->loaded = false;
    stop_listening(cluster);
    read_begin(cluster);
    source_trigger(cluster->changed);
}

/* --- life --- */

static void on_question_timer(void *arg)
{
    struct cluster *cluster = arg;
    source_trigger(cluster->changed); /* the next cluster_fill asks again */
}

struct cluster *cluster_new(const struct cluster_spec *spec)
{
    struct cluster *cluster = mem_struct(struct cluster);
    cluster->spec = *spec;
    cluster->prefix = mem_strdup(spec->prefix);
    cluster->self = mem_strdup(spec->self);
    cluster->changed = loop_defer(spec->loop, spec->changed, spec->arg);
    cluster->timer = loop_timer(spec->loop, on_timer, cluster);
    cluster->question_timer = loop_timer(spec->loop, on_question_timer, cluster);
    cluster->endpoint = ETCD_ANY;
    read_begin(cluster);
    return cluster;
}

struct cluster *cluster_free(struct cluster *cluster)
{
    if (cluster == NULL)
        return NULL;
    stop_listening(cluster);
    etcd_call_free(cluster->question);
    source_free(cluster->question_timer);
    source_free(cluster->timer);
    source_free(cluster->changed);
    cluster_table_done(&cluster->table);
    free(cluster->prefix);
    free(cluster->self);
    free(cluster);
    return NULL;
}

void cluster_set_ttl(struct cluster *cluster, int64_t ttl_ms)
{
    cluster->spec.ttl_ms = ttl_ms;
}
