/* The runner of plans, with steps that the test carries out: the two kinds of steps are link-time
 * seams (sidecar/step.h), and the ones here win over those in the library. */
#include "sidecar/act/runner.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/view_stub.h"
#include "base/mem.h"
#include "sidecar/act/steps_store.h"

/* ---- the steps of this test ------------------------------------------------------------- */

struct fake_op {
    struct step_op op;
    step_done_fn *done;
    void *arg;
};

static struct {
    struct fake_op *running; /* the operation under way */
    struct plan_memory *memory;
    struct mono deadline;
    const struct view *view;
    int started, freed, begun;
    enum step_kind kind;
    bool by_postgres;
} fake;

static void fake_free(struct step_op *op)
{
    fake.freed++;
    fake.running = NULL;
    free(op);
}

static struct step_op *fake_start(const struct step_call *call, bool by_postgres)
{
    struct fake_op *op = mem_struct(struct fake_op);
    *op = (struct fake_op){ { fake_free }, call->done, call->arg };
    fake.running = op;
    fake.started++;
    fake.kind = call->step->kind;
    fake.by_postgres = by_postgres;
    fake.memory = call->memory;
    fake.deadline = call->deadline;
    fake.view = call->view;
    return &op->op;
}

bool steps_store_has(enum step_kind kind)
{
    return kind == STEP_TAKE_KEY || kind == STEP_WRITE_SYNC;
}

bool steps_postgres_has(enum step_kind kind)
{
    return kind == STEP_CHECKPOINT || kind == STEP_STOP_FAST || kind == STEP_PROMOTE ||
           kind == STEP_REACH_LEADER;
}

void steps_store_begin(struct steps_store *steps, const struct view *view)
{
    (void)steps;
    (void)view;
    fake.begun++;
}

struct step_op *steps_store_start(struct steps_store *steps, const struct step_call *call)
{
    (void)steps;
    return fake_start(call, false);
}

struct step_op *steps_postgres_start(struct steps_postgres *steps, const struct step_call *call)
{
    (void)steps;
    return fake_start(call, true);
}

/* ---- one runner -------------------------------------------------------------------------- */

static struct {
    struct loop *loop;
    struct runner *runner;
    struct view view;
    struct plan plan;
    struct runner_end end;
    int changed;
} test;

static void on_changed(void *arg)
{
    (void)arg;
    test.changed++;
}

static void set_up(void)
{
    static int store, postgres; /* never looked into */
    memset(&fake, 0, sizeof(fake));
    memset(&test, 0, sizeof(test));
    test.loop = loop_new();
    test.runner =
        runner_new(&(struct runner_spec){ .loop = test.loop,
                                          .store = (struct steps_store *)(void *)&store,
                                          .postgres = (struct steps_postgres *)(void *)&postgres,
                                          .changed = on_changed });
    view_of_leader(&test.view);
    test.view.now = loop_now(test.loop);
    test.view.store.config_mod_revision = 33;
    test.plan.action = ACT_HANDOVER;
}

static void tear_down(void)
{
    runner_free(test.runner);
    loop_free(test.loop);
    ck_assert_int_eq(fake.started, fake.freed);
}

static struct step *add(enum step_kind kind, int64_t deadline_ms)
{
    struct step *step = &test.plan.steps[test.plan.n++];
    *step = (struct step){ .kind = kind, .deadline_ms = deadline_ms };
    return step;
}

static void start(void)
{
    runner_start(test.runner, &test.plan, &test.view);
}

static void done(enum err_code code, const char *text)
{
    struct err err = { .code = code };
    ck_assert_ptr_nonnull(fake.running);
    if (text != NULL)
        err_set(&err, code, "%s", text);
    fake.running->done(fake.running->arg, code, text != NULL ? &err : NULL);
}

static bool cycle(void)
{
    return runner_cycle(test.runner, &test.view, &test.end);
}

static void expect_step(enum step_kind kind)
{
    ck_assert_ptr_nonnull(runner_step(test.runner));
    ck_assert_str_eq(step_name(runner_step(test.runner)->kind), step_name(kind));
}

static void expect_ended(bool completed, enum step_kind step, enum err_code code)
{
    ck_assert_ptr_null(runner_plan(test.runner));
    ck_assert_ptr_null(runner_step(test.runner));
    ck_assert_int_eq(test.end.action, ACT_HANDOVER);
    ck_assert_int_eq(test.end.completed, completed);
    ck_assert_str_eq(step_name(test.end.step.kind), step_name(step));
    ck_assert_str_eq(err_code_name(test.end.code), err_code_name(code));
    ck_assert_int_eq(test.end.why[0] != '\0', !completed);
}

/* ---- tests -------------------------------------------------------------------------------- */

START_TEST(idle)
{
    ck_assert_ptr_null(runner_plan(test.runner));
    ck_assert_ptr_null(runner_step(test.runner));
    ck_assert(!cycle());
    ck_assert_ptr_null(runner_free(NULL));
}
END_TEST

/* Step after step, each by its own half; the next begins in the cycle in which the last has ended. */
START_TEST(step_by_step)
{
    add(STEP_CHECKPOINT, 1000);
    add(STEP_WRITE_SYNC, 1000);
    start();
    ck_assert_int_eq(fake.begun, 1);
    ck_assert_ptr_eq(fake.view, &test.view);
    ck_assert_int_eq(runner_plan(test.runner)->action, ACT_HANDOVER);
    expect_step(STEP_CHECKPOINT);
    ck_assert(fake.by_postgres);
    ck_assert(!cycle());
    done(ERR_OK, NULL);
    ck_assert_int_eq(test.changed, 1); /* a cycle is due at once */
    ck_assert(!cycle());
    expect_step(STEP_WRITE_SYNC);
    ck_assert(!fake.by_postgres);
    ck_assert_int_eq(fake.freed, 1);
    done(ERR_OK, NULL);
    ck_assert(cycle());
    expect_ended(true, STEP_WRITE_SYNC, ERR_OK);
}
END_TEST

/* L8: TAKE_KEY compares `config` as it was when the plan began; the memory lives as long as the plan
 * and not longer. */
START_TEST(memory_of_the_plan)
{
    add(STEP_TAKE_KEY, 1000);
    add(STEP_WRITE_SYNC, 1000);
    start();
    ck_assert_int_eq(fake.memory->config_mod_revision, 33);
    test.view.store.config_mod_revision = 34;
    fake.memory->sync_mod_revision = 5;
    done(ERR_OK, NULL);
    ck_assert(!cycle());
    ck_assert_int_eq(fake.memory->config_mod_revision, 33);
    ck_assert_int_eq(fake.memory->sync_mod_revision, 5);
    done(ERR_OK, NULL);
    ck_assert(cycle());
    start();
    ck_assert_int_eq(fake.memory->config_mod_revision, 34);
    ck_assert_int_eq(fake.memory->sync_mod_revision, 0);
}
END_TEST

/* "A step that fails ends the plan": nothing after it is begun. */
START_TEST(failure_ends_the_plan)
{
    add(STEP_WRITE_SYNC, 1000);
    add(STEP_PROMOTE, 1000);
    start();
    done(ERR_CONFLICT, "somebody was faster");
    ck_assert_int_eq(test.changed, 1);
    ck_assert(cycle());
    expect_ended(false, STEP_WRITE_SYNC, ERR_CONFLICT);
    ck_assert_str_eq(test.end.why, "somebody was faster");
    ck_assert(!test.end.dropped);
    ck_assert_int_eq(fake.started, 1);
}
END_TEST

START_TEST(failure_without_words)
{
    add(STEP_WRITE_SYNC, 1000);
    start();
    done(ERR_TIMEOUT, NULL);
    ck_assert(cycle());
    expect_ended(false, STEP_WRITE_SYNC, ERR_TIMEOUT);
    ck_assert_str_eq(test.end.why, "timeout");
}
END_TEST

/* An optional step that fails is gone on without. */
START_TEST(optional_goes_on)
{
    add(STEP_CHECKPOINT, 1000)->optional = true;
    add(STEP_WRITE_SYNC, 1000);
    start();
    done(ERR_REFUSED, "no");
    ck_assert(!cycle());
    expect_step(STEP_WRITE_SYNC);
    done(ERR_OK, NULL);
    ck_assert(cycle());
    expect_ended(true, STEP_WRITE_SYNC, ERR_OK);
}
END_TEST

/* Also when it is the last one. */
START_TEST(optional_last)
{
    add(STEP_CHECKPOINT, 1000)->optional = true;
    start();
    done(ERR_REFUSED, "no");
    ck_assert(cycle());
    expect_ended(true, STEP_CHECKPOINT, ERR_OK);
}
END_TEST

/* "Every step has a deadline": the operation is told it, and ends with it. */
START_TEST(deadline_of_an_operation)
{
    add(STEP_CHECKPOINT, 1000);
    start();
    ck_assert_int_eq(fake.deadline.ms, test.view.now.ms + 1000);
    test.view.now = mono_add(test.view.now, 999);
    ck_assert(!cycle());
    test.view.now = mono_add(test.view.now, 1);
    ck_assert(cycle());
    expect_ended(false, STEP_CHECKPOINT, ERR_TIMEOUT);
    ck_assert_int_eq(fake.freed, 1); /* cancelled */
}
END_TEST

/* The deadline covers operation and condition together, from the step's start. */
START_TEST(deadline_of_a_condition)
{
    add(STEP_STOP_FAST, 1000)->optional = true;
    add(STEP_WRITE_SYNC, 500);
    start();
    test.view.now = mono_add(test.view.now, 800);
    done(ERR_OK, NULL);
    ck_assert(!cycle()); /* the tree is still there */
    expect_step(STEP_STOP_FAST);
    test.view.now = mono_add(test.view.now, 200);
    ck_assert(!cycle());
    expect_step(STEP_WRITE_SYNC);
    ck_assert_int_eq(fake.deadline.ms, test.view.now.ms + 500);
}
END_TEST

START_TEST(unbounded)
{
    add(STEP_CHECKPOINT, 0);
    start();
    ck_assert_int_eq(fake.deadline.ms, MONO_NEVER.ms);
    test.view.now = mono_add(test.view.now, 1000000000);
    ck_assert(!cycle());
    expect_step(STEP_CHECKPOINT);
}
END_TEST

static void end_loop(void *arg)
{
    test.changed++;
    loop_stop(*(struct loop **)arg);
}

/* Nothing else may happen before a deadline: the runner wakes the cycle itself. */
START_TEST(deadline_wakes_the_cycle)
{
    runner_free(test.runner);
    test.runner = runner_new(
        &(struct runner_spec){ .loop = test.loop, .changed = end_loop, .arg = &test.loop });
    add(STEP_AWAIT_OUT, 30);
    test.view.store.sync.standbys = view_names("a", NULL);
    start();
    loop_run(test.loop);
    ck_assert_int_eq(test.changed, 1);
    test.view.now = loop_now(test.loop);
    ck_assert(cycle());
    expect_ended(false, STEP_AWAIT_OUT, ERR_TIMEOUT);
}
END_TEST

/* A condition is asked only of a view that is newer than the end of the step before: what was seen
 * earlier proves nothing about it. */
START_TEST(condition_needs_a_newer_view)
{
    add(STEP_PROMOTE, 1000);
    add(STEP_AWAIT_PRIMARY, 1000); /* holds in this very view */
    add(STEP_WRITE_SYNC, 1000);
    start();
    done(ERR_OK, NULL);
    test.changed = 0;
    ck_assert(!cycle());
    expect_step(STEP_AWAIT_PRIMARY);
    ck_assert_int_eq(test.changed, 1);
    ck_assert(!cycle());
    expect_step(STEP_WRITE_SYNC);
}
END_TEST

/* A condition that cannot come any more ends the plan before its deadline. */
START_TEST(condition_fails)
{
    add(STEP_AWAIT_PRIMARY, 1000);
    test.view.guard.tree_alive = false;
    start();
    ck_assert(cycle());
    expect_ended(false, STEP_AWAIT_PRIMARY, ERR_REFUSED);
}
END_TEST

/* Nor is the end of an operation waited for whose condition cannot come any more. */
START_TEST(condition_fails_meanwhile)
{
    add(STEP_REACH_LEADER, 1000);
    (void)text_copy(test.plan.steps[0].name, LIMIT_NAME, test.view.store.leader);
    start();
    ck_assert(!cycle());
    test.view.store.leader_exists = false;
    ck_assert(cycle());
    expect_ended(false, STEP_REACH_LEADER, ERR_REFUSED);
    ck_assert_int_eq(fake.freed, 1);
}
END_TEST

/* Safety interrupts: the operation under way is cancelled, the runner is free at once. */
START_TEST(drop)
{
    add(STEP_CHECKPOINT, 1000);
    add(STEP_WRITE_SYNC, 1000);
    start();
    runner_drop(test.runner, &test.end);
    expect_ended(false, STEP_CHECKPOINT, ERR_CANCELLED);
    ck_assert(test.end.dropped);
    ck_assert_int_eq(fake.freed, 1);
    ck_assert(!cycle());
    start();
    expect_step(STEP_CHECKPOINT);
}
END_TEST

/* What runs is cancelled with the runner. */
START_TEST(freed_in_the_middle)
{
    add(STEP_CHECKPOINT, 1000);
    start();
    test.runner = runner_free(test.runner);
    ck_assert_int_eq(fake.freed, 1);
}
END_TEST

/* A witness has no Postgres: its steps are conditions only. */
START_TEST(without_postgres)
{
    runner_free(test.runner);
    test.runner = runner_new(&(struct runner_spec){ .loop = test.loop, .changed = on_changed });
    add(STEP_CHECKPOINT, 1000);
    start();
    ck_assert_int_eq(fake.started, 0);
    ck_assert_int_eq(fake.begun, 0);
    ck_assert(cycle());
    expect_ended(true, STEP_CHECKPOINT, ERR_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("act/runner");
    TCase *tests = tcase_create("runner");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, idle);
    tcase_add_test(tests, step_by_step);
    tcase_add_test(tests, memory_of_the_plan);
    tcase_add_test(tests, failure_ends_the_plan);
    tcase_add_test(tests, failure_without_words);
    tcase_add_test(tests, optional_goes_on);
    tcase_add_test(tests, optional_last);
    tcase_add_test(tests, deadline_of_an_operation);
    tcase_add_test(tests, deadline_of_a_condition);
    tcase_add_test(tests, unbounded);
    tcase_add_test(tests, deadline_wakes_the_cycle);
    tcase_add_test(tests, condition_needs_a_newer_view);
    tcase_add_test(tests, condition_fails);
    tcase_add_test(tests, condition_fails_meanwhile);
    tcase_add_test(tests, drop);
    tcase_add_test(tests, freed_in_the_middle);
    tcase_add_test(tests, without_postgres);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
