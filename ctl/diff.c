/* A unified diff of two texts by their longest common subsequence: configurations are short. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/ctl.h"

enum { DIFF_LINES = 4096, DIFF_AROUND = 3 };

struct lines {
    size_t n;
    const char *at[DIFF_LINES];
    size_t len[DIFF_LINES];
};

static struct lines *split(const char *text)
{
    struct lines *lines = mem_struct(struct lines);
    while (*text != '\0' && lines->n < DIFF_LINES) {
        lines->at[lines->n] = text;
        lines->len[lines->n] = strcspn(text, "\n");
        text += lines->len[lines->n++];
        text += *text == '\n' ? 1 : 0;
    }
    return lines;
}

static bool same(const struct lines *a, size_t i, const struct lines *b, size_t j)
{
    return a->len[i] == b->len[j] && memcmp(a->at[i], b->at[j], a->len[i]) == 0;
}

/* One line of the merged text. */
struct edit {
    char mark; /* ' ', '-', '+' */
    const char *at;
    size_t len;
};

/* length[i][j]: of the longest common subsequence of a from i and b from j. */
static uint16_t *common(const struct lines *a, const struct lines *b)
{
    size_t width = b->n + 1;
    uint16_t *length = mem_array((a->n + 1) * width, sizeof(length[0]));
    for (size_t i = a->n; i-- > 0;)
        for (size_t j = b->n; j-- > 0;) {
            uint16_t down = length[(i + 1) * width + j], right = length[i * width + j + 1];
            length[i * width + j] = same(a, i, b, j)
                                        ? (uint16_t)(length[(i + 1) * width + j + 1] + 1)
                                    : down > right ? down
                                                   : right;
        }
    return length;
}

static size_t merge(const struct lines *a, const struct lines *b, struct edit *edits)
{
    uint16_t *length = common(a, b);
    size_t width = b->n + 1, i = 0, j = 0, n = 0;
    while (i < a->n || j < b->n) {
        if (i < a->n && j < b->n && same(a, i, b, j)) {
            edits[n++] = (struct edit){ ' ', a->at[i], a->len[i] };
            i++;
            j++;
        } else if (j == b->n ||
                   (i < a->n && length[(i + 1) * width + j] >= length[i * width + j + 1])) {
            edits[n++] = (struct edit){ '-', a->at[i], a->len[i] };
            i++;
        } else {
            edits[n++] = (struct edit){ '+', b->at[j], b->len[j] };
            j++;
        }
    }
    free(length);
    return n;
}

static bool near_change(const struct edit *edits, size_t n, size_t at)
{
    size_t from = at > DIFF_AROUND ? at - DIFF_AROUND : 0;
    for (size_t i = from; i < n && i <= at + DIFF_AROUND; i++)
        if (edits[i].mark != ' ')
            return true;
    return false;
}

void ctl_diff(struct text *to, const char *before, const char *after)
{
    struct lines *a = split(before), *b = split(after);
    struct edit *edits = mem_array(a->n + b->n + 1, sizeof(edits[0]));
    size_t n = merge(a, b, edits);
    bool shown = false;
    text_add(to, "--- \n+++ \n");
    for (size_t i = 0; i < n; i++) {
        bool now = near_change(edits, n, i);
        if (now && !shown)
            text_add(to, "@@\n");
        shown = now;
        if (!now)
            continue;
        text_add_bytes(to, &edits[i].mark, 1);
        text_add_bytes(to, edits[i].at, edits[i].len);
        text_add(to, "\n");
    }
    free(edits);
    free(a);
    free(b);
}
