#pragma once
/* The rules of member_decide, in their files; the order stands in member_core.c alone. */
#include "sidecar/etcd_member/member_core.h"

typedef bool member_rule_fn(const struct member_view *view, struct member_decision *decision);

/* Fills action and reason; returns true. */
bool member_say(struct member_decision *decision, enum member_action action, const char *format,
                ...) __attribute__((format(printf, 3, 4)));
/* The same with MEMBER_WAIT, for a person's eyes. */
bool member_warn(struct member_decision *decision, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Facts. */
const struct member_peer *member_us(const struct member_view *view);
/* The listed one with this id, or NULL. */
const struct member_listed *member_listed_id(const struct member_view *view, uint64_t id);
/* The listed one that is this configured member, by URL, else by name; NULL. */
const struct member_listed *member_listed_peer(const struct member_view *view,
                                               const struct member_peer *peer);
/* The configured one that this listed one is, or NULL. */
const struct member_peer *member_peer_listed(const struct member_view *view,
                                             const struct member_listed *listed);
bool member_started(const struct member_listed *listed);
/* We run the raft leader, and a quorum has said lately who the members are. */
bool member_leads(const struct member_view *view);

/* While etcd does not run (member_start.c). */
member_rule_fn member_rule_stopping;
member_rule_fn member_rule_guard_away;
member_rule_fn member_rule_disk;
member_rule_fn member_rule_recover;
member_rule_fn member_rule_ending;
member_rule_fn member_rule_program;
member_rule_fn member_rule_superseded;
member_rule_fn member_rule_removed;
member_rule_fn member_rule_pause;
member_rule_fn member_rule_restart;
member_rule_fn member_rule_other_cluster;
member_rule_fn member_rule_join;
member_rule_fn member_rule_found;
member_rule_fn member_rule_formation;
member_rule_fn member_rule_nothing_left;
member_rule_fn member_rule_ask;

/* While it runs (member_run.c). */
member_rule_fn member_rule_silent;
member_rule_fn member_rule_remember;
member_rule_fn member_rule_no_quorum;
member_rule_fn member_rule_learner;
member_rule_fn member_rule_promote;
member_rule_fn member_rule_again;
member_rule_fn member_rule_add;
member_rule_fn member_rule_replace;
member_rule_fn member_rule_url;
member_rule_fn member_rule_replace_waits;
member_rule_fn member_rule_calm;

/* Leader placement and upkeep, beside the raft leader (member_upkeep.c). */
member_rule_fn member_rule_compact;
member_rule_fn member_rule_shrink;
member_rule_fn member_rule_disarm;
member_rule_fn member_rule_no_space;
member_rule_fn member_rule_move;
member_rule_fn member_rule_defrag;
