#pragma once
/* The guard's socket: one sidecar at a time, a second one fences the first (L7). Moves frames and
 * knows nothing of their meaning. Nothing is queued but one of each kind: while a reply waits for
 * the sidecar to read, no further request is taken. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "sidecar/guard/frame.h"

struct server {
    const char *path;
    int listen_fd;
    int sidecar_fd;  /* -1: none is connected */
    int newcomer_fd; /* connected, has not said who it is; -1: none */
    struct mono newcomer_by;
    struct mono since; /* when the last sidecar left, while none is connected */
    uint16_t version;  /* agreed with the sidecar */
    int64_t started_ms;
    bool full; /* the sidecar does not read: wait until it does */
    bool status_sent;
    struct proto_status status; /* the last one sent */
    size_t reply_len;           /* 0: none waits */
    size_t chunk_len;
    bool exit_waits;
    char reply[sizeof(struct proto_header) + sizeof(struct proto_reply) + PROTO_TEXT_MAX];
    char chunk[sizeof(struct proto_header) + PROTO_CHUNK_MAX];
    char exit[sizeof(struct proto_header) + sizeof(struct proto_exit)];
    char request[PROTO_FRAME_MAX];
};

/* Unlinks what is at `path` and listens there, for our own user only. `path` is borrowed. False
 * with errno. */
bool server_open(struct server *server, const char *path, struct mono now);
/* Closes, and removes the socket. */
void server_close(struct server *server);

/* Somebody wants in. Its first frame is looked at by server_greet. */
void server_accept(struct server *server, struct mono now);
/* The newcomer's first frame, or its time is over. True: it is the sidecar from now on, and the one
 * before was fenced. An observer is sent `status` and let go. */
bool server_greet(struct server *server, const struct proto_status *status, struct mono now);

/* The next request, in server->request. False: none now, or the sidecar left (sidecar_fd is -1). */
bool server_receive(struct server *server, struct mono now, struct frame *ret_request);
bool server_may_receive(const struct server *server);

/* These fill the one place of their kind; it must be free. */
void server_reply(struct server *server, uint32_t id, enum proto_code code, const char *text);
void server_put_chunk(struct server *server, uint32_t id, size_t len); /* bytes are in place */
char *server_chunk_room(struct server *server);
void server_put_exit(struct server *server, uint32_t id, const struct proto_exit *end);

/* Sends what waits, the status first if it is not the one that was sent last: a reply is never
 * ahead of what it tells. */
void server_flush(struct server *server, const struct proto_status *status, struct mono now);
/* Something waits for room in the socket. */
bool server_wants_room(const struct server *server);
