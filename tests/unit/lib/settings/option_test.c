#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "settings/config.h"
#include "settings/option.h"
#include "settings/settings.h"
#include "json/json.h"

static struct err err;

/* PostgreSQL's units. */
static const struct {
    const char *text, *base;
    bool good;
    int64_t value;
} units[] = {
    { "30", "s", true, 30 },       { "30min", "s", true, 1800 },
    { "1h", "s", true, 3600 },     { "1d", "s", true, 86400 },
    { "500ms", "s", true, 1 },     { "499ms", "s", true, 0 },
    { "1.5h", "s", true, 5400 },   { "10 s", "s", true, 10 },
    { "-1", "B", true, -1 },       { "-1500ms", "s", true, -2 },
    { "1MB", "B", true, 1048576 }, { "16kB", "B", true, 16384 },
    { "1GB", "MB", true, 1024 },   { "1TB", "B", true, 1099511627776 },
    { "1us", "ms", true, 0 },      { "1mb", "B", false, 0 },
    { "1MB", "s", false, 0 },      { "1s", "B", false, 0 },
    { "", "s", false, 0 },         { "x", "s", false, 0 },
    { "s", "s", false, 0 },        { "-", "s", false, 0 },
    { "5 x", "s", false, 0 },      { "nan", "s", false, 0 },
    { "1e300", "s", false, 0 },    { "-1e300", "s", false, 0 },
    { "5", "furlong", false, 0 },  { ":", "s", false, 0 },
};

START_TEST(reads_units)
{
    int64_t value = 77;
    ck_assert_int_eq(option_parse_unit(units[_i].text, units[_i].base, &value), units[_i].good);
    ck_assert_int_eq(value, units[_i].good ? units[_i].value : 77);
}
END_TEST

START_TEST(reads_booleans)
{
    static const struct {
        const char *text;
        bool good, value;
    } rows[] = {
        { "on", true, true },    { "OFF", true, false },   { "of", true, false },
        { "t", true, true },     { "False", true, false }, { "y", true, true },
        { "n", true, false },    { "1", true, true },      { "0", true, false },
        { "o", false, false },   { "", false, false },     { "maybe", false, false },
        { "onn", false, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool value = false;
        ck_assert_msg(option_parse_bool(rows[i].text, &value) == rows[i].good, "%s", rows[i].text);
        ck_assert_int_eq(value, rows[i].value);
    }
}
END_TEST

/* The table itself: every path once, every default good, every row explained. */
START_TEST(table_is_well_formed)
{
    struct option_table all = option_table();
    ck_assert_uint_eq(all.n, config_options().n + settings_options().n);
    for (size_t i = 0; i < all.n; i++) {
        const struct option *row = &all.rows[i];
        ck_assert_ptr_eq(option_find(all, row->path), row);
        ck_assert_str_ne(row->help, "");
        ck_assert_uint_ne(row->where, 0);
        ck_assert(row->type != OPTION_CHOICE || row->choices != NULL);
        ck_assert((row->where & OPTION_ENV) == 0 || row->env != NULL);
        bool setting = (row->where & OPTION_STORE) != 0;
        ck_assert_int_eq(setting, i >= config_options().n);
        for (size_t j = 0; j < i && row->env != NULL; j++)
            ck_assert(all.rows[j].env == NULL || strcmp(all.rows[j].env, row->env) != 0);
    }
    ck_assert_ptr_null(option_find(all, "nonsense"));
}
END_TEST

START_TEST(defaults)
{
    struct config config = { .name = NULL };
    struct settings settings = { .ttl_s = 0 };
    option_set_defaults(config_options(), &config);
    option_set_defaults(settings_options(), &settings);
    ck_assert_str_eq(config.postgresql.database, "postgres");
    ck_assert_str_eq(config.postgresql.create_replica_methods.item[0], "basebackup");
    ck_assert_ptr_null(config.name);
    ck_assert_int_eq(settings.ttl_s, 30);
    ck_assert_int_eq(settings.member_slots_ttl_s, 1800);
    ck_assert_int_eq(settings.maximum_lag_on_syncnode, -1);
    ck_assert_int_eq(settings.synchronous_mode, SYNC_OFF);
    option_done(config_options(), &config);
    option_done(settings_options(), &settings);
    ck_assert_ptr_null(config.postgresql.database);
}
END_TEST

/* ---- one value of each type ------------------------------------------------------------- */

struct fields {
    char *text;
    bool truth;
    int64_t number;
    int choice;
    struct text_list list;
    json_t *tree;
};

#define FIELD(type_, field_, ...)                                                                  \
    { .path = #field_, .type = type_, .offset = offsetof(struct fields, field_), __VA_ARGS__ }

enum {
    TEXT,
    SECRET,
    TRUTH,
    NUMBER,
    SECONDS,
    BYTES,
    CHOICE,
    LIST,
    LINES,
    ANY,
    OBJECT,
    ARRAY,
    KINDS
};

static const struct option kinds[KINDS] = {
    [TEXT] = FIELD(OPTION_TEXT, text, .fallback = "none"),
    [SECRET] = FIELD(OPTION_SECRET, text),
    [TRUTH] = FIELD(OPTION_BOOL, truth),
    [NUMBER] = FIELD(OPTION_INT, number, .min = 1, .max = 10),
    [SECONDS] = FIELD(OPTION_DURATION, number),
    [BYTES] = FIELD(OPTION_BYTES, number, .min = -1),
    [CHOICE] = FIELD(OPTION_CHOICE, choice, .choices = "off|on|quorum"),
    [LIST] = FIELD(OPTION_LIST, list, .max = 3),
    [LINES] = FIELD(OPTION_LIST, list, .shape = OPTION_TEXTS),
    [ANY] = FIELD(OPTION_TREE, tree),
    [OBJECT] = FIELD(OPTION_TREE, tree, .shape = OPTION_OBJECT),
    [ARRAY] = FIELD(OPTION_TREE, tree, .shape = OPTION_ARRAY),
};

static void show(int kind, const struct fields *fields, struct text *to)
{
    switch (kinds[kind].type) {
    case OPTION_TEXT:
    case OPTION_SECRET:
        text_add(to, fields->text == NULL ? "(none)" : fields->text);
        return;
    case OPTION_BOOL:
        text_add(to, fields->truth ? "true" : "false");
        return;
    case OPTION_INT:
    case OPTION_DURATION:
    case OPTION_BYTES:
        text_addf(to, "%lld", (long long)fields->number);
        return;
    case OPTION_CHOICE:
        text_addf(to, "%d", fields->choice);
        return;
    case OPTION_LIST:
        for (size_t i = 0; i < fields->list.n; i++)
            text_addf(to, "%s[%s]", i == 0 ? "" : " ", fields->list.item[i]);
        return;
    case OPTION_TREE:
        json_write(to, fields->tree);
        return;
    }
}

/* A good value is taken; a bad one says what was expected and leaves the field as it was. */
static const struct {
    int kind;
    const char *json;
    const char *shown; /* NULL: refused */
    const char *said;
} values[] = {
    { TEXT, "\"x\"", "x", NULL },
    { TEXT, "5", "5", NULL },
    { TEXT, "1.5", "1.5", NULL },
    { TEXT, "null", "none", NULL },
    { TEXT, "true", NULL, "expected a text (quote it), not true" },
    { TEXT, "[]", NULL, "expected a text, not []" },
    { SECRET, "\"geheim\"", "geheim", NULL },
    { SECRET, "[\"geheim\"]", NULL, "expected a text (the value is not shown)" },
    { SECRET, "null", "(none)", NULL },
    { TRUTH, "true", "true", NULL },
    { TRUTH, "false", "false", NULL },
    { TRUTH, "\"on\"", "true", NULL },
    { TRUTH, "1", "true", NULL },
    { TRUTH, "0", "false", NULL },
    { TRUTH, "2", NULL, "expected true or false, not 2" },
    { TRUTH, "-1", NULL, "expected true or false, not -1" },
    { TRUTH, "\"maybe\"", NULL, "expected true or false, not \"maybe\"" },
    { TRUTH, "{}", NULL, "expected true or false, not {}" },
    { NUMBER, "5", "5", NULL },
    { NUMBER, "\"5\"", "5", NULL },
    { NUMBER, "\"5x\"", NULL, "expected a whole number, not \"5x\"" },
    { NUMBER, "\"\"", NULL, "expected a whole number" },
    { NUMBER, "\"99999999999999999999\"", NULL, "expected a whole number" },
    { NUMBER, "5.5", NULL, "expected a whole number, not 5.5" },
    { NUMBER, "true", NULL, "expected a whole number, not true" },
    { NUMBER, "0", NULL, "0 is less than the minimum of 1" },
    { NUMBER, "11", NULL, "11 is more than the maximum of 10" },
    { SECONDS, "90", "90", NULL },
    { SECONDS, "\"2min\"", "120", NULL },
    { SECONDS, "\"2MB\"", NULL, "expected a time such as 10 or 30min" },
    { BYTES, "\"2kB\"", "2048", NULL },
    { BYTES, "-1", "-1", NULL },
    { BYTES, "\"2min\"", NULL, "expected a size such as 1048576 or 1MB" },
    { CHOICE, "\"Quorum\"", "2", NULL },
    { CHOICE, "true", "1", NULL },
    { CHOICE, "false", "0", NULL },
    { CHOICE, "\"o\"", NULL, "expected one of off|on|quorum, not \"o\"" },
    { CHOICE, "\"xx\"", NULL, "expected one of" },
    { CHOICE, "5", NULL, "expected one of" },
    { LIST, "[\"a\",5]", "[a] [5]", NULL },
    { LIST, "\"a, b ,,c\"", "[a] [b] [c]", NULL },
    { LIST, "\"\"", "", NULL },
    { LIST, "[true]", NULL, "expected a text as item of the list, not true" },
    { LIST, "{}", NULL, "expected a list of texts, not {}" },
    { LIST, "[1,2,3,4]", NULL, "more than 3 items" },
    { LINES, "\"host a b, c\\n local all\\n\"", "[host a b, c] [local all]", NULL },
    { ANY, "[1]", "[1]", NULL },
    { ANY, "{\"a\":1}", "{\"a\":1}", NULL },
    { ANY, "5", NULL, "expected a list or a mapping, not 5" },
    { OBJECT, "[]", NULL, "expected a mapping of keys to values, not []" },
    { OBJECT, "{}", "{}", NULL },
    { ARRAY, "{}", NULL, "expected a list, not {}" },
    { ARRAY, "[]", "[]", NULL },
};

static void give_old_value(int kind, struct fields *fields)
{
    static const char *const old[KINDS] = {
        [TEXT] = "\"old\"",    [SECRET] = "\"old\"", [TRUTH] = "true",         [NUMBER] = "7",
        [SECONDS] = "7",       [BYTES] = "7",        [CHOICE] = "\"on\"",      [LIST] = "[\"old\"]",
        [LINES] = "[\"old\"]", [ANY] = "[7]",        [OBJECT] = "{\"old\":7}", [ARRAY] = "[7]",
    };
    json_t *value = json_loads(old[kind], JSON_DECODE_ANY, NULL);
    ck_assert_int_eq(option_set(&kinds[kind], fields, value, NULL), ERR_OK);
    json_decref(value);
}

START_TEST(takes_or_refuses)
{
    struct fields fields = { .text = NULL };
    struct text before = text_new(1000), after = text_new(1000);
    int kind = values[_i].kind;
    json_t *value = json_loads(values[_i].json, JSON_DECODE_ANY, NULL);
    give_old_value(kind, &fields);
    show(kind, &fields, &before);
    enum err_code code = option_set(&kinds[kind], &fields, value, &err);
    show(kind, &fields, &after);
    if (values[_i].shown != NULL) {
        ck_assert_int_eq(code, ERR_OK);
        ck_assert_str_eq(text_str(&after), values[_i].shown);
    } else {
        ck_assert_int_eq(code, ERR_INVALID);
        ck_assert_str_eq(text_str(&after), text_str(&before));
        ck_assert_msg(strstr(err.text, values[_i].said) != NULL, "%s", err.text);
        ck_assert_ptr_null(strstr(err.text, "geheim"));
    }
    option_done((struct option_table){ &kinds[kind], 1 }, &fields);
    json_decref(value);
    text_done(&before);
    text_done(&after);
}
END_TEST

/* ---- paths ------------------------------------------------------------------------------ */

START_TEST(finds_paths)
{
    json_t *tree = json_loads("{\"a\":{\"b\":{\"c\":1}},\"d\":2}", 0, NULL);
    ck_assert_int_eq(json_integer_value(option_get(tree, "a.b.c")), 1);
    ck_assert_int_eq(json_integer_value(option_get(tree, "d")), 2);
    ck_assert_ptr_null(option_get(tree, "a.x.c"));
    ck_assert_ptr_null(option_get(tree, "d.e"));
    ck_assert_ptr_null(option_get(tree, "b"));
    ck_assert_ptr_null(option_get(NULL, "b"));
    json_decref(tree);
}
END_TEST

/* Unknown keys are named with file and path; what only the store may say, too. */
START_TEST(names_unknown_keys)
{
    json_t *tree = json_loads("{\"name\":\"a\",\"nmae\":1,\"ttl\":5,\"restapi\":{\"listen\":\"x\","
                              "\"lsten\":1},\"etcd3\":5,\"ctl\":null,\"watchdog\":{\"mode\":1},"
                              "\"restapi.listen\":1,"
                              "\"postgresql\":{\"parameters\":{\"anything\":1}}}",
                              0, NULL);
    struct text warnings = text_new(10000);
    option_check_unknown(option_table(), tree, OPTION_FILE, "f.yml", &warnings);
    ck_assert_str_eq(text_str(&warnings),
                     "f.yml: nmae: unknown, ignored\n"
                     "f.yml: ttl: ignored here: set it in the dynamic settings (pgvigilctl "
                     "edit-config)\n"
                     "f.yml: restapi.lsten: unknown, ignored\n"
                     "f.yml: etcd3: ignored: a section with keys is expected\n"
                     "f.yml: watchdog: ignored: the guard does its work (docs/design.md part 3)\n"
                     "f.yml: restapi.listen: unknown, ignored\n");
    text_clear(&warnings);
    option_check_unknown(option_table(), tree, OPTION_STORE, "config", &warnings);
    ck_assert_ptr_nonnull(
        strstr(text_str(&warnings), "config: name: ignored here: set it in the local file\n"));
    json_decref(tree);
    text_done(&warnings);
}
END_TEST

#define COUNT(rows) (int)(sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    Suite *suite = suite_create("option");
    TCase *tc = tcase_create("option");
    tcase_add_loop_test(tc, reads_units, 0, COUNT(units));
    tcase_add_test(tc, reads_booleans);
    tcase_add_test(tc, table_is_well_formed);
    tcase_add_test(tc, defaults);
    tcase_add_loop_test(tc, takes_or_refuses, 0, COUNT(values));
    tcase_add_test(tc, finds_paths);
    tcase_add_test(tc, names_unknown_keys);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
