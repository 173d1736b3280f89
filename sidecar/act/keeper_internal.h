#pragma once
/* The keeper's inside, shared by lease_keeper.c (when to renew, what an answer does) and
 * keeper_renewal.c (what one sequence carries and brings). */
#include "etcd/renewal.h"
#include "sidecar/act/lease_keeper.h"
#include "sidecar/act/store_txn.h"

enum { SEQUENCES = 2 };

/* One sequence of L1 under way on one endpoint. */
struct sequence {
    struct lease_keeper *keeper;
    struct etcd_renewal *renewal; /* NULL: none */
    int endpoint;
    struct mono began;
    char *confirmed; /* what its transaction writes (S7); NULL: it only reads */
    int64_t traced_ms;
};

/* The last reply of an endpoint, for the first of the three terms of L1. */
struct endpoint_word {
    uint64_t member_id;
    uint64_t term;
};

/* The key on its way to a lease of another length (keeper_move.c). */
struct lease_move {
    struct etcd_call *grant;
    struct store_txn *txn; /* renewal pauses meanwhile */
    int64_t lease_id;      /* where to; 0: nowhere. Kept while the key may still move there */
    int64_t ttl_ms;
    struct mono granted;     /* when its grant was sent */
    int64_t refused_ms;      /* etcd does not grant this one */
    int64_t holder_revision; /* of the holder record as the move was decided */
};

struct lease_keeper {
    struct lease_keeper_spec spec;
    char *leader_key;
    struct lease lease;
    struct lease_keeper_stats stats;
    bool warned;  /* the log said that a renewal does not count, and not yet that they do again */
    bool refused; /* etcd's last word was that user, password or role are wrong; it was said */
    struct source *timer; /* the next thing to do: grant, round, another sequence */
    struct source *changed;
    struct etcd_call *grant;

    int endpoint;         /* where the next sequence goes */
    bool skips_confirmed; /* the compares of S7 were lost: the next one goes without */
    struct endpoint_word known[LIMIT_ENDPOINTS];
    struct sequence sequences[SEQUENCES];
    struct mono round_began;
    bool round_over;

    int64_t granted_ms; /* what the lease that we have was granted for */
    struct lease_move move;

    bool suspended;
    bool keeps_lift;      /* L8: no deadline goes to the guard */
    int64_t cookie_lease; /* under which the guard knows the key, also once it is gone */
    int64_t cookie_create;
    int64_t traced_ms; /* the ttl that the last renewal that counted told everybody */
    struct mono alive_at;
    uint64_t term; /* the highest one heard of */
    struct mono last_election_at;
};

/* What the sequence writes beside reading the key; NULL: nothing, it is not ours. New. */
struct etcd_txn *keeper_renewal_txn(struct lease_keeper *keeper, struct sequence *sequence);
/* etcd_renewal_fn: `arg` is the sequence. Ends in keeper_apply. */
void keeper_on_renewal(void *arg, const struct etcd_renewal_result *result);
void keeper_apply(struct lease_keeper *keeper, struct sequence *sequence,
                  const struct lease_renewal *renewal);

/* The ttl that the settings want, as etcd can grant it. */
int64_t keeper_wanted_ms(const struct lease_keeper *keeper);
/* Where the lease of the key that we hold has another length: moves the key, when that is safe. */
void keeper_move_consider(struct lease_keeper *keeper);
/* A renewal found the key under the lease where it was to move to, though nobody had said so. True:
 * this renewal is not to be applied, another one begins. */
bool keeper_move_seen(struct lease_keeper *keeper, const struct lease_renewal *renewal);
void keeper_move_stop(struct lease_keeper *keeper);
/* lease_keeper.c */
void keeper_drop_sequences(struct lease_keeper *keeper);
void keeper_round_begin(struct lease_keeper *keeper);
void keeper_revoke(struct lease_keeper *keeper, int64_t id);
void keeper_too_short(const struct lease_keeper *keeper, int64_t granted_s,
                      char ret_text[LIMIT_REASON]);
