#include <check.h>
#include <stdlib.h>

#include "cluster/lease.h"

/* A lease of 10 s whose key was created at revision 100. */
static struct lease owned(void)
{
    return (struct lease){
        .id = 42, .ttl_ms = 10000, .owns_key = true, .create_revision = 100, .mod_revision = 100
    };
}

/* A lease that has counted before and is held until `until`. */
static struct lease held_until(int64_t until)
{
    struct lease lease = owned();
    lease.held_once = true;
    lease.held_until = (struct mono){ until };
    return lease;
}

/* A renewal that counts, sent at `sent`. */
static struct lease_renewal good(int64_t sent)
{
    return (struct lease_renewal){ .complete = true,
                                   .sent = { sent },
                                   .term_before = 5,
                                   .term_keepalive = 5,
                                   .term_read = 5,
                                   .keepalive_ttl_s = 10,
                                   .key_exists = true,
                                   .key_lease = 42,
                                   .key_create_revision = 100,
                                   .key_mod_revision = 100 };
}

static void check_same(const struct lease *a, const struct lease *b)
{
    ck_assert_int_eq(a->id, b->id);
    ck_assert_int_eq(a->ttl_ms, b->ttl_ms);
    ck_assert_int_eq(a->owns_key, b->owns_key);
    ck_assert_int_eq(a->create_revision, b->create_revision);
    ck_assert_int_eq(a->mod_revision, b->mod_revision);
    ck_assert_int_eq(a->held_once, b->held_once);
    ck_assert_int_eq(a->held_until.ms, b->held_until.ms);
}

/* L1: "Then the lease is held until t + ttl, never longer": from sending, not from the reply. */
START_TEST(counts_from_sending)
{
    struct lease lease = owned();
    struct lease_renewal renewal = good(1000);
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_COUNTS);
    ck_assert(lease.held_once);
    ck_assert_int_eq(lease.held_until.ms, 11000);
}
END_TEST

/* The first one after the key was taken has no previous one that it could have missed. */
START_TEST(first_counts_without_a_previous_one)
{
    struct lease lease = owned();
    lease.held_until = (struct mono){ 99999 }; /* of a former holding: means nothing */
    struct lease_renewal renewal = good(1000);
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_COUNTS);
    ck_assert_int_eq(lease.held_until.ms, 11000);
}
END_TEST

/* Hedged sequences may end in any order: held_until never goes back. */
START_TEST(never_goes_back)
{
    struct lease lease = held_until(12000);
    struct lease_renewal early = good(1500), late = good(3000);
    ck_assert_int_eq(lease_apply(&lease, &late), LEASE_COUNTS);
    ck_assert_int_eq(lease.held_until.ms, 13000);
    ck_assert_int_eq(lease_apply(&lease, &early), LEASE_COUNTS);
    ck_assert_int_eq(lease.held_until.ms, 13000);
}
END_TEST

/* L1: "only if the previous renewal still held at t": the last millisecond counts, the end does not. */
START_TEST(too_late_does_not_count)
{
    static const struct {
        int64_t sent;
        enum lease_verdict verdict;
    } rows[] = { { 11999, LEASE_COUNTS }, { 12000, LEASE_LATE }, { 12001, LEASE_LATE } };
    struct lease lease = held_until(12000), before = lease;
    struct lease_renewal renewal = good(rows[_i].sent);
    ck_assert_int_eq(lease_apply(&lease, &renewal), rows[_i].verdict);
    if (rows[_i].verdict != LEASE_COUNTS)
        check_same(&lease, &before);
}
END_TEST

/* After one that was too late nothing counts any more, until the key is owned anew. */
START_TEST(a_gap_is_final)
{
    struct lease lease = held_until(12000);
    struct lease_renewal renewal = good(12000);
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_LATE);
    renewal = good(12100);
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_LATE);
    lease.held_once = false; /* adopted again (L7) */
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_COUNTS);
}
END_TEST

/* L1: "carry the same raft_term"; a deposed leader answers keepalives for seconds. */
START_TEST(terms_must_agree)
{
    static const uint64_t terms[][3] = { { 4, 5, 5 }, { 5, 4, 5 }, { 5, 5, 4 }, { 5, 6, 6 },
                                         { 5, 5, 6 }, { 4, 5, 6 }, { 0, 0, 0 } };
    struct lease lease = held_until(12000), before = lease;
    struct lease_renewal renewal = good(5000);
    renewal.term_before = terms[_i][0];
    renewal.term_keepalive = terms[_i][1];
    renewal.term_read = terms[_i][2];
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_TERM_MOVED);
    check_same(&lease, &before);
}
END_TEST

/* A sequence that is not complete says nothing, whatever stands in it. */
START_TEST(incomplete_says_nothing)
{
    struct lease lease = held_until(12000), before = lease;
    struct lease_renewal renewal = good(5000);
    renewal.complete = false;
    renewal.key_exists = false;
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_NO_ANSWER);
    check_same(&lease, &before);
}
END_TEST

/* L1: the keepalive itself must say that the lease lives. */
START_TEST(lease_gone)
{
    struct lease lease = held_until(12000), before = lease;
    struct lease_renewal renewal = good(5000);
    renewal.keepalive_ttl_s = _i - 1; /* -1, 0 */
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_GONE);
    check_same(&lease, &before);
}
END_TEST

/* Never longer than the reply promises, never longer than was asked for, not even by overflow. */
START_TEST(promise_is_the_smaller_one)
{
    static const struct {
        int64_t ttl_ms, keepalive_s, held_ms;
    } rows[] = {
        { 10000, 10, 10000 }, { 10000, 11, 10000 }, { 10000, INT64_MAX, 10000 }, { 10000, 9, 9000 },
        { 3500, 3, 3000 },    { 3500, 4, 3500 },    { 10000, 1, 1000 },
    };
    struct lease lease = owned();
    struct lease_renewal renewal = good(1000);
    lease.ttl_ms = rows[_i].ttl_ms;
    renewal.keepalive_ttl_s = rows[_i].keepalive_s;
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_COUNTS);
    ck_assert_int_eq(lease.held_until.ms, 1000 + rows[_i].held_ms);
}
END_TEST

/* L1, L7: the key must exist, carry our lease and our create_revision; a name is never looked at. The
 * read is linearizable, so this is a fact even while the terms move. */
START_TEST(key_lost)
{
    struct lease lease = held_until(12000);
    struct lease_renewal renewal = good(5000);
    switch (_i) {
    case 0:
        renewal.key_exists = false;
        break;
    case 1:
        renewal.key_lease = 43;
        break;
    case 2:
        renewal.key_create_revision = 101;
        break;
    case 3:
        renewal.key_lease = 0;
        break;
    case 4:
        renewal.key_exists = false;
        renewal.term_read = 6;
        break;
    case 5:
        lease.owns_key = false;
        break;
    default:
        lease.id = 0;
        renewal.key_lease = 0;
        break;
    }
    struct lease before = lease;
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_KEY_LOST);
    before.owns_key = false; /* and nothing else has changed */
    check_same(&lease, &before);
    ck_assert(!lease_holds(&lease, (struct mono){ 0 }));
}
END_TEST

/* Every single condition of L1 is needed: of all combinations only the full one counts. */
START_TEST(every_condition_is_needed)
{
    for (unsigned broken = 0; broken < 128; broken++) {
        struct lease lease = held_until(12000);
        struct lease_renewal renewal = good(broken & 1 ? 12000 : 5000);
        renewal.complete = !(broken & 2);
        renewal.key_exists = !(broken & 4);
        renewal.key_lease += broken & 8 ? 1 : 0;
        renewal.key_create_revision += broken & 16 ? 1 : 0;
        renewal.term_keepalive += broken & 32 ? 1 : 0;
        renewal.keepalive_ttl_s = broken & 64 ? 0 : 10;
        bool counts = lease_apply(&lease, &renewal) == LEASE_COUNTS;
        ck_assert_int_eq(counts, broken == 0);
        ck_assert_int_eq(lease.held_until.ms, counts ? 15000 : 12000);
    }
}
END_TEST

/* A keepalive and the take itself, both of one term and one member, are a renewal: the lease holds until
 * the keepalive's sending + ttl. Every condition is needed; without one a renewal comes first. */
START_TEST(a_take_counts)
{
    for (unsigned broken = 0; broken < 32; broken++) {
        struct lease lease = { .id = 42, .ttl_ms = 10000 };
        struct lease_renewal renewal = good(1000);
        renewal.key_exists = false;
        renewal.member_id = 7;
        renewal.keepalive_ttl_s = 9;
        if (!(broken & 1))
            ck_assert_int_eq(lease_prove(&lease, &renewal), LEASE_COUNTS);
        ck_assert(!lease_holds(&lease, (struct mono){ 1001 }));
        lease_take(&lease, &(struct lease_taken){
                               .revision = 100,
                               .now = { broken & 2 ? 5501 : 5500 },
                               .term = broken & 4   ? 6
                                       : broken & 8 ? 0
                                                    : 5,
                               .member_id = broken & 16 ? 8 : 7,
                           });
        ck_assert(lease.owns_key);
        ck_assert_int_eq(lease.create_revision, 100);
        ck_assert_int_eq(lease.mod_revision, 100);
        ck_assert_int_eq(lease.held_once, broken == 0);
        ck_assert_int_eq(lease_left_ms(&lease, (struct mono){ 6000 }), broken == 0 ? 4000 : 0);
    }
}
END_TEST

/* S6: a store that was set back knows a key of yesterday; it has to be adopted (L7) before it is ours
 * again. */
START_TEST(a_key_of_yesterday_is_not_ours)
{
    struct lease lease = owned();
    lease.mod_revision = 120; /* adopted since it was created */
    struct lease_renewal renewal = good(1000);
    renewal.key_mod_revision = 119;
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_KEY_LOST);
    ck_assert(!lease.owns_key);
    lease.owns_key = true;
    renewal.key_mod_revision = 120;
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_COUNTS);
}
END_TEST

/* L6, L8: a key that is taken anew goes on where the former one was held, and never back. */
START_TEST(a_take_goes_on)
{
    struct lease lease = {
        .id = 42, .ttl_ms = 10000, .keyless = true, .held_once = true, .held_until = { 20000 }
    };
    lease_take(&lease, &(struct lease_taken){ .revision = 100, .now = { 9000 } });
    ck_assert(lease.owns_key && !lease.keyless && lease.held_once);
    ck_assert_int_eq(lease.held_until.ms, 20000);
    lease.owns_key = false;
    lease.keyless = true;
    lease_take(&lease, &(struct lease_taken){ .revision = 100, .now = { 20000 } });
    ck_assert(lease.owns_key && !lease.held_once);
}
END_TEST

/* Without the key a renewal promises nothing that its replies do not show. */
START_TEST(keyless_verdicts)
{
    struct lease lease = { .id = 42, .ttl_ms = 10000 };
    struct lease_renewal renewal = good(1000);
    renewal.complete = false;
    ck_assert_int_eq(lease_prove(&lease, &renewal), LEASE_NO_ANSWER);
    renewal = good(1000);
    renewal.term_read = 6;
    ck_assert_int_eq(lease_prove(&lease, &renewal), LEASE_TERM_MOVED);
    renewal = good(1000);
    renewal.keepalive_ttl_s = 0;
    ck_assert_int_eq(lease_prove(&lease, &renewal), LEASE_GONE);
    ck_assert_int_eq(lease.proof.ttl_ms, 0);
}
END_TEST

/* The end itself is not held any more. */
START_TEST(holds_until_the_end)
{
    struct lease lease = held_until(12000);
    ck_assert(lease_holds(&lease, (struct mono){ 11999 }));
    ck_assert_int_eq(lease_left_ms(&lease, (struct mono){ 11999 }), 1);
    ck_assert(!lease_holds(&lease, (struct mono){ 12000 }));
    ck_assert_int_eq(lease_left_ms(&lease, (struct mono){ 12000 }), 0);
    ck_assert_int_eq(lease_left_ms(&lease, (struct mono){ 13000 }), 0);
    lease.held_once = false;
    ck_assert(!lease_holds(&lease, (struct mono){ 0 }));
    lease = held_until(12000);
    lease.owns_key = false;
    ck_assert(!lease_holds(&lease, (struct mono){ 0 }));
}
END_TEST

/* L3: max(250 ms, 2 % of ttl), 1 s with a CPU limit. L2: margin + max(1 s, ttl/10). */
START_TEST(margins)
{
    static const struct {
        int64_t ttl_ms;
        bool limited;
        int64_t margin_ms, demote_ms;
    } rows[] = {
        { 3000, false, 250, 1250 },    { 10000, false, 250, 1250 }, { 12500, false, 250, 1500 },
        { 30000, false, 600, 3600 },   { 3000, true, 1000, 2000 },  { 10000, true, 1000, 2000 },
        { 100000, true, 2000, 12000 },
    };
    ck_assert_int_eq(lease_margin_ms(rows[_i].ttl_ms, rows[_i].limited), rows[_i].margin_ms);
    ck_assert_int_eq(lease_demote_ms(rows[_i].ttl_ms, rows[_i].limited), rows[_i].demote_ms);
}
END_TEST

/* L7: "takes it only if the record is marked or its lease is gone (its own lease need not be)". */
START_TEST(may_take)
{
    static const struct {
        struct lease_holder holder;
        int64_t own;
        bool may;
    } rows[] = {
        { { .exists = false }, 7, true },
        { { .exists = true, .lease_id = 8 }, 7, false },
        { { .exists = true, .lease_id = 8, .released = true }, 7, true },
        { { .exists = true, .lease_id = 8, .lease_gone = true }, 7, true },
        { { .exists = true, .lease_id = 7 }, 7, true },
        { { .exists = true, .lease_id = 0 }, 0, false }, /* no lease of ours is nobody's lease */
        { { .exists = true, .lease_id = 8 }, 0, false },
    };
    ck_assert_int_eq(lease_may_take(&rows[_i].holder, rows[_i].own), rows[_i].may);
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(lease_verdict_name(LEASE_COUNTS), "counts");
    ck_assert_str_eq(lease_verdict_name(LEASE_KEY_LOST), "key lost");
}
END_TEST

/* L6: counted from sending; only forward; not by one that began after the holding had ended. */
START_TEST(promised)
{
    struct lease lease = held_until(9000);
    ck_assert(lease_promised(&lease, (struct mono){ 5000 }, 10000));
    ck_assert_int_eq(lease.held_until.ms, 15000);
    ck_assert_int_eq(lease.promised_until.ms, 15000);
    ck_assert(lease_promised(&lease, (struct mono){ 4000 }, 10000));
    ck_assert_int_eq(lease.held_until.ms, 15000);
    ck_assert(!lease_promised(&lease, (struct mono){ 15000 }, 10000));
    ck_assert_int_eq(lease.held_until.ms, 15000);
    lease = owned(); /* no renewal has counted yet */
    ck_assert(!lease_promised(&lease, (struct mono){ 1 }, 10000));
    lease = held_until(9000);
    lease.owns_key = false;
    ck_assert(!lease_promised(&lease, (struct mono){ 1 }, 10000));
}
END_TEST

/* A renewal goes on from a promise as from a renewal (L1: "the previous one still held"). */
START_TEST(renewal_after_promise)
{
    struct lease lease = held_until(9000);
    struct lease_renewal renewal = good(12000);
    ck_assert(lease_promised(&lease, (struct mono){ 5000 }, 10000));
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_COUNTS);
    ck_assert_int_eq(lease.held_until.ms, 22000);
    lease = held_until(9000);
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_LATE);
}
END_TEST

/* The key is gone while the others have promised: held without it, and no longer than they have. */
START_TEST(key_vanishes_under_promises)
{
    struct lease lease = held_until(9000);
    struct lease_renewal renewal = good(10000);
    ck_assert(lease_promised(&lease, (struct mono){ 5000 }, 10000));
    renewal.key_exists = false;
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_KEY_LOST);
    ck_assert(!lease.owns_key && lease.keyless);
    ck_assert(lease_holds(&lease, (struct mono){ 14999 }));
    ck_assert(!lease_holds(&lease, (struct mono){ 15000 }));
    ck_assert(lease_promised(&lease, (struct mono){ 12000 }, 10000));
    ck_assert_int_eq(lease.held_until.ms, 22000);
    lease_forget_id(&lease);
    ck_assert_int_eq(lease.id, 0);
    ck_assert(lease_holds(&lease, (struct mono){ 21999 }));
}
END_TEST

START_TEST(key_of_another_under_promises)
{
    struct lease lease = held_until(9000);
    struct lease_renewal renewal = good(10000);
    ck_assert(lease_promised(&lease, (struct mono){ 5000 }, 10000));
    renewal.key_create_revision = 200;
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_KEY_LOST);
    ck_assert(!lease.keyless && !lease_holds(&lease, (struct mono){ 10000 }));
}
END_TEST

/* What a renewal promised beyond the others' word went with the lease. */
START_TEST(vanished_key_cuts_to_the_promise)
{
    struct lease lease = held_until(9000);
    struct lease_renewal counts = good(8000);
    struct lease_renewal vanished = good(9000);
    ck_assert(lease_promised(&lease, (struct mono){ 5000 }, 10000));
    ck_assert_int_eq(lease_apply(&lease, &counts), LEASE_COUNTS);
    ck_assert_int_eq(lease.held_until.ms, 18000);
    struct lease forgotten = lease;
    vanished.key_exists = false;
    ck_assert_int_eq(lease_apply(&lease, &vanished), LEASE_KEY_LOST);
    ck_assert_int_eq(lease.held_until.ms, 15000);
    lease_forget_id(&forgotten);
    ck_assert_int_eq(forgotten.held_until.ms, 15000);
}
END_TEST

/* L8: held without end; a renewal counts however late it is. */
START_TEST(lifted)
{
    struct lease lease = held_until(9000);
    struct lease_renewal renewal = good(90000);
    lease.lifted = true;
    ck_assert(lease_holds(&lease, (struct mono){ 80000 }));
    ck_assert_int_eq(lease_left_ms(&lease, (struct mono){ 80000 }), INT32_MAX);
    ck_assert(!lease_promised(&lease, (struct mono){ 80000 }, 10000));
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_COUNTS);
    ck_assert_int_eq(lease.held_until.ms, 100000);
    renewal.key_exists = false;
    ck_assert_int_eq(lease_apply(&lease, &renewal), LEASE_KEY_LOST);
    ck_assert(lease.keyless && lease_holds(&lease, (struct mono){ 200000 }));
    lease.lifted = false;
    ck_assert(!lease_holds(&lease, (struct mono){ 200000 }));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lease");
    TCase *tc = tcase_create("lease");
    tcase_add_test(tc, counts_from_sending);
    tcase_add_test(tc, first_counts_without_a_previous_one);
    tcase_add_test(tc, never_goes_back);
    tcase_add_loop_test(tc, too_late_does_not_count, 0, 3);
    tcase_add_test(tc, a_gap_is_final);
    tcase_add_loop_test(tc, terms_must_agree, 0, 7);
    tcase_add_test(tc, incomplete_says_nothing);
    tcase_add_loop_test(tc, lease_gone, 0, 2);
    tcase_add_loop_test(tc, promise_is_the_smaller_one, 0, 7);
    tcase_add_loop_test(tc, key_lost, 0, 7);
    tcase_add_test(tc, every_condition_is_needed);
    tcase_add_test(tc, a_take_counts);
    tcase_add_test(tc, a_take_goes_on);
    tcase_add_test(tc, a_key_of_yesterday_is_not_ours);
    tcase_add_test(tc, keyless_verdicts);
    tcase_add_test(tc, holds_until_the_end);
    tcase_add_loop_test(tc, margins, 0, 7);
    tcase_add_loop_test(tc, may_take, 0, 7);
    tcase_add_test(tc, names);
    tcase_add_test(tc, promised);
    tcase_add_test(tc, renewal_after_promise);
    tcase_add_test(tc, key_vanishes_under_promises);
    tcase_add_test(tc, key_of_another_under_promises);
    tcase_add_test(tc, vanished_key_cuts_to_the_promise);
    tcase_add_test(tc, lifted);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
