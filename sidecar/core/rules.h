#pragma once
/* The rules of the decision, in the files rules_*.c. Each is one question to the view: it either does
 * not apply (false) or fills the decision (true). The order stands in decide.c alone. */
#include <stdbool.h>

#include "sidecar/core/decide.h"
#include "sidecar/core/view.h"

typedef bool rule_fn(const struct view *view, struct decision *decision);

/* Fills action and reason; returns true, so that a rule ends with it. */
bool say(struct decision *decision, enum action action, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Safety: who may accept writes (rules_safety.c). */
rule_fn rule_guard_dead;
rule_fn rule_adopt;
rule_fn rule_retake;
rule_fn rule_primary_without_key;
rule_fn rule_demote_before_expiry;
rule_fn rule_key_vanished;
rule_fn rule_holding_ran_out;

/* A stop that the guard reported (rules_stop.c). */
rule_fn rule_stop_primary;
rule_fn rule_stop_standby;
rule_fn rule_stop_release;
rule_fn rule_stopped;

/* Reasons to do nothing (rules_wait.c). */
rule_fn rule_dizzy;
rule_fn rule_guard_away;
rule_fn rule_store_unread;
rule_fn rule_store_away;
rule_fn rule_lift;
rule_fn rule_lift_over;
rule_fn rule_pause;
rule_fn rule_foreign_system;
rule_fn rule_stopping;
rule_fn rule_starting;
rule_fn rule_data_unknown;
rule_fn rule_idle;

/* Postgres is down and the key is ours (rules_down.c). */
rule_fn rule_release_to_successor;
rule_fn rule_read_wal;
rule_fn rule_release_without_data;
rule_fn rule_restart_in_place;

/* Postgres is down and the key is not ours (rules_down.c). */
rule_fn rule_data_broken;
rule_fn rule_bootstrap;
rule_fn rule_clone;
rule_fn rule_empty_waits;
rule_fn rule_reinit;
rule_fn rule_rewind_stopped;
rule_fn rule_successor_comes;
rule_fn rule_start_standby;

/* A running standby (rules_standby.c). */
rule_fn rule_promote;
rule_fn rule_not_fit_to_lead;
rule_fn rule_race;
rule_fn rule_rewind_running;
rule_fn rule_follow;
rule_fn rule_restart;
rule_fn rule_reload;

/* A running primary that holds the key (rules_primary.c). */
rule_fn rule_finish_bootstrap;
rule_fn rule_switchover;
rule_fn rule_failover_request_done;
rule_fn rule_sync_off;
rule_fn rule_sync_shrink;
rule_fn rule_sync_grow;
rule_fn rule_settle;
