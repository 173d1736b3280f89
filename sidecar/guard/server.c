#include "sidecar/guard/server.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sidecar/guard/os.h"

enum { SERVER_BACKLOG = 8, SERVER_GREET_MS = 1000, SERVER_SMALL = 256 };

bool server_open(struct server *server, const char *path, struct mono now)
{
    server->path = path;
    server->listen_fd = -1;
    server->sidecar_fd = -1;
    server->newcomer_fd = -1;
    server->since = now;
    server->started_ms = now.ms;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    (void)unlink(path);
    mode_t before = umask(0177);
    bool fine = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    (void)umask(before);
    if (!fine || listen(fd, SERVER_BACKLOG) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return false;
    }
    server->listen_fd = fd;
    return true;
}

static void server_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void server_close(struct server *server)
{
    server_close_fd(&server->sidecar_fd);
    server_close_fd(&server->newcomer_fd);
    server_close_fd(&server->listen_fd);
    (void)unlink(server->path);
}

static void server_drop(struct server *server, const char *why, struct mono now)
{
    say("%s -> the connection of the sidecar is closed", why);
    server_close_fd(&server->sidecar_fd);
    server->since = now;
}

void server_accept(struct server *server, struct mono now)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct ucred peer = { 0 };
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != getuid()) {
        say("a process of user %u connected -> refused", (unsigned)peer.uid);
        close(fd);
        return;
    }
    /* The latest comes first: one that says nothing cannot keep others out. */
    server_close_fd(&server->newcomer_fd);
    server->newcomer_fd = fd;
    server->newcomer_by = mono_add(now, SERVER_GREET_MS);
}

/* Sends a frame at once or not at all. */
static bool server_send_now(int fd, const void *frame, size_t len)
{
    return len > 0 && send(fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

static size_t server_build(char *buffer, size_t size, uint16_t version, enum proto_type type,
                           const void *body, size_t body_len)
{
    struct frame_out out = frame_begin(buffer, size, version, type, 0);
    frame_put(&out, body, body_len);
    return frame_end(&out);
}

/* Says its last word to a sidecar that another one has replaced. What it had still sent is thrown
 * away, and taken out first: closing with unread bytes would reset the connection. */
static void server_fence(struct server *server)
{
    char frame[SERVER_SMALL];
    size_t len = server_build(frame, sizeof(frame), server->version, PROTO_FENCED, NULL, 0);
    for (int at = 0; at < SERVER_SMALL; at++)
        if (recv(server->sidecar_fd, server->request, sizeof(server->request), MSG_DONTWAIT) <= 0)
            break;
    (void)server_send_now(server->sidecar_fd, frame, len);
    server_close_fd(&server->sidecar_fd);
    say("another sidecar has connected -> the one before is fenced");
}

static void server_refuse(struct server *server, const char *why)
{
    char frame[SERVER_SMALL];
    struct frame_out out = frame_begin(frame, sizeof(frame), PROTO_VERSION, PROTO_REPLY, 0);
    const struct proto_reply reply = { .code = PROTO_REFUSED };
    frame_put(&out, &reply, sizeof(reply));
    frame_put_string(&out, why);
    (void)server_send_now(server->newcomer_fd, frame, frame_end(&out));
    server_close_fd(&server->newcomer_fd);
    say("somebody connected: %s -> refused", why);
}

static bool server_welcome(struct server *server, uint16_t version)
{
    char frame[SERVER_SMALL];
    const struct proto_welcome welcome = { .started_ms = server->started_ms };
    size_t len =
        server_build(frame, sizeof(frame), version, PROTO_WELCOME, &welcome, sizeof(welcome));
    if (!server_send_now(server->newcomer_fd, frame, len)) {
        server_close_fd(&server->newcomer_fd);
        return false;
    }
    if (server->sidecar_fd >= 0)
        server_fence(server);
    server->sidecar_fd = server->newcomer_fd;
    server->newcomer_fd = -1;
    server->version = version;
    server->full = false;
    server->status_sent = false;
    server->reply_len = 0;
    server->chunk_len = 0;
    server->exit_waits = false;
    return true;
}

bool server_greet(struct server *server, const struct proto_status *status, struct mono now)
{
    if (server->newcomer_fd < 0)
        return false;
    char buffer[SERVER_SMALL];
    ssize_t got = recv(server->newcomer_fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (!mono_before(now, server->newcomer_by))
            server_refuse(server, "no greeting came in time");
        return false;
    }
    struct frame hello;
    if (got <= 0) {
        server_close_fd(&server->newcomer_fd);
        return false;
    }
    if (got > (ssize_t)sizeof(buffer) || !frame_parse(buffer, (size_t)got, &hello)) {
        server_refuse(server, "not a frame of this protocol");
        return false;
    }
    uint16_t version = proto_agree(PROTO_VERSION, hello.header.version);
    if (version == 0) {
        server_refuse(server, "this guard speaks another protocol version");
        return false;
    }
    if (hello.header.type == PROTO_HELLO)
        return server_welcome(server, version);
    if (hello.header.type == PROTO_OBSERVE) {
        size_t len =
            server_build(buffer, sizeof(buffer), version, PROTO_STATUS, status, sizeof(*status));
        (void)server_send_now(server->newcomer_fd, buffer, len);
        server_close_fd(&server->newcomer_fd);
        return false;
    }
    server_refuse(server, "the first frame was no greeting");
    return false;
}

bool server_may_receive(const struct server *server)
{
    return server->sidecar_fd >= 0 && server->reply_len == 0;
}

bool server_receive(struct server *server, struct mono now, struct frame *ret_request)
{
    if (!server_may_receive(server))
        return false;
    ssize_t got = recv(server->sidecar_fd, server->request, sizeof(server->request),
                       MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        server_drop(server, got == 0 ? "the sidecar has gone" : strerror(errno), now);
        return false;
    }
    if (got > (ssize_t)sizeof(server->request) ||
        !frame_parse(server->request, (size_t)got, ret_request)) {
        server_drop(server, "the sidecar sent what is no frame of this protocol", now);
        return false;
    }
    if (ret_request->header.version != server->version) {
        server_drop(server, "the sidecar sent a frame of another version than agreed", now);
        return false;
    }
    return true;
}

void server_reply(struct server *server, uint32_t id, enum proto_code code, const char *text)
{
    struct frame_out out =
        frame_begin(server->reply, sizeof(server->reply), server->version, PROTO_REPLY, id);
    const struct proto_reply reply = { .code = (int32_t)code };
    char cut[PROTO_TEXT_MAX];
    (void)snprintf(cut, sizeof(cut), "%s", text);
    frame_put(&out, &reply, sizeof(reply));
    frame_put_string(&out, cut);
    server->reply_len = frame_end(&out);
}

char *server_chunk_room(struct server *server)
{
    return server->chunk + sizeof(struct proto_header);
}

void server_put_chunk(struct server *server, uint32_t id, size_t len)
{
    struct frame_out out =
        frame_begin(server->chunk, sizeof(server->chunk), server->version, PROTO_OUTPUT, id);
    out.len += len;
    server->chunk_len = frame_end(&out);
}

void server_put_exit(struct server *server, uint32_t id, const struct proto_exit *end)
{
    struct frame_out out =
        frame_begin(server->exit, sizeof(server->exit), server->version, PROTO_EXIT, id);
    frame_put(&out, end, sizeof(*end));
    (void)frame_end(&out);
    server->exit_waits = true;
}

/* False: not sent, now or ever. */
static bool server_send(struct server *server, const char *frame, size_t len, struct mono now)
{
    if (server->sidecar_fd < 0 || server->full)
        return false;
    if (server_send_now(server->sidecar_fd, frame, len))
        return true;
    if (errno == EAGAIN || errno == ENOBUFS)
        server->full = true;
    else
        server_drop(server, strerror(errno), now);
    return false;
}

static bool server_send_status(struct server *server, const struct proto_status *status,
                               struct mono now)
{
    if (server->status_sent && memcmp(status, &server->status, sizeof(*status)) == 0)
        return true;
    char frame[SERVER_SMALL];
    size_t len =
        server_build(frame, sizeof(frame), server->version, PROTO_STATUS, status, sizeof(*status));
    if (!server_send(server, frame, len, now))
        return false;
    server->status = *status;
    server->status_sent = true;
    return true;
}

void server_flush(struct server *server, const struct proto_status *status, struct mono now)
{
    server->full = false;
    if (server->sidecar_fd < 0 || !server_send_status(server, status, now))
        return;
    if (server->reply_len > 0 && server_send(server, server->reply, server->reply_len, now))
        server->reply_len = 0;
    if (server->chunk_len > 0 && server_send(server, server->chunk, server->chunk_len, now))
        server->chunk_len = 0;
    bool last = server->exit_waits && server->chunk_len == 0;
    if (last && server_send(server, server->exit, sizeof(server->exit), now))
        server->exit_waits = false;
}

bool server_wants_room(const struct server *server)
{
    return server->sidecar_fd >= 0 && server->full;
}
