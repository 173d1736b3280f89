/* The decision about the pod's etcd member (design part 7, E1 to E4). */
#include "sidecar/etcd_member/member_core.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { FOUNDER, STANDBY, WITNESS, N };
enum { CLUSTER = 0xc1 };

static const char *const names[N] = { "n1", "n2", "w" };

static void set_url(char *to, const char *name)
{
    (void)snprintf(to, LIMIT_URL, "http://%s:2380", name);
}

/* Node `self` before anything happened: everything answers, nobody has anything. */
static struct member_view empty_view(size_t self)
{
    struct member_view view = { .now = { 100000 },
                                .n = N,
                                .self = self,
                                .disk_known = true,
                                .max_learners = 1,
                                .may_move = true,
                                .quota_bytes = 256 << 20 };
    for (size_t at = 0; at < N; at++) {
        struct member_peer *peer = &view.peers[at];
        (void)text_copy(peer->name, LIMIT_NAME, names[at]);
        set_url(peer->peer_url, names[at]);
        (void)snprintf(peer->api_url, LIMIT_URL, "http://%s:8008", names[at]);
        peer->answered = true;
        peer->word.wants = at != FOUNDER;
        peer->word.witness = at == WITNESS;
    }
    view.guard = (struct member_guard){ .connected = true, .program_known = true };
    return view;
}

static struct member_listed *list_member(struct member_view *view, size_t at, bool started,
                                         bool learner)
{
    struct member_listed *listed = &view->list.members[view->list.n++];
    *listed = (struct member_listed){ .id = 0xa0 + at, .learner = learner };
    (void)text_copy(listed->name, LIMIT_NAME, started ? names[at] : "");
    set_url(listed->peer_url, names[at]);
    view->list.fresh = true;
    view->list.cluster_id = CLUSTER;
    return listed;
}

static void runs(struct member_view *view, size_t at, bool voter)
{
    struct member_word *word = &view->peers[at].word;
    word->data = word->mark = word->running = true;
    word->voter = voter;
    word->wants = false;
    word->cluster_id = CLUSTER;
    word->member_id = 0xa0 + at;
}

/* Three voters, the founder leads, `self` looks. */
static struct member_view formed_view(size_t self)
{
    struct member_view view = empty_view(self);
    for (size_t at = 0; at < N; at++) {
        list_member(&view, at, true, false);
        runs(&view, at, true);
    }
    view.guard.alive = view.guard.running = true;
    view.marks_complete = true;
    view.me = (struct member_self){
        .answers = true, .id = 0xa0 + self, .cluster_id = CLUSTER, .leader = 0xa0 + FOUNDER
    };
    return view;
}

/* `at` came back with nothing and asks; its old entry is still there. */
static void lose(struct member_view *view, size_t at)
{
    view->peers[at].word = (struct member_word){ .wants = true, .witness = at == WITNESS };
}

static void unheard(struct member_view *view, size_t by, size_t whom, int64_t ago_ms)
{
    struct member_word *word = &view->peers[by].word;
    word->heard[word->n_heard++] = (struct member_heard){ 0xa0 + whom, ago_ms };
}

static void expect(const struct member_view *view, const char *rule, enum member_action action)
{
    struct member_decision decision = member_decide(view);
    ck_assert_msg(strcmp(decision.rule, rule) == 0 && decision.action == action,
                  "wanted %s -> %s, got %s -> %s: %s", rule, member_action_name(action),
                  decision.rule, member_action_name(decision.action), decision.reason);
}

/* --- E1 --- */

/* E1: the founder, alone, after every configured member's sidecar has said that it has nothing. */
START_TEST(founder_founds)
{
    struct member_view view = empty_view(FOUNDER);
    expect(&view, "found", MEMBER_FOUND);
}
END_TEST

/* E1: any trace anywhere, or any silence, and nobody founds. All combinations of answered, data,
 * PGDATA and mark on the three. */
START_TEST(any_trace_forbids_founding)
{
    for (unsigned bits = 1; bits < 1U << (4 * N); bits++) {
        struct member_view view = empty_view(FOUNDER);
        bool own_silence = false;
        for (size_t at = 0; at < N; at++) {
            unsigned four = bits >> (4 * at) & 15U;
            view.peers[at].answered = at == FOUNDER || (four & 1) == 0;
            own_silence = own_silence || (at == FOUNDER && (four & 1) != 0);
            view.peers[at].word.data = (four & 2) != 0;
            view.peers[at].word.pgdata = (four & 4) != 0;
            view.peers[at].word.mark = (four & 8) != 0;
        }
        if (bits == 1 && own_silence)
            continue; /* we do not ask ourselves */
        ck_assert_int_ne(member_decide(&view).action, MEMBER_FOUND);
    }
}
END_TEST

/* E1: nobody but the first configured member ever founds. */
START_TEST(only_the_first_founds)
{
    struct member_view standby = empty_view(STANDBY);
    struct member_view witness = empty_view(WITNESS);
    expect(&standby, "ask", MEMBER_WAIT);
    expect(&witness, "ask", MEMBER_WAIT);
}
END_TEST

/* E1: formation waits for all three, and says so. */
START_TEST(formation_says_for_whom_it_waits)
{
    struct member_view view = empty_view(FOUNDER);
    view.peers[STANDBY].answered = false;
    struct member_decision decision = member_decide(&view);
    ck_assert_str_eq(decision.rule, "formation");
    ck_assert(decision.trouble);
    ck_assert_str_eq(decision.reason, "waiting for n2's sidecar at http://n2:8008");
    view.peers[WITNESS].answered = false;
    decision = member_decide(&view);
    ck_assert_str_eq(decision.reason,
                     "waiting for n2's sidecar at http://n2:8008 and w's at http://w:8008");
}
END_TEST

/* E1: not before the own disk was looked at, nor before etcd was found. */
START_TEST(nothing_before_the_disk_is_known)
{
    struct member_view view = empty_view(FOUNDER);
    view.disk_known = false;
    expect(&view, "disk", MEMBER_WAIT);
    view.disk_known = true;
    view.guard.program_known = false;
    expect(&view, "program", MEMBER_WAIT);
    view.guard.connected = false;
    expect(&view, "guard-away", MEMBER_WAIT);
}
END_TEST

/* E1: everybody asks to join, the founder only where there is or was a cluster. */
START_TEST(who_asks_to_join)
{
    struct member_view founder = empty_view(FOUNDER);
    struct member_view standby = empty_view(STANDBY);
    ck_assert(!member_wants(&founder));
    ck_assert(member_wants(&standby));
    founder.peers[WITNESS].word.data = true;
    ck_assert(member_wants(&founder));
    founder.peers[WITNESS].word.data = false;
    founder.peers[FOUNDER].word.mark = true;
    ck_assert(member_wants(&founder));
    standby.peers[STANDBY].word.data = true;
    ck_assert(!member_wants(&standby));
}
END_TEST

/* E1: the founder lets the others in as learners, in their order, as many as etcd takes. */
START_TEST(founder_adds_learners)
{
    struct member_view view = empty_view(FOUNDER);
    list_member(&view, FOUNDER, true, false);
    runs(&view, FOUNDER, true);
    view.guard.alive = view.guard.running = view.marks_complete = true;
    view.me =
        (struct member_self){ .answers = true, .id = 0xa0, .cluster_id = CLUSTER, .leader = 0xa0 };
    expect(&view, "add", MEMBER_ADD);
    ck_assert_uint_eq(member_decide(&view).peer, STANDBY);
    list_member(&view, STANDBY, false, true);
    expect(&view, "calm", MEMBER_WAIT); /* one learner at a time */
    view.max_learners = 2;
    expect(&view, "add", MEMBER_ADD);
    ck_assert_uint_eq(member_decide(&view).peer, WITNESS);
}
END_TEST

/* E1: a learner starts once a quorum lists it as never started; its mark must not name a former
 * member then. */
START_TEST(learner_joins)
{
    struct member_view view = empty_view(STANDBY);
    runs(&view, FOUNDER, true);
    list_member(&view, FOUNDER, true, false);
    expect(&view, "ask", MEMBER_WAIT);
    list_member(&view, STANDBY, false, true);
    expect(&view, "join", MEMBER_ENTER);
    struct member_word *us = &view.peers[STANDBY].word;
    us->mark = view.marks_complete = true;
    us->cluster_id = CLUSTER;
    expect(&view, "join", MEMBER_JOIN);
    us->member_id = 0x99;
    expect(&view, "join", MEMBER_ENTER);
    us->member_id = 0;
    view.peers[FOUNDER].word.generation = 1;
    expect(&view, "join", MEMBER_ENTER);
}
END_TEST

/* E1: without a quorum's word nobody joins. */
START_TEST(stale_list_lets_nobody_in)
{
    struct member_view view = empty_view(STANDBY);
    runs(&view, FOUNDER, true);
    list_member(&view, FOUNDER, true, false);
    list_member(&view, STANDBY, false, true);
    view.list.fresh = false;
    expect(&view, "ask", MEMBER_WAIT);
}
END_TEST

/* E1: a join that fails again and again is begun anew with another entry. */
START_TEST(failed_joins_are_added_anew)
{
    struct member_view view = empty_view(STANDBY);
    runs(&view, FOUNDER, true);
    list_member(&view, FOUNDER, true, false);
    list_member(&view, STANDBY, false, true);
    struct member_word *us = &view.peers[STANDBY].word;
    us->mark = view.marks_complete = true;
    us->cluster_id = CLUSTER;
    us->tries = MEMBER_TRIES;
    view.tried_id = 0xa0 + STANDBY;
    expect(&view, "join", MEMBER_WAIT);
    view.tried_id = 0x77; /* it was another entry */
    expect(&view, "join", MEMBER_JOIN);

    struct member_view leader = formed_view(FOUNDER);
    leader.list.n = 1;
    list_member(&leader, STANDBY, false, true);
    lose(&leader, STANDBY);
    leader.peers[STANDBY].word.tries = MEMBER_TRIES - 1;
    expect(&leader, "calm", MEMBER_WAIT);
    leader.peers[STANDBY].word.tries = MEMBER_TRIES;
    expect(&leader, "again", MEMBER_REMOVE);
    ck_assert_uint_eq(member_decide(&leader).target, 0xa0 + STANDBY);
}
END_TEST

/* E1, E3: a started learner whose etcd runs is promoted by the sidecar beside the raft leader. */
START_TEST(learner_is_promoted)
{
    struct member_view view = formed_view(FOUNDER);
    view.list.members[WITNESS].learner = true;
    view.peers[WITNESS].word.voter = false;
    expect(&view, "promote", MEMBER_PROMOTE);
    ck_assert_uint_eq(member_decide(&view).target, 0xa0 + WITNESS);
    view.peers[WITNESS].word.running = false;
    expect(&view, "calm", MEMBER_WAIT);
    view.peers[WITNESS].word.running = true;
    view.me.leader = 0xa0 + STANDBY; /* not ours to do */
    expect(&view, "calm", MEMBER_WAIT);
}
END_TEST

/* E1: the mark is written on every volume, and never over that of another cluster. */
START_TEST(mark_is_written)
{
    struct member_view view = formed_view(STANDBY);
    view.marks_complete = false;
    expect(&view, "remember", MEMBER_REMEMBER);
    view.marks_complete = true;
    view.peers[STANDBY].word.member_id = 0;
    expect(&view, "remember", MEMBER_REMEMBER);
    view.peers[STANDBY].word.cluster_id = 0xdead;
    expect(&view, "remember", MEMBER_WAIT);
    ck_assert(member_decide(&view).trouble);
}
END_TEST

/* --- E2 --- */

/* E2: with its data a member starts, whoever answers. */
START_TEST(data_start)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        struct member_view view = empty_view(STANDBY);
        view.peers[STANDBY].word.data = true;
        view.peers[FOUNDER].answered = (bits & 1) != 0;
        view.peers[WITNESS].answered = (bits & 2) != 0;
        view.peers[WITNESS].word.data = (bits & 4) != 0;
        expect(&view, "restart", MEMBER_START);
    }
}
END_TEST

/* An etcd that ends again and again is started slower, and a person is told. */
START_TEST(pause_after_failures)
{
    struct member_view view = empty_view(STANDBY);
    view.peers[STANDBY].word.data = true;
    view.guard.failures = 1;
    view.guard.start_at = mono_add(view.now, 1);
    expect(&view, "pause", MEMBER_WAIT);
    ck_assert(!member_decide(&view).trouble);
    view.guard.failures = 3;
    ck_assert(member_decide(&view).trouble);
    view.now = view.guard.start_at;
    expect(&view, "restart", MEMBER_START);
}
END_TEST

/* E3: data of a member that a quorum has removed can never come back: set aside, not deleted. */
START_TEST(removed_data_are_set_aside)
{
    struct member_view view = empty_view(STANDBY);
    struct member_word *us = &view.peers[STANDBY].word;
    us->data = us->mark = true;
    us->cluster_id = CLUSTER;
    us->member_id = 0x99;
    list_member(&view, FOUNDER, true, false);
    expect(&view, "removed", MEMBER_SET_ASIDE);
    view.list.fresh = false; /* no quorum has said so */
    expect(&view, "restart", MEMBER_START);
    view.list.fresh = true;
    view.list.cluster_id = 0xdead; /* another cluster's quorum */
    expect(&view, "restart", MEMBER_START);
    view.list.cluster_id = CLUSTER;
    us->member_id = 0; /* whose they are is not known */
    expect(&view, "restart", MEMBER_START);
    us->member_id = 0xa0;
    view.guard.retired = 1;
    expect(&view, "restart", MEMBER_START);
    view.guard.retired = 2; /* etcd itself says so */
    expect(&view, "removed", MEMBER_SET_ASIDE);
}
END_TEST

/* --- E3 --- */

/* E3: replaced only if nobody has heard the old one for 10 s and a quorum remains; every way to miss
 * that is tried. */
START_TEST(replacement)
{
    struct member_view view = formed_view(FOUNDER);
    lose(&view, WITNESS);
    expect(&view, "replace-waits", MEMBER_WAIT); /* nobody has said when */
    unheard(&view, FOUNDER, WITNESS, MEMBER_UNHEARD_MS);
    expect(&view, "replace-waits", MEMBER_WAIT); /* the standby has not */
    unheard(&view, STANDBY, WITNESS, MEMBER_UNHEARD_MS - 1);
    expect(&view, "replace-waits", MEMBER_WAIT); /* it did hear it */
    view.peers[STANDBY].word.heard[0].ago_ms++;
    expect(&view, "replace", MEMBER_REMOVE);
    ck_assert_uint_eq(member_decide(&view).target, 0xa0 + WITNESS);

    struct member_view changed = view;
    changed.peers[STANDBY].answered = false;
    expect(&changed, "replace-waits", MEMBER_WAIT);
    changed = view;
    changed.peers[STANDBY].word.voter = false;
    expect(&changed, "replace-waits", MEMBER_WAIT);
    changed = view;
    changed.peers[FOUNDER].word.heard[0].ago_ms = 0;
    expect(&changed, "replace-waits", MEMBER_WAIT);
    changed = view;
    changed.list.fresh = false;
    expect(&changed, "calm", MEMBER_WAIT);
    changed = view;
    changed.me.leader = 0xa0 + STANDBY;
    expect(&changed, "calm", MEMBER_WAIT);
    changed = view;
    changed.peers[WITNESS].answered = false;
    expect(&changed, "calm", MEMBER_WAIT);
}
END_TEST

/* E3: never on mere absence: who does not ask, or has data, is not replaced. */
START_TEST(absence_removes_nobody)
{
    struct member_view view = formed_view(FOUNDER);
    lose(&view, WITNESS);
    unheard(&view, FOUNDER, WITNESS, 1000000);
    unheard(&view, STANDBY, WITNESS, 1000000);
    expect(&view, "replace", MEMBER_REMOVE);
    view.peers[WITNESS].word.wants = false;
    expect(&view, "calm", MEMBER_WAIT);
    view.peers[WITNESS].word.wants = true;
    view.peers[WITNESS].word.data = true;
    expect(&view, "calm", MEMBER_WAIT);
}
END_TEST

/* E3: a volume of another cluster is not let in. */
START_TEST(foreign_volume_stays_out)
{
    struct member_view view = formed_view(FOUNDER);
    lose(&view, WITNESS);
    view.peers[WITNESS].word.cluster_id = 0xdead;
    unheard(&view, FOUNDER, WITNESS, 1000000);
    unheard(&view, STANDBY, WITNESS, 1000000);
    expect(&view, "calm", MEMBER_WAIT);
    view.list.n = 2;
    expect(&view, "calm", MEMBER_WAIT);

    struct member_view newcomer = empty_view(WITNESS);
    newcomer.peers[WITNESS].word.cluster_id = 0xdead;
    newcomer.peers[WITNESS].word.mark = true;
    list_member(&newcomer, FOUNDER, true, false);
    expect(&newcomer, "other-cluster", MEMBER_WAIT);
    ck_assert(member_decide(&newcomer).trouble);
}
END_TEST

/* The configuration moved us: only a voter changes its URL (etcd 3.5 forgets that a learner is one). */
START_TEST(url_is_updated)
{
    struct member_view view = formed_view(STANDBY);
    set_url(view.list.members[STANDBY].peer_url, "elsewhere");
    expect(&view, "url", MEMBER_UPDATE);
    view.list.members[STANDBY].learner = true;
    expect(&view, "calm", MEMBER_WAIT);
}
END_TEST

/* --- E4 --- */

/* E4: no quorum: nothing is done, whatever else is the case; a person is told after a while. */
START_TEST(no_quorum_does_nothing)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        struct member_view view = formed_view(FOUNDER);
        view.me.leader = 0;
        view.me.leaderless_since = mono_add(view.now, (bits & 1) != 0 ? -MEMBER_LOST_MS : -1);
        view.list.fresh = (bits & 2) != 0;
        view.me.no_space = (bits & 4) != 0;
        if ((bits & 8) != 0)
            lose(&view, WITNESS);
        expect(&view, "no-quorum", MEMBER_WAIT);
        ck_assert_int_eq(member_decide(&view).trouble, (bits & 1) != 0);
    }
}
END_TEST

/* E4: PGDATA, or the mark of a cluster, without etcd data anywhere: nothing is guessed. */
START_TEST(pgdata_without_etcd)
{
    for (size_t at = 0; at < N; at++)
        for (size_t self = 0; self < N; self++) {
            struct member_view view = empty_view(self);
            view.peers[at].word.pgdata = true;
            expect(&view, "nothing-left", MEMBER_WAIT);
            view.peers[at].word.pgdata = false;
            view.peers[at].word.mark = true;
            expect(&view, "nothing-left", MEMBER_WAIT);
            ck_assert(member_decide(&view).trouble);
        }
}
END_TEST

/* E4: the person's order: end, then start as the only member, and the mark counts it. */
START_TEST(recovery_with_data)
{
    struct member_view view = formed_view(STANDBY);
    view.me.leader = 0;
    view.list.fresh = false;
    view.order = MEMBER_ORDER_RECOVER;
    expect(&view, "recover", MEMBER_END);
    view.guard.alive = view.guard.running = false;
    expect(&view, "recover", MEMBER_FORCE);
    view = formed_view(STANDBY);
    view.generation_due = true;
    expect(&view, "remember", MEMBER_REMEMBER);
}
END_TEST

/* E4: without data anywhere the order founds anew; the marks of the former cluster go first. */
START_TEST(recovery_without_data)
{
    struct member_view view = empty_view(STANDBY);
    view.order = MEMBER_ORDER_RECOVER;
    view.peers[STANDBY].word.mark = true;
    expect(&view, "recover", MEMBER_FORGET);
    view.peers[STANDBY].word.mark = false;
    expect(&view, "recover", MEMBER_FOUND);
}
END_TEST

/* E4: where the others have a quorum the order means to join them: data aside, not over theirs. */
START_TEST(recovery_into_the_others)
{
    struct member_view view = empty_view(STANDBY);
    view.order = MEMBER_ORDER_RECOVER;
    view.peers[STANDBY].word.data = true;
    list_member(&view, FOUNDER, true, false);
    expect(&view, "recover", MEMBER_SET_ASIDE);
}
END_TEST

/* E4: what is of before a quorum was made anew is never started beside it. */
START_TEST(superseded_data_are_set_aside)
{
    struct member_view view = empty_view(WITNESS);
    view.peers[WITNESS].word.data = true;
    view.peers[STANDBY].word.generation = 1;
    view.peers[STANDBY].word.data = true;
    expect(&view, "superseded", MEMBER_WAIT);
    view.peers[STANDBY].word.voter = true;
    expect(&view, "superseded", MEMBER_SET_ASIDE);
    view.peers[STANDBY].answered = false;
    expect(&view, "restart", MEMBER_START);
    view.peers[STANDBY].answered = true;
    view.peers[WITNESS].word.generation = 1;
    expect(&view, "restart", MEMBER_START);
}
END_TEST

/* The node stops: nothing is begun. */
START_TEST(stopping)
{
    struct member_view view = empty_view(FOUNDER);
    view.stopping = true;
    expect(&view, "stopping", MEMBER_WAIT);
    ck_assert(!member_wants(&view));
}
END_TEST

/* etcd runs but does not answer: a person is told after 10 s. */
START_TEST(silent)
{
    struct member_view view = formed_view(STANDBY);
    view.me.answers = false;
    view.me.silent_since = mono_add(view.now, -9999);
    ck_assert(!member_decide(&view).trouble);
    view.me.silent_since = mono_add(view.now, -10000);
    ck_assert(member_decide(&view).trouble);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("member_core");
    TCase *tcase = tcase_create("rules");
    const TTest *const tests[] = { founder_founds,
                                   any_trace_forbids_founding,
                                   only_the_first_founds,
                                   formation_says_for_whom_it_waits,
                                   nothing_before_the_disk_is_known,
                                   who_asks_to_join,
                                   founder_adds_learners,
                                   learner_joins,
                                   stale_list_lets_nobody_in,
                                   failed_joins_are_added_anew,
                                   learner_is_promoted,
                                   mark_is_written,
                                   data_start,
                                   pause_after_failures,
                                   removed_data_are_set_aside,
                                   replacement,
                                   absence_removes_nobody,
                                   foreign_volume_stays_out,
                                   url_is_updated,
                                   no_quorum_does_nothing,
                                   pgdata_without_etcd,
                                   recovery_with_data,
                                   recovery_without_data,
                                   recovery_into_the_others,
                                   superseded_data_are_set_aside,
                                   stopping,
                                   silent };
    for (size_t at = 0; at < sizeof(tests) / sizeof(tests[0]); at++)
        tcase_add_test(tcase, tests[at]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
