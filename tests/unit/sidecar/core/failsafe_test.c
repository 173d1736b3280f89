/* L6: who is asked, who answers what, and what an answer binds to. L8: the lift. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sidecar/core/failsafe.h"
#include "tests/unit/support/view_stub.h"

static struct mono in_ms(int64_t ms)
{
    return (struct mono){ VIEW_NOW_MS + ms };
}

static struct failsafe_ask ask_of(const char *name)
{
    struct failsafe_ask ask = { .ttl_ms = VIEW_TTL_MS };
    (void)text_copy(ask.name, LIMIT_NAME, name);
    return ask;
}

/* b led and is gone, its record is not marked; a stands in /sync and /failsafe. */
static void view_of_lost_leader(struct view *view)
{
    view_of_leaderless(view);
    view->policy.failsafe = true;
    view->store.holder = (struct lease_holder){ .exists = true,
                                                .lease_id = VIEW_OTHER_LEASE,
                                                .lease_gone = true,
                                                .mod_revision = 90,
                                                .name = "b" };
    view->store.failsafe = view_names("a", "b");
    view->store.failsafe_mod_revision = 80;
    view->store.failsafe_committed = true;
}

static void view_without_a_quorum(struct view *view)
{
    view_of_standby(view);
    view->policy.failsafe = true;
    view->store.reachable = false;
}

/* --- what is answered --- */

START_TEST(accepts_without_a_quorum)
{
    struct view view;
    char why[LIMIT_REASON];
    view_without_a_quorum(&view);
    struct failsafe_ask ask = ask_of("b");
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_ACCEPTED);
    view.store.loaded = false;
    view.policy.failsafe = false; /* nobody knows: a promise binds only us */
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_ACCEPTED);
    view.store.loaded = true;
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_OFF);
}
END_TEST

/* "A member that sees a quorum and no lease of the primary refuses." */
START_TEST(refuses_with_a_quorum)
{
    struct view view;
    char why[LIMIT_REASON];
    view_of_standby(&view);
    view.policy.failsafe = true;
    struct failsafe_ask ask = ask_of("b");
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_ACCEPTED);
    ask.create_revision = view.store.leader_create_revision + 1;
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_REFUSED);
    ask = ask_of("c");
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_REFUSED);
    ask = ask_of("b");
    view.store.leader_exists = false;
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_REFUSED);
    ck_assert_ptr_nonnull(strstr(why, "quorum"));
}
END_TEST

/* An address changed hands: who answers there has promised for itself only. */
START_TEST(refuses_for_another)
{
    struct view view;
    char why[LIMIT_REASON];
    view_without_a_quorum(&view);
    struct failsafe_ask ask = ask_of("b");
    (void)text_copy(ask.member, LIMIT_NAME, "c");
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_REFUSED);
    (void)text_copy(ask.member, LIMIT_NAME, "a");
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_ACCEPTED);
}
END_TEST

/* Whoever leads, or has begun to take the key, gives no promise. */
START_TEST(leading_or_about_to)
{
    static const enum action running[] = { ACT_TAKE, ACT_BOOTSTRAP, ACT_ADOPT, ACT_RETAKE };
    struct view view;
    char why[LIMIT_REASON];
    view_of_lost_leader(&view);
    view.store.reachable = false;
    struct failsafe_ask ask = ask_of("b");
    ck_assert_int_eq(failsafe_judge(&view, ACT_FOLLOW, &ask, why), FAILSAFE_ACCEPTED);
    for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++)
        ck_assert_int_eq(failsafe_judge(&view, running[i], &ask, why), FAILSAFE_LEADING);
    view_of_leader(&view);
    view.policy.failsafe = true;
    ck_assert_int_eq(failsafe_judge(&view, ACT_WAIT, &ask, why), FAILSAFE_LEADING);
    ck_assert_str_eq(why, "Running as a leader");
}
END_TEST

/* --- what it binds to --- */

START_TEST(promise_bars_the_race)
{
    struct view view;
    view_of_lost_leader(&view);
    DECIDES(&view, "race", ACT_TAKE);
    struct failsafe_ask ask = ask_of("b");
    failsafe_promise(&view.memory, view.now, &ask, VIEW_TTL_MS);
    ck_assert_int_eq(view.memory.promised_until.ms, VIEW_NOW_MS + VIEW_TTL_MS);
    view.now = in_ms(VIEW_TTL_MS - 1);
    struct decision decision = DECIDES(&view, "race", ACT_WAIT);
    SAYS(decision, "promised not to race");
    view.now = in_ms(VIEW_TTL_MS);
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* The longer of both sides' ttl; a later promise never shortens an earlier one. */
START_TEST(promise_is_the_longer_one)
{
    struct memory memory = { .handed_over = false };
    struct failsafe_ask ask = ask_of("b");
    ask.ttl_ms = 30000;
    failsafe_promise(&memory, in_ms(0), &ask, 10000);
    ck_assert_int_eq(memory.promised_until.ms, VIEW_NOW_MS + 30000);
    ask.ttl_ms = 0; /* Patroni tells none */
    failsafe_promise(&memory, in_ms(1000), &ask, 10000);
    ck_assert_int_eq(memory.promised_until.ms, VIEW_NOW_MS + 30000);
    failsafe_promise(&memory, in_ms(25000), &ask, 10000);
    ck_assert_int_eq(memory.promised_until.ms, VIEW_NOW_MS + 35000);
}
END_TEST

/* "With failsafe on, a restarted sidecar does not race for one ttl": of the longest that was told. */
START_TEST(restarted_is_quiet)
{
    struct view view;
    view_of_lost_leader(&view);
    view.memory.started_at = in_ms(-VIEW_TTL_MS + 1);
    struct decision decision = DECIDES(&view, "race", ACT_WAIT);
    SAYS(decision, "just started");
    view.memory.started_at = in_ms(-VIEW_TTL_MS);
    DECIDES(&view, "race", ACT_TAKE);
    view.store.renewed_ttl_ms = 30000;
    DECIDES(&view, "race", ACT_WAIT);
    view.memory.started_at = in_ms(-30000);
    DECIDES(&view, "race", ACT_TAKE);
    view.memory.started_at = in_ms(-1);
    view.store.failsafe.n = 0; /* nobody can have asked */
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* Who is not in /failsafe was not asked, whatever `config` says by now. */
START_TEST(not_named_does_not_race)
{
    struct view view;
    view_of_lost_leader(&view);
    view.policy.failsafe = false;
    names_remove(&view.store.failsafe, "a");
    struct decision decision = DECIDES(&view, "race", ACT_WAIT);
    SAYS(decision, "/failsafe does not name");
    /* The holder has not written it since it leads: it cannot go on without etcd either. */
    view.store.failsafe = view_names("c", NULL);
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* Who must not race is waited for by nobody: else the last leader, back as a standby, and a better one that
 * it had not named would wait for each other. */
START_TEST(not_named_is_no_rival)
{
    struct view view;
    view_of_lost_leader(&view);
    view.store.sync = (struct sync_state){ .exists = false };
    view_edit_peer(&view, "b")->asked = true; /* in vain */
    struct peer *other = view_add_peer(&view, "c");
    other->asked = other->answered = other->in_recovery = true;
    other->timeline = view.pg.timeline;
    other->position = view.pg.position + 100;
    names_add(&view.store.failsafe, "c");
    struct decision decision = DECIDES(&view, "race", ACT_WAIT);
    SAYS(decision, "better candidate");
    names_remove(&view.store.failsafe, "c");
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* A holder that has released goes on with nothing: neither promise nor list hold anybody up. */
START_TEST(release_frees)
{
    struct view view;
    view_of_lost_leader(&view);
    struct failsafe_ask ask = ask_of("b");
    failsafe_promise(&view.memory, view.now, &ask, VIEW_TTL_MS);
    names_remove(&view.store.failsafe, "a");
    view.memory.started_at = view.now;
    view.store.holder.released = true;
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* --- whom a leader names and asks --- */

START_TEST(members_of_failsafe)
{
    struct view view;
    view_of_leader(&view);
    ck_assert_uint_eq(failsafe_members(&view).n, 0);
    view.policy.failsafe = true;
    struct peer *b = view_edit_peer(&view, "b");
    (void)text_copy(b->member.api_url, LIMIT_URL, "http://b:8008/patroni");
    struct names names = failsafe_members(&view);
    ck_assert(names.n == 2 && names_has(&names, "a") && names_has(&names, "b"));
    /* Its key is gone. As long as /sync names it, it may race, and must be asked. */
    b->has_key = false;
    view.store.failsafe = names;
    names = failsafe_members(&view);
    ck_assert(names_has(&names, "b"));
    view.store.sync.standbys.n = 0;
    names = failsafe_members(&view);
    ck_assert(names.n == 1 && names_has(&names, "a"));
    /* b is back; it promised nothing in the round that the lease may stand on. */
    view.store.failsafe = names;
    b->has_key = true;
    view.lease.promised_until = mono_add(view.now, 1);
    names = failsafe_members(&view);
    ck_assert(names.n == 1 && names_has(&names, "a"));
    view.policy.failsafe = false; /* where nobody is named everybody may race */
    names = failsafe_members(&view);
    ck_assert(names.n == 1 && names_has(&names, "a"));
    view.lease.promised_until = view.now;
    view.lease.inherited = true; /* the former process may have been promised something */
    names = failsafe_members(&view);
    ck_assert(names.n == 1 && names_has(&names, "a"));
    view.policy.failsafe = true;
    names = failsafe_members(&view);
    ck_assert(names.n == 1 && names_has(&names, "a"));
    ck_assert_int_eq(failsafe_due(&view.lease).ms, MONO_NEVER.ms);
    view.policy.failsafe = view.lease.inherited = false;
    ck_assert_uint_eq(failsafe_members(&view).n, 0);
    view.policy.failsafe = true;
    names = failsafe_members(&view);
    ck_assert(names.n == 2 && names_has(&names, "b"));
}
END_TEST

START_TEST(others_are_asked)
{
    struct view view;
    struct names others;
    view_of_leader(&view);
    view.policy.failsafe = true;
    view.store.failsafe = view_names("a", "b");
    ck_assert(!failsafe_others(&view, &others)); /* a write of it is in doubt */
    view.store.failsafe_committed = true;
    ck_assert(failsafe_others(&view, &others));
    ck_assert(others.n == 1 && names_has(&others, "b"));
    view.store.failsafe = view_names("b", NULL);
    ck_assert(!failsafe_others(&view, &others));
    view.store.failsafe = view_names("a", "b");
    view.policy.failsafe = false;
    ck_assert(!failsafe_others(&view, &others));
}
END_TEST

/* Whoever joins /sync may race, so that it stands in /failsafe before. */
START_TEST(failsafe_before_sync)
{
    struct view view;
    view_of_leader(&view);
    view.store.sync.standbys.n = 0;
    view.pg.ssn = view.pg.ssn_disk = SSN_EMPTY;
    DECIDES(&view, "sync-grow", ACT_SYNC_GROW);
    view.policy.failsafe = true;
    DECIDES(&view, "idle", ACT_WAIT);
    view.store.failsafe = view_names("a", "b");
    DECIDES(&view, "sync-grow", ACT_SYNC_GROW);
}
END_TEST

START_TEST(due)
{
    struct lease lease = { .ttl_ms = 10000, .owns_key = true };
    ck_assert_int_eq(failsafe_due(&lease).ms, INT64_MAX);
    lease.held_once = true;
    lease.held_until = (struct mono){ 20000 };
    ck_assert_int_eq(failsafe_due(&lease).ms, 13750);
    lease.lifted = true;
    ck_assert_int_eq(failsafe_due(&lease).ms, INT64_MAX);
    lease = (struct lease){ .ttl_ms = 10000, .held_once = true, .held_until = { 20000 } };
    ck_assert_int_eq(failsafe_due(&lease).ms, INT64_MAX);
    lease.keyless = true;
    ck_assert_int_eq(failsafe_due(&lease).ms, 13750);
}
END_TEST

/* --- the key is gone, and nobody else's --- */

/* By the record that a's own taking of the key has written (L7). */
static void a_holds(struct view *view)
{
    view->store.holder =
        (struct lease_holder){ .exists = true, .lease_id = VIEW_LEASE, .mod_revision = 90 };
}

static void view_of_promised(struct view *view)
{
    view_of_leader(view);
    view->store.leader_exists = false;
    view->store.leader[0] = '\0';
    a_holds(view);
    view->lease.promised_until = view->lease.held_until;
}

START_TEST(retakes_under_promises)
{
    struct view view;
    view_of_promised(&view);
    PLANS(&view, ACT_RETAKE, "take key, guard deadline");
    view.lease.owns_key = false;
    view.lease.keyless = true;
    DECIDES(&view, "retake", ACT_RETAKE);
    view.lease.id = 0;
    DECIDES(&view, "retake", ACT_WAIT);
    view.store.reachable = false;
    struct decision decision = DECIDES(&view, "store-away", ACT_WAIT);
    SAYS(decision, "/failsafe");
    view.now = view.lease.held_until;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
}
END_TEST

START_TEST(no_retake_without_promises)
{
    struct view view;
    view_of_promised(&view);
    view.lease.promised_until = (struct mono){ 0 };
    DECIDES(&view, "key-vanished", ACT_DEMOTE);
    view_of_promised(&view);
    view.lease.owns_key = false; /* somebody else's key was seen */
    DECIDES(&view, "primary-without-key", ACT_FENCE);
    view_of_promised(&view);
    view.lease.owns_key = false;
    view.lease.keyless = true;
    view.store.leader_exists = true;
    (void)text_copy(view.store.leader, LIMIT_NAME, "b");
    DECIDES(&view, "primary-without-key", ACT_FENCE);
}
END_TEST

/* --- L8 --- */

static void view_of_pause(struct view *view)
{
    view_of_leader(view);
    view->policy.pause = true;
    view->store.self_paused = true;
    a_holds(view);
    for (size_t i = 0; i < view->store.n_peers; i++)
        view->store.peers[i].member.pause = true;
}

static void view_of_lift(struct view *view)
{
    view_of_pause(view);
    view->guard.lifted = view->lease.lifted = view->store.holder.lifted = true;
    view->guard.has_deadline = false;
}

START_TEST(lifts_when_all_show_pause)
{
    struct view view;
    view_of_pause(&view);
    PLANS(&view, ACT_LIFT, "mark the lift, lift the guard's deadline");
    view.store.self_paused = false;
    DECIDES(&view, "pause", ACT_WAIT);
    view.store.self_paused = true;
    view_edit_peer(&view, "b")->member.pause = false;
    DECIDES(&view, "pause", ACT_WAIT);
    view_edit_peer(&view, "b")->has_key = false;
    DECIDES(&view, "lift", ACT_LIFT);
    view.guard.lifted = true;
    DECIDES(&view, "pause", ACT_WAIT);
}
END_TEST

/* "A lift survives the loss of etcd", whatever has become of the lease. */
START_TEST(lift_survives)
{
    struct view view;
    view_of_lift(&view);
    view.store.reachable = false;
    view.lease.held_until = in_ms(-60000);
    struct decision decision = DECIDES(&view, "store-away", ACT_WAIT);
    SAYS(decision, "without a deadline");
    view.lease = (struct lease){ .lifted = true }; /* a new process */
    view.store.loaded = false;
    DECIDES(&view, "adopt", ACT_WAIT);
    view.store.loaded = view.store.reachable = true;
    DECIDES(&view, "adopt", ACT_ADOPT);
}
END_TEST

START_TEST(lifted_retakes)
{
    struct view view;
    view_of_lift(&view);
    view.store.leader_exists = false;
    view.lease = (struct lease){ .id = 701, .ttl_ms = VIEW_TTL_MS, .lifted = true };
    PLANS(&view, ACT_RETAKE, "take key, lift the guard's deadline");
    view.store.holder.lease_id = 999; /* another has led since */
    DECIDES(&view, "primary-without-key", ACT_FENCE);
    view.lease.tried = 999; /* … which was this process, whose answer was lost */
    DECIDES(&view, "retake", ACT_RETAKE);
    view.store.holder.lifted = false;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
}
END_TEST

/* A person's failover put another one in our place. */
START_TEST(lifted_and_replaced)
{
    struct view view;
    view_of_lift(&view);
    view.store.reachable = false;
    view.lease.owns_key = false;
    (void)text_copy(view.store.leader, LIMIT_NAME, "b");
    view.store.leader_create_revision = 120;
    DECIDES(&view, "primary-without-key", ACT_FENCE);
    /* The watch may be ahead of the answer to our own taking. */
    (void)text_copy(view.store.leader, LIMIT_NAME, "a");
    view.store.reachable = true;
    view.store.leader_lease = view.lease.tried = 701;
    DECIDES(&view, "pause", ACT_WAIT);
}
END_TEST

/* Our own key is seen before the reply to its taking: the primary under it goes on. */
START_TEST(a_retake_is_seen_before_its_reply)
{
    struct view view;
    view_of_lift(&view);
    view.lease = (struct lease){ .id = 701, .ttl_ms = VIEW_TTL_MS, .lifted = true, .tried = 701 };
    view.store.leader_lease = 701;
    view.store.leader_create_revision = 300;
    struct decision decision = DECIDES(&view, "key-vanished", ACT_ABANDON);
    SAYS(decision, "nobody told us");
    ck_assert(!decide_interrupts(ACT_RETAKE, ACT_ABANDON));
    view.lease.tried = 0;
    ck_assert(decide(&view).action != ACT_ABANDON);
}
END_TEST

START_TEST(lift_is_taken_back)
{
    struct view view;
    view_of_lift(&view);
    view.policy.pause = false;
    PLANS(&view, ACT_UNLIFT, "guard deadline, clear the lift's mark");
    view.guard.lifted = view.lease.lifted = false;
    view.guard.has_deadline = true;
    PLANS(&view, ACT_UNLIFT, "clear the lift's mark");
    view.store.holder.lifted = false;
    DECIDES(&view, "idle", ACT_WAIT);
}
END_TEST

/* "Until the last leader itself has seen the pause end, nobody takes the key except on a person's
 * `failover`": written after the loss, and naming nobody as leader. */
START_TEST(nobody_takes_from_a_lifted_leader)
{
    struct view view;
    view_of_lost_leader(&view);
    view.store.holder.lifted = true;
    struct decision decision = DECIDES(&view, "race", ACT_WAIT);
    SAYS(decision, "has not seen the pause end");
    ck_assert(decision.refuses);
    view_ask_failover(&view, "b", "a");
    view.store.failover.after_leader_loss = true;
    DECIDES(&view, "race", ACT_WAIT);
    view_ask_failover(&view, "", "a");
    view.store.failover.after_leader_loss = false;
    DECIDES(&view, "race", ACT_WAIT);
    view.store.failover.after_leader_loss = true;
    DECIDES(&view, "race", ACT_TAKE);
    view.store.failover.exists = false;
    view.store.holder.released = true;
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* Its node was lost with Postgres: the data directory that was primary ends the lift, no other. */
START_TEST(last_leader_comes_back_down)
{
    struct view view;
    view_of_stopped(&view);
    view.store.leader_exists = false;
    view.pg.was_primary = true;
    view.store.holder = (struct lease_holder){
        .exists = true, .lease_id = 555, .lifted = true, .mod_revision = 90, .name = "a"
    };
    PLANS(&view, ACT_UNLIFT, "clear the lift's mark");
    view.pg.was_primary = false;
    DECIDES(&view, "start-standby", ACT_START_STANDBY);
    view.lease.tried = 555;
    DECIDES(&view, "lift-over", ACT_UNLIFT);
    view.policy.pause = true; /* before a failover lets it start as a standby */
    DECIDES(&view, "lift-over", ACT_UNLIFT);
    view.store.holder.lifted = false;
    DECIDES(&view, "pause", ACT_WAIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/failsafe");
    TCase *tcase = tcase_create("failsafe");
    tcase_add_test(tcase, accepts_without_a_quorum);
    tcase_add_test(tcase, refuses_with_a_quorum);
    tcase_add_test(tcase, refuses_for_another);
    tcase_add_test(tcase, leading_or_about_to);
    tcase_add_test(tcase, promise_bars_the_race);
    tcase_add_test(tcase, promise_is_the_longer_one);
    tcase_add_test(tcase, restarted_is_quiet);
    tcase_add_test(tcase, not_named_does_not_race);
    tcase_add_test(tcase, not_named_is_no_rival);
    tcase_add_test(tcase, release_frees);
    tcase_add_test(tcase, members_of_failsafe);
    tcase_add_test(tcase, others_are_asked);
    tcase_add_test(tcase, failsafe_before_sync);
    tcase_add_test(tcase, due);
    tcase_add_test(tcase, retakes_under_promises);
    tcase_add_test(tcase, no_retake_without_promises);
    tcase_add_test(tcase, lifts_when_all_show_pause);
    tcase_add_test(tcase, lift_survives);
    tcase_add_test(tcase, lifted_retakes);
    tcase_add_test(tcase, lifted_and_replaced);
    tcase_add_test(tcase, a_retake_is_seen_before_its_reply);
    tcase_add_test(tcase, lift_is_taken_back);
    tcase_add_test(tcase, nobody_takes_from_a_lifted_leader);
    tcase_add_test(tcase, last_leader_comes_back_down);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
