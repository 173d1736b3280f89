#include "cluster/member_json.h"

#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "cluster/tags_json.h"
#include "json/json.h"

static const char streaming[] = "streaming";

/* Copies an optional text into a fixed field. */
static enum err_code read_text(struct json_reader reader, const char *key, char *ret_text,
                               size_t size, struct err *err)
{
    const char *text;
    enum err_code code = json_opt_string(reader, key, "", &text, err);
    if (code != ERR_OK)
        return code;
    if (!text_copy(ret_text, size, text))
        return err_set(err, ERR_LIMIT, "%s: %s: longer than %zu bytes", reader.name, key, size - 1);
    return ERR_OK;
}

static enum err_code read_lsn(struct json_reader reader, const char *key, lsn_t *ret_lsn,
                              struct err *err)
{
    int64_t value;
    enum err_code code = json_opt_int(reader, key, 0, &value, err);
    if (code == ERR_OK && value < 0)
        code = err_set(err, ERR_PROTOCOL, "%s: %s: negative", reader.name, key);
    if (code == ERR_OK)
        *ret_lsn = (lsn_t)value;
    return code;
}

static enum err_code read_texts(struct json_reader reader, struct member *member, struct err *err)
{
    const char *state, *role, *replication;
    enum err_code code = read_text(reader, "conn_url", member->conn_url, LIMIT_URL, err);
    if (code == ERR_OK)
        code = read_text(reader, "api_url", member->api_url, LIMIT_URL, err);
    if (code == ERR_OK)
        code = read_text(reader, "version", member->version, LIMIT_NAME, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "state", "", &state, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "role", "", &role, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "replication_state", "", &replication, err);
    if (code != ERR_OK)
        return code;
    member->state = member_state_from_name(state);
    member->role = member_role_from_name(role);
    member->streaming = strcmp(replication, streaming) == 0;
    return ERR_OK;
}

static enum err_code read_positions(struct json_reader reader, struct member *member,
                                    struct err *err)
{
    int64_t timeline;
    enum err_code code = read_lsn(reader, "xlog_location", &member->xlog_location, err);
    if (code == ERR_OK)
        code = read_lsn(reader, "receive_lsn", &member->receive_lsn, err);
    if (code == ERR_OK)
        code = read_lsn(reader, "replay_lsn", &member->replay_lsn, err);
    if (code == ERR_OK)
        code = json_opt_int(reader, "timeline", 0, &timeline, err);
    if (code != ERR_OK)
        return code;
    if (timeline < 0 || timeline > UINT32_MAX)
        return err_set(err, ERR_PROTOCOL, "%s: timeline: not one", reader.name);
    member->timeline = (uint32_t)timeline;
    member->has_receive_lsn = member->receive_lsn != LSN_NONE;
    return ERR_OK;
}

static enum err_code read_flags(struct json_reader reader, struct member *member, struct err *err)
{
    bool checkpoint_done;
    enum err_code code =
        json_opt_bool(reader, "checkpoint_after_promote", true, &checkpoint_done, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "pending_restart", false, &member->pending_restart, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "pause", false, &member->pause, err);
    if (code != ERR_OK)
        return code;
    member->checkpoint_pending = !checkpoint_done; /* absence means done (trap 5) */
    code = tags_from_json(json_object_get(reader.object, "tags"), &member->tags, err);
    return code == ERR_OK ? code : err_wrap(err, "%s", reader.name);
}

/* postgres://host:port/db?application_name=<api_url>, as Patroni before 1.0 wrote it. */
static enum err_code read_url(const char *name, const char *url, struct member *member,
                              struct err *err)
{
    static const char mark[] = "?application_name=";
    const char *split = strstr(url, mark);
    size_t len = split == NULL ? strlen(url) : (size_t)(split - url);
    if (len >= LIMIT_URL)
        return err_set(err, ERR_LIMIT, "%s: conn_url: longer than %d bytes", name, LIMIT_URL - 1);
    memcpy(member->conn_url, url, len);
    if (split != NULL && !text_copy(member->api_url, LIMIT_URL, split + sizeof(mark) - 1))
        return err_set(err, ERR_LIMIT, "%s: api_url: longer than %d bytes", name, LIMIT_URL - 1);
    return ERR_OK;
}

static enum err_code read_object(const char *name, const char *bytes, size_t len,
                                 struct member *member, struct err *err)
{
    auto_json json_t *object = NULL;
    enum err_code code = json_parse(bytes, len, name, &object, err);
    if (code != ERR_OK)
        return code;
    struct json_reader reader = { .object = object, .name = name };
    code = read_texts(reader, member, err);
    if (code == ERR_OK)
        code = read_positions(reader, member, err);
    if (code == ERR_OK)
        code = read_flags(reader, member, err);
    return code;
}

enum err_code member_from_json(const char *name, const char *bytes, size_t len,
                               struct member *ret_member, struct err *err)
{
    struct member member = { .state = MEMBER_STATE_UNKNOWN, .tags = tags_default() };
    auto_free char *text = mem_strndup(bytes, len);
    auto_text struct text path = text_new(LIMIT_PATH);
    enum err_code code;

    text_addf(&path, "members/%s", name);
    if (name[0] == '\0' || !text_copy(member.name, sizeof(member.name), name))
        return err_set(err, ERR_LIMIT, "member %.80s: the name is empty or longer than %d bytes",
                       name, LIMIT_NAME - 1);
    if (text_starts_with(text, "postgres"))
        code = read_url(text_str(&path), text, &member, err);
    else
        code = read_object(text_str(&path), bytes, len, &member, err);
    if (code == ERR_OK)
        *ret_member = member;
    return code;
}

static void put_text(json_t *object, const char *key, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(object, key, json_string(text));
}

static void put_lsn(json_t *object, const char *key, lsn_t lsn)
{
    if (lsn != LSN_NONE)
        json_object_set_new(object, key, json_integer((json_int_t)lsn));
}

/* Markers are present or absent, never false (trap 7). */
static void put_mark(json_t *object, const char *key, bool mark)
{
    if (mark)
        json_object_set_new(object, key, json_true());
}

json_t *member_to_json(const struct member *member, const json_t *extras)
{
    json_t *object = json_object();
    json_t *tags = tags_to_json(&member->tags);

    put_text(object, "conn_url", member->conn_url);
    put_text(object, "api_url", member->api_url);
    put_text(object, "state", member_state_name(member->state));
    put_text(object, "role", member_role_name(member->role));
    put_text(object, "version", member->version);
    if (member->checkpoint_pending)
        json_object_set_new(object, "checkpoint_after_promote", json_false());
    if (tags != NULL)
        json_object_set_new(object, "tags", tags);
    put_mark(object, "pending_restart", member->pending_restart);
    put_lsn(object, "xlog_location", member->xlog_location);
    put_lsn(object, "replay_lsn", member->replay_lsn);
    put_lsn(object, "receive_lsn", member->receive_lsn);
    put_text(object, "replication_state", member->streaming ? streaming : "");
    if (member->timeline != 0)
        json_object_set_new(object, "timeline", json_integer(member->timeline));
    put_mark(object, "pause", member->pause);
    if (extras != NULL)
        json_object_update(object, (json_t *)(uintptr_t)extras);
    return object;
}
