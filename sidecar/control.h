#pragma once
/* What a person may order through REST, and who carries it out. In the top folder, because the owners
 * of the operations live in several folders.
 *
 * The handlers in control.c only look (pure): they answer at once where the request is wrong, else
 * they return an order. The server hands the order to the operation of its kind, which answers
 * later, exactly once, through api_pending_reply. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

#define API_ORDERS(X)                                                                              \
    X(NONE, "none")                                                                                \
    X(CONFIG_PATCH, "patch config")                                                                \
    X(CONFIG_PUT, "put config")                                                                    \
    X(RELOAD, "reload")                                                                            \
    X(RESTART, "restart")                                                                          \
    X(RESTART_SCHEDULE, "schedule restart")                                                        \
    X(RESTART_FORGET, "delete scheduled restart")                                                  \
    X(REINITIALIZE, "reinitialize")                                                                \
    X(SWITCHOVER, "switchover") /* and failover: see order.failover */                             \
    X(SWITCHOVER_FORGET, "delete scheduled switchover")                                            \
    X(FAILSAFE, "failsafe")           /* L6: a primary asks for our acknowledgement */             \
    X(ACCEPT, "accept")               /* S6: a person accepts this store */                        \
    X(ETCD_RECOVER, "recover quorum") /* E4 */                                                     \
    X(MEMBER_REMOVE, "remove member") /* DELETE /pgvigil/members/<name> */

#define API_ORDER_ENUM(name, text) API_##name,
enum api_order_kind { API_ORDERS(API_ORDER_ENUM) API_ORDER_MAX };
#undef API_ORDER_ENUM

struct api_order {
    enum api_order_kind kind;
    const json_t *body;        /* borrowed during the call: the parsed body; NULL without one */
    bool failover;             /* SWITCHOVER: the path said failover and no leader is named */
    char leader[LIMIT_NAME];   /* SWITCHOVER: "" when not named */
    char member[LIMIT_NAME];   /* SWITCHOVER: candidate, "" any. MEMBER_REMOVE: whom */
    char schedule[LIMIT_NAME]; /* ISO time as given; "" at once */
    int64_t timeout_ms;        /* RESTART: 0 default */
    bool force;                /* REINITIALIZE: cancel what runs */
    bool from_leader;          /* REINITIALIZE */
};

/* A request that waits for its answer. Valid until api_pending_reply, also when the client has gone
 * (the answer is dropped then). */
struct api_pending;

/* Answers, exactly once. Text is copied; JSON when it begins with '{' or '[', else plain text. */
void api_pending_reply(struct api_pending *pending, int status, const char *body);
/* The same with one more header, for `lsn` of POST /failsafe. */
void api_pending_reply_header(struct api_pending *pending, int status, const char *body,
                              const char *header, const char *value);
void api_pending_replyf(struct api_pending *pending, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef void api_op_fn(void *arg, const struct api_order *order, struct api_pending *pending);

/* Who carries out orders of one kind; run NULL: not available here (501). */
struct api_op {
    api_op_fn *run;
    void *arg;
};

/* Filled by the owners of the operations (control_store_install, control_local_install, the
 * membership of etcd, the sidecar) before the server starts; borrowed by the server. */
struct api_control {
    struct api_op ops[API_ORDER_MAX];
};

const char *api_order_name(enum api_order_kind kind);
