/* Recorded views (style A26): a view comes back from JSON as it was, whatever is in it. */
#include "sidecar/view_json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/json.h"

/* A view whose every field differs from zero: filled by hand where a value must make sense (counts,
 * words, texts), by a pattern elsewhere, so that a field added later is not zero either. */
static void fill_member(struct member *member, const char *name)
{
    memset(member, 1, sizeof(*member));
    memset(member->name, 0, sizeof(member->name));
    text_copy(member->name, LIMIT_NAME, name);
    memset(member->conn_url, 0, LIMIT_URL);
    text_copy(member->conn_url, LIMIT_URL, "postgres://h:1/p");
    memset(member->api_url, 0, LIMIT_URL);
    text_copy(member->api_url, LIMIT_URL, "http://h:8008/patroni");
    memset(member->version, 0, LIMIT_NAME);
    text_copy(member->version, LIMIT_NAME, "4.1.4");
    member->state = MEMBER_STATE_UNKNOWN;
    member->role = MEMBER_ROLE_DEMOTED;
    memset(&member->tags, 0, sizeof(member->tags));
    member->tags.nofailover = member->tags.nosync = true;
    member->tags.clonefrom = member->tags.noloadbalance = true;
    member->tags.failover_priority = -3;
    member->tags.sync_priority = 4;
    member->tags.n = LIMIT_TAGS;
    for (size_t i = 0; i < LIMIT_TAGS; i++)
        member->tags.all[i] = (struct tag){ "dc", "\"east\"" };
}

static void fill_timeline(struct timeline *timeline)
{
    memset(timeline, 0, sizeof(*timeline));
    timeline->tli = 7;
    timeline->n = 2;
    timeline->entries[0] = (struct timeline_entry){ 1, 0x3000028 };
    timeline->entries[1] = (struct timeline_entry){ 5, 0x1600000000 };
}

static void fill_names(struct names *names)
{
    memset(names, 0, sizeof(*names));
    names_add(names, "b");
    names_add(names, "c-1");
}

static void fill_pg(struct pg_view *pg)
{
    memset(pg, 1, sizeof(*pg));
    pg->state = PG_STOPPING;
    pg->dir = DATA_DIR_BROKEN;
    pg->system_id = UINT64_MAX - 5;
    fill_timeline(&pg->timeline);
    memset(pg->upstream, 0, LIMIT_NAME);
    text_copy(pg->upstream, LIMIT_NAME, "a");
    pg->ssn = SSN_FOREIGN;
    pg->ssn_disk = SSN_NOBODY;
    fill_names(&pg->ssn_names);
    fill_names(&pg->ssn_disk_names);
    memset(pg->walsenders, 0, sizeof(pg->walsenders));
    pg->n_walsenders = LIMIT_MEMBERS;
    for (size_t i = 0; i < LIMIT_MEMBERS; i++)
        pg->walsenders[i] = (struct walsender){ "b", true, true, true, true, 2, 0xffffffff };
    pg->state_since = MONO_NEVER;
}

static void fill_store(struct store_view *store)
{
    memset(store, 1, sizeof(*store));
    memset(store->leader, 0, LIMIT_NAME);
    text_copy(store->leader, LIMIT_NAME, "a");
    memset(&store->sync.leader, 0, LIMIT_NAME);
    text_copy(store->sync.leader, LIMIT_NAME, "a");
    fill_names(&store->sync.standbys);
    fill_names(&store->failsafe);
    memset(store->holder.name, 0, LIMIT_NAME);
    text_copy(store->holder.name, LIMIT_NAME, "a");
    memset(store->failover.leader, 0, LIMIT_NAME);
    memset(store->failover.candidate, 0, LIMIT_NAME);
    text_copy(store->failover.leader, LIMIT_NAME, "a");
    text_copy(store->failover.candidate, LIMIT_NAME, "b");
    store->initialize = UINT64_MAX;
    fill_timeline(&store->confirmed);
    memset(store->peers, 0, sizeof(store->peers));
    store->n_peers = LIMIT_MEMBERS;
    for (size_t i = 0; i < LIMIT_MEMBERS; i++) {
        struct peer *peer = &store->peers[i];
        memset(peer, 1, sizeof(*peer));
        fill_member(&peer->member, "b");
        fill_timeline(&peer->timeline);
        peer->walsender_gone = MONO_NEVER;
    }
}

static void fill_memory(struct memory *memory)
{
    memset(memory, 1, sizeof(*memory));
    memset(memory->promised_to, 0, LIMIT_NAME);
    memset(memory->late, 0, sizeof(memory->late));
    memory->n_late = LIMIT_MEMBERS;
    for (size_t i = 0; i < LIMIT_MEMBERS; i++)
        memory->late[i] = (struct late){ "b", 3, 0x3000060, MONO_NEVER };
}

static struct view *full_view(void)
{
    struct view *view = mem_struct(struct view);
    struct member member;
    memset(view, 1, sizeof(*view));
    memset(view->self, 0, LIMIT_NAME);
    text_copy(view->self, LIMIT_NAME, "a");
    fill_member(&member, "a");
    view->tags = member.tags;
    fill_pg(&view->pg);
    fill_store(&view->store);
    fill_memory(&view->memory);
    return view;
}

/* Written, read and written again it is the same. */
START_TEST(comes_back)
{
    struct view *view = full_view();
    struct view *copy = mem_struct(struct view);
    struct decision decision = { .action = ACT_WAIT, .rule = "some-rule" };
    text_copy(decision.reason, LIMIT_REASON, "because");
    struct err err = { 0 };
    auto_json json_t *json = view_to_json(view, &decision);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "decision"), "rule")),
                     "some-rule");
    ck_assert_msg(view_from_json(json, copy, &err) == ERR_OK, "%s", err.text);
    auto_json json_t *again = view_to_json(copy, &decision);
    ck_assert(json_equal(json, again));
    ck_assert_int_eq(memcmp(&view->lease, &copy->lease, offsetof(struct lease, owns_key)), 0);
    ck_assert(view->pg.system_id == copy->pg.system_id);
    ck_assert(view->store.initialize == copy->store.initialize);
    ck_assert_int_eq(copy->store.peers[3].member.tags.failover_priority, -3);
    ck_assert(timeline_equal(&view->store.confirmed, &copy->store.confirmed));
    ck_assert(copy->pg.state_since.ms == MONO_NEVER.ms);
    free(view);
    free(copy);
}
END_TEST

/* Bytes of a struct that are set in the original and zero in the copy belong to a field that was
 * forgotten in view_fields.c, or are padding; padding never makes runs of 4 in these structs. */
START_TEST(nothing_is_forgotten)
{
    struct view *view = mem_struct(struct view);
    struct view *copy = mem_struct(struct view);
    memset(&view->pg, 0, sizeof(view->pg));
    struct policy *policy = &view->policy;
    memset(policy, 1, sizeof(*policy));
    fill_memory(&view->memory);
    memset(&view->orders, 1, sizeof(view->orders));
    memset(&view->guard, 1, sizeof(view->guard));
    auto_json json_t *json = view_to_json(view, NULL);
    ck_assert_int_eq(view_from_json(json, copy, NULL), ERR_OK);
    const unsigned char *was = (const unsigned char *)&view->guard;
    const unsigned char *is = (const unsigned char *)&copy->guard;
    size_t run = 0;
    for (size_t i = 0; i < sizeof(*view) - offsetof(struct view, guard); i++) {
        run = was[i] != is[i] ? run + 1 : 0;
        ck_assert_msg(run < 8, "offset %zu after guard", i);
    }
    free(view);
    free(copy);
}
END_TEST

/* An empty view is an empty object. */
START_TEST(empty)
{
    struct view *view = mem_struct(struct view);
    auto_json json_t *json = view_to_json(view, NULL);
    char *text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(text, "{}");
    free(text);
    free(view);
}
END_TEST

/* What is not understood is not judged by half. */
START_TEST(nonsense)
{
    static const char too_long[] =
        "{\"self\":"
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
    static const char *const texts[] = {
        "[]",
        "{\"potato\":1}",
        "{\"pg\":{\"state\":\"potato\"}}",
        "{\"pg\":{\"position\":12}}",
        "{\"pg\":[]}",
        "{\"now\":\"soon\"}",
        "{\"clear_head\":1}",
        "{\"store\":{\"peers\":[1]}}",
        "{\"store\":{\"sync\":{\"standbys\":[1]}}}",
        too_long,
        "{\"store\":{\"initialize\":\"x\"}}",
        "{\"store\":{\"peers\":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}}",
    };
    struct view *view = mem_struct(struct view);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct err err = { 0 };
        auto_json json_t *json = json_loads(texts[i], 0, NULL);
        ck_assert_ptr_nonnull(json);
        ck_assert_msg(view_from_json(json, view, &err) != ERR_OK, "%s", texts[i]);
        ck_assert_ptr_nonnull(strstr(err.text, "view"));
    }
    free(view);
}
END_TEST

/* The ring keeps the newest, and records changes of the decision only. */
START_TEST(keeps_the_newest)
{
    struct view_ring *ring = view_ring_new();
    struct view *view = mem_struct(struct view);
    struct decision decisions[2] = { { .action = ACT_WAIT, .rule = "one" },
                                     { .action = ACT_FENCE, .rule = "two" } };
    for (int i = 0; i < LIMIT_EVENTS + 10; i++) {
        view->now.ms = i + 1;
        view_ring_add(ring, view, &decisions[i % 2]);
        view_ring_add(ring, view, &decisions[i % 2]);
    }
    struct text text = text_new(LIMIT_HTTP_BODY);
    view_ring_write(ring, &text);
    auto_json json_t *list = json_loads(text_str(&text), 0, NULL);
    ck_assert_int_eq((int)json_array_size(list), LIMIT_EVENTS);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "now")), 11);
    text_clear(&text);
    view_ring_write(NULL, &text);
    ck_assert_str_eq(text_str(&text), "[]");
    text_done(&text);
    free(view);
    view_ring_free(ring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view_json");
    TCase *tcase = tcase_create("views");
    tcase_add_test(tcase, comes_back);
    tcase_add_test(tcase, nothing_is_forgotten);
    tcase_add_test(tcase, empty);
    tcase_add_test(tcase, nonsense);
    tcase_add_test(tcase, keeps_the_newest);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
