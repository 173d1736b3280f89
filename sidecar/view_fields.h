#pragma once
/* The fields of struct view, one table per struct; private to view_json.c. */
#include "sidecar/core/view.h"

enum field_type {
    FIELD_BOOL,
    FIELD_INT,
    FIELD_UNSIGNED,
    FIELD_I64,
    FIELD_U32,
    FIELD_ID,   /* uint64_t as decimal text: JSON's integers are signed */
    FIELD_LSN,  /* "0/3000060" */
    FIELD_MONO, /* milliseconds, or "never" */
    FIELD_TEXT, /* char[size] */
    FIELD_WORD, /* enum, by its word */
    FIELD_NAMES,
    FIELD_STRUCT,
    FIELD_LIST, /* array of structs; its length lies elsewhere in the same struct */
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    size_t size;                /* FIELD_TEXT: bytes; FIELD_LIST: of an element */
    const struct field *fields; /* FIELD_STRUCT, FIELD_LIST; ends with a NULL name */
    size_t count_offset;        /* FIELD_LIST */
    size_t count_size;          /* sizeof(size_t) or sizeof(uint32_t) */
    size_t max;                 /* FIELD_LIST: elements; FIELD_WORD: words */
    const char *const *words;
};

extern const struct field view_fields[];
