/* The synchronous set: who stays, who joins (design part 5). */
#include "sidecar/core/sync.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/view_stub.h"

static void gone(struct view *view, int64_t for_ms)
{
    view->pg.n_walsenders = 0;
    view_edit_peer(view, "b")->walsender_gone = mono_add(view->now, -for_ms);
}

static void expect_leaves(const struct view *view, const char *words)
{
    char why[LIMIT_REASON];
    struct names keep = sync_keep(view, why);
    ck_assert_uint_eq(keep.n, 0);
    ck_assert_msg(strstr(why, words) != NULL, "%s", why);
}

static void expect_stays(const struct view *view)
{
    char why[LIMIT_REASON];
    struct names keep = sync_keep(view, why);
    ck_assert(names_equal(&keep, &view->store.sync.standbys));
    ck_assert_str_eq(why, "");
}

/* S5: "its walsender's connection is closed and does not return within 500 ms". */
START_TEST(closed_connection)
{
    struct view view;
    view_of_leader(&view);
    expect_stays(&view);
    gone(&view, 500);
    expect_stays(&view);
    gone(&view, 501);
    expect_leaves(&view, "b closed its connection");
}
END_TEST

/* S5: "where its guard has reported the postmaster gone the primary shrinks at once". */
START_TEST(stopped_in_order)
{
    static const enum member_state states[] = { MEMBER_STOPPED, MEMBER_STOPPING, MEMBER_CRASHED,
                                                MEMBER_CREATING_REPLICA };
    struct view view;
    view_of_leader(&view);
    view_edit_peer(&view, "b")->member.state = states[_i];
    expect_stays(&view); /* its walsender is still there: it may still acknowledge */
    gone(&view, 0);
    expect_leaves(&view, "b has stopped");
}
END_TEST

/* S5: "asks to leave /sync (nosync in its member key)". */
START_TEST(asked_to_leave)
{
    struct view view;
    view_of_leader(&view);
    view_edit_peer(&view, "b")->member.tags.nosync = true;
    expect_leaves(&view, "b asked to leave");
    view.store.n_peers = 0;
    expect_leaves(&view, "b is not a member any more");
}
END_TEST

/* S5: "only silence waits for ttl": there are waiters and no flush progress. */
START_TEST(silence)
{
    struct view view;
    view_of_leader(&view);
    view.pg.waiters = 1;
    view.pg.progress_at = mono_add(view.now, -VIEW_TTL_MS);
    expect_stays(&view);
    view.pg.progress_at = mono_add(view.now, -(VIEW_TTL_MS + 1));
    expect_leaves(&view, "b has been silent");
    view.pg.waiters = 0; /* nobody waits: an idle cluster is not silent */
    expect_stays(&view);
}
END_TEST

START_TEST(one_too_many)
{
    struct view view;
    view_of_leader(&view);
    view_add_peer(&view, "c");
    view_add_walsender(&view, "c");
    view.store.sync.standbys = view_names("b", "c");
    char why[LIMIT_REASON];
    struct names keep = sync_keep(&view, why);
    ck_assert_uint_eq(keep.n, 1);
    ck_assert(names_has(&keep, "b"));
    ck_assert_str_eq(why, "c is one more than synchronous_node_count");
    view.policy.sync_count = 2;
    expect_stays(&view);
}
END_TEST

/* ---- who joins --------------------------------------------------------------------------- */

static void alone(struct view *view)
{
    view_of_leader(view);
    view->store.sync.standbys.n = 0;
}

START_TEST(joins_what_streams)
{
    struct view view;
    alone(&view);
    struct names grown = sync_grown(&view);
    ck_assert_uint_eq(grown.n, 1);
    ck_assert(names_has(&grown, "b"));
}
END_TEST

/* S2: only what could be `sync` at once: exactly one walsender, in its slot, streaming, near. */
START_TEST(does_not_join)
{
    struct view view;
    alone(&view);
    struct peer *b = view_edit_peer(&view, "b");
    struct walsender *sender = view_edit_walsender(&view, "b");
    switch (_i) {
    case 0:
        b->has_key = false;
        break;
    case 1:
        b->member.state = MEMBER_STARTING;
        break;
    case 2:
        b->member.tags.nosync = true;
        break;
    case 3:
        view.pg.n_walsenders = 0;
        break;
    case 4:
        sender->streaming = false;
        break;
    case 5:
        sender->only_one = false;
        break;
    case 6:
        sender->holds_slot = false;
        break;
    case 7:
        sender->flush = LSN_NONE;
        break;
    case 8:
        sender->flush = VIEW_LSN - SYNC_CATCH_UP_BYTES - 1;
        break;
    default:
        ck_abort();
    }
    ck_assert_uint_eq(sync_grown(&view).n, 0);
}
END_TEST

/* maximum_lag_on_syncnode, where it is set, is the limit. */
START_TEST(maximum_lag)
{
    struct view view;
    alone(&view);
    view.policy.max_lag_on_syncnode = 100;
    view_edit_walsender(&view, "b")->flush = VIEW_LSN - 100;
    ck_assert_uint_eq(sync_grown(&view).n, 1);
    view_edit_walsender(&view, "b")->flush--;
    ck_assert_uint_eq(sync_grown(&view).n, 0);
}
END_TEST

/* A growth with b has just failed, as the view says. */
static void fails(struct view *view, enum step_kind at)
{
    const struct step step = { .kind = at, .names = view_names("b", NULL) };
    sync_note_growth(&view->memory, view, &step, false);
}

/* S2, S5: commits wait while the set grows: who answers but does not flush is tried more and more
 * rarely, and at once when it has flushed what it owed. */
START_TEST(late_ones_are_held_back)
{
    struct view view;
    alone(&view);
    view_edit_walsender(&view, "b")->flush = VIEW_LSN - 1;
    int64_t pause_ms = SYNC_GROW_RETRY_MS;
    for (unsigned times = 1; times < 12; times++) {
        fails(&view, STEP_AWAIT_SYNC);
        ck_assert_uint_eq(sync_late(&view)->times, times);
        view.now = mono_add(view.now, pause_ms - 1);
        ck_assert_uint_eq(sync_grown(&view).n, 0);
        ck_assert(!sync_has_joiner(&view));
        view.now = mono_add(view.now, 1);
        ck_assert_uint_eq(sync_grown(&view).n, 1);
        ck_assert_ptr_null(sync_late(&view));
        pause_ms = pause_ms * 2 < SYNC_LATE_MAX_MS ? pause_ms * 2 : SYNC_LATE_MAX_MS;
    }
    ck_assert_int_eq(pause_ms, SYNC_LATE_MAX_MS);
    fails(&view, STEP_AWAIT_SYNC);
    ck_assert_uint_eq(sync_grown(&view).n, 0);
    view.policy.sync_strict = true; /* commits wait already: nothing is spared by holding back */
    ck_assert_uint_eq(sync_grown(&view).n, 1);
    view.policy.sync_strict = false;
    view_edit_walsender(&view, "b")->flush = VIEW_LSN;
    ck_assert_uint_eq(sync_grown(&view).n, 1);
    ck_assert_ptr_null(sync_late(&view));
    /* It had flushed: the next failure is the first of its kind. */
    view.pg.position = VIEW_LSN + 100;
    fails(&view, STEP_AWAIT_SYNC);
    ck_assert_uint_eq(sync_late(&view)->times, 1);
    ck_assert_uint_eq(view.memory.n_late, 1);
}
END_TEST

START_TEST(late_is_who_was_waited_for)
{
    struct view view;
    alone(&view);
    view_edit_walsender(&view, "b")->flush = VIEW_LSN - 1;
    fails(&view, STEP_PROBE_WAITS); /* nothing to do with b */
    ck_assert_uint_eq(view.memory.n_late, 0);
    ck_assert_int_eq(view.memory.grow_failed_at.ms, view.now.ms);
    view.store.sync.standbys = view_names("b", NULL); /* a growth by another one */
    fails(&view, STEP_AWAIT_SYNC);
    ck_assert_uint_eq(view.memory.n_late, 0);
    view.store.sync.standbys.n = view.pg.n_walsenders = 0; /* it is gone: S5 */
    fails(&view, STEP_AWAIT_SYNC);
    ck_assert_uint_eq(view.memory.n_late, 0);
    /* Another one takes its place meanwhile; who succeeds is forgotten. */
    alone(&view);
    view_add_peer(&view, "c");
    view_add_walsender(&view, "c");
    view_edit_walsender(&view, "b")->flush = VIEW_LSN - 1;
    fails(&view, STEP_AWAIT_SYNC);
    struct names grown = sync_grown(&view);
    ck_assert(grown.n == 1 && names_has(&grown, "c"));
    const struct step done = { .kind = STEP_WRITE_SYNC, .names = view_names("b", NULL) };
    sync_note_growth(&view.memory, &view, &done, true);
    ck_assert_uint_eq(view.memory.n_late, 0);
}
END_TEST

static void two_joiners(struct view *view)
{
    alone(view);
    view_add_peer(view, "c");
    view_add_walsender(view, "c");
}

static void expect_joins(const struct view *view, const char *name)
{
    struct names grown = sync_grown(view);
    ck_assert_uint_eq(grown.n, 1);
    ck_assert_msg(names_has(&grown, name), "%s joins", grown.name[0]);
}

/* The better one joins: sync_priority, then who may fail over, then flush position, then name; in
 * whatever order they stand. */
START_TEST(better_one_joins)
{
    struct view view;
    two_joiners(&view);
    expect_joins(&view, "b");
    view_edit_walsender(&view, "c")->flush += 10;
    expect_joins(&view, "c");
    view_edit_peer(&view, "c")->member.tags.nofailover = true;
    expect_joins(&view, "b");
    view_edit_peer(&view, "c")->member.tags.sync_priority = 2;
    expect_joins(&view, "c");
    view_edit_peer(&view, "b")->member.tags.sync_priority = 3;
    expect_joins(&view, "b");
    view_edit_peer(&view, "b")->member.tags.sync_priority = 2;
    view_edit_peer(&view, "b")->member.tags.nofailover = true;
    view_edit_peer(&view, "c")->member.tags.nofailover = false;
    expect_joins(&view, "c");
}
END_TEST

/* synchronous_node_count; who is in stays in. */
START_TEST(as_many_as_asked_for)
{
    struct view view;
    two_joiners(&view);
    view.policy.sync_count = 2;
    ck_assert_uint_eq(sync_grown(&view).n, 2);
    view.policy.sync_count = 5;
    ck_assert_uint_eq(sync_grown(&view).n, 2);
    view.policy.sync_count = 1;
    view.store.sync.standbys = view_names("c", NULL);
    expect_joins(&view, "c");
}
END_TEST

START_TEST(never_more_than_fit)
{
    struct view view;
    two_joiners(&view);
    view.policy.sync_count = LIMIT_MEMBERS + 1;
    for (int i = 0; i < LIMIT_MEMBERS; i++)
        names_add(&view.store.sync.standbys, (const char[]){ (char)('k' + i), '\0' });
    ck_assert(names_full(&view.store.sync.standbys));
    ck_assert_uint_eq(sync_grown(&view).n, LIMIT_MEMBERS);
}
END_TEST

/* ---- the rest ---------------------------------------------------------------------------- */

/* S5: strict blocks: nobody's name, never an empty one. */
START_TEST(names_for_a_set)
{
    struct view view;
    view_of_leader(&view);
    const struct names nobody = { .n = 0 }, b = view_names("b", NULL);
    ck_assert_int_eq(sync_ssn_for(&view, &b), SSN_NAMES);
    ck_assert_int_eq(sync_ssn_for(&view, &nobody), SSN_EMPTY);
    view.policy.sync_strict = true;
    ck_assert_int_eq(sync_ssn_for(&view, &nobody), SSN_NOBODY);
    view.policy.sync_on = false;
    ck_assert_int_eq(sync_ssn_for(&view, &nobody), SSN_EMPTY);
}
END_TEST

/* S7: "the lowest flush position confirmed by /sync". */
START_TEST(confirmed)
{
    struct view view;
    two_joiners(&view);
    ck_assert_uint_eq(sync_confirmed(&view), LSN_NONE);
    view.store.sync.standbys = view_names("b", "c");
    view_edit_walsender(&view, "c")->flush -= 10;
    ck_assert_uint_eq(sync_confirmed(&view), VIEW_LSN - 10);
    view_edit_walsender(&view, "b")->flush -= 20;
    ck_assert_uint_eq(sync_confirmed(&view), VIEW_LSN - 20);
    view_edit_walsender(&view, "c")->flush = LSN_NONE;
    ck_assert_uint_eq(sync_confirmed(&view), LSN_NONE);
    view.pg.n_walsenders = 1;
    ck_assert_uint_eq(sync_confirmed(&view), LSN_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/sync");
    TCase *tests = tcase_create("sync");
    tcase_add_test(tests, closed_connection);
    tcase_add_loop_test(tests, stopped_in_order, 0, 4);
    tcase_add_test(tests, asked_to_leave);
    tcase_add_test(tests, silence);
    tcase_add_test(tests, one_too_many);
    tcase_add_test(tests, joins_what_streams);
    tcase_add_loop_test(tests, does_not_join, 0, 9);
    tcase_add_test(tests, maximum_lag);
    tcase_add_test(tests, late_ones_are_held_back);
    tcase_add_test(tests, late_is_who_was_waited_for);
    tcase_add_test(tests, better_one_joins);
    tcase_add_test(tests, as_many_as_asked_for);
    tcase_add_test(tests, never_more_than_fit);
    tcase_add_test(tests, names_for_a_set);
    tcase_add_test(tests, confirmed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
