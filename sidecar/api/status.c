/* GET /patroni and its parts (patroni-compat 2.3): keys in that order; markers are left out, never
 * false. Our own part says in words why the node is as it is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "sidecar/api/routes.h"
#include "sidecar/core/accept.h"
#include "sidecar/patroni.h"
#include "sidecar/view_json.h"
#include "json/json.h"

const char *status_time(int64_t us, char buffer[STATUS_TIME_MAX])
{
    char iso[CLOCK_ISO_MAX];
    clock_iso((struct wall){ us / 1000 }, iso);
    iso[10] = ' ';
    unsigned fraction = (unsigned)(us % 1000000);
    if (fraction == 0)
        snprintf(buffer, STATUS_TIME_MAX, "%.19s+00:00", iso);
    else
        snprintf(buffer, STATUS_TIME_MAX, "%.19s.%06u+00:00", iso, fraction % 1000000);
    return buffer;
}

static json_t *time_or_null(int64_t us)
{
    char buffer[STATUS_TIME_MAX];
    return us == 0 ? json_null() : json_string(status_time(us, buffer));
}

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static json_t *lsn_json(lsn_t lsn)
{
    return json_integer((json_int_t)lsn);
}

/* A JSON text of the store inside an answer; nothing when it cannot be read. */
static void set_raw(json_t *object, const char *key, const char *json)
{
    json_t *value;
    if (json != NULL && json_parse(json, strlen(json), key, &value, NULL) == ERR_OK)
        json_object_set_new(object, key, value);
}

/* The member key tells as well which postmaster was meant; Patroni leaves that out here. */
static void add_scheduled_restart(json_t *body, const char *scheduled)
{
    set_raw(body, "scheduled_restart", scheduled);
    (void)json_object_del(json_object_get(body, "scheduled_restart"), "postmaster_start_time");
}

static json_t *xlog_json(const struct api_postgres *postgres)
{
    json_t *xlog = json_object();
    if (postgres->role == MEMBER_ROLE_PRIMARY) {
        json_object_set_new(xlog, "location", lsn_json(postgres->flushed));
        return xlog;
    }
    json_object_set_new(xlog, "received_location", lsn_json(postgres->received));
    json_object_set_new(xlog, "replayed_location", lsn_json(postgres->replayed));
    json_object_set_new(xlog, "replayed_timestamp", time_or_null(postgres->replayed_timestamp_us));
    json_object_set_new(xlog, "paused", json_boolean(postgres->replay_paused));
    return xlog;
}

static json_t *walsenders_json(const struct api_postgres *postgres)
{
    json_t *list = json_array();
    for (size_t i = 0; i < postgres->n_walsenders; i++) {
        const struct api_walsender *row = &postgres->walsenders[i];
        json_t *entry = json_object();
        json_object_set_new(entry, "usename", text_or_null(row->usename));
        json_object_set_new(entry, "application_name", text_or_null(row->application_name));
        json_object_set_new(entry, "client_addr", text_or_null(row->client_addr));
        json_object_set_new(entry, "state", text_or_null(row->state));
        json_object_set_new(entry, "sync_state", text_or_null(row->sync_state));
        json_object_set_new(entry, "sync_priority", json_integer(row->sync_priority));
        json_array_append_new(list, entry);
    }
    return list;
}

static void add_replica(json_t *body, const struct api_state *state)
{
    if (state->postgres.role == MEMBER_ROLE_PRIMARY)
        return;
    if (state->view->pg.streaming)
        json_object_set_new(body, "replication_state", json_string("streaming"));
    else if (state->postgres.archive_recovery)
        json_object_set_new(body, "replication_state", json_string("in archive recovery"));
}

/* What only a server that answers queries can tell. */
static void add_postgres(json_t *body, const struct api_state *state)
{
    const struct api_postgres *postgres = &state->postgres;
    json_object_set_new(body, "server_version", json_integer(postgres->server_version));
    json_object_set_new(body, "xlog", xlog_json(postgres));
    if (api_is_sync_standby(state))
        json_object_set_new(body, "sync_standby", json_true());
    if (state->view->pg.timeline.tli != 0)
        json_object_set_new(body, "timeline", json_integer(state->view->pg.timeline.tli));
    add_replica(body, state);
    if (postgres->n_walsenders > 0)
        json_object_set_new(body, "replication", walsenders_json(postgres));
}

static void add_markers(json_t *body, const struct api_state *state)
{
    if (api_paused(state))
        json_object_set_new(body, "pause", json_true());
    if (api_cluster_unlocked(state))
        json_object_set_new(body, "cluster_unlocked", json_true());
    if (state->failsafe_active)
        json_object_set_new(body, "failsafe_mode_is_active", json_true());
    json_object_set_new(body, "dcs_last_seen", json_integer(state->store.last_seen_us / 1000000));
}

static void add_tags(json_t *body, const struct tags *tags)
{
    if (tags->n == 0)
        return;
    json_t *object = json_object();
    for (size_t i = 0; i < tags->n; i++)
        set_raw(object, tags->all[i].name, tags->all[i].value);
    json_object_set_new(body, "tags", object);
}

static void add_identity(json_t *body, const struct api_state *state)
{
    if (state->view != NULL && state->view->pg.system_id != 0) {
        char text[24];
        snprintf(text, sizeof(text), "%" PRIu64, state->view->pg.system_id);
        json_object_set_new(body, "database_system_identifier", json_string(text));
    }
    if (state->pending_restart) {
        json_object_set_new(body, "pending_restart", json_true());
        set_raw(body, "pending_restart_reason", state->pending_restart_reason);
    }
    json_t *patroni = json_object();
    json_object_set_new(patroni, "version", json_string(PATRONI_VERSION));
    json_object_set_new(patroni, "scope", json_string(state->scope));
    json_object_set_new(patroni, "name", json_string(state->name));
    json_object_set_new(body, "patroni", patroni);
    add_scheduled_restart(body, state->scheduled_restart);
    if (state->log_lines_lost > 0) /* there is no queue whose size could be told */
        json_object_set_new(body, "logger_records_lost",
                            json_integer((json_int_t)state->log_lines_lost));
}

static const char *state_text(const struct api_state *state)
{
    const struct api_postgres *postgres = &state->postgres;
    if (postgres->state == MEMBER_RUNNING && !postgres->queryable)
        return "unknown";
    return member_state_name(postgres->state);
}

json_t *status_json(const struct api_state *state, const struct request *request)
{
    json_t *body = json_object();
    bool queryable = state->postgres.queryable && state->view != NULL && !state->witness;
    if (!state->witness) {
        json_object_set_new(body, "state", json_string(state_text(state)));
        if (queryable && state->postgres.postmaster_start_us != 0)
            json_object_set_new(body, "postmaster_start_time",
                                time_or_null(state->postgres.postmaster_start_us));
        json_object_set_new(body, "role", json_string(member_role_name(state->postgres.role)));
    }
    if (queryable)
        add_postgres(body, state);
    add_markers(body, state);
    if (state->view != NULL)
        add_tags(body, &state->view->tags);
    add_identity(body, state);
    json_object_set_new(body, "pgvigil", status_pgvigil(state, request->now));
    return body;
}

static void add_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        json_object_set_new(object, key, json_string(text));
}

static void add_lease(json_t *object, const struct api_state *state, struct mono now)
{
    if (state->lease == NULL || !state->lease->owns_key)
        return;
    int64_t left = lease_left_ms(state->lease, now);
    json_object_set_new(object, "lease_left_ms", json_integer(left));
    if (api_one_copy(state, now))
        add_text(object, "warning",
                 "commits are acknowledged with one copy only: no synchronous standby");
}

/* S6: whether a second primary may stand beside this one is asked before a person's accept. */
static void add_leading(json_t *object, const struct api_state *state, struct mono now)
{
    if (state->view == NULL && !state->witness)
        return;
    struct leading leading = { .by = LEADING_NO };
    if (!state->witness)
        leading = leading_of(state->view, state->lease, now);
    json_object_set_new(object, "leads_by", json_string(leading_name(leading.by)));
    if (leading.create_revision != 0)
        json_object_set_new(object, "leader_key", json_integer(leading.create_revision));
}

json_t *status_pgvigil(const struct api_state *state, struct mono now)
{
    json_t *object = json_object();
    if (state->witness)
        json_object_set_new(object, "witness", json_true());
    if (state->decision == NULL) {
        add_text(object, "rule", "starting");
        add_text(object, "reason", "nothing was decided yet");
    } else {
        add_text(object, "rule", state->decision->rule);
        add_text(object, "action", action_name(state->decision->action));
        add_text(object, "reason", state->decision->reason);
    }
    add_text(object, "running", state->running);
    add_text(object, "step", state->running_step);
    add_text(object, "progress", state->postgres.progress);
    add_text(object, "alarm", state->alarm);
    add_text(object, "etcd", state->etcd.trouble);
    if (state->etcd.managed)
        json_object_set_new(object, "etcd_voter", json_boolean(state->etcd.voter));
    add_lease(object, state, now);
    add_leading(object, state, now);
    return object;
}

struct reply api_patroni(const struct api_state *state, const struct request *request)
{
    auto_json json_t *body = status_json(state, request);
    return reply_json(200, body);
}

/* A key of the store as it is there, key order kept (check_patroni hashes it). */
static struct reply answer_key(const char *json, const char *name)
{
    auto_json json_t *value = NULL;
    if (json == NULL || json_parse(json, strlen(json), name, &value, NULL) != ERR_OK)
        return reply_html(502, "Bad Gateway");
    return reply_json(200, value);
}

struct reply api_config(const struct api_state *state, const struct request *request)
{
    (void)request;
    return answer_key(state->store.config, "config");
}

struct reply api_failsafe(const struct api_state *state, const struct request *request)
{
    (void)request;
    return answer_key(state->store.failsafe, "failsafe");
}

struct reply api_history(const struct api_state *state, const struct request *request)
{
    (void)request;
    return answer_key(state->store.history != NULL ? state->store.history : "[]", "history");
}

static struct reply recorded_views(const struct api_state *state)
{
    struct text text = text_new(LIMIT_HTTP_BODY);
    view_ring_write(state->views, &text);
    return (struct reply){ .status = 200, .kind = REPLY_JSON, .body = text_take(&text) };
}

struct reply api_pgvigil_get(const struct api_state *state, const struct request *request)
{
    if (strcmp(request->path, "/pgvigil/views") == 0)
        return recorded_views(state);
    if (strcmp(request->path, "/pgvigil/etcd") == 0) {
        if (!state->etcd.managed)
            return reply_text(404, "this node does not manage an etcd member");
        return answer_key(state->etcd.formation, "etcd");
    }
    return reply_text(404, "no such page");
}
