/* What REST shows (filled after each cycle) and the orders that are carried out here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sidecar/api/control_accept.h"
#include "sidecar/sidecar_failsafe.h"
#include "sidecar/sidecar_internal.h"
#include "json/json.h"

enum { WITNESS_MAX = LIMIT_MEMBERS };

struct api_snapshot {
    struct api_state state;
    struct api_walsender walsenders[LIMIT_MEMBERS];
    struct api_key members[LIMIT_MEMBERS];
    struct api_key witnesses[WITNESS_MAX];
    char pending[LIMIT_SSN * 2];
    char alarm[ERR_TEXT_MAX];
};

enum { FRESH_MS = 30 };

static void fill_borrowed(struct sidecar *sidecar);

static const struct api_state *known_state(void *arg)
{
    struct sidecar *sidecar = arg;
    fill_borrowed(sidecar);
    return &sidecar->snapshot->state;
}

/* Who asks gets what is known now; a position that is older than a moment is looked at for the one who
 * asks again (a leader that hands over does, until it sees the shutdown record). */
const struct api_state *sidecar_api_newest(void *arg)
{
    struct sidecar *sidecar = arg;
    if (sidecar->postgres != NULL) {
        struct mono answered_at = postgres_facts(sidecar->postgres)->answered_at;
        if (mono_diff(clock_mono(), answered_at) > FRESH_MS)
            postgres_look(sidecar->postgres);
    }
    return known_state(sidecar);
}

/* --- orders --- */

static bool drop_slot(void *arg, const char *member)
{
    const struct sidecar *sidecar = arg;
    return sidecar->postgres != NULL && postgres_drop_slot(sidecar->postgres, member);
}

static void reload_everything(void *arg)
{
    sidecar_reload(arg);
}

static void new_controls(struct sidecar *sidecar)
{
    sidecar->control_store = control_store_new(&(struct control_store_spec){
        .loop = sidecar->loop,
        .etcd = sidecar->etcd,
        .cluster = sidecar->cluster,
        .http = sidecar->http,
        .tls = sidecar->peer_tls,
        .config = sidecar->config,
        .state = sidecar_api_newest,
        .state_arg = sidecar,
        .changed = sidecar_urgent,
        .drop_slot = drop_slot,
        .arg = sidecar,
    });
    control_store_install(sidecar->control_store, &sidecar->control);
    if (sidecar->etcd_member != NULL)
        etcd_member_install(sidecar->etcd_member, &sidecar->control);
    if (sidecar->options.witness)
        return;
    sidecar->control_local = control_local_new(&(struct control_local_spec){
        .loop = sidecar->loop,
        .orders = &sidecar->orders,
        .state = sidecar_api_newest,
        .state_arg = sidecar,
        .changed = sidecar_urgent,
        .reload = reload_everything,
        .arg = sidecar,
    });
    control_local_install(sidecar->control_local, &sidecar->control);
    if (!sidecar->options.witness)
        sidecar->control.ops[API_FAILSAFE] = (struct api_op){ sidecar_answer_failsafe, sidecar };
    sidecar_accept_new(sidecar);
}

/* --- the server --- */

struct listen_address {
    char host[LIMIT_URL];
    int port;
};

static enum err_code parse_listen(const char *listen, struct listen_address *ret, struct err *err)
{
    if (!config_split_address(listen, 0, ret->host, &ret->port))
        return err_set(err, ERR_INVALID, "restapi.listen: expected host:port, not \"%s\"", listen);
    return ERR_OK;
}

static struct api_settings api_settings_of(const struct config *config,
                                           const struct listen_address *at)
{
    const struct config_restapi *rest = &config->restapi;
    return (struct api_settings){
        .host = at->host,
        .port = at->port,
        .certfile = rest->certfile,
        .keyfile = rest->keyfile,
        .keyfile_password = rest->keyfile_password,
        .cafile = rest->cafile,
        .ciphers = rest->ciphers,
        .verify_client = rest->verify_client == CONFIG_VERIFY_REQUIRED   ? API_VERIFY_REQUIRED
                         : rest->verify_client == CONFIG_VERIFY_OPTIONAL ? API_VERIFY_OPTIONAL
                                                                         : API_VERIFY_NONE,
        .username = rest->username,
        .password = rest->password,
        .n_allowlist = rest->allowlist.n,
        .allowlist = (const char *const *)rest->allowlist.item,
        .allowlist_include_members = rest->allowlist_include_members,
        .server_tokens = rest->server_tokens,
        .n_headers = rest->headers.n,
        .headers = (const char *const *)rest->headers.item,
    };
}

enum err_code sidecar_api_new(struct sidecar *sidecar, struct err *err)
{
    sidecar->snapshot = mem_struct(struct api_snapshot);
    sidecar->views = view_ring_new();
    struct api_state *state = &sidecar->snapshot->state;
    state->scope = sidecar->config->scope;
    state->name = sidecar->config->name;
    state->witness = sidecar->options.witness;
    state->rule_counts = sidecar->rule_counts;
    state->views = sidecar->views;
    state->lease = lease_keeper_lease(sidecar->keeper);
    while (decide_rule_name(state->n_rules) != NULL)
        state->n_rules++;
    new_controls(sidecar);
    struct listen_address at;
    enum err_code code = parse_listen(sidecar->config->restapi.listen, &at, err);
    if (code != ERR_OK)
        return code;
    const struct api_server_spec spec = {
        .loop = sidecar->loop,
        .settings = api_settings_of(sidecar->config, &at),
        .state = sidecar_api_newest,
        .known = known_state,
        .state_arg = sidecar,
        .control = &sidecar->control,
    };
    return api_server_new(&spec, &sidecar->server, err);
}

enum err_code sidecar_api_reload(struct sidecar *sidecar, struct err *err)
{
    struct listen_address at;
    enum err_code code = parse_listen(sidecar->config->restapi.listen, &at, err);
    if (code != ERR_OK)
        return code;
    const struct api_settings settings = api_settings_of(sidecar->config, &at);
    return api_server_reload(sidecar->server, &settings, err);
}

void sidecar_api_free(struct sidecar *sidecar)
{
    control_accept_free(sidecar->control_accept);
    control_local_free(sidecar->control_local);
    control_store_free(sidecar->control_store);
    api_server_free(sidecar->server);
    view_ring_free(sidecar->views);
    free(sidecar->snapshot);
}

/* --- the snapshot --- */

static size_t fill_keys(const struct sidecar *sidecar, const char *prefix, struct api_key *keys,
                        size_t max)
{
    struct cluster_key key;
    size_t n = 0;
    const char *after = "";
    while (n < max && cluster_next(sidecar->cluster, prefix, after, &key)) {
        after = key.name;
        keys[n++] = (struct api_key){ .name = key.name + strlen(prefix), .json = key.value };
    }
    return n;
}

static void fill_store(struct sidecar *sidecar, struct api_snapshot *shot)
{
    struct api_store *store = &shot->state.store;
    const struct cluster *cluster = sidecar->cluster;
    store->config = cluster_value(cluster, "config");
    store->history = cluster_value(cluster, "history");
    store->failsafe = cluster_value(cluster, "failsafe");
    store->failover = cluster_value(cluster, "failover");
    store->optime = sidecar->view->store.optime;
    store->members = shot->members;
    store->n_members = fill_keys(sidecar, "members/", shot->members, LIMIT_MEMBERS);
    store->witnesses = shot->witnesses;
    store->n_witnesses = fill_keys(sidecar, "pgvigil/witness/", shot->witnesses, WITNESS_MAX);
    store->last_seen_us = cluster_last_seen(cluster).ms * 1000;
}

static const char *known(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void fill_walsenders(const struct pg_facts *facts, struct api_snapshot *shot)
{
    for (size_t i = 0; i < facts->n_walsenders; i++) {
        const struct pg_walsender_fact *fact = &facts->walsenders[i];
        shot->walsenders[i] = (struct api_walsender){
            .usename = fact->usename,
            .application_name = fact->application_name,
            .client_addr = known(fact->client_addr),
            .state = fact->state,
            .sync_state = fact->sync_state,
            .sync_priority = fact->sync_priority,
        };
    }
}

static void fill_pending(const struct pg_facts *facts, struct api_snapshot *shot)
{
    shot->state.pending_restart = facts->n_pending > 0;
    shot->state.pending_restart_reason = NULL;
    if (facts->n_pending == 0)
        return;
    auto_json json_t *reason = sidecar_pending_restart(facts);
    auto_text struct text text = text_new(sizeof(shot->pending) - 1);
    json_write(&text, reason);
    (void)text_copy(shot->pending, sizeof(shot->pending), text_str(&text));
    if (!text.overflow)
        shot->state.pending_restart_reason = shot->pending;
}

static void fill_postgres(struct sidecar *sidecar, struct api_snapshot *shot)
{
    const struct pg_facts *facts = postgres_facts(sidecar->postgres);
    fill_walsenders(facts, shot);
    fill_pending(facts, shot);
    shot->state.postgres = (struct api_postgres){
        .state = facts->state,
        .role = facts->role,
        .queryable = facts->queryable,
        .server_version = facts->server_version,
        .postmaster_start_us = facts->postmaster_start_us,
        .flushed = facts->location,
        .received = facts->received,
        .replayed = facts->replayed,
        .latest_end = facts->latest_end,
        .replayed_timestamp_us = facts->replayed_timestamp_us,
        .replay_paused = facts->paused,
        .archive_recovery = facts->archive_recovery,
        .progress = known(facts->progress),
        .n_walsenders = facts->n_walsenders,
        .walsenders = shot->walsenders,
    };
    (void)text_copy(shot->alarm, sizeof(shot->alarm), facts->trouble);
    shot->state.alarm = known(shot->alarm);
}

/* What a running server needs now and then and ends in moments: a person's order waits for it, unseen. */
static bool is_upkeep(enum action action)
{
    return action == ACT_SYNC_GROW || action == ACT_SYNC_SHRINK || action == ACT_SYNC_OFF ||
           action == ACT_SETTLE || action == ACT_RELOAD || action == ACT_FOLLOW ||
           action == ACT_FINISH_BOOTSTRAP || action == ACT_CLEAR_FAILOVER;
}

static void fill_plan(const struct sidecar *sidecar, struct api_state *state)
{
    const struct plan *plan = sidecar->runner != NULL ? runner_plan(sidecar->runner) : NULL;
    state->running = plan != NULL && !is_upkeep(plan->action) ? action_name(plan->action) : NULL;
    state->running_step = plan != NULL ? step_name(runner_step(sidecar->runner)->kind) : NULL;
}

/* Texts that are borrowed until the loop goes on: the watch may have freed them since the last cycle. */
static void fill_borrowed(struct sidecar *sidecar)
{
    struct api_state *state = &sidecar->snapshot->state;
    if (state->view == NULL)
        return;
    fill_store(sidecar, sidecar->snapshot);
    state->log_lines_lost = log_dropped();
    if (sidecar->control_local != NULL)
        state->scheduled_restart = control_local_scheduled(sidecar->control_local);
    if (sidecar->etcd_member == NULL) {
        state->etcd = (struct api_etcd){ .trouble = sidecar->etcd_health.trouble };
        return;
    }
    const struct etcd_member_status *member = etcd_member_status(sidecar->etcd_member);
    state->etcd = (struct api_etcd){ .managed = true,
                                     .voter = member->voter,
                                     .formation = member->formation,
                                     .trouble = member->trouble };
}

void sidecar_api_fill(struct sidecar *sidecar)
{
    struct api_snapshot *shot = sidecar->snapshot;
    struct api_state *state = &shot->state;
    state->view = sidecar->view;
    state->decision = &sidecar->decision;
    state->lease = lease_keeper_lease(sidecar->keeper);
    view_ring_add(sidecar->views, sidecar->view, &sidecar->decision);
    if (sidecar->postgres != NULL)
        fill_postgres(sidecar, shot);
    state->failsafe_active = !sidecar->options.witness && sidecar_failsafe_active(sidecar);
    fill_plan(sidecar, state);
    fill_borrowed(sidecar);
}
