#pragma once
/* Reads and writes the frames of proto.h. Everything from the other end is checked against the
 * bytes that came; nothing is allocated; strings that were read lie in the buffer that was
 * received. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "sidecar/guard/proto.h"

/* A frame that came: the header and a cursor over what follows. */
struct frame {
    struct proto_header header;
    char *at;
    size_t left;
};

/* False: not a frame of this protocol, cut short, or with something behind it. The version is only
 * looked at, not judged. `buffer` is borrowed. */
static inline bool frame_parse(char *buffer, size_t len, struct frame *ret_frame)
{
    struct frame frame = { .at = buffer + sizeof(frame.header) };
    if (len < sizeof(frame.header) || len > PROTO_FRAME_MAX)
        return false;
    memcpy(&frame.header, buffer, sizeof(frame.header));
    if (frame.header.magic != PROTO_MAGIC || frame.header.length != len - sizeof(frame.header))
        return false;
    if (frame.header.version == 0 || frame.header.type == PROTO_NONE)
        return false;
    frame.left = frame.header.length;
    *ret_frame = frame;
    return true;
}

/* Copies a structure out and moves behind it. */
static inline bool frame_take(struct frame *frame, void *to, size_t size)
{
    if (frame->left < size)
        return false;
    memcpy(to, frame->at, size);
    frame->at += size;
    frame->left -= size;
    return true;
}

/* A string that ends within the frame. */
static inline bool frame_string(struct frame *frame, char **ret_string)
{
    char *end = memchr(frame->at, 0, frame->left);
    if (end == NULL)
        return false;
    *ret_string = frame->at;
    frame->left -= (size_t)(end - frame->at) + 1;
    frame->at = end + 1;
    return true;
}

/* `count` strings and a NULL into an array of room for `max` + 1. */
static inline bool frame_strings(struct frame *frame, uint32_t count, uint32_t max, char **array)
{
    if (count > max)
        return false;
    for (uint32_t index = 0; index < count; index++)
        if (!frame_string(frame, &array[index]))
            return false;
    array[count] = NULL;
    return true;
}

/* A frame that is being written. Reaching the end of the buffer is kept and told by frame_end. */
struct frame_out {
    char *buffer;
    size_t size;
    size_t len;
    bool overflow;
};

static inline void frame_put(struct frame_out *out, const void *bytes, size_t len)
{
    if (out->overflow || len > out->size - out->len) {
        out->overflow = true;
        return;
    }
    if (len > 0)
        memcpy(out->buffer + out->len, bytes, len);
    out->len += len;
}

static inline void frame_put_string(struct frame_out *out, const char *string)
{
    frame_put(out, string, strlen(string) + 1);
}

/* Returns how many, or `max` + 1 if there are more. NULL is none. */
static inline uint32_t frame_count(const char *const *strings, uint32_t max)
{
    uint32_t count = 0;
    while (strings != NULL && count <= max && strings[count] != NULL)
        count++;
    return count;
}

static inline struct frame_out frame_begin(char *buffer, size_t size, uint16_t version,
                                           enum proto_type type, uint32_t id)
{
    struct frame_out out = { .buffer = buffer,
                             .size = size < PROTO_FRAME_MAX ? size : PROTO_FRAME_MAX };
    struct proto_header header = {
        .magic = PROTO_MAGIC, .version = version, .type = (uint16_t)type, .id = id
    };
    frame_put(&out, &header, sizeof(header));
    return out;
}

/* Bytes to send; 0: it did not fit. */
static inline size_t frame_end(struct frame_out *out)
{
    if (out->overflow)
        return 0;
    struct proto_header header;
    memcpy(&header, out->buffer, sizeof(header));
    header.length = (uint32_t)(out->len - sizeof(header));
    memcpy(out->buffer, &header, sizeof(header));
    return out->len;
}
