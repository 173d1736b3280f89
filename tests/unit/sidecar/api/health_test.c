/* Health checks (patroni-compat 2.2): by the substring that comes first in the table. */
#include <check.h>
#include <stdlib.h>

#include "../../support/api_stub.h"

static struct api_stub stub;

static const struct {
    const char *line;
    int leader;
    int sync;  /* a synchronous standby */
    int async; /* another standby */
} rows[] = {
    { "GET /", 200, 503, 503 },
    { "GET /leader", 200, 503, 503 },
    { "GET /my-leader-x", 200, 503, 503 },
    { "GET /primary", 200, 503, 503 },
    { "GET /master", 200, 503, 503 },
    { "GET /read-write", 200, 503, 503 },
    { "GET /standby-leader", 503, 503, 503 },
    { "GET /standby_leader", 503, 503, 503 },
    { "GET /replica", 503, 200, 200 },
    { "GET /replica-of-leader", 200, 503, 503 },
    { "GET /read-only", 200, 200, 200 },
    { "GET /health", 200, 200, 200 },
    { "GET /sync", 503, 200, 503 },
    { "GET /synchronous", 503, 200, 503 },
    { "GET /async", 503, 503, 200 },
    { "GET /asynchronous", 503, 503, 200 },
    { "GET /quorum", 503, 503, 503 },
    { "GET /read-only-sync", 200, 200, 503 },
    { "GET /read-only-synchronous", 200, 200, 503 },
    { "GET /read-only-quorum", 200, 503, 503 },
    { "GET /x-read-only-sync", 503, 503, 503 },
    { "GET /sync/x", 503, 503, 503 },
    { "GET /nonsense", 503, 503, 503 },
    { "OPTIONS /", 200, 503, 503 },
    { "HEAD /replica", 503, 200, 200 },
    { "HEAD /patroni", 503, 503, 503 },
    { "HEAD /liveness", 503, 503, 503 },
    { "OPTIONS /metrics", 503, 503, 503 },
    { "GET /liveness", 200, 200, 200 },
    { "GET /readiness", 200, 200, 200 },
};

START_TEST(table)
{
    api_stub_leader(&stub);
    ck_assert_msg(api_stub_status(&stub, rows[_i].line) == rows[_i].leader, "%s", rows[_i].line);
    api_stub_standby(&stub);
    ck_assert_msg(api_stub_status(&stub, rows[_i].line) == rows[_i].sync, "%s", rows[_i].line);
    names_remove(&stub.view.store.sync.standbys, "b");
    ck_assert_msg(api_stub_status(&stub, rows[_i].line) == rows[_i].async, "%s", rows[_i].line);
}
END_TEST

/* L1: the lock is judged at the time of the request by the lease itself. */
START_TEST(lock_by_the_clock)
{
    api_stub_leader(&stub);
    stub.lease.held_until.ms = STUB_NOW_MS + 1;
    ck_assert_int_eq(api_stub_status(&stub, "GET /primary"), 200);
    stub.lease.held_until.ms = STUB_NOW_MS;
    ck_assert_int_eq(api_stub_status(&stub, "GET /primary"), 503);
    stub.lease.held_until.ms = STUB_NOW_MS + 8000;
    stub.lease.owns_key = false;
    ck_assert_int_eq(api_stub_status(&stub, "GET /primary"), 503);
}
END_TEST

/* 2.2: in pause without a view of the store the role decides. */
START_TEST(lock_in_pause)
{
    api_stub_leader(&stub);
    stub.lease.owns_key = false;
    stub.view.policy.pause = true;
    ck_assert_int_eq(api_stub_status(&stub, "GET /primary"), 503);
    stub.view.store.reachable = false;
    ck_assert_int_eq(api_stub_status(&stub, "GET /primary"), 200);
}
END_TEST

/* 2.2, R: what makes a replica unfit. */
START_TEST(unfit_replicas)
{
    api_stub_standby(&stub);
    stub.view.tags.noloadbalance = true;
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica"), 503);
    api_stub_standby(&stub);
    stub.state.postgres.state = MEMBER_STARTING;
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /health"), 503);
    api_stub_standby(&stub);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?lag=255"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?lag=256"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?lag=16kB"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?lag=nonsense"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?replication_state=streaming"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?replication_state=x"), 503);
    stub.state.postgres.latest_end += 1 << 20;
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?lag=16kB"), 503);
}
END_TEST

/* 2.2: tag_* filters; rows without tags ignore them. */
START_TEST(tag_filters)
{
    api_stub_standby(&stub);
    stub.view.tags.n = 2;
    stub.view.tags.all[0] = (struct tag){ "clonefrom", "true" };
    stub.view.tags.all[1] = (struct tag){ "dc", "\"East\"" };
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?tag_clonefrom=true"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?tag_clonefrom=false"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?tag_dc=East&tag_clonefrom=true"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?tag_dc=east"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica?tag_none=1"), 503);
    api_stub_leader(&stub);
    ck_assert_int_eq(api_stub_status(&stub, "GET /primary?tag_none=1"), 200);
    ck_assert_int_eq(api_stub_status(&stub, "GET /read-only?tag_none=1"), 503);
}
END_TEST

/* 2.2: rows 7 to 11 need a view of the store that is not older than ttl; the others do not. */
START_TEST(stale_store)
{
    api_stub_standby(&stub);
    stub.view.store.age_ms = 10001;
    ck_assert_int_eq(api_stub_status(&stub, "GET /sync"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica"), 200);
    stub.view.store.age_ms = 9000;
    ck_assert_int_eq(api_stub_status(&stub, "GET /sync"), 200);
    stub.view.now.ms -= 1001; /* the cycle hangs */
    ck_assert_int_eq(api_stub_status(&stub, "GET /sync"), 503);
}
END_TEST

/* 2.2, 4.1's readiness; design part 8: and a voter where there is one. */
START_TEST(readiness)
{
    api_stub_standby(&stub);
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness?lag=100"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness?lag=100&mode=write"), 200);
    stub.view.pg.streaming = false;
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness"), 503);
    api_stub_standby(&stub);
    stub.state.etcd.managed = true;
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness"), 503);
    stub.state.etcd.voter = true;
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness"), 200);
    stub.view.store.age_ms = 20000;
    stub.state.postgres.latest_end = LSN_NONE;
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness"), 503);
    stub.state.failsafe_active = true;
    ck_assert_int_eq(api_stub_status(&stub, "GET /readiness"), 200);
}
END_TEST

/* Before the first cycle nothing is healthy, and nothing crashes. */
START_TEST(before_the_first_cycle)
{
    api_stub_standby(&stub);
    stub.state.view = NULL;
    stub.state.lease = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        api_stub_status(&stub, rows[i].line);
    ck_assert_int_eq(api_stub_status(&stub, "GET /replica"), 503);
    ck_assert_int_eq(api_stub_status(&stub, "GET /liveness"), 200);
}
END_TEST

START_TEST(sizes)
{
    int64_t bytes;
    ck_assert(health_parse_size("100", &bytes) && bytes == 100);
    ck_assert(health_parse_size("16kB", &bytes) && bytes == 16384);
    ck_assert(health_parse_size("1 MB", &bytes) && bytes == 1 << 20);
    ck_assert(health_parse_size("1.5GB", &bytes) && bytes == 1610612736);
    ck_assert(!health_parse_size("", &bytes));
    ck_assert(!health_parse_size("-1", &bytes));
    ck_assert(!health_parse_size("1 potato", &bytes));
    ck_assert(!health_parse_size("1e30", &bytes));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api/health");
    TCase *tcase = tcase_create("checks");
    tcase_add_loop_test(tcase, table, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tcase, lock_by_the_clock);
    tcase_add_test(tcase, lock_in_pause);
    tcase_add_test(tcase, unfit_replicas);
    tcase_add_test(tcase, tag_filters);
    tcase_add_test(tcase, stale_store);
    tcase_add_test(tcase, readiness);
    tcase_add_test(tcase, before_the_first_cycle);
    tcase_add_test(tcase, sizes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
