/* GET /metrics (patroni-compat 2.6), and our own under pgvigil_. Prometheus' text form, without
 * times. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "sidecar/api/routes.h"

struct metrics {
    struct text text;
    const char *labels; /* scope="…",name="…" */
};

static void add_escaped(struct text *text, const char *value)
{
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\n')
            text_add(text, "\\n");
        else if (*c == '"' || *c == '\\')
            text_addf(text, "\\%c", *c);
        else
            text_add_bytes(text, c, 1);
    }
}

static void head(struct metrics *to, const char *name, const char *type, const char *help)
{
    text_addf(&to->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct metrics *to, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    head(to, name, type, help);
    text_addf(&to->text, "%s{%s} %" PRIu64 "\n", name, to->labels, value);
}

static void gauge(struct metrics *to, const char *name, const char *help, uint64_t value)
{
    number(to, name, "gauge", help, value);
}

static void seconds(struct metrics *to, const char *name, const char *help, int64_t us)
{
    head(to, name, "gauge", help);
    if (us == 0)
        text_addf(&to->text, "%s{%s} 0\n", name, to->labels);
    else
        text_addf(&to->text, "%s{%s} %" PRId64 ".%06" PRId64 "\n", name, to->labels, us / 1000000,
                  us % 1000000);
}

static void add_roles(struct metrics *to, const struct api_state *state)
{
    const struct api_postgres *pg = &state->postgres;
    bool primary = pg->role == MEMBER_ROLE_PRIMARY;
    bool replica = pg->role == MEMBER_ROLE_REPLICA;
    gauge(to, "patroni_primary", "Value is 1 if this node is the leader, 0 otherwise.", primary);
    number(to, "patroni_xlog_location", "counter",
           "Current location of the Postgres transaction log, 0 if this node is not the leader.",
           primary ? pg->flushed : 0);
    gauge(to, "patroni_standby_leader",
          "Value is 1 if this node is the standby_leader, 0 otherwise.", 0);
    gauge(to, "patroni_replica", "Value is 1 if this node is a replica, 0 otherwise.", replica);
    gauge(to, "patroni_sync_standby", "Value is 1 if this node is a sync standby, 0 otherwise.",
          replica && api_is_sync_standby(state));
    gauge(to, "patroni_quorum_standby", "Value is 1 if this node is a quorum standby, 0 otherwise.",
          0);
    number(to, "patroni_xlog_received_location", "counter",
           "Current location of the received Postgres transaction log, 0 if this node is not a "
           "replica.",
           replica ? pg->received : 0);
    number(to, "patroni_xlog_replayed_location", "counter",
           "Current location of the replayed Postgres transaction log, 0 if this node is not a "
           "replica.",
           replica ? pg->replayed : 0);
    seconds(to, "patroni_xlog_replayed_timestamp",
            "Current timestamp of the replayed Postgres transaction log, 0 if null.",
            replica ? pg->replayed_timestamp_us : 0);
    gauge(to, "patroni_xlog_paused", "Value is 1 if the Postgres xlog is paused, 0 otherwise.",
          replica && pg->replay_paused);
}

static void add_server(struct metrics *to, const struct api_state *state)
{
    const struct api_postgres *pg = &state->postgres;
    bool streaming = state->view != NULL && state->view->pg.streaming;
    if (pg->server_version != 0) {
        gauge(to, "patroni_postgres_streaming", "Value is 1 if Postgres is streaming, 0 otherwise.",
              streaming);
        gauge(to, "patroni_postgres_in_archive_recovery",
              "Value is 1 if Postgres is replicating from archive, 0 otherwise.",
              !streaming && pg->archive_recovery);
    }
    gauge(to, "patroni_postgres_server_version", "Version of Postgres (if running), 0 otherwise.",
          (uint64_t)pg->server_version);
}

static void add_cluster(struct metrics *to, const struct api_state *state)
{
    const struct view *view = state->view;
    gauge(to, "patroni_cluster_unlocked", "Value is 1 if the cluster is unlocked, 0 if locked.",
          api_cluster_unlocked(state));
    gauge(to, "patroni_failsafe_mode_is_active",
          "Value is 1 if failsafe mode is active, 0 if inactive.", state->failsafe_active);
    gauge(to, "patroni_postgres_timeline",
          "Postgres timeline of this node (if running), 0 otherwise.",
          view != NULL && state->postgres.queryable ? view->pg.timeline.tli : 0);
    gauge(to, "patroni_dcs_last_seen",
          "Epoch timestamp when DCS was last contacted successfully by Patroni.",
          (uint64_t)(state->store.last_seen_us / 1000000));
    gauge(to, "patroni_pending_restart", "Value is 1 if the node needs a restart, 0 otherwise.",
          state->pending_restart);
    gauge(to, "patroni_is_paused", "Value is 1 if auto failover is disabled, 0 otherwise.",
          api_paused(state));
}

static void add_lower(struct text *text, const char *name)
{
    for (; *name != '\0'; name++)
        text_addf(text, "%c", *name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name);
}

/* The names of Patroni's states in lower case, not their texts. */
static void add_state(struct metrics *to, const struct api_state *state)
{
#define STATE_WORD(name, text) [MEMBER_##name] = #name,
    static const char *const words[] = { MEMBER_STATES(STATE_WORD) };
#undef STATE_WORD
    text_add(&to->text, "# HELP patroni_postgres_state Numeric representation of Postgres state.\n"
                        "# Values: ");
    for (int i = 0; i < MEMBER_STATE_UNKNOWN; i++) {
        text_addf(&to->text, "%s%d=", i > 0 ? ", " : "", i);
        add_lower(&to->text, words[i]);
    }
    int value = state->postgres.state == MEMBER_STATE_UNKNOWN ? -1 : (int)state->postgres.state;
    text_addf(&to->text, "\n# TYPE patroni_postgres_state gauge\npatroni_postgres_state{%s} %d\n",
              to->labels, value);
}

static void add_patroni(struct metrics *to, const struct api_state *state)
{
    head(to, "patroni_version", "gauge", "Patroni semver without periods.");
    text_addf(&to->text, "patroni_version{%s} 040104\n", to->labels);
    gauge(to, "patroni_postgres_running", "Value is 1 if Postgres is running, 0 otherwise.",
          state->postgres.state == MEMBER_RUNNING);
    seconds(to, "patroni_postmaster_start_time", "Epoch seconds since Postgres started.",
            state->postgres.postmaster_start_us);
    add_roles(to, state);
    add_server(to, state);
    add_cluster(to, state);
    add_state(to, state);
}

static void add_rules(struct metrics *to, const struct api_state *state)
{
    head(to, "pgvigil_rule_total", "counter", "How often each rule has decided.");
    for (size_t i = 0; i < state->n_rules; i++) {
        const char *rule = decide_rule_name(i);
        if (rule == NULL)
            break;
        text_addf(&to->text, "pgvigil_rule_total{%s,rule=\"%s\"} %" PRIu64 "\n", to->labels, rule,
                  state->rule_counts[i]);
    }
}

static void add_ours(struct metrics *to, const struct api_state *state, struct mono now)
{
    const struct view *view = state->view;
    int64_t left =
        state->lease != NULL && state->lease->owns_key ? lease_left_ms(state->lease, now) : 0;
    head(to, "pgvigil_lease_left_seconds", "gauge",
         "How long the leader key is still ours without another renewal, 0 if it is not.");
    text_addf(&to->text, "pgvigil_lease_left_seconds{%s} %" PRId64 ".%03" PRId64 "\n", to->labels,
              left / 1000, left % 1000);
    gauge(to, "pgvigil_one_copy",
          "Value is 1 while commits are acknowledged with one copy only in synchronous mode.",
          api_one_copy(state, now));
    gauge(to, "pgvigil_store_reachable", "Value is 1 if etcd has answered lately, 0 otherwise.",
          view != NULL && view->store.reachable);
    gauge(to, "pgvigil_guard_connected", "Value is 1 if the guard is connected, 0 otherwise.",
          view != NULL && view->guard.connected);
    gauge(to, "pgvigil_sync_waiters", "Backends that wait for a synchronous standby.",
          view != NULL ? view->pg.waiters : 0);
    if (state->etcd.managed)
        gauge(to, "pgvigil_etcd_voter", "Value is 1 if this pod's etcd member votes, 0 otherwise.",
              state->etcd.voter);
    gauge(to, "pgvigil_etcd_trouble",
          "Value is 1 if etcd needs a person, see /patroni, 0 otherwise.",
          state->etcd.trouble != NULL);
    gauge(to, "pgvigil_alarm", "Value is 1 if this node needs a person, see /patroni, 0 otherwise.",
          state->alarm != NULL);
    number(to, "pgvigil_log_lines_dropped_total", "counter",
           "Log lines dropped because nobody read them.", state->log_lines_lost);
    add_rules(to, state);
}

struct reply api_metrics(const struct api_state *state, const struct request *request)
{
    struct metrics to = { .text = text_new(LIMIT_HTTP_BODY) };
    auto_text struct text labels = text_new(LIMIT_LOG_LINE);
    text_add(&labels, "scope=\"");
    add_escaped(&labels, state->scope);
    text_add(&labels, "\",name=\"");
    add_escaped(&labels, state->name);
    text_add(&labels, "\"");
    to.labels = text_str(&labels);
    if (!state->witness)
        add_patroni(&to, state);
    add_ours(&to, state, request->now);
    return (struct reply){ .status = 200, .kind = REPLY_METRICS, .body = text_take(&to.text) };
}
