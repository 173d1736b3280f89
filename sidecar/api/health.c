/* Health checks (patroni-compat 2.2): the first row whose text is in the path, in this order. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sidecar/api/routes.h"
#include "json/json.h"

/* What the rows ask for, found once. */
struct facts {
    bool holds_lock;
    bool running;
    bool standby_ok; /* "R": a replica that runs and may serve */
    bool sync;
    bool fresh; /* the view of the store is not older than ttl */
};

typedef bool check_fn(const struct facts *facts);

static bool never(const struct facts *facts)
{
    (void)facts;
    return false;
}

static bool is_leader(const struct facts *facts)
{
    return facts->holds_lock;
}

static bool is_replica(const struct facts *facts)
{
    return facts->standby_ok;
}

static bool is_readable(const struct facts *facts)
{
    return facts->holds_lock || facts->standby_ok;
}

static bool is_running(const struct facts *facts)
{
    return facts->running;
}

static bool is_sync(const struct facts *facts)
{
    return facts->fresh && facts->sync && facts->standby_ok;
}

static bool is_async(const struct facts *facts)
{
    return facts->fresh && !facts->sync && facts->standby_ok;
}

static bool is_readable_sync(const struct facts *facts)
{
    return facts->fresh && (facts->holds_lock || (facts->sync && facts->standby_ok));
}

/* Patroni's rows 8 and 10; there are no quorum standbys in mode `on`. */
static bool is_readable_quorum(const struct facts *facts)
{
    return facts->fresh && facts->holds_lock;
}

enum match {
    CONTAINS,
    EXACTLY,
    PLAIN /* contains it, and neither "sync" nor "quorum" */
};

static const struct {
    enum match match;
    const char *text;
    check_fn *check;
    bool tags; /* tag_* filters apply */
} checks[] = {
    { CONTAINS, "standby_leader", never, false },
    { CONTAINS, "standby-leader", never, false },
    { CONTAINS, "leader", is_leader, false },
    { CONTAINS, "master", is_leader, false },
    { CONTAINS, "primary", is_leader, false },
    { CONTAINS, "read-write", is_leader, false },
    { EXACTLY, "/", is_leader, false },
    { CONTAINS, "replica", is_replica, true },
    { PLAIN, "read-only", is_readable, true },
    { CONTAINS, "health", is_running, true },
    { EXACTLY, "/sync", is_sync, true },
    { EXACTLY, "/synchronous", is_sync, true },
    { EXACTLY, "/quorum", never, true },
    { EXACTLY, "/async", is_async, true },
    { EXACTLY, "/asynchronous", is_async, true },
    { EXACTLY, "/read-only-quorum", is_readable_quorum, true },
    { EXACTLY, "/read-only-sync", is_readable_sync, true },
    { EXACTLY, "/read-only-synchronous", is_readable_sync, true },
};

static bool path_matches(const char *path, enum match match, const char *text)
{
    if (match == EXACTLY)
        return strcmp(path, text) == 0;
    if (match == PLAIN && (strstr(path, "sync") != NULL || strstr(path, "quorum") != NULL))
        return false;
    return strstr(path, text) != NULL;
}

bool health_parse_size(const char *text, int64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        double factor;
    } units[] = { { "", 1 },         { "B", 1 },           { "kB", 1024 },
                  { "MB", 1048576 }, { "GB", 1073741824 }, { "TB", 1099511627776 } };
    char *end;
    double value = strtod(text, &end);
    if (end == text || value < 0)
        return false;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcasecmp(end, units[i].unit) == 0 && value * units[i].factor < 9e18) {
            *ret_bytes = (int64_t)(value * units[i].factor);
            return true;
        }
    return false;
}

static lsn_t known_end(const struct api_state *state)
{
    lsn_t latest = state->postgres.latest_end;
    return state->store.optime > latest ? state->store.optime : latest;
}

/* Unparsable means no limit. */
static bool lags(const struct api_state *state, const struct request *request)
{
    const char *text = request_arg(request, "lag");
    int64_t limit;
    if (text == NULL || !health_parse_size(text, &limit))
        return false;
    return known_end(state) > state->postgres.replayed + (lsn_t)limit;
}

static const char *replication_state(const struct api_state *state)
{
    if (state->view != NULL && state->view->pg.streaming)
        return "streaming";
    return state->postgres.archive_recovery ? "in archive recovery" : "";
}

static bool state_differs(const struct api_state *state, const struct request *request)
{
    const char *wanted = request_arg(request, "replication_state");
    return wanted != NULL && strcasecmp(wanted, replication_state(state)) != 0;
}

static bool is_standby_ok(const struct api_state *state, const struct request *request,
                          bool running)
{
    const struct view *view = state->view;
    return running && view != NULL && !view->tags.noloadbalance &&
           state->postgres.role == MEMBER_ROLE_REPLICA && !lags(state, request) &&
           !state_differs(state, request);
}

/* The tag as a query gives it: a string without its quotes, everything else in lower case. */
static bool tag_is(const char *json, const char *wanted)
{
    auto_json json_t *value = NULL;
    if (json_parse(json, strlen(json), "tag", &value, NULL) == ERR_OK && json_is_string(value))
        return strcmp(json_string_value(value), wanted) == 0;
    return strcasecmp(json, wanted) == 0;
}

static bool has_tag(const struct api_state *state, const char *name, const char *wanted)
{
    if (state->view == NULL)
        return false;
    const struct tags *tags = &state->view->tags;
    for (size_t i = 0; i < tags->n; i++)
        if (strcmp(tags->all[i].name, name) == 0)
            return tag_is(tags->all[i].value, wanted);
    return false;
}

static bool tags_match(const struct api_state *state, const struct request *request)
{
    static const char prefix[] = "tag_";
    for (size_t i = 0; i < request->n_args; i++) {
        const struct request_arg *arg = &request->args[i];
        if (text_starts_with(arg->name, prefix) &&
            !has_tag(state, arg->name + sizeof(prefix) - 1, arg->value))
            return false;
    }
    return true;
}

static bool store_is_fresh(const struct api_state *state, struct mono now)
{
    const struct view *view = state->view;
    if (view == NULL || !view->store.loaded)
        return false;
    return view->store.age_ms + mono_diff(now, view->now) <= view->policy.ttl_ms;
}

static bool is_up(const struct api_state *state)
{
    return !state->witness && state->postgres.state == MEMBER_RUNNING && state->postgres.queryable;
}

int health_status(const struct api_state *state, const struct request *request)
{
    bool running = is_up(state);
    struct facts facts = {
        .holds_lock = api_holds_lock(state, request->now),
        .running = running,
        .standby_ok = is_standby_ok(state, request, running),
        .sync = api_is_sync_standby(state),
        .fresh = store_is_fresh(state, request->now),
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (!path_matches(request->path, checks[i].match, checks[i].text))
            continue;
        bool good = checks[i].check(&facts) && (!checks[i].tags || tags_match(state, request));
        return good ? 200 : 503;
    }
    return 503;
}

struct reply api_health(const struct api_state *state, const struct request *request)
{
    int status = health_status(state, request);
    if (request->method != METHOD_GET)
        return reply_bare(status);
    auto_json json_t *body = status_json(state, request);
    return reply_json(status, body);
}

/* Design part 8: tells of the loop, not of the cycle: who answers, lives. */
struct reply api_liveness(const struct api_state *state, const struct request *request)
{
    (void)state;
    (void)request;
    return reply_bare(200);
}

static bool replica_is_ready(const struct api_state *state, const struct request *request)
{
    const struct view *view = state->view;
    if (!is_up(state) || view == NULL || !view->pg.streaming)
        return false;
    if (!store_is_fresh(state, request->now) && state->postgres.latest_end == LSN_NONE)
        return state->failsafe_active;
    int64_t limit = view->policy.max_lag_on_failover;
    const char *text = request_arg(request, "lag");
    if (text != NULL && !health_parse_size(text, &limit))
        limit = view->policy.max_lag_on_failover;
    const char *mode = request_arg(request, "mode");
    bool write = mode != NULL && strcmp(mode, "write") == 0;
    lsn_t position = write ? state->postgres.received : state->postgres.replayed;
    return known_end(state) <= position + (lsn_t)limit;
}

/* Design part 8: Patroni's condition and, where the pod has a voter, that it is one. */
struct reply api_readiness(const struct api_state *state, const struct request *request)
{
    if (state->etcd.managed && !state->etcd.voter)
        return reply_bare(503);
    if (state->witness)
        return reply_bare(200);
    bool ready = api_holds_lock(state, request->now) || replica_is_ready(state, request);
    return reply_bare(ready ? 200 : 503);
}
