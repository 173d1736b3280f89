#include <string.h>

#include "cluster/status.h"
#include "json_kind.h"
#include "json/json.h"

static void read_slots(const json_t *slots, struct status *status)
{
    for (void *pair = first_pair(slots); pair != NULL; pair = next_pair(slots, pair)) {
        const json_t *lsn = json_object_iter_value(pair);
        if (status->n_slots == LIMIT_SLOTS || !is_count(lsn))
            continue;
        struct slot_position *slot = &status->slots[status->n_slots];
        if (!text_copy(slot->name, sizeof(slot->name), json_object_iter_key(pair)))
            continue;
        slot->lsn = (lsn_t)json_integer_value(lsn);
        status->n_slots++;
    }
}

static void read_retain(const json_t *retain, struct status *status)
{
    for (size_t i = 0; i < json_array_size(retain); i++) {
        const json_t *name = json_array_get(retain, i);
        if (status->n_retain == LIMIT_SLOTS || !is_text(name))
            continue;
        if (text_copy(status->retain[status->n_retain], LIMIT_NAME, json_string_value(name)))
            status->n_retain++;
    }
}

static enum err_code read_object(const json_t *object, struct status *status, struct err *err)
{
    struct json_reader reader = { .object = object, .name = "status" };
    const json_t *slots, *retain;
    int64_t optime;
    enum err_code code = json_opt_int(reader, "optime", 0, &optime, err);
    if (code == ERR_OK)
        code = json_opt_object(reader, "slots", &slots, err);
    if (code == ERR_OK)
        code = json_opt_array(reader, "retain_slots", &retain, err);
    if (code == ERR_OK && optime < 0)
        code = err_set(err, ERR_PROTOCOL, "status: optime: negative");
    if (code != ERR_OK)
        return code;
    status->optime = (lsn_t)optime;
    read_slots(slots, status);
    read_retain(retain, status);
    return ERR_OK;
}

enum err_code status_from_json(const char *bytes, size_t len, struct status *ret_status,
                               struct err *err)
{
    auto_json json_t *json = NULL;
    struct status status = { .optime = LSN_NONE };
    enum err_code code = json_parse(bytes, len, "status", &json, err);
    if (code != ERR_OK)
        return code;
    if (is_count(json))
        status.optime = (lsn_t)json_integer_value(json);
    else
        code = read_object(json, &status, err);
    if (code == ERR_OK)
        *ret_status = status;
    return code;
}

void status_write(struct text *to, const struct status *status)
{
    auto_json json_t *object = json_object();
    json_object_set_new(object, "optime", json_integer((json_int_t)status->optime));
    if (status->n_slots > 0) {
        json_t *slots = json_object();
        for (size_t i = 0; i < status->n_slots; i++)
            json_object_set_new(slots, status->slots[i].name,
                                json_integer((json_int_t)status->slots[i].lsn));
        json_object_set_new(object, "slots", slots);
    }
    if (status->n_retain > 0) {
        json_t *retain = json_array();
        for (size_t i = 0; i < status->n_retain; i++)
            json_array_append_new(retain, json_string(status->retain[i]));
        json_object_set_new(object, "retain_slots", retain);
    }
    json_write(to, object);
}
