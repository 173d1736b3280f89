#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct text text_new(size_t max)
{
    return (struct text){ .max = max };
}

void text_done(struct text *text)
{
    free(text->data);
    *text = text_new(text->max);
}

void text_clear(struct text *text)
{
    text->len = 0;
    text->overflow = false;
    if (text->data != NULL)
        text->data[0] = '\0';
}

static void text_reserve(struct text *text, size_t len)
{
    if (len + 1 <= text->room)
        return;
    size_t room = text->room < 64 ? 64 : text->room;
    while (room < len + 1)
        room *= 2;
    text->data = mem_grow(text->data, room);
    text->room = room;
}

void text_add_bytes(struct text *text, const void *bytes, size_t len)
{
    if (len > text->max - text->len) {
        text->overflow = true;
        len = text->max - text->len;
    }
    text_reserve(text, text->len + len);
    memcpy(text->data + text->len, bytes, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_vaddf(struct text *text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len > 0) {
        char *formatted = mem_new((size_t)len + 1);
        (void)vsnprintf(formatted, (size_t)len + 1, format, again);
        text_add_bytes(text, formatted, (size_t)len);
        free(formatted);
    }
    va_end(again);
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vaddf(text, format, args);
    va_end(args);
}

const char *text_str(const struct text *text)
{
    return text->data == NULL ? "" : text->data;
}

char *text_take(struct text *text)
{
    char *data = text->data == NULL ? mem_strdup("") : text->data;
    text->data = NULL;
    *text = text_new(text->max);
    return data;
}

bool text_copy(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    bool fits = len < size;
    if (!fits)
        len = size - 1;
    memmove(to, from, len);
    to[len] = '\0';
    return fits;
}

bool text_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool text_starts_with(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}
