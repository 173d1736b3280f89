/* S6: what a member says of itself, and whom a person's accept must not pass over. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sidecar/core/accept.h"
#include "tests/unit/support/view_stub.h"

static struct view view;

static struct leading leads(void)
{
    return leading_of(&view, &view.lease, view.now);
}

START_TEST(says_what_it_is)
{
    view_of_leader(&view);
    ck_assert_int_eq(leads().by, LEADING_LEASE);
    ck_assert_int_eq(leads().create_revision, VIEW_KEY_REVISION);
    view.lease.promised_until = view.lease.held_until;
    ck_assert_int_eq(leads().by, LEADING_PROMISES);
    view.guard.lifted = true;
    ck_assert_int_eq(leads().by, LEADING_NO_DEADLINE);
    view_of_leader(&view);
    view.now = mono_add(view.now, 2 * VIEW_TTL_MS); /* the lease has ended, Postgres runs */
    ck_assert_int_eq(leads().by, LEADING_ENDING);
    view_of_lost_postmaster(&view); /* the key is ours: it may be started again */
    ck_assert_int_eq(leads().by, LEADING_LEASE);
    view_of_standby(&view);
    ck_assert_int_eq(leads().by, LEADING_NO);
    view_of_stopped(&view);
    ck_assert_int_eq(leads().by, LEADING_NO);
    view.guard.connected = false; /* nobody knows what runs */
    ck_assert_int_eq(leads().by, LEADING_UNSAID);
    view.guard.dead = true;
    ck_assert_int_eq(leads().by, LEADING_NO);
}
END_TEST

START_TEST(names_and_back)
{
    for (int by = 0; by < LEADING_MAX; by++)
        ck_assert_int_eq(leading_from_name(leading_name((enum leading_by)by)), by);
    ck_assert_int_eq(leading_from_name("potato"), LEADING_UNSAID);
}
END_TEST

/* Is a's accept refused because of b, and with these words? */
static void judged(enum leading_by by, int64_t create_revision, const char *refusal)
{
    struct accept_answer answers[] = { { "c", { LEADING_NO, 0 }, false },
                                       { "b", { by, create_revision }, false } };
    char why[ACCEPT_WHY] = "";
    bool allowed = accept_judge(&view, answers, 2, why);
    ck_assert_msg(allowed == (refusal == NULL), "%s", why);
    if (refusal != NULL)
        ck_assert_msg(strstr(why, refusal) != NULL, "%s", why);
}

/* b led when etcd was lost; the etcd that is there now shows no leader, or another one. */
START_TEST(unseen_primary_refuses)
{
    view_of_leaderless(&view);
    view.store.same_cluster = false;
    judged(LEADING_NO, 0, NULL);
    judged(LEADING_PROMISES, VIEW_KEY_REVISION, "b runs as primary (failsafe_mode)");
    judged(LEADING_NO_DEADLINE, VIEW_KEY_REVISION, "b runs as primary (pause)");
    judged(LEADING_LEASE, VIEW_KEY_REVISION, "Accept on b, or stop its Postgres first");
    judged(LEADING_ENDING, 0, "b runs as primary and");
}
END_TEST

/* The second member accepts once the first one leads: that one is in this etcd. */
START_TEST(leader_of_this_etcd_does_not)
{
    view_of_standby(&view);
    judged(LEADING_LEASE, view.store.leader_create_revision, NULL);
    judged(LEADING_ENDING, view.store.leader_create_revision, NULL);
    judged(LEADING_LEASE, view.store.leader_create_revision + 1, "does not know it");
    judged(LEADING_PROMISES, view.store.leader_create_revision, "does not know it");
    judged(LEADING_NO_DEADLINE, view.store.leader_create_revision, "does not know it");
    view.store.holder =
        (struct lease_holder){ .exists = true, .lease_id = 1, .lifted = true, .name = "b" };
    judged(LEADING_NO_DEADLINE, 0, NULL); /* L8: the mark bars everybody */
    view.store.holder.released = true;
    judged(LEADING_NO_DEADLINE, 0, "does not know it");
}
END_TEST

START_TEST(silence_refuses_until_a_person_knows)
{
    view_of_leaderless(&view);
    struct accept_answer answer = { "b", { LEADING_UNSAID, 0 }, false };
    char why[ACCEPT_WHY] = "";
    ck_assert(!accept_judge(&view, &answer, 1, why));
    ck_assert_ptr_nonnull(strstr(why, "b does not say"));
    ck_assert_ptr_nonnull(strstr(why, "--dead b"));
    answer.known_dead = true;
    ck_assert(accept_judge(&view, &answer, 1, why));
    answer.leading.by = LEADING_NO_DEADLINE; /* it lives, whatever was said */
    ck_assert(!accept_judge(&view, &answer, 1, why));
    (void)text_copy(answer.name, LIMIT_NAME, "a"); /* ourselves, by another address */
    ck_assert(accept_judge(&view, &answer, 1, why));
    ck_assert(accept_judge(&view, NULL, 0, why));
}
END_TEST

/* Nobody is asked twice, by whatever name or address he is known. */
START_TEST(each_member_once)
{
    struct known_members members = { .n = 0 };
    ck_assert(known_members_add(&members, "a", "http://a:8008/patroni"));
    ck_assert(!known_members_add(&members, "a", "http://elsewhere:8008/patroni"));
    ck_assert(!known_members_add(&members, "data-a", "http://a:8008/patroni"));
    ck_assert(known_members_add(&members, "b", "")); /* no address: each is to be spoken for */
    ck_assert(known_members_add(&members, "c", ""));
    ck_assert_uint_eq(members.n, 3);
    ck_assert_str_eq(members.member[0].api_url, "http://a:8008/patroni");
    ck_assert_str_eq(members.member[2].name, "c");
    members.n = LIMIT_MEMBERS;
    ck_assert(!known_members_add(&members, "d", "http://d:8008/patroni"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accept");
    TCase *tcase = tcase_create("core");
    tcase_add_test(tcase, says_what_it_is);
    tcase_add_test(tcase, names_and_back);
    tcase_add_test(tcase, unseen_primary_refuses);
    tcase_add_test(tcase, leader_of_this_etcd_does_not);
    tcase_add_test(tcase, silence_refuses_until_a_person_knows);
    tcase_add_test(tcase, each_member_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
