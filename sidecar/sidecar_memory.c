/* What the volume remembers of the store (S6), and what a person's accept makes of it. */
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "sidecar/api/control_accept.h"
#include "sidecar/sidecar_failsafe.h"
#include "sidecar/sidecar_internal.h"
#include "json/json.h"

enum { REMEMBER_AGAIN_MS = 1000 };

static void memory_read(void *arg, enum err_code code, const struct store_memory *memory,
                        const struct err *err)
{
    struct sidecar *sidecar = arg;
    sidecar->remembrance.read = true;
    if (code == ERR_OK) {
        sidecar->remembrance.known = *memory;
    } else {
        sidecar->remembrance.broken = true;
        log_error("state: %s -> this node neither races nor starts as primary", err->text);
    }
    sidecar_urgent(sidecar);
}

void sidecar_read_memory(struct sidecar *sidecar)
{
    struct remembrance *rem = &sidecar->remembrance;
    rem->file = state_file_new(sidecar->loop, sidecar->config->state_dir);
    state_file_read(rem->file, memory_read, sidecar);
}

static void memory_written(void *arg, enum err_code code, const struct store_memory *memory,
                           const struct err *err)
{
    struct sidecar *sidecar = arg;
    struct remembrance *rem = &sidecar->remembrance;
    rem->busy = false;
    if (code == ERR_OK) {
        rem->known = *memory;
        rem->again = (struct mono){ 0 };
        sidecar_urgent(sidecar);
        return;
    }
    if (rem->again.ms == 0) /* a volume that is full or read-only: said once */
        log_error("state: %s -> this node neither races nor starts as primary", err->text);
    rem->again = mono_add(loop_now(sidecar->loop), REMEMBER_AGAIN_MS);
}

/* --- the other members --- */

/* By its URL: there it is asked, whatever it calls itself. */
static bool is_known(const struct known_members *members, const struct member *member)
{
    bool moved = false;
    for (size_t i = 0; i < members->n; i++) {
        if (strcmp(members->member[i].api_url, member->api_url) == 0)
            return true;
        moved |= strcmp(members->member[i].name, member->name) == 0;
    }
    return !moved && members->n == LIMIT_MEMBERS; /* no room: nothing to write */
}

static bool is_present(const struct peer *peer)
{
    return peer->has_key && peer->member.api_url[0] != '\0';
}

/* Who has a key now, and of those known so far whoever may still lead: with another /sync somebody else
 * has led since, so that who has no key is gone. */
static void list_members(const struct sidecar *sidecar, bool same_sync, struct known_members *list)
{
    const struct store_view *store = &sidecar->view->store;
    const struct known_members *former = &sidecar->remembrance.known.members;
    for (size_t i = 0; i < store->n_peers; i++)
        if (is_present(&store->peers[i]))
            known_members_add(list, store->peers[i].member.name, store->peers[i].member.api_url);
    for (size_t i = 0; i < former->n; i++) {
        const struct known_member *member = &former->member[i];
        if (same_sync || sync_names(&store->sync, member->name) ||
            names_has(&store->failsafe, member->name))
            known_members_add(list, member->name, member->api_url);
    }
}

static void record(struct sidecar *sidecar, uint64_t cluster_id, int64_t sync_revision)
{
    struct remembrance *rem = &sidecar->remembrance;
    if (rem->busy || mono_before(loop_now(sidecar->loop), rem->again))
        return;
    rem->busy = true;
    rem->writing = (struct store_memory){ .exists = true,
                                          .etcd_cluster_id = cluster_id,
                                          .sync_revision = sync_revision };
    list_members(sidecar, rem->known.exists && rem->known.sync_revision == sync_revision,
                 &rem->writing.members);
    state_file_write(rem->file, &rem->writing, memory_written, sidecar);
}

/* Only what is new is worth a write of its own: the next /sync takes away who is gone. */
void sidecar_remember_members(struct sidecar *sidecar)
{
    const struct remembrance *rem = &sidecar->remembrance;
    const struct store_view *store = &sidecar->view->store;
    if (!store->same_cluster || !rem->known.exists)
        return;
    for (size_t i = 0; i < store->n_peers; i++) {
        const struct peer *peer = &store->peers[i];
        if (!is_present(peer) || is_known(&rem->known.members, &peer->member))
            continue;
        record(sidecar, rem->known.etcd_cluster_id, rem->known.sync_revision);
        return;
    }
}

/* S6: "Another id or a lower revision (etcd restored or made anew): it neither races nor starts as
 * primary until a person accepts it." */
enum cluster_memory sidecar_remember(void *arg, uint64_t cluster_id, int64_t sync_revision)
{
    struct sidecar *sidecar = arg;
    struct remembrance *rem = &sidecar->remembrance;
    if (!rem->read)
        return CLUSTER_RECORDING;
    if (rem->broken)
        return CLUSTER_OTHER;
    const struct store_memory *known = &rem->known;
    bool other = known->exists &&
                 (known->etcd_cluster_id != cluster_id || known->sync_revision > sync_revision);
    if (other && !rem->accepted)
        return CLUSTER_OTHER;
    if (known->exists && !other && known->sync_revision == sync_revision) {
        rem->accepted = false; /* it was this one that a person accepted, not the next one */
        return CLUSTER_SAME;
    }
    record(sidecar, cluster_id, sync_revision);
    return CLUSTER_RECORDING;
}

/* --- a person's accept --- */

static void add_failsafe(const struct sidecar *sidecar, struct known_members *list)
{
    const char *value = cluster_value(sidecar->cluster, "failsafe");
    auto_json json_t *failsafe = NULL;
    if (value == NULL || json_parse(value, strlen(value), "failsafe", &failsafe, NULL) != ERR_OK)
        return;
    for (void *iter = json_object_iter(failsafe); iter != NULL;
         iter = json_object_iter_next(failsafe, iter)) {
        const char *url = json_string_value(json_object_iter_value(iter));
        known_members_add(list, json_object_iter_key(iter), url != NULL ? url : "");
    }
}

static bool is_witness(const struct sidecar *sidecar, const char *name)
{
    char key[LIMIT_NAME * 2];
    (void)snprintf(key, sizeof(key), "pgvigil/witness/%s", name);
    return cluster_value(sidecar->cluster, key) != NULL;
}

static void add_configured(const struct sidecar *sidecar, struct known_members *list)
{
    const struct config_managed_etcd *managed = &sidecar->config->managed;
    for (size_t i = 0; i < managed->n; i++) {
        const struct config_member *member = &managed->members[i];
        char url[LIMIT_URL];
        (void)snprintf(url, sizeof(url), "%s/patroni", member->api_url);
        bool self = managed->name != NULL && strcmp(managed->name, member->name) == 0;
        if (!self && !is_witness(sidecar, member->name))
            known_members_add(list, member->name, url);
    }
}

/* Self goes in first, so that it is not added by another way, and out again. */
static void whom_to_ask(void *arg, struct known_members *list)
{
    const struct sidecar *sidecar = arg;
    const struct store_view *store = &sidecar->view->store;
    const struct known_members *known = &sidecar->remembrance.known.members;
    struct member self = { .pause = false };
    sidecar_urls(sidecar, &self);
    known_members_add(list, sidecar->config->name, self.api_url);
    for (size_t i = 0; i < store->n_peers; i++)
        if (is_present(&store->peers[i]))
            known_members_add(list, store->peers[i].member.name, store->peers[i].member.api_url);
    add_failsafe(sidecar, list);
    for (size_t i = 0; i < known->n; i++)
        known_members_add(list, known->member[i].name, known->member[i].api_url);
    add_configured(sidecar, list);
    list->n--;
    memmove(&list->member[0], &list->member[1], list->n * sizeof(list->member[0]));
}

/* S6: a person has looked at the store that is there and trusts it. */
static void accepted(void *arg)
{
    struct sidecar *sidecar = arg;
    sidecar->remembrance.accepted = true;
    sidecar_urgent(sidecar);
}

void sidecar_accept_new(struct sidecar *sidecar)
{
    sidecar->control_accept = control_accept_new(&(struct control_accept_spec){
        .loop = sidecar->loop,
        .http = sidecar->http,
        .tls = sidecar->peer_tls,
        .state = sidecar_api_newest,
        .state_arg = sidecar,
        .members = whom_to_ask,
        .accepted = accepted,
        .arg = sidecar,
    });
    control_accept_install(sidecar->control_accept, &sidecar->control);
}
