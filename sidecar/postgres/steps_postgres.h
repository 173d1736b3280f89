#pragma once
/* The operations of the steps that concern Postgres and the guard (core/plan.h says what success of
 * each means). Built on postgres/; the orders of steps are the planner's business. */
#include "sidecar/postgres/postgres.h"
#include "sidecar/step.h"

/* `postgres` is borrowed and outlives the steps. */
struct steps_postgres *steps_postgres_new(struct postgres *postgres);
/* Frees what is under way, whose `done` is not called then; NULL is fine; returns NULL. */
struct steps_postgres *steps_postgres_free(struct steps_postgres *steps);
