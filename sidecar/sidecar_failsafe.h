#pragma once
/* Round the lease: what the sidecar does for L6 and L8 beside its cycle. Private to sidecar*.c. */
#include "sidecar/act/failsafe_round.h"
#include "sidecar/sidecar_internal.h"

/* L8: tells the keeper what the guard says of the lift, before the lease is looked at. */
void sidecar_follow_lift(struct sidecar *sidecar);
/* L6, as leader: /failsafe as it should be. */
void sidecar_publish_failsafe(struct sidecar *sidecar);
/* Our conn_url and api_url as the member key has them (sidecar_publish.c). */
void sidecar_urls(const struct sidecar *sidecar, struct member *member);
/* L6: whom a round would ask, for the rounds beside the cycle. */
void sidecar_failsafe_cycle(struct sidecar *sidecar);
/* L6: api_op_fn of POST /failsafe; `arg` is the sidecar. */
void sidecar_answer_failsafe(void *arg, const struct api_order *order, struct api_pending *pending);
/* For REST: held by promises, or bound by one. */
bool sidecar_failsafe_active(const struct sidecar *sidecar);
