/* The JSON of GET /pgvigil/etcd (E1), and whom etcd hears (E3). */
#include "sidecar/etcd_member/formation.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "json/json.h"

static enum err_code parse(const char *body, const char *name, struct member_word *word)
{
    return formation_parse(body, strlen(body), name, word, NULL);
}

/* What one sidecar writes the other reads. */
START_TEST(round_trip)
{
    const struct member_word word = {
        .data = true,
        .mark = true,
        .cluster_id = 0xffb905e58512c507,
        .member_id = 0xee606ef98683f60,
        .generation = 2,
        .wants = true,
        .tries = 3,
        .running = true,
        .voter = true,
        .witness = true,
        .n_heard = 2,
        .heard = { { 0xee606ef98683f60, 12000 }, { 1, 0 } },
    };
    struct member_word back = { 0 };
    auto_text struct text json = text_new(FORMATION_MAX);
    formation_write(&json, "n\"1", &word, "calm\n");
    ck_assert_int_eq(parse(text_str(&json), "n\"1", &back), ERR_OK);
    auto_text struct text again = text_new(FORMATION_MAX);
    formation_write(&again, "n\"1", &back, "calm\n");
    ck_assert_str_eq(text_str(&json), text_str(&again));
    ck_assert(back.data && back.voter && back.witness && back.n_heard == 2);
    ck_assert_uint_eq(back.heard[0].id, word.heard[0].id);
}
END_TEST

/* E1: `data`, `pgdata` and `mark` are the contract. */
START_TEST(contract)
{
    auto_text struct text json = text_new(FORMATION_MAX);
    formation_write(&json, "n1", &(struct member_word){ .pgdata = true }, "");
    auto_json json_t *object = NULL;
    ck_assert_int_eq(json_parse(text_str(&json), json.len, "n1", &object, NULL), ERR_OK);
    ck_assert(json_is_false(json_object_get(object, "data")));
    ck_assert(json_is_true(json_object_get(object, "pgdata")));
    ck_assert(json_is_false(json_object_get(object, "mark")));
    ck_assert(json_is_null(json_object_get(object, "wants")));
}
END_TEST

/* E1: who has not looked at its disk yet, or is somebody else, has not answered. */
START_TEST(no_answer)
{
    struct member_word word;
    auto_text struct text json = text_new(FORMATION_MAX);
    formation_write_starting(&json, "n1");
    ck_assert_int_eq(parse(text_str(&json), "n1", &word), ERR_PROTOCOL);
    text_clear(&json);
    formation_write(&json, "n2", &(struct member_word){ 0 }, "");
    ck_assert_int_eq(parse(text_str(&json), "n1", &word), ERR_PROTOCOL);
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"name\": \"n1\"}",
        "{\"name\": \"n1\", \"data\": 0, \"pgdata\": false, \"mark\": false}",
        "{\"name\": \"n1\", \"data\": false, \"pgdata\": false}",
        "{\"name\": \"n1\", \"data\": false, \"pgdata\": false, \"mark\": false, \"cluster\": 1}",
    };
    for (size_t at = 0; at < sizeof(wrong) / sizeof(wrong[0]); at++)
        ck_assert_int_eq(parse(wrong[at], "n1", &word), ERR_PROTOCOL);
}
END_TEST

/* The largest word fits its buffer. */
START_TEST(fits)
{
    struct member_word word = { .n_heard = LIMIT_MEMBERS };
    char says[LIMIT_REASON];
    char name[LIMIT_NAME];
    memset(says, '"', sizeof(says) - 1);
    memset(name, 'n', sizeof(name) - 1);
    says[sizeof(says) - 1] = name[sizeof(name) - 1] = '\0';
    for (size_t at = 0; at < LIMIT_MEMBERS; at++)
        word.heard[at] = (struct member_heard){ UINT64_MAX, INT64_MAX };
    auto_text struct text json = text_new(FORMATION_MAX);
    formation_write(&json, name, &word, says);
    ck_assert(!json.overflow);
}
END_TEST

/* E3: as etcd 3.5.16 words its metrics. */
START_TEST(heard)
{
    static const char metrics[] =
        "# HELP etcd_network_active_peers The current number of active peer connections.\n"
        "etcd_network_active_peers{Local=\"82c2\",Remote=\"628170c800dbcee\"} 1\n"
        "etcd_network_active_peers{Local=\"82c2\",Remote=\"84d295b27093a4bc\"} 0\n"
        "etcd_network_peer_received_bytes_total{From=\"0\"} 660\n"
        "etcd_network_peer_received_bytes_total{From=\"628170c800dbcee\"} 1.2345e+06\n"
        "etcd_network_peer_received_bytes_total{From=\"84d295b27093a4bc\"} 7732\n"
        "etcd_network_peer_received_bytes_total{From=\"99";
    struct heard_sample samples[4];
    ck_assert_uint_eq(heard_parse(metrics, samples, 4), 3);
    ck_assert_uint_eq(samples[0].id, 0x628170c800dbcee);
    ck_assert(samples[0].connected && samples[0].bytes == 1.2345e+06);
    ck_assert_uint_eq(samples[1].id, 0x84d295b27093a4bc);
    ck_assert(!samples[1].connected && samples[1].bytes == 7732.0);
    ck_assert_uint_eq(heard_parse(metrics, samples, 1), 1);
    ck_assert_uint_eq(heard_parse("", samples, 4), 0);
}
END_TEST

int main(void)
{
    json_setup();
    Suite *suite = suite_create("formation");
    TCase *tcase = tcase_create("json");
    tcase_add_test(tcase, round_trip);
    tcase_add_test(tcase, contract);
    tcase_add_test(tcase, no_answer);
    tcase_add_test(tcase, fits);
    tcase_add_test(tcase, heard);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
