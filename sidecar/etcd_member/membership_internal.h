#pragma once
/* The inside of the membership: what was seen (observe.c), the cycle (membership.c), what is done
 * (act.c). Private to this folder. */
#include "base/instant.h"
#include "etcd/etcd.h"
#include "etcd/members.h"
#include "http/http.h"
#include "loop/loop.h"
#include "settings/config.h"
#include "sidecar/etcd_member/etcd_child.h"
#include "sidecar/etcd_member/formation.h"
#include "sidecar/etcd_member/member_core.h"
#include "sidecar/etcd_member/member_disk.h"
#include "sidecar/etcd_member/membership.h"

enum { MEMBERSHIP_CALM_MS = 2000 }; /* pace of the cycle while nothing is going on */

/* A question to another member's sidecar, and to the endpoint of its etcd. */
struct peer_watch {
    struct membership *owner;
    size_t index; /* among the configured */
    char url[LIMIT_URL + 16];
    int endpoint; /* of its etcd */
    struct http_call *call;
    struct mono asked;
    struct mono heard; /* MONO_NEVER: never */
    struct member_word word;
    struct etcd_call *status;
    struct mono status_asked;
    struct mono status_at; /* answered well; MONO_NEVER: never */
    uint64_t id;           /* as the answer says */
    int64_t db_bytes;
    int64_t db_used_bytes;
    struct mono shrunk_at; /* defragmented for want of space, ourselves: handed on to be */
};

/* Whom our etcd hears (E3), counted since somebody asks. */
struct heard_watch {
    struct http_call *call;
    struct mono asked;
    struct mono sampled; /* when the last answer was asked for */
    size_t n;
    struct {
        struct heard_sample sample;
        struct mono at;
    } seen[LIMIT_MEMBERS];
};

/* An operation on etcd under way: one at a time. */
struct operation {
    enum member_action action; /* WAIT: none */
    struct etcd_call *call;
    uint64_t target;
    struct mono pause_until;
    enum member_action failed; /* of the last one; WAIT: it succeeded */
};

struct membership {
    struct etcd_member_spec spec;
    struct etcd_child *child;
    struct member_disk *disk;
    struct source *timer;
    struct source *soon;
    struct mono hurry_until;
    int64_t pace_ms; /* of the cycle, and of the questions */
    uint64_t child_changes;
    struct mono scanned;
    bool scan_wanted;

    struct peer_watch peers[LIMIT_MEMBERS];
    struct heard_watch heard;
    int endpoint; /* of our own etcd */
    struct {
        struct etcd_call *call;
        struct mono asked;
        bool wanted;               /* something points to trouble */
        bool calm;                 /* nothing did when it was asked last */
        struct mono answered;      /* MONO_NEVER: never */
        struct mono failing_since; /* MONO_NEVER: it does not */
        struct mono silent_since;
        uint64_t changes; /* of the child that was asked */
        struct mono leaderless_since;
        struct etcd_status_result is;
    } status;
    struct {
        struct etcd_call *call;
        struct mono asked;
        struct mono sent;  /* of the one that is known */
        bool wanted;       /* something changed: ask again */
        bool linearizable; /* the one under way */
        bool known;
        bool is_quorum;
        uint64_t cluster_id;
        size_t n;
        struct etcd_member members[LIMIT_MEMBERS];
    } list;

    struct operation operation;
    int64_t tries;
    uint64_t tried_id;
    struct mono moved_at; /* MONO_NEVER: never */
    struct mono compacted_at;
    struct mono defragged_at;
    struct {
        bool wanted;
        bool forced; /* the only member now: the mark's generation is due */
    } recovery;
    bool postgres_leader_here;
    bool stopping;
    struct mono stop_since;
    bool stop_moved;

    struct member_view view;
    struct member_decision decision;
    char last_act[LIMIT_REASON];
    char last_trouble[LIMIT_REASON];
    const char *last_rule;
    bool was_trouble; /* the decision before: one rule may begin as no trouble and become one */

    /* What etcd_member_status shows: never freed, so that a borrower sees the newest. */
    struct etcd_member_status shown;
    char formation[FORMATION_MAX + 1];
    char trouble[LIMIT_REASON];
};

/* The cycle in the next turn of the loop. */
void membership_soon(void *arg);

/* observe.c */
/* What etcd_on_sign calls. */
void observe_sign(void *arg);
void observe_init(struct membership *membership);
void observe_done(struct membership *membership);
/* Asks what is due when the cycle runs every `pace_ms`. */
void observe_ask(struct membership *membership, int64_t pace_ms);
void observe_fill(struct membership *membership, struct member_view *view);
bool observe_somebody_asks(const struct membership *membership);

/* act.c */
void act_begin(struct membership *membership);
bool act_busy(const struct membership *membership);
/* Moves raft leadership to the first fit voter, without more ado (the node stops). */
bool act_resign(struct membership *membership);
