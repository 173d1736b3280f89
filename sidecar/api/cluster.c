/* GET /cluster (patroni-compat 2.4), from the members' keys as they are in the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/api/routes.h"
#include "json/json.h"

/* "postgres://host:port/db", "postgres://[::1]:port/db" */
static void add_address(json_t *entry, const char *conn_url)
{
    const char *host = strstr(conn_url, "://");
    if (host == NULL)
        return;
    host += 3;
    bool bracket = *host == '[';
    host += bracket ? 1 : 0;
    size_t len = strcspn(host, bracket ? "]" : ":/");
    json_object_set_new(entry, "host", json_stringn(host, len));
    const char *colon = host + len + (bracket && host[len] == ']' ? 1 : 0);
    if (*colon == ':')
        json_object_set_new(entry, "port", json_integer(strtol(colon + 1, NULL, 10)));
}

static const char *role_of(const struct view *view, const char *name)
{
    if (view != NULL && view->store.leader_exists && strcmp(view->store.leader, name) == 0)
        return "leader";
    if (view != NULL && sync_in_force(&view->store.sync) &&
        names_has(&view->store.sync.standbys, name))
        return "sync_standby";
    return "replica";
}

/* LSN as text and the bytes behind the leader, or "unknown" for both. */
static void add_position(json_t *entry, const char *lsn_key, const char *lag_key,
                         const json_t *position, lsn_t optime)
{
    if (!json_is_integer(position)) {
        json_object_set_new(entry, lsn_key, json_string("unknown"));
        json_object_set_new(entry, lag_key, json_string("unknown"));
        return;
    }
    lsn_t lsn = (lsn_t)json_integer_value(position);
    char text[LSN_TEXT_MAX];
    json_object_set_new(entry, lsn_key, json_string(lsn_format(lsn, text)));
    json_object_set_new(entry, lag_key,
                        json_integer(optime > lsn ? (json_int_t)(optime - lsn) : 0));
}

static void add_positions(json_t *entry, const json_t *member, lsn_t optime)
{
    add_position(entry, "receive_lsn", "receive_lag", json_object_get(member, "receive_lsn"),
                 optime);
    add_position(entry, "replay_lsn", "replay_lag", json_object_get(member, "replay_lsn"), optime);
    add_position(entry, "lsn", "lag", json_object_get(member, "xlog_location"), optime);
}

static void copy_key(json_t *entry, const json_t *member, const char *key)
{
    json_t *value = json_object_get(member, key);
    if (value != NULL)
        json_object_set(entry, key, value);
}

static json_t *member_entry(const struct api_state *state, const char *name, const json_t *member)
{
    json_t *entry = json_object();
    const char *role = role_of(state->view, name);
    bool leader = strcmp(role, "leader") == 0;
    const char *text = json_string_value(json_object_get(member, "replication_state"));
    if (leader || text == NULL || text[0] == '\0')
        text = json_string_value(json_object_get(member, "state"));
    json_object_set_new(entry, "name", json_string(name));
    json_object_set_new(entry, "role", json_string(role));
    json_object_set_new(entry, "state", json_string(text != NULL ? text : ""));
    copy_key(entry, member, "api_url");
    const char *conn_url = json_string_value(json_object_get(member, "conn_url"));
    if (conn_url != NULL)
        add_address(entry, conn_url);
    copy_key(entry, member, "timeline");
    copy_key(entry, member, "pending_restart");
    copy_key(entry, member, "pending_restart_reason");
    copy_key(entry, member, "scheduled_restart");
    copy_key(entry, member, "tags");
    if (!leader)
        add_positions(entry, member, state->store.optime);
    return entry;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct api_key *)a)->name, ((const struct api_key *)b)->name);
}

static json_t *parse_key(const struct api_key *key)
{
    json_t *value = NULL;
    if (json_parse(key->json, strlen(key->json), key->name, &value, NULL) == ERR_OK &&
        json_is_object(value))
        return value;
    json_decref(value);
    return json_object();
}

static json_t *members_list(const struct api_state *state)
{
    struct api_key sorted[LIMIT_MEMBERS];
    size_t n = state->store.n_members < LIMIT_MEMBERS ? state->store.n_members : LIMIT_MEMBERS;
    if (n > 0)
        memcpy(sorted, state->store.members, n * sizeof(sorted[0]));
    qsort(sorted, n, sizeof(sorted[0]), by_name);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        auto_json json_t *member = parse_key(&sorted[i]);
        json_array_append_new(list, member_entry(state, sorted[i].name, member));
    }
    return list;
}

static void add_switchover(json_t *body, const char *failover)
{
    auto_json json_t *request = NULL;
    if (failover == NULL || json_parse(failover, strlen(failover), "failover", &request, NULL) != 0)
        return;
    json_t *at = json_object_get(request, "scheduled_at");
    if (at == NULL || json_is_null(at))
        return;
    json_t *entry = json_object();
    json_object_set(entry, "at", at);
    if (json_is_string(json_object_get(request, "leader")))
        json_object_set(entry, "from", json_object_get(request, "leader"));
    if (json_is_string(json_object_get(request, "member")))
        json_object_set(entry, "to", json_object_get(request, "member"));
    json_object_set_new(body, "scheduled_switchover", entry);
}

/* Design part 8: the witness has no members/ key; it shows here. */
static void add_witnesses(json_t *body, const struct api_state *state)
{
    json_t *list = json_array();
    for (size_t i = 0; i < state->store.n_witnesses; i++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "name", json_string(state->store.witnesses[i].name));
        auto_json json_t *value = parse_key(&state->store.witnesses[i]);
        json_object_update(entry, value);
        json_array_append_new(list, entry);
    }
    json_object_set_new(body, "witness", list);
}

struct reply api_cluster(const struct api_state *state, const struct request *request)
{
    auto_json json_t *body = json_object();
    json_object_set_new(body, "members", members_list(state));
    if (api_paused(state))
        json_object_set_new(body, "pause", json_true());
    add_switchover(body, state->store.failover);
    json_object_set_new(body, "scope", json_string(state->scope));
    add_witnesses(body, state);
    json_t *ours = status_pgvigil(state, request->now);
    json_object_set_new(ours, "member", json_string(state->name));
    json_object_set_new(body, "pgvigil", ours);
    return reply_json(200, body);
}
