#include "sidecar/act/steps_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "etcd/lease.h"
#include "sidecar/act/steps_store_internal.h"

enum { STEP_MS = 3000 }; /* where the step has no deadline of its own */

bool steps_store_has(enum step_kind kind)
{
    return store_op_builder(kind) != NULL;
}

/* --- results --- */

static void finish(struct store_op *op, enum err_code code, const struct err *err)
{
    op->done(op->arg, code, err); /* may free it */
}

/* For what is known already: never from inside the start. */
static void on_soon(void *arg)
{
    struct store_op *op = arg;
    finish(op, op->err.code, op->err.code == ERR_OK ? NULL : &op->err);
}

/* What a step leaves behind when nobody knows whether it happened. */
static void on_doubt(struct store_op *op)
{
    struct lease_keeper *keeper = op->steps->spec.keeper;
    cluster_resync(op->steps->spec.cluster);
    if (op->kind == STEP_TAKE_KEY && lease_keeper_lease(keeper)->id == op->lease)
        lease_keeper_give_up(keeper); /* a key that nobody knows to be ours goes with the lease */
}

/* L7: "A release that was sent ends the holding, whatever the reply". The lease is not renewed any
 * more, so that the key ends in any case; it is not revoked either: another process of our name may
 * have adopted the key under it. */
static void on_lost_release(struct store_op *op)
{
    struct lease_keeper *keeper = op->steps->spec.keeper;
    if (op->kind == STEP_RELEASE_KEY && lease_keeper_lease(keeper)->id == op->lease)
        lease_keeper_forget(keeper);
}

static bool took(struct store_op *op, int64_t revision)
{
    struct store_txn_reply reply = store_txn_reply(op->txn);
    struct lease_taken taken = { revision, clock_mono(), reply.term, reply.member_id };
    return lease_keeper_took(op->steps->spec.keeper, op->lease, &taken);
}

static enum err_code on_success(struct store_op *op, int64_t revision, struct err *err)
{
    struct lease_keeper *keeper = op->steps->spec.keeper;
    if (op->kind == STEP_TAKE_KEY && !took(op, revision))
        return err_set(err, ERR_CONFLICT, "our lease was lost meanwhile");
    if (op->kind == STEP_ADOPT_KEY) {
        op->adoption.mod_revision = revision;
        lease_keeper_adopted(keeper, &op->adoption);
    }
    if (op->kind == STEP_WRITE_SYNC)
        op->memory->sync_mod_revision = revision;
    if (op->kind == STEP_WRITE_CONFIG)
        op->memory->config_mod_revision = revision;
    return ERR_OK;
}

/* Gone already is what was wanted; without an answer it runs out. */
static void on_revoked(void *arg, const struct etcd_lease_result *result)
{
    struct store_op *op = arg;
    enum err_code code = result->outcome.code;
    struct err err = { .code = ERR_OK };
    if (code != ERR_OK && code != ERR_NOT_FOUND)
        err_set(&err, code, "revoke lease: %s", result->outcome.error);
    op->revoke = etcd_call_free(op->revoke);
    cluster_resync(op->steps->spec.cluster);
    finish(op, err.code, err.code == ERR_OK ? NULL : &err);
}

static int64_t left_ms(const struct store_op *op)
{
    int64_t left = mono_diff(op->deadline, clock_mono());
    return left > 1 ? left : 1;
}

/* From its sending on the lease is not used any more, whatever the reply. */
static void start_revoke(struct store_op *op)
{
    struct etcd_how how = { .timeout_ms = left_ms(op), .endpoint = ETCD_ANY };
    op->revoke = etcd_lease_revoke(op->steps->spec.etcd, op->lease, how, on_revoked, op);
    if (lease_keeper_lease(op->steps->spec.keeper)->id == op->lease)
        lease_keeper_forget(op->steps->spec.keeper);
}

static void on_txn(void *arg, enum err_code code, const struct err *err, int64_t revision)
{
    struct store_op *op = arg;
    struct err own = { .code = ERR_OK };
    op->in_doubt = false;
    if (code == ERR_OK) {
        code = on_success(op, revision, &own);
    } else {
        own = *err;
        on_lost_release(op);
    }
    if (code == ERR_NOT_FOUND)
        lease_keeper_missed(op->steps->spec.keeper, op->lease);
    if (code == ERR_TIMEOUT)
        on_doubt(op);
    op->txn = store_txn_free(op->txn); /* `err` is gone with it */
    if (op->revokes)
        start_revoke(op); /* whatever became of the mark */
    else
        finish(op, code, code == ERR_OK ? NULL : &own);
}

static void on_written(void *arg)
{
    finish(arg, ERR_OK, NULL);
}

/* --- start --- */

static void free_op(struct step_op *base)
{
    struct store_op *op = (struct store_op *)base;
    if (op->waits_for_publish)
        publish_when_written(op->steps->spec.publish, NULL, NULL);
    op->txn = store_txn_free(op->txn);
    etcd_call_free(op->revoke);
    source_free(op->soon);
    if (op->in_doubt) {
        on_doubt(op);
        on_lost_release(op);
    }
    free(op);
}

static void start(struct store_op *op)
{
    if (op->txn != NULL) {
        op->in_doubt = true;
        store_txn_send(op->txn, op->deadline, on_txn, op);
    } else if (op->revokes) {
        start_revoke(op);
    } else if (op->waits_for_publish) {
        publish_when_written(op->steps->spec.publish, on_written, op);
    } else {
        source_trigger(op->soon);
    }
}

struct step_op *steps_store_start(struct steps_store *steps, const struct step_call *call)
{
    struct store_op *op = mem_struct(struct store_op);
    op->base.free = free_op;
    op->steps = steps;
    op->kind = call->step->kind;
    op->memory = call->memory;
    op->deadline = mono_min(call->deadline, mono_add(clock_mono(), STEP_MS));
    op->done = call->done;
    op->arg = call->arg;
    op->soon = loop_defer(steps->spec.loop, on_soon, op);
    op->lease = lease_keeper_lease(steps->spec.keeper)->id;
    if (store_op_builder(op->kind)(op, call, &op->err) == ERR_OK) {
        start(op);
    } else {
        op->txn = store_txn_free(op->txn);
        source_trigger(op->soon);
    }
    return &op->base;
}

/* --- life --- */

struct steps_store *steps_store_new(const struct steps_store_spec *spec)
{
    struct steps_store *steps = mem_struct(struct steps_store);
    steps->spec = *spec;
    return steps;
}

struct steps_store *steps_store_free(struct steps_store *steps)
{
    free(steps);
    return NULL;
}

void steps_store_begin(struct steps_store *steps, const struct view *view)
{
    (void)view;
    steps->begun_at = cluster_revision(steps->spec.cluster);
}
