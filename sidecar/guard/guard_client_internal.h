#pragma once
/* What guard_client.c (the connection) and guard_client_request.c (what is asked over it) share;
 * nobody else includes it. */
#include "base/limits.h"
#include "sidecar/guard/frame.h"
#include "sidecar/guard/guard_client.h"

enum {
    REQUESTS_MAX = 32,   /* that wait for the guard at a time */
    REQUEST_MS = 2000,   /* until the guard must have answered */
    RUN_SLACK_MS = 5000, /* after a tool's deadline, until we stop to wait for its end */
    INCOMING_MAX = PROTO_CHUNK_MAX + 1024,
};

/* One that waits for its answer, or (ended) for its callback. */
struct request {
    struct request *next;
    bool ended;
    bool is_run;
    uint32_t id;
    struct mono by;
    guard_done_fn *done; /* of all but runs */
    void *arg;
    struct guard_run run; /* callbacks and deadline only */
    int wait_status;
    struct err err; /* once ended */
};

/* In the order in which they were asked. */
struct requests {
    struct request *first;
    uint32_t last_id;
};

struct guard_client {
    struct loop *loop;
    char *path;
    guard_changed_fn *changed;
    void *arg;
    struct guard_status status;
    struct mono guard_since; /* of the welcome; told with the first status */
    int fd;                  /* -1: not connected */
    uint16_t version;        /* agreed; 0: no welcome yet */
    struct mono welcome_by;
    int pidfd; /* of the guard; -1: unknown, or it has ended */
    bool guard_ended;
    bool changed_waits;
    struct source *socket;
    struct source *process; /* pidfd */
    struct source *tell;    /* callbacks that wait */
    struct source *retry;
    struct source *timeout;
    struct requests requests;
    char incoming[INCOMING_MAX];
    char outgoing[PROTO_FRAME_MAX];
};

/* Takes out the first that has ended; the caller frees it. NULL: none. */
struct request *requests_take_ended(struct requests *requests);
void requests_done(struct requests *requests);
struct request *requests_find(struct requests *requests, uint32_t id);
struct mono requests_next_timeout(const struct requests *requests);
/* True if one ended by it. */
bool requests_time_out(struct requests *requests, struct mono now);
void requests_call(const struct request *ended);
void request_end(struct request *request, enum err_code code, const char *text);
enum err_code request_code(int32_t proto_code);

void client_changed(struct guard_client *client);
void client_arm_timeout(struct guard_client *client);
void client_disconnect(struct guard_client *client, const char *why);
