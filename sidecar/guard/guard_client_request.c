#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "sidecar/guard/guard_client_internal.h"

struct request *requests_take_ended(struct requests *requests)
{
    struct request **at = &requests->first;
    while (*at != NULL && !(*at)->ended)
        at = &(*at)->next;
    struct request *ended = *at;
    if (ended != NULL)
        *at = ended->next;
    return ended;
}

void requests_done(struct requests *requests)
{
    while (requests->first != NULL) {
        struct request *request = requests->first;
        requests->first = request->next;
        free(request);
    }
}

struct request *requests_find(struct requests *requests, uint32_t id)
{
    struct request *request = requests->first;
    while (request != NULL && (request->ended || request->id != id))
        request = request->next;
    return request;
}

struct mono requests_next_timeout(const struct requests *requests)
{
    struct mono next = MONO_NEVER;
    for (const struct request *request = requests->first; request; request = request->next)
        if (!request->ended)
            next = mono_min(next, request->by);
    return next;
}

bool requests_time_out(struct requests *requests, struct mono now)
{
    bool some = false;
    for (struct request *request = requests->first; request; request = request->next) {
        if (request->ended || mono_before(now, request->by))
            continue;
        request_end(request, ERR_TIMEOUT, "the guard did not answer in time");
        some = true;
    }
    return some;
}

/* May free the client. */
void requests_call(const struct request *ended)
{
    if (ended->is_run) {
        const char *text = ended->err.text;
        if (text[0] != 0 && ended->run.output != NULL)
            ended->run.output(ended->run.arg, text, strlen(text));
        if (ended->run.done != NULL)
            ended->run.done(ended->run.arg, ended->err.code, ended->wait_status);
    } else if (ended->done != NULL) {
        ended->done(ended->arg, ended->err.code, &ended->err);
    }
}

void request_end(struct request *request, enum err_code code, const char *text)
{
    request->ended = true;
    (void)err_set(&request->err, code, "%s", text);
}

enum err_code request_code(int32_t proto_code)
{
    switch (proto_code) {
    case PROTO_OK:
        return ERR_OK;
    case PROTO_REFUSED:
        return ERR_REFUSED;
    case PROTO_INVALID:
        return ERR_INVALID;
    case PROTO_SYSTEM:
        return ERR_SYSTEM;
    default:
        return ERR_PROTOCOL;
    }
}

/* Puts one at the end of the list. It has ended already when nothing can be sent for it. */
static struct request *requests_add(struct guard_client *client)
{
    unsigned waiting = 0;
    struct request **at = &client->requests.first;
    for (; *at != NULL; at = &(*at)->next)
        waiting += (*at)->ended ? 0 : 1;
    struct request *request = mem_struct(struct request);
    request->id = ++client->requests.last_id;
    request->by = mono_add(loop_now(client->loop), REQUEST_MS);
    *at = request;
    if (!client->status.connected)
        request_end(request, ERR_UNREACHABLE, "no guard is connected");
    else if (waiting >= REQUESTS_MAX)
        request_end(request, ERR_LIMIT, "too many requests to the guard are under way");
    return request;
}

static struct frame_out request_frame(struct guard_client *client, enum proto_type type,
                                      const struct request *request)
{
    return frame_begin(client->outgoing, sizeof(client->outgoing), client->version, type,
                       request->id);
}

/* A guard that does not take a frame is stopped or starved: then nothing happened. */
static void request_send(struct guard_client *client, struct request *request,
                         struct frame_out *frame)
{
    size_t len = frame_end(frame);
    if (request->ended)
        len = 0;
    else if (len == 0)
        request_end(request, ERR_LIMIT, "the words for the guard do not fit into a frame");
    else if (send(client->fd, client->outgoing, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
        request_end(request, ERR_UNREACHABLE, "the guard does not take the request");
    if (request->ended)
        source_trigger(client->tell);
    client_arm_timeout(client);
}

static void request_plain(struct guard_client *client, enum proto_type type, const void *body,
                          size_t len, guard_done_fn *done, void *arg)
{
    struct request *request = requests_add(client);
    request->done = done;
    request->arg = arg;
    struct frame_out frame = request_frame(client, type, request);
    frame_put(&frame, body, len);
    request_send(client, request, &frame);
}

void guard_deadline(struct guard_client *client, struct mono deadline, struct guard_cookie cookie,
                    guard_done_fn *done, void *arg)
{
    const struct proto_deadline offer = { .at_ms = deadline.ms,
                                          .lease_id = cookie.lease_id,
                                          .create_revision = cookie.create_revision };
    request_plain(client, PROTO_DEADLINE, &offer, sizeof(offer), done, arg);
}

void guard_lift_deadline(struct guard_client *client, struct guard_cookie cookie,
                         guard_done_fn *done, void *arg)
{
    const struct proto_lift lift = { .lease_id = cookie.lease_id,
                                     .create_revision = cookie.create_revision };
    request_plain(client, PROTO_LIFT, &lift, sizeof(lift), done, arg);
}

static void put_strings(struct frame_out *frame, const char *const *strings, uint32_t count)
{
    for (uint32_t index = 0; index < count; index++)
        frame_put_string(frame, strings[index]);
}

/* More words than a frame may have make it as wrong as one that is too long. */
static void put_program(struct frame_out *frame, const char *const *argv, const char *const *env,
                        const char *cwd)
{
    uint32_t argc = frame_count(argv, PROTO_ARGV_MAX);
    uint32_t envc = frame_count(env, PROTO_ENV_MAX);
    if (argc > PROTO_ARGV_MAX || envc > PROTO_ENV_MAX) {
        frame->overflow = true;
        return;
    }
    put_strings(frame, argv, argc);
    put_strings(frame, env, envc);
    frame_put_string(frame, cwd != NULL ? cwd : "/");
}

void guard_start(struct guard_client *client, const struct guard_start *start, guard_done_fn *done,
                 void *arg)
{
    struct request *request = requests_add(client);
    request->done = done;
    request->arg = arg;
    const struct proto_start body = { .lease_id = start->cookie.lease_id,
                                      .create_revision = start->cookie.create_revision,
                                      .primary = start->primary ? 1 : 0,
                                      .argc = frame_count(start->argv, PROTO_ARGV_MAX),
                                      .envc = frame_count(start->env, PROTO_ENV_MAX) };
    struct frame_out frame = request_frame(client, PROTO_START, request);
    frame_put(&frame, &body, sizeof(body));
    put_program(&frame, start->argv, start->env, start->cwd);
    request_send(client, request, &frame);
}

void guard_signal(struct guard_client *client, int signum, guard_done_fn *done, void *arg)
{
    const struct proto_signal body = { .signum = signum };
    request_plain(client, PROTO_SIGNAL, &body, sizeof(body), done, arg);
}

void guard_kill(struct guard_client *client, guard_done_fn *done, void *arg)
{
    request_plain(client, PROTO_KILL, NULL, 0, done, arg);
}

void guard_handed_over(struct guard_client *client, guard_done_fn *done, void *arg)
{
    request_plain(client, PROTO_HANDED_OVER, NULL, 0, done, arg);
}

void guard_stop(struct guard_client *client, guard_done_fn *done, void *arg)
{
    request_plain(client, PROTO_STOP, NULL, 0, done, arg);
}

static void put_idle_tool(struct frame_out *frame, struct mono deadline)
{
    static const char *const argv[] = { "/bin/true", NULL };
    const struct proto_run body = { .deadline_ms = deadline.ms, .argc = 1 };
    frame_put(frame, &body, sizeof(body));
    put_program(frame, argv, NULL, NULL);
}

void guard_hold_lock(struct guard_client *client, guard_done_fn *done, void *arg)
{
    bool old = client->version < 2;
    struct request *request = requests_add(client);
    request->done = done;
    request->arg = arg;
    struct frame_out frame = request_frame(client, old ? PROTO_RUN : PROTO_LOCK, request);
    if (old)
        put_idle_tool(&frame, request->by);
    request_send(client, request, &frame);
}

static struct request *running_tool(struct guard_client *client)
{
    struct request *request = client->requests.first;
    while (request != NULL && (request->ended || !request->is_run))
        request = request->next;
    return request;
}

void guard_run(struct guard_client *client, const struct guard_run *run)
{
    bool busy = running_tool(client) != NULL;
    struct request *request = requests_add(client);
    request->is_run = true;
    request->run = *run;
    /* Borrowed words are not looked at again. */
    request->run.argv = NULL;
    request->run.env = NULL;
    request->run.cwd = NULL;
    if (busy && !request->ended)
        request_end(request, ERR_REFUSED, "a tool runs already");
    const struct proto_run body = { .deadline_ms = run->deadline.ms,
                                    .argc = frame_count(run->argv, PROTO_ARGV_MAX),
                                    .envc = frame_count(run->env, PROTO_ENV_MAX) };
    struct frame_out frame = request_frame(client, PROTO_RUN, request);
    frame_put(&frame, &body, sizeof(body));
    put_program(&frame, run->argv, run->env, run->cwd);
    request_send(client, request, &frame);
}

void guard_run_cancel(struct guard_client *client)
{
    if (running_tool(client) != NULL)
        request_plain(client, PROTO_RUN_CANCEL, NULL, 0, NULL, NULL);
}
