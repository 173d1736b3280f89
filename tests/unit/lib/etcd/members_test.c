#include "etcd/members.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/etcd_server.h"
#include "etcd/kv.h"
#include "json/json.h"

static struct loop *loop;
static struct http *http;
static struct etcd *etcd;
static struct etcd_cluster cluster;
static const struct etcd_how how = { .timeout_ms = 8000, .endpoint = ETCD_ANY };

struct seen {
    struct etcd_call *call;
    bool done;
    enum err_code code;
    enum etcd_failure failure;
    uint64_t self;
    int64_t revision;
    struct etcd_members_result members;
    struct etcd_status_result status;
    struct etcd_alarms_result alarms;
};

static void note(struct seen *seen, const struct etcd_outcome *outcome)
{
    seen->code = outcome->code;
    seen->failure = outcome->failure;
    seen->self = outcome->header.member_id;
    seen->revision = outcome->header.revision;
    seen->call = etcd_call_free(seen->call);
    seen->done = true;
}

static void on_members(void *arg, const struct etcd_members_result *result)
{
    struct seen *seen = arg;
    seen->members = *result;
    note(seen, &result->outcome);
}

static void on_status(void *arg, const struct etcd_status_result *result)
{
    struct seen *seen = arg;
    seen->status = *result;
    note(seen, &result->outcome);
}

static void on_alarms(void *arg, const struct etcd_alarms_result *result)
{
    struct seen *seen = arg;
    seen->alarms = *result;
    note(seen, &result->outcome);
}

static void on_plain(void *arg, const struct etcd_outcome *outcome)
{
    note(arg, outcome);
}

static void on_write(void *arg, const struct etcd_write_result *result)
{
    note(arg, &result->outcome);
}

static void finish(struct seen *seen, struct etcd_call *call)
{
    ck_assert(!seen->done);
    seen->call = call;
    run_until(loop, &seen->done, 12000);
}

static struct seen list(void)
{
    struct seen seen = { 0 };
    finish(&seen, etcd_member_list(etcd, true, how, on_members, &seen));
    return seen;
}

static struct seen status(int endpoint)
{
    struct seen seen = { 0 };
    struct etcd_how pinned = { .timeout_ms = 3000, .endpoint = endpoint };
    finish(&seen, etcd_status(etcd, pinned, on_status, &seen));
    return seen;
}

/* A member tells its name and client URL to the others a moment after its start. */
static bool all_have_started(int members)
{
    struct seen seen = list();
    int started = 0;
    for (size_t i = 0; i < seen.members.n_members; i++)
        started += seen.members.members[i].client_url[0] != '\0';
    return seen.code == ERR_OK && started == members && status(members - 1).code == ERR_OK;
}

static void begin(int members)
{
    static const char *const extra[] = { "--quota-backend-bytes=200000", NULL };
    loop = loop_new();
    http = http_new(loop, 4000);
    etcd_cluster_start(&cluster, loop, members, extra);
    etcd = etcd_new(loop, http, &(struct etcd_config){ .endpoints = cluster.urls });
    for (int i = 0; i < 100 && !all_have_started(members); i++)
        run_for(loop, 50);
}

static void setup_one(void)
{
    begin(1);
}

static void setup_three(void)
{
    begin(3);
}

static void teardown(void)
{
    etcd_free(etcd);
    etcd_cluster_stop(&cluster);
    http_free(http);
    loop_free(loop);
}

/* Who is there; each member tells of itself. */
START_TEST(list_and_status)
{
    struct seen seen = list();
    ck_assert_uint_eq(seen.members.n_members, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct etcd_member *member = &seen.members.members[i];
        int index = member->name[1] - '0';
        ck_assert_str_eq(member->peer_url, cluster.servers[index].peer_url);
        ck_assert_str_eq(member->client_url, cluster.servers[index].url);
        ck_assert(!member->learner);
        struct seen own = status(index);
        ck_assert(own.self == member->id);
        ck_assert_uint_ne(own.status.leader, 0);
        ck_assert_uint_ne(own.status.raft_term, 0);
        ck_assert_int_gt(own.status.db_bytes, 0);
        ck_assert_int_gt(own.status.db_used_bytes, 0);
        ck_assert(!own.status.learner);
        ck_assert_int_eq(strncmp(own.status.version, "3.", 2), 0);
    }
}
END_TEST

static int leader_index(void)
{
    uint64_t leader = status(0).status.leader;
    for (int i = 0; i < 3; i++)
        if (status(i).self == leader)
            return i;
    return ETCD_ANY;
}

/* etcd refuses a new member until all voters have been connected for 5 s: look again. */
START_TEST(too_early_to_add)
{
    struct seen seen = { 0 };
    finish(&seen, etcd_member_add(etcd, "http://127.0.0.1:9", how, on_members, &seen));
    ck_assert_int_eq(seen.code, ERR_CONFLICT);
    ck_assert_int_eq(seen.failure, ETCD_FAIL_UNHEALTHY);
}
END_TEST

/* Leadership moves on the word of its holder only. */
START_TEST(move_leader)
{
    int from = leader_index();
    int to = (from + 1) % 3;
    uint64_t target = status(to).self;
    struct seen seen = { 0 };
    struct etcd_how wrong = { .timeout_ms = 3000, .endpoint = to };
    finish(&seen, etcd_move_leader(etcd, target, wrong, on_plain, &seen));
    ck_assert_int_eq(seen.code, ERR_REFUSED);
    seen = (struct seen){ 0 };
    struct etcd_how right = { .timeout_ms = 3000, .endpoint = from };
    finish(&seen, etcd_move_leader(etcd, target, right, on_plain, &seen));
    ck_assert_int_eq(seen.code, ERR_OK);
    ck_assert_int_eq(leader_index(), to);
}
END_TEST

/* A learner is added, cannot be promoted before it has caught up, and is removed. */
START_TEST(learner_comes_and_goes)
{
    struct seen seen = { 0 };
    finish(&seen, etcd_member_add(etcd, "http://127.0.0.1:9", how, on_members, &seen));
    ck_assert_int_eq(seen.code, ERR_OK);
    ck_assert_uint_eq(seen.members.n_members, 2);
    uint64_t id = seen.members.id;
    ck_assert_uint_ne(id, 0);
    seen = list();
    const struct etcd_member *learner = NULL;
    for (size_t i = 0; i < seen.members.n_members; i++)
        if (seen.members.members[i].id == id)
            learner = &seen.members.members[i];
    ck_assert_ptr_nonnull(learner);
    ck_assert(learner->learner);
    ck_assert_str_eq(learner->name, "");
    seen = (struct seen){ 0 };
    finish(&seen, etcd_member_promote(etcd, id, how, on_members, &seen));
    ck_assert_int_eq(seen.failure, ETCD_FAIL_LEARNER_NOT_READY);
    seen = (struct seen){ 0 };
    finish(&seen, etcd_member_add(etcd, "http://127.0.0.1:9", how, on_members, &seen));
    ck_assert_int_eq(seen.code, ERR_CONFLICT);
    seen = (struct seen){ 0 };
    finish(&seen, etcd_member_remove(etcd, id, how, on_members, &seen));
    ck_assert_int_eq(seen.code, ERR_OK);
    ck_assert_uint_eq(seen.members.n_members, 1);
    seen = (struct seen){ 0 };
    finish(&seen, etcd_member_remove(etcd, id, how, on_members, &seen));
    ck_assert_int_eq(seen.failure, ETCD_FAIL_MEMBER_NOT_FOUND);
}
END_TEST

static struct seen fill(const char *key)
{
    static char large[100000];
    struct seen seen = { 0 };
    struct etcd_put put = { .key = key, .value = large, .value_len = sizeof(large) };
    finish(&seen, etcd_put(etcd, &put, how, on_write, &seen));
    return seen;
}

/* E5: NOSPACE is told by its name, shows as an alarm and in the status, and is mended. */
START_TEST(no_space)
{
    struct seen seen = { 0 };
    for (int i = 0; i < 20 && seen.code == ERR_OK; i++)
        seen = fill("/full");
    ck_assert_int_eq(seen.code, ERR_REFUSED);
    ck_assert_int_eq(seen.failure, ETCD_FAIL_NO_SPACE);
    struct seen alarms = { 0 };
    finish(&alarms, etcd_alarm_list(etcd, how, on_alarms, &alarms));
    ck_assert_uint_ge(alarms.alarms.n_alarms, 1);
    ck_assert_int_eq(alarms.alarms.alarms[0].kind, ETCD_ALARM_NOSPACE);
    ck_assert_ptr_nonnull(strstr(status(0).status.errors, "NOSPACE"));
    struct seen range = { 0 };
    finish(&range,
           etcd_delete(etcd, &(struct etcd_delete){ .key = "/full" }, how, on_write, &range));
    ck_assert_int_eq(range.code, ERR_OK);
    struct seen compacted = { 0 };
    finish(&compacted, etcd_compact(etcd, range.revision, how, on_plain, &compacted));
    ck_assert_int_eq(compacted.code, ERR_OK);
    for (int i = 0; i < cluster.n; i++) {
        struct seen defragmented = { 0 };
        struct etcd_how pinned = { .timeout_ms = 8000, .endpoint = i };
        finish(&defragmented, etcd_defragment(etcd, pinned, on_plain, &defragmented));
        ck_assert_int_eq(defragmented.code, ERR_OK);
    }
    for (size_t i = 0; i < alarms.alarms.n_alarms; i++) {
        struct seen disarmed = { 0 };
        finish(&disarmed,
               etcd_alarm_disarm(etcd, alarms.alarms.alarms[i], how, on_alarms, &disarmed));
        ck_assert_int_eq(disarmed.code, ERR_OK);
    }
    struct seen after = { 0 };
    finish(&after, etcd_alarm_list(etcd, how, on_alarms, &after));
    ck_assert_uint_eq(after.alarms.n_alarms, 0);
}
END_TEST

int main(void)
{
    json_setup();
    http_setup();
    Suite *suite = suite_create("etcd members");
    TCase *three = tcase_create("three members");
    tcase_set_timeout(three, 30);
    tcase_add_unchecked_fixture(three, setup_three, teardown);
    tcase_add_test(three, list_and_status);
    tcase_add_test(three, too_early_to_add);
    tcase_add_test(three, move_leader);
    suite_add_tcase(suite, three);
    TCase *one = tcase_create("one member");
    tcase_set_timeout(one, 30);
    tcase_add_unchecked_fixture(one, setup_one, teardown);
    tcase_add_test(one, learner_comes_and_goes);
    tcase_add_test(one, no_space);
    suite_add_tcase(suite, one);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* one cluster for all of them */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
