/* What each step of the store compares and writes. Plain functions of the view, the plan's memory
 * and our lease. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clean.h"
#include "base/clock.h"
#include "cluster/claims_json.h"
#include "cluster/failover.h"
#include "cluster/sync_state_json.h"
#include "sidecar/act/steps_store_internal.h"

#define KEY_RELEASE "pgvigil/release"
#define KEY_DATA "pgvigil/data/"
#define KEY_CONFIRMED "pgvigil/confirmed"

static const struct lease *lease_of(const struct store_op *op)
{
    return lease_keeper_lease(op->steps->spec.keeper);
}

static const char *self_of(const struct store_op *op)
{
    return cluster_self(op->steps->spec.cluster);
}

static void begin(struct store_op *op)
{
    const struct steps_store_spec *spec = &op->steps->spec;
    op->txn = store_txn_new(spec->loop, spec->etcd, spec->cluster);
}

static enum err_code need_key(const struct store_op *op, struct err *err)
{
    return lease_of(op)->owns_key ? ERR_OK
                                  : err_set(err, ERR_REFUSED, "the leader key is not ours");
}

enum mark { MARK_NONE, MARK_RELEASED, MARK_LIFTED };

static void put_holder(struct store_op *op, int64_t lease_id, enum mark mark)
{
    auto_text struct text value = text_new(LIMIT_FILE);
    struct lease_holder holder = { .lease_id = lease_id,
                                   .released = mark == MARK_RELEASED,
                                   .lifted = mark == MARK_LIFTED };
    text_copy(holder.name, sizeof(holder.name), self_of(op));
    lease_holder_write(&value, &holder);
    store_txn_put(op->txn, KEY_RELEASE, text_str(&value), 0);
}

/* L8: who writes the record anew while the deadline is lifted says so there. */
static enum mark mark_of(const struct step_call *call)
{
    return call->view->guard.lifted ? MARK_LIFTED : MARK_NONE;
}

/* The take may count as a renewal (lease_take), which leaves a trace (act/keeper_renewal.c). */
static void put_trace(struct store_op *op)
{
    auto_text struct text value = text_new(LIMIT_FILE);
    lease_trace_write(&value, lease_of(op), clock_mono());
    store_txn_put(op->txn, "pgvigil/renewed", text_str(&value), 0);
}

/* S3: "Every write of /sync compares its mod_revision and the leader key's mod_revision." As of the
 * plan's own last write, else of the view. */
static int64_t sync_revision(const struct step_call *call)
{
    return call->memory->sync_mod_revision != 0 ? call->memory->sync_mod_revision
                                                : call->view->store.sync.mod_revision;
}

static void expect_leadership(struct store_op *op)
{
    store_txn_expect(op->txn, "leader", ETCD_CREATE_REVISION, lease_of(op)->create_revision);
    store_txn_expect(op->txn, "leader", ETCD_MOD_REVISION, lease_of(op)->mod_revision);
}

/* --- the cluster's birth --- */

/* Part 6: "one node wins `initialize` (held under its lease while empty)". */
static enum err_code create_initialize(struct store_op *op, const struct step_call *call,
                                       struct err *err)
{
    struct cluster_key key;
    (void)call;
    if (op->lease == 0)
        return err_set(err, ERR_REFUSED, "no lease of our own yet");
    if (cluster_get(op->steps->spec.cluster, "initialize", &key) && key.len == 0 &&
        key.lease == op->lease)
        return ERR_OK;
    begin(op);
    store_txn_expect(op->txn, "initialize", ETCD_CREATE_REVISION, 0);
    store_txn_put(op->txn, "initialize", "", op->lease);
    return ERR_OK;
}

static enum err_code write_initialize(struct store_op *op, const struct step_call *call,
                                      struct err *err)
{
    char id[32];
    struct cluster_key key = { .create_revision = 0 };
    if (call->view->pg.system_id == 0)
        return err_set(err, ERR_REFUSED, "the system identifier is not known");
    (void)snprintf(id, sizeof(id), "%" PRIu64, call->view->pg.system_id);
    bool exists = cluster_get(op->steps->spec.cluster, "initialize", &key);
    if (exists && strcmp(key.value, id) == 0)
        return ERR_OK;
    if (exists && (key.len != 0 || key.lease != op->lease))
        return err_set(err, ERR_CONFLICT, "another node makes, or has made, the cluster");
    begin(op);
    store_txn_expect(op->txn, "initialize", ETCD_CREATE_REVISION, key.create_revision);
    store_txn_put(op->txn, "initialize", id, 0);
    return ERR_OK;
}

static enum err_code write_config(struct store_op *op, const struct step_call *call,
                                  struct err *err)
{
    const struct steps_store_spec *spec = &op->steps->spec;
    (void)call;
    if (cluster_value(spec->cluster, "config") != NULL)
        return ERR_OK; /* a person was faster */
    auto_text struct text value = text_new(LIMIT_FILE);
    if (!spec->config(spec->arg, &value) || value.overflow)
        return err_set(err, ERR_REFUSED, "there is nothing to write as first config");
    begin(op);
    store_txn_expect(op->txn, "config", ETCD_CREATE_REVISION, 0);
    store_txn_put(op->txn, "config", text_str(&value), 0);
    return ERR_OK;
}

/* --- the key --- */

/* L6, L7, L8: "The transaction that takes the key also writes the holder record"; it compares that
 * the key is absent, that the holder record is the one that allowed it, and that /sync, /failsafe and
 * config are those that were decided on. */
static enum err_code take_key(struct store_op *op, const struct step_call *call, struct err *err)
{
    const struct store_view *store = &call->view->store;
    if (op->lease == 0)
        return err_set(err, ERR_REFUSED, "no lease of our own yet");
    bool anew = view_may_retake(call->view);
    if (lease_of(op)->owns_key && !anew)
        return err_set(err, ERR_REFUSED, "the leader key is ours already");
    if (!anew && !lease_may_take(&store->holder, op->lease))
        return err_set(err, ERR_REFUSED, "the former holder's lease may still live");
    int64_t config = call->memory->config_mod_revision != 0 ? call->memory->config_mod_revision
                                                            : store->config_mod_revision;
    begin(op);
    store_txn_expect(op->txn, "leader", ETCD_CREATE_REVISION, 0);
    store_txn_expect(op->txn, KEY_RELEASE, ETCD_MOD_REVISION, store->holder.mod_revision);
    store_txn_expect(op->txn, "sync", ETCD_MOD_REVISION, sync_revision(call));
    store_txn_expect(op->txn, "config", ETCD_MOD_REVISION, config);
    store_txn_expect(op->txn, "failsafe", ETCD_MOD_REVISION, store->failsafe_mod_revision);
    store_txn_put(op->txn, "leader", self_of(op), op->lease);
    put_holder(op, op->lease, mark_of(call));
    lease_keeper_tries(op->steps->spec.keeper);
    put_trace(op);
    return ERR_OK;
}

/* L7: "a new sidecar adopts the key only if cookie and key agree, and adopting rewrites the key, so
 * that its mod_revision changes and a late release of the former process fails". Our own key is
 * adopted anew where its renewal came too late and nothing of Postgres runs. */
static enum err_code adopt_key(struct store_op *op, const struct step_call *call, struct err *err)
{
    const struct guard_view *guard = &call->view->guard;
    const struct lease *lease = lease_of(op);
    if (lease->owns_key && guard->tree_alive)
        return err_set(err, ERR_REFUSED, "the leader key is ours already and Postgres runs");
    if (!lease->owns_key && (guard->lease_id == 0 || !(guard->has_deadline || guard->lifted)))
        return err_set(err, ERR_REFUSED, "the guard knows of no holding");
    op->adoption = (struct lease_adoption){
        .lease_id = lease->owns_key ? lease->id : guard->lease_id,
        .create_revision = lease->owns_key ? lease->create_revision : guard->create_revision,
        .guard_deadline = lease->owns_key || guard->lifted ? MONO_NEVER : guard->deadline,
    };
    op->lease = op->adoption.lease_id;
    begin(op);
    store_txn_expect(op->txn, "leader", ETCD_CREATE_REVISION, op->adoption.create_revision);
    store_txn_expect(op->txn, "leader", ETCD_LEASE, op->lease);
    /* A try of ours that arrives late must not move the key on from what we know of it. */
    store_txn_expect(op->txn, "leader", ETCD_MOD_REVISION, call->view->store.leader_mod_revision);
    store_txn_put(op->txn, "leader", self_of(op), op->lease);
    put_holder(op, op->lease, mark_of(call));
    return ERR_OK;
}

/* L8. Written even where the mark stands: its new revision bars a late end of a former lift. */
static enum err_code mark_lifted(struct store_op *op, const struct step_call *call, struct err *err)
{
    const struct store_view *store = &call->view->store;
    if (need_key(op, err) != ERR_OK)
        return ERR_REFUSED;
    begin(op);
    expect_leadership(op);
    store_txn_expect(op->txn, KEY_RELEASE, ETCD_MOD_REVISION, store->holder.mod_revision);
    store_txn_expect(op->txn, "config", ETCD_MOD_REVISION, store->config_mod_revision);
    put_holder(op, op->lease, MARK_LIFTED);
    return ERR_OK;
}

/* L8: the last leader has seen the pause end. Where the key is not this process's its Postgres is down:
 * the others then wait for no more than the lease of the record (L7). */
static enum err_code clear_lifted(struct store_op *op, const struct step_call *call,
                                  struct err *err)
{
    const struct lease_holder *holder = &call->view->store.holder;
    bool leads = lease_of(op)->owns_key;
    if (!holder->exists || !holder->lifted)
        return ERR_OK;
    if (call->view->guard.lifted || (!leads && call->view->guard.tree_alive))
        return err_set(err, ERR_REFUSED, "Postgres runs, or may run, without a deadline");
    begin(op);
    if (leads)
        expect_leadership(op);
    store_txn_expect(op->txn, KEY_RELEASE, ETCD_MOD_REVISION, holder->mod_revision);
    put_holder(op, holder->lease_id, MARK_NONE);
    return ERR_OK;
}

/* L7: "A release also compares mod_revision"; "a release that was sent ends the holding, whatever
 * the reply". */
static enum err_code release_key(struct store_op *op, const struct step_call *call, struct err *err)
{
    if (need_key(op, err) != ERR_OK)
        return ERR_REFUSED;
    begin(op);
    expect_leadership(op);
    store_txn_delete(op->txn, "leader");
    put_holder(op, op->lease, MARK_RELEASED);
    if (call->step->name[0] != '\0') {
        struct failover wish = { .exists = true };
        auto_text struct text value = text_new(LIMIT_FILE);
        text_copy(wish.leader, sizeof(wish.leader), self_of(op));
        text_copy(wish.candidate, sizeof(wish.candidate), call->step->name);
        failover_write(&value, &wish);
        store_txn_put(op->txn, "failover", text_str(&value), 0);
    }
    lease_keeper_let_go(op->steps->spec.keeper);
    return ERR_OK;
}

/* L7: "A holder whose key vanished gives that lease up as soon as its Postgres is down." Where the
 * record still names the lease it is marked first: nobody then has to wait for the end of a holding
 * that is over. */
static enum err_code revoke_lease(struct store_op *op, const struct step_call *call,
                                  struct err *err)
{
    const struct store_view *store = &call->view->store;
    if (op->lease == 0)
        return err_set(err, ERR_REFUSED, "there is no lease");
    op->revokes = true;
    if (store->leader_exists || !store->holder.exists || store->holder.lease_id != op->lease ||
        store->holder.released)
        return ERR_OK;
    begin(op);
    store_txn_expect(op->txn, "leader", ETCD_CREATE_REVISION, 0);
    store_txn_expect(op->txn, KEY_RELEASE, ETCD_MOD_REVISION, store->holder.mod_revision);
    put_holder(op, op->lease, MARK_RELEASED);
    lease_keeper_let_go(op->steps->spec.keeper);
    return ERR_OK;
}

/* --- /sync --- */

/* S2: "the /sync write that adds a member compares that id": the member's data must be what it was
 * before anybody looked at its walsender. */
static void expect_data(struct store_op *op, const struct step_call *call, const char *name)
{
    char key[sizeof(KEY_DATA) + LIMIT_NAME];
    (void)snprintf(key, sizeof(key), KEY_DATA "%s", name);
    const struct peer *peer = view_peer(call->view, name);
    if (op->steps->begun_at != 0)
        store_txn_expect_until(op->txn, key, op->steps->begun_at);
    else
        store_txn_expect(op->txn, key, ETCD_MOD_REVISION, peer ? peer->data_id_revision : 0);
}

static enum err_code write_sync(struct store_op *op, const struct step_call *call, struct err *err)
{
    if (need_key(op, err) != ERR_OK)
        return ERR_REFUSED;
    struct sync_state sync = { .exists = true, .standbys = call->step->names };
    text_copy(sync.leader, sizeof(sync.leader), self_of(op));
    auto_text struct text value = text_new(LIMIT_FILE);
    sync_state_write(&value, &sync);
    begin(op);
    expect_leadership(op);
    store_txn_expect(op->txn, "sync", ETCD_MOD_REVISION, sync_revision(call));
    for (size_t name = 0; name < call->step->names.n; name++)
        expect_data(op, call, call->step->names.name[name]);
    store_txn_put(op->txn, "sync", text_str(&value), 0);
    return ERR_OK;
}

static enum err_code delete_sync(struct store_op *op, const struct step_call *call, struct err *err)
{
    if (need_key(op, err) != ERR_OK)
        return ERR_REFUSED;
    if (sync_revision(call) == 0)
        return ERR_OK;
    begin(op);
    expect_leadership(op);
    store_txn_expect(op->txn, "sync", ETCD_MOD_REVISION, sync_revision(call));
    store_txn_delete(op->txn, "sync");
    return ERR_OK;
}

/* --- the rest --- */

/* A person's failover gave up what the new leader lacks: nobody else is to be measured by it (S7). */
static enum err_code drop_confirmed(struct store_op *op, const struct step_call *call,
                                    struct err *err)
{
    if (need_key(op, err) != ERR_OK)
        return ERR_REFUSED;
    if (!call->view->store.confirmed_exists)
        return ERR_OK;
    begin(op);
    expect_leadership(op);
    store_txn_delete(op->txn, KEY_CONFIRMED);
    return ERR_OK;
}

static enum err_code clear_failover(struct store_op *op, const struct step_call *call,
                                    struct err *err)
{
    (void)err;
    if (!call->view->store.failover.exists)
        return ERR_OK;
    begin(op);
    store_txn_expect(op->txn, "failover", ETCD_MOD_REVISION,
                     call->view->store.failover.mod_revision);
    store_txn_put(op->txn, "failover", "{}", 0);
    return ERR_OK;
}

/* S2: "A member clones only while /sync does not name it, and writes a new data id first". */
static enum err_code write_data_id(struct store_op *op, const struct step_call *call,
                                   struct err *err)
{
    uint64_t number = 0;
    char id[32];
    char key[sizeof(KEY_DATA) + LIMIT_NAME];
    if (sync_names(&call->view->store.sync, self_of(op)))
        return err_set(err, ERR_REFUSED, "/sync names this member: its data must stay");
    if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number))
        return err_errno(err, errno, "random number");
    (void)snprintf(id, sizeof(id), "%016" PRIx64, number);
    (void)snprintf(key, sizeof(key), KEY_DATA "%s", self_of(op));
    begin(op);
    store_txn_expect(op->txn, "sync", ETCD_MOD_REVISION, call->view->store.sync.mod_revision);
    store_txn_put(op->txn, key, id, 0);
    return ERR_OK;
}

/* L4: what the guard has to acknowledge. */
static enum err_code repeat_deadline(struct store_op *op, const struct step_call *call,
                                     struct err *err)
{
    (void)call;
    (void)err;
    lease_keeper_repeat(op->steps->spec.keeper);
    return ERR_OK;
}

/* S5. */
static enum err_code ask_out(struct store_op *op, const struct step_call *call, struct err *err)
{
    (void)call;
    (void)err;
    publish_ask_out(op->steps->spec.publish, true);
    op->waits_for_publish = true;
    return ERR_OK;
}

static enum err_code write_history(struct store_op *op, const struct step_call *call,
                                   struct err *err)
{
    const struct steps_store_spec *spec = &op->steps->spec;
    auto_text struct text value = text_new(LIMIT_FILE);
    (void)call;
    if (need_key(op, err) != ERR_OK)
        return ERR_REFUSED;
    if (!spec->history(spec->arg, &value) || value.overflow)
        return ERR_OK;
    const char *present = cluster_value(spec->cluster, "history");
    if (present != NULL && strcmp(present, text_str(&value)) == 0)
        return ERR_OK;
    begin(op);
    store_txn_expect(op->txn, "leader", ETCD_CREATE_REVISION, lease_of(op)->create_revision);
    store_txn_put(op->txn, "history", text_str(&value), 0);
    return ERR_OK;
}

static store_op_builder_fn *const builders[STEP_MAX] = {
    [STEP_CREATE_INITIALIZE] = create_initialize,
    [STEP_WRITE_INITIALIZE] = write_initialize,
    [STEP_WRITE_CONFIG] = write_config,
    [STEP_TAKE_KEY] = take_key,
    [STEP_GUARD_DEADLINE] = repeat_deadline,
    [STEP_ADOPT_KEY] = adopt_key,
    [STEP_MARK_LIFTED] = mark_lifted,
    [STEP_CLEAR_LIFTED] = clear_lifted,
    [STEP_RELEASE_KEY] = release_key,
    [STEP_REVOKE_LEASE] = revoke_lease,
    [STEP_WRITE_SYNC] = write_sync,
    [STEP_DELETE_SYNC] = delete_sync,
    [STEP_DROP_CONFIRMED] = drop_confirmed,
    [STEP_CLEAR_FAILOVER] = clear_failover,
    [STEP_WRITE_DATA_ID] = write_data_id,
    [STEP_ASK_OUT] = ask_out,
    [STEP_WRITE_HISTORY] = write_history,
};

store_op_builder_fn *store_op_builder(enum step_kind kind)
{
    return builders[kind];
}
