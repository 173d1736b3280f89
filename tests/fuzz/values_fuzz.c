/* The values of the keys in the store, which others write as well: what is understood and written
 * again is understood in the same way. */
#include "fuzz.h"

#include "cluster/claims_json.h"
#include "cluster/failover.h"
#include "cluster/history.h"
#include "cluster/member_json.h"
#include "cluster/status.h"
#include "cluster/sync_state_json.h"
#include "cluster/tags_json.h"
#include "settings/parameters.h"
#include "sidecar/observe/peer_answer.h"
#include "json/json.h"

/* Reads a value and writes it in our form; false: refused. */
typedef bool fuzz_form_fn(const char *bytes, size_t len, struct text *to);

static void write_json(struct text *to, json_t *json)
{
    json_write(to, json);
    json_decref(json);
}

static bool form_member(const char *bytes, size_t len, struct text *to)
{
    struct member member;
    if (member_from_json("a", bytes, len, &member, NULL) != ERR_OK)
        return false;
    write_json(to, member_to_json(&member, NULL));
    return true;
}

static bool form_sync(const char *bytes, size_t len, struct text *to)
{
    struct sync_state sync;
    if (sync_state_from_json(bytes, len, 7, &sync, NULL) != ERR_OK)
        return false;
    sync_state_write(to, &sync);
    return true;
}

static bool form_history(const char *bytes, size_t len, struct text *to)
{
    struct history *history = mem_struct(struct history);
    bool read = history_from_json(bytes, len, history, NULL) == ERR_OK;
    if (read)
        write_json(to, history_to_json(history, 0));
    free(history);
    return read;
}

static bool form_failover(const char *bytes, size_t len, struct text *to)
{
    struct failover failover;
    if (failover_from_json(bytes, len, 7, &failover, NULL) != ERR_OK)
        return false;
    failover_write(to, &failover);
    return true;
}

static bool form_confirmed(const char *bytes, size_t len, struct text *to)
{
    struct timeline timeline;
    lsn_t lsn = LSN_NONE;
    if (confirmed_from_json(bytes, len, &timeline, &lsn, NULL) != ERR_OK)
        return false;
    confirmed_write(to, &timeline, lsn);
    return true;
}

static bool form_holder(const char *bytes, size_t len, struct text *to)
{
    struct lease_holder holder = { 0 };
    if (lease_holder_from_json(bytes, len, 7, &holder, NULL) != ERR_OK)
        return false;
    lease_holder_write(to, &holder);
    return true;
}

static bool form_status(const char *bytes, size_t len, struct text *to)
{
    struct status status;
    if (status_from_json(bytes, len, &status, NULL) != ERR_OK)
        return false;
    status_write(to, &status);
    return true;
}

static bool form_tags(const char *bytes, size_t len, struct text *to)
{
    auto_json json_t *json = NULL;
    struct tags tags;
    if (json_parse(bytes, len, "tags", &json, NULL) != ERR_OK ||
        tags_from_json(json, &tags, NULL) != ERR_OK)
        return false;
    json_t *published = tags_to_json(&tags);
    write_json(to, published != NULL ? published : json_object());
    return true;
}

static bool form_json(const char *bytes, size_t len, struct text *to)
{
    auto_json json_t *json = NULL;
    if (json_parse(bytes, len, "json", &json, NULL) != ERR_OK)
        return false;
    json_write(to, json);
    return true;
}

static void twice(fuzz_form_fn *form, const char *bytes, size_t len)
{
    struct text first = text_new((size_t)16 << 20);
    struct text second = text_new((size_t)16 << 20);
    if (form(bytes, len, &first)) {
        FUZZ_HOLDS(form(text_str(&first), first.len, &second));
        FUZZ_HOLDS(strcmp(text_str(&first), text_str(&second)) == 0);
    }
    text_done(&first);
    text_done(&second);
}

static void fuzz_settings(const json_t *store)
{
    const struct config config = { .name = (char *)(uintptr_t)"a",
                                   .scope = (char *)(uintptr_t)"x" };
    struct settings *settings = NULL;
    struct parameters parameters = { 0 };
    struct text warnings = text_new(1 << 16);
    struct err err;
    if (settings_new(store, &config, &settings, &warnings, &err) == ERR_OK) {
        const struct parameter_node node = { .primary = true, .server_version = 170004 };
        parameters_build(settings, &config, &node, &parameters, &warnings);
        parameters_done(&parameters);
        settings_free(settings);
    }
    text_done(&warnings);
}

/* Two documents with a newline between: the key `config`, and a PATCH of it. */
static void fuzz_config(const char *bytes, size_t len)
{
    auto_json json_t *base = NULL;
    auto_json json_t *patch = NULL;
    const char *newline = memchr(bytes, '\n', len);
    size_t first = newline != NULL ? (size_t)(newline - bytes) : len;
    if (json_parse(bytes, first, "config", &base, NULL) != ERR_OK)
        return;
    fuzz_settings(base);
    if (newline == NULL || !json_is_object(base) ||
        json_parse(newline + 1, len - first - 1, "patch", &patch, NULL) != ERR_OK ||
        !json_is_object(patch))
        return;
    bool changed = false;
    auto_json json_t *patched = settings_patch(base, patch, &changed);
    auto_json json_t *again = settings_patch(patched, patch, &changed);
    FUZZ_HOLDS(!changed && json_equal(patched, again));
    fuzz_settings(patched);
}

static void fuzz_peer(const char *bytes, size_t len)
{
    struct peer_answer answer;
    (void)peer_answer_parse(bytes, len, &answer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_form_fn *const forms[128] = {
        ['m'] = form_member,   ['s'] = form_sync,      ['h'] = form_history,
        ['f'] = form_failover, ['q'] = form_confirmed, ['r'] = form_holder,
        ['o'] = form_status,   ['t'] = form_tags,      ['j'] = form_json,
    };
    if (size == 0)
        return 0;
    char *bytes = fuzz_text(data + 1, size - 1);
    if (data[0] < 128 && forms[data[0]] != NULL)
        twice(forms[data[0]], bytes, size - 1);
    else if (data[0] == 'c')
        fuzz_config(bytes, size - 1);
    else if (data[0] == 'p')
        fuzz_peer(bytes, size - 1);
    free(bytes);
    return 0;
}
