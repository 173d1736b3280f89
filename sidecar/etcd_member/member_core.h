#pragma once
/* The decision about the pod's etcd member: a pure function of what was seen (design part 7, E1-E5;
 * leader placement of part 3). Small named rules, the first that applies wins; the order stands in
 * member_core.c. No clock, no I/O. */
#include "sidecar/etcd_member/member_view.h"

enum {
    MEMBER_UNHEARD_MS = 10000, /* E3: nobody may have heard the old member for so long */
    MEMBER_ANSWER_MS = 3000,   /* how long the word of another sidecar counts */
    MEMBER_TRIES = 3,          /* joins in vain until the entry made for them is made anew */
    MEMBER_SHRINK_MS = 600000, /* E5: what is full is not defragmented more often */
    MEMBER_MOVE_MS = 60000,    /* part 3: raft leadership is moved at most once a minute */
    MEMBER_LOST_MS = 5000,     /* so long without quorum is worth a person's attention */
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
