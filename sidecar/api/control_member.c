/* DELETE /pgvigil/members/<name> (design part 9, scale-in): on the leader, the keys (member and data
 * id) and the slot of a member that is gone for good. Whether it is gone is told by its key: a member renews the lease of it
 * every ttl/4, so a key under a lease is a member that lived less than ttl ago. */
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "control_store_internal.h"
#include "etcd/kv.h"

/* False: refused, and the operation has ended. */
static bool may_remove(struct store_op *op, const struct cluster_key *key)
{
    const struct api_state *state = op->store->spec.state(op->store->spec.state_arg);
    const struct sync_state *sync = &state->view->store.sync;
    if (strcmp(op->candidate, state->name) == 0)
        store_op_endf(op, 409, "%s is the leader: switch over and stop it first", op->candidate);
    else if (key->lease != 0)
        store_op_endf(
            op, 409,
            "%s is alive, or was less than ttl ago: stop it, and ask again when its key is "
            "gone",
            op->candidate);
    else if (sync_in_force(sync) && names_has(&sync->standbys, op->candidate))
        store_op_endf(op, 409, "/sync names %s: it may hold commits that nobody else has",
                      op->candidate);
    else
        return true;
    return false;
}

static char *data_key(const struct store_op *op)
{
    struct text text = text_new(LIMIT_PATH);
    text_addf(&text, "pgvigil/data/%s", op->candidate);
    return text_take(&text);
}

static void end_removed(struct store_op *op, bool had_keys)
{
    struct control_store *store = op->store;
    bool had_slot =
        store->spec.drop_slot != NULL && store->spec.drop_slot(store->spec.arg, op->candidate);
    if (!had_keys && !had_slot) {
        store_op_endf(op, 404, "no member %s, and no slot that was made for it", op->candidate);
        return;
    }
    log_info("rest: a person says that %s is gone for good -> %s", op->candidate,
             had_slot ? "its slot goes" : "its keys are removed, it had no slot");
    store_changed(store);
    store_op_endf(op, 200, "%s is removed", op->candidate);
}

static void on_deleted(void *arg, const struct etcd_txn_result *result)
{
    struct store_op *op = arg;
    if (result->outcome.code != ERR_OK) {
        store_op_endf(op, 503, "cannot remove the keys of %s: %s", op->candidate,
                      result->outcome.error);
    } else if (!result->succeeded) {
        store_op_endf(op, 409, "%s has come back, or another node leads by now", op->candidate);
    } else {
        auto_free char *key = store_op_member_key(op);
        auto_free char *data = data_key(op);
        cluster_saw_none(op->store->spec.cluster, key, result->outcome.header.revision);
        cluster_saw_none(op->store->spec.cluster, data, result->outcome.header.revision);
        end_removed(op, true);
    }
}

void control_member_remove(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct store_op *op = store_op_new(arg, order, pending);
    struct cluster *cluster = op->store->spec.cluster;
    struct cluster_key key = { .name = "" };
    struct cluster_key leader = { .name = "" };
    auto_free char *name = store_op_member_key(op);
    auto_free char *data_name = data_key(op);
    bool exists = cluster_get(cluster, name, &key);
    if (!may_remove(op, &key))
        return;
    if (!exists && cluster_value(cluster, data_name) == NULL) {
        end_removed(op, false);
        return;
    }
    (void)cluster_get(cluster, "leader", &leader);
    auto_free char *member = store_op_key(op, name);
    auto_free char *data = store_op_key(op, data_name);
    auto_free char *leading = store_op_key(op, "leader");
    struct etcd_txn *txn = etcd_txn_new();
    etcd_txn_compare(txn, member, ETCD_MOD_REVISION, ETCD_EQUAL, exists ? key.mod_revision : 0);
    etcd_txn_compare(txn, leading, ETCD_CREATE_REVISION, ETCD_EQUAL, leader.create_revision);
    etcd_txn_delete(txn, ETCD_THEN, &(struct etcd_delete){ .key = member });
    etcd_txn_delete(txn, ETCD_THEN, &(struct etcd_delete){ .key = data });
    struct etcd_how how = { .timeout_ms = WRITE_TIMEOUT_MS, .endpoint = ETCD_ANY };
    op->call = etcd_txn_send(op->store->spec.etcd, txn, how, on_deleted, op);
    etcd_txn_free(txn);
}
