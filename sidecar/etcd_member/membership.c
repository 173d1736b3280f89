/* The small cycle: observe, decide, act, show. */
#include "sidecar/etcd_member/membership_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    QUICK_MS = 100, /* between cycles while something is going on */
    WAITING_MS = 1000, /* while waiting for others or a person */
    CALM_MS = 2000,
    HURRY_MS = 30000, /* so long after the last change things may still be moving */
    RESIGN_MS = 1000, /* at most so long a stop waits for raft leadership to move */
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
    bool news = voter != shown->voter || decision->trouble != (shown->trouble != NULL) ||
                view->me.no_space != shown->no_space ||
                strcmp(trouble, membership->trouble) != 0;
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

static void note_decision(struct membership *membership)
{
    const struct member_decision *decision = &membership->decision;
    bool same_rule = membership->last_rule == decision->rule;
    if (decision->action != MEMBER_WAIT || !same_rule)
        membership->hurry_until = mono_add(membership->view.now, HURRY_MS);
    if (same_rule && strcmp(membership->last_reason, decision->reason) == 0)
        return;
    bool countdown = same_rule && decision->action == MEMBER_WAIT;
    if (decision->trouble && !countdown)
        log_warn("etcd-member: %s: %s", decision->rule, decision->reason);
    else if (!countdown)
        log_info("etcd-member: %s: %s -> %s", decision->rule, decision->reason,
                 member_action_name(decision->action));
    membership->last_rule = decision->rule;
    (void)text_copy(membership->last_reason, sizeof(membership->last_reason), decision->reason);
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

static void cycle(void *arg)
{
    struct membership *membership = arg;
    source_disarm(membership->timer);
    if (etcd_child_stop_requested(membership->child))
        membership->stopping = true;
    observe_fill(membership, &membership->view);
    membership->decision = member_decide(&membership->view);
    note_decision(membership);
    act_begin(membership);
    bool unsettled = is_unsettled(membership);
    bool hurry = unsettled && mono_before(membership->view.now, membership->hurry_until);
    observe_ask(membership, hurry || act_busy(membership));
    show(membership);
    source_arm_in(membership->timer, hurry ? QUICK_MS : unsettled ? WAITING_MS : CALM_MS);
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

static void load_tls(struct membership *membership)
{
    const struct config_managed_etcd *managed = &membership->spec.config->managed;
    const struct http_tls_files files = { .ca = managed->ca,
                                          .cert = managed->cert,
                                          .key = managed->key };
    struct err err;
    if (managed->cert != NULL && http_tls_load(&files, &membership->tls, &err) != ERR_OK)
        log_warn("etcd-member: %s", err.text);
}

struct membership *membership_new(const struct etcd_member_spec *spec)
{
    struct membership *membership = mem_struct(struct membership);
    membership->spec = *spec;
    membership->soon = loop_defer(spec->loop, cycle, membership);
    membership->timer = loop_timer(spec->loop, cycle, membership);
    membership->hurry_until = mono_add(loop_now(spec->loop), HURRY_MS);
    membership->moved_at = MONO_NEVER;
    membership->compacted_at = MONO_NEVER;
    membership->defragged_at = MONO_NEVER;
    load_tls(membership);
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
    show_formation(membership);
    membership->shown.formation = membership->formation;
    membership_soon(membership);
    return membership;
}

struct membership *membership_free(struct membership *membership)
{
    if (membership == NULL)
        return NULL;
    source_free(membership->timer);
    source_free(membership->soon);
    observe_done(membership);
    etcd_call_free(membership->operation.call);
    etcd_child_free(membership->child);
    member_disk_free(membership->disk);
    http_tls_free(membership->tls);
    free(membership);
    return NULL;
}
