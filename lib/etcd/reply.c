#include <string.h>

#include "base/clean.h"
#include "etcd_internal.h"

static void refuse(struct etcd_outcome *ret_outcome, enum etcd_failure failure, enum err_code code)
{
    ret_outcome->failure = failure;
    ret_outcome->code = code;
}

/* {"code": 5, "message": "etcdserver: …"}; in streams of etcd 3.5 {"grpc_code": …, "message": …}. */
static void read_error(const json_t *json, int status, struct etcd_outcome *ret_outcome,
                       struct err *error)
{
    const char *message = json_string_value(json_object_get(json, "message"));
    const json_t *code = json_object_get(json, "code");
    if (code == NULL)
        code = json_object_get(json, "grpc_code");
    if (message == NULL) {
        err_set(error, ERR_PROTOCOL, "HTTP status %d", status);
        refuse(ret_outcome, ETCD_FAIL_PROTOCOL, ERR_PROTOCOL);
        return;
    }
    enum etcd_failure failure = codec_failure(json_integer_value(code), message);
    err_set(error, codec_failure_code(failure), "%s", message);
    refuse(ret_outcome, failure, codec_failure_code(failure));
}

static void read_success(json_t *json, struct etcd_outcome *ret_outcome, json_t **ret_json,
                         struct err *error)
{
    struct json_reader reader = { json, "reply" };
    if (!json_is_object(json))
        err_set(error, ERR_PROTOCOL, "the reply is not an object");
    if (!json_is_object(json) || codec_header(reader, &ret_outcome->header, error) != ERR_OK) {
        refuse(ret_outcome, ETCD_FAIL_PROTOCOL, ERR_PROTOCOL);
        return;
    }
    refuse(ret_outcome, ETCD_FAIL_NONE, ERR_OK);
    *ret_json = json_incref(json);
}

void reply_read(const struct http_result *result, struct etcd_outcome *ret_outcome,
                json_t **ret_json, struct err *error)
{
    if (result->code != ERR_OK) {
        bool no_answer = result->code == ERR_UNREACHABLE || result->code == ERR_TIMEOUT;
        err_set(error, result->code, "%s", result->error);
        refuse(ret_outcome, no_answer ? ETCD_FAIL_NO_ANSWER : ETCD_FAIL_PROTOCOL, result->code);
        return;
    }
    auto_json json_t *json = NULL;
    struct err not_json;
    bool parsed = json_parse(result->body, result->body_len, "reply", &json, &not_json) == ERR_OK;
    if (result->status != 200) {
        read_error(json, result->status, ret_outcome, error);
    } else if (parsed) {
        read_success(json, ret_outcome, ret_json, error);
    } else {
        err_set(error, ERR_PROTOCOL, "%s", not_json.text);
        refuse(ret_outcome, ETCD_FAIL_PROTOCOL, ERR_PROTOCOL);
    }
}

void reply_read_line(const char *line, size_t len, struct etcd_outcome *ret_outcome,
                     json_t **ret_json, struct err *error)
{
    auto_json json_t *json = NULL;
    if (json_parse(line, len, "reply", &json, error) != ERR_OK) {
        refuse(ret_outcome, ETCD_FAIL_PROTOCOL, ERR_PROTOCOL);
        return;
    }
    const json_t *failed = json_object_get(json, "error");
    if (failed != NULL)
        read_error(failed, 200, ret_outcome, error);
    else
        read_success(json_object_get(json, "result"), ret_outcome, ret_json, error);
}

void reply_bad(struct etcd_outcome *outcome, const struct err *err)
{
    outcome->code = ERR_PROTOCOL;
    outcome->failure = ETCD_FAIL_PROTOCOL;
    outcome->error = err->text;
}
