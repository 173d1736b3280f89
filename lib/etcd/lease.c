#include "etcd/lease.h"

#include "base/clean.h"
#include "etcd_internal.h"

static void on_lease(struct etcd_call *call, const struct etcd_outcome *outcome,
                     const json_t *reply)
{
    struct etcd_lease_result result = { .outcome = *outcome, .sent = call->sent };
    struct json_reader reader = { reply, "lease" };
    struct err err;
    if (outcome->code == ERR_OK &&
        (codec_int(reader, "ID", &result.id, &err) != ERR_OK ||
         codec_int(reader, "TTL", &result.ttl_s, &err) != ERR_OK ||
         codec_int(reader, "grantedTTL", &result.granted_s, &err) != ERR_OK))
        reply_bad(&result.outcome, &err);
    call->done.lease(call->arg, &result);
}

struct lease_request {
    const char *path;
    const char *field;
    int64_t number;
    bool read;
    bool stream;
};

static struct etcd_call *start(struct etcd *etcd, struct lease_request request, struct etcd_how how,
                               etcd_lease_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_addf(&body, "{\"%s\":\"%lld\"}", request.field, (long long)request.number);
    struct call_spec spec = { .path = request.path,
                              .body = &body,
                              .read = request.read,
                              .stream = request.stream,
                              .reply = on_lease };
    struct etcd_call *call = call_start(etcd, &spec, how);
    call->done.lease = done;
    call->arg = arg;
    return call;
}

struct etcd_call *etcd_lease_grant(struct etcd *etcd, int64_t ttl_s, struct etcd_how how,
                                   etcd_lease_fn *done, void *arg)
{
    struct lease_request request = { .path = "/v3/lease/grant", .field = "TTL", .number = ttl_s };
    return start(etcd, request, how, done, arg);
}

/* Twice does no harm: `sent` is that of the sending that was answered. */
struct etcd_call *etcd_lease_keepalive(struct etcd *etcd, int64_t id, struct etcd_how how,
                                       etcd_lease_fn *done, void *arg)
{
    struct lease_request request = {
        .path = "/v3/lease/keepalive", .field = "ID", .number = id, .read = true, .stream = true
    };
    return start(etcd, request, how, done, arg);
}

/* Twice does no harm either: an id is never used again. */
struct etcd_call *etcd_lease_revoke(struct etcd *etcd, int64_t id, struct etcd_how how,
                                    etcd_lease_fn *done, void *arg)
{
    struct lease_request request = {
        .path = "/v3/lease/revoke", .field = "ID", .number = id, .read = true
    };
    return start(etcd, request, how, done, arg);
}

struct etcd_call *etcd_lease_time_to_live(struct etcd *etcd, int64_t id, struct etcd_how how,
                                          etcd_lease_fn *done, void *arg)
{
    struct lease_request request = {
        .path = "/v3/lease/timetolive", .field = "ID", .number = id, .read = true
    };
    return start(etcd, request, how, done, arg);
}
