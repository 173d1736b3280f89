#pragma once
/* A client of etcd v3's JSON gateway: endpoints, failover between them, login, deadlines. The requests
 * themselves are in kv.h, lease.h, watch.h, members.h, renewal.h; this file has what they share.
 *
 * Every request: returns a handle, calls `done` exactly once, from the loop, never from inside the
 * call that made it, never after the handle was freed. The owner frees the handle, also from inside
 * `done`. Everything given is copied; everything in a result is borrowed until the callback returns.
 *
 * It goes to the sticky endpoint, and on to the next one when there it certainly did not happen (nobody
 * there, no raft leader, a learner), again and again until the deadline. What may have happened is
 * repeated elsewhere only if it is a read. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/http.h"
#include "loop/loop.h"

struct etcd;
struct etcd_call;

/* What was wrong, finer than err_code. */
#define ETCD_FAILURES(X)                                                                           \
    X(NONE, "none")                                                                                \
    X(NO_ANSWER, "no answer")      /* nobody there, broken, or too late */                         \
    X(NO_LEADER, "no raft leader") /* the member sees no quorum */                                 \
    X(UNAVAILABLE, "unavailable")  /* leader changed, stopped, timed out: may have been */         \
    X(LEARNER, "a learner")        /* the member cannot serve this */                              \
    X(LEASE_NOT_FOUND, "lease not found")                                                          \
    X(NO_SPACE, "database space exceeded") /* E5 */                                                \
    X(COMPACTED, "revision compacted")                                                             \
    X(FUTURE_REVISION, "revision is in the future")                                                \
    X(LOGIN, "login refused")            /* user or password wrong, or user needed */              \
    X(TOKEN, "token not valid any more") /* handled inside: a new login */                         \
    X(PERMISSION, "permission denied")                                                             \
    X(MEMBER_NOT_FOUND, "member not found")                                                        \
    X(MEMBER_EXISTS, "member exists")                                                              \
    X(LEARNER_NOT_READY, "learner not ready")                                                      \
    X(NOT_A_LEARNER, "not a learner")                                                              \
    X(TOO_MANY_LEARNERS, "too many learners")                                                      \
    X(UNHEALTHY, "unhealthy cluster") /* too few members started or connected */                   \
    X(TOO_MANY_REQUESTS, "too many requests")                                                      \
    X(CORRUPT, "corrupt cluster")                                                                  \
    X(PROTOCOL, "not an answer of etcd")                                                           \
    X(OTHER, "refused")

#define ETCD_FAILURE_ENUM(name, text) ETCD_FAIL_##name,
enum etcd_failure { ETCD_FAILURES(ETCD_FAILURE_ENUM) ETCD_FAILURE_MAX };
#undef ETCD_FAILURE_ENUM
const char *etcd_failure_name(enum etcd_failure failure);

/* The header of a reply; zeros where etcd left something out. */
struct etcd_header {
    uint64_t cluster_id;
    uint64_t member_id; /* who answered: the identity of an endpoint, whatever its address */
    int64_t revision;
    uint64_t raft_term;
};

/* The common part of every result. */
struct etcd_outcome {
    enum err_code
        code; /* ERR_OK, ERR_UNREACHABLE (did not happen), ERR_TIMEOUT (may have happened),
                           ERR_REFUSED, ERR_NOT_FOUND (lease, member), ERR_PROTOCOL, ERR_LIMIT */
    enum etcd_failure failure;
    const char *error; /* for a person, with the endpoint; "" when ERR_OK */
    int endpoint;      /* index of the endpoint that was asked last; ETCD_ANY when none was */
    struct etcd_header header; /* valid with ERR_OK */
};

enum { ETCD_ANY = -1 };

/* How a request goes out. */
struct etcd_how {
    int64_t timeout_ms; /* for everything: login, all tries, pauses; must be > 0 */
    int endpoint;       /* ETCD_ANY, or an index: only there, one try (L1) */
};

struct etcd_config {
    const char *const *endpoints; /* "http://host:port", NULL-terminated, at most LIMIT_ENDPOINTS */
    const struct http_tls *tls;   /* borrowed, must outlive the client; NULL: plain or system's */
    const char *user;             /* NULL: no authentication */
    const char *password;
};

/* `http` is borrowed and must outlive the client. */
struct etcd *etcd_new(struct loop *loop, struct http *http, const struct etcd_config *config);
/* Cancels what is under way, without callbacks; the handles are gone with it. NULL is fine. */
struct etcd *etcd_free(struct etcd *etcd);

/* New endpoints at run time; those that stay keep their index, others take free ones. More than
 * LIMIT_ENDPOINTS are ignored. */
void etcd_set_endpoints(struct etcd *etcd, const char *const *endpoints);
void etcd_set_login(struct etcd *etcd, const char *user, const char *password);

/* Indexes run from 0 to LIMIT_ENDPOINTS - 1, some unused. NULL: unused. Borrowed. */
const char *etcd_endpoint_url(const struct etcd *etcd, int endpoint);
/* Index of this URL, or ETCD_ANY. */
int etcd_endpoint_find(const struct etcd *etcd, const char *url);
/* Where ETCD_ANY goes now; ETCD_ANY when there is none. */
int etcd_endpoint_current(const struct etcd *etcd);
/* The next used index after `endpoint` in a circle; the same one when it is the only one. For the
 * second sequence of a renewal (design part 3) and for going round them all. */
int etcd_endpoint_after(const struct etcd *etcd, int endpoint);
/* Makes it the sticky one. */
void etcd_endpoint_prefer(struct etcd *etcd, int endpoint);

/* Cancels without `done`. NULL is fine; returns NULL. */
struct etcd_call *etcd_call_free(struct etcd_call *call);
/* Takes the handle: it goes on without a callback and frees itself. NULL is fine; returns NULL. */
struct etcd_call *etcd_call_release(struct etcd_call *call);

/* `fn` learns, so that nobody has to ask etcd again and again how it is, of what points to trouble or
 * to another raft leader: a request or a watch that failed, an answer with a higher raft term, and what
 * etcd_sign is told. It is called from inside of anything, so that it may only trigger or arm a source. One
 * listener; NULL ends it. */
void etcd_on_sign(struct etcd *etcd, loop_fn *fn, void *arg);
/* A user's own word: an answer is late. */
void etcd_sign(struct etcd *etcd);

/* Requests sent to etcd since the start, by the bench. */
uint64_t etcd_requests(const struct etcd *etcd);
