/* The cluster in the form of GET /cluster, out of the keys of the store or from a member. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "cluster/cluster_json.h"
#include "cluster/sync_state_json.h"
#include "ctl/ctl.h"
#include "etcd/kv.h"

enum { READ_TIMEOUT_MS = 10000 };

const char *ctl_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* ---- from the store --------------------------------------------------------------------------- */

struct keys {
    struct ctl *ctl;
    struct ctl_cluster *cluster;
    json_t *members; /* name -> value */
    json_t *witnesses;
    char leader[LIMIT_NAME];
    struct sync_state sync;
    json_t *failover;
    lsn_t optime;
    enum err_code code;
    char error[ERR_TEXT_MAX];
};

static void read_key(struct keys *keys, const char *name, const struct etcd_kv *kv)
{
    static const char member[] = "members/", witness[] = "pgvigil/witness/";
    struct ctl_cluster *cluster = keys->cluster;
    if (strcmp(name, "leader") == 0) {
        text_copy(keys->leader, sizeof(keys->leader), kv->value);
        return;
    }
    if (strcmp(name, "initialize") == 0) {
        cluster->initialized = true;
        text_copy(cluster->initialize, sizeof(cluster->initialize), kv->value);
        return;
    }
    if (strcmp(name, "sync") == 0) {
        (void)sync_state_from_json(kv->value, kv->value_len, kv->mod_revision, &keys->sync, NULL);
        return;
    }
    json_t *value = NULL;
    if (json_parse(kv->value, kv->value_len, name, &value, NULL) != ERR_OK)
        return;
    if (text_starts_with(name, member))
        json_object_set(keys->members, name + sizeof(member) - 1, value);
    else if (text_starts_with(name, witness))
        json_object_set(keys->witnesses, name + sizeof(witness) - 1, value);
    else if (strcmp(name, "failover") == 0)
        keys->failover = json_incref(value);
    else if (strcmp(name, "status") == 0)
        keys->optime = (lsn_t)json_integer_value(json_object_get(value, "optime"));
    else if (strcmp(name, "config") == 0) {
        cluster->config = json_incref(value);
        cluster->config_revision = kv->mod_revision;
    }
    json_decref(value);
}

static void on_keys(void *arg, const struct etcd_range_result *result)
{
    struct keys *keys = arg;
    keys->code = result->outcome.code;
    text_copy(keys->error, sizeof(keys->error), result->outcome.error);
    size_t skip = strlen(keys->ctl->prefix);
    for (size_t i = 0; keys->code == ERR_OK && i < result->n_kvs; i++)
        read_key(keys, result->kvs[i].key + skip, &result->kvs[i]);
    loop_stop(keys->ctl->loop);
}

static void build(struct keys *keys)
{
    struct ctl_cluster *cluster = keys->cluster;
    const struct cluster_facts facts = { keys->leader, &keys->sync, keys->optime };
    const char *name;
    json_t *value;
    json_t *members = json_array(), *witnesses = json_array();
    cluster->all_paused = cluster->none_paused = true;
    json_object_foreach (keys->members, name, value) {
        bool paused = json_is_true(json_object_get(value, "pause"));
        cluster->all_paused &= paused;
        cluster->none_paused &= !paused;
        json_array_append_new(members, cluster_member_json(&facts, name, value));
    }
    json_object_foreach (keys->witnesses, name, value) {
        json_array_append_new(witnesses, cluster_witness_json(name, value));
    }
    cluster->cluster = json_object();
    json_object_set_new(cluster->cluster, "members", members);
    cluster->pause = json_is_true(json_object_get(cluster->config, "pause"));
    cluster_add_schedule(cluster->cluster, keys->failover);
    json_object_set_new(cluster->cluster, "witness", witnesses);
}

static enum err_code load_store(struct ctl *ctl, struct ctl_cluster *cluster, struct err *err)
{
    struct keys keys = {
        .ctl = ctl, .cluster = cluster, .members = json_object(), .witnesses = json_object()
    };
    struct etcd_range range = { .key = ctl->prefix, .prefix = true };
    struct etcd_how how = { .timeout_ms = READ_TIMEOUT_MS, .endpoint = ETCD_ANY };
    struct etcd_call *call = etcd_range(ctl->etcd, &range, how, on_keys, &keys);
    loop_run(ctl->loop);
    etcd_call_free(call);
    if (keys.code == ERR_OK)
        build(&keys);
    json_decref(keys.members);
    json_decref(keys.witnesses);
    json_decref(keys.failover);
    if (keys.code == ERR_OK)
        return ERR_OK;
    bool silent = keys.code == ERR_UNREACHABLE || keys.code == ERR_TIMEOUT;
    return err_set(err, keys.code, "cannot read the cluster from etcd: %s%s", keys.error,
                   silent
                       ? " (no quorum? pgvigilctl -d http://NODE:8008 list tells what a node saw "
                         "last; pgvigilctl recover-quorum looks at each node, and asks "
                         "before it changes anything)"
                       : "");
}

/* ---- from a member ---------------------------------------------------------------------------- */

static enum err_code get_json(struct ctl *ctl, const char *path, json_t **ret_json, struct err *err)
{
    auto_free char *url = ctl_url(ctl->args.rest, path);
    struct ctl_answer answer = ctl_rest(ctl, "GET", url, NULL, READ_TIMEOUT_MS);
    enum err_code code = answer.code;
    if (code != ERR_OK)
        err_set(err, code, "%s: %s", url, answer.error);
    else if (answer.status != 200)
        code = err_set(err, ERR_NOT_FOUND, "%s: status %d", url, answer.status);
    else
        code = json_parse(answer.body, strlen(answer.body), url, ret_json, err);
    ctl_answer_done(&answer);
    return code;
}

static enum err_code load_rest(struct ctl *ctl, struct ctl_cluster *cluster, struct err *err)
{
    auto_json json_t *status = NULL;
    enum err_code code = get_json(ctl, "/cluster", &cluster->cluster, err);
    if (code != ERR_OK)
        return code;
    (void)get_json(ctl, "/config", &cluster->config, NULL);
    if (get_json(ctl, "/patroni", &status, NULL) == ERR_OK) {
        const char *id = ctl_text(status, "database_system_identifier");
        cluster->initialized = id[0] != '\0';
        text_copy(cluster->initialize, sizeof(cluster->initialize), id);
    }
    cluster->pause = json_is_true(json_object_get(cluster->cluster, "pause"));
    cluster->all_paused = cluster->pause;
    cluster->none_paused = !cluster->pause;
    if (ctl->scope == NULL)
        ctl->scope = mem_strdup(ctl_text(cluster->cluster, "scope"));
    return ERR_OK;
}

enum err_code ctl_cluster_load(struct ctl *ctl, struct ctl_cluster *ret_cluster, struct err *err)
{
    struct ctl_cluster cluster = { 0 };
    enum err_code code =
        ctl->etcd != NULL ? load_store(ctl, &cluster, err) : load_rest(ctl, &cluster, err);
    if (code != ERR_OK) {
        ctl_cluster_done(&cluster);
        return code;
    }
    cluster_sort_members(json_object_get(cluster.cluster, "members"));
    size_t i;
    json_t *member;
    json_array_foreach (json_object_get(cluster.cluster, "members"), i, member) {
        if (strcmp(ctl_text(member, "role"), "leader") == 0)
            cluster.leader = ctl_text(member, "name");
    }
    *ret_cluster = cluster;
    return ERR_OK;
}

void ctl_cluster_done(struct ctl_cluster *cluster)
{
    json_decref(cluster->cluster);
    json_decref(cluster->config);
    *cluster = (struct ctl_cluster){ 0 };
}

json_t *ctl_cluster_member(const struct ctl_cluster *cluster, const char *name)
{
    size_t i;
    json_t *member;
    json_array_foreach (json_object_get(cluster->cluster, "members"), i, member) {
        if (strcmp(ctl_text(member, "name"), name) == 0)
            return member;
    }
    return NULL;
}
