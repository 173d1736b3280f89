#include "tests/sim/mutate.h"

#include <string.h>

#include "tests/sim/sim.h"

const char *mutation_name(enum mutation mutation)
{
#define NAME(name, rule, breaks, text) [MUT_##name] = #name,
    static const char *const names[] = { MUTATIONS(NAME) };
#undef NAME
    return names[mutation];
}

enum mutation mutation_from_name(const char *name)
{
    for (int m = 0; m < MUT_MAX; m++)
        if (strcmp(name, mutation_name((enum mutation)m)) == 0)
            return (enum mutation)m;
    return MUT_MAX;
}

const char *mutation_rule(enum mutation mutation)
{
#define RULE(name, rule, breaks, text) [MUT_##name] = (rule),
    static const char *const rules[] = { MUTATIONS(RULE) };
#undef RULE
    return rules[mutation];
}

const char *mutation_breaks(enum mutation mutation)
{
#define BREAKS(name, rule, breaks, text) [MUT_##name] = (breaks),
    static const char *const invariants[] = { MUTATIONS(BREAKS) };
#undef BREAKS
    return invariants[mutation];
}

const char *mutation_text(enum mutation mutation)
{
#define TEXT(name, rule, breaks, text) [MUT_##name] = (text),
    static const char *const texts[] = { MUTATIONS(TEXT) };
#undef TEXT
    return texts[mutation];
}

bool mutation_bare_lease(const struct sim *sim)
{
    return sim->mutation == MUT_LEASE_FROM_REPLY || sim->mutation == MUT_TERMS ||
           sim->mutation == MUT_REVOKED_REUSED || sim->mutation == MUT_YOUNG_RACES;
}

void mutate_view(const struct sim *sim, struct view *view)
{
    switch ((int)sim->mutation) {
    case MUT_NO_DEMOTE:
        if (view->lease.owns_key && view->lease.held_once)
            view->lease.held_until = mono_add(view->now, 60000);
        break;
    case MUT_RACE_IN_PAUSE:
        view->policy.pause = false;
        break;
    case MUT_RACE_OUTSIDE_SYNC:
        if (!view->store.leader_exists && view->store.sync.exists)
            names_add(&view->store.sync.standbys, view->self);
        break;
    case MUT_CLONE_IN_SYNC:
        if (view->pg.dir == DATA_DIR_EMPTY)
            names_remove(&view->store.sync.standbys, view->self);
        break;
    case MUT_NO_CONFIRMED:
        view->store.confirmed_exists = false;
        break;
    case MUT_PROMISE_BROKEN:
        view->memory.promised_until = (struct mono){ 0 };
        break;
    case MUT_YOUNG_RACES:
        view->memory.started_at = mono_add(view->now, -3600000);
        break;
    case MUT_UNNAMED_RACES:
        if (!view->lease.owns_key && !view_is_primary(view))
            names_add(&view->store.failsafe, view->self);
        break;
    case MUT_LIFT_NO_BAR:
        if (!view->lease.owns_key && !view->guard.lifted)
            view->store.holder.lifted = false;
        break;
    case MUT_TAKE_NO_HOLDER:
        view->store.holder.lease_gone = true;
        break;
    default:
        break;
    }
}

/* ---- plans ------------------------------------------------------------------------------ */

static int find(const struct plan *plan, enum step_kind kind)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->steps[i].kind == kind)
            return (int)i;
    return -1;
}

static void drop(struct plan *plan, int at)
{
    if (at < 0)
        return;
    plan->n--;
    for (size_t i = (size_t)at; i < plan->n; i++)
        plan->steps[i] = plan->steps[i + 1];
}

static void move(struct plan *plan, int from, int to)
{
    if (from < 0)
        return;
    struct step step = plan->steps[from];
    for (int i = from; i < to; i++)
        plan->steps[i] = plan->steps[i + 1];
    for (int i = from; i > to; i--)
        plan->steps[i] = plan->steps[i - 1];
    plan->steps[to] = step;
}

static void mutate_growth(enum mutation mutation, struct plan *plan)
{
    switch ((int)mutation) {
    case MUT_SYNC_FIRST:
        move(plan, find(plan, STEP_WRITE_SYNC), 0);
        break;
    case MUT_NO_PROBE:
        drop(plan, find(plan, STEP_PROBE_FREE));
        drop(plan, find(plan, STEP_PROBE_WAITS));
        break;
    case MUT_NO_NOBODY:
        drop(plan, find(plan, STEP_PROBE_FREE));
        drop(plan, find(plan, STEP_SET_SSN));
        drop(plan, find(plan, STEP_PROBE_WAITS));
        break;
    case MUT_EARLY_FLUSH:
        move(plan, find(plan, STEP_READ_FLUSH), 0);
        break;
    default:
        break;
    }
}

void mutate_plan(const struct sim *sim, struct plan *plan)
{
    if (plan->action == ACT_SYNC_GROW)
        mutate_growth(sim->mutation, plan);
    if (plan->action == ACT_SYNC_SHRINK && sim->mutation == MUT_SSN_FIRST)
        move(plan, find(plan, STEP_WRITE_SYNC), (int)plan->n - 1);
    if (plan->action == ACT_SYNC_SHRINK && sim->mutation == MUT_NEVER_SHRINK)
        plan->n = 0;
    if (plan->action == ACT_LIFT && sim->mutation == MUT_LIFT_UNMARKED)
        drop(plan, find(plan, STEP_MARK_LIFTED));
    if (plan->action == ACT_UNLIFT && sim->mutation == MUT_UNMARKED_EARLY)
        drop(plan, find(plan, STEP_GUARD_DEADLINE));
    if (plan->action == ACT_RECLONE && sim->mutation == MUT_LEADER_UNASKED)
        drop(plan, find(plan, STEP_REACH_LEADER));
    if ((plan->action == ACT_TAKE || plan->action == ACT_PROMOTE) && sim->mutation == MUT_NO_S4)
        drop(plan, find(plan, STEP_WRITE_SYNC));
}

bool mutate_await(const struct sim *sim, const struct step *step)
{
    if (sim->mutation == MUT_NO_GUARD_ACK)
        return step->kind == STEP_GUARD_DEADLINE;
    if (sim->mutation == MUT_GROW_AT_ONCE)
        return step->kind == STEP_AWAIT_SYNC;
    return false;
}
