/* L1: "the last reply before the keepalive, the keepalive's and the read's carry the same raft_term
 * from the same endpoint". An address may lead to several members, so that "the same endpoint" is the
 * member id of the replies. */
#include "etcd/renewal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "etcd_internal.h"

struct etcd_renewal {
    struct etcd *etcd;
    struct etcd_call *call; /* of the step under way */
    etcd_renewal_fn *done;
    void *arg;
    char *leader_key;
    char *txn_body; /* NULL: a read ends the sequence */
    int64_t lease;
    int endpoint;
    struct mono deadline;
    struct etcd_renewal_result result;
};

static struct etcd_how how(const struct etcd_renewal *renewal)
{
    int64_t left = mono_diff(renewal->deadline, loop_now(renewal->etcd->loop));
    return (struct etcd_how){ .timeout_ms = left > 1 ? left : 1, .endpoint = renewal->endpoint };
}

static void finish(struct etcd_renewal *renewal, const struct etcd_outcome *outcome)
{
    renewal->call = etcd_call_free(renewal->call);
    renewal->result.outcome = *outcome;
    struct etcd_renewal_result result = renewal->result;
    renewal->done(renewal->arg, &result);
}

/* Another member answered: nothing can be concluded. */
static void finish_elsewhere(struct etcd_renewal *renewal, const struct etcd_outcome *outcome)
{
    struct etcd_outcome broken = *outcome;
    broken.code = ERR_CONFLICT;
    broken.failure = ETCD_FAIL_OTHER;
    broken.error = "the endpoint leads to different members";
    finish(renewal, &broken);
}

/* --- the last step --- */

static void note_key(struct etcd_renewal_result *result, const struct etcd_kv *kv)
{
    result->key_exists = true;
    text_copy(result->key_value, sizeof(result->key_value), kv->value);
    result->key_lease = kv->lease;
    result->key_create_revision = kv->create_revision;
    result->key_mod_revision = kv->mod_revision;
}

static void finish_last(struct etcd_renewal *renewal, const struct etcd_outcome *outcome,
                        const struct etcd_kv *kvs, size_t n_kvs)
{
    if (outcome->code != ERR_OK) {
        finish(renewal, outcome);
        return;
    }
    if (outcome->header.member_id != renewal->result.member_id) {
        finish_elsewhere(renewal, outcome);
        return;
    }
    renewal->result.term_read = outcome->header.raft_term;
    renewal->result.revision = outcome->header.revision;
    if (n_kvs > 0)
        note_key(&renewal->result, &kvs[0]);
    renewal->result.complete = true;
    finish(renewal, outcome);
}

static void send_read(struct etcd_renewal *renewal, etcd_range_fn *done)
{
    struct etcd_range range = { .key = renewal->leader_key };
    renewal->call = etcd_call_free(renewal->call);
    renewal->call = etcd_range(renewal->etcd, &range, how(renewal), done, renewal);
}

static void on_read(void *arg, const struct etcd_range_result *result)
{
    finish_last(arg, &result->outcome, result->kvs, result->n_kvs);
}

static void on_txn(void *arg, const struct etcd_txn_result *result)
{
    struct etcd_renewal *renewal = arg;
    static const struct etcd_txn_response none;
    if (result->outcome.failure == ETCD_FAIL_NO_SPACE) {
        renewal->result.no_space = true;
        send_read(renewal, on_read);
        return;
    }
    renewal->result.txn_succeeded = result->succeeded;
    const struct etcd_txn_response *last =
        result->n_responses > 0 ? &result->responses[result->n_responses - 1] : &none;
    finish_last(renewal, &result->outcome, last->kvs, last->n_kvs);
}

/* --- the keepalive --- */

static void on_keepalive(void *arg, const struct etcd_lease_result *result)
{
    struct etcd_renewal *renewal = arg;
    if (result->outcome.code != ERR_OK) {
        finish(renewal, &result->outcome);
        return;
    }
    if (result->outcome.header.member_id != renewal->result.member_id) {
        finish_elsewhere(renewal, &result->outcome);
        return;
    }
    renewal->call = etcd_call_free(renewal->call);
    renewal->result.sent = result->sent;
    renewal->result.term_keepalive = result->outcome.header.raft_term;
    renewal->result.keepalive_ttl_s = result->ttl_s;
    if (renewal->txn_body == NULL)
        send_read(renewal, on_read);
    else
        renewal->call =
            txn_send_body(renewal->etcd, renewal->txn_body, how(renewal), on_txn, renewal);
}

static void send_keepalive(struct etcd_renewal *renewal)
{
    renewal->call =
        etcd_lease_keepalive(renewal->etcd, renewal->lease, how(renewal), on_keepalive, renewal);
}

/* --- the first read --- */

static void on_first_read(void *arg, const struct etcd_range_result *result)
{
    struct etcd_renewal *renewal = arg;
    if (result->outcome.code != ERR_OK) {
        finish(renewal, &result->outcome);
        return;
    }
    renewal->call = etcd_call_free(renewal->call);
    renewal->result.member_id = result->outcome.header.member_id;
    renewal->result.term_before = result->outcome.header.raft_term;
    send_keepalive(renewal);
}

struct etcd_renewal *etcd_renewal_start(struct etcd *etcd, const struct etcd_renewal_spec *spec,
                                        etcd_renewal_fn *done, void *arg)
{
    struct etcd_renewal *renewal = mem_struct(struct etcd_renewal);
    renewal->etcd = etcd;
    renewal->done = done;
    renewal->arg = arg;
    renewal->leader_key = mem_strdup(spec->leader_key);
    renewal->lease = spec->lease;
    renewal->endpoint = spec->endpoint;
    renewal->deadline = mono_add(clock_mono(), spec->timeout_ms);
    if (spec->txn != NULL) {
        auto_text struct text body = text_new(LIMIT_HTTP_BODY);
        renewal->txn_body = mem_strdup(txn_body(spec->txn, &body));
    }
    if (spec->known_member_id != 0 && spec->known_term != 0) {
        renewal->result.member_id = spec->known_member_id;
        renewal->result.term_before = spec->known_term;
        send_keepalive(renewal);
    } else {
        send_read(renewal, on_first_read);
    }
    return renewal;
}

struct etcd_renewal *etcd_renewal_free(struct etcd_renewal *renewal)
{
    if (renewal == NULL)
        return NULL;
    etcd_call_free(renewal->call);
    free(renewal->leader_key);
    free(renewal->txn_body);
    free(renewal);
    return NULL;
}
