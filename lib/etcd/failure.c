#include <string.h>

#include "etcd/codec.h"

/* etcd's texts (rpctypes), by which it tells its own errors apart; the first that is contained wins.
 * Streams wrap them ("rpc error: code = … desc = …"), so the beginning is not looked at. */
static const struct {
    const char *text;
    enum etcd_failure failure;
} messages[] = {
    { "etcdserver: no leader", ETCD_FAIL_NO_LEADER },
    { "rpc not supported for learner", ETCD_FAIL_LEARNER },
    { "requested lease not found", ETCD_FAIL_LEASE_NOT_FOUND },
    { "database space exceeded", ETCD_FAIL_NO_SPACE },
    { "required revision has been compacted", ETCD_FAIL_COMPACTED },
    { "required revision is a future revision", ETCD_FAIL_FUTURE_REVISION },
    { "invalid auth token", ETCD_FAIL_TOKEN },
    { "revision of auth store is old", ETCD_FAIL_TOKEN },
    { "user name is empty", ETCD_FAIL_LOGIN },
    { "authentication failed", ETCD_FAIL_LOGIN },
    { "user name not found", ETCD_FAIL_LOGIN },
    { "permission denied", ETCD_FAIL_PERMISSION },
    { "member not found", ETCD_FAIL_MEMBER_NOT_FOUND },
    { "member ID already exist", ETCD_FAIL_MEMBER_EXISTS },
    { "Peer URLs already exists", ETCD_FAIL_MEMBER_EXISTS },
    { "learner member which is in sync with leader", ETCD_FAIL_LEARNER_NOT_READY },
    { "can only promote a learner member", ETCD_FAIL_NOT_A_LEARNER },
    { "too many learner members", ETCD_FAIL_TOO_MANY_LEARNERS },
    { "not enough started members", ETCD_FAIL_UNHEALTHY },
    { "unhealthy cluster", ETCD_FAIL_UNHEALTHY },
    { "too many requests", ETCD_FAIL_TOO_MANY_REQUESTS },
    { "corrupt cluster", ETCD_FAIL_CORRUPT },
    /* A member that was raft leader a moment ago refuses what only the leader's lessor may do. */
    { "not a primary lessor", ETCD_FAIL_UNAVAILABLE },
    { "leader changed", ETCD_FAIL_UNAVAILABLE },
    { "request timed out", ETCD_FAIL_UNAVAILABLE },
    { "server stopped", ETCD_FAIL_UNAVAILABLE },
};

/* The gRPC codes that say something where the text does not. */
enum {
    GRPC_CANCELLED = 1,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16
};

enum etcd_failure codec_failure(int64_t grpc_code, const char *message)
{
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        if (strstr(message, messages[i].text) != NULL)
            return messages[i].failure;
    if (grpc_code == GRPC_UNAVAILABLE || grpc_code == GRPC_DEADLINE_EXCEEDED ||
        grpc_code == GRPC_CANCELLED)
        return ETCD_FAIL_UNAVAILABLE;
    return grpc_code == GRPC_UNAUTHENTICATED ? ETCD_FAIL_TOKEN : ETCD_FAIL_OTHER;
}

enum err_code codec_failure_code(enum etcd_failure failure)
{
    switch (failure) {
    case ETCD_FAIL_NONE:
        return ERR_OK;
    case ETCD_FAIL_NO_LEADER:
    case ETCD_FAIL_LEARNER:
    case ETCD_FAIL_TOO_MANY_REQUESTS:
        return ERR_UNREACHABLE;
    case ETCD_FAIL_NO_ANSWER: /* the request may have been sent */
    case ETCD_FAIL_UNAVAILABLE:
        return ERR_TIMEOUT;
    case ETCD_FAIL_LEASE_NOT_FOUND:
    case ETCD_FAIL_MEMBER_NOT_FOUND:
        return ERR_NOT_FOUND;
    case ETCD_FAIL_MEMBER_EXISTS:
    case ETCD_FAIL_LEARNER_NOT_READY:
    case ETCD_FAIL_NOT_A_LEARNER:
    case ETCD_FAIL_TOO_MANY_LEARNERS:
    case ETCD_FAIL_UNHEALTHY:
        return ERR_CONFLICT;
    case ETCD_FAIL_PROTOCOL:
        return ERR_PROTOCOL;
    case ETCD_FAIL_NO_SPACE:
    case ETCD_FAIL_COMPACTED:
    case ETCD_FAIL_FUTURE_REVISION:
    case ETCD_FAIL_LOGIN:
    case ETCD_FAIL_TOKEN:
    case ETCD_FAIL_PERMISSION:
    case ETCD_FAIL_CORRUPT:
    case ETCD_FAIL_OTHER:
    case ETCD_FAILURE_MAX:
        return ERR_REFUSED;
    }
    return ERR_REFUSED;
}
