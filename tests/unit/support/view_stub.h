#pragma once
/* Views for tests of the pure core: whole situations of member "a" with the others "b" (and "c"),
 * in which nothing is to be done but what the situation's name says. A test changes what it is
 * about. Also: what was decided and planned, in words. */
#include "sidecar/core/decide.h"
#include "sidecar/core/plan.h"
#include "sidecar/core/view.h"

enum {
    VIEW_NOW_MS = 1000000,
    VIEW_TTL_MS = 10000,
    VIEW_LEASE = 700,        /* of self */
    VIEW_OTHER_LEASE = 800,  /* of b, while it leads */
    VIEW_KEY_REVISION = 100, /* create_revision of the leader key */
    VIEW_LSN = 0x5000000,
    VIEW_PLAN_TEXT = 2048,
};

/* a leads: primary with a fresh lease, b its synchronous standby, everything settled. */
void view_of_leader(struct view *view);
/* a streams from b, which leads; /sync names a. */
void view_of_standby(struct view *view);
/* The same after b has released the key: a may take it. */
void view_of_leaderless(struct view *view);
/* a was the leader of view_of_leader; nothing of its Postgres is left, it still has the key. */
void view_of_lost_postmaster(struct view *view);
/* b leads, a's Postgres was stopped in order as a standby; /sync names nobody. */
void view_of_stopped(struct view *view);
/* Nothing anywhere: empty store, empty directory. */
void view_of_nothing(struct view *view);

/* A running replica with its key, more. */
struct peer *view_add_peer(struct view *view, const char *name);
struct peer *view_edit_peer(struct view *view, const char *name);
/* A walsender that streams and has caught up, for a name that has none. */
struct walsender *view_add_walsender(struct view *view, const char *name);
struct walsender *view_edit_walsender(struct view *view, const char *name);
/* The key /failover, written just now. */
void view_ask_failover(struct view *view, const char *leader, const char *candidate);
struct names view_names(const char *a, const char *b);

/* Fails the test unless this rule decides this action. */
struct decision view_decides(const char *file, int line, const struct view *view, const char *rule,
                             enum action action);
#define DECIDES(view, rule, action) view_decides(__FILE__, __LINE__, (view), (rule), (action))
/* Fails the test unless the reason contains the words. */
void view_says(const char *file, int line, const struct decision *decision, const char *words);
#define SAYS(decision, words) view_says(__FILE__, __LINE__, &(decision), (words))

/* "guard deadline, end blocking sessions?, write /sync {}, pg_promote": '?' optional, ':name' its
 * name, '{…}' its set, '=kind' its synchronous_standby_names. */
const char *plan_words(const struct plan *plan, char buffer[VIEW_PLAN_TEXT]);
/* Decides, plans, and compares with those words. */
void view_plans(const char *file, int line, const struct view *view, enum action action,
                const char *words);
#define PLANS(view, action, words) view_plans(__FILE__, __LINE__, (view), (action), (words))
