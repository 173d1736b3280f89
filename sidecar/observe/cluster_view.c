#include "sidecar/observe/cluster_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/claims_json.h"
#include "cluster/history.h"
#include "cluster/member_json.h"
#include "cluster/status.h"
#include "cluster/sync_state_json.h"
#include "json/json.h"

#define KEY_MEMBERS "members/"
#define KEY_DATA "pgvigil/data/"

static void complain(struct etcd_entry *entry, const struct err *err)
{
    if (!entry->complained)
        log_warn("store: key %s cannot be read: %s -> taken for the worst", entry->name, err->text);
    entry->complained = true;
}

static void read_leader(const struct etcd_table *table, struct store_view *view)
{
    const struct etcd_entry *entry = etcd_table_find(table, "leader");
    if (entry == NULL)
        return;
    view->leader_exists = true;
    text_copy(view->leader, sizeof(view->leader), entry->value);
    view->leader_lease = entry->lease;
    view->leader_create_revision = entry->create_revision;
    view->leader_mod_revision = entry->mod_revision;
}

static void read_holder(const struct etcd_table *table, struct store_view *view)
{
    struct etcd_entry *entry = etcd_table_find(table, "pgvigil/release");
    if (entry == NULL)
        return;
    struct err err;
    if (lease_holder_from_json(entry->value, entry->len, entry->mod_revision, &view->holder,
                               &err) == ERR_OK)
        return;
    complain(entry, &err);
    view->holder = (struct lease_holder){ .exists = true, .mod_revision = entry->mod_revision };
}

static void read_sync(const struct etcd_table *table, struct store_view *view)
{
    struct etcd_entry *entry = etcd_table_find(table, "sync");
    if (entry == NULL)
        return;
    struct err err;
    if (sync_state_from_json(entry->value, entry->len, entry->mod_revision, &view->sync, &err) ==
        ERR_OK)
        return;
    complain(entry, &err);
    /* In force, and no member has this name: nobody may race (S1). */
    view->sync = (struct sync_state){ .exists = true, .mod_revision = entry->mod_revision };
    text_copy(view->sync.leader, sizeof(view->sync.leader), "/unreadable");
}

static void read_initialize(const struct etcd_table *table, struct store_view *view)
{
    const struct etcd_entry *entry = etcd_table_find(table, "initialize");
    if (entry == NULL)
        return;
    view->initialize_exists = true;
    view->initialize_create_revision = entry->create_revision;
    view->initialize_lease = entry->lease;
    view->initialize = strtoull(entry->value, NULL, 10);
}

static void read_confirmed(const struct etcd_table *table, struct store_view *view)
{
    struct etcd_entry *entry = etcd_table_find(table, "pgvigil/confirmed");
    if (entry == NULL)
        return;
    view->confirmed_exists = true;
    struct err err;
    if (confirmed_from_json(entry->value, entry->len, &view->confirmed, &view->confirmed_lsn,
                            &err) == ERR_OK)
        return;
    complain(entry, &err);
    view->confirmed = (struct timeline){ 0 };
    view->confirmed_lsn = UINT64_MAX; /* S7: nobody has got that far */
}

static void read_failover(const struct etcd_table *table, struct cluster_words *words)
{
    struct etcd_entry *entry = etcd_table_find(table, "failover");
    if (entry == NULL)
        return;
    struct err err;
    if (failover_from_json(entry->value, entry->len, entry->mod_revision, &words->failover, &err) !=
        ERR_OK) {
        complain(entry, &err);
        return; /* a wish that nobody understands is none */
    }
    struct failover_request *request = &words->view.failover;
    request->exists = words->failover.exists;
    request->mod_revision = entry->mod_revision;
    memcpy(request->leader, words->failover.leader, sizeof(request->leader));
    memcpy(request->candidate, words->failover.candidate, sizeof(request->candidate));
}

/* The peer of that name, made if need be; NULL: one too many. */
static struct peer *peer_named(struct store_view *view, const char *name)
{
    for (size_t peer = 0; peer < view->n_peers; peer++) {
        if (strcmp(view->peers[peer].member.name, name) == 0)
            return &view->peers[peer];
    }
    if (view->n_peers == LIMIT_MEMBERS)
        return NULL;
    struct peer *peer = &view->peers[view->n_peers++];
    *peer = (struct peer){ .walsender_gone = MONO_NEVER };
    peer->member.state = MEMBER_STATE_UNKNOWN;
    peer->member.tags = tags_default();
    text_copy(peer->member.name, sizeof(peer->member.name), name);
    return peer;
}

/* L6: only who is there counts; the addresses are the round's business. What cannot be read names
 * nobody that could race. */
static void read_failsafe(const struct etcd_table *table, struct store_view *view)
{
    struct etcd_entry *entry = etcd_table_find(table, "failsafe");
    if (entry == NULL)
        return;
    view->failsafe_mod_revision = entry->mod_revision;
    auto_json json_t *json = NULL;
    struct err err;
    if (json_parse(entry->value, entry->len, "failsafe", &json, &err) != ERR_OK) {
        complain(entry, &err);
        names_add(&view->failsafe, "/unreadable");
        return;
    }
    const char *name;
    json_t *url;
    json_object_foreach (json, name, url) {
        if (!names_full(&view->failsafe) && strlen(name) < LIMIT_NAME)
            names_add(&view->failsafe, name);
    }
}

static void read_self(struct etcd_table *table, const char *self, struct store_view *view)
{
    char key[sizeof(KEY_MEMBERS) + LIMIT_NAME];
    (void)snprintf(key, sizeof(key), KEY_MEMBERS "%s", self);
    struct etcd_entry *entry = etcd_table_find(table, key);
    struct member member = { .pause = false };
    if (entry != NULL && member_from_json(self, entry->value, entry->len, &member, NULL) == ERR_OK)
        view->self_paused = member.pause;
}

static void read_member(struct etcd_entry *entry, const char *self, struct store_view *view)
{
    const char *name = entry->name + strlen(KEY_MEMBERS);
    if (strcmp(name, self) == 0 || *name == '\0' || strlen(name) >= LIMIT_NAME)
        return;
    struct peer *peer = peer_named(view, name);
    if (peer == NULL)
        return;
    peer->has_key = true;
    struct err err;
    if (member_from_json(name, entry->value, entry->len, &peer->member, &err) != ERR_OK)
        complain(entry, &err);
}

static void read_peers(struct etcd_table *table, const char *self, struct store_view *view)
{
    struct etcd_entry *entry = NULL;
    while ((entry = etcd_table_next(table, KEY_MEMBERS, entry ? entry->name : "")) != NULL)
        read_member(entry, self, view);
    while ((entry = etcd_table_next(table, KEY_DATA, entry ? entry->name : "")) != NULL) {
        const char *name = entry->name + strlen(KEY_DATA);
        struct peer *peer = strcmp(name, self) == 0 ? NULL : peer_named(view, name);
        if (peer != NULL)
            peer->data_id_revision = entry->mod_revision;
    }
}

static void read_status(const struct etcd_table *table, struct store_view *view)
{
    struct etcd_entry *entry = etcd_table_find(table, "status");
    if (entry == NULL)
        return;
    struct status status;
    struct err err;
    if (status_from_json(entry->value, entry->len, &status, &err) == ERR_OK)
        view->optime = status.optime;
    else
        complain(entry, &err);
}

/* The content of a peer's history, where /history tells it: it is on the timeline that this peer
 * itself began as leader. Numbers alone prove nothing (design part 6). */
static void give_history(const struct history *history, struct store_view *view)
{
    const struct history_entry *last = &history->entries[history->n - 1];
    for (size_t at = 0; at < view->n_peers; at++) {
        struct peer *peer = &view->peers[at];
        if (strcmp(peer->member.name, last->leader) != 0 ||
            peer->member.timeline != history_timeline(history))
            continue;
        peer->timeline = (struct timeline){ .tli = peer->member.timeline };
        for (size_t entry = 0; entry < history->n; entry++)
            peer->timeline.entries[peer->timeline.n++] = (struct timeline_entry){
                .tli = history->entries[entry].tli,
                .switch_at = history->entries[entry].lsn,
            };
    }
}

static void read_history(const struct etcd_table *table, struct store_view *view)
{
    struct etcd_entry *entry = etcd_table_find(table, "history");
    if (entry == NULL)
        return;
    auto_free struct history *history = mem_struct(struct history);
    struct err err;
    if (history_from_json(entry->value, entry->len, history, &err) != ERR_OK)
        complain(entry, &err);
    else if (history->n > 0 && history->n < LIMIT_TIMELINES) /* a cut one is not the whole */
        give_history(history, view);
}

void cluster_view_read(struct etcd_table *table, const char *self, struct cluster_words *ret)
{
    *ret = (struct cluster_words){ 0 };
    struct store_view *view = &ret->view;
    read_leader(table, view);
    read_holder(table, view);
    read_sync(table, view);
    read_initialize(table, view);
    read_confirmed(table, view);
    read_failover(table, ret);
    read_status(table, view);
    read_peers(table, self, view);
    read_self(table, self, view);
    read_failsafe(table, view);
    read_history(table, view);

    const struct etcd_entry *config = etcd_table_find(table, "config");
    view->config_exists = config != NULL;
    view->config_mod_revision = config != NULL ? config->mod_revision : 0;
}
