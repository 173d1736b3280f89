/* The cycle. */
#include "sidecar/sidecar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sidecar/core/sync.h"
#include "sidecar/sidecar_failsafe.h"
#include "sidecar/sidecar_internal.h"

void sidecar_stale(void *arg)
{
    struct sidecar *sidecar = arg;
    struct mono due = mono_add(sidecar->cycled_at, SIDECAR_PACE_MS);
    source_arm_at(sidecar->pace, mono_max(due, loop_now(sidecar->loop)));
}

void sidecar_urgent(void *arg)
{
    struct sidecar *sidecar = arg;
    source_trigger(sidecar->urgent);
}

/* --- observe --- */

/* A5: a gap between cycles, or a wall clock that jumped against the monotonic one. */
static bool clear_head(struct sidecar *sidecar, struct mono now)
{
    int64_t offset_ms = clock_wall().ms - now.ms;
    int64_t gap_ms = mono_diff(now, sidecar->cycled_at);
    bool jumped = llabs(offset_ms - sidecar->wall_offset_ms) > 1000;
    bool slept = sidecar->cycled_at.ms != 0 && gap_ms > 3 * SIDECAR_CALM_MS;
    sidecar->wall_offset_ms = offset_ms;
    if (slept)
        log_warn(
            "cycle: nothing ran here for %lld ms: this process, or its whole node, stood still",
            (long long)gap_ms);
    return !jumped && !slept;
}

static void fill_guard(const struct sidecar *sidecar, struct guard_view *guard)
{
    const struct guard_status *status = guard_client_status(sidecar->guard);
    *guard = (struct guard_view){
        .connected = status->connected,
        .dead = status->dead,
        .tree_alive = status->child != GUARD_CHILD_NONE,
        .has_deadline = status->has_deadline,
        .deadline = status->deadline,
        .lifted = status->lifted && !status->dead,
        .lease_id = status->cookie.lease_id,
        .create_revision = status->cookie.create_revision,
        .stop_requested = status->stop_requested || sidecar->stopping,
    };
}

static void observe(struct sidecar *sidecar)
{
    struct view *view = sidecar->view;
    view->now = loop_now(sidecar->loop);
    view->clear_head = clear_head(sidecar, view->now);
    (void)text_copy(view->self, LIMIT_NAME, sidecar->config->name);
    view->tags = sidecar->tags;
    view->policy = sidecar_policy(sidecar);
    view->accept_restored = sidecar->remembrance.accepted;
    view->orders = sidecar->orders;
    view->memory = sidecar->memory;
    cluster_fill(sidecar->cluster, view->now, &view->store);
    view->store.failsafe_committed = publish_failsafe_committed(sidecar->publish);
    sidecar_follow_lift(sidecar);
    view->lease = *lease_keeper_lease(sidecar->keeper);
    peers_fill(sidecar->peers, view->now, &view->store);
    fill_guard(sidecar, &view->guard);
    postgres_fill(sidecar->postgres, view);
}

/* Who was to be cloned from a leader that is no more leads now. Later, a standby again, it must not give
 * up its data for that order. */
static void drop_reinit(struct sidecar *sidecar)
{
    struct view *view = sidecar->view;
    if (!sidecar->orders.reinit || !view->lease.owns_key)
        return;
    log_warn("reinit: this member leads now -> the order to clone it again is dropped");
    sidecar->orders.reinit = view->orders.reinit = false;
}

/* What a former leader taught does not hold against a new one. */
static void forget_former_leader(struct sidecar *sidecar)
{
    const struct view *view = sidecar->view;
    if (view->store.leader_create_revision == sidecar->leader_seen)
        return;
    sidecar->leader_seen = view->store.leader_create_revision;
    sidecar->memory.rewind_failed = false;
    sidecar->memory.rewind_checked = false;
    sidecar->memory.n_late = 0;
    sidecar->view->memory = sidecar->memory;
}

/* --- decide --- */

/* A countdown or a position is no news. */
static bool same_but_for_numbers(const char *a, const char *b)
{
    static const char digits[] = "0123456789";
    do {
        a += strspn(a, digits);
        b += strspn(b, digits);
        if (*a != *b)
            return false;
    } while (*a++ != '\0' && *b++ != '\0');
    return true;
}

static void note_decision(struct sidecar *sidecar)
{
    const struct decision *decision = &sidecar->decision;
    for (size_t i = 0; i < SIDECAR_RULES_MAX && decide_rule_name(i) != NULL; i++)
        if (decide_rule_name(i) == decision->rule)
            sidecar->rule_counts[i]++;
    bool same_rule = strcmp(sidecar->last_rule, decision->rule) == 0;
    /* What must wait for the plan that runs is no news before that has ended. */
    const struct plan *running = runner_plan(sidecar->runner);
    bool waits = running != NULL && !decide_interrupts(running->action, decision->action);
    bool due = !sidecar->last_said && !waits;
    if (same_rule && strcmp(sidecar->last_reason, decision->reason) == 0 && !due)
        return;
    bool same_words =
        same_rule && !due && same_but_for_numbers(sidecar->last_reason, decision->reason);
    (void)text_copy(sidecar->last_reason, sizeof(sidecar->last_reason), decision->reason);
    sidecar->last_said = !waits;
    if (waits || (same_words && decision->action == ACT_WAIT))
        log_debug("%s: %s -> %s", decision->rule, decision->reason, action_name(decision->action));
    else
        log_info("%s: %s -> %s", decision->rule, decision->reason, action_name(decision->action));
    (void)text_copy(sidecar->last_rule, sizeof(sidecar->last_rule), decision->rule);
}

/* --- act --- */

static bool presses(enum action action)
{
    return action == ACT_FENCE || action == ACT_DEMOTE || action == ACT_TAKE ||
           action == ACT_PROMOTE || action == ACT_RELEASE;
}

static void back_off(struct sidecar *sidecar, enum action action)
{
    struct retry *retry = &sidecar->retry;
    int64_t pause_ms = SIDECAR_RETRY_MS;
    if (retry->action == action && retry->pause_ms > 0)
        pause_ms = retry->pause_ms * 2;
    int64_t most_ms = presses(action) ? SIDECAR_RETRY_MS : SIDECAR_RETRY_MAX_MS;
    if (pause_ms > most_ms)
        pause_ms = most_ms;
    *retry = (struct retry){ action, pause_ms, mono_add(sidecar->view->now, pause_ms) };
}

static bool must_pause(const struct sidecar *sidecar, enum action action)
{
    return sidecar->retry.action == action && mono_before(sidecar->view->now, sidecar->retry.at);
}

static void clear_orders(struct sidecar *sidecar, const struct runner_end *end)
{
    if (end->action == ACT_RESTART && !end->dropped)
        sidecar->orders.restart = false;
    if (end->action == ACT_RELOAD && end->completed)
        sidecar->orders.reload = false;
    if (end->action == ACT_RECLONE && end->completed)
        sidecar->orders.reinit = false;
}

static void learn_from_rewind(struct sidecar *sidecar, const struct runner_end *end)
{
    if (end->action != ACT_REWIND || end->dropped)
        return;
    sidecar->memory.rewind_checked = end->completed;
    /* A leader that went away in the middle says nothing of our data: again, after a pause. */
    sidecar->memory.rewind_failed =
        !end->completed && end->step.kind == STEP_REWIND && end->code != ERR_UNREACHABLE;
}

static void plan_ended(struct sidecar *sidecar, const struct runner_end *end)
{
    int took = (int)mono_diff(sidecar->view->now, sidecar->plan_began);
    if (end->completed)
        log_info("plan: %s -> done in %d ms", action_name(end->action), took);
    else if (end->dropped)
        log_info("plan: %s put off at \"%s\": %s", action_name(end->action),
                 step_name(end->step.kind), end->why);
    else
        log_warn("plan: %s stopped at \"%s\" after %d ms: %s -> deciding anew",
                 action_name(end->action), step_name(end->step.kind), took, end->why);
    if (end->completed)
        sidecar->retry = (struct retry){ .action = ACT_WAIT };
    else if (!end->dropped)
        back_off(sidecar, end->action);
    clear_orders(sidecar, end);
    learn_from_rewind(sidecar, end);
    if (end->action == ACT_SYNC_GROW)
        sync_note_growth(&sidecar->memory, sidecar->view, &end->step, end->completed);
    if ((end->action == ACT_TAKE || end->action == ACT_PROMOTE) && end->completed)
        sidecar->memory.promoted_at = sidecar->view->now;
    if (end->action == ACT_STOPPED && end->completed)
        sidecar->memory.handed_over = true;
    if (!sidecar->view->guard.stop_requested)
        publish_ask_out(sidecar->publish, false);
    sidecar_urgent(sidecar);
}

static void start_plan(struct sidecar *sidecar)
{
    const struct decision *decision = &sidecar->decision;
    if (decision->action == ACT_WAIT || must_pause(sidecar, decision->action))
        return;
    struct plan plan = plan_make(sidecar->view, decision);
    if (plan.n == 0)
        return;
    if (decision->accepts_loss)
        publish_event(sidecar->publish, "accepted-loss", decision->reason);
    sidecar->plan_began = sidecar->view->now;
    runner_start(sidecar->runner, &plan, sidecar->view);
}

/* Does the plan wait for what a standby has received, or will it in a moment? The standby looks at its
 * position for who asks (sidecar_api.c). */
static bool hands_over(const struct sidecar *sidecar)
{
    const struct plan *plan = runner_plan(sidecar->runner);
    if (plan == NULL || plan->action != ACT_HANDOVER)
        return false;
    enum step_kind kind = runner_step(sidecar->runner)->kind;
    return kind == STEP_STOP_FAST || kind == STEP_KILL_TREE || kind == STEP_AWAIT_RECEIVED;
}

static void act(struct sidecar *sidecar)
{
    struct runner_end end;
    const struct plan *running = runner_plan(sidecar->runner);
    if (running != NULL && decide_interrupts(running->action, sidecar->decision.action)) {
        runner_drop(sidecar->runner, &end);
        plan_ended(sidecar, &end);
        running = NULL;
    }
    if (running == NULL)
        start_plan(sidecar);
    else if (runner_cycle(sidecar->runner, sidecar->view, &end))
        plan_ended(sidecar, &end);
    if (hands_over(sidecar))
        peers_ask(sidecar->peers, &sidecar->view->store, SIDECAR_HANDOVER_MS);
    else if (sidecar->decision.ask_peers)
        peers_ask(sidecar->peers, &sidecar->view->store, 500);
}

/* --- the cycle --- */

static bool is_busy(const struct sidecar *sidecar)
{
    const struct view *view = sidecar->view;
    return runner_plan(sidecar->runner) != NULL || view->pg.waiters > 0 ||
           !view->store.leader_exists || view->guard.stop_requested ||
           sidecar->retry.action != ACT_WAIT || view->pg.state == PG_STARTING ||
           view->pg.state == PG_STOPPING;
}

/* Part 3: the primary's node should not host the raft leader. Moving it drops what is proposed in that
 * moment, so it waits until no plan (a promotion) is under way. */
static void tell_etcd_member(const struct sidecar *sidecar)
{
    const struct view *view = sidecar->view;
    if (sidecar->etcd_member == NULL)
        return;
    bool fresh = lease_left_ms(&view->lease, view->now) > view->policy.ttl_ms / 2;
    bool calm =
        view_is_primary(view) && view->pg.state == PG_UP && runner_plan(sidecar->runner) == NULL;
    etcd_member_leader_is(sidecar->etcd_member, view->store.leader_exists ? view->store.leader : "",
                          fresh && calm);
}

/* The next look: soon while something is going on, and in time for L2. */
static void plan_next_cycle(struct sidecar *sidecar)
{
    const struct view *view = sidecar->view;
    bool busy = is_busy(sidecar);
    postgres_set_busy(sidecar->postgres, busy);
    int64_t in_ms = hands_over(sidecar) ? SIDECAR_HANDOVER_MS
                    : busy              ? SIDECAR_BUSY_MS
                                        : SIDECAR_CALM_MS;
    int64_t slack_ms = in_ms == SIDECAR_CALM_MS ? SIDECAR_SLACK_MS : 0;
    int64_t left_ms = lease_left_ms(&view->lease, view->now);
    int64_t demote_ms = lease_demote_ms(view->policy.ttl_ms, view->policy.cpu_limited);
    if (view_is_primary(view) && left_ms >= demote_ms && left_ms - demote_ms < in_ms + slack_ms) {
        in_ms = left_ms - demote_ms + 1;
        slack_ms = 0;
    }
    source_arm_loosely(sidecar->pace, in_ms, slack_ms);
}

/* L7: "a second connection fences the first". */
static bool fenced(struct sidecar *sidecar)
{
    if (!guard_client_status(sidecar->guard)->fenced)
        return false;
    log_error("guard: another sidecar has taken it over -> this process ends");
    sidecar->exit_status = EXIT_FAILURE;
    loop_stop(sidecar->loop);
    return true;
}

static void end_when_stopped(struct sidecar *sidecar)
{
    if (!sidecar->memory.handed_over || !sidecar->stopping)
        return;
    if (sidecar->etcd_member == NULL || etcd_member_stop(sidecar->etcd_member))
        loop_stop(sidecar->loop);
}

static void cycle_of_witness(struct sidecar *sidecar)
{
    struct view *view = sidecar->view;
    view->now = loop_now(sidecar->loop);
    (void)text_copy(view->self, LIMIT_NAME, sidecar->config->name);
    view->policy = sidecar_policy(sidecar);
    cluster_fill(sidecar->cluster, view->now, &view->store);
    view->lease = *lease_keeper_lease(sidecar->keeper);
    sidecar->decision = (struct decision){ .action = ACT_WAIT, .rule = "witness" };
    (void)snprintf(sidecar->decision.reason, LIMIT_REASON, "a vote and no data");
    sidecar_publish(sidecar);
    sidecar_api_fill(sidecar);
    if (sidecar->stopping &&
        (sidecar->etcd_member == NULL || etcd_member_stop(sidecar->etcd_member)))
        loop_stop(sidecar->loop);
    source_arm_loosely(sidecar->pace, sidecar->stopping ? SIDECAR_BUSY_MS : SIDECAR_CALM_MS,
                       sidecar->stopping ? 0 : SIDECAR_SLACK_MS);
}

void sidecar_cycle(void *arg)
{
    struct sidecar *sidecar = arg;
    struct mono began = loop_now(sidecar->loop);
    source_disarm(sidecar->pace);
    sidecar_read_settings(sidecar);
    if (!sidecar->options.witness && fenced(sidecar))
        return;
    if (sidecar->options.witness) {
        cycle_of_witness(sidecar);
    } else {
        sidecar_guard_mend(sidecar);
        observe(sidecar);
        sidecar_remember_members(sidecar);
        forget_former_leader(sidecar);
        drop_reinit(sidecar);
        sidecar->decision = decide(sidecar->view);
        note_decision(sidecar);
        act(sidecar);
        sidecar_publish(sidecar);
        sidecar_failsafe_cycle(sidecar);
        sidecar_api_fill(sidecar);
        tell_etcd_member(sidecar);
        plan_next_cycle(sidecar);
        end_when_stopped(sidecar);
    }
    sidecar->cycled_at = began;
    lease_keeper_alive(sidecar->keeper, began);
}

void sidecar_stop(struct sidecar *sidecar)
{
    bool own_guard = sidecar->config->postgres_socket == NULL;
    bool node_stops =
        !sidecar->options.witness && guard_client_status(sidecar->guard)->stop_requested;
    if (!sidecar->options.witness && !own_guard && !node_stops) {
        log_info("stop: asked to end, the guard goes on -> this process ends, Postgres does not");
        loop_stop(sidecar->loop);
        return;
    }
    log_info("stop: asked to end -> stopping this node in order");
    sidecar->stopping = true;
    if (!sidecar->options.witness) /* from here on its budget runs (G2); handed over to, it ends */
        guard_stop(sidecar->guard, NULL, NULL);
    sidecar_urgent(sidecar);
}

int sidecar_exit_status(const struct sidecar *sidecar)
{
    return sidecar->exit_status;
}
