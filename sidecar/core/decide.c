#include "sidecar/core/decide.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sidecar/core/rules.h"

/* First match wins; safety rules come before liveness rules. */
static const struct {
    const char *name;
    rule_fn *applies;
} rules[] = {
    { "guard-dead", rule_guard_dead },
    { "adopt", rule_adopt },
    { "retake", rule_retake },
    { "primary-without-key", rule_primary_without_key },
    { "demote-before-expiry", rule_demote_before_expiry },
    { "key-vanished", rule_key_vanished },
    { "holding-ran-out", rule_holding_ran_out },
    { "guard-away", rule_guard_away },
    { "stop-primary", rule_stop_primary },
    { "stop-standby", rule_stop_standby },
    { "stop-release", rule_stop_release },
    { "stopped", rule_stopped },
    { "dizzy", rule_dizzy },
    { "store-unread", rule_store_unread },
    { "store-away", rule_store_away },
    { "stopping", rule_stopping },
    { "starting", rule_starting },
    { "release-to-successor", rule_release_to_successor },
    { "lift", rule_lift },
    { "lift-over", rule_lift_over },
    { "pause", rule_pause },
    { "reinit", rule_reinit },
    { "data-unknown", rule_data_unknown },
    { "read-wal", rule_read_wal },
    { "release-without-data", rule_release_without_data },
    { "restart-in-place", rule_restart_in_place },
    { "foreign-system", rule_foreign_system },
    { "data-broken", rule_data_broken },
    { "bootstrap", rule_bootstrap },
    { "clone", rule_clone },
    { "empty-waits", rule_empty_waits },
    { "rewind-stopped", rule_rewind_stopped },
    { "successor-comes", rule_successor_comes },
    { "start-standby", rule_start_standby },
    { "promote", rule_promote },
    { "not-fit-to-lead", rule_not_fit_to_lead },
    { "race", rule_race },
    { "rewind-running", rule_rewind_running },
    { "follow", rule_follow },
    { "failover-request-done", rule_failover_request_done },
    { "finish-bootstrap", rule_finish_bootstrap },
    { "sync-off", rule_sync_off },
    { "sync-shrink", rule_sync_shrink },
    { "switchover", rule_switchover },
    { "reload", rule_reload },
    { "sync-grow", rule_sync_grow },
    { "restart", rule_restart },
    { "settle", rule_settle },
    { "idle", rule_idle },
};

enum { N_RULES = sizeof(rules) / sizeof(rules[0]) };

#define ACTION_NAME(name, text) [ACT_##name] = (text),
static const char *const action_names[] = { ACTIONS(ACTION_NAME) };
_Static_assert(sizeof(action_names) / sizeof(action_names[0]) == ACT_MAX, "a name for each action");

const char *action_name(enum action action)
{
    return action_names[action];
}

const char *decide_rule_name(size_t index)
{
    return index < N_RULES ? rules[index].name : NULL;
}

bool say(struct decision *decision, enum action action, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    decision->action = action;
    (void)vsnprintf(decision->reason, sizeof(decision->reason), format, args);
    va_end(args);
    return true;
}

struct decision decide(const struct view *view)
{
    struct decision decision = { .action = ACT_WAIT };
    for (size_t i = 0;; i++) { /* the last rule always applies */
        assert(i < N_RULES);
        decision.rule = rules[i].name;
        if (rules[i].applies(view, &decision))
            return decision;
    }
}

/* How much an action presses, and how much its running plan withstands. A stop interrupts whatever it
 * is, but for what takes a moment and ends with the key given away or Postgres stopped, and for a
 * promotion: that one gives way to safety only (S4), and to the guard's budget (G2). Anything
 * interrupts SETTLE. */
static const struct {
    int urgency;
    int resistance;
} weights[] = {
    [ACT_WAIT] = { 0, 0 },
    [ACT_SETTLE] = { 1, 0 },
    [ACT_RELOAD] = { 1, 2 },
    [ACT_CLEAR_FAILOVER] = { 1, 2 },
    [ACT_FINISH_BOOTSTRAP] = { 1, 2 },
    [ACT_FOLLOW] = { 1, 2 },
    [ACT_SYNC_GROW] = { 1, 2 },
    [ACT_SYNC_SHRINK] = { 2, 2 },
    [ACT_SYNC_OFF] = { 2, 2 },
    [ACT_BOOTSTRAP] = { 1, 5 },
    [ACT_CLONE] = { 1, 3 },
    [ACT_RECLONE] = { 1, 3 },
    [ACT_REWIND] = { 1, 3 },
    [ACT_READ_WAL] = { 1, 2 },
    [ACT_START_STANDBY] = { 3, 3 },
    [ACT_START_PRIMARY] = { 3, 3 },
    [ACT_RESTART] = { 1, 4 },
    [ACT_ADOPT] = { 1, 7 },
    [ACT_RETAKE] = { 6, 7 }, /* the promises end soon */
    [ACT_LIFT] = { 1, 2 },
    [ACT_UNLIFT] = { 1, 2 },
    [ACT_TAKE] = { 1, 6 },
    [ACT_PROMOTE] = { 1, 6 },
    [ACT_HANDOVER] = { 6, 7 },
    [ACT_LEAVE] = { 6, 7 },
    [ACT_STOPPED] = { 6, 7 },
    [ACT_RELEASE] = { 3, 7 },
    [ACT_ABANDON] = { 5, 8 }, /* the watch may show our key before the reply to our own TAKE */
    [ACT_DEMOTE] = { 8, 8 },
    [ACT_FENCE] = { 9, 9 },
};
_Static_assert(sizeof(weights) / sizeof(weights[0]) == ACT_MAX, "a weight for each action");

bool decide_interrupts(enum action running, enum action wanted)
{
    return wanted != running && weights[wanted].urgency > weights[running].resistance;
}
