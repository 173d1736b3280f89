#include "cluster/timeline.h"

#include <stdlib.h>
#include <string.h>

static const lsn_t lsn_end = UINT64_MAX;

/* ---- the history file --------------------------------------------------------------- */

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r");
}

/* A position that ends at white space or at the end of the text. */
static bool take_lsn(const char *at, lsn_t *ret_lsn)
{
    char text[LSN_TEXT_MAX];
    size_t len = strcspn(at, " \t\r\n");
    if (len >= sizeof(text))
        return false;
    memcpy(text, at, len);
    text[len] = '\0';
    /* Further than integers of JSON go (and 8 EiB of WAL) is no position. */
    return lsn_parse(text, ret_lsn) && *ret_lsn <= INT64_MAX;
}

/* `<tli> <lsn> <reason>`, the reason is free text. */
static bool take_entry(const char *line, struct timeline_entry *ret)
{
    char *end;
    if (*line < '0' || *line > '9')
        return false;
    unsigned long long tli = strtoull(line, &end, 10);
    if (tli == 0 || tli > UINT32_MAX || (*end != ' ' && *end != '\t'))
        return false;
    lsn_t lsn;
    if (!take_lsn(skip_blanks(end), &lsn))
        return false;
    *ret = (struct timeline_entry){ .tli = (uint32_t)tli, .switch_at = lsn };
    return true;
}

/* Timelines and switch points only ever grow, and the file is about the timelines before its own. */
static bool follows(const struct timeline *so_far, const struct timeline_entry *entry)
{
    if (entry->tli >= so_far->tli)
        return false;
    if (so_far->n == 0)
        return true;
    const struct timeline_entry *last = &so_far->entries[so_far->n - 1];
    return entry->tli > last->tli && entry->switch_at >= last->switch_at;
}

static enum err_code add_line(struct timeline *timeline, const char *line, struct err *err)
{
    struct timeline_entry entry;
    line = skip_blanks(line);
    if (*line == '\0' || *line == '\n' || *line == '#')
        return ERR_OK;
    if (!take_entry(line, &entry))
        return err_set(err, ERR_PROTOCOL, "history of timeline %u: not an entry: %.60s",
                       timeline->tli, line);
    if (!follows(timeline, &entry))
        return err_set(err, ERR_PROTOCOL, "history of timeline %u: timeline %u is out of order",
                       timeline->tli, entry.tli);
    if (timeline->n == LIMIT_TIMELINES)
        return err_set(err, ERR_LIMIT, "history of timeline %u has more than %d entries",
                       timeline->tli, LIMIT_TIMELINES);
    timeline->entries[timeline->n++] = entry;
    return ERR_OK;
}

enum err_code timeline_parse(uint32_t tli, const char *text, struct timeline *ret, struct err *err)
{
    struct timeline timeline = { .tli = tli };
    if (tli == 0)
        return err_set(err, ERR_PROTOCOL, "there is no timeline 0");
    for (const char *line = text; line != NULL;) {
        enum err_code code = add_line(&timeline, line, err);
        if (code != ERR_OK)
            return code;
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    *ret = timeline;
    return ERR_OK;
}

/* ---- comparing by content ----------------------------------------------------------- */

static bool entry_equal(const struct timeline_entry *a, const struct timeline_entry *b)
{
    return a->tli == b->tli && a->switch_at == b->switch_at;
}

static uint32_t common_entries(const struct timeline *a, const struct timeline *b)
{
    uint32_t i = 0;
    while (i < a->n && i < b->n && entry_equal(&a->entries[i], &b->entries[i]))
        i++;
    return i;
}

bool timeline_equal(const struct timeline *a, const struct timeline *b)
{
    return a->tli == b->tli && a->n == b->n && common_entries(a, b) == a->n;
}

bool timeline_contains(const struct timeline *timeline, const struct timeline *point, lsn_t lsn)
{
    if (timeline->tli == 0 || point->tli == 0)
        return false;
    if (timeline->tli == point->tli)
        return timeline_equal(timeline, point);
    if (timeline->n <= point->n || common_entries(timeline, point) != point->n)
        return false;
    const struct timeline_entry *left = &timeline->entries[point->n];
    return left->tli == point->tli && left->switch_at >= lsn;
}

/* The leg of the way after `i` switches: its timeline, and where it was left. */
static struct timeline_entry leg(const struct timeline *timeline, uint32_t i)
{
    if (i < timeline->n)
        return timeline->entries[i];
    return (struct timeline_entry){ .tli = timeline->tli, .switch_at = lsn_end };
}

lsn_t timeline_divergence(const struct timeline *a, const struct timeline *b)
{
    if (a->tli == 0 || b->tli == 0)
        return LSN_NONE;
    uint32_t common = common_entries(a, b);
    struct timeline_entry leg_a = leg(a, common);
    struct timeline_entry leg_b = leg(b, common);
    if (leg_a.tli == leg_b.tli)
        return leg_a.switch_at < leg_b.switch_at ? leg_a.switch_at : leg_b.switch_at;
    return common == 0 ? LSN_NONE : a->entries[common - 1].switch_at;
}

static int prefer_larger(uint64_t a, uint64_t b)
{
    return a == b ? 0 : a > b ? 1 : -1;
}

/* A descendant always has the larger number (timeline_parse sees to it), so that comparing numbers
 * first also prefers the history that contains the other's fork; mixing the two would not be
 * transitive. */
int timeline_cmp(const struct timeline *a, const struct timeline *b)
{
    int order = prefer_larger(a->tli, b->tli); /* 1. the larger number */
    for (uint32_t i = 1; order == 0 && i <= a->n && i <= b->n; i++) {
        const struct timeline_entry *last_a = &a->entries[a->n - i];
        const struct timeline_entry *last_b = &b->entries[b->n - i];
        order = prefer_larger(last_a->switch_at, last_b->switch_at); /* 2. the later last switch */
        if (order == 0)
            order = prefer_larger(last_a->tli, last_b->tli); /* 3. from the later timeline */
    }
    return order != 0 ? order : prefer_larger(a->n, b->n); /* 4. the longer history */
}
