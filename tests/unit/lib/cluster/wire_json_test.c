/* The wire forms of cluster values, written and read. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "cluster/claims_json.h"
#include "cluster/member_json.h"
#include "cluster/status.h"
#include "cluster/sync_state_json.h"
#include "cluster/tags_json.h"
#include "json/json.h"

static struct err err;

static void check_written(json_t *json, const char *expected)
{
    auto_text struct text text = text_new(LIMIT_FILE);
    json_write(&text, json);
    ck_assert_str_eq(text_str(&text), expected);
    json_decref(json);
}

/* ---- tags ------------------------------------------------------------------------------- */

static struct tags tags_of(const char *json)
{
    struct tags tags;
    auto_json json_t *object = json_loads(json, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(object);
    ck_assert_int_eq(tags_from_json(object, &tags, &err), ERR_OK);
    return tags;
}

/* patroni-compat 1.8 and trap 8: order and types are kept, false built-ins are left out. */
static const struct {
    const char *said, *published;
} published[] = {
    { "{\"z\":1,\"a\":\"x\",\"b\":false,\"c\":[1]}",
      "{\"z\":1,\"a\":\"x\",\"b\":false,\"c\":[1]}" },
    { "{\"nofailover\":false,\"clonefrom\":true,\"nosync\":false}", "{\"clonefrom\":true}" },
    { "{\"nofailover\":false,\"failover_priority\":2}",
      "{\"nofailover\":false,\"failover_priority\":2}" },
    { "{\"nosync\":false,\"sync_priority\":2}", "{\"nosync\":false,\"sync_priority\":2}" },
    { "{\"nostream\":false,\"noloadbalance\":false,\"x\":1}", "{\"x\":1}" },
};

START_TEST(tags_as_published)
{
    struct tags tags = tags_of(published[_i].said);
    check_written(tags_to_json(&tags), published[_i].published);
}
END_TEST

static const struct {
    const char *said;
    bool nofailover, nosync;
    int failover_priority, sync_priority;
} priorities[] = {
    { "{}", false, false, 1, 1 },
    { "null", false, false, 1, 1 },
    { "{\"nofailover\":true}", true, false, 0, 1 },
    { "{\"nofailover\":\"on\"}", true, false, 0, 1 },
    { "{\"nofailover\":\"off\"}", false, false, 1, 1 },
    { "{\"nofailover\":1,\"nosync\":\"yes\"}", true, true, 0, 0 },
    { "{\"nosync\":\"true\"}", false, true, 1, 0 },
    { "{\"nosync\":\"1\"}", false, true, 1, 0 },
    { "{\"nosync\":0}", false, false, 1, 1 },
    { "{\"nosync\":null,\"sync_priority\":0}", false, true, 1, 0 },
    { "{\"failover_priority\":0}", true, false, 0, 1 },
    { "{\"failover_priority\":-3}", true, false, 0, 1 },
    { "{\"failover_priority\":\"7\"}", false, false, 7, 1 },
    { "{\"failover_priority\":5000000000}", false, false, 1000000, 1 },
    { "{\"failover_priority\":0,\"nofailover\":false}", false, false, 1, 1 },
    { "{\"sync_priority\":3,\"nosync\":true}", false, true, 1, 0 },
};

/* "Bool wins" over the priority; a priority of 0 or less is no. */
START_TEST(tag_priorities)
{
    struct tags tags = tags_of(priorities[_i].said);
    ck_assert_int_eq(tags.nofailover, priorities[_i].nofailover);
    ck_assert_int_eq(tags.nosync, priorities[_i].nosync);
    ck_assert_int_eq(tags.failover_priority, priorities[_i].failover_priority);
    ck_assert_int_eq(tags.sync_priority, priorities[_i].sync_priority);
}
END_TEST

START_TEST(tags_none)
{
    struct tags tags;
    ck_assert_int_eq(tags_from_json(NULL, &tags, NULL), ERR_OK);
    ck_assert_ptr_null(tags_to_json(&tags));
    auto_json json_t *text = json_string("x");
    ck_assert_int_eq(tags_from_json(text, &tags, &err), ERR_PROTOCOL);
}
END_TEST

/* patroni-compat 2.2: `?tag_<k>=<v>`: "own tag must exist and match as text". */
START_TEST(tags_filter)
{
    struct tags tags = tags_of("{\"zone\":\"a\",\"n\":3,\"clonefrom\":true}");
    ck_assert(tags_match(&tags, "zone", "a"));
    ck_assert(!tags_match(&tags, "zone", "b"));
    ck_assert(tags_match(&tags, "n", "3"));
    ck_assert(tags_match(&tags, "clonefrom", "true"));
    ck_assert(!tags_match(&tags, "missing", "x"));
}
END_TEST

/* A22. */
START_TEST(tags_limits)
{
    struct tags tags = { .failover_priority = 77 };
    auto_json json_t *object = json_object();
    char name[16];
    for (int i = 0; i <= LIMIT_TAGS; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        json_object_set_new(object, name, json_integer(i));
    }
    ck_assert_int_eq(tags_from_json(object, &tags, &err), ERR_LIMIT);
    static const char long_text[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    json_object_clear(object);
    json_object_set_new(object, long_text, json_integer(1));
    ck_assert_int_eq(tags_from_json(object, &tags, &err), ERR_LIMIT);
    json_object_clear(object);
    json_object_set_new(object, "x", json_string(long_text));
    ck_assert_int_eq(tags_from_json(object, &tags, &err), ERR_LIMIT);
    ck_assert_int_eq(tags.failover_priority, 77);
}
END_TEST

/* ---- members ---------------------------------------------------------------------------- */

static enum err_code read_member(const char *json, struct member *member)
{
    return member_from_json("n1", json, strlen(json), member, &err);
}

static const char *const member_texts[] = {
    "{\"conn_url\":\"postgres://10.0.0.1:5432/postgres\",\"api_url\":\"http://10.0.0.1:8008/patroni\","
    "\"state\":\"running\",\"role\":\"primary\",\"version\":\"4.1.0\","
    "\"checkpoint_after_promote\":false,\"tags\":{\"clonefrom\":true},\"pending_restart\":true,"
    "\"xlog_location\":83886080,\"timeline\":3,\"pause\":true}",
    "{\"conn_url\":\"postgres://10.0.0.2:5432/postgres\",\"api_url\":\"http://10.0.0.2:8008/patroni\","
    "\"state\":\"running\",\"role\":\"replica\",\"version\":\"4.1.0\",\"xlog_location\":83886080,"
    "\"replay_lsn\":83886000,\"receive_lsn\":83886080,\"replication_state\":\"streaming\","
    "\"timeline\":3}",
    "{\"state\":\"stopped\",\"role\":\"uninitialized\"}",
};

/* 3.4: keys in Patroni's order; what is read is written again as it was. */
START_TEST(member_there_and_back)
{
    struct member member;
    ck_assert_int_eq(read_member(member_texts[_i], &member), ERR_OK);
    ck_assert_str_eq(member.name, "n1");
    check_written(member_to_json(&member, NULL), member_texts[_i]);
}
END_TEST

START_TEST(member_fields)
{
    struct member member;
    ck_assert_int_eq(read_member(member_texts[0], &member), ERR_OK);
    ck_assert_int_eq(member.state, MEMBER_RUNNING);
    ck_assert_int_eq(member.role, MEMBER_ROLE_PRIMARY);
    ck_assert(member.checkpoint_pending && member.pending_restart && member.pause);
    ck_assert(!member.streaming && !member.has_receive_lsn);
    ck_assert_int_eq(read_member(member_texts[1], &member), ERR_OK);
    ck_assert(member.streaming && member.has_receive_lsn);
    ck_assert_uint_eq(member.replay_lsn, 83886000);
    ck_assert(!member.checkpoint_pending); /* trap 5: absence means done */
    ck_assert_int_eq(read_member("{}", &member), ERR_OK);
    ck_assert_int_eq(member.state, MEMBER_STATE_UNKNOWN);
    ck_assert_uint_eq(member.timeline, 0);
    ck_assert_int_eq(member.tags.failover_priority, 1);
    ck_assert_int_eq(read_member("{\"state\":null,\"new\":[1],\"timeline\":null}", &member),
                     ERR_OK);
}
END_TEST

/* "A value that starts with postgres is parsed as an old URL form." */
START_TEST(member_old_url)
{
    struct member member;
    ck_assert_int_eq(
        read_member("postgres://u@h:5432/p?application_name=http://h:8008/patroni", &member),
        ERR_OK);
    ck_assert_str_eq(member.conn_url, "postgres://u@h:5432/p");
    ck_assert_str_eq(member.api_url, "http://h:8008/patroni");
    ck_assert_int_eq(read_member("postgres://h:5432/p", &member), ERR_OK);
    ck_assert_str_eq(member.api_url, "");
}
END_TEST

START_TEST(member_extras)
{
    struct member member = { .state = MEMBER_RUNNING, .role = MEMBER_ROLE_REPLICA };
    auto_json json_t *extras = json_pack("{s:{}}", "pending_restart_reason");
    check_written(member_to_json(&member, extras),
                  "{\"state\":\"running\",\"role\":\"replica\",\"pending_restart_reason\":{}}");
}
END_TEST

static const char *const bad_members[] = {
    "",
    "[]",
    "nonsense",
    "{\"conn_url\":1}",
    "{\"api_url\":1}",
    "{\"version\":1}",
    "{\"state\":1}",
    "{\"role\":1}",
    "{\"replication_state\":1}",
    "{\"xlog_location\":\"x\"}",
    "{\"xlog_location\":-1}",
    "{\"receive_lsn\":-1}",
    "{\"replay_lsn\":-1}",
    "{\"timeline\":\"x\"}",
    "{\"timeline\":-1}",
    "{\"timeline\":4294967296}",
    "{\"pause\":1}",
    "{\"pending_restart\":1}",
    "{\"checkpoint_after_promote\":1}",
    "{\"tags\":1}",
};

START_TEST(member_refused)
{
    struct member member = { .timeline = 77 };
    ck_assert_int_eq(read_member(bad_members[_i], &member), ERR_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(err.text, "n1"));
    ck_assert_uint_eq(member.timeline, 77);
}
END_TEST

START_TEST(member_limits)
{
    struct member member;
    auto_text struct text json = text_new(LIMIT_FILE);
    char long_text[LIMIT_URL + 1];
    memset(long_text, 'x', LIMIT_URL);
    long_text[LIMIT_URL] = '\0';
    text_addf(&json, "{\"conn_url\":\"%s\"}", long_text);
    ck_assert_int_eq(read_member(text_str(&json), &member), ERR_LIMIT);
    text_clear(&json);
    text_addf(&json, "postgres://%s", long_text);
    ck_assert_int_eq(read_member(text_str(&json), &member), ERR_LIMIT);
    text_clear(&json);
    text_addf(&json, "postgres://h?application_name=%s", long_text);
    ck_assert_int_eq(read_member(text_str(&json), &member), ERR_LIMIT);
    ck_assert_int_eq(member_from_json("", "{}", 2, &member, &err), ERR_LIMIT);
    ck_assert_int_eq(member_from_json(long_text, "{}", 2, &member, &err), ERR_LIMIT);
}
END_TEST

/* ---- /sync ------------------------------------------------------------------------------ */

static enum err_code read_sync(const char *json, struct sync_state *sync)
{
    return sync_state_from_json(json, strlen(json), 9, sync, &err);
}

static void check_sync(const struct sync_state *sync, const char *expected)
{
    auto_text struct text text = text_new(LIMIT_FILE);
    sync_state_write(&text, sync);
    ck_assert_str_eq(text_str(&text), expected);
}

/* 3.2: names sorted, comma without blank, null for nobody. */
static const struct {
    const char *read, *written;
} syncs[] = {
    { "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":\"c,b\"}",
      "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":\"b,c\"}" },
    { "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":null}",
      "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":null}" },
    { "{}", "{\"leader\":null,\"quorum\":0,\"sync_standby\":null}" },
    { "{\"leader\":null,\"quorum\":2,\"sync_standby\":\" b , ,B,c, \"}",
      "{\"leader\":null,\"quorum\":2,\"sync_standby\":\"b,c\"}" },
    { "{\"leader\":\"a\",\"sync_standby\":\"\"}",
      "{\"leader\":\"a\",\"quorum\":0,\"sync_standby\":null}" },
};

START_TEST(sync_there_and_back)
{
    struct sync_state sync;
    ck_assert_int_eq(read_sync(syncs[_i].read, &sync), ERR_OK);
    ck_assert(sync.exists);
    ck_assert_int_eq(sync.mod_revision, 9);
    check_sync(&sync, syncs[_i].written);
}
END_TEST

static const char *const bad_syncs[] = {
    "",
    "x",
    "1",
    "{\"leader\":1}",
    "{\"sync_standby\":[]}",
    "{\"quorum\":\"1\"}",
    "{\"quorum\":-1}",
    "{\"quorum\":99999999999}",
};

START_TEST(sync_refused)
{
    struct sync_state sync = { .mod_revision = 77 };
    ck_assert_int_eq(read_sync(bad_syncs[_i], &sync), ERR_PROTOCOL);
    ck_assert_int_eq(sync.mod_revision, 77);
}
END_TEST

/* S1: nobody is left out silently. */
START_TEST(sync_limits)
{
    struct sync_state sync;
    auto_text struct text json = text_new(LIMIT_FILE);
    text_add(&json, "{\"sync_standby\":\"");
    for (int i = 0; i < LIMIT_MEMBERS; i++)
        text_addf(&json, "m%d,", i);
    text_add(&json, "M0\"}"); /* one that is there already is not one too many */
    ck_assert_int_eq(read_sync(text_str(&json), &sync), ERR_OK);
    ck_assert_uint_eq(sync.standbys.n, LIMIT_MEMBERS);
    json.len -= 2;
    text_add(&json, ",more\"}");
    ck_assert_int_eq(read_sync(text_str(&json), &sync), ERR_LIMIT);
    text_clear(&json);
    text_addf(&json, "{\"sync_standby\":\"%064d\"}", 1);
    ck_assert_int_eq(read_sync(text_str(&json), &sync), ERR_LIMIT);
    text_clear(&json);
    text_addf(&json, "{\"leader\":\"%064d\"}", 1);
    ck_assert_int_eq(read_sync(text_str(&json), &sync), ERR_LIMIT);
}
END_TEST

/* ---- our own claims --------------------------------------------------------------------- */

START_TEST(confirmed_there_and_back)
{
    static const char json[] = "{\"timeline\":3,\"history\":[[1,83886080],[2,100663296]],"
                               "\"lsn\":117440512}";
    struct timeline timeline;
    lsn_t lsn;
    auto_text struct text text = text_new(LIMIT_FILE);
    ck_assert_int_eq(confirmed_from_json(json, strlen(json), &timeline, &lsn, &err), ERR_OK);
    ck_assert_uint_eq(timeline.tli, 3);
    ck_assert_uint_eq(timeline.n, 2);
    ck_assert_uint_eq(timeline.entries[1].switch_at, 100663296);
    ck_assert_uint_eq(lsn, 117440512);
    confirmed_write(&text, &timeline, lsn);
    ck_assert_str_eq(text_str(&text), json);
}
END_TEST

/* S7 stops promotions: what is not a history must not be taken for one. */
static const char *const bad_confirmed[] = {
    "",
    "{}",
    "{\"lsn\":1}",
    "{\"lsn\":-1,\"timeline\":1,\"history\":[]}",
    "{\"lsn\":1,\"timeline\":0,\"history\":[]}",
    "{\"lsn\":1,\"timeline\":4294967296,\"history\":[]}",
    "{\"lsn\":1,\"timeline\":1}",
    "{\"lsn\":1,\"timeline\":1,\"history\":{}}",
    "{\"lsn\":1,\"timeline\":2,\"history\":[1]}",
    "{\"lsn\":1,\"timeline\":2,\"history\":[[1]]}",
    "{\"lsn\":1,\"timeline\":2,\"history\":[[1,\"x\"]]}",
    "{\"lsn\":1,\"timeline\":2,\"history\":[[\"x\",1]]}",
    "{\"lsn\":1,\"timeline\":2,\"history\":[[1,-1]]}",
    "{\"lsn\":1,\"timeline\":2,\"history\":[[0,1]]}",
    "{\"lsn\":1,\"timeline\":2,\"history\":[[4294967296,1]]}",
    "{\"lsn\":1,\"timeline\":2,\"history\":[[2,1]]}",
    "{\"lsn\":1,\"timeline\":3,\"history\":[[2,1],[1,2]]}",
    "{\"lsn\":1,\"timeline\":3,\"history\":[[1,2],[2,1]]}",
};

START_TEST(confirmed_refused)
{
    struct timeline timeline = { .tli = 77 };
    lsn_t lsn = 77;
    const char *json = bad_confirmed[_i];
    ck_assert_int_eq(confirmed_from_json(json, strlen(json), &timeline, &lsn, &err), ERR_PROTOCOL);
    ck_assert_uint_eq(timeline.tli, 77);
    ck_assert_uint_eq(lsn, 77);
}
END_TEST

START_TEST(confirmed_limit)
{
    struct timeline timeline;
    lsn_t lsn;
    auto_text struct text json = text_new(LIMIT_FILE);
    text_add(&json, "{\"lsn\":1,\"timeline\":1000,\"history\":[[1,1]");
    for (int i = 2; i <= LIMIT_TIMELINES + 1; i++)
        text_addf(&json, ",[%d,1]", i);
    text_add(&json, "]}");
    ck_assert_int_eq(confirmed_from_json(text_str(&json), json.len, &timeline, &lsn, &err),
                     ERR_LIMIT);
}
END_TEST

START_TEST(holder_there_and_back)
{
    static const char json[] = "{\"lease\":7587880123456789012,\"released\":true,\"name\":\"a\"}";
    struct lease_holder holder;
    auto_text struct text text = text_new(LIMIT_FILE);
    ck_assert_int_eq(lease_holder_from_json(json, strlen(json), 12, &holder, &err), ERR_OK);
    ck_assert(holder.exists && holder.released && !holder.lease_gone);
    ck_assert_int_eq(holder.lease_id, 7587880123456789012);
    ck_assert_int_eq(holder.mod_revision, 12);
    lease_holder_write(&text, &holder);
    ck_assert_str_eq(text_str(&text), json);
    text_clear(&text);
    lease_holder_write(&text, &(struct lease_holder){ .lease_id = 5, .lifted = true, .name = "b" });
    ck_assert_str_eq(text_str(&text),
                     "{\"lease\":5,\"released\":false,\"name\":\"b\",\"lifted\":true}");
    ck_assert_int_eq(lease_holder_from_json(text_str(&text), text.len, 1, &holder, &err), ERR_OK);
    ck_assert(holder.lifted && !holder.released);
    ck_assert_str_eq(holder.name, "b");
    ck_assert_int_eq(lease_holder_from_json("{\"lease\":5}", 11, 1, &holder, &err), ERR_OK);
    ck_assert(!holder.released);
}
END_TEST

START_TEST(holder_refused)
{
    static const char *const bad[] = { "", "{}", "{\"lease\":\"x\"}",
                                       "{\"lease\":1,\"released\":1}" };
    struct lease_holder holder = { .lease_id = 77 };
    ck_assert_int_eq(lease_holder_from_json(bad[_i], strlen(bad[_i]), 1, &holder, &err),
                     ERR_PROTOCOL);
    ck_assert_int_eq(holder.lease_id, 77);
}
END_TEST

/* ---- /status ---------------------------------------------------------------------------- */

START_TEST(status_there_and_back)
{
    static const char *const both[] = {
        "{\"optime\":83886080,\"slots\":{\"n2\":83886000},\"retain_slots\":[\"n3\"]}",
        "{\"optime\":0}",
    };
    struct status status;
    auto_text struct text text = text_new(LIMIT_FILE);
    ck_assert_int_eq(status_from_json(both[_i], strlen(both[_i]), &status, &err), ERR_OK);
    status_write(&text, &status);
    ck_assert_str_eq(text_str(&text), both[_i]);
}
END_TEST

/* The old key optime/leader is a bare number; what is no slot is left out. */
START_TEST(status_odd)
{
    static const char json[] = "{\"slots\":{\"a\":-1,\"b\":\"x\",\"c\":1},\"retain_slots\":[1]}";
    struct status status;
    ck_assert_int_eq(status_from_json("123", 3, &status, &err), ERR_OK);
    ck_assert_uint_eq(status.optime, 123);
    ck_assert_int_eq(status_from_json(json, strlen(json), &status, &err), ERR_OK);
    ck_assert_uint_eq(status.n_slots, 1);
    ck_assert_uint_eq(status.n_retain, 0);
}
END_TEST

START_TEST(status_limits)
{
    struct status status;
    auto_text struct text json = text_new(LIMIT_FILE);
    text_addf(&json, "{\"optime\":1,\"slots\":{\"%064d\":1", 1);
    for (int i = 0; i <= LIMIT_SLOTS; i++)
        text_addf(&json, ",\"s%d\":1", i);
    text_addf(&json, "},\"retain_slots\":[\"%064d\"", 1);
    for (int i = 0; i <= LIMIT_SLOTS; i++)
        text_addf(&json, ",\"s%d\"", i);
    text_add(&json, "]}");
    ck_assert_int_eq(status_from_json(text_str(&json), json.len, &status, &err), ERR_OK);
    ck_assert_uint_eq(status.n_slots, LIMIT_SLOTS);
    ck_assert_uint_eq(status.n_retain, LIMIT_SLOTS);
}
END_TEST

START_TEST(status_refused)
{
    static const char *const bad[] = { "",
                                       "-1",
                                       "[]",
                                       "{\"optime\":-1}",
                                       "{\"optime\":\"x\"}",
                                       "{\"slots\":1}",
                                       "{\"retain_slots\":1}" };
    struct status status = { .optime = 77 };
    ck_assert_int_eq(status_from_json(bad[_i], strlen(bad[_i]), &status, &err), ERR_PROTOCOL);
    ck_assert_uint_eq(status.optime, 77);
}
END_TEST

#define COUNT(rows) (int)(sizeof(rows) / sizeof((rows)[0]))

static TCase *members_case(void)
{
    TCase *tc = tcase_create("members");
    tcase_add_loop_test(tc, tags_as_published, 0, COUNT(published));
    tcase_add_loop_test(tc, tag_priorities, 0, COUNT(priorities));
    tcase_add_test(tc, tags_none);
    tcase_add_test(tc, tags_filter);
    tcase_add_test(tc, tags_limits);
    tcase_add_loop_test(tc, member_there_and_back, 0, COUNT(member_texts));
    tcase_add_test(tc, member_fields);
    tcase_add_test(tc, member_old_url);
    tcase_add_test(tc, member_extras);
    tcase_add_loop_test(tc, member_refused, 0, COUNT(bad_members));
    tcase_add_test(tc, member_limits);
    return tc;
}

static void check_trace(const struct lease *lease, const char *expected)
{
    auto_text struct text text = text_new(LIMIT_FILE);
    lease_trace_write(&text, lease, (struct mono){ 50000 });
    ck_assert_str_eq(text_str(&text), expected);
}

/* I1: who finds the key gone waits for as long as a trace says; after the ttl was lowered what was held
 * before still is. */
START_TEST(trace_covers_the_holding)
{
    struct lease lease = { .id = 7, .ttl_ms = 3000 };
    check_trace(&lease, "{\"lease\":7,\"ttl\":3}");
    lease.held_until = (struct mono){ 58001 };
    check_trace(&lease, "{\"lease\":7,\"ttl\":3}");
    lease.held_once = true;
    check_trace(&lease, "{\"lease\":7,\"ttl\":9}");
    lease.held_until = (struct mono){ 52999 };
    check_trace(&lease, "{\"lease\":7,\"ttl\":3}");
    lease.held_until = (struct mono){ 40000 };
    check_trace(&lease, "{\"lease\":7,\"ttl\":3}");
}
END_TEST

static TCase *keys_case(void)
{
    TCase *tc = tcase_create("keys");
    tcase_add_loop_test(tc, sync_there_and_back, 0, COUNT(syncs));
    tcase_add_loop_test(tc, sync_refused, 0, COUNT(bad_syncs));
    tcase_add_test(tc, sync_limits);
    tcase_add_test(tc, confirmed_there_and_back);
    tcase_add_loop_test(tc, confirmed_refused, 0, COUNT(bad_confirmed));
    tcase_add_test(tc, confirmed_limit);
    tcase_add_test(tc, holder_there_and_back);
    tcase_add_loop_test(tc, holder_refused, 0, 4);
    tcase_add_test(tc, trace_covers_the_holding);
    tcase_add_loop_test(tc, status_there_and_back, 0, 2);
    tcase_add_test(tc, status_odd);
    tcase_add_test(tc, status_limits);
    tcase_add_loop_test(tc, status_refused, 0, 7);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("wire forms");
    suite_add_tcase(suite, members_case());
    suite_add_tcase(suite, keys_case());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
