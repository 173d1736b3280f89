#include "json/json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"

static json_t *parse(const char *text)
{
    json_t *json = NULL;
    struct err err;
    ck_assert_msg(json_parse(text, strlen(text), "test", &json, &err) == ERR_OK, "%s", text);
    return json;
}

/* Every failure names the object and the key, and leaves the output alone. */
START_TEST(messages_name_the_path)
{
    auto_json json_t *json = parse("{\"timeline\": \"x\", \"b\": 1, \"none\": null}");
    struct json_reader reader = { json, "members/a" };
    struct err err;
    int64_t value = 42;
    const char *string = "kept";
    bool flag = true;
    const json_t *object = NULL;
    char small[2] = "k";
    ck_assert_int_eq(json_get_int(reader, "timeline", &value, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "members/a: timeline: not an integer");
    ck_assert_int_eq(json_get_int(reader, "none", &value, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "members/a: none: missing");
    ck_assert_int_eq(json_get_string(reader, "b", &string, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "members/a: b: not a string");
    ck_assert_int_eq(json_opt_bool(reader, "b", false, &flag, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "members/a: b: not a boolean");
    ck_assert_int_eq(json_get_object(reader, "b", &object, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "members/a: b: not an object");
    ck_assert_int_eq(json_opt_array(reader, "b", &object, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "members/a: b: not an array");
    struct json_reader nested = { json_object_get(json, "b"), "members/a: b" };
    ck_assert_int_eq(json_opt_int(nested, "c", 1, &value, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "members/a: b: not an object");
    auto_json json_t *longer = parse("{\"n\": \"abc\"}");
    ck_assert_int_eq(json_copy_string((struct json_reader){ longer, "m" }, "n", small, 2, &err),
                     ERR_LIMIT);
    ck_assert_str_eq(err.text, "m: n: longer than 1 bytes");
    ck_assert_int_eq(value, 42);
    ck_assert_str_eq(string, "kept");
    ck_assert_str_eq(small, "k");
    ck_assert(flag);
}
END_TEST

/* Values that are there come out; absent and null give the fallback. */
START_TEST(values)
{
    auto_json json_t *json = parse("{\"i\": -9007199254740993, \"s\": \"\\u00e4\", \"t\": true,"
                                   " \"f\": false, \"o\": {}, \"a\": [], \"n\": null}");
    struct json_reader reader = { json, "x" };
    int64_t value = 0;
    const char *string = NULL;
    bool flag = false;
    const json_t *object = NULL;
    ck_assert_int_eq(json_get_int(reader, "i", &value, NULL), ERR_OK);
    ck_assert_int_eq(value, -9007199254740993);
    ck_assert_int_eq(json_get_string(reader, "s", &string, NULL), ERR_OK);
    ck_assert_str_eq(string, "\xc3\xa4");
    ck_assert_int_eq(json_get_bool(reader, "t", &flag, NULL), ERR_OK);
    ck_assert(flag);
    ck_assert_int_eq(json_get_bool(reader, "f", &flag, NULL), ERR_OK);
    ck_assert(!flag);
    ck_assert_int_eq(json_get_object(reader, "o", &object, NULL), ERR_OK);
    ck_assert_int_eq(json_get_array(reader, "a", &object, NULL), ERR_OK);
    ck_assert_int_eq(json_opt_int(reader, "n", 7, &value, NULL), ERR_OK);
    ck_assert_int_eq(value, 7);
    ck_assert_int_eq(json_opt_string(reader, "absent", "d", &string, NULL), ERR_OK);
    ck_assert_str_eq(string, "d");
    ck_assert_int_eq(json_opt_object(reader, "n", &object, NULL), ERR_OK);
    ck_assert_ptr_null(object);
    ck_assert_int_eq(json_opt_bool(reader, "absent", true, &flag, NULL), ERR_OK);
    ck_assert(flag);
}
END_TEST

START_TEST(parse_error_says_where)
{
    json_t *json = NULL;
    struct err err;
    ck_assert_int_eq(json_parse("{\"a\": ]", 7, "config", &json, &err), ERR_PROTOCOL);
    ck_assert_str_eq(err.text, "config: not JSON: unexpected token near ']' (line 1, column 7)");
    ck_assert_ptr_null(json);
}
END_TEST

/* Each line is what Python 3's json.dumps gave for it, with the default and the compact separators. */
static const struct {
    const char *spaced;
    const char *compact;
} python[] = {
    { "{\"b\": 1, \"a\": [1, 2], \"c\": {}}", "{\"b\":1,\"a\":[1,2],\"c\":{}}" },
    { "[1.0, 0.5, 0.1, -0.0, 100.25, 123456789.123]", "[1.0,0.5,0.1,-0.0,100.25,123456789.123]" },
    { "[1e+16, 1000000000000000.0, 1e-05, 0.0001, 1e+22, 1.5e+300, 1.7976931348623157e+308]",
      "[1e+16,1000000000000000.0,1e-05,0.0001,1e+22,1.5e+300,1.7976931348623157e+308]" },
    { "[5e-324, -2.5e-07, 3.141592653589793, 9007199254740993]",
      "[5e-324,-2.5e-07,3.141592653589793,9007199254740993]" },
    { "\"\\u00e4\\u20ac\\ud83d\\ude00\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\"",
      "\"\\u00e4\\u20ac\\ud83d\\ude00\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\"" },
    { "[true, false, null, [], [[]], \"\"]", "[true,false,null,[],[[]],\"\"]" },
};

START_TEST(writes_as_python)
{
    auto_json json_t *json = parse(python[_i].spaced);
    auto_text struct text spaced = text_new(1000);
    auto_text struct text compact = text_new(1000);
    json_write_python(&spaced, json);
    json_write(&compact, json);
    ck_assert_str_eq(text_str(&spaced), python[_i].spaced);
    ck_assert_str_eq(text_str(&compact), python[_i].compact);
}
END_TEST

int main(void)
{
    json_setup();
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("json");
    tcase_add_test(tcase, messages_name_the_path);
    tcase_add_test(tcase, values);
    tcase_add_test(tcase, parse_error_says_where);
    tcase_add_loop_test(tcase, writes_as_python, 0, sizeof(python) / sizeof(python[0]));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
