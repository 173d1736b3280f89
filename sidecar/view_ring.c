/* The ring of recorded views (style A26): a bug report is a test case. */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sidecar/view_json.h"
#include "json/json.h"

struct view_ring {
    char *texts[LIMIT_EVENTS]; /* oldest at `begin` */
    size_t begin;
    size_t n;
    const char *last_rule;
    enum action last_action;
};

struct view_ring *view_ring_new(void)
{
    return mem_struct(struct view_ring);
}

struct view_ring *view_ring_free(struct view_ring *ring)
{
    for (size_t i = 0; ring != NULL && i < LIMIT_EVENTS; i++)
        free(ring->texts[i]);
    free(ring);
    return NULL;
}

void view_ring_add(struct view_ring *ring, const struct view *view, const struct decision *decision)
{
    if (ring->last_rule != NULL && strcmp(ring->last_rule, decision->rule) == 0 &&
        ring->last_action == decision->action)
        return;
    auto_json json_t *json = view_to_json(view, decision);
    struct text text = text_new(LIMIT_VIEW_TEXT);
    json_write(&text, json);
    size_t at = (ring->begin + ring->n) % LIMIT_EVENTS;
    if (ring->n == LIMIT_EVENTS)
        ring->begin = (ring->begin + 1) % LIMIT_EVENTS;
    else
        ring->n++;
    free(ring->texts[at]);
    ring->texts[at] = text.overflow ? mem_strdup("{}") : text_take(&text);
    text_done(&text);
    ring->last_rule = decision->rule;
    ring->last_action = decision->action;
}

void view_ring_write(const struct view_ring *ring, struct text *to)
{
    text_add(to, "[");
    for (size_t i = 0; ring != NULL && i < ring->n; i++) {
        text_add(to, i > 0 ? ",\n" : "");
        text_add(to, ring->texts[(ring->begin + i) % LIMIT_EVENTS]);
    }
    text_add(to, "]");
}
