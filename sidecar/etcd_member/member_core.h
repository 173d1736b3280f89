#pragma once
/* The decision about the pod's etcd member: a pure function of what was seen (design part 7, E1-E5;
 * leader placement of part 3). Small named rules, the first that applies wins; the order stands in
 * member_core.c. No clock, no I/O. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"

enum {
    MEMBER_UNHEARD_MS = 10000, /* E3: nobody may have heard the old member for so long */
    MEMBER_ANSWER_MS = 3000,   /* how long the word of another sidecar counts */
    MEMBER_TRIES = 3,          /* joins in vain until the entry made for them is made anew */
    MEMBER_MOVE_MS = 60000,    /* part 3: raft leadership is moved at most once a minute */
    MEMBER_LOST_MS = 5000,     /* so long without quorum is worth a person's attention */
};

/* What one configured member's sidecar says of itself (GET /pgvigil/etcd); our own is built alike. */
struct member_word {
    bool data; /* E1: etcd data, PGDATA, a mark */
    bool pgdata;
    bool mark;
    uint64_t cluster_id; /* of the mark; 0: none, or not readable */
    uint64_t member_id;  /* of the mark: who its data are */
    int64_t generation;  /* how often a person had the quorum made anew (E4) */
    bool wants;          /* has no data and asks to be let in (E1, E3) */
    int64_t tries;       /* joins in vain since then */
    bool running;        /* its etcd answers it */
    bool voter;          /* and is a voter that sees a quorum */
    bool witness;
    size_t n_heard; /* E3: whom its etcd heard when; only while somebody asks */
    struct member_heard {
        uint64_t id;
        int64_t ago_ms;
    } heard[LIMIT_MEMBERS];
};

/* A configured member. */
struct member_peer {
    char name[LIMIT_NAME];
    char peer_url[LIMIT_URL];
    char api_url[LIMIT_URL];
    bool answered; /* lately */
    struct member_word word;
};

/* A member as the etcd cluster lists it. */
struct member_listed {
    uint64_t id;
    char name[LIMIT_NAME]; /* "": added, never started */
    char peer_url[LIMIT_URL];
    bool learner;
    /* As its own endpoint told the raft leader's sidecar; upkeep only. */
    bool healthy;
    int64_t db_bytes;
    int64_t db_used_bytes;
};

struct member_guard {
    bool connected;
    int64_t away_ms;            /* since it was connected, or we began */
    bool alive;                 /* something of etcd's tree runs */
    bool running;               /* etcd itself does */
    bool program_known;         /* where etcd lies and which options it takes */
    char trouble[LIMIT_REASON]; /* why it could not be found or started; "" */
    int failures;         /* times that it ended by itself since it last answered for a while */
    struct mono start_at; /* not before */
};

/* Our own member as it answers. */
struct member_self {
    bool answers;
    struct mono silent_since; /* while it does not answer */
    uint64_t id;
    uint64_t cluster_id;
    uint64_t leader;              /* raft leader; 0: none */
    struct mono leaderless_since; /* while leader is 0 */
    bool learner;
    bool no_space;
    int64_t revision;
};

struct member_list {
    bool fresh; /* linearizable, lately: a quorum said so */
    uint64_t cluster_id;
    size_t n;
    struct member_listed members[LIMIT_MEMBERS];
};

enum member_order { MEMBER_ORDER_NONE, MEMBER_ORDER_RECOVER };

struct member_view {
    struct mono now;
    size_t n; /* configured */
    size_t self;
    struct member_peer peers[LIMIT_MEMBERS]; /* as configured, ourselves included; 0 founds */
    bool disk_known;
    bool marks_complete;             /* the same mark on every volume */
    char disk_trouble[LIMIT_REASON]; /* "": none */
    bool stopping;
    struct member_guard guard;
    struct member_self me;
    struct member_list list;
    size_t max_learners;
    uint64_t tried_id; /* the entry under which we tried to join last; 0: never */
    enum member_order order;
    bool generation_due; /* we became the only member: the mark must tell */
    /* part 3 */
    bool we_lead_postgres; /* under a fresh lease */
    bool may_move;         /* no move in the last MEMBER_MOVE_MS */
    /* E5 */
    int64_t quota_bytes;
    bool may_compact; /* not compacted lately */
    bool may_defrag;  /* none lately */
};

#define MEMBER_ACTIONS(X)                                                                          \
    X(WAIT, "wait")                                                                                \
    X(FOUND, "found a new cluster")                                                                \
    X(JOIN, "start as a new learner")                                                              \
    X(START, "start with its data")                                                                \
    X(FORCE, "start as the only member")                                                           \
    X(END, "end etcd")                                                                             \
    X(SET_ASIDE, "set its data aside")                                                             \
    X(REMEMBER, "write the mark")                                                                  \
    X(ENTER, "write a mark without a member")                                                      \
    X(FORGET, "remove the marks")                                                                  \
    X(ADD, "add a learner")                                                                        \
    X(REMOVE, "remove a member")                                                                   \
    X(PROMOTE, "promote a learner")                                                                \
    X(UPDATE, "update our peer URL")                                                               \
    X(MOVE, "move raft leadership")                                                                \
    X(COMPACT, "compact")                                                                          \
    X(DEFRAG, "defragment")                                                                        \
    X(DISARM, "disarm the alarm")

#define MEMBER_ACTION_ENUM(name, text) MEMBER_##name,
enum member_action { MEMBER_ACTIONS(MEMBER_ACTION_ENUM) MEMBER_ACTION_MAX };
#undef MEMBER_ACTION_ENUM

struct member_decision {
    enum member_action action;
    const char *rule;
    char reason[LIMIT_REASON];
    bool trouble;    /* the reason is what a person must know or do */
    size_t peer;     /* ADD: whom of the configured */
    uint64_t target; /* REMOVE, PROMOTE, MOVE, DEFRAG: id of the listed one */
};

struct member_decision member_decide(const struct member_view *view);
const char *member_action_name(enum member_action action);
/* NULL past the end. */
const char *member_rule_name(size_t index);

/* How often the quorum was made anew, as far as voters tell (E4). */
int64_t member_generation(const struct member_view *view);

/* Do we ask to be let in (E1: everybody but the founder; E3: whoever lost its data)? */
bool member_wants(const struct member_view *view);
