#pragma once
/* jansson's type tests as functions: absent (NULL) is no value of any kind. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

static inline bool is_kind(const json_t *value, json_type kind)
{
    return value != NULL && json_typeof(value) == kind;
}

static inline bool is_text(const json_t *value)
{
    return is_kind(value, JSON_STRING);
}

/* A whole number that is not negative: every position, timeline and count is one. */
static inline bool is_count(const json_t *value)
{
    return is_kind(value, JSON_INTEGER) && json_integer_value(value) >= 0;
}

/* jansson's own loops want a pointer that is not const. */
static inline void *first_pair(const json_t *object)
{
    return json_object_iter((json_t *)(uintptr_t)object);
}

static inline void *next_pair(const json_t *object, void *pair)
{
    return json_object_iter_next((json_t *)(uintptr_t)object, pair);
}
