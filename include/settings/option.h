#pragma once
/* The one table of options (style A19). Parsing, checking, environment overrides, --help and
 * docs/configuration.md all come from it; a new option is one row and one field. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

/* The field's type in the struct. */
enum option_type {
    OPTION_TEXT,     /* char *, heap; NULL when not set */
    OPTION_SECRET,   /* as OPTION_TEXT, never shown */
    OPTION_BOOL,     /* bool */
    OPTION_INT,      /* int64_t */
    OPTION_DURATION, /* int64_t seconds; "30min", "1h", "500ms" are understood */
    OPTION_BYTES,    /* int64_t; "16MB" is understood */
    OPTION_CHOICE,   /* int: position in `choices` */
    OPTION_LIST,     /* struct text_list; a text is split at commas */
    OPTION_TREE,     /* json_t *, kept as it stands; NULL when not set; `shape` is checked */
};

enum option_where {
    OPTION_FILE = 1,  /* the local YAML file */
    OPTION_ENV = 2,   /* PGVIGIL_<env>, PATRONI_<env> */
    OPTION_STORE = 4, /* the key `config` */
};

enum option_apply {
    OPTION_LIVE,    /* takes effect at once when the store changes, or at SIGHUP */
    OPTION_RELOAD,  /* reloads PostgreSQL */
    OPTION_RESTART, /* needs a restart of the sidecar (file) or of PostgreSQL (parameters) */
};

/* What an OPTION_TREE must be. */
enum option_shape {
    OPTION_ANY,
    OPTION_OBJECT,
    OPTION_ARRAY,
    OPTION_TEXTS, /* array of strings */
};

struct option {
    const char *path; /* "restapi.listen" */
    enum option_type type;
    size_t offset;        /* of the field in struct config or struct settings */
    const char *fallback; /* default as text; NULL: not set */
    int64_t min, max;     /* numbers; a setting of the store below min is raised to it */
    const char *choices;  /* "off|on|quorum" */
    enum option_shape shape;
    unsigned where; /* set of option_where */
    enum option_apply apply;
    bool required;    /* --check-config misses it (data nodes) */
    bool unsupported; /* Patroni knows it, we do not: a warning with `help` as the reason */
    const char *env;  /* "RESTAPI_LISTEN"; NULL: none */
    const char *help; /* one line */
};

/* Strings of the heap. */
struct text_list {
    size_t n;
    char **item;
};
/* Takes the string. */
void text_list_add(struct text_list *list, char *item);
void text_list_done(struct text_list *list);

struct option_table {
    const struct option *rows;
    size_t n;
};

/* The whole table: the rows of struct config (file, environment), then those of struct settings
 * (store; under `postgresql` the file too). The other two are its parts. */
struct option_table option_table(void);
struct option_table config_options(void);
struct option_table settings_options(void);

/* NULL when the table has no such path. */
const struct option *option_find(struct option_table table, const char *path);

/* Gives every field of `base` its default. */
void option_set_defaults(struct option_table table, void *base);
/* Reads one value into its field, whose former content is freed. ERR_INVALID says what was expected
 * and what is there, without the place; the field is untouched then. JSON null: the default. */
enum err_code option_set(const struct option *option, void *base, const json_t *value,
                         struct err *err);
/* Frees what the fields own. */
void option_done(struct option_table table, void *base);

/* The value at a dotted path in a tree; NULL when it is absent. Borrowed. */
json_t *option_get(json_t *tree, const char *path);

/* One warning line for each key of `tree` that no row knows: "<name>: <path>: unknown, ignored".
 * `where`: rows that may not be set there are reported too. */
void option_check_unknown(struct option_table table, const json_t *tree, unsigned where,
                          const char *name, struct text *warnings);

/* "30min" to seconds, "16MB" to bytes, by PostgreSQL's units; plain numbers are in `base_unit`
 * ("s", "ms", "B", "kB", "MB"). False when it is no such text. */
bool option_parse_unit(const char *text, const char *base_unit, int64_t *ret_value);
/* on/off, true/false, yes/no, 1/0 and unambiguous prefixes, as PostgreSQL reads booleans. */
bool option_parse_bool(const char *text, bool *ret_value);
