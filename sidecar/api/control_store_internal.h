#pragma once
/* What control_store*.c share. */
#include "sidecar/api/control_store.h"

enum {
    WRITE_TIMEOUT_MS = 5000, /* of one request to the store */
    POLL_MS = 50,            /* how often the outcome of a switchover is looked for */
    PEER_TIMEOUT_MS = 2000   /* for a candidate's answer */
};

/* One order under way; every kind uses what it needs. */
struct store_op {
    struct control_store *store;
    struct store_op *next;
    struct api_pending *pending;
    enum api_order_kind kind;
    struct etcd_call *call;

    json_t *body;  /* PATCH, PUT: what was sent */
    json_t *value; /* PATCH, PUT: what is written */

    /* switchover and failover */
    bool failover;
    char candidate[LIMIT_NAME];  /* of a removal: whom */
    char leader[LIMIT_NAME];     /* as the order names it */
    char old_leader[LIMIT_NAME]; /* as it was when the key was written */
    char schedule[LIMIT_NAME];
    struct http_call *asked[LIMIT_MEMBERS];
    size_t n_asked;
    size_t n_answered;
    bool good; /* one candidate at least could be promoted */
    struct source *timer;
    struct mono until;
    struct mono failed_at; /* since when it looks failed; MONO_NEVER: it does not */
};

struct control_store {
    struct control_store_spec spec;
    struct store_op *ops;
};

/* New, in the list of its store. */
struct store_op *store_op_new(struct control_store *store, const struct api_order *order,
                              struct api_pending *pending);
/* Answers and frees the operation. */
void store_op_end(struct store_op *op, int status, const char *text);
void store_op_endf(struct store_op *op, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The full name of a key of ours; the caller frees it. */
char *store_op_key(const struct store_op *op, const char *name);
/* "members/<op->candidate>"; the caller frees it. */
char *store_op_member_key(const struct store_op *op);
/* Tells the table of the cluster what was just written, and wakes the cycle. */
void store_op_wrote(struct store_op *op, const char *name, const char *value, int64_t revision);
void store_changed(struct control_store *store);

/* control_config.c, control_member.c, control_switchover.c */
api_op_fn control_config_patch;
api_op_fn control_config_put;
api_op_fn control_member_remove;
api_op_fn control_switchover;
api_op_fn control_switchover_forget;
