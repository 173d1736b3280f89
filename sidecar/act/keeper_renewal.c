#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cluster/claims_json.h"
#include "sidecar/act/keeper_internal.h"

#define KEY_CONFIRMED "pgvigil/confirmed"

static struct text full_key(const struct lease_keeper *keeper, const char *name)
{
    struct text key = text_new(LIMIT_PATH);
    text_add(&key, cluster_prefix(keeper->spec.cluster));
    text_add(&key, name);
    return key;
}

static void add_compare(struct lease_keeper *keeper, struct etcd_txn *txn, const char *name,
                        enum etcd_target target, int64_t number)
{
    auto_text struct text key = full_key(keeper, name);
    etcd_txn_compare(txn, text_str(&key), target, ETCD_EQUAL, number);
}

static void add_put(struct lease_keeper *keeper, struct etcd_txn *txn, const char *name,
                    const char *value)
{
    auto_text struct text key = full_key(keeper, name);
    etcd_txn_put(
        txn, ETCD_THEN,
        &(struct etcd_put){ .key = text_str(&key), .value = value, .value_len = strlen(value) });
}

/* Each renewal that counts leaves a trace that the others see before the key can vanish. A lease
 * may end early: a raft leader that was frozen for longer than the ttl and goes on revokes leases
 * that its successor has renewed (measured with etcd 3.5.16: 3 of 25 times). Whoever finds the key
 * gone waits until ttl after the last trace, when no holding can last (I1); where the lease has
 * just run out that is at once. */
static void add_trace(struct lease_keeper *keeper, struct etcd_txn *txn, struct sequence *sequence)
{
    sequence->traced_ms = keeper->lease.ttl_ms;
    auto_text struct text value = text_new(LIMIT_FILE);
    lease_trace_write(&value, &keeper->lease, clock_mono());
    add_put(keeper, txn, "pgvigil/renewed", text_str(&value));
}

/* S7: "with each renewal the leader publishes the lowest flush position confirmed by /sync, in a
 * transaction that compares /sync's mod_revision". The key's own revision is compared as well, so
 * that a transaction that arrives late takes nothing back. */
static void add_confirmed(struct lease_keeper *keeper, struct etcd_txn *txn,
                          struct sequence *sequence)
{
    struct cluster *cluster = keeper->spec.cluster;
    auto_text struct text value = text_new(LIMIT_FILE);
    int64_t sync_revision = 0;
    if (keeper->skips_confirmed || keeper->spec.confirmed == NULL ||
        !keeper->spec.confirmed(keeper->spec.arg, &value, &sync_revision) || value.overflow)
        return;
    struct cluster_key present;
    bool exists = cluster_get(cluster, KEY_CONFIRMED, &present);
    if (exists && strcmp(present.value, text_str(&value)) == 0)
        return;
    sequence->confirmed = text_take(&value);
    add_compare(keeper, txn, "sync", ETCD_MOD_REVISION, sync_revision);
    add_compare(keeper, txn, KEY_CONFIRMED, ETCD_MOD_REVISION, exists ? present.mod_revision : 0);
    add_put(keeper, txn, KEY_CONFIRMED, sequence->confirmed);
}

struct etcd_txn *keeper_renewal_txn(struct lease_keeper *keeper, struct sequence *sequence)
{
    free(take(sequence->confirmed));
    if (!keeper->lease.owns_key)
        return NULL;
    struct etcd_txn *txn = etcd_txn_new();
    add_compare(keeper, txn, "leader", ETCD_CREATE_REVISION, keeper->lease.create_revision);
    add_compare(keeper, txn, "leader", ETCD_LEASE, keeper->lease.id);
    add_trace(keeper, txn, sequence);
    add_confirmed(keeper, txn, sequence);
    struct etcd_range leader = { .key = keeper->leader_key };
    etcd_txn_range(txn, ETCD_THEN, &leader);
    etcd_txn_range(txn, ETCD_ELSE, &leader);
    return txn;
}

/* Did the transaction write its trace? Where only the compares of S7 were lost the renewal does not
 * count, and the next one goes without them. */
static bool left_its_trace(struct lease_keeper *keeper, const struct etcd_renewal_result *result)
{
    if (!keeper->lease.owns_key || !result->complete)
        return true;
    /* E5: without space nobody can take the key either, so that the trace would tell nobody anything;
     * it is written again with the first renewal after the space is back. */
    if (result->no_space)
        return true;
    bool ours = result->key_exists && result->key_lease == keeper->lease.id &&
                result->key_create_revision == keeper->lease.create_revision;
    keeper->skips_confirmed = ours && !result->txn_succeeded;
    return !keeper->skips_confirmed;
}

/* Part 3: "Elections more often than the ttl postpone expiry without limit: that raises an alarm."
 * */
static void note_term(struct lease_keeper *keeper, uint64_t term)
{
    if (term <= keeper->term)
        return;
    bool first = keeper->term == 0;
    keeper->term = term;
    if (first)
        return;
    struct mono now = clock_mono();
    keeper->stats.elections++;
    if (keeper->last_election_at.ms != INT64_MAX &&
        mono_diff(now, keeper->last_election_at) < keeper->spec.ttl_ms) {
        keeper->stats.elections_too_fast++;
        log_warn("lease: etcd elected a raft leader twice within the ttl -> leases of lost nodes "
                 "end later, failover takes longer term=%" PRIu64,
                 term);
    }
    keeper->last_election_at = now;
}

/* The answer is linearizable: what it says of the key is news to the table as well. */
static void tell_cluster(const struct lease_keeper *keeper, const struct sequence *sequence,
                         const struct etcd_renewal_result *result)
{
    struct cluster *cluster = keeper->spec.cluster;
    cluster_heard(cluster, sequence->began, result->revision, result->term_read);
    if (result->key_exists)
        cluster_saw(cluster, &(struct cluster_key){
                                 .name = "leader",
                                 .value = result->key_value,
                                 .len = strlen(result->key_value),
                                 .create_revision = result->key_create_revision,
                                 .mod_revision = result->key_mod_revision,
                                 .lease = result->key_lease,
                             });
    else
        cluster_saw_none(cluster, "leader", result->revision);
    if (sequence->confirmed != NULL && result->txn_succeeded)
        cluster_saw(cluster, &(struct cluster_key){ .name = KEY_CONFIRMED,
                                                    .value = sequence->confirmed,
                                                    .len = strlen(sequence->confirmed),
                                                    .mod_revision = result->revision });
}

/* An etcd that answers, but not to us, is no silence: a person has to mend that. Said once. */
static void note_refusal(struct lease_keeper *keeper, const struct etcd_outcome *outcome)
{
    bool refused = outcome->failure == ETCD_FAIL_LOGIN || outcome->failure == ETCD_FAIL_PERMISSION;
    if (refused && !keeper->refused)
        log_error("lease: etcd refuses us: %s -> mend its user, password or role", outcome->error);
    keeper->refused = refused;
}

void keeper_on_renewal(void *arg, const struct etcd_renewal_result *result)
{
    struct sequence *sequence = arg;
    struct lease_keeper *keeper = sequence->keeper;
    if (result->no_space)
        sequence->traced_ms = keeper->traced_ms;
    struct lease_renewal renewal = {
        .complete = result->complete && left_its_trace(keeper, result),
        .sent = result->sent,
        .term_before = result->term_before,
        .term_keepalive = result->term_keepalive,
        .term_read = result->term_read,
        .member_id = result->member_id,
        .keepalive_ttl_s = result->keepalive_ttl_s,
        .key_exists = result->key_exists,
        .key_lease = result->key_lease,
        .key_create_revision = result->key_create_revision,
        .key_mod_revision = result->key_mod_revision,
    };
    keeper->known[sequence->endpoint] = (struct endpoint_word){ 0 };
    note_refusal(keeper, &result->outcome);
    if (result->complete) {
        keeper->known[sequence->endpoint] =
            (struct endpoint_word){ .member_id = result->member_id, .term = result->term_read };
        note_term(keeper, result->term_read);
        tell_cluster(keeper, sequence, result);
    } else {
        log_debug("lease: renewal on endpoint %d: %s", sequence->endpoint, result->outcome.error);
    }
    sequence->renewal = etcd_renewal_free(sequence->renewal); /* `result` is gone with it */
    keeper_apply(keeper, sequence, &renewal);
}
