#include "cluster/cluster_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

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

static const char *role_of(const struct cluster_facts *facts, const char *name)
{
    if (strcmp(facts->leader, name) == 0)
        return "leader";
    bool sync = facts->sync != NULL && sync_in_force(facts->sync) &&
                names_has(&facts->sync->standbys, name);
    return sync ? "sync_standby" : "replica";
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

json_t *cluster_member_json(const struct cluster_facts *facts, const char *name,
                            const json_t *member)
{
    static const char *const copied[] = { "timeline", "pending_restart", "pending_restart_reason",
                                          "scheduled_restart", "tags" };
    json_t *entry = json_object();
    const char *role = role_of(facts, name);
    bool leader = strcmp(role, "leader") == 0;
    const char *state = leader ? "" : text_of(member, "replication_state");
    json_object_set_new(entry, "name", json_string(name));
    json_object_set_new(entry, "role", json_string(role));
    json_object_set_new(entry, "state",
                        json_string(state[0] != '\0' ? state : text_of(member, "state")));
    if (json_object_get(member, "api_url") != NULL)
        json_object_set(entry, "api_url", json_object_get(member, "api_url"));
    add_address(entry, text_of(member, "conn_url"));
    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
        if (json_object_get(member, copied[i]) != NULL)
            json_object_set(entry, copied[i], json_object_get(member, copied[i]));
    if (leader)
        return entry;
    add_position(entry, "receive_lsn", "receive_lag", json_object_get(member, "receive_lsn"),
                 facts->optime);
    add_position(entry, "replay_lsn", "replay_lag", json_object_get(member, "replay_lsn"),
                 facts->optime);
    add_position(entry, "lsn", "lag", json_object_get(member, "xlog_location"), facts->optime);
    return entry;
}

json_t *cluster_witness_json(const char *name, const json_t *witness)
{
    json_t *entry = json_object();
    json_object_set_new(entry, "name", json_string(name));
    if (json_is_object(witness))
        json_object_update(entry, (json_t *)(uintptr_t)witness);
    return entry;
}

void cluster_add_schedule(json_t *cluster, const json_t *failover)
{
    if (text_of(failover, "scheduled_at")[0] == '\0')
        return;
    json_t *entry = json_object();
    json_object_set(entry, "at", json_object_get(failover, "scheduled_at"));
    if (text_of(failover, "leader")[0] != '\0')
        json_object_set(entry, "from", json_object_get(failover, "leader"));
    if (text_of(failover, "member")[0] != '\0')
        json_object_set(entry, "to", json_object_get(failover, "member"));
    json_object_set_new(cluster, "scheduled_switchover", entry);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(text_of(*(json_t *const *)a, "name"), text_of(*(json_t *const *)b, "name"));
}

void cluster_sort_members(json_t *members)
{
    size_t n = json_array_size(members);
    json_t **sorted = mem_array(n + 1, sizeof(sorted[0]));
    for (size_t i = 0; i < n; i++)
        sorted[i] = json_incref(json_array_get(members, i));
    qsort(sorted, n, sizeof(sorted[0]), by_name);
    json_array_clear(members);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(members, sorted[i]);
    free(sorted);
}
