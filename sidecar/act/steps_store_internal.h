#pragma once
/* Inside of steps_store: how an operation runs (steps_store.c) and what each step compares and
 * writes (steps_store_txns.c). */
#include "sidecar/act/steps_store.h"
#include "sidecar/act/store_txn.h"

struct steps_store {
    struct steps_store_spec spec;
    int64_t begun_at; /* the store's revision when the plan began; 0: not said */
};

/* One operation. What a builder leaves says how it goes on: a transaction to send; revokes;
 * waits_for_publish; none of them: it is done already. */
struct store_op {
    struct step_op base;
    struct steps_store *steps;
    enum step_kind kind;
    struct plan_memory *memory;
    struct mono deadline;
    step_done_fn *done;
    void *arg;
    struct source *soon;
    struct err err; /* of the builder */
    struct store_txn *txn;
    struct etcd_call *revoke;
    bool waits_for_publish;
    bool revokes;  /* the lease, after the transaction if there is one */
    bool in_doubt; /* sent and not answered */
    int64_t lease; /* ours at the start */
    struct lease_adoption adoption;
};

/* What the step does, as a transaction or not. Errors: ERR_REFUSED, ERR_CONFLICT. */
typedef enum err_code store_op_builder_fn(struct store_op *op, const struct step_call *call,
                                          struct err *err);
/* NULL: the step is not one of the store. */
store_op_builder_fn *store_op_builder(enum step_kind kind);
