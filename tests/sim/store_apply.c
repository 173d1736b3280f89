/* The keys: compares and puts of a transaction, and what goes with a lease. */
#include "tests/sim/store_internal.h"

/* A new revision, a copy of the newest, for changes. */
static struct kv *next(struct sim *sim)
{
    struct store *store = &sim->store;
    const struct kv *now = store_now(sim);
    struct kv *kv = &store->history[(store->rev + 1) % HISTORY_MAX];
    *kv = *now;
    kv->rev = ++store->rev;
    store->log++;
    return kv;
}

static bool equal(int64_t wanted, bool exists, int64_t revision)
{
    return wanted == CMP_NONE || wanted == (exists ? revision : 0);
}

static bool compares(const struct kv *kv, const struct txn *txn)
{
    if (!equal(txn->cmp_leader_create, kv->leader.exists, kv->leader.create) ||
        !equal(txn->cmp_leader_mod, kv->leader.exists, kv->leader.mod) ||
        !equal(txn->cmp_sync_mod, kv->sync.exists, kv->sync.mod) ||
        !equal(txn->cmp_holder_mod, kv->holder.exists, kv->holder.mod) ||
        !equal(txn->cmp_config_mod, kv->config.exists, kv->config.mod) ||
        !equal(txn->cmp_initialize_create, kv->initialize.exists, kv->initialize.create) ||
        !equal(txn->cmp_confirmed_mod, kv->confirmed.exists, kv->confirmed.mod) ||
        !equal(txn->cmp_failover_mod, kv->failover.exists, kv->failover.mod))
        return false;
    if (!equal(txn->cmp_failsafe_mod, kv->failsafe.mod != 0, kv->failsafe.mod))
        return false;
    if (!equal(txn->cmp_leader_lease, kv->leader.exists, kv->leader.lease))
        return false;
    if (txn->cmp_leader_owner != NODE_NONE &&
        (!kv->leader.exists || kv->leader.owner != txn->cmp_leader_owner))
        return false;
    for (int i = 0; i < DATA_MAX; i++)
        if (!equal(txn->cmp_data_id[i], kv->data_id[i] != 0, kv->data_id[i]))
            return false;
    return true;
}

/* A put under a lease that is gone fails as a whole. */
static bool lease_lives(const struct sim *sim, const struct txn *txn)
{
    bool puts_none = txn->kind == TXN_MARK_LIFTED || txn->kind == TXN_CLEAR_LIFTED;
    return puts_none || txn->lease == 0 || sim->store.lease[txn->lease].gone_rev == 0;
}

static void put_leader(struct kv *kv, const struct txn *txn, bool fresh)
{
    kv->leader.owner = txn->node;
    kv->leader.lease = txn->lease;
    kv->leader.create = fresh ? kv->rev : kv->leader.create;
    kv->leader.mod = kv->rev;
    kv->leader.exists = true;
}

static void put_failover(struct kv *kv, const struct txn *txn, int leader)
{
    kv->failover.exists = txn->candidate != NODE_NONE || leader != NODE_NONE;
    kv->failover.leader = leader;
    kv->failover.candidate = txn->candidate;
    kv->failover.mod = kv->rev;
}

static void put_holder(struct kv *kv, const struct txn *txn)
{
    kv->holder.exists = true;
    kv->holder.owner = txn->node;
    kv->holder.lease = txn->lease;
    kv->holder.released = false;
    kv->holder.lifted = txn->kind != TXN_CLEAR_LIFTED && txn->lifted;
    kv->holder.mod = kv->rev;
}

static void put_taken(struct kv *kv, const struct txn *txn)
{
    put_leader(kv, txn, true);
    kv->leader.loss_accepted = txn->flag;
    put_holder(kv, txn);
}

static void put_released(struct kv *kv, const struct txn *txn)
{
    kv->leader.exists = false;
    kv->holder.released = true;
    kv->holder.lifted = false;
    kv->holder.mod = kv->rev;
    if (txn->candidate != NODE_NONE)
        put_failover(kv, txn, txn->node);
}

static void put_sync(struct kv *kv, const struct txn *txn)
{
    kv->sync.exists = true;
    kv->sync.leader = txn->node;
    kv->sync.standbys = txn->standbys;
    kv->sync.mod = kv->rev;
}

static void put_renewed(struct kv *kv, const struct txn *txn)
{
    kv->renewed = kv->rev;
    if (txn->lsn == LSN_NONE)
        return;
    kv->confirmed.exists = true;
    kv->confirmed.branch = txn->branch;
    kv->confirmed.lsn = txn->lsn;
    kv->confirmed.mod = kv->rev;
    kv->optime = txn->lsn;
}

static void put_other(struct kv *kv, const struct txn *txn)
{
    if (txn->kind == TXN_DATA_ID) {
        kv->data_id[txn->node] = kv->rev;
    } else if (txn->kind == TXN_MEMBER) {
        kv->member[txn->node] = txn->member;
        kv->member[txn->node].exists = true;
        kv->member[txn->node].lease = txn->lease;
    } else if (txn->kind == TXN_CONFIG || txn->kind == TXN_PAUSE) {
        kv->config.exists = true;
        kv->config.pause = txn->kind == TXN_PAUSE && txn->flag;
        kv->config.sync_off = txn->kind == TXN_PAUSE && txn->candidate == 1;
        kv->config.mod = kv->rev;
    } else {
        kv->initialize.exists = true;
        kv->initialize.create =
            txn->kind == TXN_CREATE_INITIALIZE ? kv->rev : kv->initialize.create;
        kv->initialize.lease = txn->lease;
        kv->initialize.system_id = txn->system_id;
    }
}

static void put(struct kv *kv, const struct txn *txn)
{
    switch (txn->kind) {
    case TXN_TAKE:
        put_taken(kv, txn);
        kv->renewed = kv->rev; /* it may count as a renewal */
        break;
    case TXN_ADOPT:
        put_leader(kv, txn, false);
        put_holder(kv, txn);
        break;
    case TXN_MARK_LIFTED:
    case TXN_CLEAR_LIFTED:
        put_holder(kv, txn);
        break;
    case TXN_RELEASE:
        put_released(kv, txn);
        break;
    case TXN_SYNC:
        put_sync(kv, txn);
        break;
    case TXN_DROP_CONFIRMED:
        kv->confirmed.exists = false;
        break;
    case TXN_DELETE_SYNC:
        kv->sync.exists = false;
        break;
    case TXN_FAILOVER:
        put_failover(kv, txn, txn->former);
        break;
    case TXN_DELETE_LEADER:
        kv->leader.exists = false;
        break;
    case TXN_FAILSAFE:
        kv->failsafe.names = txn->standbys;
        kv->failsafe.mod = kv->rev;
        break;
    case TXN_RENEW:
        put_renewed(kv, txn);
        break;
    case TXN_CREATE_INITIALIZE:
    case TXN_WRITE_INITIALIZE:
    case TXN_CONFIG:
    case TXN_DATA_ID:
    case TXN_MEMBER:
    case TXN_PAUSE:
        put_other(kv, txn);
        break;
    }
}

static void checks(struct sim *sim, const struct txn *txn)
{
    if (txn->kind == TXN_TAKE)
        check_taken(sim, txn);
    if (txn->kind == TXN_TAKE || txn->kind == TXN_ADOPT)
        check_key(sim);
    if (txn->kind == TXN_SYNC) {
        if (store_now(sim)->leader.loss_accepted)
            check_forgive(sim, txn->node);
        check_sync(sim);
    }
}

bool store_apply(struct sim *sim, const struct txn *txn)
{
    if (!lease_lives(sim, txn) || !compares(store_now(sim), txn))
        return false;
    if (txn->kind == TXN_ADOPT && sim->mutation == MUT_ADOPT_IN_PLACE)
        return true;
    put(next(sim), txn);
    checks(sim, txn);
    return true;
}

void store_revoke(struct sim *sim, int64_t id)
{
    struct store *store = &sim->store;
    struct lease_model *lease = &store->lease[id];
    if (id == 0 || lease->gone_rev != 0)
        return;
    struct kv *kv = next(sim);
    lease->gone_rev = kv->rev;
    if (kv->leader.exists && kv->leader.lease == id)
        kv->leader.exists = false;
    if (kv->initialize.exists && kv->initialize.lease == id)
        kv->initialize.exists = false;
    for (int i = 0; i < DATA_MAX; i++)
        if (kv->member[i].exists && kv->member[i].lease == id)
            kv->member[i].exists = false;
    for (int i = 0; i < store->n_live; i++)
        if (store->live[i] == (int)id)
            store->live[i--] = store->live[--store->n_live];
}
