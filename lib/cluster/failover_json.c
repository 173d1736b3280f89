#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "cluster/failover.h"
#include "json/json.h"

static enum err_code read_name(const char *what, const char *name, char ret_name[LIMIT_NAME],
                               struct err *err)
{
    if (!text_copy(ret_name, LIMIT_NAME, name))
        return err_set(err, ERR_LIMIT, "failover: %s: longer than %d bytes", what, LIMIT_NAME - 1);
    return ERR_OK;
}

/* A schedule that cannot be read must not become "now". */
static enum err_code read_schedule(struct failover *failover, const char *text, struct err *err)
{
    if (text[0] == '\0')
        return ERR_OK;
    if (!text_copy(failover->scheduled_text, sizeof(failover->scheduled_text), text) ||
        iso_parse(text, &failover->scheduled_at) != ISO_OK)
        return err_set(err, ERR_PROTOCOL, "failover: scheduled_at: not a time with zone: %.40s",
                       text);
    failover->scheduled = true;
    return ERR_OK;
}

static enum err_code read_object(const json_t *object, struct failover *failover, struct err *err)
{
    struct json_reader reader = { .object = object, .name = "failover" };
    const char *leader, *member, *scheduled;
    enum err_code code = json_opt_string(reader, "leader", "", &leader, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "member", "", &member, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "scheduled_at", "", &scheduled, err);
    if (code == ERR_OK)
        code = read_name("leader", leader, failover->leader, err);
    if (code == ERR_OK)
        code = read_name("member", member, failover->candidate, err);
    if (code == ERR_OK)
        code = read_schedule(failover, scheduled, err);
    return code;
}

/* `leader:candidate`; either may be empty. */
static enum err_code read_pair(char *text, struct failover *failover, struct err *err)
{
    char *colon = strchr(text, ':');
    enum err_code code = ERR_OK;
    if (colon != NULL) {
        *colon = '\0';
        code = read_name("member", colon + 1, failover->candidate, err);
    }
    return code == ERR_OK ? read_name("leader", text, failover->leader, err) : code;
}

enum err_code failover_from_json(const char *bytes, size_t len, int64_t mod_revision,
                                 struct failover *ret_failover, struct err *err)
{
    struct failover failover = { .mod_revision = mod_revision };
    auto_free char *text = mem_strndup(bytes, len);
    auto_json json_t *object = NULL;
    enum err_code code = ERR_OK;
    const char *start = text + strspn(text, " \t\r\n");

    if (*start == '{') {
        code = json_parse(bytes, len, "failover", &object, err);
        if (code == ERR_OK)
            code = read_object(object, &failover, err);
    } else {
        code = read_pair(text, &failover, err);
    }
    if (code != ERR_OK)
        return code;
    failover.exists = failover.leader[0] != '\0' || failover.candidate[0] != '\0';
    *ret_failover = failover;
    return ERR_OK;
}

static void put_text(json_t *object, const char *key, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(object, key, json_string(text));
}

void failover_write(struct text *to, const struct failover *failover)
{
    auto_json json_t *object = json_object();
    if (failover->exists) {
        put_text(object, "leader", failover->leader);
        put_text(object, "member", failover->candidate);
        put_text(object, "scheduled_at", failover->scheduled ? failover->scheduled_text : "");
    }
    json_write(to, object);
}
