#pragma once
/* JSON values with the path in the message. A reader is a jansson object and the name under which a
 * person knows it; every getter says "<name>: <key>: not an integer" when it fails. jansson's words
 * for references are used: new, borrowed, takes. jansson itself is not hidden. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

static inline void json_cleanup(json_t **json)
{
    json_decref(*json);
}
#define auto_json __attribute__((cleanup(json_cleanup)))

/* Gives jansson the checked allocation of base/mem, and its hash a seed. Call once, in main, first. */
void json_setup(void);

/* New reference. `name` is for the message. Errors: ERR_PROTOCOL with line and column. Any value is
 * accepted at the top; duplicate keys: the last wins, as in Python. */
enum err_code json_parse(const char *bytes, size_t len, const char *name, json_t **ret_json,
                         struct err *err);

struct json_reader {
    const json_t
        *object;      /* borrowed; anything but an object fails every getter with "not an object" */
    const char *name; /* borrowed: "members/a" */
};

/* Required values. Errors: ERR_PROTOCOL. Strings are borrowed from the object. */
enum err_code json_get_string(struct json_reader reader, const char *key, const char **ret_string,
                              struct err *err);
enum err_code json_get_int(struct json_reader reader, const char *key, int64_t *ret_value,
                           struct err *err);
enum err_code json_get_bool(struct json_reader reader, const char *key, bool *ret_value,
                            struct err *err);
enum err_code json_get_object(struct json_reader reader, const char *key, const json_t **ret_object,
                              struct err *err);
enum err_code json_get_array(struct json_reader reader, const char *key, const json_t **ret_array,
                             struct err *err);

/* Optional values: absent and null give `fallback`; a wrong type is an error as above. */
enum err_code json_opt_string(struct json_reader reader, const char *key, const char *fallback,
                              const char **ret_string, struct err *err);
enum err_code json_opt_int(struct json_reader reader, const char *key, int64_t fallback,
                           int64_t *ret_value, struct err *err);
enum err_code json_opt_bool(struct json_reader reader, const char *key, bool fallback,
                            bool *ret_value, struct err *err);
/* NULL when absent or null. */
enum err_code json_opt_object(struct json_reader reader, const char *key, const json_t **ret_object,
                              struct err *err);
enum err_code json_opt_array(struct json_reader reader, const char *key, const json_t **ret_array,
                             struct err *err);

/* Copies a required string into a fixed field. ERR_LIMIT "<name>: <key>: longer than …". */
enum err_code json_copy_string(struct json_reader reader, const char *key, char *ret_string,
                               size_t size, struct err *err);

/* Both write what Python's json.dumps writes, byte for byte, so that Patroni's tools see no
 * difference: keys in their order, everything beyond ASCII as \u, reals as Python's repr (1.0, 1e-05).
 * Compact is separators=(',', ':'), Patroni's form of values in etcd: {"a":1,"b":"\u00e4"}. */
void json_write(struct text *to, const json_t *json);
/* The default separators, Patroni's form of REST bodies: {"a": 1, "b": "\u00e4"}. */
void json_write_python(struct text *to, const json_t *json);
/* One string with its quotes. */
void json_write_string(struct text *to, const char *string);
