/* Grant, then rounds of renewal. A round begins every ttl/4 with one sequence; each ttl/8 without a
 * good answer another one begins on the next endpoint, in the place of the older of two. The first
 * good answer ends the round. Without the key there is no holding to keep (L1), only a member key and
 * the word that etcd answers: then a round comes every 2/5 of the ttl, and a second sequence after
 * ttl/16, so that one answer that is missing does not make the store unreachable (ttl/2). */
#include "sidecar/act/lease_keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "etcd/lease.h"
#include "sidecar/act/keeper_internal.h"

enum {
    RETRY_MS = 50,      /* after a sequence that failed at once: elsewhere */
    RETRY_TERM_MS = 10, /* after one that saw an election: at the same endpoint */
    GRANT_RETRY_MS = 250,
    GRANT_REFUSED_MS = 5000, /* what a person has to change: log it no more often */
};

/* Lost sequences are no news to anybody: what was under way when the key changed hands must not be
 * applied to it (cluster/lease.h). */
void keeper_drop_sequences(struct lease_keeper *keeper)
{
    for (size_t at = 0; at < SEQUENCES; at++) {
        keeper->sequences[at].renewal = etcd_renewal_free(keeper->sequences[at].renewal);
        free(take(keeper->sequences[at].confirmed));
    }
}

/* --- renewal --- */

static int64_t round_ms(const struct lease_keeper *keeper)
{
    int64_t ttl_ms = keeper->lease.ttl_ms;
    if (keeper->lease.owns_key)
        return ttl_ms / 4;
    return keeper->spec.deadline != NULL ? ttl_ms * 2 / 5 : ttl_ms / 2;
}

static int64_t hedge_ms(const struct lease_keeper *keeper)
{
    return keeper->lease.ttl_ms / (keeper->lease.owns_key ? 8 : 16);
}

static bool may_renew(const struct lease_keeper *keeper)
{
    return keeper->lease.id != 0 && !keeper->suspended && !keeper->stats.stalled &&
           keeper->move.txn == NULL;
}

static struct sequence *free_sequence(struct lease_keeper *keeper)
{
    struct sequence *oldest = &keeper->sequences[0];
    for (size_t at = 0; at < SEQUENCES; at++) {
        struct sequence *sequence = &keeper->sequences[at];
        if (sequence->renewal == NULL)
            return sequence;
        if (mono_before(sequence->began, oldest->began))
            oldest = sequence;
    }
    oldest->renewal = etcd_renewal_free(oldest->renewal);
    return oldest;
}

/* A round begins where all requests go, and goes on with the others. */
static int usable_endpoint(struct lease_keeper *keeper)
{
    if (etcd_endpoint_url(keeper->spec.etcd, keeper->endpoint) == NULL)
        keeper->endpoint = etcd_endpoint_current(keeper->spec.etcd);
    return keeper->endpoint;
}

/* The first sequence of a round leaves the first read out where the endpoint's term is known. Once
 * that had no answer a raft leader may be missing: a read then waits for the new one and fails or
 * goes on with it, whereas a keepalive would hang on the former one. */
static struct endpoint_word known_word(const struct lease_keeper *keeper, int endpoint)
{
    bool busy = false;
    for (size_t at = 0; at < SEQUENCES; at++)
        busy = busy || keeper->sequences[at].renewal != NULL;
    return busy ? (struct endpoint_word){ 0 } : keeper->known[endpoint];
}

static void sequence_begin(struct lease_keeper *keeper)
{
    int endpoint = usable_endpoint(keeper);
    if (endpoint == ETCD_ANY)
        return;
    struct endpoint_word known = known_word(keeper, endpoint);
    struct sequence *sequence = free_sequence(keeper);
    sequence->keeper = keeper;
    sequence->endpoint = endpoint;
    sequence->began = clock_mono();
    struct etcd_txn *txn = keeper_renewal_txn(keeper, sequence);
    struct etcd_renewal_spec spec = {
        .leader_key = keeper->leader_key,
        .lease = keeper->lease.id,
        .endpoint = endpoint,
        .timeout_ms = keeper->lease.ttl_ms / 2,
        .known_member_id = known.member_id,
        .known_term = known.term,
        .txn = txn,
    };
    sequence->renewal = etcd_renewal_start(keeper->spec.etcd, &spec, keeper_on_renewal, sequence);
    etcd_txn_free(txn);
    keeper->endpoint = etcd_endpoint_after(keeper->spec.etcd, endpoint);
}

/* The guard kills at the end of the lease less the margin (L3). */
static void tell_guard(struct lease_keeper *keeper)
{
    const struct lease *lease = &keeper->lease;
    if (lease->owns_key) {
        keeper->cookie_lease = lease->id;
        keeper->cookie_create = lease->create_revision;
    }
    if (!(lease->owns_key || lease->keyless) || keeper->spec.deadline == NULL || keeper->keeps_lift)
        return;
    int64_t margin_ms = lease_margin_ms(lease->ttl_ms, keeper->spec.cpu_limited);
    keeper->spec.deadline(keeper->spec.arg, mono_add(lease->held_until, -margin_ms),
                          keeper->cookie_lease, keeper->cookie_create);
}

static void round_end(struct lease_keeper *keeper, const struct sequence *good)
{
    etcd_endpoint_prefer(keeper->spec.etcd, good->endpoint);
    keeper_drop_sequences(keeper);
    source_arm_at(keeper->timer, mono_add(keeper->round_began, round_ms(keeper)));
    keeper->round_over = true;
}

static void note_verdict(struct lease_keeper *keeper, enum lease_verdict verdict)
{
    bool news = verdict != keeper->stats.last;
    keeper->stats.last = verdict;
    keeper->stats.last_at = clock_mono();
    keeper->stats.counted += verdict == LEASE_COUNTS;
    keeper->stats.unanswered += verdict == LEASE_NO_ANSWER;
    if (news && verdict != LEASE_COUNTS && keeper->lease.id != 0) {
        log_warn("lease: a renewal does not count: %s -> trying again until the lease ends",
                 lease_verdict_name(verdict));
        keeper->warned = true;
    } else if (verdict == LEASE_COUNTS && keeper->warned) {
        log_info("lease: renewals count again");
        keeper->warned = false;
    }
}

static void lease_is_gone(struct lease_keeper *keeper)
{
    log_warn("lease: %llx is gone from the store -> asking for another one",
             (unsigned long long)keeper->lease.id);
    lease_keeper_forget(keeper);
}

/* A keepalive tells what the lease was granted for. What is counted is never more than the settings
 * say. */
static void note_length(struct lease_keeper *keeper, const struct lease_renewal *renewal)
{
    if (!renewal->complete || renewal->keepalive_ttl_s <= 0)
        return;
    int64_t wanted_ms = keeper_wanted_ms(keeper);
    keeper->granted_ms = renewal->keepalive_ttl_s * 1000;
    keeper->lease.ttl_ms = keeper->granted_ms < wanted_ms ? keeper->granted_ms : wanted_ms;
}

void keeper_apply(struct lease_keeper *keeper, struct sequence *sequence,
                  const struct lease_renewal *renewal)
{
    if (keeper_move_seen(keeper, renewal))
        return;
    note_length(keeper, renewal);
    bool owned = keeper->lease.owns_key;
    enum lease_verdict verdict =
        owned ? lease_apply(&keeper->lease, renewal) : lease_prove(&keeper->lease, renewal);
    note_verdict(keeper, verdict);
    source_trigger(keeper->changed);
    switch (verdict) {
    case LEASE_COUNTS:
        keeper->traced_ms = sequence->traced_ms;
        tell_guard(keeper);
        round_end(keeper, sequence);
        keeper_move_consider(keeper);
        return;
    case LEASE_KEY_LOST:
        log_error("lease: the leader key is not ours any more -> it does not hold");
        round_end(keeper, sequence);
        source_arm_in(keeper->timer, 0); /* does the lease itself still live? */
        return;
    case LEASE_GONE:
        if (owned)
            break; /* the read that says that the key is gone, too, comes next */
        lease_is_gone(keeper);
        return;
    case LEASE_LATE:
        round_end(keeper, sequence);
        return;
    case LEASE_TERM_MOVED:
        keeper->endpoint = sequence->endpoint; /* it answers, and its term is known now */
        source_arm_in(keeper->timer, RETRY_TERM_MS);
        return;
    case LEASE_NO_ANSWER:
    case LEASE_VERDICT_MAX:
        break;
    }
    source_arm_in(keeper->timer, RETRY_MS);
}

void keeper_round_begin(struct lease_keeper *keeper)
{
    bool may = may_renew(keeper);
    keeper->round_began = clock_mono();
    keeper->round_over = !may;
    keeper->endpoint = etcd_endpoint_current(keeper->spec.etcd);
    if (may)
        sequence_begin(keeper);
    source_arm_in(keeper->timer, hedge_ms(keeper));
}

/* Design part 2: "renewal stops when neither a cycle nor a local probe has completed for
 * stall_limit". */
static bool is_stalled(const struct lease_keeper *keeper, struct mono now)
{
    int64_t limit_ms =
        keeper->spec.stall_limit_ms != 0 ? keeper->spec.stall_limit_ms : keeper->spec.ttl_ms;
    return mono_diff(now, keeper->alive_at) > limit_ms;
}

static void stall(struct lease_keeper *keeper)
{
    if (!keeper->stats.stalled)
        log_error("lease: no cycle and no local probe has completed for too long -> not renewed");
    keeper->stats.stalled = true;
    keeper_drop_sequences(keeper);
    source_trigger(keeper->changed);
}

static void grant_begin(struct lease_keeper *keeper);

static void on_timer(void *arg)
{
    struct lease_keeper *keeper = arg;
    if (keeper->lease.id == 0) {
        grant_begin(keeper);
        return;
    }
    if (!keeper->lease.owns_key && keeper->granted_ms != keeper_wanted_ms(keeper)) {
        lease_keeper_forget(keeper); /* the setting has changed */
        return;
    }
    if (is_stalled(keeper, clock_mono()))
        stall(keeper);
    if (!may_renew(keeper)) {
        source_arm_in(keeper->timer, round_ms(keeper));
        return;
    }
    if (keeper->round_over) {
        keeper_round_begin(keeper);
        return;
    }
    etcd_sign(keeper->spec.etcd); /* the sequence before had no good answer in time */
    sequence_begin(keeper);
    source_arm_in(keeper->timer, hedge_ms(keeper));
}

void lease_keeper_alive(struct lease_keeper *keeper, struct mono now)
{
    keeper->alive_at = mono_max(keeper->alive_at, now);
    if (!keeper->stats.stalled)
        return;
    log_warn("lease: the process is alive again -> renewed again");
    keeper->stats.stalled = false;
    keeper->round_over = true;
    source_arm_in(keeper->timer, 0);
}

void lease_keeper_suspend(struct lease_keeper *keeper, bool suspended)
{
    if (keeper->suspended == suspended)
        return;
    keeper->suspended = suspended;
    keeper_drop_sequences(keeper);
    keeper->round_over = true;
    source_arm_in(keeper->timer, 0);
}

/* --- round the lease: L6, L8 --- */

void lease_keeper_set_lift(struct lease_keeper *keeper, bool lifted, bool keep)
{
    bool over = keeper->keeps_lift && !keep;
    keeper->lease.lifted = lifted;
    keeper->keeps_lift = keep;
    if (!over)
        return;
    keeper_drop_sequences(keeper);
    keeper->round_over = true;
    source_arm_in(keeper->timer, 0);
}

int64_t lease_keeper_promise_ms(const struct lease_keeper *keeper)
{
    int64_t ttl_ms = keeper->lease.ttl_ms;
    return ttl_ms < keeper->traced_ms ? ttl_ms : keeper->traced_ms;
}

void lease_keeper_promised(struct lease_keeper *keeper, struct mono sent, int64_t ttl_ms)
{
    if (keeper->suspended || keeper->stats.stalled || !lease_promised(&keeper->lease, sent, ttl_ms))
        return;
    tell_guard(keeper);
    source_trigger(keeper->changed);
}

/* --- the grant --- */

/* Nobody waits for it: the lease runs out by itself. */
void keeper_revoke(struct lease_keeper *keeper, int64_t id)
{
    struct etcd_how how = { .timeout_ms = keeper->spec.ttl_ms, .endpoint = ETCD_ANY };
    etcd_call_release(etcd_lease_revoke(keeper->spec.etcd, id, how, NULL, NULL));
}

static void problem(struct lease_keeper *keeper, int64_t again_ms, const char *text)
{
    if (keeper->stats.problem[0] == '\0') /* the endpoints take turns: one of them is news enough */
        log_warn("lease: no lease: %s -> asking again", text);
    text_copy(keeper->stats.problem, sizeof(keeper->stats.problem), text);
    source_arm_in(keeper->timer, again_ms);
    source_trigger(keeper->changed);
}

int64_t keeper_wanted_ms(const struct lease_keeper *keeper)
{
    return keeper->spec.ttl_ms / 1000 * 1000;
}

/* Part 3: "a granted ttl that is larger than asked is an error at start: etcd's floor is 1.5
 * election timeouts". */
void keeper_too_short(const struct lease_keeper *keeper, int64_t granted_s,
                      char ret_text[LIMIT_REASON])
{
    (void)snprintf(ret_text, LIMIT_REASON,
                   "etcd grants at least %d s where ttl is %d s (1.5 of its election timeouts): "
                   "raise ttl or lower etcd's --election-timeout",
                   (int)granted_s, (int)(keeper->spec.ttl_ms / 1000));
}

static void on_grant(void *arg, const struct etcd_lease_result *result)
{
    struct lease_keeper *keeper = arg;
    keeper->grant = etcd_call_free(keeper->grant);
    if (result->outcome.code != ERR_OK) {
        problem(keeper, GRANT_RETRY_MS, result->outcome.error);
        return;
    }
    if (result->ttl_s * 1000 > keeper_wanted_ms(keeper)) {
        char text[LIMIT_REASON];
        keeper_too_short(keeper, result->ttl_s, text);
        keeper_revoke(keeper, result->id);
        problem(keeper, GRANT_REFUSED_MS, text);
        return;
    }
    keeper->lease.id = result->id;
    keeper->lease.ttl_ms = result->ttl_s * 1000;
    keeper->granted_ms = keeper->lease.ttl_ms;
    keeper->stats.problem[0] = '\0';
    keeper->round_over = true;
    source_arm_in(keeper->timer, round_ms(keeper));
    cluster_heard(keeper->spec.cluster, result->sent, result->outcome.header.revision,
                  result->outcome.header.raft_term);
    source_trigger(keeper->changed);
}

static void grant_begin(struct lease_keeper *keeper)
{
    if (keeper->grant != NULL)
        return;
    if (etcd_endpoint_current(keeper->spec.etcd) == ETCD_ANY) {
        source_arm_in(keeper->timer, GRANT_RETRY_MS);
        return;
    }
    struct etcd_how how = { .timeout_ms = keeper->spec.ttl_ms / 4, .endpoint = ETCD_ANY };
    keeper->grant =
        etcd_lease_grant(keeper->spec.etcd, keeper->spec.ttl_ms / 1000, how, on_grant, keeper);
}

/* --- for the steps --- */

void lease_keeper_tries(struct lease_keeper *keeper)
{
    keeper->lease.tried = keeper->lease.id;
}

/* A key that is taken anew goes on where the former one was held (L6, L8). */
bool lease_keeper_took(struct lease_keeper *keeper, int64_t lease_id,
                       const struct lease_taken *taken)
{
    if (keeper->lease.id != lease_id)
        return false; /* it was lost meanwhile: the key goes with it */
    keeper_drop_sequences(keeper);
    keeper_move_stop(keeper);
    lease_take(&keeper->lease, taken);
    if (keeper->lease.held_once) {
        keeper->traced_ms = keeper->lease.ttl_ms;
        tell_guard(keeper);
    }
    keeper_round_begin(keeper);
    source_trigger(keeper->changed);
    return true;
}

void lease_keeper_adopted(struct lease_keeper *keeper, const struct lease_adoption *adoption)
{
    keeper_drop_sequences(keeper);
    keeper_move_stop(keeper);
    keeper->grant = etcd_call_free(keeper->grant);
    /* The least margin that the former process can have kept back. */
    int64_t margin_ms = lease_margin_ms(0, false);
    bool running = adoption->guard_deadline.ms != INT64_MAX;
    /* The lease that was granted at our start is left to run out: the member key moves away first.
     * */
    keeper->lease = (struct lease){
        .id = adoption->lease_id,
        .ttl_ms = keeper_wanted_ms(keeper),
        .owns_key = true,
        .inherited = true,
        .create_revision = adoption->create_revision,
        .mod_revision = adoption->mod_revision,
        .held_once = running,
        .held_until = running ? mono_add(adoption->guard_deadline, margin_ms) : (struct mono){ 0 },
        .lifted = keeper->lease.lifted,
        .tried = keeper->lease.tried,
    };
    keeper->stats.problem[0] = '\0';
    keeper_round_begin(keeper);
    source_trigger(keeper->changed);
}

void lease_keeper_repeat(struct lease_keeper *keeper)
{
    const struct lease *lease = &keeper->lease;
    if (lease->owns_key && lease->held_once && mono_before(clock_mono(), lease->held_until))
        tell_guard(keeper);
}

void lease_keeper_let_go(struct lease_keeper *keeper)
{
    keeper_drop_sequences(keeper);
    keeper_move_stop(keeper);
    keeper->lease.owns_key = false;
    keeper->lease.keyless = false;
    keeper->lease.held_once = false;
    keeper->lease.promised_until = (struct mono){ 0 };
    keeper->round_over = true;
    source_arm_at(keeper->timer, mono_add(keeper->round_began, round_ms(keeper)));
    source_trigger(keeper->changed);
}

void lease_keeper_forget(struct lease_keeper *keeper)
{
    keeper_drop_sequences(keeper);
    keeper_move_stop(keeper);
    lease_forget_id(&keeper->lease);
    keeper->round_over = true;
    source_arm_in(keeper->timer, 0);
    source_trigger(keeper->changed);
}

void lease_keeper_give_up(struct lease_keeper *keeper)
{
    if (keeper->lease.id != 0)
        keeper_revoke(keeper, keeper->lease.id);
    lease_keeper_forget(keeper);
}

void lease_keeper_missed(struct lease_keeper *keeper, int64_t lease_id)
{
    if (lease_id == 0 || keeper->lease.id != lease_id)
        return;
    if (!keeper->lease.owns_key) {
        lease_is_gone(keeper);
        return;
    }
    keeper_drop_sequences(keeper); /* what became of the key is the renewal's word */
    keeper->round_over = true;
    source_arm_in(keeper->timer, 0);
}

void lease_keeper_set_ttl(struct lease_keeper *keeper, int64_t ttl_ms)
{
    if (keeper->spec.ttl_ms == ttl_ms)
        return;
    keeper->spec.ttl_ms = ttl_ms;
    keeper->move.refused_ms = 0;
    if (!keeper->lease.owns_key)
        lease_keeper_forget(keeper);
}

/* --- life --- */

struct lease_keeper *lease_keeper_new(const struct lease_keeper_spec *spec)
{
    struct lease_keeper *keeper = mem_struct(struct lease_keeper);
    keeper->spec = *spec;
    struct text key = text_new(LIMIT_PATH);
    text_add(&key, cluster_prefix(spec->cluster));
    text_add(&key, "leader");
    keeper->leader_key = text_take(&key);
    keeper->timer = loop_timer(spec->loop, on_timer, keeper);
    keeper->changed = loop_defer(spec->loop, spec->changed, spec->arg);
    keeper->endpoint = ETCD_ANY;
    keeper->last_election_at = MONO_NEVER;
    keeper->alive_at = clock_mono();
    keeper->stats.last = LEASE_NO_ANSWER;
    keeper->stats.last_at = MONO_NEVER;
    keeper->round_over = true;
    grant_begin(keeper);
    return keeper;
}

struct lease_keeper *lease_keeper_free(struct lease_keeper *keeper)
{
    if (keeper == NULL)
        return NULL;
    keeper_drop_sequences(keeper);
    keeper_move_stop(keeper);
    etcd_call_free(keeper->grant);
    source_free(keeper->timer);
    source_free(keeper->changed);
    free(keeper->leader_key);
    free(keeper);
    return NULL;
}

const struct lease *lease_keeper_lease(const struct lease_keeper *keeper)
{
    return &keeper->lease;
}

const struct lease_keeper_stats *lease_keeper_stats(const struct lease_keeper *keeper)
{
    return &keeper->stats;
}
