#include "etcd/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "etcd/watch.h"

enum {
    PAUSE_MS = 100,        /* before the next try */
    BEHIND_MS = 500,       /* what the watch may lag behind a look beside it */
    FULL_PAUSE_MS = 10000, /* more keys than LIMIT_KEYS: a person must help */
};

struct etcd_feed {
    struct etcd_feed_spec spec;
    char *prefix;
    struct etcd_feed_state state;
    const struct etcd_feed *avoid;

    struct source *timer;   /* the next try, or the next look */
    struct etcd_call *read; /* of the whole prefix */
    struct mono read_sent;
    int64_t read_floor; /* the revision that was known when it was sent */
    struct etcd_watch *watch;
    struct etcd_call *check; /* of the revisions, beside the watch */
    struct mono check_sent;
    int64_t told_revision;   /* up to which the watch has told everything */
    int64_t settle_revision; /* … as of the timer's last turn */
};

static void read_begin(struct etcd_feed *feed);

static const char *short_name(const struct etcd_feed *feed, const char *key)
{
    size_t len = strlen(feed->prefix);
    return strncmp(key, feed->prefix, len) == 0 && key[len] != '\0' ? key + len : NULL;
}

static bool take_kv(struct etcd_feed *feed, const struct etcd_kv *kv)
{
    struct etcd_kv named = *kv;
    named.key = short_name(feed, kv->key);
    return named.key != NULL && etcd_table_put(&feed->state.table, &named);
}

static void note_word(struct etcd_feed *feed, const struct etcd_header *header)
{
    struct etcd_feed_state *state = &feed->state;
    state->word_at = clock_mono();
    state->last_seen = clock_wall();
    if (state->id == 0)
        state->id = header->cluster_id;
    if (header->revision > state->revision)
        state->revision = header->revision;
}

/* Everything that listens to the endpoint is ended. */
static void stop_listening(struct etcd_feed *feed)
{
    feed->read = etcd_call_free(feed->read);
    feed->check = etcd_call_free(feed->check);
    feed->watch = etcd_watch_free(feed->watch);
    feed->state.behind = false;
}

static void next_endpoint(struct etcd_feed *feed)
{
    struct etcd *etcd = feed->spec.etcd;
    int next = etcd_endpoint_after(etcd, feed->state.endpoint);
    if (feed->avoid != NULL && next == feed->avoid->state.endpoint)
        next = etcd_endpoint_after(etcd, next);
    feed->state.endpoint = next;
}

static void go_on_elsewhere(struct etcd_feed *feed, const char *why)
{
    const char *url = etcd_endpoint_url(feed->spec.etcd, feed->state.endpoint);
    log_debug("store: %s at %s -> read again on the next endpoint", why, url ? url : "?");
    stop_listening(feed);
    next_endpoint(feed);
    source_arm_in(feed->timer, PAUSE_MS);
}

/* --- watching --- */

static void on_event(struct etcd_feed *feed, const struct etcd_event *event, bool *changed)
{
    const char *name = short_name(feed, event->kv.key);
    if (name == NULL)
        return;
    feed->told_revision = event->kv.mod_revision;
    if (event->deleted)
        *changed |= etcd_table_delete(&feed->state.table, name, event->kv.mod_revision);
    else
        *changed |= take_kv(feed, &event->kv);
}

static void on_events(struct etcd_feed *feed, const struct etcd_news *news)
{
    bool changed = false;
    for (size_t event = 0; event < news->n_events; event++) {
        on_event(feed, &news->events[event], &changed);
        feed->state.told = news->events[event].kv.mod_revision;
    }
    feed->state.behind = false;
    if (changed)
        feed->spec.changed(feed->spec.arg);
}

static void on_news(void *arg, const struct etcd_news *news)
{
    struct etcd_feed *feed = arg;
    switch (news->kind) {
    case ETCD_NEWS_CREATED:
    case ETCD_NEWS_PROGRESS:
        note_word(feed, &news->header);
        break;
    case ETCD_NEWS_EVENTS:
        note_word(feed, &news->header);
        on_events(feed, news);
        break;
    case ETCD_NEWS_RESYNC:
        log_debug("store: the watch's revision is compacted -> read again");
        stop_listening(feed);
        read_begin(feed);
        break;
    case ETCD_NEWS_LOST:
        go_on_elsewhere(feed, news->reason);
        break;
    }
}

static void watch_begin(struct etcd_feed *feed, int64_t revision)
{
    struct etcd_watch_spec spec = {
        .key = feed->prefix,
        .prefix = true,
        .start_revision = revision + 1,
        .timeout_ms = feed->spec.answer_ms,
        .endpoint = feed->state.endpoint,
        .fn = on_news,
        .arg = feed,
    };
    feed->watch = etcd_watch_new(feed->spec.etcd, &spec);
    source_arm_in(feed->timer, feed->spec.check_ms);
}

/* --- the look beside the watch --- */

static int by_key(const void *key, const void *kv)
{
    return strcmp(key, ((const struct etcd_kv *)kv)->key);
}

static bool has_key(const struct etcd_feed *feed, const struct etcd_range_result *result,
                    const char *name)
{
    auto_text struct text key = text_new(LIMIT_PATH);
    text_add(&key, feed->prefix);
    text_add(&key, name);
    return result->n_kvs > 0 &&
           bsearch(text_str(&key), result->kvs, result->n_kvs, sizeof(*result->kvs), by_key);
}

/* Does the member know something that the watch has not told yet? */
static bool knows_more(const struct etcd_feed *feed, const struct etcd_range_result *result)
{
    const struct etcd_table *table = &feed->state.table;
    for (size_t kv = 0; kv < result->n_kvs; kv++) {
        const char *name = short_name(feed, result->kvs[kv].key);
        if (name != NULL && etcd_table_revision(table, name) < result->kvs[kv].mod_revision)
            return true;
    }
    const struct etcd_entry *entry = NULL;
    while ((entry = etcd_table_next(table, "", entry ? entry->name : "")) != NULL) {
        if (entry->mod_revision <= result->outcome.header.revision &&
            !has_key(feed, result, entry->name))
            return true; /* deleted */
    }
    return false;
}

static void on_check(void *arg, const struct etcd_range_result *result)
{
    struct etcd_feed *feed = arg;
    const struct etcd_header *header = &result->outcome.header;
    feed->check = etcd_call_free(feed->check);
    if (result->outcome.code != ERR_OK) {
        go_on_elsewhere(feed, result->outcome.error);
        return;
    }
    if (header->cluster_id != feed->state.id) {
        go_on_elsewhere(feed, "another etcd cluster answers");
        return;
    }
    note_word(feed, header);
    etcd_feed_heard(feed, feed->check_sent, header->revision, header->raft_term);
    feed->state.behind = knows_more(feed, result);
    if (!feed->state.behind)
        feed->told_revision = header->revision;
    source_arm_in(feed->timer, feed->state.behind ? BEHIND_MS : feed->spec.check_ms);
}

static struct etcd_how how(const struct etcd_feed *feed)
{
    return (struct etcd_how){ .timeout_ms = feed->spec.answer_ms,
                              .endpoint = feed->state.endpoint };
}

static void check_begin(struct etcd_feed *feed)
{
    struct etcd_range range = { .key = feed->prefix, .prefix = true, .keys_only = true };
    feed->check_sent = clock_mono();
    feed->check = etcd_range(feed->spec.etcd, &range, how(feed), on_check, feed);
}

/* --- reading --- */

/* S6: a store that went back in time, or another one: what we know is not of this one. */
static void forget_other_store(struct etcd_feed *feed, const struct etcd_header *header)
{
    struct etcd_feed_state *state = &feed->state;
    bool other = state->id != 0 && header->cluster_id != 0 && header->cluster_id != state->id;
    if (!other && header->revision >= feed->read_floor)
        return;
    etcd_table_done(&state->table);
    state->revision = 0;
    state->term = 0;
    state->id = header->cluster_id;
    if (feed->spec.forgotten != NULL)
        feed->spec.forgotten(feed->spec.arg);
}

static void take_snapshot(struct etcd_feed *feed, const struct etcd_range_result *result)
{
    struct etcd_table *table = &feed->state.table;
    int64_t revision = result->outcome.header.revision;
    forget_other_store(feed, &result->outcome.header);
    etcd_table_begin(table);
    for (size_t kv = 0; kv < result->n_kvs; kv++)
        (void)take_kv(feed, &result->kvs[kv]);
    (void)etcd_table_end(table, revision);
    note_word(feed, &result->outcome.header);
    feed->state.told = revision;
    feed->state.loaded = true;
    feed->spec.changed(feed->spec.arg);
    etcd_table_settle(table, revision);
    feed->told_revision = feed->settle_revision = revision;
}

static void on_read(void *arg, const struct etcd_range_result *result)
{
    struct etcd_feed *feed = arg;
    const struct etcd_header *header = &result->outcome.header;
    feed->read = etcd_call_free(feed->read);
    if (result->outcome.code != ERR_OK) {
        go_on_elsewhere(feed, result->outcome.error);
        return;
    }
    take_snapshot(feed, result);
    etcd_feed_heard(feed, feed->read_sent, header->revision, header->raft_term);
    if (etcd_table_full(&feed->state.table)) {
        /* Something may be missing: nothing may be decided on it. */
        log_debug("store: more than %d keys under %s -> not taken for read", LIMIT_KEYS,
                  feed->prefix);
        feed->state.loaded = false;
        source_arm_in(feed->timer, FULL_PAUSE_MS);
        return;
    }
    watch_begin(feed, header->revision);
}

static void read_begin(struct etcd_feed *feed)
{
    struct etcd *etcd = feed->spec.etcd;
    if (etcd_endpoint_url(etcd, feed->state.endpoint) == NULL) {
        feed->state.endpoint = etcd_endpoint_current(etcd);
        if (feed->avoid != NULL && feed->state.endpoint == feed->avoid->state.endpoint)
            next_endpoint(feed);
    }
    if (feed->state.endpoint == ETCD_ANY) {
        source_arm_in(feed->timer, PAUSE_MS); /* no endpoint is known yet */
        return;
    }
    source_disarm(feed->timer);
    struct etcd_range range = { .key = feed->prefix, .prefix = true };
    feed->read_sent = clock_mono();
    feed->read_floor = feed->state.revision;
    feed->read = etcd_range(etcd, &range, how(feed), on_read, feed);
}

/* Gravestones outlive answers that are under way. */
static void settle(struct etcd_feed *feed)
{
    etcd_table_settle(&feed->state.table, feed->settle_revision);
    feed->settle_revision = feed->told_revision;
}

static void look_at_watch(struct etcd_feed *feed)
{
    struct mono due = mono_add(etcd_watch_heard(feed->watch), feed->spec.check_ms);
    settle(feed);
    if (feed->spec.only_silent && mono_before(loop_now(feed->spec.loop), due))
        source_arm_at(feed->timer, due);
    else if (feed->check == NULL)
        check_begin(feed);
}

static void on_timer(void *arg)
{
    struct etcd_feed *feed = arg;
    if (feed->watch == NULL)
        read_begin(feed);
    else if (feed->state.behind)
        go_on_elsewhere(feed, "the watch does not tell what a read shows");
    else
        look_at_watch(feed);
}

/* --- for those who write --- */

void etcd_feed_resync(struct etcd_feed *feed)
{
    feed->state.loaded = false;
    stop_listening(feed);
    read_begin(feed);
}

void etcd_feed_heard(struct etcd_feed *feed, struct mono sent, int64_t revision, uint64_t term)
{
    struct etcd_feed_state *state = &feed->state;
    if (!state->heard_once || mono_before(state->heard, sent))
        state->heard = sent;
    state->heard_once = true;
    state->word_at = clock_mono();
    state->last_seen = clock_wall();
    if (revision > state->revision)
        state->revision = revision;
    if (term > state->term)
        state->term = term;
}

void etcd_feed_saw(struct etcd_feed *feed, const struct etcd_kv *kv)
{
    if (kv->mod_revision > feed->state.revision)
        feed->state.revision = kv->mod_revision;
    if (etcd_table_put(&feed->state.table, kv))
        feed->spec.changed(feed->spec.arg);
}

void etcd_feed_saw_none(struct etcd_feed *feed, const char *name, int64_t revision)
{
    if (revision > feed->state.revision)
        feed->state.revision = revision;
    if (etcd_table_delete(&feed->state.table, name, revision))
        feed->spec.changed(feed->spec.arg);
}

/* --- life --- */

struct etcd_feed *etcd_feed_new(const struct etcd_feed_spec *spec)
{
    struct etcd_feed *feed = mem_struct(struct etcd_feed);
    feed->spec = *spec;
    feed->prefix = mem_strdup(spec->prefix);
    feed->timer = loop_timer(spec->loop, on_timer, feed);
    feed->state.endpoint = ETCD_ANY;
    read_begin(feed);
    return feed;
}

struct etcd_feed *etcd_feed_free(struct etcd_feed *feed)
{
    if (feed == NULL)
        return NULL;
    stop_listening(feed);
    source_free(feed->timer);
    etcd_table_done(&feed->state.table);
    free(feed->prefix);
    free(feed);
    return NULL;
}

void etcd_feed_set_pace(struct etcd_feed *feed, int64_t check_ms, int64_t answer_ms)
{
    feed->spec.check_ms = check_ms;
    feed->spec.answer_ms = answer_ms;
}

void etcd_feed_avoid(struct etcd_feed *feed, const struct etcd_feed *other)
{
    feed->avoid = other;
    int there = other != NULL ? other->state.endpoint : ETCD_ANY;
    if (there == ETCD_ANY || feed->state.endpoint != there)
        return;
    stop_listening(feed);
    next_endpoint(feed);
    read_begin(feed);
}

const struct etcd_feed_state *etcd_feed_state(const struct etcd_feed *feed)
{
    return &feed->state;
}

struct etcd_table *etcd_feed_table(struct etcd_feed *feed)
{
    return &feed->state.table;
}
