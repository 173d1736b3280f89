#include "etcd/kv.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "etcd_internal.h"

/* --- decoding --- */

void kv_list_done(struct kv_list *list)
{
    free(list->kvs);
    free(list->bytes);
    *list = (struct kv_list){ 0 };
}

static size_t decoded_room(const json_t *string)
{
    return json_string_length(string) / 4 * 3 + 1;
}

size_t kv_room(const json_t *object)
{
    return decoded_room(json_object_get(object, "key")) +
           decoded_room(json_object_get(object, "value"));
}

/* An absent string is an empty one. */
static enum err_code decode_bytes(struct json_reader reader, const char *key, char **at,
                                  const char **ret_bytes, size_t *ret_len, struct err *err)
{
    const char *string = NULL;
    enum err_code code = json_opt_string(reader, key, "", &string, err);
    if (code == ERR_OK)
        code = codec_base64(string, strlen(string), *at, ret_len, err);
    if (code != ERR_OK)
        return code;
    *ret_bytes = *at;
    *at += *ret_len + 1;
    return ERR_OK;
}

enum err_code kv_decode(const json_t *object, char **at, struct etcd_kv *ret_kv, struct err *err)
{
    struct json_reader reader = { object, "key-value" };
    struct etcd_kv kv = { 0 };
    size_t key_len = 0;
    enum err_code code = decode_bytes(reader, "key", at, &kv.key, &key_len, err);
    if (code == ERR_OK)
        code = decode_bytes(reader, "value", at, &kv.value, &kv.value_len, err);
    if (code == ERR_OK)
        code = codec_int(reader, "create_revision", &kv.create_revision, err);
    if (code == ERR_OK)
        code = codec_int(reader, "mod_revision", &kv.mod_revision, err);
    if (code == ERR_OK)
        code = codec_int(reader, "version", &kv.version, err);
    if (code == ERR_OK)
        code = codec_int(reader, "lease", &kv.lease, err);
    if (code == ERR_OK)
        *ret_kv = kv;
    return code;
}

enum err_code kv_list_decode(const json_t *array, struct kv_list *ret_list, struct err *err)
{
    auto_kv_list struct kv_list list = { .n = json_array_size(array) };
    size_t room = 0;
    for (size_t i = 0; i < list.n; i++)
        room += kv_room(json_array_get(array, i));
    if (list.n > 0) {
        list.kvs = mem_array(list.n, sizeof(*list.kvs));
        list.bytes = mem_new(room);
    }
    char *at = list.bytes;
    for (size_t i = 0; i < list.n; i++) {
        enum err_code code = kv_decode(json_array_get(array, i), &at, &list.kvs[i], err);
        if (code != ERR_OK)
            return code;
    }
    *ret_list = list;
    list = (struct kv_list){ 0 };
    return ERR_OK;
}

/* --- encoding --- */

void add_range(struct text *to, const struct etcd_range *range)
{
    text_add(to, "{");
    codec_add_key(to, range->key, range->prefix);
    if (range->serializable)
        text_add(to, ",\"serializable\":true");
    if (range->keys_only)
        text_add(to, ",\"keys_only\":true");
    if (range->limit > 0)
        text_addf(to, ",\"limit\":\"%lld\"", (long long)range->limit);
    if (range->revision > 0)
        text_addf(to, ",\"revision\":\"%lld\"", (long long)range->revision);
    text_add(to, "}");
}

void add_put(struct text *to, const struct etcd_put *put)
{
    text_add(to, "{");
    codec_add_key(to, put->key, false);
    text_add(to, ",\"value\":\"");
    codec_add_base64(to, put->value, put->value_len);
    text_add(to, "\"");
    if (put->lease != 0)
        text_addf(to, ",\"lease\":\"%lld\"", (long long)put->lease);
    text_add(to, "}");
}

void add_delete(struct text *to, const struct etcd_delete *del)
{
    text_add(to, "{");
    codec_add_key(to, del->key, del->prefix);
    text_add(to, "}");
}

/* --- requests --- */

static void on_range(struct etcd_call *call, const struct etcd_outcome *outcome,
                     const json_t *reply)
{
    struct etcd_range_result result = { .outcome = *outcome };
    auto_kv_list struct kv_list list = { 0 };
    struct err err;
    struct json_reader reader = { reply, "range" };
    if (outcome->code == ERR_OK &&
        (kv_list_decode(json_object_get(reply, "kvs"), &list, &err) != ERR_OK ||
         codec_int(reader, "count", &result.count, &err) != ERR_OK))
        reply_bad(&result.outcome, &err);
    result.kvs = list.kvs;
    result.n_kvs = list.n;
    call->done.range(call->arg, &result);
}

struct etcd_call *etcd_range(struct etcd *etcd, const struct etcd_range *range, struct etcd_how how,
                             etcd_range_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    add_range(&body, range);
    struct call_spec spec = {
        .path = "/v3/kv/range", .body = &body, .read = true, .reply = on_range
    };
    struct etcd_call *call = call_start(etcd, &spec, how);
    call->done.range = done;
    call->arg = arg;
    return call;
}

static void on_write(struct etcd_call *call, const struct etcd_outcome *outcome,
                     const json_t *reply)
{
    struct etcd_write_result result = { .outcome = *outcome };
    struct err err;
    struct json_reader reader = { reply, "write" };
    if (outcome->code == ERR_OK && codec_int(reader, "deleted", &result.deleted, &err) != ERR_OK)
        reply_bad(&result.outcome, &err);
    call->done.write(call->arg, &result);
}

static struct etcd_call *start_write(struct etcd *etcd, const char *path, struct text *body,
                                     struct etcd_how how, etcd_write_fn *done, void *arg)
{
    struct call_spec spec = { .path = path, .body = body, .reply = on_write };
    struct etcd_call *call = call_start(etcd, &spec, how);
    call->done.write = done;
    call->arg = arg;
    return call;
}

struct etcd_call *etcd_put(struct etcd *etcd, const struct etcd_put *put, struct etcd_how how,
                           etcd_write_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    add_put(&body, put);
    return start_write(etcd, "/v3/kv/put", &body, how, done, arg);
}

struct etcd_call *etcd_delete(struct etcd *etcd, const struct etcd_delete *del, struct etcd_how how,
                              etcd_write_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    add_delete(&body, del);
    return start_write(etcd, "/v3/kv/deleterange", &body, how, done, arg);
}
