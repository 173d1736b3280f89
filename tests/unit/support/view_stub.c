#include "view_stub.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void put(char to[LIMIT_NAME], const char *name)
{
    ck_assert(text_copy(to, LIMIT_NAME, name));
}

static void common(struct view *view)
{
    *view = (struct view){
        .now = { VIEW_NOW_MS },
        .clear_head = true,
        .self = "a",
        .tags = tags_default(),
        .pg = { .system_id = 42,
                .timeline = { .tli = 1 },
                .position = VIEW_LSN,
                .state_since = { VIEW_NOW_MS - 60000 },
                .progress_at = { VIEW_NOW_MS } },
        .guard = { .connected = true },
        .lease = { .id = VIEW_LEASE, .ttl_ms = VIEW_TTL_MS },
        .store = { .reachable = true,
                   .loaded = true,
                   .same_cluster = true,
                   .initialize_exists = true,
                   .initialize = 42,
                   .config_exists = true,
                   .config_mod_revision = 3,
                   .optime = VIEW_LSN },
        .policy = { .ttl_ms = VIEW_TTL_MS,
                    .sync_on = true,
                    .sync_count = 1,
                    .max_lag_on_failover = 1 << 20,
                    .use_rewind = true,
                    .primary_start_timeout_ms = 300000,
                    .may_bootstrap = true },
    };
}

static void running(struct view *view, bool in_recovery)
{
    view->guard.tree_alive = true;
    view->pg.state = PG_UP;
    view->pg.dir = DATA_DIR_VALID;
    view->pg.in_recovery = in_recovery;
}

static void down(struct view *view)
{
    view->guard.tree_alive = false;
    view->guard.has_deadline = false;
    view->guard.lease_id = view->guard.create_revision = 0;
    view->pg.state = PG_DOWN;
    view->pg.dir = DATA_DIR_VALID;
    view->pg.clean_stop = true;
    view->pg.n_walsenders = 0;
    view->pg.streaming = false;
    view->pg.upstream[0] = '\0';
}

static void key(struct view *view, const char *leader, int64_t lease)
{
    view->store.leader_exists = true;
    put(view->store.leader, leader);
    view->store.leader_lease = lease;
    view->store.leader_create_revision = VIEW_KEY_REVISION;
    view->store.leader_mod_revision = VIEW_KEY_REVISION + 1;
    view->store.holder = (struct lease_holder){ .exists = true, .lease_id = lease };
}

static void sync_is(struct view *view, const char *leader, const char *standby)
{
    view->store.sync = (struct sync_state){ .exists = true, .mod_revision = 90 };
    put(view->store.sync.leader, leader);
    view->store.sync.standbys = view_names(standby, NULL);
}

void view_of_leader(struct view *view)
{
    common(view);
    running(view, false);
    key(view, "a", VIEW_LEASE);
    sync_is(view, "a", "b");
    view->lease.owns_key = view->lease.held_once = true;
    view->lease.create_revision = VIEW_KEY_REVISION;
    view->lease.mod_revision = VIEW_KEY_REVISION + 1;
    view->lease.held_until = mono_add(view->now, VIEW_TTL_MS - 500);
    view->guard.has_deadline = true;
    view->guard.deadline = mono_add(view->now, VIEW_TTL_MS - 750);
    view->guard.lease_id = VIEW_LEASE;
    view->guard.create_revision = VIEW_KEY_REVISION;
    view->pg.ssn = view->pg.ssn_disk = SSN_NAMES;
    view->pg.ssn_names = view->pg.ssn_disk_names = view_names("b", NULL);
    view->pg.checkpointed = true;
    view_add_peer(view, "b");
    view_add_walsender(view, "b");
}

void view_of_standby(struct view *view)
{
    common(view);
    running(view, true);
    key(view, "b", VIEW_OTHER_LEASE);
    sync_is(view, "b", "a");
    put(view->pg.upstream, "b");
    view->pg.streaming = true;
    struct peer *leader = view_add_peer(view, "b");
    leader->member.role = MEMBER_ROLE_PRIMARY;
    leader->in_recovery = false;
    view->store.confirmed_exists = true;
    view->store.confirmed = view->pg.timeline;
    view->store.confirmed_lsn = VIEW_LSN - 100;
}

void view_of_leaderless(struct view *view)
{
    view_of_standby(view);
    view->store.leader_exists = false;
    view->store.leader[0] = '\0';
    view->store.leader_lease = 0;
    view->store.leader_create_revision = view->store.leader_mod_revision = 0;
    view->store.holder.released = true;
    view->pg.streaming = false;
    view_edit_peer(view, "b")->member.state = MEMBER_STOPPED;
}

void view_of_lost_postmaster(struct view *view)
{
    view_of_leader(view);
    down(view);
    view->pg.clean_stop = false;
    view->pg.was_primary = true;
}

void view_of_stopped(struct view *view)
{
    view_of_standby(view);
    down(view);
    view->pg.in_recovery = true;
    view->store.sync.standbys.n = 0;
}

void view_of_nothing(struct view *view)
{
    common(view);
    down(view);
    view->pg = (struct pg_view){ .dir = DATA_DIR_EMPTY };
    view->store.initialize_exists = view->store.config_exists = false;
    view->store.initialize = 0;
    view->store.config_mod_revision = 0;
    view->store.optime = LSN_NONE;
}

struct peer *view_add_peer(struct view *view, const char *name)
{
    struct peer *peer = &view->store.peers[view->store.n_peers++];
    *peer = (struct peer){ .has_key = true,
                           .walsender_gone = MONO_NEVER,
                           .in_recovery = true,
                           .position = VIEW_LSN,
                           .timeline = { .tli = 1 } };
    put(peer->member.name, name);
    peer->member.state = MEMBER_RUNNING;
    peer->member.role = MEMBER_ROLE_REPLICA;
    peer->member.receive_lsn = VIEW_LSN;
    peer->member.timeline = 1;
    peer->member.tags = tags_default();
    return peer;
}

struct peer *view_edit_peer(struct view *view, const char *name)
{
    for (size_t i = 0; i < view->store.n_peers; i++)
        if (strcmp(view->store.peers[i].member.name, name) == 0)
            return &view->store.peers[i];
    ck_abort_msg("no peer %s", name);
    return NULL;
}

struct walsender *view_add_walsender(struct view *view, const char *name)
{
    struct walsender *sender = &view->pg.walsenders[view->pg.n_walsenders++];
    *sender = (struct walsender){ .streaming = true,
                                  .only_one = true,
                                  .holds_slot = true,
                                  .sync = true,
                                  .sync_priority = 1,
                                  .flush = VIEW_LSN };
    put(sender->name, name);
    return sender;
}

struct walsender *view_edit_walsender(struct view *view, const char *name)
{
    for (size_t i = 0; i < view->pg.n_walsenders; i++)
        if (strcmp(view->pg.walsenders[i].name, name) == 0)
            return &view->pg.walsenders[i];
    ck_abort_msg("no walsender %s", name);
    return NULL;
}

void view_ask_failover(struct view *view, const char *leader, const char *candidate)
{
    view->store.failover = (struct failover_request){
        .exists = true, .due = true, .mod_revision = 200, .after_leader_loss = true
    };
    put(view->store.failover.leader, leader);
    put(view->store.failover.candidate, candidate);
}

struct names view_names(const char *a, const char *b)
{
    struct names names = { .n = 0 };
    if (a != NULL)
        names_add(&names, a);
    if (b != NULL)
        names_add(&names, b);
    return names;
}

/* ---- in words ------------------------------------------------------------------------ */

struct decision view_decides(const char *file, int line, const struct view *view, const char *rule,
                             enum action action)
{
    struct decision decision = decide(view);
    if (strcmp(decision.rule, rule) != 0 || decision.action != action)
        ck_abort_msg("%s:%d: expected %s -> %s, got %s: %s -> %s", file, line, rule,
                     action_name(action), decision.rule, decision.reason,
                     action_name(decision.action));
    if (decision.reason[0] == '\0')
        ck_abort_msg("%s:%d: %s gives no reason", file, line, rule);
    return decision;
}

void view_says(const char *file, int line, const struct decision *decision, const char *words)
{
    if (strstr(decision->reason, words) == NULL)
        ck_abort_msg("%s:%d: \"%s\" does not say \"%s\"", file, line, decision->reason, words);
}

static const char *ssn_word(enum ssn_kind kind)
{
    static const char *const words[] = { [SSN_EMPTY] = "=empty",
                                         [SSN_NOBODY] = "=nobody",
                                         [SSN_NAMES] = "=names",
                                         [SSN_FOREIGN] = "=foreign" };
    return words[kind];
}

static bool has_ssn(enum step_kind kind)
{
    return kind == STEP_SET_SSN || kind == STEP_AWAIT_SSN_SHOWN || kind == STEP_START_PRIMARY;
}

static bool has_set(enum step_kind kind)
{
    return kind == STEP_WRITE_SYNC;
}

const char *plan_words(const struct plan *plan, char buffer[VIEW_PLAN_TEXT])
{
    size_t used = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < plan->n; i++) {
        const struct step *step = &plan->steps[i];
        char list[LIMIT_REASON];
        bool braces = step->names.n > 0 || has_set(step->kind);
        names_join(&step->names, list, sizeof(list));
        used += (size_t)snprintf(buffer + used, VIEW_PLAN_TEXT - used, "%s%s%s%s%s%s%s%s%s",
                                 i > 0 ? ", " : "", step_name(step->kind),
                                 step->name[0] != '\0' ? ":" : "", step->name,
                                 has_ssn(step->kind) ? ssn_word(step->ssn) : "", braces ? " {" : "",
                                 list, braces ? "}" : "", step->optional ? "?" : "");
        ck_assert_uint_lt(used, VIEW_PLAN_TEXT);
    }
    return buffer;
}

void view_plans(const char *file, int line, const struct view *view, enum action action,
                const char *words)
{
    char text[VIEW_PLAN_TEXT];
    struct decision decision = decide(view);
    if (decision.action != action)
        ck_abort_msg("%s:%d: expected %s, got %s: %s -> %s", file, line, action_name(action),
                     decision.rule, decision.reason, action_name(decision.action));
    struct plan plan = plan_make(view, &decision);
    plan_words(&plan, text);
    if (plan.action != action || strcmp(text, words) != 0)
        ck_abort_msg("%s:%d: %s:\nexpected %s\n     got %s", file, line, action_name(action), words,
                     text);
}
