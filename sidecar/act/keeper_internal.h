#pragma once
/* The keeper's inside, shared by lease_keeper.c (when to renew, what an answer does) and
 * keeper_renewal.c (what one sequence carries and brings). */
#include "etcd/renewal.h"
#include "sidecar/act/lease_keeper.h"

enum { SEQUENCES = 2 };

/* One sequence of L1 under way on one endpoint. */
struct sequence {
    struct lease_keeper *keeper;
    struct etcd_renewal *renewal; /* NULL: none */
    int endpoint;
    struct mono began;
    char *confirmed; /* what its transaction writes (S7); NULL: it only reads */
};

/* The last reply of an endpoint, for the first of the three terms of L1. */
struct endpoint_word {
    uint64_t member_id;
    uint64_t term;
};

struct lease_keeper {
    struct lease_keeper_spec spec;
    char *leader_key;
    struct lease lease;
    struct lease_keeper_stats stats;
    struct source *timer; /* the next thing to do: grant, round, another sequence */
    struct source *changed;
    struct etcd_call *grant;

    int endpoint; /* where the next sequence goes */
    struct endpoint_word known[LIMIT_ENDPOINTS];
    struct sequence sequences[SEQUENCES];
    struct mono round_began;
    bool round_over;

    bool suspended;
    struct mono alive_at;
    uint64_t term; /* the highest one heard of */
    struct mono last_election_at;
};

/* S7: what the sequence writes beside reading the key; NULL: nothing. New. */
struct etcd_txn *keeper_confirm_txn(struct lease_keeper *keeper, struct sequence *sequence);
/* etcd_renewal_fn: `arg` is the sequence. Ends in keeper_apply. */
void keeper_on_renewal(void *arg, const struct etcd_renewal_result *result);
void keeper_apply(struct lease_keeper *keeper, struct sequence *sequence,
                  const struct lease_renewal *renewal);
