#include "etcd/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ETCD_FAILURE_NAME(name, text) [ETCD_FAIL_##name] = (text),
static const char *const failure_names[] = { ETCD_FAILURES(ETCD_FAILURE_NAME) };
_Static_assert(sizeof(failure_names) / sizeof(failure_names[0]) == ETCD_FAILURE_MAX,
               "a name for every failure");

const char *etcd_failure_name(enum etcd_failure failure)
{
    return failure_names[failure];
}

/* --- base64 --- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void codec_add_base64(struct text *to, const void *bytes, size_t len)
{
    const unsigned char *from = bytes;
    for (size_t at = 0; at < len; at += 3) {
        size_t left = len - at;
        uint32_t three = (uint32_t)from[at] << 16;
        if (left > 1)
            three |= (uint32_t)from[at + 1] << 8;
        if (left > 2)
            three |= from[at + 2];
        char four[4] = { alphabet[three >> 18], alphabet[(three >> 12) & 63],
                         left > 1 ? alphabet[(three >> 6) & 63] : '=',
                         left > 2 ? alphabet[three & 63] : '=' };
        text_add_bytes(to, four, sizeof(four));
    }
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Digits of the group that count: 4, or 3 and 2 in the last one, before its '='. */
static size_t group_digits(const char *group, bool last)
{
    if (!last || group[3] != '=')
        return 4;
    return group[2] == '=' ? 2 : 3;
}

enum err_code codec_base64(const char *from, size_t len, char *to, size_t *ret_len, struct err *err)
{
    if (len % 4 != 0)
        return err_set(err, ERR_PROTOCOL, "base64 of %zu characters", len);
    size_t out = 0;
    for (size_t at = 0; at < len; at += 4) {
        size_t digits = group_digits(from + at, at + 4 == len);
        uint32_t bits = 0;
        for (size_t i = 0; i < 4; i++) {
            int digit = i < digits ? digit_of(from[at + i]) : 0;
            if (digit < 0)
                return err_set(err, ERR_PROTOCOL, "not base64 at %zu", at + i);
            bits = (bits << 6) | (uint32_t)digit;
        }
        for (size_t i = 0; i + 1 < digits; i++)
            to[out++] = (char)(unsigned char)(bits >> (16 - 8 * i));
    }
    to[out] = '\0';
    *ret_len = out;
    return ERR_OK;
}

/* The first key that does not start with the prefix: its last byte plus one. */
static void add_range_end(struct text *to, const char *prefix)
{
    size_t len = strlen(prefix);
    while (len > 0 && (unsigned char)prefix[len - 1] == 0xff)
        len--;
    text_add(to, ",\"range_end\":\"");
    struct text end = text_new(len + 1);
    if (len == 0) {
        text_add_bytes(&end, "", 1); /* "\0": to the end of everything */
    } else {
        text_add_bytes(&end, prefix, len);
        end.data[len - 1] = (char)(unsigned char)((unsigned char)end.data[len - 1] + 1);
    }
    codec_add_base64(to, end.data, end.len);
    text_done(&end);
    text_add(to, "\"");
}

void codec_add_key(struct text *to, const char *key, bool prefix)
{
    text_add(to, "\"key\":\"");
    codec_add_base64(to, key, strlen(key));
    text_add(to, "\"");
    if (prefix)
        add_range_end(to, key);
}

/* --- integers and headers --- */

static enum err_code bad_integer(struct json_reader reader, const char *key, struct err *err)
{
    return err_set(err, ERR_PROTOCOL, "%s: %s: not an integer", reader.name, key);
}

enum err_code codec_int(struct json_reader reader, const char *key, int64_t *ret_value,
                        struct err *err)
{
    const json_t *value = json_object_get(reader.object, key);
    if (value == NULL || json_is_null(value)) {
        *ret_value = 0;
        return ERR_OK;
    }
    if (json_is_integer(value)) {
        *ret_value = json_integer_value(value);
        return ERR_OK;
    }
    const char *string = json_string_value(value);
    if (string == NULL || *string == '\0')
        return bad_integer(reader, key, err);
    char *end = NULL;
    errno = 0;
    long long parsed = strtoll(string, &end, 10);
    if (*end != '\0' || errno != 0)
        return bad_integer(reader, key, err);
    *ret_value = parsed;
    return ERR_OK;
}

enum err_code codec_uint(struct json_reader reader, const char *key, uint64_t *ret_value,
                         struct err *err)
{
    const char *string = json_string_value(json_object_get(reader.object, key));
    if (string == NULL) {
        int64_t number = 0;
        enum err_code code = codec_int(reader, key, &number, err);
        if (code != ERR_OK || number < 0)
            return bad_integer(reader, key, err);
        *ret_value = (uint64_t)number;
        return ERR_OK;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long parsed = strtoull(string, &end, 10);
    if (*string < '0' || *string > '9' || *end != '\0' || errno != 0)
        return bad_integer(reader, key, err);
    *ret_value = parsed;
    return ERR_OK;
}

enum err_code codec_header(struct json_reader reader, struct etcd_header *ret_header,
                           struct err *err)
{
    struct json_reader header = { json_object_get(reader.object, "header"), "header" };
    struct etcd_header parsed = { 0 };
    if (header.object == NULL) {
        *ret_header = parsed;
        return ERR_OK;
    }
    enum err_code code = codec_uint(header, "cluster_id", &parsed.cluster_id, err);
    if (code == ERR_OK)
        code = codec_uint(header, "member_id", &parsed.member_id, err);
    if (code == ERR_OK)
        code = codec_int(header, "revision", &parsed.revision, err);
    if (code == ERR_OK)
        code = codec_uint(header, "raft_term", &parsed.raft_term, err);
    if (code == ERR_OK)
        *ret_header = parsed;
    return code;
}
