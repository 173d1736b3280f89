/* The small cycle: observe, decide, act, show. */
#include "sidecar/etcd_member/membership_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    QUICK_MS = 120,    /* between cycles while something is going on */
    WAITING_MS = 1000, /* while waiting for others or a person */
    SLACK_MS = 350,    /* a calm cycle may wait so long for another wake-up */
    HURRY_MS = 30000,  /* so long after the last change things may still be moving */
    RESIGN_MS = 1000,  /* at most so long a stop waits for raft leadership to move */
};

void membership_soon(void *arg)
{
    struct membership *membership = arg;
    source_trigger(membership->soon);
}

/* --- show --- */

static void show_formation(struct membership *membership)
{
    const struct member_view *view = &membership->view;
    const struct member_peer *us = &view->peers[view->self];
    auto_text struct text json = text_new(FORMATION_MAX);
    if (view->disk_known || view->guard.alive)
        formation_write(&json, us->name, &us->word, membership->decision.reason);
    else
        formation_write_starting(&json, us->name);
    (void)text_copy(membership->formation, sizeof(membership->formation), text_str(&json));
}

static int count_voters(const struct member_view *view)
{
    int voters = 0;
    for (size_t at = 0; at < view->list.n; at++)
        voters += !view->list.members[at].learner && view->list.members[at].name[0] != '\0';
    return voters;
}

static void show(struct membership *membership)
{
    const struct member_view *view = &membership->view;
    const struct member_decision *decision = &membership->decision;
    struct etcd_member_status *shown = &membership->shown;
    bool voter = view->peers[view->self].word.voter;
    const char *trouble = decision->trouble ? decision->reason : "";
    if (voter != shown->voter)
        log_info("etcd-member: this member %s", voter ? "is a voter" : "votes in no quorum now");
    if (!decision->trouble && voter && decision->action == MEMBER_WAIT && !act_busy(membership))
        membership->last_trouble[0] = '\0'; /* when it comes back it is news again */
    bool news = voter != shown->voter || decision->trouble != (shown->trouble != NULL) ||
                view->me.no_space != shown->no_space || strcmp(trouble, membership->trouble) != 0;
    (void)text_copy(membership->trouble, sizeof(membership->trouble), trouble);
    show_formation(membership);
    *shown = (struct etcd_member_status){
        .voter = voter,
        .formation = membership->formation,
        .trouble = decision->trouble ? membership->trouble : NULL,
        .no_space = view->me.no_space,
        .voters = count_voters(view),
        .db_bytes = membership->status.is.db_bytes,
    };
    if (news)
        membership->spec.changed(membership->spec.arg);
}

const struct etcd_member_status *membership_status(const struct membership *membership)
{
    return &membership->shown;
}

/* --- the cycle --- */

static bool is_news(char *last, const char *words)
{
    if (strcmp(last, words) == 0)
        return false;
    (void)text_copy(last, LIMIT_REASON, words);
    return true;
}

/* Actions and troubles are news once; an action again after one that succeeded (act.c). */
static void note_decision(struct membership *membership)
{
    const struct member_decision *decision = &membership->decision;
    bool acts = decision->action != MEMBER_WAIT;
    bool same_rule = membership->last_rule == decision->rule;
    bool goes_on = same_rule && membership->was_trouble;
    membership->last_rule = decision->rule;
    membership->was_trouble = decision->trouble;
    if (acts || !same_rule)
        membership->hurry_until = mono_add(membership->view.now, HURRY_MS);
    if (acts && is_news(membership->last_act, decision->reason))
        log_info("etcd-member: %s: %s -> %s", decision->rule, decision->reason,
                 member_action_name(decision->action));
    if (!decision->trouble)
        return;
    /* A number in the words that counts on is no news. */
    if (is_news(membership->last_trouble, decision->reason) && !goes_on)
        log_warn("etcd-member: %s: %s", decision->rule, decision->reason);
}

/* Not yet what it shall be, or somebody else is not. */
static bool is_unsettled(const struct membership *membership)
{
    const struct member_view *view = &membership->view;
    if (!view->peers[view->self].word.voter || view->stopping ||
        observe_somebody_asks(membership) || view->me.no_space)
        return true;
    for (size_t at = 0; at < view->list.n; at++) {
        if (view->list.members[at].learner)
            return true;
    }
    return view->list.n < view->n || !view->list.fresh;
}

/* The order to join the others instead has been carried out: nothing of the former cluster is here. */
static void end_recovery(struct membership *membership)
{
    struct member_view *view = &membership->view;
    const struct member_word *us = &view->peers[view->self].word;
    if (!membership->recovery.wanted || !view->list.fresh || view->guard.alive ||
        !view->disk_known || us->data || us->mark)
        return;
    membership->recovery.wanted = false;
    view->order = MEMBER_ORDER_NONE;
}

static int64_t pace(const struct membership *membership)
{
    bool hurry = mono_before(membership->view.now, membership->hurry_until);
    if (act_busy(membership))
        return QUICK_MS;
    if (!is_unsettled(membership))
        return MEMBERSHIP_CALM_MS;
    return hurry ? QUICK_MS : WAITING_MS;
}

static void cycle(void *arg)
{
    struct membership *membership = arg;
    source_disarm(membership->timer);
    observe_fill(membership, &membership->view);
    end_recovery(membership);
    membership->decision = member_decide(&membership->view);
    note_decision(membership);
    act_begin(membership);
    membership->pace_ms = pace(membership);
    observe_ask(membership, membership->pace_ms);
    show(membership);
    source_arm_loosely(membership->timer, membership->pace_ms,
                       membership->pace_ms == MEMBERSHIP_CALM_MS ? SLACK_MS : 0);
}

/* --- stopping --- */

bool membership_stop(struct membership *membership)
{
    struct mono now = loop_now(membership->spec.loop);
    if (!membership->stopping) {
        membership->stopping = true;
        membership_soon(membership);
    }
    if (!membership->stop_moved) {
        membership->stop_moved = true;
        membership->stop_since = now;
        (void)act_resign(membership);
    }
    bool moving = membership->operation.action == MEMBER_MOVE &&
                  mono_diff(now, membership->stop_since) < RESIGN_MS;
    return !moving && etcd_child_stop(membership->child);
}

void membership_leads_postgres(struct membership *membership, bool leads)
{
    if (leads && !membership->postgres_leader_here)
        membership_soon(membership);
    membership->postgres_leader_here = leads;
}

/* --- life --- */

struct membership *membership_new(const struct etcd_member_spec *spec)
{
    struct membership *membership = mem_struct(struct membership);
    membership->spec = *spec;
    membership->soon = loop_defer(spec->loop, cycle, membership);
    membership->timer = loop_timer(spec->loop, cycle, membership);
    membership->hurry_until = mono_add(loop_now(spec->loop), HURRY_MS);
    membership->pace_ms = QUICK_MS;
    membership->moved_at = MONO_NEVER;
    membership->compacted_at = MONO_NEVER;
    membership->defragged_at = MONO_NEVER;
    observe_init(membership);
    membership->disk = member_disk_new(spec->loop, spec->config, membership_soon, membership);
    membership->child = etcd_child_new(&(struct etcd_child_spec){
        .loop = spec->loop,
        .config = spec->config,
        .guard_path = spec->guard_path,
        .ttl_ms = spec->ttl_ms,
        .changed = membership_soon,
        .arg = membership,
    });
    etcd_on_sign(spec->etcd, observe_sign, membership);
    show_formation(membership);
    membership->shown.formation = membership->formation;
    membership_soon(membership);
    return membership;
}

struct membership *membership_free(struct membership *membership)
{
    if (membership == NULL)
        return NULL;
    etcd_on_sign(membership->spec.etcd, NULL, NULL);
    source_free(membership->timer);
    source_free(membership->soon);
    observe_done(membership);
    etcd_call_free(membership->operation.call);
    etcd_child_free(membership->child);
    member_disk_free(membership->disk);
    free(membership);
    return NULL;
}
