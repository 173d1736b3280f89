#include "sidecar/observe/peer_answer.h"

#include "json/json.h"

/* Positions are integers here, and null where there is none. */
static enum err_code get_position(struct json_reader reader, const char *key, lsn_t *ret_lsn,
                                  struct err *err)
{
    int64_t value = 0;
    enum err_code code = json_opt_int(reader, key, 0, &value, err);
    if (code == ERR_OK)
        *ret_lsn = value > 0 ? (lsn_t)value : LSN_NONE;
    return code;
}

static enum err_code get_standby_position(struct json_reader xlog, lsn_t *ret_lsn, struct err *err)
{
    lsn_t received = LSN_NONE;
    lsn_t replayed = LSN_NONE;
    enum err_code code = get_position(xlog, "received_location", &received, err);
    if (code == ERR_OK)
        code = get_position(xlog, "replayed_location", &replayed, err);
    if (code == ERR_OK)
        *ret_lsn = received > replayed ? received : replayed;
    return code;
}

enum err_code peer_answer_parse(const char *bytes, size_t len, struct peer_answer *ret_answer,
                                struct err *err)
{
    auto_json json_t *json = NULL;
    const json_t *xlog = NULL;
    int64_t timeline = 0;
    enum err_code code = json_parse(bytes, len, "answer", &json, err);
    if (code != ERR_OK)
        return code;
    struct json_reader reader = { .object = json, .name = "answer" };
    code = json_get_object(reader, "xlog", &xlog, err);
    if (code == ERR_OK)
        code = json_opt_int(reader, "timeline", 0, &timeline, err);
    if (code != ERR_OK)
        return code;

    struct json_reader positions = { .object = xlog, .name = "answer: xlog" };
    struct peer_answer answer = {
        .in_recovery = json_object_get(xlog, "location") == NULL,
        .timeline = timeline > 0 && timeline <= UINT32_MAX ? (uint32_t)timeline : 0,
    };
    code = answer.in_recovery ? get_standby_position(positions, &answer.position, err)
                              : get_position(positions, "location", &answer.position, err);
    if (code == ERR_OK)
        *ret_answer = answer;
    return code;
}
