#include <string.h>

#include "base/clean.h"
#include "etcd/members.h"
#include "etcd_internal.h"

/* --- status --- */

static void join_errors(const json_t *array, char *to, size_t size)
{
    auto_text struct text joined = text_new(size - 1);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *error = json_string_value(json_array_get(array, i));
        if (error != NULL)
            text_addf(&joined, "%s%s", joined.len > 0 ? "; " : "", error);
    }
    text_copy(to, size, text_str(&joined));
}

static enum err_code decode_status(struct json_reader reader, struct etcd_status_result *result,
                                   struct err *err)
{
    const char *version = "";
    enum err_code code = json_opt_string(reader, "version", "", &version, err);
    if (code == ERR_OK)
        code = codec_uint(reader, "leader", &result->leader, err);
    if (code == ERR_OK)
        code = codec_uint(reader, "raftTerm", &result->raft_term, err);
    if (code == ERR_OK)
        code = codec_uint(reader, "raftIndex", &result->raft_index, err);
    if (code == ERR_OK)
        code = codec_uint(reader, "raftAppliedIndex", &result->raft_applied, err);
    if (code == ERR_OK)
        code = codec_int(reader, "dbSize", &result->db_bytes, err);
    if (code == ERR_OK)
        code = codec_int(reader, "dbSizeInUse", &result->db_used_bytes, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "isLearner", false, &result->learner, err);
    text_copy(result->version, sizeof(result->version), version);
    join_errors(json_object_get(reader.object, "errors"), result->errors, sizeof(result->errors));
    return code;
}

static void on_status(struct etcd_call *call, const struct etcd_outcome *outcome,
                      const json_t *reply)
{
    struct etcd_status_result result = { .outcome = *outcome };
    struct err err;
    if (outcome->code == ERR_OK &&
        decode_status((struct json_reader){ reply, "status" }, &result, &err) != ERR_OK)
        reply_bad(&result.outcome, &err);
    call->done.status(call->arg, &result);
}

struct etcd_call *etcd_status(struct etcd *etcd, struct etcd_how how, etcd_status_fn *done,
                              void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_add(&body, "{}");
    struct call_spec spec = {
        .path = "/v3/maintenance/status", .body = &body, .read = true, .reply = on_status
    };
    struct etcd_call *call = call_start(etcd, &spec, how);
    call->done.status = done;
    call->arg = arg;
    return call;
}

/* --- alarms --- */

static const char *const alarm_names[] = {
    [ETCD_ALARM_NOSPACE] = "NOSPACE",
    [ETCD_ALARM_CORRUPT] = "CORRUPT",
};

static enum err_code decode_alarms(const json_t *array, struct etcd_alarms_result *result,
                                   struct err *err)
{
    for (size_t i = 0; i < json_array_size(array) && result->n_alarms < ETCD_ALARMS_MAX; i++) {
        struct json_reader reader = { json_array_get(array, i), "alarm" };
        struct etcd_alarm *alarm = &result->alarms[result->n_alarms];
        const char *name = "";
        enum err_code code = json_opt_string(reader, "alarm", "", &name, err);
        if (code == ERR_OK)
            code = codec_uint(reader, "memberID", &alarm->member_id, err);
        if (code != ERR_OK)
            return code;
        bool corrupt = strcmp(name, alarm_names[ETCD_ALARM_CORRUPT]) == 0;
        alarm->kind = corrupt ? ETCD_ALARM_CORRUPT : ETCD_ALARM_NOSPACE;
        if (corrupt || strcmp(name, alarm_names[ETCD_ALARM_NOSPACE]) == 0)
            result->n_alarms++;
    }
    return ERR_OK;
}

static void on_alarms(struct etcd_call *call, const struct etcd_outcome *outcome,
                      const json_t *reply)
{
    struct etcd_alarms_result result = { .outcome = *outcome };
    struct err err;
    if (outcome->code == ERR_OK &&
        decode_alarms(json_object_get(reply, "alarms"), &result, &err) != ERR_OK)
        reply_bad(&result.outcome, &err);
    call->done.alarms(call->arg, &result);
}

static struct etcd_call *start_alarm(struct etcd *etcd, struct text *body, struct etcd_how how,
                                     etcd_alarms_fn *done, void *arg)
{
    struct call_spec spec = {
        .path = "/v3/maintenance/alarm", .body = body, .read = true, .reply = on_alarms
    };
    struct etcd_call *call = call_start(etcd, &spec, how);
    call->done.alarms = done;
    call->arg = arg;
    return call;
}

struct etcd_call *etcd_alarm_list(struct etcd *etcd, struct etcd_how how, etcd_alarms_fn *done,
                                  void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_add(&body, "{\"action\":\"GET\"}");
    return start_alarm(etcd, &body, how, done, arg);
}

struct etcd_call *etcd_alarm_disarm(struct etcd *etcd, struct etcd_alarm alarm, struct etcd_how how,
                                    etcd_alarms_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_addf(&body, "{\"action\":\"DEACTIVATE\",\"memberID\":\"%llu\",\"alarm\":\"%s\"}",
              (unsigned long long)alarm.member_id, alarm_names[alarm.kind]);
    return start_alarm(etcd, &body, how, done, arg);
}

/* --- done or not --- */

static void on_plain(struct etcd_call *call, const struct etcd_outcome *outcome,
                     const json_t *reply)
{
    (void)reply;
    call->done.plain(call->arg, outcome);
}

static struct etcd_call *start_plain(struct etcd *etcd, const char *path, struct text *body,
                                     struct etcd_how how, etcd_plain_fn *done, void *arg)
{
    struct call_spec spec = { .path = path, .body = body, .reply = on_plain };
    struct etcd_call *call = call_start(etcd, &spec, how);
    call->done.plain = done;
    call->arg = arg;
    return call;
}

struct etcd_call *etcd_defragment(struct etcd *etcd, struct etcd_how how, etcd_plain_fn *done,
                                  void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_add(&body, "{}");
    return start_plain(etcd, "/v3/maintenance/defragment", &body, how, done, arg);
}

struct etcd_call *etcd_move_leader(struct etcd *etcd, uint64_t target_id, struct etcd_how how,
                                   etcd_plain_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_addf(&body, "{\"targetID\":\"%llu\"}", (unsigned long long)target_id);
    return start_plain(etcd, "/v3/maintenance/transfer-leadership", &body, how, done, arg);
}

struct etcd_call *etcd_compact(struct etcd *etcd, int64_t revision, struct etcd_how how,
                               etcd_plain_fn *done, void *arg)
{
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    text_addf(&body, "{\"revision\":\"%lld\"}", (long long)revision);
    return start_plain(etcd, "/v3/kv/compaction", &body, how, done, arg);
}
