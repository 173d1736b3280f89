#pragma once
/* What the files of lib/etcd share; nobody else includes it.
 *
 * client.c: endpoints, the public face. call.c: the life of a request. login.c: the token. The other
 * files each encode a body, and decode the reply in a reply_fn that calls the owner's `done`. */
#include "base/text.h"
#include "etcd/codec.h"
#include "etcd/kv.h"
#include "etcd/lease.h"
#include "etcd/members.h"
#include "json/json.h"

/* Decodes and calls call->done. `reply` is NULL unless outcome->code is ERR_OK. The call may be gone
 * afterwards. */
typedef void reply_fn(struct etcd_call *call, const struct etcd_outcome *outcome,
                      const json_t *reply);

enum call_state {
    CALL_WAITS_LOGIN, /* for the token; its timer is the deadline */
    CALL_SENT,        /* an HTTP request is under way */
    CALL_PAUSES,      /* all endpoints were asked in vain; its timer asks again */
    CALL_FAILS,       /* its timer tells the owner */
    CALL_DONE,
};

struct etcd_call {
    struct etcd *etcd;
    struct etcd_call *next;
    struct etcd_call *prev;
    enum call_state state;
    struct source *timer; /* made when first needed */
    struct http_call *http;
    const char *path;
    char *body;
    size_t body_len;
    bool read;      /* may be sent again after an unknown outcome */
    bool stream;    /* one line of a stream is the reply */
    bool login;     /* the request for the token itself */
    bool released;  /* the owner is gone */
    int pinned;     /* index, or ETCD_ANY */
    int endpoint;   /* the one that was asked last */
    unsigned tried; /* bits of endpoints in this round */
    int logins;     /* made for this call */
    struct mono deadline;
    struct mono sent;          /* before the last sending */
    enum etcd_failure failure; /* of the last try, for the end */
    struct err error;
    reply_fn *reply;
    union {
        etcd_range_fn *range;
        etcd_write_fn *write;
        etcd_txn_fn *txn;
        etcd_lease_fn *lease;
        etcd_members_fn *members;
        etcd_status_fn *status;
        etcd_alarms_fn *alarms;
        etcd_plain_fn *plain;
    } done;
    void *arg;
};

struct endpoint {
    char *url; /* NULL: unused */
};

struct etcd {
    struct loop *loop;
    struct http *http;
    const struct http_tls *tls;
    struct endpoint endpoints[LIMIT_ENDPOINTS];
    int current;
    char *user;
    char *password;
    char *token;        /* NULL: none */
    bool login_useless; /* etcd has no authentication switched on */
    struct etcd_call *login;
    struct etcd_call *first; /* all calls */
    uint64_t requests;
    uint64_t term; /* the highest one of all answers */
    loop_fn *sign; /* NULL: nobody listens */
    void *sign_arg;
};

/* --- call.c --- */

struct call_spec {
    const char *path;
    struct text *body; /* taken */
    bool read;
    bool stream;
    bool login;
    reply_fn *reply;
};

/* The caller sets done and arg before it returns to the loop. */
struct etcd_call *call_start(struct etcd *etcd, const struct call_spec *spec, struct etcd_how how);
/* Sends, or goes on waiting for the token. */
void call_go_on(struct etcd_call *call);
/* Tells the owner from the loop. */
void call_fail(struct etcd_call *call, enum etcd_failure failure, enum err_code code,
               const char *error);
/* An endpoint did not serve: the next ETCD_ANY goes elsewhere. */
void endpoint_failed(struct etcd *etcd, int endpoint);
/* An answer's raft term: a higher one is a sign. */
void term_seen(struct etcd *etcd, uint64_t term);

/* --- login.c --- */

bool login_needed(const struct etcd *etcd);
/* Makes the call wait; starts a login unless one is under way. */
void login_wait(struct etcd_call *call);
void login_forget(struct etcd *etcd);

/* --- reply.c: from HTTP to an outcome --- */

/* What came over HTTP as etcd's reply: fills code, failure, header, and `error`. `ret_json` is new,
 * the object with the header; NULL unless the outcome is ERR_OK. */
void reply_read(const struct http_result *result, struct etcd_outcome *ret_outcome,
                json_t **ret_json, struct err *error);
/* The same for one line of a stream: {"result": …} or {"error": …}. */
void reply_read_line(const char *line, size_t len, struct etcd_outcome *ret_outcome,
                     json_t **ret_json, struct err *error);
/* Turns an outcome into a failed one because its content made no sense. */
void reply_bad(struct etcd_outcome *outcome, const struct err *err);

/* --- kv.c --- */

/* Decoded keys and values in two allocations. */
struct kv_list {
    struct etcd_kv *kvs;
    size_t n;
    char *bytes;
};
void kv_list_done(struct kv_list *list);
#define auto_kv_list __attribute__((cleanup(kv_list_done)))
/* An array of key-value objects; NULL is an empty one. */
enum err_code kv_list_decode(const json_t *array, struct kv_list *ret_list, struct err *err);
/* Room that one object needs, and its decoding into it; `at` moves on. */
size_t kv_room(const json_t *object);
enum err_code kv_decode(const json_t *object, char **at, struct etcd_kv *ret_kv, struct err *err);

void add_range(struct text *to, const struct etcd_range *range);
void add_put(struct text *to, const struct etcd_put *put);
void add_delete(struct text *to, const struct etcd_delete *del);
/* The whole request; borrowed from `to`. */
const char *txn_body(const struct etcd_txn *txn, struct text *to);
struct etcd_call *txn_send_body(struct etcd *etcd, const char *json, struct etcd_how how,
                                etcd_txn_fn *done, void *arg);
