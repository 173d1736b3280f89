#pragma once
/* Keys and values of etcd: read, write, compare-and-write. Keys are text, values are bytes (always
 * 0-terminated here, the terminator not counted). */
#include "etcd/etcd.h"

struct etcd_kv {
    const char *key;
    const char *value;
    size_t value_len;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t version;
    int64_t lease; /* 0: none */
};

struct etcd_range {
    const char *key;
    bool prefix;       /* every key that starts with `key` */
    bool serializable; /* the member's own, perhaps old view; else linearizable */
    bool keys_only;
    int64_t limit;    /* 0: none */
    int64_t revision; /* 0: the newest */
};

struct etcd_range_result {
    struct etcd_outcome outcome;
    const struct etcd_kv *kvs; /* sorted by key */
    size_t n_kvs;
    int64_t count; /* all that match, also beyond `limit` */
};
typedef void etcd_range_fn(void *arg, const struct etcd_range_result *result);

struct etcd_call *etcd_range(struct etcd *etcd, const struct etcd_range *range, struct etcd_how how,
                             etcd_range_fn *done, void *arg);

struct etcd_put {
    const char *key;
    const void *value;
    size_t value_len;
    int64_t lease; /* 0: none */
};

struct etcd_write_result {
    struct etcd_outcome outcome;
    int64_t deleted; /* keys, by etcd_delete */
};
typedef void etcd_write_fn(void *arg, const struct etcd_write_result *result);

struct etcd_call *etcd_put(struct etcd *etcd, const struct etcd_put *put, struct etcd_how how,
                           etcd_write_fn *done, void *arg);

struct etcd_delete {
    const char *key;
    bool prefix;
};
struct etcd_call *etcd_delete(struct etcd *etcd, const struct etcd_delete *del, struct etcd_how how,
                              etcd_write_fn *done, void *arg);

/* --- transactions --- */

enum etcd_target { ETCD_CREATE_REVISION, ETCD_MOD_REVISION, ETCD_VERSION, ETCD_LEASE };
enum etcd_relation { ETCD_EQUAL, ETCD_NOT_EQUAL, ETCD_GREATER, ETCD_LESS };
enum etcd_branch { ETCD_THEN, ETCD_ELSE };

struct etcd_txn; /* being built */

struct etcd_txn *etcd_txn_new(void);
struct etcd_txn *etcd_txn_free(struct etcd_txn *txn);

/* The numbers of an absent key are all 0: "create revision equal 0" is "the key does not exist". */
void etcd_txn_compare(struct etcd_txn *txn, const char *key, enum etcd_target target,
                      enum etcd_relation relation, int64_t number);
/* False when the key does not exist. */
void etcd_txn_compare_value(struct etcd_txn *txn, const char *key, enum etcd_relation relation,
                            const void *value, size_t value_len);
/* etcd refuses two writes of one key in one branch. */
void etcd_txn_put(struct etcd_txn *txn, enum etcd_branch branch, const struct etcd_put *put);
void etcd_txn_delete(struct etcd_txn *txn, enum etcd_branch branch, const struct etcd_delete *del);
void etcd_txn_range(struct etcd_txn *txn, enum etcd_branch branch, const struct etcd_range *range);

/* One per operation of the branch that ran, in its order. */
struct etcd_txn_response {
    const struct etcd_kv *kvs; /* of a range */
    size_t n_kvs;
    int64_t deleted; /* of a delete */
};

struct etcd_txn_result {
    struct etcd_outcome outcome;
    bool succeeded; /* the compares held and THEN ran; else ELSE ran. Both are ERR_OK */
    const struct etcd_txn_response *responses;
    size_t n_responses;
};
typedef void etcd_txn_fn(void *arg, const struct etcd_txn_result *result);

/* `txn` stays the caller's and may be sent again. */
struct etcd_call *etcd_txn_send(struct etcd *etcd, const struct etcd_txn *txn, struct etcd_how how,
                                etcd_txn_fn *done, void *arg);
