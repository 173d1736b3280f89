/* What is done: one operation at a time, on the disk, through the guard, or on etcd. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "sidecar/etcd_member/membership_internal.h"

enum {
    OPERATION_MS = 5000,
    DEFRAG_MS = 60000,
    MOVE_MS = 3000,
    RETRY_MS = 400,
    RETRY_REFUSED_MS = 1000,
    CAUGHT_UP = 200, /* entries of the log that an heir may lack (part 3) */
};

static struct etcd_how at_home(const struct membership *membership, int64_t timeout_ms)
{
    return (struct etcd_how){ timeout_ms, membership->endpoint };
}

/* --- how an operation ends --- */

static void finish(struct membership *membership, const struct etcd_outcome *outcome)
{
    struct operation *operation = &membership->operation;
    const char *what = member_action_name(operation->action);
    struct mono now = loop_now(membership->spec.loop);
    /* Whatever list is known is of before. */
    membership->list.call = etcd_call_free(membership->list.call);
    membership->list.wanted = true;
    membership->list.is_quorum = false;
    if (outcome->code == ERR_OK) {
        log_info("etcd-member: %s -> done", what);
        operation->failed = MEMBER_WAIT;
        membership->last_act[0] = '\0';
    } else {
        /* The same refusal again and again is no news. */
        bool news = operation->failed != operation->action;
        if (news)
            log_info("etcd-member: %s -> not yet: %s", what, outcome->error);
        else
            log_debug("etcd-member: %s -> not yet: %s", what, outcome->error);
        operation->failed = operation->action;
        bool refused = outcome->code == ERR_REFUSED &&
                       outcome->failure != ETCD_FAIL_LEARNER_NOT_READY &&
                       outcome->failure != ETCD_FAIL_UNHEALTHY;
        operation->pause_until = mono_add(now, refused ? RETRY_REFUSED_MS : RETRY_MS);
    }
    operation->action = MEMBER_WAIT;
    operation->call = etcd_call_free(operation->call); /* the error's text goes with it */
    membership_soon(membership);
}

static void on_members(void *arg, const struct etcd_members_result *result)
{
    finish(arg, &result->outcome);
}

static void on_plain(void *arg, const struct etcd_outcome *outcome)
{
    finish(arg, outcome);
}

static void on_alarms(void *arg, const struct etcd_alarms_result *result)
{
    finish(arg, &result->outcome);
}

/* --- E5 --- */

/* Lifts the first alarm of its kind; the next cycle lifts the next. */
static void on_alarm_list(void *arg, const struct etcd_alarms_result *result)
{
    struct membership *membership = arg;
    struct operation *operation = &membership->operation;
    for (size_t at = 0; result->outcome.code == ERR_OK && at < result->n_alarms; at++) {
        if (result->alarms[at].kind != ETCD_ALARM_NOSPACE)
            continue;
        struct etcd_alarm alarm = result->alarms[at];
        operation->call = etcd_call_free(operation->call);
        operation->call = etcd_alarm_disarm(
            membership->spec.etcd, alarm, at_home(membership, OPERATION_MS), on_alarms, membership);
        return;
    }
    finish(membership, &result->outcome);
}

/* The endpoint of a listed member; ETCD_ANY: none of the configured. */
static int endpoint_of(const struct membership *membership, uint64_t id)
{
    const struct member_view *view = &membership->view;
    const struct member_listed *listed = NULL;
    for (size_t at = 0; at < view->list.n; at++) {
        if (view->list.members[at].id == id)
            listed = &view->list.members[at];
    }
    for (size_t at = 0; listed != NULL && at < view->n; at++) {
        if (strcmp(view->peers[at].peer_url, listed->peer_url) == 0)
            return membership->peers[at].endpoint;
    }
    return ETCD_ANY;
}

/* --- part 3 --- */

/* An heir that lags would stop writes until it has caught up: it is looked at before. */
static void on_heir(void *arg, const struct etcd_status_result *result)
{
    struct membership *membership = arg;
    struct operation *operation = &membership->operation;
    const struct etcd_status_result *us = &membership->status.is;
    struct etcd_outcome outcome = result->outcome;
    if (outcome.code == ERR_OK &&
        (result->learner || outcome.header.member_id != operation->target ||
         result->leader != us->outcome.header.member_id ||
         result->raft_applied + CAUGHT_UP < us->raft_applied)) {
        outcome.code = ERR_CONFLICT;
        outcome.error = "the heir has not caught up";
    }
    if (outcome.code != ERR_OK) {
        finish(membership, &outcome);
        return;
    }
    operation->call = etcd_call_free(operation->call);
    operation->call = etcd_move_leader(membership->spec.etcd, operation->target,
                                       at_home(membership, MOVE_MS), on_plain, membership);
}

static struct etcd_call *look_at_heir(struct membership *membership, uint64_t target)
{
    membership->moved_at = loop_now(membership->spec.loop);
    int endpoint = endpoint_of(membership, target);
    return etcd_status(membership->spec.etcd, (struct etcd_how){ MOVE_MS, endpoint }, on_heir,
                       membership);
}

bool act_resign(struct membership *membership)
{
    const struct member_view *view = &membership->view;
    uint64_t target = 0;
    for (size_t at = 0; at < view->list.n; at++) {
        const struct member_listed *listed = &view->list.members[at];
        for (size_t peer = 0; peer < view->n; peer++) {
            bool fit = strcmp(view->peers[peer].peer_url, listed->peer_url) == 0 &&
                       peer != view->self && view->peers[peer].answered &&
                       view->peers[peer].word.voter && !listed->learner;
            if (fit && (target == 0 || view->peers[peer].word.witness))
                target = listed->id;
        }
    }
    if (target == 0 || !view->me.answers || view->me.leader != view->me.id)
        return false;
    struct operation *operation = &membership->operation;
    etcd_call_free(operation->call);
    operation->action = MEMBER_MOVE;
    operation->target = target;
    operation->call = look_at_heir(membership, target);
    return true;
}

/* --- starting etcd --- */

/* Everybody that the cluster lists, as etcd compares it: by URL. Names must differ. */
static void write_initial_cluster(const struct membership *membership, struct text *to)
{
    const struct member_view *view = &membership->view;
    const struct member_peer *us = &view->peers[view->self];
    for (size_t at = 0; at < view->list.n; at++) {
        const struct member_listed *listed = &view->list.members[at];
        bool ours = strcmp(listed->peer_url, us->peer_url) == 0;
        text_add(to, at > 0 ? "," : "");
        if (ours)
            text_add(to, us->name);
        else
            text_addf(to, "m%" PRIx64, listed->id);
        text_addf(to, "=%s", listed->peer_url);
    }
}

static void join(struct membership *membership)
{
    const struct member_view *view = &membership->view;
    struct text cluster = text_new(LIMIT_FRAME / 2);
    for (size_t at = 0; at < view->list.n; at++) {
        const struct member_listed *listed = &view->list.members[at];
        if (strcmp(listed->peer_url, view->peers[view->self].peer_url) != 0)
            continue;
        membership->tries = membership->tried_id == listed->id ? membership->tries + 1 : 1;
        membership->tried_id = listed->id;
    }
    write_initial_cluster(membership, &cluster);
    etcd_child_start(membership->child, ETCD_BEGIN_JOIN, text_str(&cluster));
    text_done(&cluster);
}

static void mark(struct membership *membership, uint64_t cluster_id, uint64_t member_id,
                 int64_t generation)
{
    const struct member_mark mark = { cluster_id, member_id, generation };
    member_disk_run(membership->disk, MEMBER_DISK_MARK, &mark);
}

/* The order has been carried out; the mark that says so is due once etcd answers. */
static void force(struct membership *membership, enum etcd_begin begin)
{
    etcd_child_start(membership->child, begin, NULL);
    membership->recovery.forced = membership->recovery.wanted;
    membership->recovery.wanted = false;
}

static void remember(struct membership *membership)
{
    const struct member_view *view = &membership->view;
    int64_t generation = view->peers[view->self].word.generation;
    if (membership->recovery.forced)
        generation++;
    membership->recovery.forced = false;
    mark(membership, view->me.cluster_id, view->me.id, generation);
}

/* --- one action --- */

static void act_local(struct membership *membership, enum member_action action)
{
    const struct member_view *view = &membership->view;
    if (action == MEMBER_FOUND)
        force(membership, ETCD_BEGIN_NEW);
    else if (action == MEMBER_FORCE)
        force(membership, ETCD_BEGIN_FORCE);
    else if (action == MEMBER_JOIN)
        join(membership);
    else if (action == MEMBER_START)
        etcd_child_start(membership->child, ETCD_BEGIN_AGAIN, NULL);
    else if (action == MEMBER_END)
        etcd_child_end(membership->child);
    else if (action == MEMBER_SET_ASIDE)
        member_disk_run(membership->disk, MEMBER_DISK_SET_ASIDE, NULL);
    else if (action == MEMBER_FORGET)
        member_disk_run(membership->disk, MEMBER_DISK_FORGET, NULL);
    else if (action == MEMBER_ENTER)
        mark(membership, view->list.cluster_id, 0, member_generation(view));
    else if (action == MEMBER_REMEMBER)
        remember(membership);
}

/* E5: when a member's turn came, whether it helped or not. */
static void note_shrunk(struct membership *membership, uint64_t id)
{
    const struct member_view *view = &membership->view;
    for (size_t at = 0; at < view->n && view->me.no_space; at++) {
        struct peer_watch *watch = &membership->peers[at];
        if ((at == view->self ? view->me.id : watch->id) == id)
            watch->shrunk_at = view->now;
    }
}

static struct etcd_call *act_remote(struct membership *membership)
{
    const struct member_view *view = &membership->view;
    const struct member_decision *decision = &membership->decision;
    struct etcd *etcd = membership->spec.etcd;
    struct etcd_how how = at_home(membership, OPERATION_MS);
    if (decision->action == MEMBER_ADD)
        return etcd_member_add(etcd, view->peers[decision->peer].peer_url, how, on_members,
                               membership);
    if (decision->action == MEMBER_REMOVE)
        return etcd_member_remove(etcd, decision->target, how, on_members, membership);
    if (decision->action == MEMBER_PROMOTE)
        return etcd_member_promote(etcd, decision->target, how, on_members, membership);
    if (decision->action == MEMBER_UPDATE)
        return etcd_member_update(
            etcd, (struct etcd_member_change){ view->me.id, view->peers[view->self].peer_url }, how,
            on_members, membership);
    if (decision->action == MEMBER_MOVE) {
        note_shrunk(membership, view->me.id);
        return look_at_heir(membership, decision->target);
    }
    if (decision->action == MEMBER_DISARM)
        return etcd_alarm_list(etcd, how, on_alarm_list, membership);
    if (decision->action == MEMBER_COMPACT) {
        membership->compacted_at = view->now;
        return etcd_compact(etcd, view->me.revision, how, on_plain, membership);
    }
    membership->defragged_at = view->now;
    note_shrunk(membership, decision->target);
    how = (struct etcd_how){ DEFRAG_MS, endpoint_of(membership, decision->target) };
    for (size_t at = 0; at < view->n; at++) /* its size is of before */
        membership->peers[at].status_at = membership->peers[at].status_asked = MONO_NEVER;
    return etcd_defragment(etcd, how, on_plain, membership);
}

static bool is_remote(enum member_action action)
{
    return action == MEMBER_ADD || action == MEMBER_REMOVE || action == MEMBER_PROMOTE ||
           action == MEMBER_UPDATE || action == MEMBER_MOVE || action == MEMBER_COMPACT ||
           action == MEMBER_DEFRAG || action == MEMBER_DISARM;
}

bool act_busy(const struct membership *membership)
{
    return membership->operation.action != MEMBER_WAIT || member_disk_busy(membership->disk);
}

void act_begin(struct membership *membership)
{
    const struct member_decision *decision = &membership->decision;
    struct operation *operation = &membership->operation;
    if (decision->action == MEMBER_WAIT || act_busy(membership))
        return;
    if (!is_remote(decision->action)) {
        act_local(membership, decision->action);
        return;
    }
    if (mono_before(membership->view.now, operation->pause_until))
        return;
    operation->action = decision->action;
    operation->target = decision->target;
    operation->call = act_remote(membership);
}
