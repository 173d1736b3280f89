#pragma once
/* A growing text buffer with a ceiling. All strings of unknown length are built here.
 *
 * The content is always 0-terminated once something was added. Reaching `max` sets `overflow` and
 * drops what would not fit; the owner checks it once at the end instead of after every call. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* NULL while empty */
    size_t len; /* bytes without the terminator */
    size_t max; /* never longer than this */
    size_t room;
    bool overflow;
};

/* An empty text that may grow to `max` bytes. */
struct text text_new(size_t max);
void text_done(struct text *text);
void text_clear(struct text *text);

void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const void *bytes, size_t len);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vaddf(struct text *text, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* The content, "" when empty; borrowed. */
const char *text_str(const struct text *text);
/* Hands the content over (never NULL); the caller frees it; the text is empty afterwards. */
char *text_take(struct text *text);

/* Copies `from` into a fixed field; false (and a cut copy) when it does not fit. */
bool text_copy(char *to, size_t size, const char *from);
/* Two that are absent are equal. */
bool text_equal(const char *a, const char *b);
bool text_starts_with(const char *string, const char *prefix);
