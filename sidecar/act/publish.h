#pragma once
/* What the node tells the others through the store, written only when it differs from what is
 * there: the member key under our lease (trap 10: it vanishes together with the leader key), and,
 * as leader, /status, /history, /failsafe; and the ring of events. Nothing that a decision depends
 * on is written here but `nosync` (S5).
 *
 * The owner hands over what should be; writing, retrying and comparing happen here, from the loop.
 * A leader's keys are written only in transactions that compare the leader key's create_revision.
 * */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cluster/lsn.h"
#include "loop/loop.h"
#include "sidecar/act/lease_keeper.h"
#include "sidecar/cluster.h"

struct publish;

struct publish_spec {
    struct loop *loop;
    struct etcd *etcd;
    struct cluster *cluster;
    struct lease_keeper *keeper;
};

struct publish *publish_new(const struct publish_spec *spec);
struct publish *publish_free(struct publish *publish);

/* The value of members/<self>, as cluster/member_json.h writes it; copied. NULL: no member key (the
 * witness). To be called in every cycle; what is there already costs nothing. */
void publish_member(struct publish *publish, const char *json);

/* As leader, each kept as it was last given; NULL: leave alone what is there. Copied. */
void publish_history(struct publish *publish, const char *json);
/* Not kept: who may be named is known in this very cycle alone (L6). */
void publish_failsafe(struct publish *publish, const char *json);
/* L6: what the table shows of /failsafe is what was last committed: no write of it by this process is
 * under way or in doubt. */
bool publish_failsafe_committed(const struct publish *publish);
/* {"optime":N} at most once a second. LSN_NONE: leave alone. */
void publish_status(struct publish *publish, lsn_t optime);
/* pgvigil/witness/<self> under our lease, in place of a member key. */
void publish_witness(struct publish *publish, const char *json);

/* `pgvigil/events/`: a ring of LIMIT_EVENTS, shared by all members. `kind` is a word ("failover"),
 * text for a person. Never fails; what cannot be written while the store is away is dropped after
 * LIMIT_EVENTS of them. */
void publish_event(struct publish *publish, const char *kind, const char *text);

/* S5: the member key says `nosync` from now on (until false), whatever its tags are. */
void publish_ask_out(struct publish *publish, bool ask);
bool publish_asks_out(const struct publish *publish);
/* `done` is called from the loop once the member key as it should be lies in the store (ASK_OUT).
 * NULL as function forgets a former call. One at a time. */
void publish_when_written(struct publish *publish, loop_fn *done, void *arg);
