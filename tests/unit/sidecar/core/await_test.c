/* The half of a step that waits: a pure condition over the newest view. */
#include "sidecar/core/await.h"

#include <check.h>
#include <stdlib.h>

#include "../../support/view_stub.h"

static enum await ask(const struct view *view, enum step_kind kind)
{
    const struct step step = { .kind = kind };
    const struct plan_memory memory = { .flush = LSN_NONE };
    return step_await(view, &step, &memory);
}

/* Steps that are done when their operation has succeeded. */
static bool only_operates(enum step_kind kind)
{
    static const enum step_kind waiting[] = {
        STEP_INITDB,     STEP_ADOPT_NEW,       STEP_BASE_BACKUP,    STEP_GUARD_DEADLINE,
        STEP_STOP_FAST,  STEP_KILL_TREE,       STEP_AWAIT_OUT,      STEP_AWAIT_PRIMARY,
        STEP_AWAIT_SYNC, STEP_AWAIT_SSN_SHOWN, STEP_AWAIT_RECEIVED, STEP_SLOTS,
        STEP_GUARD_LIFT, STEP_READ_WAL,        STEP_REACH_LEADER,
    };
    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
        if (waiting[i] == kind)
            return false;
    return true;
}

START_TEST(operations)
{
    struct view view;
    view_of_nothing(&view);
    for (int kind = 0; kind <= STEP_MAX; kind++)
        if (only_operates((enum step_kind)kind))
            ck_assert_int_eq(ask(&view, (enum step_kind)kind), AWAIT_YES);
}
END_TEST

/* A kind that this program does not know has no condition. */
START_TEST(unknown_kind)
{
    struct view view;
    view_of_nothing(&view);
    ck_assert_int_eq(ask(&view, (enum step_kind)(STEP_MAX + 1)), AWAIT_YES);
}
END_TEST

START_TEST(data)
{
    struct view view;
    view_of_nothing(&view);
    ck_assert_int_eq(ask(&view, STEP_INITDB), AWAIT_NOT_YET);
    view.pg.dir = DATA_DIR_FRESH;
    ck_assert_int_eq(ask(&view, STEP_INITDB), AWAIT_NOT_YET);
    view.pg.system_id = 42;
    ck_assert_int_eq(ask(&view, STEP_INITDB), AWAIT_YES);
    ck_assert_int_eq(ask(&view, STEP_ADOPT_NEW), AWAIT_NOT_YET);
    ck_assert_int_eq(ask(&view, STEP_BASE_BACKUP), AWAIT_NOT_YET);
    view.pg.dir = DATA_DIR_VALID;
    ck_assert_int_eq(ask(&view, STEP_ADOPT_NEW), AWAIT_YES);
    ck_assert_int_eq(ask(&view, STEP_BASE_BACKUP), AWAIT_YES);
    ck_assert_int_eq(ask(&view, STEP_READ_WAL), AWAIT_NOT_YET);
    view.pg.wal_read = true;
    ck_assert_int_eq(ask(&view, STEP_READ_WAL), AWAIT_YES);
}
END_TEST

/* L4: "the guard has acknowledged a deadline for that lease": all of it, and it lives. */
START_TEST(guard_deadline)
{
    struct view view;
    view_of_leader(&view);
    ck_assert_int_eq(ask(&view, STEP_GUARD_DEADLINE), AWAIT_YES);
    switch (_i) {
    case 0:
        view.lease.held_until = view.now;
        break;
    case 1:
        view.guard.connected = false;
        break;
    case 2:
        view.guard.has_deadline = false;
        break;
    case 3:
        view.guard.lease_id++;
        break;
    case 4:
        view.guard.create_revision--;
        break;
    case 5:
        view.guard.deadline = view.now;
        break;
    default:
        ck_abort();
    }
    ck_assert_int_eq(ask(&view, STEP_GUARD_DEADLINE), AWAIT_NOT_YET);
    view.lease.owns_key = false; /* it cannot come any more */
    ck_assert_int_eq(ask(&view, STEP_GUARD_DEADLINE), AWAIT_FAILED);
}
END_TEST

/* G1: only the guard's word that nothing is left. */
START_TEST(gone)
{
    struct view view;
    view_of_leader(&view);
    view.pg.state = PG_DOWN;
    ck_assert_int_eq(ask(&view, STEP_STOP_FAST), AWAIT_NOT_YET);
    ck_assert_int_eq(ask(&view, STEP_KILL_TREE), AWAIT_NOT_YET);
    view.guard.tree_alive = false;
    ck_assert_int_eq(ask(&view, STEP_STOP_FAST), AWAIT_YES);
    ck_assert_int_eq(ask(&view, STEP_KILL_TREE), AWAIT_YES);
}
END_TEST

/* S5: the primary has shrunk. */
START_TEST(out)
{
    struct view view;
    view_of_standby(&view);
    ck_assert_int_eq(ask(&view, STEP_AWAIT_OUT), AWAIT_NOT_YET);
    view.store.sync.standbys.n = 0;
    ck_assert_int_eq(ask(&view, STEP_AWAIT_OUT), AWAIT_YES);
}
END_TEST

START_TEST(slots)
{
    struct view view;
    view_of_leader(&view);
    ck_assert_int_eq(ask(&view, STEP_SLOTS), AWAIT_YES);
    view.pg.slots_differ = true;
    ck_assert_int_eq(ask(&view, STEP_SLOTS), AWAIT_NOT_YET);
}
END_TEST

/* Who is asked whether it lives must lead still: else somebody has to take over. */
START_TEST(reaching)
{
    struct step step = { .kind = STEP_REACH_LEADER, .name = "b" };
    const struct plan_memory memory = { .flush = LSN_NONE };
    struct view view;
    view_of_standby(&view);
    ck_assert_int_eq(step_await(&view, &step, &memory), AWAIT_YES);
    view.store.leader[0] = 'c';
    ck_assert_int_eq(step_await(&view, &step, &memory), AWAIT_FAILED);
    view.store.leader[0] = 'b';
    view.store.leader_exists = false;
    ck_assert_int_eq(step_await(&view, &step, &memory), AWAIT_FAILED);
}
END_TEST

START_TEST(primary)
{
    struct view view;
    view_of_leader(&view);
    ck_assert_int_eq(ask(&view, STEP_AWAIT_PRIMARY), AWAIT_YES);
    view.pg.in_recovery = true;
    ck_assert_int_eq(ask(&view, STEP_AWAIT_PRIMARY), AWAIT_NOT_YET);
    view.pg.in_recovery = false;
    view.pg.state = PG_STARTING;
    ck_assert_int_eq(ask(&view, STEP_AWAIT_PRIMARY), AWAIT_NOT_YET);
    view.guard.tree_alive = false;
    ck_assert_int_eq(ask(&view, STEP_AWAIT_PRIMARY), AWAIT_FAILED);
}
END_TEST

static enum await shown(const struct view *view, enum ssn_kind ssn, const char *name)
{
    const struct step step = { .kind = STEP_AWAIT_SSN_SHOWN,
                               .ssn = ssn,
                               .names = view_names(name, NULL) };
    return step_await(view, &step, &(struct plan_memory){ .flush = LSN_NONE });
}

START_TEST(names_shown)
{
    struct view view;
    view_of_leader(&view);
    ck_assert_int_eq(shown(&view, SSN_NAMES, "b"), AWAIT_YES);
    ck_assert_int_eq(shown(&view, SSN_NAMES, "c"), AWAIT_NOT_YET);
    ck_assert_int_eq(shown(&view, SSN_EMPTY, NULL), AWAIT_NOT_YET);
    view.pg.ssn = SSN_EMPTY;
    ck_assert_int_eq(shown(&view, SSN_EMPTY, NULL), AWAIT_YES);
    ck_assert_int_eq(shown(&view, SSN_NAMES, "b"), AWAIT_NOT_YET);
}
END_TEST

/* ---- S2: sync, seen and not assumed ------------------------------------------------------ */

static enum await synced(const struct view *view, lsn_t flush)
{
    const struct step step = { .kind = STEP_AWAIT_SYNC,
                               .ssn = SSN_NAMES,
                               .names = view_names("b", "c") };
    return step_await(view, &step, &(struct plan_memory){ .flush = flush });
}

static void two_standbys(struct view *view)
{
    view_of_leader(view);
    view_add_peer(view, "c");
    view_add_walsender(view, "c");
    view->pg.ssn_names = view_names("b", "c");
}

/* "exactly one walsender of that name, whose pid is the active_pid of that member's slot, is sync and
 * has flushed past a primary flush LSN read after commits were seen to wait" */
START_TEST(sync_reached)
{
    struct view view;
    two_standbys(&view);
    ck_assert_int_eq(synced(&view, VIEW_LSN), AWAIT_YES);
    struct walsender *c = view_edit_walsender(&view, "c");
    switch (_i) {
    case 0:
        c->streaming = false;
        break;
    case 1:
        c->holds_slot = false;
        break;
    case 2:
        c->sync = false;
        break;
    case 3:
        c->flush--;
        break;
    case 4:
        view.pg.ssn_names = view_names("b", NULL);
        break; /* what the server shows */
    case 5:
        view.pg.ssn = SSN_NOBODY;
        break;
    default:
        ck_abort();
    }
    ck_assert_int_eq(synced(&view, VIEW_LSN), AWAIT_NOT_YET);
}
END_TEST

START_TEST(sync_cannot_come)
{
    struct view view;
    two_standbys(&view);
    ck_assert_int_eq(synced(&view, LSN_NONE), AWAIT_FAILED); /* no position was read */
    view_edit_walsender(&view, "c")->only_one = false;
    ck_assert_int_eq(synced(&view, VIEW_LSN), AWAIT_FAILED);
    view.pg.n_walsenders = 1;
    ck_assert_int_eq(synced(&view, VIEW_LSN), AWAIT_FAILED);
}
END_TEST

/* ---- part 6: the standby has the shutdown record ------------------------------------------ */

static enum await received(const struct view *view, const char *name, const char *a, const char *b)
{
    struct step step = { .kind = STEP_AWAIT_RECEIVED, .names = view_names(a, b) };
    if (name != NULL)
        step.name[0] = name[0];
    return step_await(view, &step, &(struct plan_memory){ .flush = LSN_NONE });
}

static void stopped_in_order(struct view *view)
{
    view_of_lost_postmaster(view);
    view->pg.clean_stop = true;
    struct peer *b = view_edit_peer(view, "b");
    b->answered = true;
    b->position = VIEW_LSN + 1; /* past the begin of the shutdown record */
    view_add_peer(view, "c");
}

START_TEST(shutdown_record)
{
    struct view view;
    stopped_in_order(&view);
    ck_assert_int_eq(received(&view, "b", "b", NULL), AWAIT_YES);
    ck_assert_int_eq(received(&view, "c", "b", "c"), AWAIT_NOT_YET);
    ck_assert_int_eq(received(&view, "x", NULL, NULL), AWAIT_NOT_YET);
    ck_assert_int_eq(received(&view, NULL, "c", "b"), AWAIT_YES);
    ck_assert_int_eq(received(&view, NULL, "c", NULL), AWAIT_NOT_YET);
    ck_assert_int_eq(received(&view, NULL, NULL, NULL), AWAIT_YES);
    view_edit_peer(&view, "b")->position = VIEW_LSN;
    ck_assert_int_eq(received(&view, "b", NULL, NULL), AWAIT_NOT_YET);
    view_edit_peer(&view, "b")->position = VIEW_LSN + 1;
    view_edit_peer(&view, "b")->answered = false; /* what the store told is old */
    ck_assert_int_eq(received(&view, "b", NULL, NULL), AWAIT_NOT_YET);
}
END_TEST

START_TEST(no_shutdown_record)
{
    struct view view;
    stopped_in_order(&view);
    view.guard.tree_alive = true;
    ck_assert_int_eq(received(&view, "b", NULL, NULL), AWAIT_NOT_YET);
    view.guard.tree_alive = false;
    view.pg.dir = DATA_DIR_UNKNOWN; /* the control file was not read yet */
    ck_assert_int_eq(received(&view, "b", NULL, NULL), AWAIT_NOT_YET);
    view.pg.dir = DATA_DIR_VALID;
    view.pg.clean_stop = false; /* killed: there is none to wait for */
    ck_assert_int_eq(received(&view, "c", NULL, NULL), AWAIT_YES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/await");
    TCase *tests = tcase_create("await");
    tcase_add_test(tests, operations);
    tcase_add_test(tests, unknown_kind);
    tcase_add_test(tests, data);
    tcase_add_loop_test(tests, guard_deadline, 0, 6);
    tcase_add_test(tests, gone);
    tcase_add_test(tests, out);
    tcase_add_test(tests, reaching);
    tcase_add_test(tests, primary);
    tcase_add_test(tests, slots);
    tcase_add_test(tests, names_shown);
    tcase_add_loop_test(tests, sync_reached, 0, 6);
    tcase_add_test(tests, sync_cannot_come);
    tcase_add_test(tests, shutdown_record);
    tcase_add_test(tests, no_shutdown_record);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
