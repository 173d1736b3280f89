#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/member.h"

/* Every state and role comes back from its name; the numbers are Patroni's metric (2.3). */
START_TEST(state_names)
{
    for (int state = 0; state < MEMBER_STATE_UNKNOWN; state++)
        ck_assert_int_eq(member_state_from_name(member_state_name((enum member_state)state)),
                         state);
    ck_assert_int_eq(MEMBER_RUNNING, 5);
    ck_assert_int_eq(MEMBER_CRASHED, 14);
    ck_assert_str_eq(member_state_name(MEMBER_CREATING_REPLICA), "creating replica");
    ck_assert_str_eq(member_state_name(MEMBER_STATE_UNKNOWN), "unknown");
    ck_assert_int_eq(member_state_from_name("nonsense"), MEMBER_STATE_UNKNOWN);
    ck_assert_int_eq(member_state_from_name("unknown"), MEMBER_STATE_UNKNOWN);
}
END_TEST

START_TEST(role_names)
{
    for (int role = 0; role < MEMBER_ROLE_MAX; role++)
        ck_assert_int_eq(member_role_from_name(member_role_name((enum member_role)role)), role);
    ck_assert_int_eq(member_role_from_name("master"), MEMBER_ROLE_UNINITIALIZED);
}
END_TEST

/* patroni-compat 1.9 and trap 13. */
static const struct {
    const char *member, *slot;
} slots[] = {
    { "postgres-0", "postgres_0" },
    { "PG.Node_1", "pg_node_1" },
    { "a b", "au0032b" },
    { "a\xc3\xa4", "au0228" },         /* ä */
    { "\xe2\x82\xac", "u8364" },       /* € */
    { "\xf0\x9f\x90\x98", "u128024" }, /* an elephant */
    { "x\xc3", "xu0195" },             /* not UTF-8: the byte */
    { "x\xe2\x82", "xu0226u0130" },
    { "", "" },
    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaau00" },
    { "{`@[/:", "u0123u0096u0064u0091u0047u0058" },
};

START_TEST(slot_names)
{
    char slot[LIMIT_NAME];
    member_slot_name(slots[_i].member, slot);
    ck_assert_str_eq(slot, slots[_i].slot);
    ck_assert_uint_lt(strlen(slot), LIMIT_NAME);
}
END_TEST

START_TEST(tag_defaults)
{
    struct tags tags = tags_default();
    ck_assert_int_eq(tags.failover_priority, 1);
    ck_assert_int_eq(tags.sync_priority, 1);
    ck_assert(!tags.nofailover && !tags.nosync && !tags.clonefrom && !tags.noloadbalance);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("member");
    TCase *tc = tcase_create("member");
    tcase_add_test(tc, state_names);
    tcase_add_test(tc, role_names);
    tcase_add_loop_test(tc, slot_names, 0, sizeof(slots) / sizeof(slots[0]));
    tcase_add_test(tc, tag_defaults);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
