#pragma once
/* The forms of etcd's JSON gateway: base64, integers as strings, headers, errors. Pure. */
#include "base/text.h"
#include "etcd/etcd.h"
#include "json/json.h"

void codec_add_base64(struct text *to, const void *bytes, size_t len);
/* "key": "<base64>" and, for a prefix, "range_end" as well. */
void codec_add_key(struct text *to, const char *key, bool prefix);

/* Decodes into `to`, which must have room for len / 4 * 3 + 1 bytes; 0-terminated.
 * Errors: ERR_PROTOCOL. */
enum err_code codec_base64(const char *from, size_t len, char *to, size_t *ret_len,
                           struct err *err);

/* Integers as strings or as numbers; absent is 0, as protobuf means it. ERR_PROTOCOL. */
enum err_code codec_int(struct json_reader reader, const char *key, int64_t *ret_value,
                        struct err *err);
enum err_code codec_uint(struct json_reader reader, const char *key, uint64_t *ret_value,
                         struct err *err);
/* Of the object that has a member "header"; absent is all zeros. */
enum err_code codec_header(struct json_reader reader, struct etcd_header *ret_header,
                           struct err *err);

/* What a gRPC status means to us: by etcd's message, else by the code. */
enum etcd_failure codec_failure(int64_t grpc_code, const char *message);
/* What the caller may conclude from it. */
enum err_code codec_failure_code(enum etcd_failure failure);
