/* State-changing requests (patroni-compat 2.5): what can be judged from memory is answered here, in
 * Patroni's order and words; the rest becomes an order. */
#include <stdio.h>
#include <string.h>

#include "cluster/failover.h"
#include "settings/option.h"
#include "sidecar/api/routes.h"
#include "json/json.h"

#define API_ORDER_NAME(name, text) [API_##name] = (text),
static const char *const order_names[] = { API_ORDERS(API_ORDER_NAME) };
_Static_assert(sizeof(order_names) / sizeof(order_names[0]) == API_ORDER_MAX, "every order");

const char *api_order_name(enum api_order_kind kind)
{
    return order_names[kind];
}

/* Text of a key; "" when it is absent, null, empty or no text. */
static const char *text_of(const json_t *body, const char *key)
{
    const char *text = json_string_value(json_object_get(body, key));
    return text != NULL ? text : "";
}

/* Python's idea of "given": not absent, null, empty, zero or false. */
static bool is_given(const json_t *body, const char *key)
{
    const json_t *value = json_object_get(body, key);
    if (json_is_string(value))
        return json_string_value(value)[0] != '\0';
    if (json_is_integer(value))
        return json_integer_value(value) != 0;
    return value != NULL && !json_is_null(value) && !json_is_false(value);
}

struct reply api_patch_config(const struct api_state *state, const struct request *request)
{
    (void)state;
    (void)request;
    return reply_order(API_CONFIG_PATCH);
}

struct reply api_put_config(const struct api_state *state, const struct request *request)
{
    (void)state;
    (void)request;
    return reply_order(API_CONFIG_PUT);
}

struct reply api_post_reload(const struct api_state *state, const struct request *request)
{
    (void)state;
    (void)request;
    return reply_order(API_RELOAD);
}

/* True: the schedule is good, or there is none. */
static bool check_schedule(const struct request *request, const char *key, const char *action,
                           struct reply *ret_reply)
{
    struct wall at;
    const char *text = text_of(request->json, key);
    switch (iso_parse(text, &at)) {
    case ISO_NO_ZONE:
        *ret_reply =
            reply_textf(400, "Timezone information is mandatory for the scheduled %s", action);
        return false;
    case ISO_BAD:
        *ret_reply = reply_text(422, "Unable to parse scheduled timestamp. It should be in an "
                                     "unambiguous format, e.g. ISO 8601");
        return false;
    case ISO_OK:
        break;
    }
    if (at.ms >= request->wall.ms)
        return true;
    *ret_reply = reply_textf(422, "Cannot schedule %s in the past", action);
    return false;
}

/* ---- restart ---------------------------------------------------------------------------------- */

/* "17", "9.6", "17.4": as server_version_num; 0 when it is none. */
static int version_number(const char *text)
{
    unsigned major, minor = 0;
    char end;
    int n = sscanf(text, "%u.%u%c", &major, &minor, &end);
    if ((n != 1 && n != 2) || major < 9 || major > 99 || minor > 99)
        return 0;
    if (n == 1 && strchr(text, '.') != NULL)
        return 0;
    return (int)(major < 10 ? major * 10000 + minor * 100 : major * 10000 + minor);
}

static bool read_timeout(const json_t *value, int64_t *ret_ms)
{
    int64_t seconds = 0;
    if (json_is_integer(value))
        seconds = json_integer_value(value);
    else if (!json_is_string(value) || !option_parse_unit(json_string_value(value), "s", &seconds))
        return false;
    if (seconds <= 0 || seconds > INT32_MAX)
        return false;
    *ret_ms = seconds * 1000;
    return true;
}

static bool is_restart_role(const char *role)
{
    return strcmp(role, "primary") == 0 || strcmp(role, "standby_leader") == 0 ||
           strcmp(role, "replica") == 0;
}

/* One key of the body. False: refused. */
static bool check_restart_key(const struct request *request, const char *key, const json_t *value,
                              struct api_order *order, struct reply *ret_reply)
{
    if (strcmp(key, "schedule") == 0) {
        text_copy(order->schedule, sizeof(order->schedule), text_of(request->json, key));
        return check_schedule(request, key, "restart", ret_reply);
    }
    if (strcmp(key, "role") == 0 && !is_restart_role(text_of(request->json, key))) {
        *ret_reply =
            reply_text(400, "PostgreSQL role should be either primary, standby_leader, or replica");
        return false;
    }
    if (strcmp(key, "postgres_version") == 0 && version_number(text_of(request->json, key)) == 0) {
        *ret_reply = reply_textf(400,
                                 "Invalid PostgreSQL version '%s'. Please specify a version like "
                                 "17 or 17.4",
                                 text_of(request->json, key));
        return false;
    }
    if (strcmp(key, "timeout") == 0 && !read_timeout(value, &order->timeout_ms)) {
        *ret_reply = reply_text(400, "Timeout should be a positive number of seconds");
        return false;
    }
    static const char *const known[] = { "role", "postgres_version", "timeout", "restart_pending" };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(key, known[i]) == 0)
            return true;
    *ret_reply = reply_textf(400, "Unknown filter for the scheduled restart: %s", key);
    return false;
}

const char *api_restart_mismatch(const struct api_state *state, const json_t *body)
{
    const char *role = text_of(body, "role");
    if (role[0] != '\0' && strcmp(role, member_role_name(state->postgres.role)) != 0)
        return "the role is another one";
    const char *version = text_of(body, "postgres_version");
    if (version[0] != '\0' && version_number(version) <= state->postgres.server_version)
        return "Postgres is of that version already";
    if (json_object_get(body, "restart_pending") != NULL && !state->pending_restart)
        return "no restart is pending";
    return NULL;
}

static struct reply judge_restart(const struct api_state *state, const struct api_order *order,
                                  const json_t *body)
{
    if (order->schedule[0] != '\0') {
        if (state->scheduled_restart != NULL)
            return reply_text(409, "Another restart is already scheduled");
        return (struct reply){ .order = *order };
    }
    if (api_restart_mismatch(state, body) != NULL)
        return reply_text(503, "restart conditions are not satisfied");
    if (state->running != NULL)
        return reply_textf(503, "%s already in progress", state->running);
    if (state->postgres.state == MEMBER_STARTING)
        return reply_text(503, "postgres is still starting");
    return (struct reply){ .order = *order };
}

struct reply api_post_restart(const struct api_state *state, const struct request *request)
{
    struct api_order order = { .kind = API_RESTART };
    const json_t *body = request->json;
    if (api_paused(state) && json_object_get(body, "schedule") != NULL)
        return reply_text(500, "Can't schedule restart in the paused state");
    void *iter = body == NULL ? NULL : json_object_iter((json_t *)(uintptr_t)body);
    while (iter != NULL) {
        struct reply refusal;
        if (!check_restart_key(request, json_object_iter_key(iter), json_object_iter_value(iter),
                               &order, &refusal))
            return refusal;
        iter = json_object_iter_next((json_t *)(uintptr_t)body, iter);
    }
    if (order.schedule[0] != '\0')
        order.kind = API_RESTART_SCHEDULE;
    return judge_restart(state, &order, body);
}

struct reply api_delete_restart(const struct api_state *state, const struct request *request)
{
    (void)request;
    if (state->scheduled_restart == NULL)
        return reply_text(404, "no restarts are scheduled");
    return reply_order(API_RESTART_FORGET);
}

struct reply api_post_reinitialize(const struct api_state *state, const struct request *request)
{
    struct reply reply = reply_order(API_REINITIALIZE);
    reply.order.force = is_given(request->json, "force");
    reply.order.from_leader =
        is_given(request->json, "from_leader") || is_given(request->json, "from-leader");
    if (api_cluster_unlocked(state))
        return reply_text(503, "Cluster has no leader, can not reinitialize");
    if (api_holds_lock(state, request->now) ||
        (state->view != NULL && view_self_leads(state->view)))
        return reply_text(503, "I am the leader, can not reinitialize");
    if (!reply.order.force && state->running != NULL)
        return reply_textf(503, "%s already in progress", state->running);
    return reply;
}

/* ---- switchover and failover ------------------------------------------------------------------ */

struct wish {
    const char *action; /* "switchover", "failover" */
    const char *leader;
    const char *candidate;
    bool scheduled;
};

static bool member_exists(const struct api_state *state, const char *name)
{
    for (size_t i = 0; i < state->store.n_members; i++)
        if (strcmp(state->store.members[i].name, name) == 0)
            return true;
    return false;
}

static bool sync_demands(const struct api_state *state, const struct wish *wish)
{
    if (state->view == NULL || !sync_in_force(&state->view->store.sync))
        return false;
    /* Design part 4: a failover outside /sync is honoured only after the leader was lost. */
    return strcmp(wish->action, "switchover") == 0 || state->view->store.leader_exists;
}

static size_t others(const struct api_state *state, bool in_sync)
{
    size_t n = 0;
    for (size_t i = 0; i < state->store.n_members; i++) {
        const char *name = state->store.members[i].name;
        bool leads = state->view != NULL && strcmp(state->view->store.leader, name) == 0;
        bool sync = state->view != NULL && names_has(&state->view->store.sync.standbys, name);
        n += !leads && (sync || !in_sync) ? 1 : 0;
    }
    return n;
}

/* What can be said without asking the candidates themselves; NULL text: nothing against it. */
static bool impossible(const struct api_state *state, const struct wish *wish,
                       struct reply *ret_reply)
{
    const char *leader = state->view != NULL ? state->view->store.leader : "";
    bool unlocked = api_cluster_unlocked(state);
    if (wish->leader[0] != '\0' && (unlocked || strcmp(leader, wish->leader) != 0)) {
        *ret_reply = reply_text(412, "leader name does not match");
        return true;
    }
    bool sync = sync_demands(state, wish);
    if (wish->candidate[0] != '\0') {
        bool exists = member_exists(state, wish->candidate);
        bool outside = sync && !names_has(&state->view->store.sync.standbys, wish->candidate);
        /* Patroni looks at /sync first, and for a switchover only. */
        if (outside && (exists || strcmp(wish->action, "switchover") == 0)) {
            *ret_reply = reply_text(412, "candidate name does not match with sync_standby");
            return true;
        }
        if (exists)
            return false;
        *ret_reply = reply_text(412, "candidate does not exists");
        return true;
    }
    if (others(state, sync) > 0)
        return false;
    *ret_reply = reply_textf(412, "%s is not possible: %s", wish->action,
                             sync ? "can not find sync_standby"
                                  : "cluster does not have members except leader");
    return true;
}

/* Validation order of patroni-compat 2.5, up to the schedule. */
static bool wish_is_wrong(const struct api_state *state, const struct request *request,
                          const struct wish *wish, struct reply *ret_reply)
{
    bool failover = strcmp(wish->action, "failover") == 0;
    const char *text = NULL;
    if (failover && wish->candidate[0] == '\0')
        text = "Failover could be performed only to a specific candidate";
    else if (!failover && wish->leader[0] == '\0')
        text = "Switchover could be performed only from a specific leader";
    else if (wish->scheduled && failover)
        text = "Failover can't be scheduled";
    else if (wish->scheduled && api_paused(state))
        text = "Can't schedule switchover in the paused state";
    if (text != NULL) {
        *ret_reply = reply_text(400, text);
        return true;
    }
    return wish->scheduled && !check_schedule(request, "scheduled_at", wish->action, ret_reply);
}

static struct reply judge_switchover(const struct api_state *state, const struct request *request,
                                     const char *action)
{
    const json_t *body = request->json;
    struct wish wish = { .action = action,
                         .leader = text_of(body, "leader"),
                         .candidate =
                             text_of(body, is_given(body, "candidate") ? "candidate" : "member"),
                         .scheduled = is_given(body, "scheduled_at") };
    struct reply reply;
    if (wish_is_wrong(state, request, &wish, &reply))
        return reply;
    if (api_paused(state) && wish.candidate[0] == '\0')
        return reply_text(400,
                          "Switchover is possible only to a specific candidate in a paused state");
    if (wish.leader[0] != '\0')
        wish.action = "switchover"; /* a failover that names the leader is one */
    if (strcmp(wish.leader, wish.candidate) == 0)
        return reply_text(400, "Switchover target and source are the same");
    if (!wish.scheduled && impossible(state, &wish, &reply))
        return reply;
    reply = reply_order(API_SWITCHOVER);
    struct api_order *order = &reply.order;
    order->failover = strcmp(wish.action, "failover") == 0;
    if (!text_copy(order->leader, sizeof(order->leader), wish.leader) ||
        !text_copy(order->member, sizeof(order->member), wish.candidate) ||
        !text_copy(order->schedule, sizeof(order->schedule), text_of(body, "scheduled_at")))
        return reply_text(400, "a name or the schedule is too long");
    return reply;
}

struct reply api_post_switchover(const struct api_state *state, const struct request *request)
{
    return judge_switchover(state, request, "switchover");
}

struct reply api_post_failover(const struct api_state *state, const struct request *request)
{
    return judge_switchover(state, request, "failover");
}

struct reply api_delete_switchover(const struct api_state *state, const struct request *request)
{
    (void)state;
    (void)request;
    return reply_order(API_SWITCHOVER_FORGET);
}

/* ---- failsafe and our own --------------------------------------------------------------------- */

struct reply api_post_failsafe(const struct api_state *state, const struct request *request)
{
    /* L6: before the store was read nobody knows; a promise then binds nobody but this node. */
    if (state->view == NULL || state->witness ||
        (state->view->store.loaded && !state->view->policy.failsafe))
        return reply_html(502, "Bad Gateway");
    if (api_holds_lock(state, request->now))
        return reply_text(500, "Running as a leader");
    return reply_order(API_FAILSAFE);
}

struct reply api_pgvigil_post(const struct api_state *state, const struct request *request)
{
    (void)state;
    if (strcmp(request->path, "/pgvigil/accept") == 0)
        return reply_order(API_ACCEPT);
    if (strcmp(request->path, "/pgvigil/etcd/recover") == 0)
        return reply_order(API_ETCD_RECOVER);
    return reply_html(501, "Unsupported method");
}

struct reply api_pgvigil_delete(const struct api_state *state, const struct request *request)
{
    static const char prefix[] = "/pgvigil/members/";
    const char *member = request->path + sizeof(prefix) - 1;
    if (!text_starts_with(request->path, prefix) || *member == '\0' || strchr(member, '/') != NULL)
        return reply_html(501, "Unsupported method");
    if (state->view == NULL || !api_holds_lock(state, request->now))
        return reply_text(503, "I am not the leader, can not remove a member");
    struct reply reply = reply_order(API_MEMBER_REMOVE);
    if (!text_copy(reply.order.member, sizeof(reply.order.member), member))
        return reply_text(400, "the name is too long");
    return reply;
}
