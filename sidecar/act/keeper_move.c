/* A leader's ttl has changed: its key moves to a lease of the new length, in one transaction with
 * the holder record.
 *
 * The guard's deadline never moves back. So a shorter lease may carry the key only once nothing
 * that was promised under the longer one reaches beyond it: from the change on, renewals count for
 * the shorter time only (note_length), and the move waits until the holding's end has come near. */
#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cluster/claims_json.h"
#include "etcd/lease.h"
#include "sidecar/act/keeper_internal.h"

#define KEY_RELEASE "pgvigil/release"

static void moved(struct lease_keeper *keeper, int64_t revision)
{
    struct lease_move *move = &keeper->move;
    log_info("lease: the leader key moved to a lease of %d s", (int)(move->ttl_ms / 1000));
    keeper->lease.id = move->lease_id;
    keeper->lease.ttl_ms = move->ttl_ms;
    keeper->lease.mod_revision = revision;
    /* No longer than either lease lets us. */
    keeper->lease.held_until =
        mono_min(keeper->lease.held_until, mono_add(move->granted, move->ttl_ms));
    keeper->granted_ms = move->ttl_ms;
    *move = (struct lease_move){ 0 };
    source_trigger(keeper->changed);
    keeper_round_begin(keeper);
}

static void on_moved(void *arg, enum err_code code, const struct err *err, int64_t revision)
{
    struct lease_keeper *keeper = arg;
    if (code != ERR_OK)
        log_warn("lease: move to the new ttl: %s -> trying again", err->text);
    keeper->move.txn = store_txn_free(keeper->move.txn);
    if (code == ERR_OK) {
        moved(keeper, revision);
        return;
    }
    if (code != ERR_TIMEOUT) /* else it may still happen: keeper_move_seen looks for it */
        keeper->move.lease_id = 0;
    keeper_round_begin(keeper);
}

static void move_key(struct lease_keeper *keeper)
{
    struct cluster *cluster = keeper->spec.cluster;
    struct lease_move *move = &keeper->move;
    auto_text struct text holder = text_new(LIMIT_FILE);
    struct lease_holder record = { .lease_id = move->lease_id };
    text_copy(record.name, sizeof(record.name), cluster_self(cluster));
    lease_holder_write(&holder, &record);
    keeper_drop_sequences(keeper); /* they would find the key under a lease that they do not know */
    move->txn = store_txn_new(keeper->spec.loop, keeper->spec.etcd, cluster);
    store_txn_expect(move->txn, "leader", ETCD_CREATE_REVISION, keeper->lease.create_revision);
    store_txn_expect(move->txn, "leader", ETCD_MOD_REVISION, keeper->lease.mod_revision);
    store_txn_expect(move->txn, "leader", ETCD_LEASE, keeper->lease.id);
    /* L8: not past a lift, which is marked there. */
    store_txn_expect(move->txn, KEY_RELEASE, ETCD_MOD_REVISION, move->holder_revision);
    store_txn_put(move->txn, "leader", cluster_self(cluster), move->lease_id);
    store_txn_put(move->txn, KEY_RELEASE, text_str(&holder), 0);
    store_txn_send(move->txn, mono_add(clock_mono(), keeper->lease.ttl_ms / 4), on_moved, keeper);
}

static void on_grant(void *arg, const struct etcd_lease_result *result)
{
    struct lease_keeper *keeper = arg;
    struct lease_move *move = &keeper->move;
    move->grant = etcd_call_free(move->grant);
    if (result->outcome.code != ERR_OK)
        return; /* the next renewal asks again */
    if (result->ttl_s * 1000 != keeper_wanted_ms(keeper)) {
        keeper_too_short(keeper, result->ttl_s, keeper->stats.problem);
        log_error("lease: %s -> the former lease stays", keeper->stats.problem);
        move->refused_ms = keeper_wanted_ms(keeper);
        keeper_revoke(keeper, result->id);
        return;
    }
    move->lease_id = result->id;
    move->ttl_ms = result->ttl_s * 1000;
    move->granted = result->sent;
    if (keeper->lease.owns_key &&
        !mono_before(mono_add(move->granted, move->ttl_ms), keeper->lease.held_until))
        move_key(keeper);
    else
        move->lease_id = 0; /* it runs out */
}

/* L8: under a lift, or while one begins, the record stays as it is. */
static bool record_is_free(struct lease_keeper *keeper)
{
    struct cluster_key key;
    struct lease_holder holder;
    if (keeper->lease.lifted || !cluster_get(keeper->spec.cluster, KEY_RELEASE, &key) ||
        lease_holder_from_json(key.value, key.len, key.mod_revision, &holder, NULL) != ERR_OK ||
        holder.lifted)
        return false;
    keeper->move.holder_revision = key.mod_revision;
    return true;
}

/* A move whose reply was lost may still happen while the lease that it goes to lives. */
static bool in_doubt(const struct lease_move *move, struct mono now)
{
    return move->lease_id != 0 && mono_before(now, mono_add(move->granted, 2 * move->ttl_ms));
}

void keeper_move_consider(struct lease_keeper *keeper)
{
    struct lease_move *move = &keeper->move;
    const struct lease *lease = &keeper->lease;
    int64_t wanted_ms = keeper_wanted_ms(keeper);
    struct mono now = clock_mono();
    if (!lease->owns_key || keeper->granted_ms == wanted_ms || wanted_ms == move->refused_ms ||
        move->grant != NULL || move->txn != NULL || in_doubt(move, now) ||
        !record_is_free(keeper) || !lease_holds(lease, now) ||
        mono_before(mono_add(now, wanted_ms), lease->held_until))
        return;
    struct etcd_how how = { .timeout_ms = lease->ttl_ms / 4, .endpoint = ETCD_ANY };
    move->grant = etcd_lease_grant(keeper->spec.etcd, wanted_ms / 1000, how, on_grant, keeper);
}

bool keeper_move_seen(struct lease_keeper *keeper, const struct lease_renewal *renewal)
{
    if (!renewal->complete || !keeper->lease.owns_key || keeper->move.lease_id == 0 ||
        !renewal->key_exists || renewal->key_lease != keeper->move.lease_id ||
        renewal->key_create_revision != keeper->lease.create_revision)
        return false;
    keeper_drop_sequences(keeper);
    moved(keeper, renewal->key_mod_revision);
    return true;
}

void keeper_move_stop(struct lease_keeper *keeper)
{
    keeper->move.grant = etcd_call_free(keeper->move.grant);
    keeper->move.txn = store_txn_free(keeper->move.txn);
    keeper->move.lease_id = 0;
}
