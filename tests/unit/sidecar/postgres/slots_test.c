/* Member slots (patroni-compat 1.9): made for members, dropped only when they are ours. */
#include "sidecar/postgres/slots.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "sidecar/postgres/files.h"

static char folder[64];
static char path[128];
static struct loop *loop;
static struct slots *slots;
static struct view view;
static struct pg_facts facts;
static enum err_code written;

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void run(int64_t ms)
{
    struct source *timer = loop_timer(loop, stop, NULL);
    source_arm_in(timer, ms);
    loop_run(loop);
    source_free(timer);
}

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/pgvigil-slots-%d", (int)getpid());
    snprintf(path, sizeof(path), "%s/slots", folder);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    loop = loop_new();
    slots = slots_new(loop, path);
    view = (struct view){ .now = clock_mono() };
    facts = (struct pg_facts){ .n_slots = 0 };
    run(50);
}

static void teardown(void)
{
    slots_free(slots);
    loop_free(loop);
    ck_assert_int_eq(dir_remove(folder, NULL), ERR_OK);
}

static void add_peer(const char *name, bool has_key)
{
    struct peer *peer = &view.store.peers[view.store.n_peers++];
    peer->has_key = has_key;
    text_copy(peer->member.name, sizeof(peer->member.name), name);
}

static void add_slot(const char *name, bool active)
{
    struct pg_slot_fact *slot = &facts.slots[facts.n_slots++];
    *slot = (struct pg_slot_fact){ .active = active, .physical = true };
    text_copy(slot->name, sizeof(slot->name), name);
}

static void on_written(void *arg, enum err_code code, const struct err *err)
{
    (void)arg;
    (void)err;
    written = code;
    loop_stop(loop);
}

static void make(const struct slot_plan *plan)
{
    written = ERR_MAX;
    slots_remember(slots, plan, on_written, NULL);
    loop_run(loop);
    ck_assert_int_eq(written, ERR_OK);
    for (size_t i = 0; i < plan->n_create; i++)
        add_slot(plan->create[i], false);
}

/* One for each member that lives, by Patroni's spelling. */
START_TEST(test_create)
{
    struct slot_plan plan;
    add_peer("node-2", true);
    add_peer("node.3", true);
    add_peer("gone", false);
    add_slot("node_3", true);
    slots_plan(slots, &view, &facts, 1800, &plan);
    ck_assert_uint_eq(plan.n_create, 1);
    ck_assert_str_eq(plan.create[0], "node_2");
    ck_assert_uint_eq(plan.n_drop, 0);
}
END_TEST

/* A person's slot stays, whatever it is called; ours goes after member_slots_ttl, when unused. */
START_TEST(test_drop)
{
    struct slot_plan plan;
    add_peer("node-2", true);
    add_slot("archive", false);
    slots_plan(slots, &view, &facts, 1800, &plan);
    make(&plan);
    view.store.n_peers = 0;
    slots_plan(slots, &view, &facts, 1800, &plan);
    ck_assert_uint_eq(plan.n_drop, 0);
    view.now = mono_add(view.now, 1800 * 1000);
    slots_plan(slots, &view, &facts, 1800, &plan);
    ck_assert_uint_eq(plan.n_drop, 1);
    ck_assert_str_eq(plan.drop[0], "node_2");
    facts.slots[1].active = true;
    slots_plan(slots, &view, &facts, 1800, &plan);
    ck_assert_uint_eq(plan.n_drop, 0);
}
END_TEST

/* Who is gone for good by a person's word holds no WAL any longer, unless it is back. */
START_TEST(test_drop_soon)
{
    struct slot_plan plan;
    add_peer("node-2", true);
    add_slot("archive", false);
    slots_plan(slots, &view, &facts, 1800, &plan);
    make(&plan);
    ck_assert(!slots_drop_soon(slots, "archive"));
    ck_assert(slots_drop_soon(slots, "node_2"));
    slots_plan(slots, &view, &facts, 1800, &plan);
    ck_assert_uint_eq(plan.n_drop, 0);
    view.store.n_peers = 0;
    slots_plan(slots, &view, &facts, 1800, &plan);
    ck_assert_uint_eq(plan.n_drop, 0);
    ck_assert(slots_drop_soon(slots, "node_2"));
    slots_plan(slots, &view, &facts, 1800, &plan);
    ck_assert_uint_eq(plan.n_drop, 1);
    ck_assert_str_eq(plan.drop[0], "node_2");
}
END_TEST

/* What is ours is known after a restart: it was written before the slot was made. */
START_TEST(test_remembered)
{
    struct slot_plan plan;
    add_peer("node-2", true);
    slots_plan(slots, &view, &facts, 0, &plan);
    make(&plan);
    slots_free(slots);
    slots = slots_new(loop, path);
    slots_plan(slots, &view, &facts, 0, &plan);
    ck_assert_uint_eq(plan.n_create, 0); /* the file was not read yet: nothing is done */
    run(50);
    slots_plan_standby(slots, &facts, &plan);
    ck_assert_uint_eq(plan.n_drop, 1);
    slots_forget(slots, "node_2");
    slots_plan_standby(slots, &facts, &plan);
    ck_assert_uint_eq(plan.n_drop, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slots");
    TCase *tcase = tcase_create("plans");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_create);
    tcase_add_test(tcase, test_drop);
    tcase_add_test(tcase, test_drop_soon);
    tcase_add_test(tcase, test_remembered);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
