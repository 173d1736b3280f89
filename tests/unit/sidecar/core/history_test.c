/* Our WAL against the leader's: by content, never by guess (design part 6). */
#include "sidecar/core/history.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "../../support/view_stub.h"

/* a is a running standby on timeline 1; b leads timeline 2, which left timeline 1 at VIEW_LSN. */
static void leader_on_two(struct view *view)
{
    view_of_standby(view);
    view->store.sync.standbys.n = 0;
    view_edit_peer(view, "b")->member.timeline = 2;
    view->store.confirmed = (struct timeline){ .tli = 2, .n = 1, .entries = { { 1, VIEW_LSN } } };
}

static void down(struct view *view, bool was_primary, bool clean)
{
    view->guard.tree_alive = false;
    view->pg.state = PG_DOWN;
    view->pg.was_primary = was_primary;
    view->pg.clean_stop = clean;
}

START_TEST(standby)
{
    struct view view;
    leader_on_two(&view);
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
    view.pg.position = VIEW_LSN + 1;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_DIVERGED);
    view.pg.timeline = view.store.confirmed;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
    /* Two different timelines 2 (two crashed promotions). */
    view.pg.timeline.entries[0].switch_at--;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_DIVERGED);
}
END_TEST

/* A stopped primary's last record begins at its position: it must lie before the fork. */
START_TEST(stopped_primary)
{
    struct view view;
    leader_on_two(&view);
    down(&view, true, true);
    view.pg.position = VIEW_LSN - 1;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
    view.pg.position = VIEW_LSN;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_DIVERGED);
    view.pg.was_primary = false; /* a standby's is the end of what it has */
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
}
END_TEST

/* After a crash the control file does not tell where the WAL ends; what it tells may do. */
START_TEST(crashed_primary)
{
    struct view view;
    leader_on_two(&view);
    down(&view, true, false);
    view.pg.position = VIEW_LSN - 1000;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_UNKNOWN);
    view.pg.position = VIEW_LSN + 1000;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_DIVERGED);
    view.pg.was_primary = false;
    view.pg.position = VIEW_LSN - 1000;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
    view.memory.rewind_checked = true; /* pg_rewind has read the WAL itself */
    view.pg.was_primary = true;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
    view.pg.rewinding = true; /* begun anew since, and cut short */
    ck_assert_int_eq(history_against_leader(&view), HISTORY_DIVERGED);
}
END_TEST

/* Where the leader's history comes from: `confirmed` (S7), else what the peer's number stands for;
 * a number alone is no history. */
START_TEST(leader_history)
{
    struct view view;
    leader_on_two(&view);
    struct peer *b = view_edit_peer(&view, "b");
    b->timeline = (struct timeline){ .tli = 2 };
    view.store.confirmed.tli = 1; /* of the leader before */
    view.store.confirmed.n = 0;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_UNKNOWN);
    b->timeline = (struct timeline){ .tli = 2, .n = 1, .entries = { { 1, VIEW_LSN } } };
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
    view.store.confirmed_exists = false;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
    b->timeline = (struct timeline){ .tli = 1 };
    ck_assert_int_eq(history_against_leader(&view), HISTORY_UNKNOWN);
    b->member.timeline = 1; /* timeline 1 has no history */
    ck_assert_int_eq(history_against_leader(&view), HISTORY_SAME);
    b->member.timeline = 0;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_UNKNOWN);
    view.store.n_peers = 0;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_UNKNOWN);
}
END_TEST

START_TEST(own_history_unknown)
{
    struct view view;
    leader_on_two(&view);
    view.pg.timeline.tli = 0;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_UNKNOWN);
    leader_on_two(&view);
    struct peer *b = view_edit_peer(&view, "b");
    view.store.confirmed_exists = false;
    b->timeline = (struct timeline){ .tli = 0 };
    b->member.timeline = 0;
    ck_assert_int_eq(history_against_leader(&view), HISTORY_UNKNOWN);
}
END_TEST

/* ---- what is done about it ------------------------------------------------------------- */

static struct decision mend(const struct view *view, enum history_verdict verdict)
{
    struct decision decision = { .action = ACT_WAIT };
    ck_assert(history_mend(view, &decision, verdict));
    ck_assert_str_eq(decision.peer, "b");
    return decision;
}

static void expect(const struct view *view, enum action action, const char *words)
{
    struct decision decision = mend(view, HISTORY_DIVERGED);
    ck_assert_int_eq(decision.action, action);
    SAYS(decision, words);
}

/* "follow, or pg_rewind, or (if allowed) clone again; never guess". */
START_TEST(mends)
{
    struct view view;
    leader_on_two(&view);
    view.pg.upstream[0] = '\0';
    expect(&view, ACT_REWIND, "has diverged from that of b");
    struct decision decision = mend(&view, HISTORY_UNKNOWN);
    SAYS(decision, "may have diverged");
    view.memory.rewind_failed = true;
    expect(&view, ACT_WAIT, "pg_rewind failed");
    view.policy.clone_on_divergence = true; /* says nothing about a failed rewind */
    expect(&view, ACT_WAIT, "pg_rewind failed");
    view.policy.clone_on_rewind_failure = true;
    expect(&view, ACT_RECLONE, "pg_rewind failed");
}
END_TEST

/* Before 16, pg_rewind finds nothing to do until the leader's first checkpoint after its promotion. */
START_TEST(mends_after_the_checkpoint)
{
    struct view view;
    leader_on_two(&view);
    view.pg.position = VIEW_LSN + 1;
    struct peer *b = view_edit_peer(&view, "b");
    b->member.checkpoint_pending = true;
    (void)text_copy(b->member.version, LIMIT_NAME, "15.20");
    expect(&view, ACT_WAIT, "waits for its checkpoint");
    b->member.checkpoint_pending = false;
    expect(&view, ACT_REWIND, "has diverged");
    b->member.checkpoint_pending = true;
    (void)text_copy(b->member.version, LIMIT_NAME, "17.12");
    expect(&view, ACT_REWIND, "has diverged");
}
END_TEST

START_TEST(mends_without_rewind)
{
    struct view view;
    leader_on_two(&view);
    view.pg.upstream[0] = '\0';
    view.policy.use_rewind = false;
    expect(&view, ACT_WAIT, "use_pg_rewind is off");
    view.policy.clone_on_rewind_failure = true; /* no rewind has failed */
    expect(&view, ACT_WAIT, "use_pg_rewind is off");
    view.policy.clone_on_divergence = true;
    expect(&view, ACT_RECLONE, "has diverged");
}
END_TEST

/* S2: while /sync names this member its data is not touched; nor without a primary to take from. */
START_TEST(mends_later)
{
    struct view view;
    leader_on_two(&view);
    view.store.sync.standbys = view_names("a", NULL);
    expect(&view, ACT_WAIT, "/sync still names this member");
    leader_on_two(&view);
    struct peer *b = view_edit_peer(&view, "b");
    b->member.role = MEMBER_ROLE_REPLICA;
    expect(&view, ACT_WAIT, "not ready yet");
    b->member.role = MEMBER_ROLE_PRIMARY;
    b->member.state = MEMBER_STARTING;
    expect(&view, ACT_WAIT, "not ready yet");
    view.store.n_peers = 0;
    expect(&view, ACT_WAIT, "not ready yet");
}
END_TEST

/* S6: keys of yesterday may name a leader that lacks what only we have. */
START_TEST(mends_only_in_the_known_store)
{
    struct view view;
    leader_on_two(&view);
    view.store.same_cluster = false;
    struct decision decision = { .action = ACT_REWIND };
    ck_assert(history_mend(&view, &decision, HISTORY_DIVERGED));
    ck_assert_int_eq(decision.action, ACT_WAIT);
    SAYS(decision, "a person must accept it");
    view.store.recording = true; /* nothing for a person to do */
    ck_assert(history_mend(&view, &decision, HISTORY_DIVERGED));
    ck_assert_int_eq(decision.action, ACT_WAIT);
    SAYS(decision, "first the newest /sync is written");
    view.store.recording = false;
    view.accept_restored = true;
    expect(&view, ACT_REWIND, "has diverged");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/history");
    TCase *tests = tcase_create("history");
    tcase_add_test(tests, standby);
    tcase_add_test(tests, stopped_primary);
    tcase_add_test(tests, crashed_primary);
    tcase_add_test(tests, leader_history);
    tcase_add_test(tests, own_history_unknown);
    tcase_add_test(tests, mends);
    tcase_add_test(tests, mends_after_the_checkpoint);
    tcase_add_test(tests, mends_without_rewind);
    tcase_add_test(tests, mends_later);
    tcase_add_test(tests, mends_only_in_the_known_store);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
