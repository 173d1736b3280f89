#include "sidecar/guard/guard_client.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "sidecar/guard/frame.h"
#include "sidecar/guard/guard_client_internal.h"

enum { RETRY_MS = 100, WELCOME_MS = 2000 };

static void client_connect(void *arg);
static void client_readable(void *arg, int events);

/* Exactly one callback per run, and nothing after it: it may have freed the client. */
static void client_tell(void *arg)
{
    struct guard_client *client = arg;
    if (client->changed_waits) {
        client->changed_waits = false;
        source_trigger(client->tell);
        client->changed(client->arg);
        return;
    }
    auto_free struct request *ended = requests_take_ended(&client->requests);
    if (ended == NULL)
        return;
    source_trigger(client->tell);
    requests_call(ended);
}

void client_changed(struct guard_client *client)
{
    client->changed_waits = true;
    source_trigger(client->tell);
}

/* The earliest of what somebody waits for. */
void client_arm_timeout(struct guard_client *client)
{
    struct mono next = requests_next_timeout(&client->requests);
    if (client->fd >= 0 && !client->status.connected)
        next = mono_min(next, client->welcome_by);
    if (next.ms == INT64_MAX)
        source_disarm(client->timeout);
    else
        source_arm_at(client->timeout, next);
}

static void client_end_all(struct guard_client *client)
{
    for (struct request *request = client->requests.first; request; request = request->next) {
        if (request->ended)
            continue;
        /* The guard kills a tool whose caller is gone. Of the rest nobody knows. */
        if (request->is_run)
            request_end(request, ERR_CANCELLED, "the guard was lost while the tool ran");
        else
            request_end(request, ERR_TIMEOUT, "the guard was lost before it answered");
    }
    source_trigger(client->tell);
}

void client_disconnect(struct guard_client *client, const char *why)
{
    if (client->fd < 0)
        return;
    log_debug("guard: %s -> disconnected from %s", why, client->path);
    client->socket = source_free(client->socket);
    close(client->fd);
    client->fd = -1;
    client->version = 0;
    client->status.connected = false;
    client->status.dead = client->guard_ended;
    client_end_all(client);
    client_changed(client);
    client_arm_timeout(client);
    if (!client->status.fenced)
        source_arm_in(client->retry, RETRY_MS);
}

static void client_timeout(void *arg)
{
    struct guard_client *client = arg;
    struct mono now = loop_now(client->loop);
    if (client->fd >= 0 && !client->status.connected && !mono_before(now, client->welcome_by))
        client_disconnect(client, "no welcome in time");
    if (requests_time_out(&client->requests, now))
        source_trigger(client->tell);
    client_arm_timeout(client);
}

/* The guard's process has ended; a process id could be another's by now, this cannot. */
static void client_guard_ended(void *arg, int events)
{
    struct guard_client *client = arg;
    (void)events;
    client->guard_ended = true;
    client->process = source_free(client->process);
    client->pidfd = (close(client->pidfd), -1);
    client->status.dead = client->fd < 0;
    client_changed(client);
}

static void client_forget_process(struct guard_client *client)
{
    client->process = source_free(client->process);
    if (client->pidfd >= 0)
        close(client->pidfd);
    client->pidfd = -1;
    client->guard_ended = false;
    client->status.dead = false;
}

/* Who is at the other end: our own user's process, or nobody that we talk to. */
static bool client_know_guard(struct guard_client *client, int fd)
{
    struct ucred peer = { 0 };
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != getuid()) {
        log_debug("guard: %s belongs to user %u -> not used", client->path, (unsigned)peer.uid);
        return false;
    }
    client_forget_process(client);
    client->status.guard_pid = (int)peer.pid;
    if (peer.pid > 0)
        client->pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0U);
    if (client->pidfd >= 0)
        client->process =
            loop_fd(client->loop, client->pidfd, LOOP_READ, client_guard_ended, client);
    return true;
}

static void client_connect(void *arg)
{
    struct guard_client *client = arg;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!text_copy(address.sun_path, sizeof(address.sun_path), client->path))
        return;
    source_arm_in(client->retry, RETRY_MS);
    auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return;
    if (!client_know_guard(client, fd))
        return;
    char hello[sizeof(struct proto_header)];
    struct frame_out out = frame_begin(hello, sizeof(hello), PROTO_VERSION, PROTO_HELLO, 0);
    size_t len = frame_end(&out);
    if (send(fd, hello, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
        return;
    source_disarm(client->retry);
    client->fd = take_fd(&fd);
    client->socket = loop_fd(client->loop, client->fd, LOOP_READ, client_readable, client);
    client->welcome_by = mono_add(loop_now(client->loop), WELCOME_MS);
    client_arm_timeout(client);
}

static bool take_welcome(struct guard_client *client, struct frame *frame)
{
    struct proto_welcome welcome;
    uint16_t version = frame->header.version;
    if (!frame_take(frame, &welcome, sizeof(welcome)) ||
        proto_agree(PROTO_VERSION, version) != version)
        return false;
    client->version = version;
    client->guard_since = (struct mono){ welcome.started_ms };
    return true;
}

static bool take_status(struct guard_client *client, struct frame *frame)
{
    struct proto_status told;
    if (client->version == 0 || !frame_take(frame, &told, sizeof(told)) ||
        told.child < PROTO_CHILD_NONE || told.child > PROTO_CHILD_DYING)
        return false;
    static const enum guard_child children[] = { [PROTO_CHILD_NONE] = GUARD_CHILD_NONE,
                                                 [PROTO_CHILD_RUNNING] = GUARD_CHILD_RUNNING,
                                                 [PROTO_CHILD_DYING] = GUARD_CHILD_DYING };
    struct guard_status *status = &client->status;
    status->connected = true;
    status->guard_since = client->guard_since;
    status->child = children[told.child];
    status->pid = told.pid;
    status->exit_status = told.exit_status;
    status->children = told.children;
    status->has_deadline = (told.flags & PROTO_HAS_DEADLINE) != 0;
    status->deadline = (struct mono){ told.deadline_ms };
    status->killed_by_deadline = (told.flags & PROTO_KILLED_BY_DEADLINE) != 0;
    status->cookie = (struct guard_cookie){ told.lease_id, told.create_revision };
    status->stop_requested = (told.flags & PROTO_STOP_REQUESTED) != 0;
    status->stop_by = (struct mono){ told.stop_by_ms };
    status->lock_held = (told.flags & PROTO_LOCK_HELD) != 0;
    status->lifted = (told.flags & PROTO_LIFTED) != 0;
    client_changed(client);
    client_arm_timeout(client);
    return true;
}

static bool take_reply(struct guard_client *client, struct frame *frame)
{
    struct proto_reply reply;
    char *text = NULL;
    if (!frame_take(frame, &reply, sizeof(reply)) || !frame_string(frame, &text))
        return false;
    struct request *request = requests_find(&client->requests, frame->header.id);
    if (request == NULL) {
        /* Timed out here before; or a refusal of our greeting. */
        log_debug("guard: answer %d to nothing that waits: %s", (int)reply.code, text);
        return frame->header.id != 0;
    }
    bool fine = reply.code == PROTO_OK;
    /* The child of a run lives on until its EXIT; until then it only has a longer deadline. */
    if (fine && request->is_run)
        request->by = mono_add(request->run.deadline, RUN_SLACK_MS);
    else
        request_end(request, fine ? ERR_OK : request_code(reply.code), text);
    client_arm_timeout(client);
    source_trigger(client->tell);
    return true;
}

static bool take_exit(struct guard_client *client, struct frame *frame)
{
    struct proto_exit ended;
    if (!frame_take(frame, &ended, sizeof(ended)))
        return false;
    struct request *request = requests_find(&client->requests, frame->header.id);
    if (request == NULL || !request->is_run)
        return true;
    request->wait_status = ended.wait_status;
    request_end(request,
                ended.end == PROTO_END_EXITED     ? ERR_OK
                : ended.end == PROTO_END_DEADLINE ? ERR_TIMEOUT
                                                  : ERR_CANCELLED,
                "");
    client_arm_timeout(client);
    source_trigger(client->tell);
    return true;
}

/* False: the other end does not speak our protocol. May end in the output callback. */
static bool client_take(struct guard_client *client, struct frame *frame)
{
    if (client->version != 0 && frame->header.version != client->version)
        return false;
    struct request *request = NULL;
    switch (frame->header.type) {
    case PROTO_WELCOME:
        return take_welcome(client, frame);
    case PROTO_STATUS:
        return take_status(client, frame);
    case PROTO_REPLY:
        return take_reply(client, frame);
    case PROTO_EXIT:
        return take_exit(client, frame);
    case PROTO_FENCED:
        client->status.fenced = true;
        client_disconnect(client, "another sidecar took the guard over");
        return true;
    case PROTO_OUTPUT:
        request = requests_find(&client->requests, frame->header.id);
        if (request != NULL && request->is_run && request->run.output != NULL)
            request->run.output(request->run.arg, frame->at, frame->left);
        return true;
    default:
        /* Of a newer guard of the same version; nothing that we asked for. */
        return true;
    }
}

static void client_readable(void *arg, int events)
{
    struct guard_client *client = arg;
    (void)events;
    ssize_t got =
        recv(client->fd, client->incoming, sizeof(client->incoming), MSG_DONTWAIT | MSG_TRUNC);
    /* A reset comes ahead of the last frames; they are read after it. */
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
        return;
    if (got <= 0) {
        client_disconnect(client, got == 0 ? "the guard closed" : strerror(errno));
        return;
    }
    struct frame frame;
    bool fits = got <= (ssize_t)sizeof(client->incoming);
    if (!fits || !frame_parse(client->incoming, (size_t)got, &frame) ||
        !client_take(client, &frame))
        client_disconnect(client, "what it sent makes no sense");
}

struct guard_client *guard_client_new(struct loop *loop, const char *socket_path,
                                      guard_changed_fn *changed, void *arg)
{
    struct guard_client *client = mem_struct(struct guard_client);
    client->loop = loop;
    client->path = mem_strdup(socket_path);
    client->changed = changed;
    client->arg = arg;
    client->fd = -1;
    client->pidfd = -1;
    /* G1: nobody has said yet that nothing runs. */
    client->status.child = GUARD_CHILD_DYING;
    client->tell = loop_defer(loop, client_tell, client);
    client->retry = loop_timer(loop, client_connect, client);
    client->timeout = loop_timer(loop, client_timeout, client);
    source_arm_in(client->retry, 0);
    return client;
}

struct guard_client *guard_client_free(struct guard_client *client)
{
    if (client == NULL)
        return NULL;
    client->tell = source_free(client->tell);
    client->retry = source_free(client->retry);
    client->timeout = source_free(client->timeout);
    client->socket = source_free(client->socket);
    client->process = source_free(client->process);
    if (client->fd >= 0)
        close(client->fd);
    if (client->pidfd >= 0)
        close(client->pidfd);
    requests_done(&client->requests);
    free(client->path);
    free(client);
    return NULL;
}

const struct guard_status *guard_client_status(const struct guard_client *client)
{
    return &client->status;
}
