#include "cluster/lease.h"

/* A key that is older than our last write of it comes from a store that was set back (S6): what that
 * store knows of us is of yesterday. */
static bool key_is_ours(const struct lease *lease, const struct lease_renewal *renewal)
{
    return lease->owns_key && lease->id != 0 && renewal->key_exists &&
           renewal->key_lease == lease->id &&
           renewal->key_create_revision == lease->create_revision &&
           renewal->key_mod_revision >= lease->mod_revision;
}

/* A term of 0 is one that the reply did not carry. */
static bool one_term(const struct lease_renewal *renewal)
{
    return renewal->term_before != 0 && renewal->term_before == renewal->term_keepalive &&
           renewal->term_before == renewal->term_read;
}

/* What etcd has promised: never more than it granted, nor than this reply says. */
static int64_t promised_ms(const struct lease *lease, const struct lease_renewal *renewal)
{
    if (renewal->keepalive_ttl_s > lease->ttl_ms / 1000)
        return lease->ttl_ms;
    return renewal->keepalive_ttl_s * 1000;
}

/* etcd may end a lease while it is away, or before its time. Where the others have promised not to
 * race (L6), or Postgres runs without a deadline (L8), that gives the key to nobody: it may be taken
 * anew, until the promises end. */
static void lose_key(struct lease *lease, const struct lease_renewal *renewal)
{
    bool promised = lease->held_once && mono_before(renewal->sent, lease->promised_until);
    lease->owns_key = false;
    lease->keyless = !renewal->key_exists && (promised || lease->lifted);
    if (promised)
        lease->held_until = mono_min(lease->held_until, lease->promised_until);
}

/* L1: "A renewal is a keepalive sent at t and then a linearizable read of the leader key (or a
 * transaction on it). It counts only if the previous renewal still held at t, the key carries our
 * lease and create_revision, and the last reply before the keepalive, the keepalive's and the
 * read's carry the same raft_term from the same endpoint. Then the lease is held until t + ttl,
 * never longer."
 *
 * The read is linearizable, so that a key that is not ours is a fact whatever the terms say; that
 * the lease is gone is only the word of whoever answered the keepalive. */
enum lease_verdict lease_apply(struct lease *lease, const struct lease_renewal *renewal)
{
    if (!renewal->complete)
        return LEASE_NO_ANSWER;
    if (!key_is_ours(lease, renewal)) {
        lose_key(lease, renewal);
        return LEASE_KEY_LOST;
    }
    if (!one_term(renewal))
        return LEASE_TERM_MOVED;
    if (renewal->keepalive_ttl_s <= 0)
        return LEASE_GONE;
    if (!lease->lifted && lease->held_once && !mono_before(renewal->sent, lease->held_until))
        return LEASE_LATE;

    struct mono until = mono_add(renewal->sent, promised_ms(lease, renewal));
    lease->held_until = lease->held_once ? mono_max(lease->held_until, until) : until;
    lease->held_once = true;
    lease->inherited = false; /* sent after whatever the former process had begun */
    return LEASE_COUNTS;
}

enum lease_verdict lease_prove(struct lease *lease, const struct lease_renewal *renewal)
{
    if (!renewal->complete)
        return LEASE_NO_ANSWER;
    if (!one_term(renewal))
        return LEASE_TERM_MOVED;
    if (renewal->keepalive_ttl_s <= 0)
        return LEASE_GONE;
    lease->proof = (struct lease_proof){ .sent = renewal->sent,
                                         .ttl_ms = promised_ms(lease, renewal),
                                         .term = renewal->term_read,
                                         .member_id = renewal->member_id };
    return LEASE_COUNTS;
}

void lease_take(struct lease *lease, const struct lease_taken *taken)
{
    const struct lease_proof *proof = &lease->proof;
    struct mono until = mono_add(proof->sent, proof->ttl_ms);
    bool held = lease->held_once && lease_holds(lease, taken->now);
    bool proved = proof->ttl_ms > 0 && taken->term != 0 && taken->term == proof->term &&
                  taken->member_id == proof->member_id &&
                  mono_diff(until, taken->now) >= proof->ttl_ms / 2;
    lease->owns_key = true;
    lease->keyless = false;
    lease->create_revision = taken->revision;
    lease->mod_revision = taken->revision;
    lease->held_once = held || proved;
    if (proved)
        lease->held_until = held ? mono_max(lease->held_until, until) : until;
}

static const char *const verdict_names[] = {
    [LEASE_COUNTS] = "counts",
    [LEASE_NO_ANSWER] = "no answer",
    [LEASE_TERM_MOVED] = "etcd elected a raft leader meanwhile",
    [LEASE_LATE] = "too late",
    [LEASE_GONE] = "lease gone",
    [LEASE_KEY_LOST] = "key lost",
};
_Static_assert(sizeof(verdict_names) / sizeof(verdict_names[0]) == LEASE_VERDICT_MAX,
               "every verdict has a name");

const char *lease_verdict_name(enum lease_verdict verdict)
{
    return verdict_names[verdict];
}

bool lease_holds(const struct lease *lease, struct mono now)
{
    if (lease->lifted)
        return true;
    return (lease->owns_key || lease->keyless) && lease->held_once &&
           mono_before(now, lease->held_until);
}

/* L6: "the primary counts it from sending, the other from receiving; an accepted round moves the
 * guard's deadline to send time + ttl, like a renewal". */
bool lease_promised(struct lease *lease, struct mono sent, int64_t ttl_ms)
{
    if (lease->lifted || !lease_holds(lease, sent))
        return false;
    struct mono until = mono_add(sent, ttl_ms);
    lease->promised_until = mono_max(lease->promised_until, until);
    lease->held_until = mono_max(lease->held_until, until);
    return true;
}

bool lease_by_promise(const struct lease *lease)
{
    return lease->promised_until.ms != 0 && lease->held_until.ms == lease->promised_until.ms;
}

void lease_forget_id(struct lease *lease)
{
    struct lease kept = { .ttl_ms = lease->ttl_ms, .lifted = lease->lifted, .tried = lease->tried };
    if ((lease->owns_key || lease->keyless) && lease->held_once && lease->promised_until.ms != 0) {
        kept.keyless = true;
        kept.held_once = true;
        kept.promised_until = lease->promised_until;
        kept.held_until = mono_min(lease->held_until, lease->promised_until);
    }
    *lease = kept;
}

int64_t lease_left_ms(const struct lease *lease, struct mono now)
{
    if (lease->lifted)
        return INT32_MAX;
    return lease_holds(lease, now) ? mono_diff(lease->held_until, now) : 0;
}

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* L3: margin = max(250 ms, 2 % of ttl), 1 s where the container has a CPU limit. */
int64_t lease_margin_ms(int64_t ttl_ms, bool cpu_limited)
{
    return max_ms(cpu_limited ? 1000 : 250, ttl_ms / 50);
}

/* L2: an orderly demotion starts when less than margin + max(1 s, ttl/10) is left. */
int64_t lease_demote_ms(int64_t ttl_ms, bool cpu_limited)
{
    return lease_margin_ms(ttl_ms, cpu_limited) + max_ms(1000, ttl_ms / 10);
}

/* L7: "whoever finds no key takes it only if the record is marked or its lease is gone (its own
 * lease need not be)." */
bool lease_may_take(const struct lease_holder *holder, int64_t own_lease_id)
{
    return !holder->exists || holder->released || holder->lease_gone ||
           (own_lease_id != 0 && holder->lease_id == own_lease_id);
}
