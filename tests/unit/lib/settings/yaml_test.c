#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "settings/yaml.h"
#include "settings/yaml_scalar.h"
#include "json/json.h"

static struct err err;

static void check_json(const json_t *json, const char *expected)
{
    struct text text = text_new(LIMIT_FILE);
    json_write(&text, json);
    ck_assert_str_eq(text_str(&text), expected);
    text_done(&text);
}

/* Plain scalars mean what PyYAML makes of them; quoted ones are texts. */
static const struct {
    const char *scalar, *json;
} scalars[] = {
    { "on", "true" },
    { "Yes", "true" },
    { "TRUE", "true" },
    { "off", "false" },
    { "No", "false" },
    { "false", "false" },
    { "y", "\"y\"" },
    { "oN", "\"oN\"" },
    { "~", "null" },
    { "null", "null" },
    { "", "null" },
    { "0", "0" },
    { "-5", "-5" },
    { "+5", "5" },
    { "1_000", "1000" },
    { "0x1F", "31" },
    { "0b101", "5" },
    { "0644", "\"0644\"" },
    { "0x", "\"0x\"" },
    { "0b12", "\"0b12\"" },
    { "1.5", "1.5" },
    { "-.5", "-0.5" },
    { "1.", "1.0" },
    { "1e3", "\"1e3\"" },
    { "1.0e+3", "1000.0" },
    { "1.0e3", "\"1.0e3\"" },
    { "1.5.6", "\"1.5.6\"" },
    { ".", "\".\"" },
    { "-", "\"-\"" },
    { "10.0.0.1:8008", "\"10.0.0.1:8008\"" },
    { "1:30", "\"1:30\"" },
    { "64MB", "\"64MB\"" },
    { "9223372036854775807", "9223372036854775807" },
    { "9223372036854775808", "\"9223372036854775808\"" },
    { "*", "\"*\"" },
    { "_", "\"_\"" },
    { "5f", "\"5f\"" },
};

START_TEST(plain_scalars)
{
    json_t *value = yaml_scalar(scalars[_i].scalar);
    check_json(value, scalars[_i].json);
    json_decref(value);
}
END_TEST

static const struct {
    const char *yaml, *json;
} documents[] = {
    { "", "{}" },
    { "# nothing\n", "{}" },
    { "a: 1\nb: [x, 'on', \"5\", on]\n", "{\"a\":1,\"b\":[\"x\",\"on\",\"5\",true]}" },
    { "a:\n  b:\n    - c: d\n    -\n", "{\"a\":{\"b\":[{\"c\":\"d\"},null]}}" },
    { "{\"json\": [1, null, true]}", "{\"json\":[1,null,true]}" },
    { "on: 1\n5: x\n", "{\"on\":1,\"5\":\"x\"}" },
    { "---\na: 1\n...\n", "{\"a\":1}" },
    { "x: &base {a: 1, b: 2}\ny: {<<: *base, b: 3}\n",
      "{\"x\":{\"a\":1,\"b\":2},\"y\":{\"b\":3,\"a\":1}}" },
    { "x: &p {a: 1}\nq: &q {b: 2}\ny: {<<: [*p, *q], c: 3}\n",
      "{\"x\":{\"a\":1},\"q\":{\"b\":2},\"y\":{\"c\":3,\"a\":1,\"b\":2}}" },
    { "t: |\n  two\n  lines\n", "{\"t\":\"two\\nlines\\n\"}" },
    { "- 1\n", "[1]" },
};

START_TEST(reads_documents)
{
    json_t *tree;
    const char *yaml = documents[_i].yaml;
    ck_assert_int_eq(yaml_parse(yaml, strlen(yaml), "f", &tree, &err), ERR_OK);
    check_json(tree, documents[_i].json);
    json_decref(tree);
}
END_TEST

/* The message says the file and the place. */
static const struct {
    const char *yaml, *place;
} bad[] = {
    { "a: [1\n", "f: line 2" },
    { "a: b: c\n", "f: line 1, column 5" },
    { "\n{1: 2, [a]: 3}\n", "f: line 2, column 8" },
    { "a: \"x\\0y\"\n", "zero byte" },
    { "\"x\\0y\": 1\n", "zero byte" },
    { "<<: 5\n", "wants a mapping" },
    { "<<: [5]\n", "wants mappings" },
    { "a: *nobody\n", "f: line 1" },
    { "a: \t- \x01\n", "f: line" },
    { "a: 1\nb: 2\na: 3\n", "f: line 3, column 1: the key a is there twice" },
    { "a:\n  b: 1\n  'b': 1\n", "f: line 3, column 3: the key b is there twice" },
    { "a: 1\n---\nb: 2\n", "f: line 2: a second document" },
    { "a: 1\nb: [\n---\n", "f: line 3" },
    { "a: 1\n--- [\n", "f: line 3" },
    { "a: 1\nb: \"\xff\"\n", "f: line 2" },
    { "a: 1\n\nb: \x01\n", "f: line 3" },
};

START_TEST(refuses_others)
{
    json_t *tree = NULL;
    const char *yaml = bad[_i].yaml;
    ck_assert_int_eq(yaml_parse(yaml, strlen(yaml), "f", &tree, &err), ERR_INVALID);
    ck_assert_msg(strstr(err.text, bad[_i].place) != NULL, "%s", err.text);
    ck_assert_ptr_null(tree);
}
END_TEST

/* A22: depth, and aliases that would make a large tree out of a small file; a loop is deep, too. */
START_TEST(limits)
{
    json_t *tree = NULL;
    struct text yaml = text_new(3 * LIMIT_FILE);
    for (int i = 0; i < 100; i++)
        text_add(&yaml, "[");
    for (int i = 0; i < 100; i++)
        text_add(&yaml, "]");
    ck_assert_int_eq(yaml_parse(text_str(&yaml), yaml.len, "f", &tree, &err), ERR_LIMIT);
    text_clear(&yaml);
    text_add(&yaml, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++)
        text_addf(&yaml, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1,
                  i - 1, i - 1, i - 1);
    ck_assert_int_eq(yaml_parse(text_str(&yaml), yaml.len, "f", &tree, &err), ERR_LIMIT);
    text_clear(&yaml);
    text_add(&yaml, "a: &a [*a]\n");
    ck_assert_int_ne(yaml_parse(text_str(&yaml), yaml.len, "f", &tree, &err), ERR_OK);
    text_clear(&yaml);
    for (int i = 0; i <= LIMIT_FILE; i += 8)
        text_add(&yaml, "#######\n");
    ck_assert_int_eq(yaml_parse(text_str(&yaml), yaml.len, "f", &tree, &err), ERR_LIMIT);
    text_done(&yaml);
    ck_assert_ptr_null(tree);
}
END_TEST

/* What is written is read back as the same tree, whatever the texts look like. */
static const char *const trees[] = {
    "{}",
    "{\"ttl\":10,\"pause\":false,\"x\":null,\"r\":0.5,\"postgresql\":{\"parameters\":{\"a\":\"on\","
    "\"b\":\"5\",\"c\":\"0x1\",\"d\":\"1.5\",\"e\":\"\",\"f\":\"~\",\"g\":\"- x\",\"h\":\"a: b\","
    "\"i\":\"#c\",\"j\":\" blank \",\"k\":\"two\\nlines\",\"l\":\"\u00e4\",\"m\":\"'\",\"n\":\"\\\"\"},"
    "\"pg_hba\":[\"host all all 0.0.0.0/0 md5\",\"local all all trust\"],\"empty\":[],\"on\":1,"
    "\"<<\":\"<<\"}}",
    "[[1,[2,{\"a\":[]}]]]",
};

START_TEST(writes_and_reads_back)
{
    json_t *tree = json_loads(trees[_i], 0, NULL), *back;
    struct text yaml = text_new(LIMIT_FILE);
    yaml_write(&yaml, tree);
    ck_assert_int_eq(yaml_parse(text_str(&yaml), yaml.len, "f", &back, &err), ERR_OK);
    ck_assert_msg(json_equal(tree, back), "%s", text_str(&yaml));
    json_decref(tree);
    json_decref(back);
    text_done(&yaml);
}
END_TEST

START_TEST(writes_blocks)
{
    json_t *tree =
        json_loads("{\"ttl\":10,\"pg\":{\"hba\":[\"a b\",\"on\"],\"n\":\"5\"}}", 0, NULL);
    struct text yaml = text_new(LIMIT_FILE);
    yaml_write(&yaml, tree);
    ck_assert_str_eq(text_str(&yaml), "ttl: 10\npg:\n  hba:\n  - a b\n  - 'on'\n  n: '5'\n");
    json_decref(tree);
    text_done(&yaml);
}
END_TEST

#define COUNT(rows) (int)(sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    Suite *suite = suite_create("yaml");
    TCase *tc = tcase_create("yaml");
    tcase_add_loop_test(tc, plain_scalars, 0, COUNT(scalars));
    tcase_add_loop_test(tc, reads_documents, 0, COUNT(documents));
    tcase_add_loop_test(tc, refuses_others, 0, COUNT(bad));
    tcase_add_test(tc, limits);
    tcase_add_loop_test(tc, writes_and_reads_back, 0, COUNT(trees));
    tcase_add_test(tc, writes_blocks);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
