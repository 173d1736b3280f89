#include "cluster/sync_state_json.h"

#include <limits.h>
#include <string.h>

#include "json/json.h"

/* A name that does not fit is an error and not a name left out (S1). */
static enum err_code add_voter(struct names *names, const char *name, size_t len, struct err *err)
{
    char voter[LIMIT_NAME] = "";
    if (len >= sizeof(voter))
        return err_set(err, ERR_LIMIT, "sync: a name is longer than %d bytes", LIMIT_NAME - 1);
    memcpy(voter, name, len);
    if (names_full(names) && !names_has(names, voter))
        return err_set(err, ERR_LIMIT, "sync: more than %d standbys", LIMIT_MEMBERS);
    names_add(names, voter);
    return ERR_OK;
}

static enum err_code read_voters(struct names *names, const char *list, struct err *err)
{
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        size_t blanks = strspn(list, " ");
        size_t end = len;
        while (end > blanks && list[end - 1] == ' ')
            end--;
        if (end > blanks) {
            enum err_code code = add_voter(names, list + blanks, end - blanks, err);
            if (code != ERR_OK)
                return code;
        }
        list += len;
        list += *list == ',';
    }
    return ERR_OK;
}

static enum err_code read_object(struct json_reader reader, struct sync_state *sync,
                                 struct err *err)
{
    const char *leader, *voters;
    int64_t quorum;
    enum err_code code = json_opt_string(reader, "leader", "", &leader, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "sync_standby", "", &voters, err);
    if (code == ERR_OK)
        code = json_opt_int(reader, "quorum", 0, &quorum, err);
    if (code != ERR_OK)
        return code;
    if (quorum < 0 || quorum > INT_MAX)
        return err_set(err, ERR_PROTOCOL, "sync: quorum: not a count");
    if (!text_copy(sync->leader, sizeof(sync->leader), leader))
        return err_set(err, ERR_LIMIT, "sync: leader: longer than %d bytes", LIMIT_NAME - 1);
    sync->quorum = (int)quorum;
    return read_voters(&sync->standbys, voters, err);
}

enum err_code sync_state_from_json(const char *bytes, size_t len, int64_t mod_revision,
                                   struct sync_state *ret_sync, struct err *err)
{
    struct sync_state sync = { .exists = true, .mod_revision = mod_revision };
    auto_json json_t *object = NULL;
    enum err_code code = json_parse(bytes, len, "sync", &object, err);
    if (code == ERR_OK)
        code = read_object((struct json_reader){ object, "sync" }, &sync, err);
    if (code == ERR_OK)
        *ret_sync = sync;
    return code;
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

void sync_state_write(struct text *to, const struct sync_state *sync)
{
    char joined[LIMIT_MEMBERS * LIMIT_NAME];
    auto_json json_t *object = json_object();
    names_join(&sync->standbys, joined, sizeof(joined));
    json_object_set_new(object, "leader", text_or_null(sync->leader));
    json_object_set_new(object, "quorum", json_integer(sync->quorum));
    json_object_set_new(object, "sync_standby", text_or_null(joined));
    json_write(to, object);
}
