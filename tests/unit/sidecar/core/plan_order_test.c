/* What holds for every plan: the orders that protect data (S2, S4, L4, G1), bounds, and that no step
 * is dead. The plans in words are in plan_test.c. */
#include "sidecar/core/plan.h"

#include <check.h>
#include <stdlib.h>

#include "../../support/view_stub.h"

/* Plans of every action in views that differ in whatever a plan looks at. */
typedef void plan_fn(const struct view *view, const struct plan *plan, void *arg);

static void vary(struct view *view, int bits)
{
    view->guard.tree_alive = bits & 1;
    view->pg.in_recovery = bits & 2;
    view->policy.sync_on = bits & 4;
    view->policy.sync_strict = bits & 8;
    view->pg.ssn = bits & 16 ? SSN_NAMES : SSN_EMPTY;
    view->pg.checkpointed = !(bits & 32);
    view->pg.slots_differ = bits & 64;
    view->store.config_exists = !(bits & 128);
    view->store.initialize = bits & 256 ? 0 : 42;
    if (bits & 512)
        names_add(&view->store.sync.standbys, view->self);
    if (bits & 1024)
        view->store.sync = (struct sync_state){ .exists = false };
    view->pg.state = bits & 2048 ? PG_STARTING : PG_UP;
    view->store.confirmed_exists = bits & 4096; /* nowhere near */
    view->store.confirmed_lsn = view->pg.position + 1;
}

enum { N_VARIATIONS = 8192 };

static void every_plan(plan_fn *fn, void *arg)
{
    static struct view view;
    struct decision decision = { .rule = "test", .names = view_names("b", "c"), .peer = "b" };
    for (int bits = 0; bits < N_VARIATIONS; bits++) {
        view_of_leader(&view);
        vary(&view, bits);
        for (int action = 0; action < ACT_MAX; action++) {
            decision.action = (enum action)action;
            struct plan plan = plan_make(&view, &decision);
            fn(&view, &plan, arg);
        }
    }
}

static int find(const struct plan *plan, enum step_kind kind)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->steps[i].kind == kind)
            return (int)i;
    return -1;
}

static void check_bounds(const struct view *view, const struct plan *plan, void *arg)
{
    (void)view;
    (void)arg;
    ck_assert_uint_le(plan->n, LIMIT_STEPS);
    ck_assert_int_eq(plan->n == 0,
                     plan->action == ACT_WAIT || (plan->action == ACT_SETTLE &&
                                                  view->pg.checkpointed && !view->pg.slots_differ));
    for (size_t i = 0; i < plan->n; i++) {
        const struct step *step = &plan->steps[i];
        bool as_long_as_data = step->kind == STEP_BASE_BACKUP || step->kind == STEP_REWIND ||
                               step->kind == STEP_REMOVE_DATA;
        ck_assert_msg(as_long_as_data == (step->deadline_ms == 0), "%s has no deadline",
                      step_name(step->kind));
        ck_assert_int_ge(step->deadline_ms, 0);
    }
}

/* "A bounded, ordered list of steps, each with a deadline". */
START_TEST(bounded)
{
    every_plan(check_bounds, NULL);
}
END_TEST

static void mark_kinds(const struct view *view, const struct plan *plan, void *arg)
{
    bool *seen = arg;
    (void)view;
    for (size_t i = 0; i < plan->n; i++)
        seen[plan->steps[i].kind] = true;
}

/* A step kind that no plan has would be dead code in steps, simulation and documentation. */
START_TEST(every_step_is_used)
{
    bool seen[STEP_MAX] = { false };
    every_plan(mark_kinds, seen);
    for (int kind = 0; kind < STEP_MAX; kind++)
        ck_assert_msg(seen[kind], "no plan has \"%s\"", step_name((enum step_kind)kind));
}
END_TEST

/* L4: nothing becomes primary before the guard has acknowledged a deadline of this key. */
static void check_deadline_first(const struct view *view, const struct plan *plan, void *arg)
{
    int deadline = find(plan, STEP_GUARD_DEADLINE);
    int promote = find(plan, STEP_PROMOTE), start = find(plan, STEP_START_PRIMARY);
    (void)view;
    (void)arg;
    if (promote >= 0)
        ck_assert(deadline >= 0 && deadline < promote);
    if (start >= 0)
        ck_assert(deadline >= 0 && deadline < start);
    if (deadline >= 0) {
        ck_assert(!plan->steps[deadline].optional);
        ck_assert_int_lt(find(plan, STEP_TAKE_KEY), deadline);
    }
}

START_TEST(guard_deadline_first)
{
    every_plan(check_deadline_first, NULL);
}
END_TEST

/* S4: wherever the cluster is synchronous, WRITE_SYNC with nobody is the last step before PROMOTE. */
static void check_write_sync_last(const struct view *view, const struct plan *plan, void *arg)
{
    int promote = find(plan, STEP_PROMOTE);
    (void)arg;
    if (promote < 0 || (!view->policy.sync_on && !sync_in_force(&view->store.sync)))
        return;
    const struct step *before = &plan->steps[promote - 1];
    ck_assert_int_eq(before->kind, STEP_WRITE_SYNC);
    ck_assert_uint_eq(before->names.n, 0);
    ck_assert(!before->optional);
}

START_TEST(write_sync_is_last_before_promotion)
{
    every_plan(check_write_sync_last, NULL);
}
END_TEST

/* G1: the key is released, and data is touched, only after the tree was seen gone; the kill that
 * makes sure is never optional. */
static void check_gone_first(const struct view *view, const struct plan *plan, void *arg)
{
    static const enum step_kind after[] = { STEP_RELEASE_KEY, STEP_REMOVE_DATA, STEP_REWIND,
                                            STEP_START_STANDBY, STEP_START_PRIMARY };
    int stop = find(plan, STEP_STOP_FAST), kill = find(plan, STEP_KILL_TREE);
    (void)view;
    (void)arg;
    if (stop >= 0)
        ck_assert_int_eq(kill, stop + 1);
    if (kill < 0)
        return;
    ck_assert(!plan->steps[kill].optional);
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        int at = find(plan, after[i]);
        ck_assert(at < 0 || at > kill);
    }
}

START_TEST(gone_first)
{
    every_plan(check_gone_first, NULL);
}
END_TEST

/* S1: how many names /sync and SSN have, step by step: /sync is never more than what backends are
 * made to wait for. */
static void check_cover(const struct view *view, const struct plan *plan, void *arg)
{
    struct names sync = view->store.sync.standbys;
    bool covered_by_ssn = true;
    (void)arg;
    if (plan->action != ACT_SYNC_GROW && plan->action != ACT_SYNC_SHRINK &&
        plan->action != ACT_SYNC_OFF)
        return;
    if (names_has(&sync, view->self))
        return; /* not a leader's view */
    for (size_t i = 0; i < plan->n; i++) {
        const struct step *step = &plan->steps[i];
        if (step->kind == STEP_WRITE_SYNC)
            sync = step->names;
        if (step->kind == STEP_DELETE_SYNC)
            sync.n = 0;
        if (step->kind == STEP_SET_SSN)
            covered_by_ssn = step->ssn == SSN_NOBODY || names_covers(&step->names, &sync);
        bool protects = step->kind != STEP_WAKE_WAITERS;
        ck_assert_msg(covered_by_ssn && protects != step->optional, "%s: %s",
                      action_name(plan->action), step_name(step->kind));
    }
}

START_TEST(names_cover_sync)
{
    every_plan(check_cover, NULL);
}
END_TEST

/* S2: a clone, and what replaces data, writes a new data id first. */
static void check_data_id(const struct view *view, const struct plan *plan, void *arg)
{
    static const enum step_kind replaces[] = { STEP_REMOVE_DATA, STEP_BASE_BACKUP, STEP_REWIND };
    int id = find(plan, STEP_WRITE_DATA_ID);
    (void)view;
    (void)arg;
    for (size_t i = 0; i < sizeof(replaces) / sizeof(replaces[0]); i++) {
        int at = find(plan, replaces[i]);
        ck_assert(at < 0 || (id >= 0 && id < at && !plan->steps[id].optional));
    }
}

START_TEST(data_id_first)
{
    every_plan(check_data_id, NULL);
}
END_TEST

/* A key may outlive the leader: it has answered before anything of ours is stopped or gone for it. */
static void check_reached(const struct view *view, const struct plan *plan, void *arg)
{
    static const enum step_kind gives_up[] = { STEP_REMOVE_DATA, STEP_REWIND };
    int reached = find(plan, STEP_REACH_LEADER), stop = find(plan, STEP_STOP_FAST);
    (void)view;
    (void)arg;
    for (size_t i = 0; i < sizeof(gives_up) / sizeof(gives_up[0]); i++) {
        int at = find(plan, gives_up[i]);
        if (at < 0)
            continue;
        ck_assert(reached >= 0 && reached < at && !plan->steps[reached].optional);
        ck_assert(stop < 0 || reached < stop);
        ck_assert_str_eq(plan->steps[reached].name, plan->steps[plan->n - 1].name);
    }
}

START_TEST(leader_reached_first)
{
    every_plan(check_reached, NULL);
}
END_TEST

START_TEST(step_names)
{
    for (int kind = 0; kind < STEP_MAX; kind++)
        for (int other = 0; other < kind; other++)
            ck_assert_str_ne(step_name((enum step_kind)kind), step_name((enum step_kind)other));
}
END_TEST

static TCase *always(void)
{
    TCase *tests = tcase_create("always");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, bounded);
    tcase_add_test(tests, every_step_is_used);
    tcase_add_test(tests, guard_deadline_first);
    tcase_add_test(tests, write_sync_is_last_before_promotion);
    tcase_add_test(tests, gone_first);
    tcase_add_test(tests, names_cover_sync);
    tcase_add_test(tests, data_id_first);
    tcase_add_test(tests, leader_reached_first);
    tcase_add_test(tests, step_names);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("core/plan_order");
    suite_add_tcase(suite, always());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
