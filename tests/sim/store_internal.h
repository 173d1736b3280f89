#pragma once
/* What the files of the etcd model share. */
#include "tests/sim/sim.h"

bool member_up(const struct sim *sim, int m);
/* Both ways. */
bool members_talk(const struct sim *sim, int a, int b);
bool member_stuck(const struct sim *sim, int m);
/* The leader of the highest term, with a quorum around it. */
bool store_has_quorum(const struct sim *sim, int leader);
void store_answer(struct sim *sim, uint32_t slot, int leader);
void store_watch_send(struct sim *sim, int to);
void store_commit_pending(struct sim *sim);

/* store_apply.c: the keys. False: a compare was lost. */
bool store_apply(struct sim *sim, const struct txn *txn);
void store_revoke(struct sim *sim, int64_t lease);
/* store_raft.c: what is committed reaches those whom the leader reaches. */
void store_replicate(struct sim *sim, int leader);
