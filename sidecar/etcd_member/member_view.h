#pragma once
/* What the decision about the pod's etcd member may look at: plain data, with `now` in it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/instant.h"
#include "base/limits.h"

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
    bool may_shrink; /* not defragmented for want of space in the last MEMBER_SHRINK_MS */
};

struct member_guard {
    bool connected;
    int64_t away_ms;            /* since it was connected, or we began */
    bool alive;                 /* something of etcd's tree runs */
    bool running;               /* etcd itself does */
    bool program_known;         /* where etcd lies and which options it takes */
    char trouble[LIMIT_REASON]; /* why it could not be found or started; "" */
    int failures;         /* times that it ended by itself since it last answered for a while */
    int retired;          /* ends in a row with status 0 */
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
