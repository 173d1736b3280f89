/* Leader placement (part 3) and upkeep (E5) of the managed etcd. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sidecar/etcd_member/member_core.h"

enum { US, STANDBY, WITNESS, N };

/* Three healthy voters, the raft leader is ours. */
static struct member_view leading_view(void)
{
    static const char *const names[N] = { "n1", "n2", "w" };
    struct member_view view = { .now = { 100000 },
                                .n = N,
                                .disk_known = true,
                                .marks_complete = true,
                                .max_learners = 1,
                                .may_move = true,
                                .may_defrag = true,
                                .quota_bytes = 256 << 20 };
    view.guard = (struct member_guard){ .connected = true, .alive = true, .running = true };
    view.me = (struct member_self){ .answers = true, .id = 1, .cluster_id = 9, .leader = 1 };
    view.list = (struct member_list){ .fresh = true, .cluster_id = 9, .n = N };
    for (size_t at = 0; at < N; at++) {
        struct member_peer *peer = &view.peers[at];
        struct member_listed *listed = &view.list.members[at];
        *peer = (struct member_peer){ .answered = true };
        *listed = (struct member_listed){
            .id = 1 + at, .healthy = true, .db_bytes = 1 << 20, .db_used_bytes = 1 << 20
        };
        (void)text_copy(peer->name, LIMIT_NAME, names[at]);
        (void)text_copy(listed->name, LIMIT_NAME, names[at]);
        (void)snprintf(peer->peer_url, LIMIT_URL, "http://%s:2380", names[at]);
        (void)text_copy(listed->peer_url, LIMIT_URL, peer->peer_url);
        peer->word = (struct member_word){ .data = true,
                                           .mark = true,
                                           .cluster_id = 9,
                                           .member_id = 1 + at,
                                           .running = true,
                                           .voter = true,
                                           .witness = at == WITNESS };
    }
    return view;
}

static void expect(const struct member_view *view, const char *rule, enum member_action action,
                   uint64_t target)
{
    struct member_decision decision = member_decide(view);
    ck_assert_msg(strcmp(decision.rule, rule) == 0 && decision.action == action,
                  "wanted %s -> %s, got %s -> %s: %s", rule, member_action_name(action),
                  decision.rule, member_action_name(decision.action), decision.reason);
    ck_assert_uint_eq(decision.target, target);
}

/* Part 3: raft leadership goes to the witness, else to the standby, at most once a minute. */
START_TEST(raft_leader_leaves_the_primary)
{
    struct member_view view = leading_view();
    expect(&view, "calm", MEMBER_WAIT, 0); /* we do not lead Postgres */
    view.we_lead_postgres = true;
    expect(&view, "move", MEMBER_MOVE, 3);
    view.peers[WITNESS].word.voter = false; /* it is about to have its vote */
    expect(&view, "calm", MEMBER_WAIT, 0);
    view.peers[WITNESS].word.running = false;
    expect(&view, "move", MEMBER_MOVE, 2);
    view.peers[STANDBY].answered = false;
    expect(&view, "calm", MEMBER_WAIT, 0);
    view = leading_view();
    view.we_lead_postgres = true;
    view.may_move = false;
    expect(&view, "calm", MEMBER_WAIT, 0);
    view.may_move = true;
    view.me.leader = 3; /* it is there already */
    expect(&view, "calm", MEMBER_WAIT, 0);
}
END_TEST

/* Part 3: a learner is no heir. */
START_TEST(learners_do_not_inherit)
{
    struct member_view view = leading_view();
    view.we_lead_postgres = true;
    view.list.members[WITNESS].learner = true;
    view.peers[WITNESS].word.running = false;
    expect(&view, "move", MEMBER_MOVE, 2);
}
END_TEST

/* E5: one at a time, never the raft leader, only with all healthy. */
START_TEST(defragmentation)
{
    struct member_view view = leading_view();
    for (size_t at = 0; at < N; at++)
        view.list.members[at].db_bytes = 100 << 20;
    expect(&view, "defragment", MEMBER_DEFRAG, 2);
    view.may_defrag = false;
    expect(&view, "calm", MEMBER_WAIT, 0);
    view.may_defrag = true;
    view.list.members[WITNESS].healthy = false;
    expect(&view, "calm", MEMBER_WAIT, 0);
    view.list.members[WITNESS].healthy = true;
    view.list.members[STANDBY].db_bytes = 1 << 20;
    expect(&view, "defragment", MEMBER_DEFRAG, 3);
    view.list.members[WITNESS].db_bytes = 1 << 20;
    expect(&view, "defragment", MEMBER_MOVE, 3); /* only the raft leader is left */
    view.may_move = false;
    expect(&view, "calm", MEMBER_WAIT, 0);
    view.may_move = true;
    view.me.leader = 3;
    expect(&view, "calm", MEMBER_WAIT, 0);
}
END_TEST

/* E5: a database that is full of data is not worth a defragmentation. */
START_TEST(full_is_not_bloated)
{
    struct member_view view = leading_view();
    for (size_t at = 0; at < N; at++) {
        view.list.members[at].db_bytes = 100 << 20;
        view.list.members[at].db_used_bytes = 90 << 20;
    }
    expect(&view, "calm", MEMBER_WAIT, 0);
}
END_TEST

/* E5: NOSPACE is mended by the raft leader's sidecar: compact, defragment, disarm; in between and
 * everywhere else it is said that failover is impossible. */
START_TEST(no_space)
{
    struct member_view view = leading_view();
    view.me.no_space = true;
    view.may_compact = true;
    expect(&view, "compact", MEMBER_COMPACT, 0);
    view.may_compact = false;
    for (size_t at = 0; at < N; at++)
        view.list.members[at].db_bytes = 256 << 20;
    expect(&view, "shrink", MEMBER_DEFRAG, 2);
    view.list.members[STANDBY].db_bytes = 1 << 20;
    expect(&view, "shrink", MEMBER_DEFRAG, 3);
    view.list.members[WITNESS].db_bytes = 1 << 20;
    expect(&view, "shrink", MEMBER_MOVE, 3);
    view.may_move = false;
    expect(&view, "no-space", MEMBER_WAIT, 0); /* until the new raft leader goes on */
    ck_assert(member_decide(&view).trouble);
    view.list.members[US].db_bytes = 1 << 20;
    expect(&view, "disarm", MEMBER_DISARM, 0);
    view.me.leader = 3;
    expect(&view, "no-space", MEMBER_WAIT, 0);
}
END_TEST

/* E5: space that is really used up is not disarmed, it would be exceeded again at once. */
START_TEST(really_full)
{
    struct member_view view = leading_view();
    view.me.no_space = true;
    view.list.members[WITNESS].db_bytes = view.list.members[WITNESS].db_used_bytes = 256 << 20;
    expect(&view, "no-space", MEMBER_WAIT, 0);
}
END_TEST

/* E5: under the alarm etcd does not count what its compaction gave back, so every member has one turn. */
START_TEST(no_space_by_etcds_word)
{
    struct member_view view = leading_view();
    view.me.no_space = true;
    for (size_t at = 0; at < N; at++) {
        struct member_listed *listed = &view.list.members[at];
        listed->db_bytes = listed->db_used_bytes = 256 << 20;
        listed->may_shrink = true;
    }
    expect(&view, "shrink", MEMBER_DEFRAG, 2);
    view.list.members[STANDBY].may_shrink = false;
    expect(&view, "shrink", MEMBER_DEFRAG, 3);
    view.list.members[WITNESS].may_shrink = false;
    expect(&view, "shrink", MEMBER_MOVE, 3);
    view.list.members[US].may_shrink = false;
    expect(&view, "no-space", MEMBER_WAIT, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("member_upkeep");
    TCase *tcase = tcase_create("rules");
    tcase_add_test(tcase, raft_leader_leaves_the_primary);
    tcase_add_test(tcase, learners_do_not_inherit);
    tcase_add_test(tcase, defragmentation);
    tcase_add_test(tcase, full_is_not_bloated);
    tcase_add_test(tcase, no_space);
    tcase_add_test(tcase, no_space_by_etcds_word);
    tcase_add_test(tcase, really_full);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
