#pragma once
/* Members of the etcd cluster and their upkeep (design part 7). */
#include "base/limits.h"
#include "etcd/etcd.h"

struct etcd_member {
    uint64_t id;
    char name[LIMIT_NAME];      /* "" until it has started once */
    char peer_url[LIMIT_URL];   /* the first one */
    char client_url[LIMIT_URL]; /* the first one; "" until it has started once */
    bool learner;
};

struct etcd_members_result {
    struct etcd_outcome outcome;
    struct etcd_member members[LIMIT_MEMBERS]; /* all, after the change */
    size_t n_members;
    uint64_t id; /* add: of the new one */
};
typedef void etcd_members_fn(void *arg, const struct etcd_members_result *result);

/* `linearizable`: else the member's own view, which also a member without quorum gives. */
struct etcd_call *etcd_member_list(struct etcd *etcd, bool linearizable, struct etcd_how how,
                                   etcd_members_fn *done, void *arg);
/* As a learner (E1: everybody joins so). */
struct etcd_call *etcd_member_add(struct etcd *etcd, const char *peer_url, struct etcd_how how,
                                  etcd_members_fn *done, void *arg);
struct etcd_call *etcd_member_remove(struct etcd *etcd, uint64_t id, struct etcd_how how,
                                     etcd_members_fn *done, void *arg);
/* ETCD_FAIL_LEARNER_NOT_READY until it has caught up. */
struct etcd_call *etcd_member_promote(struct etcd *etcd, uint64_t id, struct etcd_how how,
                                      etcd_members_fn *done, void *arg);
struct etcd_member_change {
    uint64_t id;
    const char *peer_url;
};
/* For voters only: etcd 3.5 forgets in its list that a learner is one (seen with 3.5.16). */
struct etcd_call *etcd_member_update(struct etcd *etcd, struct etcd_member_change change,
                                     struct etcd_how how, etcd_members_fn *done, void *arg);

struct etcd_status_result {
    struct etcd_outcome outcome;
    char version[32]; /* "3.5.16"; L1 needs 3.5.13 */
    uint64_t leader;  /* raft leader's member id; 0: none. outcome.header.member_id is itself */
    uint64_t raft_term;
    uint64_t raft_index;
    uint64_t raft_applied;
    int64_t db_bytes;
    int64_t db_used_bytes;
    bool learner;
    char errors[LIMIT_REASON]; /* as etcd words them, joined by "; " */
};
typedef void etcd_status_fn(void *arg, const struct etcd_status_result *result);

/* Of one member: how.endpoint should be an index. Also a member without quorum answers. */
struct etcd_call *etcd_status(struct etcd *etcd, struct etcd_how how, etcd_status_fn *done,
                              void *arg);

enum etcd_alarm_kind { ETCD_ALARM_NOSPACE, ETCD_ALARM_CORRUPT };
struct etcd_alarm {
    uint64_t member_id; /* 0: of the whole cluster */
    enum etcd_alarm_kind kind;
};
enum { ETCD_ALARMS_MAX = 2 * LIMIT_MEMBERS };
struct etcd_alarms_result {
    struct etcd_outcome outcome;
    struct etcd_alarm alarms[ETCD_ALARMS_MAX];
    size_t n_alarms;
};
typedef void etcd_alarms_fn(void *arg, const struct etcd_alarms_result *result);

struct etcd_call *etcd_alarm_list(struct etcd *etcd, struct etcd_how how, etcd_alarms_fn *done,
                                  void *arg);
struct etcd_call *etcd_alarm_disarm(struct etcd *etcd, struct etcd_alarm alarm, struct etcd_how how,
                                    etcd_alarms_fn *done, void *arg);

/* Requests whose answer is no more than done or not. */
typedef void etcd_plain_fn(void *arg, const struct etcd_outcome *outcome);

/* Blocks that member while it lasts (E5: one at a time, never the raft leader). Pin the endpoint. */
struct etcd_call *etcd_defragment(struct etcd *etcd, struct etcd_how how, etcd_plain_fn *done,
                                  void *arg);
/* Must go to the raft leader itself (pin its endpoint); etcd waits until it has happened. */
struct etcd_call *etcd_move_leader(struct etcd *etcd, uint64_t target_id, struct etcd_how how,
                                   etcd_plain_fn *done, void *arg);
struct etcd_call *etcd_compact(struct etcd *etcd, int64_t revision, struct etcd_how how,
                               etcd_plain_fn *done, void *arg);
