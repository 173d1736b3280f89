/* Switchover and failover (patroni-compat 2.5): ask the candidates, write /failover, watch what comes
 * of it. The key alone is the order: a third party may write it as well (part 3.5). */
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "cluster/failover.h"
#include "control_store_internal.h"
#include "etcd/kv.h"
#include "json/json.h"

static const char *action_of(const struct store_op *op)
{
    return op->failover ? "failover" : "switchover";
}

/* "Switchover", "Failover" */
static const char *title_of(const struct store_op *op)
{
    return op->failover ? "Failover" : "Switchover";
}

static const struct api_state *state_of(const struct store_op *op)
{
    return op->store->spec.state(op->store->spec.state_arg);
}

/* ---- what becomes of it ----------------------------------------------------------------------- */

static void end_with_success(struct store_op *op, const char *leader)
{
    if (op->candidate[0] == '\0' || strcmp(op->candidate, leader) == 0)
        store_op_endf(op, 200, "Successfully %s over to \"%s\"",
                      op->failover ? "failed" : "switched", leader);
    else
        store_op_endf(op, 200, "%s over to \"%s\" instead of \"%s\"",
                      op->failover ? "Failed" : "Switched", leader, op->candidate);
}

/* The key is gone and the old leader still leads: that is no success, but only after a second, since
 * what we see may lag behind what happened. */
static bool looks_failed(struct store_op *op, const struct store_view *store, struct mono now)
{
    if (store->failover.exists || !store->leader_exists) {
        op->failed_at = MONO_NEVER;
        return false;
    }
    if (op->failed_at.ms == MONO_NEVER.ms)
        op->failed_at = now;
    return mono_diff(now, op->failed_at) >= 1000;
}

static void on_poll(void *arg)
{
    struct store_op *op = arg;
    const struct api_state *state = state_of(op);
    struct mono now = loop_now(op->store->spec.loop);
    if (state->view != NULL) {
        const struct store_view *store = &state->view->store;
        if (store->leader_exists && strcmp(store->leader, op->old_leader) != 0) {
            end_with_success(op, store->leader);
            return;
        }
        if (looks_failed(op, store, now)) {
            store_op_endf(op, 503, "%s failed", title_of(op));
            return;
        }
    }
    if (!mono_before(now, op->until)) {
        store_op_endf(op, 503, "%s status unknown", title_of(op));
        return;
    }
    source_arm_in(op->timer, POLL_MS);
}

/* 2 × max(10 s, loop_wait), as Patroni waits. */
static int64_t patience_ms(const struct api_state *state)
{
    auto_json json_t *config = NULL;
    const char *text = state->store.config;
    int64_t loop_wait = 10;
    if (text != NULL && json_parse(text, strlen(text), "config", &config, NULL) == ERR_OK)
        loop_wait = json_integer_value(json_object_get(config, "loop_wait"));
    return 2000 * (loop_wait < 10 ? 10 : loop_wait > 300 ? 300 : loop_wait);
}

/* ---- writing the key -------------------------------------------------------------------------- */

static char *failover_value(const struct store_op *op)
{
    struct failover failover = { .exists = true, .scheduled = op->schedule[0] != '\0' };
    text_copy(failover.leader, sizeof(failover.leader), op->leader);
    text_copy(failover.candidate, sizeof(failover.candidate), op->candidate);
    if (failover.scheduled) {
        (void)iso_parse(op->schedule, &failover.scheduled_at);
        text_copy(failover.scheduled_text, sizeof(failover.scheduled_text), op->schedule);
    }
    struct text text = text_new(LIMIT_LOG_LINE);
    failover_write(&text, &failover);
    return text_take(&text);
}

static void on_written(void *arg, const struct etcd_write_result *result)
{
    struct store_op *op = arg;
    if (result->outcome.code != ERR_OK) {
        store_op_end(op, 503, "failed to write failover key into DCS");
        return;
    }
    auto_free char *value = failover_value(op);
    store_op_wrote(op, "failover", value, result->outcome.header.revision);
    if (op->schedule[0] != '\0') {
        store_op_endf(op, 202, "%s scheduled", title_of(op));
        return;
    }
    op->until = mono_add(loop_now(op->store->spec.loop), patience_ms(state_of(op)));
    op->timer = loop_timer(op->store->spec.loop, on_poll, op);
    source_arm_in(op->timer, POLL_MS);
}

static void write_key(struct store_op *op)
{
    const struct api_state *state = state_of(op);
    if (state->view != NULL && state->view->store.leader_exists)
        text_copy(op->old_leader, sizeof(op->old_leader), state->view->store.leader);
    auto_free char *key = store_op_key(op, "failover");
    auto_free char *value = failover_value(op);
    struct etcd_put put = { .key = key, .value = value, .value_len = strlen(value) };
    struct etcd_how how = { .timeout_ms = WRITE_TIMEOUT_MS, .endpoint = ETCD_ANY };
    op->call = etcd_put(op->store->spec.etcd, &put, how, on_written, op);
}

/* ---- asking the candidates -------------------------------------------------------------------- */

/* Reachable, and nothing forbids its promotion. */
static bool can_be_promoted(const struct http_result *result)
{
    auto_json json_t *body = NULL;
    if (result->code != ERR_OK || result->status != 200 ||
        json_parse(result->body, result->body_len, "candidate", &body, NULL) != ERR_OK)
        return false;
    const json_t *tags = json_object_get(body, "tags");
    const json_t *priority = json_object_get(tags, "failover_priority");
    if (json_is_true(json_object_get(tags, "nofailover")))
        return false;
    if (json_is_integer(priority) && json_integer_value(priority) <= 0)
        return false;
    return !json_is_true(json_object_get(body, "watchdog_failed"));
}

static void on_candidate(void *arg, const struct http_result *result)
{
    struct store_op *op = arg;
    op->n_answered++;
    if (!op->good && can_be_promoted(result)) {
        op->good = true;
        write_key(op);
    } else if (!op->good && op->n_answered == op->n_asked) {
        store_op_endf(op, 412, "%s is not possible: no good candidates have been found",
                      action_of(op));
    }
}

/* Whom patroni-compat 2.5 asks: the named one; else in synchronous mode who is in /sync; else all but
 * the leader. */
static bool is_candidate(const struct store_op *op, const struct api_state *state, const char *name)
{
    if (op->candidate[0] != '\0')
        return strcmp(op->candidate, name) == 0;
    if (state->view == NULL || strcmp(state->view->store.leader, name) == 0)
        return false;
    const struct sync_state *sync = &state->view->store.sync;
    return !sync_in_force(sync) || names_has(&sync->standbys, name);
}

static void ask(struct store_op *op, const char *url)
{
    struct http_request request = { .url = url,
                                    .timeout_ms = PEER_TIMEOUT_MS,
                                    .tls = op->store->spec.tls };
    op->asked[op->n_asked++] = http_start(op->store->spec.http, &request, on_candidate, op);
}

static void ask_candidates(struct store_op *op)
{
    const struct api_state *state = state_of(op);
    for (size_t i = 0; i < state->store.n_members && op->n_asked < LIMIT_MEMBERS; i++) {
        const struct api_key *key = &state->store.members[i];
        auto_json json_t *member = NULL;
        if (!is_candidate(op, state, key->name) ||
            json_parse(key->json, strlen(key->json), "member", &member, NULL) != ERR_OK)
            continue;
        const char *url = json_string_value(json_object_get(member, "api_url"));
        if (url != NULL)
            ask(op, url);
    }
}

void control_switchover(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct store_op *op = store_op_new(arg, order, pending);
    if (op->schedule[0] != '\0') {
        write_key(op);
        return;
    }
    ask_candidates(op);
    if (op->n_asked == 0)
        store_op_endf(op, 412, "%s is not possible: no good candidates have been found",
                      action_of(op));
}

/* ---- withdrawing a schedule ------------------------------------------------------------------- */

static void on_cleared(void *arg, const struct etcd_txn_result *result)
{
    struct store_op *op = arg;
    if (result->outcome.code != ERR_OK) {
        store_op_end(op, 503, "failed to write failover key into DCS");
        return;
    }
    if (!result->succeeded) {
        store_op_end(op, 409, "the failover key was changed by somebody else in the meantime");
        return;
    }
    store_op_wrote(op, "failover", "{}", result->outcome.header.revision);
    store_op_end(op, 200, "scheduled switchover deleted");
}

void control_switchover_forget(void *arg, const struct api_order *order,
                               struct api_pending *pending)
{
    struct store_op *op = store_op_new(arg, order, pending);
    struct cluster_key key;
    struct failover failover = { 0 };
    if (!cluster_get(op->store->spec.cluster, "failover", &key) ||
        failover_from_json(key.value, key.len, key.mod_revision, &failover, NULL) != ERR_OK ||
        !failover.scheduled) {
        store_op_end(op, 404, "no switchover is scheduled");
        return;
    }
    auto_free char *name = store_op_key(op, "failover");
    struct etcd_txn *txn = etcd_txn_new();
    etcd_txn_compare(txn, name, ETCD_MOD_REVISION, ETCD_EQUAL, key.mod_revision);
    struct etcd_put put = { .key = name, .value = "{}", .value_len = 2 };
    etcd_txn_put(txn, ETCD_THEN, &put);
    struct etcd_how how = { .timeout_ms = WRITE_TIMEOUT_MS, .endpoint = ETCD_ANY };
    op->call = etcd_txn_send(op->store->spec.etcd, txn, how, on_cleared, op);
    etcd_txn_free(txn);
}
