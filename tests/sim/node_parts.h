#pragma once
/* The parts of a sidecar, each in a file of its own. */
#include "sidecar/core/decide.h"
#include "sidecar/core/plan.h"
#include "tests/sim/pg.h"

struct node;

/* observe.c */
void observe_fill(struct sim *sim, int node);
void observe_store(struct sim *sim, int node, int64_t rev);
void observe_heard(struct sim *sim, int node, int64_t sent_us, int64_t rev);
void observe_resync(struct sim *sim, int node);
void observe_poll(struct sim *sim, int node);
node_set set_of(const struct names *names);

/* renew.c */
void renew_begin(struct sim *sim, int node);
void renew_start_timers(struct sim *sim, int node);
void renew_grant(struct sim *sim, int node);
void renew_offer(struct sim *sim, int node);

/* failsafe.c */
void failsafe_start(struct sim *sim, int node);
void failsafe_cycle(struct sim *sim, int node);
bool failsafe_committed(const struct node *node);

/* publish.c */
void publish(struct sim *sim, int node);

/* runner.c */
void runner_begin(struct sim *sim, int node, const struct decision *decision);
void runner_go(struct sim *sim, int node);
void runner_drop(struct sim *sim, int node);
/* The operation of the step has ended. */
void runner_op_done(struct sim *sim, int node, uint32_t op, enum err_code code);

/* steps_store.c, steps_pg.c: begins the operation half; false: the step is only a condition. */
bool step_store(struct sim *sim, int node, const struct step *step);
/* What was under way is forgotten; it may have happened. */
void step_store_drop(struct sim *sim, int node);
bool step_postgres(struct sim *sim, int node, const struct step *step);
