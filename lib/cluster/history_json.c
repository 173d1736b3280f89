#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/history.h"
#include "cluster/timeline.h"
#include "json_kind.h"
#include "json/json.h"

/* The newest are kept when there are too many. */
static struct history_entry *push(struct history *history)
{
    if (history->n == LIMIT_TIMELINES) {
        memmove(&history->entries[0], &history->entries[1],
                (LIMIT_TIMELINES - 1) * sizeof(history->entries[0]));
        history->n--;
    }
    struct history_entry *entry = &history->entries[history->n++];
    memset(entry, 0, sizeof(*entry));
    return entry;
}

/* The free text after timeline and position in one line of the file. */
static void copy_reason(const char *line, char ret_reason[LIMIT_REASON])
{
    static const char blanks[] = " \t\r";
    char reason[LIMIT_REASON];
    for (int field = 0; field < 2; field++) {
        line += strspn(line, blanks);
        line += strcspn(line, " \t\r\n");
    }
    line += strspn(line, blanks);
    size_t len = strcspn(line, "\r\n");
    if (len >= sizeof(reason))
        len = sizeof(reason) - 1;
    memcpy(reason, line, len);
    reason[len] = '\0';
    text_copy(ret_reason, LIMIT_REASON, reason);
}

static bool is_entry(const char *line)
{
    line += strspn(line, " \t\r");
    return *line != '\n' && *line != '#';
}

enum err_code history_from_file(uint32_t tli, const char *text, struct history *ret_history,
                                struct err *err)
{
    struct timeline timeline;
    enum err_code code = timeline_parse(tli, text, &timeline, err);
    if (code != ERR_OK)
        return code;
    ret_history->n = 0;
    for (const char *line = text; line != NULL && ret_history->n < timeline.n;) {
        if (is_entry(line)) {
            const struct timeline_entry *from = &timeline.entries[ret_history->n];
            struct history_entry *entry = push(ret_history);
            entry->tli = from->tli;
            entry->lsn = from->switch_at;
            copy_reason(line, entry->reason);
        }
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return ERR_OK;
}

static const struct history_entry *find_equal(const struct history *history,
                                              const struct history_entry *entry)
{
    for (size_t i = 0; i < history->n; i++)
        if (history->entries[i].tli == entry->tli && history->entries[i].lsn == entry->lsn)
            return &history->entries[i];
    return NULL;
}

void history_merge(struct history *history, const struct history *old, const char *at,
                   const char *leader)
{
    for (size_t i = 0; i < history->n; i++) {
        struct history_entry *entry = &history->entries[i];
        const struct history_entry *known = find_equal(old, entry);
        if (known != NULL) {
            memcpy(entry->at, known->at, sizeof(entry->at));
            memcpy(entry->leader, known->leader, sizeof(entry->leader));
        }
    }
    if (history->n == 0)
        return;
    struct history_entry *last = &history->entries[history->n - 1];
    if (last->at[0] == '\0') {
        text_copy(last->at, sizeof(last->at), at);
        text_copy(last->leader, sizeof(last->leader), leader);
    }
}

/* For people: what is too long is cut, what is no text is left empty. */
static void copy_text(const json_t *row, size_t column, char *ret_text, size_t size)
{
    const char *text = json_string_value(json_array_get(row, column));
    text_copy(ret_text, size, text == NULL ? "" : text);
}

static enum err_code read_row(struct history *history, const json_t *row, struct err *err)
{
    const json_t *tli = json_array_get(row, 0);
    const json_t *lsn = json_array_get(row, 1);
    if (!is_count(tli) || !is_count(lsn) || json_integer_value(tli) == 0 ||
        json_integer_value(tli) > UINT32_MAX)
        return err_set(err, ERR_PROTOCOL, "history: not [timeline, lsn, …]");
    struct history_entry *entry = push(history);
    entry->tli = (uint32_t)json_integer_value(tli);
    entry->lsn = (lsn_t)json_integer_value(lsn);
    copy_text(row, 2, entry->reason, sizeof(entry->reason));
    copy_text(row, 3, entry->at, sizeof(entry->at));
    copy_text(row, 4, entry->leader, sizeof(entry->leader));
    return ERR_OK;
}

enum err_code history_from_json(const char *bytes, size_t len, struct history *ret_history,
                                struct err *err)
{
    auto_json json_t *rows = NULL;
    auto_free struct history *history = mem_struct(struct history);
    enum err_code code = json_parse(bytes, len, "history", &rows, err);
    if (code == ERR_OK && !is_kind(rows, JSON_ARRAY))
        code = err_set(err, ERR_PROTOCOL, "history: not an array");
    if (code != ERR_OK)
        return code;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        code = read_row(history, json_array_get(rows, i), err);
        if (code != ERR_OK)
            return code;
    }
    *ret_history = *history;
    return ERR_OK;
}

/* A text that was cut inside a character is not UTF-8: it is left empty. */
static json_t *safe_string(const char *text)
{
    json_t *string = json_string(text);
    return string != NULL ? string : json_string("");
}

json_t *history_to_json(const struct history *history, size_t max)
{
    json_t *rows = json_array();
    size_t first = max == 0 || max >= history->n ? 0 : history->n - max;
    for (size_t i = first; i < history->n; i++) {
        const struct history_entry *entry = &history->entries[i];
        json_t *row = json_array();
        json_array_append_new(row, json_integer(entry->tli));
        json_array_append_new(row, json_integer((json_int_t)entry->lsn));
        json_array_append_new(row, safe_string(entry->reason));
        if (entry->at[0] != '\0')
            json_array_append_new(row, safe_string(entry->at));
        if (entry->at[0] != '\0' && entry->leader[0] != '\0')
            json_array_append_new(row, safe_string(entry->leader));
        json_array_append_new(rows, row);
    }
    return rows;
}

uint32_t history_timeline(const struct history *history)
{
    return history->n == 0 ? 1 : history->entries[history->n - 1].tli + 1;
}
