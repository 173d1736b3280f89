#include "controller/store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/member_json.h"
#include "cluster/status.h"
#include "cluster/sync_state_json.h"
#include "etcd/feed.h"
#include "json/json.h"

#define KEY_MEMBERS "members/"

enum {
    FEEDS = 2,
    CHECK_MS = 400, /* with ANSWER_MS: a lost watch is seen within a second */
    ANSWER_MS = 500,
    FRESH_MS = 1000,
    OPTIMES = 16, /* /status is written at most once a second */
    TTL_DEFAULT_S = 30,
    LAG_DEFAULT = 1 << 20,
};

struct optime {
    struct mono at;
    lsn_t lsn;
};

struct store {
    struct store_spec spec;
    struct etcd_feed *feeds[FEEDS];
    struct source *changed;
    struct cluster_view view; /* what the keys alone say */
    struct optime optimes[OPTIMES];
    size_t next_optime;
};

/* ---- which feed ------------------------------------------------------------------------------- */

static struct etcd_feed *newest(const struct store *store)
{
    struct etcd_feed *best = NULL;
    for (int i = 0; i < FEEDS; i++) {
        const struct etcd_feed_state *state = etcd_feed_state(store->feeds[i]);
        if (state->loaded && (best == NULL || state->told > etcd_feed_state(best)->told))
            best = store->feeds[i];
    }
    return best;
}

static bool is_fresh(const struct store *store, struct mono now)
{
    for (int i = 0; i < FEEDS; i++) {
        const struct etcd_feed_state *state = etcd_feed_state(store->feeds[i]);
        if (state->loaded && state->heard_once && mono_diff(now, state->heard) <= FRESH_MS)
            return true;
    }
    return false;
}

/* ---- what the keys say ------------------------------------------------------------------------ */

static void complain(struct etcd_entry *entry, const struct err *err)
{
    if (!entry->complained)
        log_warn("store: key %s cannot be read: %s -> taken for absent", entry->name, err->text);
    entry->complained = true;
}

static void read_members(struct etcd_table *table, struct cluster_view *view)
{
    struct etcd_entry *entry = NULL;
    while ((entry = etcd_table_next(table, KEY_MEMBERS, entry ? entry->name : "")) != NULL) {
        const char *name = entry->name + strlen(KEY_MEMBERS);
        struct err err;
        if (view->n_members == LIMIT_MEMBERS)
            return;
        if (member_from_json(name, entry->value, entry->len, &view->members[view->n_members],
                             &err) == ERR_OK)
            view->n_members++;
        else
            complain(entry, &err);
    }
}

static void read_config(struct etcd_table *table, struct cluster_view *view)
{
    view->ttl_ms = TTL_DEFAULT_S * 1000;
    view->maximum_lag = LAG_DEFAULT;
    struct etcd_entry *entry = etcd_table_find(table, "config");
    auto_json json_t *config = NULL;
    if (entry == NULL || json_parse(entry->value, entry->len, "config", &config, NULL) != ERR_OK)
        return;
    struct json_reader reader = { .object = config, .name = "config" };
    int64_t ttl_s = TTL_DEFAULT_S;
    (void)json_opt_int(reader, "ttl", TTL_DEFAULT_S, &ttl_s, NULL);
    (void)json_opt_int(reader, "maximum_lag_on_failover", LAG_DEFAULT, &view->maximum_lag, NULL);
    (void)json_opt_bool(reader, "pause", false, &view->paused, NULL);
    view->ttl_ms = (ttl_s >= 3 ? ttl_s : 3) * 1000;
}

static void read_sync(struct etcd_table *table, struct cluster_view *view)
{
    struct etcd_entry *entry = etcd_table_find(table, "sync");
    struct err err;
    if (entry != NULL && sync_state_from_json(entry->value, entry->len, entry->mod_revision,
                                              &view->sync, &err) != ERR_OK)
        complain(entry, &err);
}

static void note_optime(struct store *store, struct etcd_table *table)
{
    struct etcd_entry *entry = etcd_table_find(table, "status");
    struct status *status = mem_struct(struct status);
    if (entry != NULL && status_from_json(entry->value, entry->len, status, NULL) == ERR_OK) {
        size_t last = (store->next_optime + OPTIMES - 1) % OPTIMES;
        if (store->optimes[last].lsn != status->optime) {
            store->optimes[store->next_optime] =
                (struct optime){ .at = loop_now(store->spec.loop), .lsn = status->optime };
            store->next_optime = (store->next_optime + 1) % OPTIMES;
        }
    }
    free(status);
}

static void on_change(void *arg)
{
    struct store *store = arg;
    struct etcd_feed *feed = newest(store);
    if (feed == NULL)
        return;
    struct etcd_table *table = etcd_feed_table(feed);
    struct cluster_view view = { 0 };
    const struct etcd_entry *leader = etcd_table_find(table, "leader");
    if (leader != NULL)
        (void)text_copy(view.leader, sizeof(view.leader), leader->value);
    read_members(table, &view);
    read_config(table, &view);
    read_sync(table, &view);
    note_optime(store, table);
    store->view = view;
    source_trigger(store->changed);
}

/* What the leader had half a ttl ago; nothing that old: not known. */
static lsn_t old_optime(const struct store *store, struct mono now)
{
    struct optime found = { 0 };
    for (size_t i = 0; i < OPTIMES; i++) {
        const struct optime *optime = &store->optimes[i];
        bool old = mono_diff(now, optime->at) >= store->view.ttl_ms / 2;
        if (optime->lsn != LSN_NONE && old && mono_before(found.at, optime->at))
            found = *optime;
    }
    return found.lsn;
}

void store_fill(struct store *store, struct mono now, struct cluster_view *ret_view)
{
    *ret_view = store->view;
    ret_view->known = is_fresh(store, now);
    ret_view->optime = old_optime(store, now);
}

/* ---- single keys ------------------------------------------------------------------------------ */

const struct etcd_entry *store_get(const struct store *store, const char *name)
{
    struct etcd_feed *feed = newest(store);
    return feed != NULL ? etcd_table_find(etcd_feed_table(feed), name) : NULL;
}

const struct etcd_entry *store_next(const struct store *store, const char *prefix,
                                    const char *after)
{
    struct etcd_feed *feed = newest(store);
    return feed != NULL ? etcd_table_next(etcd_feed_table(feed), prefix, after) : NULL;
}

/* ---- life ------------------------------------------------------------------------------------- */

struct store *store_new(const struct store_spec *spec)
{
    struct store *store = mem_struct(struct store);
    store->spec = *spec;
    store->view.ttl_ms = 10000;
    store->changed = loop_defer(spec->loop, spec->changed, spec->arg);
    const struct etcd_feed_spec feed = {
        .loop = spec->loop,
        .etcd = spec->etcd,
        .prefix = spec->prefix,
        .check_ms = CHECK_MS,
        .answer_ms = ANSWER_MS,
        .changed = on_change,
        .arg = store,
    };
    for (int i = 0; i < FEEDS; i++)
        store->feeds[i] = etcd_feed_new(&feed);
    etcd_feed_avoid(store->feeds[1], store->feeds[0]);
    etcd_feed_avoid(store->feeds[0], store->feeds[1]);
    return store;
}

struct store *store_free(struct store *store)
{
    if (store == NULL)
        return NULL;
    for (int i = 0; i < FEEDS; i++)
        etcd_feed_free(store->feeds[i]);
    source_free(store->changed);
    free(store);
    return NULL;
}
