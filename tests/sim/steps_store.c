/* The operation half of the steps that write the store: one transaction, tried again until the step's
 * deadline; a compare that is lost after a try without an answer may be our own success. */
#include <string.h>

#include "tests/sim/sim.h"

static void on_answer(struct sim *sim, int i, int64_t ctx, const struct reply *reply);

static void on_nothing(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    (void)sim;
    (void)i;
    (void)ctx;
    (void)reply;
}

static void send(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    node->runner.sending = true;
    struct request request = { .kind = REQ_TXN,
                               .node = i,
                               .member = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1),
                               .txn = node->runner.txn,
                               .timeout_us = SECONDS(1),
                               .done = on_answer,
                               .ctx = node->runner.op };
    store_send(sim, &request);
}

static void let_go(struct lease *lease)
{
    lease->owns_key = lease->keyless = lease->held_once = false;
    lease->promised_until = (struct mono){ 0 };
}

/* A key that nobody knows to be ours goes with the lease. */
static void give_up(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct request request = { .kind = REQ_REVOKE,
                               .node = i,
                               .member = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1),
                               .lease = node->lease.id,
                               .timeout_us = SECONDS(2),
                               .done = on_nothing };
    if (node->lease.id != 0)
        store_send(sim, &request);
    lease_forget_id(&node->lease);
    renew_grant(sim, i);
}

/* What a step leaves behind when nobody knows whether it happened. */
static void in_doubt(struct sim *sim, int i, enum err_code code)
{
    struct node *node = &sim->node[i];
    const struct txn *txn = &node->runner.txn;
    if (txn->kind == TXN_TAKE && code == ERR_TIMEOUT && node->lease.id == txn->lease)
        give_up(sim, i);
    if (txn->kind == TXN_RELEASE && node->lease.id == node->runner.released &&
        sim->mutation != MUT_RELEASE_KEPT) {
        lease_forget_id(&node->lease);
        renew_grant(sim, i);
    }
}

/* The plan is dropped while its transaction is under way. */
void step_store_drop(struct sim *sim, int i)
{
    struct runner *runner = &sim->node[i].runner;
    if (!runner->sending)
        return;
    runner->sending = false;
    sim->node[i].resync = true;
    observe_resync(sim, i);
    in_doubt(sim, i, ERR_TIMEOUT);
}

static void failed(struct sim *sim, int i, enum err_code code)
{
    struct node *node = &sim->node[i];
    node->runner.sending = false;
    in_doubt(sim, i, code);
    node->resync = true;
    observe_resync(sim, i);
    runner_op_done(sim, i, node->runner.op, code);
}

/* What a success means for the lease and the plan. */
static void succeeded(struct sim *sim, int i, const struct lease_taken *taken)
{
    int64_t rev = taken->revision;
    struct node *node = &sim->node[i];
    const struct txn *txn = &node->runner.txn;
    struct lease *lease = &node->lease;
    node->runner.sending = false;
    if (txn->kind == TXN_TAKE || txn->kind == TXN_ADOPT)
        node->sequence[0].active = node->sequence[1].active = false;
    if (txn->kind == TXN_TAKE && lease->id != txn->lease) {
        failed(sim, i, ERR_CONFLICT); /* our lease was lost meanwhile */
        return;
    }
    if (txn->kind == TXN_TAKE) {
        lease_take(lease, taken);
        renew_offer(sim, i);
        renew_begin(sim, i);
    } else if (txn->kind == TXN_ADOPT) {
        const struct guard_view *guard = &node->guard_seen;
        *lease = (struct lease){
            .id = txn->lease,
            .ttl_ms = sim->ttl_ms,
            .owns_key = true,
            .inherited = true,
            .create_revision = txn->cmp_leader_create,
            .mod_revision = sim->mutation == MUT_ADOPT_IN_PLACE ? txn->cmp_leader_mod : rev,
            .held_once = guard->has_deadline,
            .lifted = lease->lifted,
            .tried = lease->tried,
            .held_until = mono_add(guard->deadline, lease_margin_ms(sim->ttl_ms, false)),
        };
        renew_begin(sim, i);
    } else if (txn->kind == TXN_RELEASE) {
        let_go(lease);
    } else if (txn->kind == TXN_SYNC) {
        node->runner.memory.sync_mod_revision = rev;
    } else if (txn->kind == TXN_CONFIG) {
        node->runner.memory.config_mod_revision = rev;
    }
    observe_store(sim, i, rev);
    runner_op_done(sim, i, node->runner.op, ERR_OK);
}

/* Is what we wanted to write there? */
static bool key_written(const struct kv *kv, const struct txn *txn)
{
    if (txn->kind == TXN_RELEASE)
        return !kv->leader.exists && kv->holder.released && kv->holder.lease == txn->lease;
    return kv->leader.exists && kv->leader.owner == txn->node && kv->leader.lease == txn->lease;
}

static bool sync_written(const struct kv *kv, const struct txn *txn)
{
    if (txn->kind == TXN_DELETE_SYNC)
        return !kv->sync.exists;
    return kv->sync.exists && kv->sync.leader == txn->node && kv->sync.standbys == txn->standbys;
}

static bool initialize_written(const struct kv *kv, const struct txn *txn)
{
    if (!kv->initialize.exists)
        return false;
    return txn->kind == TXN_CREATE_INITIALIZE ? kv->initialize.lease == txn->lease
                                              : kv->initialize.system_id == txn->system_id;
}

static bool mark_written(const struct kv *kv, const struct txn *txn)
{
    if (txn->kind == TXN_CLEAR_LIFTED)
        return !kv->holder.lifted;
    return kv->holder.lifted && kv->holder.lease == txn->lease;
}

/* Is all that we wanted to write there? */
static bool is_written(const struct kv *kv, const struct txn *txn)
{
    switch (txn->kind) {
    case TXN_TAKE:
    case TXN_ADOPT:
    case TXN_RELEASE:
        return key_written(kv, txn);
    case TXN_SYNC:
    case TXN_DELETE_SYNC:
        return sync_written(kv, txn);
    case TXN_CREATE_INITIALIZE:
    case TXN_WRITE_INITIALIZE:
        return initialize_written(kv, txn);
    case TXN_FAILOVER:
        return !kv->failover.exists;
    case TXN_DROP_CONFIRMED:
        return !kv->confirmed.exists;
    case TXN_CONFIG:
        return kv->config.exists;
    case TXN_MARK_LIFTED:
    case TXN_CLEAR_LIFTED:
        return mark_written(kv, txn);
    case TXN_RENEW:
    case TXN_FAILSAFE:
    case TXN_DATA_ID:
    case TXN_MEMBER:
    case TXN_DELETE_LEADER:
    case TXN_PAUSE:
        return false;
    }
    return false;
}

/* The revision at which it was written; 0: it is not there. */
static int64_t written_at(const struct kv *kv, const struct txn *txn)
{
    if (kv == NULL || !is_written(kv, txn))
        return 0;
    if (txn->kind == TXN_TAKE || txn->kind == TXN_ADOPT)
        return kv->leader.mod;
    if (txn->kind == TXN_RELEASE || txn->kind == TXN_MARK_LIFTED)
        return kv->holder.mod;
    return txn->kind == TXN_SYNC ? kv->sync.mod : kv->rev;
}

static void on_answer(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    struct node *node = &sim->node[i];
    struct runner *runner = &node->runner;
    if (!runner->running || runner->op != (uint32_t)ctx)
        return;
    if (reply->code != ERR_OK) {
        runner->doubtful = true;
        const struct step *step = &runner->plan.steps[runner->at];
        if (mono_diff(node_clock(sim, i), runner->step_began) + 100 < step->deadline_ms)
            send(sim, i);
        else
            failed(sim, i, ERR_TIMEOUT);
        return;
    }
    if (reply->txn_ok) {
        struct lease_taken taken = { reply->rev, node_clock(sim, i), reply->term,
                                     (uint64_t)reply->member + 1 };
        if (runner->doubtful)
            taken.term = 0;
        else if (sim->mutation == MUT_TERMS)
            taken.term = node->lease.proof.term;
        succeeded(sim, i, &taken);
        return;
    }
    int64_t rev = runner->doubtful ? written_at(store_at(sim, reply->rev), &runner->txn) : 0;
    if (rev == 0) {
        const struct kv *kv = store_at(sim, reply->rev);
        say_line(sim, i, "compare lost: leader %lld/%lld, sync %lld, wanted %lld/%lld, %lld",
                 (long long)kv->leader.create, (long long)kv->leader.mod, (long long)kv->sync.mod,
                 (long long)runner->txn.cmp_leader_create, (long long)runner->txn.cmp_leader_mod,
                 (long long)runner->txn.cmp_sync_mod);
    }
    if (rev != 0)
        succeeded(sim, i, &(struct lease_taken){ .revision = rev, .now = node_clock(sim, i) });
    else
        failed(sim, i, ERR_CONFLICT);
}

/* ---- transactions ---------------------------------------------------------------------- */

static bool make_take(struct sim *sim, struct node *node, struct txn *txn)
{
    const struct view *view = &node->view;
    bool anew = view_may_retake(view);
    if (!anew && (node->lease.owns_key || (!lease_may_take(&view->store.holder, node->lease.id) &&
                                           sim->mutation != MUT_TAKE_NO_HOLDER)))
        return false;
    node->lease.tried = node->lease.id;
    txn->anew = anew;
    txn->lifted = node->guard_seen.lifted;
    txn->cmp_leader_create = sim->mutation == MUT_TAKE_OVER ? CMP_NONE : 0;
    txn->cmp_holder_mod = view->store.holder.exists ? view->store.holder.mod_revision : 0;
    if (sim->mutation == MUT_TAKE_NO_HOLDER || sim->mutation == MUT_TAKE_OVER)
        txn->cmp_holder_mod = CMP_NONE;
    txn->cmp_sync_mod = sim->mutation == MUT_TAKE_OVER ? CMP_NONE : view->store.sync.mod_revision;
    txn->cmp_config_mod = node->runner.memory.config_mod_revision;
    txn->cmp_failsafe_mod = view->store.failsafe_mod_revision;
    if (sim->mutation == MUT_TAKE_NO_CONFIG)
        txn->cmp_config_mod = CMP_NONE;
    txn->lease = node->lease.id;
    txn->flag = node->runner.accepts_loss;
    return node->lease.id != 0;
}

static bool make_adopt(struct node *node, struct txn *txn)
{
    txn->cmp_leader_create = node->guard_seen.create_revision;
    txn->cmp_leader_mod = node->view.store.leader_mod_revision;
    txn->lease = node->guard_seen.lease_id;
    txn->lifted = node->guard_seen.lifted;
    return txn->lease != 0;
}

static bool make_mark(struct node *node, struct txn *txn)
{
    txn->cmp_leader_create = node->lease.create_revision;
    txn->cmp_leader_mod = node->lease.mod_revision;
    txn->cmp_holder_mod = node->view.store.holder.mod_revision;
    txn->cmp_config_mod = node->view.store.config_mod_revision;
    txn->lease = node->lease.id;
    txn->lifted = true;
    return node->lease.owns_key;
}

static bool make_clear(struct sim *sim, struct node *node, struct txn *txn)
{
    bool early = sim->mutation == MUT_UNMARKED_EARLY;
    const struct lease_holder *holder = &node->view.store.holder;
    bool leads = node->lease.owns_key;
    txn->cmp_leader_create = leads ? node->lease.create_revision : CMP_NONE;
    txn->cmp_holder_mod = holder->mod_revision;
    txn->lease = holder->lease_id;
    return (early || !node->guard_seen.lifted) && (leads || !node->guard_seen.tree_alive);
}

static bool make_release(struct sim *sim, struct node *node, const struct step *step,
                         struct txn *txn)
{
    txn->cmp_leader_create = node->lease.create_revision;
    txn->cmp_leader_mod = node->lease.mod_revision;
    if (sim->mutation == MUT_RELEASE_BY_NAME) {
        txn->cmp_leader_create = txn->cmp_leader_mod = CMP_NONE;
        txn->cmp_leader_owner = txn->node;
    }
    txn->lease = 0;
    txn->candidate = node_index(step->name);
    bool had = node->lease.owns_key;
    node->runner.released = node->lease.id;
    /* L7: "a release that was sent ends the holding, whatever the reply". */
    if (sim->mutation != MUT_RELEASE_KEPT) {
        let_go(&node->lease);
    }
    return had;
}

static bool make_sync(struct sim *sim, struct node *node, const struct step *step, struct txn *txn)
{
    txn->standbys = set_of(&step->names);
    txn->cmp_sync_mod = node->runner.memory.sync_mod_revision != 0
                            ? node->runner.memory.sync_mod_revision
                            : node->view.store.sync.mod_revision;
    txn->cmp_leader_mod = node->lease.mod_revision;
    if (sim->mutation == MUT_SYNC_NO_COMPARE)
        txn->cmp_sync_mod = txn->cmp_leader_mod = CMP_NONE;
    for (int p = 0; p < DATA_MAX; p++)
        if (txn->standbys >> p & 1)
            txn->cmp_data_id[p] = node->runner.data_id[p];
    return node->lease.owns_key;
}

static bool make_write_initialize(struct sim *sim, struct node *node, struct txn *txn)
{
    txn->cmp_initialize_create = node->cache.initialize.create;
    txn->system_id = sim->pg[txn->node].system_id;
    /* As the real step: only what we made ourselves under this lease is replaced. */
    return node->cache.initialize.exists && node->cache.initialize.system_id == 0 &&
           node->cache.initialize.lease == node->lease.id;
}

static bool make(struct sim *sim, int i, const struct step *step, struct txn *txn)
{
    struct node *node = &sim->node[i];
    switch (txn->kind) {
    case TXN_TAKE:
        return make_take(sim, node, txn);
    case TXN_ADOPT:
        return make_adopt(node, txn);
    case TXN_MARK_LIFTED:
        return make_mark(node, txn);
    case TXN_CLEAR_LIFTED:
        return make_clear(sim, node, txn);
    case TXN_RELEASE:
        return make_release(sim, node, step, txn);
    case TXN_SYNC:
    case TXN_DELETE_SYNC:
        return make_sync(sim, node, step, txn);
    case TXN_DROP_CONFIRMED:
        txn->cmp_leader_mod = node->lease.mod_revision;
        return node->lease.owns_key;
    case TXN_CREATE_INITIALIZE:
        txn->cmp_initialize_create = 0;
        txn->lease = node->lease.id;
        return node->lease.id != 0;
    case TXN_WRITE_INITIALIZE:
        return make_write_initialize(sim, node, txn);
    case TXN_CONFIG:
        txn->cmp_config_mod = 0;
        return true;
    case TXN_FAILOVER:
        txn->cmp_failover_mod = node->view.store.failover.mod_revision;
        return true;
    case TXN_DATA_ID:
        txn->cmp_sync_mod = node->view.store.sync.mod_revision;
        return sim->mutation == MUT_CLONE_IN_SYNC ||
               !sync_names(&node->view.store.sync, node->view.self);
    case TXN_RENEW:
    case TXN_FAILSAFE:
    case TXN_MEMBER:
    case TXN_DELETE_LEADER:
    case TXN_PAUSE:
        return true;
    }
    return true;
}

/* Done already, by a former try of this very holder. */
static bool is_there(const struct node *node, enum txn_kind kind)
{
    if (kind == TXN_CREATE_INITIALIZE)
        return node->cache.initialize.exists && node->cache.initialize.system_id == 0 &&
               node->cache.initialize.lease == node->lease.id;
    return false;
}

static bool begin(struct sim *sim, int i, const struct step *step, enum txn_kind kind)
{
    struct node *node = &sim->node[i];
    node->runner.txn = txn_make(kind, i);
    node->runner.doubtful = false;
    if (is_there(node, kind)) {
        node->runner.op_done = true;
        return true;
    }
    if (make(sim, i, step, &node->runner.txn))
        send(sim, i);
    else
        node->runner.op_failed = true;
    return true;
}

/* ---- the others ------------------------------------------------------------------------ */

static void on_revoked(struct sim *sim, int i, int64_t ctx, const struct reply *reply)
{
    runner_op_done(sim, i, (uint32_t)ctx, reply->code);
}

static bool begin_revoke(struct sim *sim, int i)
{
    struct node *node = &sim->node[i];
    struct request request = { .kind = REQ_REVOKE,
                               .node = i,
                               .member = (int)rng_range(&sim->rng, 0, ETCD_MEMBERS - 1),
                               .lease = node->lease.id,
                               .timeout_us = SECONDS(2),
                               .done = on_revoked,
                               .ctx = node->runner.op };
    request.late_us = rng_chance(&sim->rng, 150) ? rng_tail(&sim->rng, 0, SECONDS(12)) : 0;
    store_send(sim, &request);
    if (sim->mutation == MUT_REVOKED_REUSED) {
        node->lease.owns_key = false;
        return true;
    }
    /* Once it is sent the lease may end at any time: nothing is done under it any more. */
    lease_forget_id(&node->lease);
    renew_grant(sim, i);
    return true;
}

static void on_ask_out(struct sim *sim, const struct event *event)
{
    struct node *node = &sim->node[event->host];
    if (!node->runner.running || node->runner.op != (uint32_t)event->arg[0])
        return;
    if (node->published.nosync)
        runner_op_done(sim, event->host, node->runner.op, ERR_OK);
    else
        sim_at(sim, MS(10), event);
}

static bool begin_ask_out(struct sim *sim, int i)
{
    struct event event = {
        .fn = on_ask_out, .host = i, .proc = PROC_SIDECAR, .arg = { sim->node[i].runner.op }
    };
    sim_at(sim, MS(1), &event);
    return true;
}

bool step_store(struct sim *sim, int i, const struct step *step)
{
    static const int kinds[STEP_MAX] = {
        [STEP_TAKE_KEY] = 1 + TXN_TAKE,
        [STEP_ADOPT_KEY] = 1 + TXN_ADOPT,
        [STEP_MARK_LIFTED] = 1 + TXN_MARK_LIFTED,
        [STEP_CLEAR_LIFTED] = 1 + TXN_CLEAR_LIFTED,
        [STEP_RELEASE_KEY] = 1 + TXN_RELEASE,
        [STEP_WRITE_SYNC] = 1 + TXN_SYNC,
        [STEP_DELETE_SYNC] = 1 + TXN_DELETE_SYNC,
        [STEP_CREATE_INITIALIZE] = 1 + TXN_CREATE_INITIALIZE,
        [STEP_WRITE_INITIALIZE] = 1 + TXN_WRITE_INITIALIZE,
        [STEP_WRITE_CONFIG] = 1 + TXN_CONFIG,
        [STEP_DROP_CONFIRMED] = 1 + TXN_DROP_CONFIRMED,
        [STEP_CLEAR_FAILOVER] = 1 + TXN_FAILOVER,
        [STEP_WRITE_DATA_ID] = 1 + TXN_DATA_ID,
    };
    if (kinds[step->kind] != 0)
        return begin(sim, i, step, (enum txn_kind)(kinds[step->kind] - 1));
    if (step->kind == STEP_REVOKE_LEASE)
        return begin_revoke(sim, i);
    if (step->kind == STEP_ASK_OUT)
        return begin_ask_out(sim, i);
    return false;
}
