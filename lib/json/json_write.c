/* Not json_dumps: its reals are %.17g (0.1 becomes 0.10000000000000001), which tools that compare
 * with Python's output would see. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

struct style {
    const char *comma;
    const char *colon;
};

/* Decodes one character of UTF-8 that jansson has already checked; returns its length. */
static size_t decode_utf8(const char *from, uint32_t *ret_character)
{
    const unsigned char *byte = (const unsigned char *)from;
    if (byte[0] < 0x80) {
        *ret_character = byte[0];
        return 1;
    }
    size_t len = byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;
    uint32_t character = byte[0] & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((byte[i] & 0xc0) != 0x80) { /* not from jansson: show the byte, do not run on */
            *ret_character = byte[0];
            return 1;
        }
        character = (character << 6) | (byte[i] & 0x3f);
    }
    *ret_character = character;
    return len;
}

static const char *short_escape(uint32_t character)
{
    switch (character) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

static void write_escaped(struct text *to, uint32_t character)
{
    const char *escape = short_escape(character);
    if (escape != NULL) {
        text_add(to, escape);
    } else if (character >= 0x10000) {
        uint32_t rest = character - 0x10000;
        text_addf(to, "\\u%04x\\u%04x", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    } else {
        text_addf(to, "\\u%04x", character);
    }
}

static bool is_plain(signed char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; /* beyond ASCII char is negative */
}

void json_write_string(struct text *to, const char *string)
{
    text_add_bytes(to, "\"", 1);
    while (*string != '\0') {
        size_t plain = 0;
        while (is_plain((signed char)string[plain]))
            plain++;
        text_add_bytes(to, string, plain);
        string += plain;
        if (*string == '\0')
            break;
        uint32_t character;
        string += decode_utf8(string, &character);
        write_escaped(to, character);
    }
    text_add_bytes(to, "\"", 1);
}

/* Python's repr: the shortest digits that read back as the same number, an exponent only below 1e-4
 * and from 1e16 on, and a ".0" where it would look like an integer. */
static void write_real(struct text *to, double value)
{
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        (void)snprintf(digits, sizeof(digits), "%.*e", precision - 1, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    const char *exponent = strchr(digits, 'e');
    long power = exponent == NULL ? 0 : strtol(exponent + 1, NULL, 10);
    long shown = exponent == NULL ? 0 : (long)(exponent - digits);
    long decimals =
        shown - (digits[0] == '-' ? 1 : 0) - 1; /* after the first digit, with the dot */
    decimals = decimals > 0 ? decimals - 1 : 0;
    if (power < -4 || power >= 16) {
        text_addf(to, "%.*se%+03ld", (int)shown, digits, power);
        return;
    }
    long after = decimals - power;
    text_addf(to, "%.*f", (int)(after > 1 ? after : 1), value);
}

static void write_value(struct text *to, const json_t *json, const struct style *style);

static void write_array(struct text *to, const json_t *json, const struct style *style)
{
    text_add(to, "[");
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (i > 0)
            text_add(to, style->comma);
        write_value(to, json_array_get(json, i), style);
    }
    text_add(to, "]");
}

static void write_object(struct text *to, const json_t *json, const struct style *style)
{
    text_add(to, "{");
    bool first = true;
    /* jansson's iteration wants a mutable object although it changes nothing. */
    union {
        const json_t *in;
        json_t *out;
    } object = { .in = json };
    for (void *at = json_object_iter(object.out); at != NULL;
         at = json_object_iter_next(object.out, at)) {
        if (!first)
            text_add(to, style->comma);
        first = false;
        json_write_string(to, json_object_iter_key(at));
        text_add(to, style->colon);
        write_value(to, json_object_iter_value(at), style);
    }
    text_add(to, "}");
}

static void write_value(struct text *to, const json_t *json, const struct style *style)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        write_object(to, json, style);
        break;
    case JSON_ARRAY:
        write_array(to, json, style);
        break;
    case JSON_STRING:
        json_write_string(to, json_string_value(json));
        break;
    case JSON_INTEGER:
        text_addf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
        break;
    case JSON_REAL:
        write_real(to, json_real_value(json));
        break;
    case JSON_TRUE:
        text_add(to, "true");
        break;
    case JSON_FALSE:
        text_add(to, "false");
        break;
    case JSON_NULL:
        text_add(to, "null");
        break;
    }
}

void json_write(struct text *to, const json_t *json)
{
    write_value(to, json, &(struct style){ .comma = ",", .colon = ":" });
}

void json_write_python(struct text *to, const json_t *json)
{
    write_value(to, json, &(struct style){ .comma = ", ", .colon = ": " });
}
