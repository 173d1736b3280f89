#pragma once
/* A data member as its key in the store tells it (patroni-compat 3.4); the wire form is in
 * cluster/member_json.h. */
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "cluster/lsn.h"
#include "cluster/tags.h"

/* Postgres as the member publishes it: Patroni's state texts and metric numbers. */
#define MEMBER_STATES(X)                                                                           \
    X(INITDB, "initializing new cluster")                                                          \
    X(INITDB_FAILED, "initdb failed")                                                              \
    X(CUSTOM_BOOTSTRAP, "running custom bootstrap script")                                         \
    X(CUSTOM_BOOTSTRAP_FAILED, "custom bootstrap failed")                                          \
    X(CREATING_REPLICA, "creating replica")                                                        \
    X(RUNNING, "running")                                                                          \
    X(STARTING, "starting")                                                                        \
    X(BOOTSTRAP_STARTING, "starting after custom bootstrap")                                       \
    X(START_FAILED, "start failed")                                                                \
    X(RESTARTING, "restarting")                                                                    \
    X(RESTART_FAILED, "restart failed")                                                            \
    X(STOPPING, "stopping")                                                                        \
    X(STOPPED, "stopped")                                                                          \
    X(STOP_FAILED, "stop failed")                                                                  \
    X(CRASHED, "crashed")

#define MEMBER_STATE_ENUM(name, text) MEMBER_##name,
enum member_state { MEMBER_STATES(MEMBER_STATE_ENUM) MEMBER_STATE_UNKNOWN };
#undef MEMBER_STATE_ENUM

enum member_role {
    MEMBER_ROLE_UNINITIALIZED,
    MEMBER_ROLE_REPLICA,
    MEMBER_ROLE_PRIMARY,
    MEMBER_ROLE_DEMOTED,
    MEMBER_ROLE_MAX
};

struct member {
    char name[LIMIT_NAME];
    char conn_url[LIMIT_URL];
    char api_url[LIMIT_URL];
    enum member_state state;
    enum member_role role;
    char version[LIMIT_NAME];
    bool checkpoint_pending; /* checkpoint_after_promote: false */
    bool pending_restart;
    bool pause;
    bool streaming; /* replication_state is "streaming" */
    bool has_receive_lsn;
    lsn_t xlog_location; /* primary: LSN_NONE when not known */
    lsn_t receive_lsn;
    lsn_t replay_lsn;
    uint32_t timeline; /* 0 when not known */
    struct tags tags;
};

const char *member_state_name(enum member_state state);     /* "unknown" for UNKNOWN */
enum member_state member_state_from_name(const char *name); /* UNKNOWN when not one */
const char *member_role_name(enum member_role role);
enum member_role member_role_from_name(const char *name); /* UNINITIALIZED when not one */

/* The physical slot of a member (patroni-compat 1.9): lower case, '-' and '.' become '_', anything
 * else u%04d, cut at 63. */
void member_slot_name(const char *member, char ret_slot[LIMIT_NAME]);
