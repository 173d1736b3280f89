#include "cluster/claims_json.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "json_kind.h"
#include "json/json.h"

static bool as_entry(const json_t *pair, struct timeline_entry *ret)
{
    const json_t *tli = json_array_get(pair, 0); /* NULL where pair is no array */
    const json_t *lsn = json_array_get(pair, 1);
    if (json_array_size(pair) != 2 || !is_count(tli) || !is_count(lsn))
        return false;
    json_int_t number = json_integer_value(tli);
    if (number == 0 || number > UINT32_MAX)
        return false;
    ret->tli = (uint32_t)number;
    ret->switch_at = (lsn_t)json_integer_value(lsn);
    return true;
}

/* Timelines and switch points only grow, and end below the timeline itself. */
static bool in_order(const struct timeline *timeline)
{
    for (uint32_t i = 0; i < timeline->n; i++) {
        const struct timeline_entry *entry = &timeline->entries[i];
        if (entry->tli >= timeline->tli)
            return false;
        if (i > 0 && (entry->tli <= entry[-1].tli || entry->switch_at < entry[-1].switch_at))
            return false;
    }
    return true;
}

static enum err_code read_timeline(struct json_reader reader, struct timeline *timeline,
                                   struct err *err)
{
    const json_t *history;
    int64_t tli;
    enum err_code code = json_get_int(reader, "timeline", &tli, err);
    if (code == ERR_OK)
        code = json_get_array(reader, "history", &history, err);
    if (code != ERR_OK)
        return code;
    if (tli <= 0 || tli > UINT32_MAX)
        return err_set(err, ERR_PROTOCOL, "%s: timeline: not one", reader.name);
    if (json_array_size(history) > LIMIT_TIMELINES)
        return err_set(err, ERR_LIMIT, "%s: more than %d timelines", reader.name, LIMIT_TIMELINES);
    timeline->tli = (uint32_t)tli;
    for (size_t i = 0; i < json_array_size(history); i++) {
        if (!as_entry(json_array_get(history, i), &timeline->entries[i]))
            return err_set(err, ERR_PROTOCOL, "%s: history: not [timeline, lsn]", reader.name);
        timeline->n++;
    }
    if (!in_order(timeline))
        return err_set(err, ERR_PROTOCOL, "%s: history: out of order", reader.name);
    return ERR_OK;
}

enum err_code confirmed_from_json(const char *bytes, size_t len, struct timeline *ret_timeline,
                                  lsn_t *ret_lsn, struct err *err)
{
    static const char name[] = "pgvigil/confirmed";
    struct timeline timeline = { .n = 0 };
    auto_json json_t *object = NULL;
    int64_t lsn;
    enum err_code code = json_parse(bytes, len, name, &object, err);
    struct json_reader reader = { .object = object, .name = name };
    if (code == ERR_OK)
        code = json_get_int(reader, "lsn", &lsn, err);
    if (code == ERR_OK)
        code = read_timeline(reader, &timeline, err);
    if (code != ERR_OK)
        return code;
    if (lsn < 0)
        return err_set(err, ERR_PROTOCOL, "%s: lsn: negative", name);
    *ret_timeline = timeline;
    *ret_lsn = (lsn_t)lsn;
    return ERR_OK;
}

void confirmed_write(struct text *to, const struct timeline *timeline, lsn_t lsn)
{
    auto_json json_t *object = json_object();
    json_t *history = json_array();
    for (uint32_t i = 0; i < timeline->n; i++) {
        const struct timeline_entry *entry = &timeline->entries[i];
        json_t *pair = json_array();
        json_array_append_new(pair, json_integer(entry->tli));
        json_array_append_new(pair, json_integer((json_int_t)entry->switch_at));
        json_array_append_new(history, pair);
    }
    json_object_set_new(object, "timeline", json_integer(timeline->tli));
    json_object_set_new(object, "history", history);
    json_object_set_new(object, "lsn", json_integer((json_int_t)lsn));
    json_write(to, object);
}

enum err_code lease_holder_from_json(const char *bytes, size_t len, int64_t mod_revision,
                                     struct lease_holder *ret_holder, struct err *err)
{
    static const char name[] = "pgvigil/release";
    struct lease_holder holder = { .exists = true, .mod_revision = mod_revision };
    const char *holder_name = "";
    auto_json json_t *object = NULL;
    enum err_code code = json_parse(bytes, len, name, &object, err);
    struct json_reader reader = { .object = object, .name = name };
    if (code == ERR_OK)
        code = json_get_int(reader, "lease", &holder.lease_id, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "released", false, &holder.released, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "lifted", false, &holder.lifted, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "name", "", &holder_name, err);
    if (code == ERR_OK) {
        (void)text_copy(holder.name, sizeof(holder.name), holder_name);
        *ret_holder = holder;
    }
    return code;
}

void lease_holder_write(struct text *to, const struct lease_holder *holder)
{
    auto_json json_t *object = json_object();
    json_object_set_new(object, "lease", json_integer(holder->lease_id));
    json_object_set_new(object, "released", json_boolean(holder->released));
    json_object_set_new(object, "name", json_string(holder->name));
    if (holder->lifted)
        json_object_set_new(object, "lifted", json_true());
    json_write(to, object);
}

void lease_trace_write(struct text *to, const struct lease *lease, struct mono now)
{
    int64_t left_ms = lease->held_once ? mono_diff(lease->held_until, now) : 0;
    int64_t ttl_ms = left_ms > lease->ttl_ms ? left_ms + 999 : lease->ttl_ms;
    text_addf(to, "{\"lease\":%" PRId64 ",\"ttl\":%d}", lease->id, (int)(ttl_ms / 1000));
}
