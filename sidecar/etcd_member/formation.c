#include "sidecar/etcd_member/formation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "json/json.h"

/* --- out --- */

static void add_flag(struct text *to, const char *key, bool value)
{
    text_addf(to, ", \"%s\": %s", key, value ? "true" : "false");
}

static void add_heard(struct text *to, const struct member_word *word)
{
    if (word->n_heard == 0)
        return;
    text_add(to, ", \"heard\": {");
    for (size_t at = 0; at < word->n_heard; at++)
        text_addf(to, "%s\"%" PRIx64 "\": %" PRId64, at > 0 ? ", " : "", word->heard[at].id,
                  word->heard[at].ago_ms);
    text_add(to, "}");
}

void formation_write(struct text *to, const char *name, const struct member_word *word,
                     const char *says)
{
    text_add(to, "{\"name\": ");
    json_write_string(to, name);
    add_flag(to, "data", word->data);
    add_flag(to, "pgdata", word->pgdata);
    add_flag(to, "mark", word->mark);
    text_addf(to, ", \"cluster\": \"%" PRIx64 "\", \"member\": \"%" PRIx64 "\"", word->cluster_id,
              word->member_id);
    text_addf(to, ", \"generation\": %" PRId64 ", \"wants\": %s, \"tries\": %" PRId64,
              word->generation, word->wants ? "\"join\"" : "null", word->tries);
    add_flag(to, "running", word->running);
    add_flag(to, "voter", word->voter);
    add_flag(to, "witness", word->witness);
    add_heard(to, word);
    text_add(to, ", \"says\": ");
    json_write_string(to, says);
    text_add(to, "}");
}

void formation_write_starting(struct text *to, const char *name)
{
    text_add(to, "{\"name\": ");
    json_write_string(to, name);
    text_add(to, ", \"says\": \"starting\"}");
}

/* --- in --- */

static enum err_code parse_id(struct json_reader reader, const char *key, uint64_t *ret_id,
                              struct err *err)
{
    const char *text = NULL;
    enum err_code code = json_opt_string(reader, key, "0", &text, err);
    if (code == ERR_OK)
        *ret_id = strtoull(text, NULL, 16);
    return code;
}

static void parse_heard(const json_t *object, struct member_word *word)
{
    const char *key = NULL;
    json_t *value = NULL;
    void *at = json_object_iter((json_t *)(uintptr_t)object);
    for (; at != NULL && word->n_heard < LIMIT_MEMBERS;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        key = json_object_iter_key(at);
        value = json_object_iter_value(at);
        if (json_is_integer(value))
            word->heard[word->n_heard++] =
                (struct member_heard){ strtoull(key, NULL, 16), json_integer_value(value) };
    }
}

static enum err_code parse_flags(struct json_reader reader, struct member_word *word,
                                 struct err *err)
{
    enum err_code code = json_get_bool(reader, "data", &word->data, err);
    if (code == ERR_OK)
        code = json_get_bool(reader, "pgdata", &word->pgdata, err);
    if (code == ERR_OK)
        code = json_get_bool(reader, "mark", &word->mark, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "running", false, &word->running, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "voter", false, &word->voter, err);
    if (code == ERR_OK)
        code = json_opt_bool(reader, "witness", false, &word->witness, err);
    return code;
}

static enum err_code parse_word(struct json_reader reader, struct member_word *word,
                                struct err *err)
{
    const char *wants = NULL;
    enum err_code code = parse_flags(reader, word, err);
    if (code == ERR_OK)
        code = parse_id(reader, "cluster", &word->cluster_id, err);
    if (code == ERR_OK)
        code = parse_id(reader, "member", &word->member_id, err);
    if (code == ERR_OK)
        code = json_opt_int(reader, "generation", 0, &word->generation, err);
    if (code == ERR_OK)
        code = json_opt_int(reader, "tries", 0, &word->tries, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "wants", "", &wants, err);
    if (code != ERR_OK)
        return code;
    word->wants = strcmp(wants, "join") == 0;
    parse_heard(json_object_get(reader.object, "heard"), word);
    return ERR_OK;
}

enum err_code formation_parse(const char *body, size_t len, const char *name,
                              struct member_word *ret_word, struct err *err)
{
    auto_json json_t *json = NULL;
    const char *who = NULL;
    struct member_word word = { 0 };
    enum err_code code = json_parse(body, len, name, &json, err);
    if (code != ERR_OK)
        return code;
    struct json_reader reader = { json, name };
    code = json_get_string(reader, "name", &who, err);
    if (code == ERR_OK && strcmp(who, name) != 0)
        code = err_set(err, ERR_PROTOCOL, "%s answers in place of %s", who, name);
    if (code == ERR_OK)
        code = parse_word(reader, &word, err);
    if (code == ERR_OK)
        *ret_word = word;
    return code;
}

/* --- whom etcd hears --- */

static struct heard_sample *sample_of(struct heard_sample *samples, size_t *n, size_t max,
                                      uint64_t id)
{
    for (size_t at = 0; at < *n; at++) {
        if (samples[at].id == id)
            return &samples[at];
    }
    if (*n == max)
        return NULL;
    samples[*n] = (struct heard_sample){ .id = id };
    return &samples[(*n)++];
}

size_t heard_parse(const char *metrics, struct heard_sample *ret_samples, size_t max)
{
    static const char received[] = "etcd_network_peer_received_bytes_total{From=\"";
    static const char active[] = "etcd_network_active_peers{Local=\"";
    static const char remote[] = "Remote=\"";
    size_t n = 0;
    for (const char *line = metrics; line != NULL && *line != '\0';) {
        const char *next = strchr(line, '\n');
        bool bytes = text_starts_with(line, received);
        const char *id = bytes ? line + sizeof(received) - 1 : NULL;
        if (text_starts_with(line, active) && (id = strstr(line, remote)) != NULL)
            id += sizeof(remote) - 1;
        char *end = NULL;
        uint64_t who = id == NULL ? 0 : strtoull(id, &end, 16);
        struct heard_sample *sample = who == 0 ? NULL : sample_of(ret_samples, &n, max, who);
        if (sample != NULL && text_starts_with(end, "\"}")) {
            double value = strtod(end + 2, NULL);
            if (bytes)
                sample->bytes = value;
            else
                sample->connected = value > 0;
        }
        line = next == NULL ? NULL : next + 1;
    }
    return n;
}
