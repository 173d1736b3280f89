/* Who may become leader (design part 4). */
#include "sidecar/core/candidate.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/view_stub.h"

/* ---- the order ------------------------------------------------------------------------ */

static const struct timeline timeline_1 = { .tli = 1 };
static const struct timeline timeline_2 = { .tli = 2, .n = 1, .entries = { { 1, 100 } } };
/* Another timeline 2: a crashed promotion (part 6). */
static const struct timeline other_2 = { .tli = 2, .n = 1, .entries = { { 1, 90 } } };

/* From the worst to the best; each differs from the one before in what counts next. */
static const struct candidate ranking[] = {
    { &timeline_1, 900, 9, "a" }, { &other_2, 800, 9, "a" },    { &timeline_2, 100, 9, "a" },
    { &timeline_2, 200, 1, "d" }, { &timeline_2, 200, 1, "c" }, { &timeline_2, 200, 2, "d" },
    { &timeline_2, 200, 2, "c" },
};
enum { N_RANKING = sizeof(ranking) / sizeof(ranking[0]) };

/* "Ranking is a total order: timeline history, then received LSN, then failover_priority, then
 * name." */
START_TEST(total_order)
{
    for (int i = 0; i < N_RANKING; i++)
        for (int j = 0; j < N_RANKING; j++) {
            int order = candidate_cmp(&ranking[i], &ranking[j]);
            ck_assert_int_eq(order < 0, i < j);
            ck_assert_int_eq(order > 0, i > j);
        }
}
END_TEST

/* Whatever order they are looked at in, the best is the same. */
static void permute(int *order, int n, int fixed)
{
    if (fixed < n) {
        for (int i = fixed; i < n; i++) {
            int swap = order[fixed];
            order[fixed] = order[i];
            order[i] = swap;
            permute(order, n, fixed + 1);
            order[i] = order[fixed];
            order[fixed] = swap;
        }
        return;
    }
    int best = order[0];
    for (int i = 1; i < n; i++)
        if (candidate_cmp(&ranking[order[i]], &ranking[best]) > 0)
            best = order[i];
    ck_assert_int_eq(best, n - 1);
}

START_TEST(every_permutation)
{
    int order[N_RANKING];
    for (int i = 0; i < N_RANKING; i++)
        order[i] = i;
    permute(order, N_RANKING, 0);
}
END_TEST

/* ---- N nodes, each alone --------------------------------------------------------------- */

enum { N_NODES = 4 };

static const char *const node_names[N_NODES] = { "a", "b", "c", "d" };

struct facts {
    struct timeline timeline;
    lsn_t position;
    int priority;
};

static void as_peer(struct view *view, int node, const struct facts *facts)
{
    struct peer *peer = view_add_peer(view, node_names[node]);
    peer->asked = peer->answered = true;
    peer->position = facts->position;
    peer->timeline = facts->timeline;
    peer->member.timeline = facts->timeline.tli;
    peer->member.tags.failover_priority = facts->priority;
}

/* What this node sees: itself and the answers of all others. */
static void see(struct view *view, int node, const struct facts facts[N_NODES])
{
    view_of_leaderless(view);
    view->store.n_peers = 0;
    view->store.confirmed_exists = false;
    view->store.sync = (struct sync_state){ .exists = false };
    view->self[0] = node_names[node][0];
    view->pg.timeline = facts[node].timeline;
    view->pg.position = facts[node].position;
    view->tags.failover_priority = facts[node].priority;
    for (int other = 0; other < N_NODES; other++)
        if (other != node)
            as_peer(view, other, &facts[other]);
}

static void expect_one_winner(const struct facts facts[N_NODES])
{
    static struct view view;
    int winners = 0;
    for (int node = 0; node < N_NODES; node++) {
        see(&view, node, facts);
        struct decision decision = decide(&view);
        ck_assert_str_eq(decision.rule, "race");
        winners += decision.action == ACT_TAKE;
    }
    ck_assert_int_eq(winners, 1);
}

/* Exactly one of N nodes takes the key when each decides alone from the same facts: here all
 * combinations of two timelines, two positions and two priorities. */
START_TEST(one_winner)
{
    for (int mask = 0; mask < 1 << (3 * N_NODES); mask++) {
        struct facts facts[N_NODES];
        for (int node = 0; node < N_NODES; node++) {
            int bits = mask >> (3 * node);
            facts[node] = (struct facts){ .timeline = bits & 1 ? timeline_2 : timeline_1,
                                          .position = VIEW_LSN + (lsn_t)(bits >> 1 & 1),
                                          .priority = 1 + (bits >> 2 & 1) };
        }
        expect_one_winner(facts);
    }
}
END_TEST

/* What a peer answers is the number of its timeline; its content may not be known. */
START_TEST(one_winner_by_numbers)
{
    static struct view view;
    int winners = 0;
    struct facts facts[N_NODES];
    for (int node = 0; node < N_NODES; node++)
        facts[node] = (struct facts){ timeline_2, VIEW_LSN + (lsn_t)(node == 2), 1 };
    for (int node = 0; node < N_NODES; node++) {
        see(&view, node, facts);
        for (size_t i = 0; i < view.store.n_peers; i++)
            view.store.peers[i].timeline = (struct timeline){ .tli = 2 };
        struct decision decision = decide(&view);
        ck_assert_int_eq(decision.action == ACT_TAKE, node == 2);
        winners += decision.action == ACT_TAKE;
    }
    ck_assert_int_eq(winners, 1);
}
END_TEST

/* ---- fit ------------------------------------------------------------------------------- */

static void expect_unfit(const struct view *view, const char *words)
{
    char why[LIMIT_REASON];
    ck_assert(!candidate_fit(view, why));
    ck_assert_msg(strstr(why, words) != NULL, "%s", why);
    struct decision decision = DECIDES(view, "race", ACT_WAIT);
    SAYS(decision, words);
}

/* S1: "in synchronous mode only members named in /sync may race", whatever `config` says. */
START_TEST(only_members_of_sync)
{
    struct view view;
    view_of_leaderless(&view);
    view.store.sync.standbys = view_names("c", NULL);
    expect_unfit(&view, "/sync does not name this member");
    view.policy.sync_on = false;
    expect_unfit(&view, "/sync does not name this member");
    view.store.sync.leader[0] = 'a'; /* S4: after its write only this node may lead */
    DECIDES(&view, "race", ACT_TAKE);
    view.store.sync.leader[0] = '\0'; /* not in force */
    DECIDES(&view, "race", ACT_WAIT); /* then b's position matters */
}
END_TEST

/* S7: whoever lacks what was confirmed does not promote. */
START_TEST(only_with_what_was_confirmed)
{
    struct view view;
    view_of_leaderless(&view);
    view.pg.position = view.store.confirmed_lsn - 1;
    expect_unfit(&view, "lacks WAL that the cluster has confirmed");
}
END_TEST

/* S6: a store set back, until a person accepts it. */
START_TEST(only_in_the_known_store)
{
    struct view view;
    view_of_leaderless(&view);
    view.store.same_cluster = false;
    expect_unfit(&view, "pgvigilctl accept");
    ck_assert(DECIDES(&view, "race", ACT_WAIT).refuses);
    view.store.recording = true; /* nothing for a person to do */
    expect_unfit(&view, "the newest /sync is being written");
    ck_assert(!DECIDES(&view, "race", ACT_WAIT).refuses);
    view.store.recording = false;
    view.accept_restored = true;
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

START_TEST(nofailover)
{
    struct view view;
    view_of_leaderless(&view);
    view.tags.nofailover = true;
    expect_unfit(&view, "nofailover");
    view_ask_failover(&view, "", "b"); /* not us */
    expect_unfit(&view, "nofailover");
    view_ask_failover(&view, "", "a");
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* Part 4: "the one exception to S1: honoured once, only if a person asked for it with a failover
 * key written after the leader was lost and younger than ttl, and logged as accepted loss". */
START_TEST(accepted_loss)
{
    struct view view;
    view_of_leaderless(&view);
    view.store.sync.standbys = view_names("b", NULL);
    view.pg.position = view.store.confirmed_lsn - 1;
    view_ask_failover(&view, "", "a");
    view.store.failover.age_ms = VIEW_TTL_MS - 1;
    struct decision decision = DECIDES(&view, "race", ACT_TAKE);
    ck_assert(decision.accepts_loss);
    SAYS(decision, "ACCEPTING THE LOSS");
}
END_TEST

START_TEST(loss_is_not_accepted)
{
    struct view view;
    view_of_leaderless(&view);
    view.store.sync.standbys = view_names("b", NULL);
    view_ask_failover(&view, "", "a");
    struct failover_request *request = &view.store.failover;
    switch (_i) {
    case 0:
        request->exists = false;
        break;
    case 1:
        request->due = false;
        break;
    case 2:
        request->candidate[0] = 'c';
        break;
    case 3:
        request->leader[0] = 'b';
        break; /* a switchover: its leader was there */
    case 4:
        request->after_leader_loss = false;
        break;
    case 5:
        request->age_ms = VIEW_TTL_MS;
        break;
    default:
        ck_abort();
    }
    expect_unfit(&view, "/sync does not name this member");
}
END_TEST

/* ---- the race -------------------------------------------------------------------------- */

static void expect_wait(const struct view *view, const char *words)
{
    struct decision decision = DECIDES(view, "race", ACT_WAIT);
    SAYS(decision, words);
}

/* With two data pods the one candidate takes the key without polling anyone. */
START_TEST(takes_without_polling)
{
    struct view view;
    view_of_leaderless(&view);
    view_edit_peer(&view, "b")->member.state = MEMBER_RUNNING;
    struct decision decision = DECIDES(&view, "race", ACT_TAKE);
    ck_assert(!decision.ask_peers);
    ck_assert(!decision.accepts_loss);
    ck_assert(!decision.refuses);
}
END_TEST

/* L7: "takes it only if the record is marked or its lease is gone". */
START_TEST(former_holder)
{
    struct view view;
    view_of_leaderless(&view);
    view.store.holder.released = false;
    expect_wait(&view, "former holder's lease");
    ck_assert(!DECIDES(&view, "race", ACT_WAIT).refuses);
    view.store.holder.lease_gone = true;
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

START_TEST(hindrances)
{
    static const char *const words[] = { "no lease of our own", "not initialized", "paused" };
    struct view view;
    view_of_leaderless(&view);
    switch (_i) {
    case 0:
        view.lease.id = 0;
        break;
    case 1:
        view.store.initialize = 0;
        break;
    case 2:
        view.policy.pause = view.orders.restart = true;
        break; /* L8 */
    default:
        ck_abort();
    }
    expect_wait(&view, words[_i]);
}
END_TEST

/* L8: "nobody takes the key except on a person's `failover`". */
START_TEST(failover_in_pause)
{
    struct view view;
    view_of_leaderless(&view);
    view.policy.pause = true;
    view_ask_failover(&view, "", "a");
    DECIDES(&view, "race", ACT_TAKE);
    /* A switchover that is scheduled for later does not end the pause. */
    view.store.failover.due = false;
    DECIDES(&view, "pause", ACT_WAIT);
    /* Nor is one for somebody else a leave to race, when that one does not come. */
    view_ask_failover(&view, "", "c");
    view.store.failover.age_ms = 10 * VIEW_TTL_MS;
    expect_wait(&view, "paused");
}
END_TEST

static void without_sync(struct view *view)
{
    view_of_leaderless(view);
    view->store.sync = (struct sync_state){ .exists = false };
    view->store.confirmed_exists = false;
    view->store.n_peers = 0;
    view_add_peer(view, "c")->asked = true;
}

START_TEST(maximum_lag)
{
    struct view view;
    without_sync(&view);
    view.store.optime = VIEW_LSN + (1 << 20);
    DECIDES(&view, "race", ACT_TAKE);
    view.store.optime++;
    expect_wait(&view, "maximum_lag_on_failover");
    ck_assert(DECIDES(&view, "race", ACT_WAIT).refuses);
    view.store.sync.exists = true; /* not in force without a leader */
    expect_wait(&view, "maximum_lag_on_failover");
    view.store.sync.leader[0] = 'b'; /* in force: /sync is what counts */
    view.store.sync.standbys = view_names("a", NULL);
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* "Otherwise candidates compare WAL positions through peers' REST API; unreachable peers do not
 * block." */
START_TEST(asks_rivals)
{
    struct view view;
    without_sync(&view);
    struct peer *c = view_edit_peer(&view, "c");
    c->asked = false;
    struct decision decision = DECIDES(&view, "race", ACT_WAIT);
    ck_assert(decision.ask_peers);
    c->asked = true;
    DECIDES(&view, "race", ACT_TAKE);
    c->answered = true;
    DECIDES(&view, "race", ACT_TAKE); /* "a" is the better name */
    c->position++;
    decision = DECIDES(&view, "race", ACT_WAIT);
    SAYS(decision, "c is the better candidate");
    ck_assert(decision.ask_peers);
    c->in_recovery = false;
    expect_wait(&view, "c still runs as primary");
}
END_TEST

START_TEST(no_rivals)
{
    struct view view;
    without_sync(&view);
    struct peer *c = view_edit_peer(&view, "c");
    c->answered = true;
    c->position++;
    c->member.tags.nofailover = true;
    DECIDES(&view, "race", ACT_TAKE);
    c->member.tags.nofailover = false;
    c->has_key = false;
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* Two standbys of /sync: both have every acknowledged commit; the one with more takes it. */
START_TEST(rivals_of_sync)
{
    struct view view;
    view_of_leaderless(&view);
    view.store.sync.standbys = view_names("a", "c");
    struct peer *c = view_add_peer(&view, "c");
    c->asked = c->answered = true;
    c->position++;
    expect_wait(&view, "c is the better candidate");
    view.store.sync.standbys = view_names("a", NULL);
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* ---- a named candidate ------------------------------------------------------------------ */

static void named_other(struct view *view)
{
    view_of_leaderless(view);
    view->store.sync.standbys = view_names("a", "c");
    struct peer *c = view_add_peer(view, "c");
    c->asked = c->answered = true;
    c->position--;
    view_ask_failover(view, "b", "c");
}

/* Part 6: "release naming the candidate": it goes first, for one ttl. */
START_TEST(leaves_it_to_the_named)
{
    struct view view;
    named_other(&view);
    view.store.failover.age_ms = VIEW_TTL_MS;
    expect_wait(&view, "leaving it to c");
    view.store.failover.age_ms++;
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

START_TEST(named_that_cannot)
{
    struct view view;
    named_other(&view);
    switch (_i) {
    case 0:
        view.store.failover.due = false;
        break;
    case 1:
        view.store.failover.candidate[0] = '\0';
        break;
    case 2:
        view.store.failover.candidate[0] = 'x';
        break;
    case 3:
        view_edit_peer(&view, "c")->has_key = false;
        break;
    case 4:
        view_edit_peer(&view, "c")->member.state = MEMBER_STOPPED;
        break;
    case 5:
        view.store.sync.standbys = view_names("a", NULL);
        break;
    default:
        ck_abort();
    }
    DECIDES(&view, "race", ACT_TAKE);
}
END_TEST

/* Without synchronous mode any running member may be named. */
START_TEST(named_without_sync)
{
    struct view view;
    without_sync(&view);
    view_ask_failover(&view, "b", "c");
    expect_wait(&view, "leaving it to c");
}
END_TEST

/* The named one does not ask anybody. */
START_TEST(named_self)
{
    struct view view;
    without_sync(&view);
    view_edit_peer(&view, "c")->asked = false;
    view_ask_failover(&view, "b", "a");
    struct decision decision = DECIDES(&view, "race", ACT_TAKE);
    SAYS(decision, "this member was asked for");
    ck_assert(!decision.accepts_loss);
    view.store.failover.due = false;
    expect_wait(&view, "asking c");
}
END_TEST

static TCase *order(void)
{
    TCase *tests = tcase_create("order");
    tcase_add_test(tests, total_order);
    tcase_add_test(tests, every_permutation);
    tcase_add_test(tests, one_winner);
    tcase_add_test(tests, one_winner_by_numbers);
    return tests;
}

static TCase *fit(void)
{
    TCase *tests = tcase_create("fit");
    tcase_add_test(tests, only_members_of_sync);
    tcase_add_test(tests, only_with_what_was_confirmed);
    tcase_add_test(tests, only_in_the_known_store);
    tcase_add_test(tests, nofailover);
    tcase_add_test(tests, accepted_loss);
    tcase_add_loop_test(tests, loss_is_not_accepted, 0, 6);
    return tests;
}

static TCase *race(void)
{
    TCase *tests = tcase_create("race");
    tcase_add_test(tests, takes_without_polling);
    tcase_add_test(tests, former_holder);
    tcase_add_loop_test(tests, hindrances, 0, 3);
    tcase_add_test(tests, failover_in_pause);
    tcase_add_test(tests, maximum_lag);
    tcase_add_test(tests, asks_rivals);
    tcase_add_test(tests, no_rivals);
    tcase_add_test(tests, rivals_of_sync);
    tcase_add_test(tests, leaves_it_to_the_named);
    tcase_add_loop_test(tests, named_that_cannot, 0, 6);
    tcase_add_test(tests, named_without_sync);
    tcase_add_test(tests, named_self);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("core/candidate");
    suite_add_tcase(suite, order());
    suite_add_tcase(suite, fit());
    suite_add_tcase(suite, race());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
