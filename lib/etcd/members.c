#include "etcd/members.h"

#include "base/clean.h"
#include "etcd_internal.h"

/* --- decoding --- */

/* The first of a list of URLs; "" for none. */
static void copy_first(const json_t *array, char *to, size_t size)
{
    const char *first = json_string_value(json_array_get(array, 0));
    text_copy(to, size, first == NULL ? "" : first);
}

static enum err_code decode_member(const json_t *json, struct etcd_member *ret_member,
                                   struct err *err)
{
    struct json_reader reader = { json, "member" };
    const char *name = "";
    enum err_code code = codec_uint(reader, "ID", &ret_member->id, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "name", "", &name, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "isLearner", false, &ret_member->learner, err);
    text_copy(ret_member->name, sizeof(ret_member->name), name);
    copy_first(json_object_get(json, "peerURLs"), ret_member->peer_url,
               sizeof(ret_member->peer_url));
    copy_first(json_object_get(json, "clientURLs"), ret_member->client_url,
               sizeof(ret_member->client_url));
    return code;
}

static enum err_code decode_members(const json_t *reply, struct etcd_members_result *result,
                                    struct err *err)
{
    const json_t *array = json_object_get(reply, "members");
    size_t n = json_array_size(array);
    if (n > LIMIT_MEMBERS)
        return err_set(err, ERR_LIMIT, "%zu members", n);
    for (size_t i = 0; i < n; i++) {
        enum err_code code = decode_member(json_array_get(array, i), &result->members[i], err);
        if (code != ERR_OK)
            return code;
    }
    result->n_members = n;
    const json_t *added = json_object_get(reply, "member");
    if (added == NULL)
        return ERR_OK;
    return codec_uint((struct json_reader){ added, "member" }, "ID", &result->id, err);
}

static void on_members(struct etcd_call *call, const struct etcd_outcome *outcome,
                       const json_t *reply)
{
    struct etcd_members_result result = { .outcome = *outcome };
    struct err err;
    if (outcome->code == ERR_OK && decode_members(reply, &result, &err) != ERR_OK)
        reply_bad(&result.outcome, &err);
    call->done.members(call->arg, &result);
}

/* --- requests --- */

static struct etcd_call *start(struct etcd *etcd, struct call_spec spec, struct etcd_how how,
                               etcd_members_fn *done, void *arg)
{
    spec.reply = on_members;
    struct etcd_call *call = call_start(etcd, &spec, how);
    call->done.members = done;
    call->arg = arg;
    return call;
}

struct etcd_call *etcd_member_list(struct etcd *etcd, bool linearizable, struct etcd_how how,
                                   etcd_members_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_addf(&body, "{\"linearizable\":%s}", linearizable ? "true" : "false");
    struct call_spec spec = { .path = "/v3/cluster/member/list", .body = &body, .read = true };
    return start(etcd, spec, how, done, arg);
}

struct etcd_call *etcd_member_add(struct etcd *etcd, const char *peer_url, struct etcd_how how,
                                  etcd_members_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_add(&body, "{\"isLearner\":true,\"peerURLs\":[");
    json_write_string(&body, peer_url);
    text_add(&body, "]}");
    struct call_spec spec = { .path = "/v3/cluster/member/add", .body = &body };
    return start(etcd, spec, how, done, arg);
}

struct etcd_call *etcd_member_remove(struct etcd *etcd, uint64_t id, struct etcd_how how,
                                     etcd_members_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_addf(&body, "{\"ID\":\"%llu\"}", (unsigned long long)id);
    struct call_spec spec = { .path = "/v3/cluster/member/remove", .body = &body };
    return start(etcd, spec, how, done, arg);
}

struct etcd_call *etcd_member_promote(struct etcd *etcd, uint64_t id, struct etcd_how how,
                                      etcd_members_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_addf(&body, "{\"ID\":\"%llu\"}", (unsigned long long)id);
    struct call_spec spec = { .path = "/v3/cluster/member/promote", .body = &body };
    return start(etcd, spec, how, done, arg);
}

struct etcd_call *etcd_member_update(struct etcd *etcd, struct etcd_member_change change,
                                     struct etcd_how how, etcd_members_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_addf(&body, "{\"ID\":\"%llu\",\"peerURLs\":[", (unsigned long long)change.id);
    json_write_string(&body, change.peer_url);
    text_add(&body, "]}");
    struct call_spec spec = { .path = "/v3/cluster/member/update", .body = &body };
    return start(etcd, spec, how, done, arg);
}
