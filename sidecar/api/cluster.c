/* GET /cluster (patroni-compat 2.4), from the members' keys as they are in the store. */
#include <string.h>

#include "cluster/cluster_json.h"
#include "sidecar/api/routes.h"
#include "json/json.h"

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
    const struct store_view *store = state->view != NULL ? &state->view->store : NULL;
    const struct cluster_facts facts = {
        .leader = store != NULL && store->leader_exists ? store->leader : "",
        .sync = store != NULL ? &store->sync : NULL,
        .optime = state->store.optime,
    };
    json_t *list = json_array();
    for (size_t i = 0; i < state->store.n_members; i++) {
        const struct api_key *key = &state->store.members[i];
        auto_json json_t *member = parse_key(key);
        json_array_append_new(list, cluster_member_json(&facts, key->name, member));
    }
    cluster_sort_members(list);
    return list;
}

static void add_schedule(json_t *body, const char *failover)
{
    auto_json json_t *request = NULL;
    if (failover != NULL &&
        json_parse(failover, strlen(failover), "failover", &request, NULL) == ERR_OK)
        cluster_add_schedule(body, request);
}

/* Design part 8: the witness has no members/ key; it shows here. */
static void add_witnesses(json_t *body, const struct api_state *state)
{
    json_t *list = json_array();
    for (size_t i = 0; i < state->store.n_witnesses; i++) {
        auto_json json_t *value = parse_key(&state->store.witnesses[i]);
        json_array_append_new(list, cluster_witness_json(state->store.witnesses[i].name, value));
    }
    json_object_set_new(body, "witness", list);
}

struct reply api_cluster(const struct api_state *state, const struct request *request)
{
    auto_json json_t *body = json_object();
    json_object_set_new(body, "members", members_list(state));
    if (api_paused(state))
        json_object_set_new(body, "pause", json_true());
    add_schedule(body, state->store.failover);
    json_object_set_new(body, "scope", json_string(state->scope));
    add_witnesses(body, state);
    json_t *ours = status_pgvigil(state, request->now);
    json_object_set_new(ours, "member", json_string(state->name));
    json_object_set_new(body, "pgvigil", ours);
    return reply_json(200, body);
}
