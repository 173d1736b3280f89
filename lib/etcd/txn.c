#include <stdlib.h>

#include "base/clean.h"
#include "base/mem.h"
#include "etcd_internal.h"

/* The three lists of the request, each without its brackets. */
struct etcd_txn {
    struct text compares;
    struct text branches[2]; /* by enum etcd_branch */
};

struct etcd_txn *etcd_txn_new(void)
{
    struct etcd_txn *txn = mem_struct(struct etcd_txn);
    txn->compares = text_new(LIMIT_HTTP_BODY);
    txn->branches[ETCD_THEN] = text_new(LIMIT_HTTP_BODY);
    txn->branches[ETCD_ELSE] = text_new(LIMIT_HTTP_BODY);
    return txn;
}

struct etcd_txn *etcd_txn_free(struct etcd_txn *txn)
{
    if (txn == NULL)
        return NULL;
    text_done(&txn->compares);
    text_done(&txn->branches[ETCD_THEN]);
    text_done(&txn->branches[ETCD_ELSE]);
    free(txn);
    return NULL;
}

/* --- building --- */

static const struct {
    const char *target;
    const char *field;
} targets[] = {
    [ETCD_CREATE_REVISION] = { "CREATE", "create_revision" },
    [ETCD_MOD_REVISION] = { "MOD", "mod_revision" },
    [ETCD_VERSION] = { "VERSION", "version" },
    [ETCD_LEASE] = { "LEASE", "lease" },
};

static const char *const relations[] = {
    [ETCD_EQUAL] = "EQUAL",
    [ETCD_NOT_EQUAL] = "NOT_EQUAL",
    [ETCD_GREATER] = "GREATER",
    [ETCD_LESS] = "LESS",
};

static void begin_compare(struct etcd_txn *txn, const char *key, const char *target,
                          enum etcd_relation relation)
{
    text_addf(&txn->compares, "%s{\"target\":\"%s\",\"result\":\"%s\",",
              txn->compares.len > 0 ? "," : "", target, relations[relation]);
    codec_add_key(&txn->compares, key, false);
}

void etcd_txn_compare(struct etcd_txn *txn, const char *key, enum etcd_target target,
                      enum etcd_relation relation, int64_t number)
{
    begin_compare(txn, key, targets[target].target, relation);
    text_addf(&txn->compares, ",\"%s\":\"%lld\"}", targets[target].field, (long long)number);
}

void etcd_txn_compare_value(struct etcd_txn *txn, const char *key, enum etcd_relation relation,
                            const void *value, size_t value_len)
{
    begin_compare(txn, key, "VALUE", relation);
    text_add(&txn->compares, ",\"value\":\"");
    codec_add_base64(&txn->compares, value, value_len);
    text_add(&txn->compares, "\"}");
}

static struct text *begin_operation(struct etcd_txn *txn, enum etcd_branch branch, const char *name)
{
    struct text *to = &txn->branches[branch];
    text_addf(to, "%s{\"request_%s\":", to->len > 0 ? "," : "", name);
    return to;
}

void etcd_txn_put(struct etcd_txn *txn, enum etcd_branch branch, const struct etcd_put *put)
{
    struct text *to = begin_operation(txn, branch, "put");
    add_put(to, put);
    text_add(to, "}");
}

void etcd_txn_delete(struct etcd_txn *txn, enum etcd_branch branch, const struct etcd_delete *del)
{
    struct text *to = begin_operation(txn, branch, "delete_range");
    add_delete(to, del);
    text_add(to, "}");
}

void etcd_txn_range(struct etcd_txn *txn, enum etcd_branch branch, const struct etcd_range *range)
{
    struct text *to = begin_operation(txn, branch, "range");
    add_range(to, range);
    text_add(to, "}");
}

const char *txn_body(const struct etcd_txn *txn, struct text *to)
{
    text_add(to, "{\"compare\":[");
    text_add(to, text_str(&txn->compares));
    text_add(to, "],\"success\":[");
    text_add(to, text_str(&txn->branches[ETCD_THEN]));
    text_add(to, "],\"failure\":[");
    text_add(to, text_str(&txn->branches[ETCD_ELSE]));
    text_add(to, "]}");
    return text_str(to);
}

/* --- sending --- */

struct responses {
    struct etcd_txn_response *list;
    struct kv_list *kvs;
    size_t n;
};

static void responses_done(struct responses *responses)
{
    for (size_t i = 0; i < responses->n; i++)
        kv_list_done(&responses->kvs[i]);
    free(responses->kvs);
    free(responses->list);
}

static enum err_code decode_response(const json_t *json, struct kv_list *kvs,
                                     struct etcd_txn_response *ret_response, struct err *err)
{
    const json_t *range = json_object_get(json, "response_range");
    const json_t *deleted = json_object_get(json, "response_delete_range");
    struct etcd_txn_response response = { 0 };
    enum err_code code = kv_list_decode(json_object_get(range, "kvs"), kvs, err);
    if (code == ERR_OK)
        code =
            codec_int((struct json_reader){ deleted, "delete" }, "deleted", &response.deleted, err);
    response.kvs = kvs->kvs;
    response.n_kvs = kvs->n;
    if (code == ERR_OK)
        *ret_response = response;
    return code;
}

static enum err_code decode_responses(const json_t *array, struct responses *ret_responses,
                                      struct err *err)
{
    ret_responses->n = json_array_size(array);
    ret_responses->list = mem_array(ret_responses->n, sizeof(*ret_responses->list));
    ret_responses->kvs = mem_array(ret_responses->n, sizeof(*ret_responses->kvs));
    for (size_t i = 0; i < ret_responses->n; i++) {
        enum err_code code = decode_response(json_array_get(array, i), &ret_responses->kvs[i],
                                             &ret_responses->list[i], err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

static void on_txn(struct etcd_call *call, const struct etcd_outcome *outcome, const json_t *reply)
{
    struct etcd_txn_result result = { .outcome = *outcome };
    __attribute__((cleanup(responses_done))) struct responses responses = { 0 };
    struct json_reader reader = { reply, "txn" };
    struct err err;
    if (outcome->code == ERR_OK &&
        (json_opt_bool(reader, "succeeded", false, &result.succeeded, &err) != ERR_OK ||
         decode_responses(json_object_get(reply, "responses"), &responses, &err) != ERR_OK))
        reply_bad(&result.outcome, &err);
    result.responses = responses.list;
    result.n_responses = responses.n;
    call->done.txn(call->arg, &result);
}

struct etcd_call *etcd_txn_send(struct etcd *etcd, const struct etcd_txn *txn, struct etcd_how how,
                                etcd_txn_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    return txn_send_body(etcd, txn_body(txn, &body), how, done, arg);
}

struct etcd_call *txn_send_body(struct etcd *etcd, const char *json, struct etcd_how how,
                                etcd_txn_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_add(&body, json);
    struct call_spec spec = { .path = "/v3/kv/txn", .body = &body, .reply = on_txn };
    struct etcd_call *call = call_start(etcd, &spec, how);
    call->done.txn = done;
    call->arg = arg;
    return call;
}
