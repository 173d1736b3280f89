/* The orders that protect data (S2, S4, L4, G1). */
#include "sidecar/core/plan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/view_stub.h"

#define STOP "fast stop?, kill"
#define PROMOTION                                                                                  \
    "guard deadline, end blocking sessions?, write /sync {}, pg_promote, await primary, write history?"

/* ---- each action in words ------------------------------------------------------------- */

START_TEST(nothing)
{
    struct view view;
    view_of_leader(&view);
    PLANS(&view, ACT_WAIT, "");
    for (int none = ACT_MAX; none <= ACT_MAX + 1; none++) {
        const struct decision decision = { .action = (enum action)none };
        ck_assert_uint_eq(plan_make(&view, &decision).n, 0);
    }
}
END_TEST

/* L4: the guard's deadline before pg_promote; S4: "the last step before pg_promote is a transaction
 * that writes /sync = {leader: self, no standbys}". */
START_TEST(take)
{
    struct view view;
    view_of_leaderless(&view);
    PLANS(&view, ACT_TAKE, "take key, " PROMOTION);
    /* In force is what /sync says, whatever `config` says. */
    view.policy.sync_on = false;
    PLANS(&view, ACT_TAKE, "take key, " PROMOTION);
    view.store.sync = (struct sync_state){ .exists = false };
    view_edit_peer(&view, "b")->has_key = false;
    PLANS(
        &view, ACT_TAKE,
        "take key, guard deadline, end blocking sessions?, pg_promote, await primary, write history?");
}
END_TEST

/* Part 4: an accepted loss: what is lost does not bar the next leader for ever (S7). */
START_TEST(take_with_loss)
{
    struct view view;
    view_of_leaderless(&view);
    view_ask_failover(&view, "", "a");
    view.store.confirmed_lsn = VIEW_LSN + 1;
    PLANS(&view, ACT_TAKE,
          "take key, guard deadline, end blocking sessions?, drop confirmed, write /sync {}, "
          "pg_promote, await primary, write history?");
}
END_TEST

START_TEST(promotes)
{
    struct view view;
    view_of_leader(&view);
    view.pg.in_recovery = true;
    PLANS(&view, ACT_PROMOTE, PROMOTION);
}
END_TEST

START_TEST(fence_and_adopt_and_abandon)
{
    struct view view;
    view_of_leader(&view);
    view.lease.owns_key = false;
    PLANS(&view, ACT_ADOPT, "adopt key");
    view.guard.lease_id = 0;
    PLANS(&view, ACT_FENCE, "kill");
    view_of_lost_postmaster(&view);
    view.store.leader_exists = false;
    PLANS(&view, ACT_ABANDON, "kill, revoke lease");
}
END_TEST

/* L2: read-only before the lease ends: half of what is left before the margin goes to the fast stop,
 * the rest to the kill. */
START_TEST(demote)
{
    struct view view;
    view_of_leader(&view);
    view.lease.held_until = mono_add(view.now, 1249);
    PLANS(&view, ACT_DEMOTE, STOP);
    struct decision decision = decide(&view);
    ck_assert_int_eq(plan_make(&view, &decision).steps[0].deadline_ms, 499);
    view.lease.held_until = mono_add(view.now, 450);
    ck_assert_int_eq(plan_make(&view, &decision).steps[0].deadline_ms, 100);
    view.lease.lifted = true; /* L8: a backend that does not end must not keep the plan for ever */
    ck_assert_int_eq(plan_make(&view, &decision).steps[0].deadline_ms, 20000);
}
END_TEST

/* Part 6: "initialize held under its lease while empty, replaced by the system id"; L4 and S4 hold
 * for the first primary, too. */
START_TEST(bootstrap)
{
    struct view view;
    view_of_nothing(&view);
    PLANS(&view, ACT_BOOTSTRAP,
          "create initialize, initdb, write initialize, move initdb into place, take key, guard "
          "deadline, write /sync {}, start primary=empty, await primary, create roles, write "
          "config");
    view.store.initialize_exists = true;
    view.store.initialize = 42;
    view.pg.dir = DATA_DIR_FRESH;
    view.pg.system_id = 42;
    view.policy.sync_on = false;
    PLANS(&view, ACT_BOOTSTRAP,
          "move initdb into place, take key, guard deadline, start primary=empty, await primary, "
          "create roles, write config");
}
END_TEST

START_TEST(finish_bootstrap)
{
    struct view view;
    view_of_leader(&view);
    view.store.config_exists = false;
    PLANS(&view, ACT_FINISH_BOOTSTRAP, "create roles, write config");
    view.store.config_exists = true;
    view.store.initialize = 0;
    PLANS(&view, ACT_FINISH_BOOTSTRAP, "create roles, write initialize");
}
END_TEST

/* S2: "A restart in place as primary needs an SSN on disk that covers /sync"; a late write of a growth
 * is met by the write of /sync; L4 before both. */
START_TEST(start_primary)
{
    struct view view;
    view_of_lost_postmaster(&view);
    view_edit_peer(&view, "b")->member.state = MEMBER_STOPPED;
    PLANS(&view, ACT_START_PRIMARY, "guard deadline, write /sync {b}, start primary=names {b}");
    view.store.sync.standbys.n = 0;
    view.policy.sync_strict = true;
    PLANS(&view, ACT_START_PRIMARY, "guard deadline, write /sync {}, start primary=nobody");
    /* S4's transaction, where /sync names another leader. */
    view_of_lost_postmaster(&view);
    view.store.sync.leader[0] = 'b';
    view_edit_peer(&view, "b")->member.state = MEMBER_STOPPED;
    PLANS(&view, ACT_START_PRIMARY, "guard deadline, write /sync {}, start primary=empty");
    view.policy.sync_on = false;
    PLANS(&view, ACT_START_PRIMARY, "guard deadline, write /sync {}, start primary=empty");
    view.store.sync = (struct sync_state){ .exists = false };
    view_edit_peer(&view, "b")->has_key = false;
    PLANS(&view, ACT_START_PRIMARY, "guard deadline, start primary=empty");
}
END_TEST

/* Part 6: "checkpoint; fast stop; standby has the shutdown record; release naming the candidate".
 * G1: the key goes only after KILL_TREE has seen the tree gone. */
START_TEST(handover)
{
    struct view view;
    view_of_leader(&view);
    view.guard.stop_requested = true;
    PLANS(&view, ACT_HANDOVER, "checkpoint?, " STOP ", await standby {b}?, release key");
    view_edit_peer(&view, "b")->has_key = false;
    PLANS(&view, ACT_HANDOVER, "checkpoint?, " STOP ", release key");
    view.pg.state = PG_STARTING;
    PLANS(&view, ACT_HANDOVER, STOP ", release key");
    view_of_leader(&view);
    view_ask_failover(&view, "a", "b");
    PLANS(&view, ACT_HANDOVER, "checkpoint?, " STOP ", await standby:b {b}?, release key:b");
}
END_TEST

/* G1 also for what was asked of the guard before and not answered yet, a start included. */
START_TEST(release)
{
    struct view view;
    view_of_lost_postmaster(&view);
    PLANS(&view, ACT_RELEASE, "kill, release key");
    view_of_lost_postmaster(&view);
    view.guard.stop_requested = true;
    view.lease.owns_key = false;
    view.store.leader_exists = false;
    view.store.holder.released = true;
    PLANS(&view, ACT_STOPPED, "handed over");
}
END_TEST

/* S5: "A sync standby that stops in order first asks to leave /sync and stops when the primary has
 * shrunk, or after 2 s". */
START_TEST(leave)
{
    struct view view;
    view_of_standby(&view);
    view.guard.stop_requested = true;
    PLANS(&view, ACT_LEAVE, "ask to leave /sync?, await leaving /sync?, " STOP);
    struct decision decision = decide(&view);
    ck_assert_int_eq(plan_make(&view, &decision).steps[1].deadline_ms, 2000);
    view.store.sync.standbys.n = 0;
    PLANS(&view, ACT_LEAVE, STOP);
}
END_TEST

/* S2: "A member clones only while /sync does not name it, and writes a new data id first". */
START_TEST(clone)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_EMPTY;
    PLANS(&view, ACT_CLONE, "write data id, base backup:b, start standby:b");
}
END_TEST

static void may_serve(struct peer *peer, lsn_t received)
{
    peer->member.tags.clonefrom = peer->member.streaming = true;
    peer->member.receive_lsn = received;
}

/* patroni-compat 1.2: from a member with `clonefrom` that streams; the upstream is the leader all the same. */
START_TEST(clone_from_a_tagged_member)
{
    struct view view;
    view_of_stopped(&view);
    view.pg.dir = DATA_DIR_EMPTY;
    may_serve(view_add_peer(&view, "c"), VIEW_LSN);
    may_serve(view_add_peer(&view, "d"), VIEW_LSN + 8);
    PLANS(&view, ACT_CLONE, "write data id, base backup:d, start standby:b");
    struct peer *d = view_edit_peer(&view, "d"), *c = view_edit_peer(&view, "c");
    d->member.streaming = false;
    PLANS(&view, ACT_CLONE, "write data id, base backup:c, start standby:b");
    c->member.timeline = 7;
    PLANS(&view, ACT_CLONE, "write data id, base backup:b, start standby:b");
    d->member.streaming = true;
    d->has_key = false;
    PLANS(&view, ACT_CLONE, "write data id, base backup:b, start standby:b");
    d->has_key = true;
    d->member.state = MEMBER_STARTING;
    PLANS(&view, ACT_CLONE, "write data id, base backup:b, start standby:b");
    d->member.state = MEMBER_RUNNING;
    d->member.tags.clonefrom = false;
    PLANS(&view, ACT_CLONE, "write data id, base backup:b, start standby:b");
}
END_TEST

/* The same for data that is there: out of /sync (which must succeed), the leader answers, down, a new id,
 * and only then is anything removed. */
START_TEST(reclone)
{
    struct view view;
    view_of_standby(&view);
    view.orders.reinit = true;
    PLANS(&view, ACT_RECLONE,
          "ask to leave /sync, await leaving /sync, reach the leader:b, " STOP ", write data id, "
          "remove data, base backup:b, start standby:b");
    view_of_stopped(&view);
    view.orders.reinit = true;
    PLANS(&view, ACT_RECLONE,
          "reach the leader:b, write data id, remove data, base backup:b, start standby:b");
}
END_TEST

START_TEST(rewind_and_follow)
{
    struct view view;
    view_of_standby(&view);
    view.store.sync.standbys.n = 0;
    view.pg.follow_stuck = true;
    view_edit_peer(&view, "b")->member.timeline = 2;
    PLANS(&view, ACT_REWIND,
          "reach the leader:b, " STOP ", write data id, pg_rewind:b, start standby:b");
    view_of_stopped(&view);
    view.pg.rewinding = true;
    PLANS(&view, ACT_REWIND, "reach the leader:b, write data id, pg_rewind:b, start standby:b");
    view_of_standby(&view);
    view.pg.upstream[0] = 'c';
    PLANS(&view, ACT_FOLLOW, "set primary_conninfo:b");
    view_of_stopped(&view);
    PLANS(&view, ACT_START_STANDBY, "start standby:b");
}
END_TEST

/* A restart of the primary is one in place (S2, L4); one of a sync standby leaves /sync first. */
START_TEST(restart)
{
    struct view view;
    view_of_leader(&view);
    view.orders.restart = true;
    PLANS(&view, ACT_RESTART,
          "checkpoint?, " STOP ", guard deadline, write /sync {b}, start primary=names {b}");
    view_of_standby(&view);
    view.orders.restart = true;
    PLANS(&view, ACT_RESTART,
          "ask to leave /sync?, await leaving /sync?, " STOP ", start standby:b");
}
END_TEST

/* S2: "shrink /sync first, then SSN"; "SSN is emptied only after a /sync write of this very shrink". */
START_TEST(sync_shrink)
{
    struct view view;
    view_of_leader(&view);
    view_edit_peer(&view, "b")->member.tags.nosync = true;
    PLANS(&view, ACT_SYNC_SHRINK,
          "write /sync {}, set synchronous names=empty, await names shown=empty");
    view_of_leader(&view);
    view.pg.ssn_names = view_names("b", "c");
    PLANS(&view, ACT_SYNC_SHRINK,
          "write /sync {b}, set synchronous names=names {b}, await names shown=names {b}, wake "
          "waiters {b}?");
    view.policy.sync_strict = true;
    view.store.sync.standbys.n = 0;
    PLANS(&view, ACT_SYNC_SHRINK,
          "write /sync {}, set synchronous names=nobody, await names shown=nobody");
}
END_TEST

/* S2: "Every growth goes by way of the name that nobody has"; from empty a commit must be seen not
 * to wait first; /sync comes last. */
START_TEST(sync_grow)
{
    struct view view;
    view_of_leader(&view);
    view.store.sync.standbys.n = 0;
    view.pg.ssn = view.pg.ssn_disk = SSN_EMPTY;
    PLANS(&view, ACT_SYNC_GROW,
          "see a commit not wait, set synchronous names=nobody, see a commit wait, read flush "
          "position, set synchronous names=names {b}, await sync {b}, wake waiters {b}?, write "
          "/sync {b}");
    view_of_leader(&view);
    view.policy.sync_count = 2;
    view_add_peer(&view, "c");
    view_add_walsender(&view, "c");
    PLANS(&view, ACT_SYNC_GROW,
          "set synchronous names=nobody, see a commit wait, read flush position, set synchronous "
          "names=names {b,c}, await sync {b,c}, wake waiters {b,c}?, write /sync {b,c}");
}
END_TEST

/* patroni-compat 1.6: /sync is deleted first, then the names are emptied. */
START_TEST(sync_off)
{
    struct view view;
    view_of_leader(&view);
    view.policy.sync_on = false;
    PLANS(&view, ACT_SYNC_OFF, "delete /sync, set synchronous names=empty");
    view.store.sync = (struct sync_state){ .exists = false };
    PLANS(&view, ACT_SYNC_OFF, "set synchronous names=empty");
}
END_TEST

START_TEST(small_ones)
{
    struct view view;
    view_of_leader(&view);
    view_ask_failover(&view, "a", "a");
    PLANS(&view, ACT_CLEAR_FAILOVER, "clear failover");
    view_of_leader(&view);
    view.pg.pending_reload = true;
    PLANS(&view, ACT_RELOAD, "write configuration, reload");
    view_of_leader(&view);
    view.pg.checkpointed = false;
    PLANS(&view, ACT_SETTLE, "write history?, checkpoint");
    view.pg.slots_differ = true;
    PLANS(&view, ACT_SETTLE, "member slots, write history?, checkpoint");
    view.pg.checkpointed = true;
    PLANS(&view, ACT_SETTLE, "member slots");
}
END_TEST

static TCase *words(void)
{
    TCase *tests = tcase_create("words");
    tcase_add_test(tests, nothing);
    tcase_add_test(tests, take);
    tcase_add_test(tests, take_with_loss);
    tcase_add_test(tests, promotes);
    tcase_add_test(tests, fence_and_adopt_and_abandon);
    tcase_add_test(tests, demote);
    tcase_add_test(tests, bootstrap);
    tcase_add_test(tests, finish_bootstrap);
    tcase_add_test(tests, start_primary);
    tcase_add_test(tests, handover);
    tcase_add_test(tests, release);
    tcase_add_test(tests, leave);
    tcase_add_test(tests, clone);
    tcase_add_test(tests, clone_from_a_tagged_member);
    tcase_add_test(tests, reclone);
    tcase_add_test(tests, rewind_and_follow);
    tcase_add_test(tests, restart);
    tcase_add_test(tests, sync_shrink);
    tcase_add_test(tests, sync_grow);
    tcase_add_test(tests, sync_off);
    tcase_add_test(tests, small_ones);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("core/plan");
    suite_add_tcase(suite, words());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
