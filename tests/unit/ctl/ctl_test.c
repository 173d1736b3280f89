/* The pure parts of pgvigilctl: tables, differences, settings given as KEY=VALUE, and who founds a new
 * quorum (E4). */
#include "ctl/ctl.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "ctl/recover.h"

static struct ctl_table sample(void)
{
    struct ctl_table table = { .n_columns = 3,
                               .columns = { "Cluster", "Member", "TL" },
                               .right = { [2] = true },
                               .title = " Cluster: demo (73) ",
                               .skip = 1 };
    table.rows = json_loads("[[\"demo\",\"a-long-member-name\",3],[\"demo\",\"b\",\"\"]]", 0, NULL);
    return table;
}

/* patroni-compat 1.10: the title stands in the first rule; without the cluster's column. */
START_TEST(pretty_table)
{
    struct ctl_table table = sample();
    auto_text struct text text = text_new(4096);
    ctl_table_write(&text, &table, CTL_PRETTY, true);
    ck_assert_str_eq(text_str(&text), "+ Cluster: demo (73) +----+\n"
                                      "| Member             | TL |\n"
                                      "+--------------------+----+\n"
                                      "| a-long-member-name |  3 |\n"
                                      "| b                  |    |\n"
                                      "+--------------------+----+\n");
    json_decref(table.rows);
}
END_TEST

/* A verb of the whole cluster that is given another cluster's name is not carried out on this one. */
START_TEST(takes_the_name_of_the_cluster)
{
    char scope[] = "demo";
    struct ctl ctl = { .scope = scope,
                       .args = { .verb = "switchover", .names = { "demo" }, .n_names = 1 } };
    ck_assert(ctl_take_cluster_name(&ctl, false));
    ck_assert_uint_eq(ctl.args.n_names, 0);
    ck_assert(ctl_take_cluster_name(&ctl, false));
    ctl.args = (struct ctl_args){ .verb = "switchover", .names = { "dmeo" }, .n_names = 1 };
    ck_assert(!ctl_take_cluster_name(&ctl, false));
    ctl.args = (struct ctl_args){ .verb = "list", .names = { "demo", "n1" }, .n_names = 2 };
    ck_assert(!ctl_take_cluster_name(&ctl, false));
    ctl.args = (struct ctl_args){ .verb = "restart", .names = { "demo", "n1" }, .n_names = 2 };
    ck_assert(ctl_take_cluster_name(&ctl, true));
    ck_assert_uint_eq(ctl.args.n_names, 1);
    ck_assert_str_eq(ctl.args.names[0], "n1");
    ck_assert(ctl_take_cluster_name(&ctl, true)); /* n1 itself is the verb's to look at */
    ck_assert_uint_eq(ctl.args.n_names, 1);
    ctl = (struct ctl){ .args = { .verb = "list", .names = { "demo" }, .n_names = 1 } };
    ck_assert(ctl_take_cluster_name(&ctl, false));
}
END_TEST

/* A title that is too long is cut; cells of several lines are ruled off; tags are YAML. */
START_TEST(pretty_cells)
{
    struct ctl_table table = sample();
    json_decref(table.rows);
    table.title = " Cluster: a name that is much too long ";
    table.rows =
        json_loads("[[\"d\",{\"clonefrom\":true,\"dc\":\"x\"},1],[\"d\",\"\\u00e4\",2]]", 0, NULL);
    auto_text struct text text = text_new(4096);
    ctl_table_write(&text, &table, CTL_PRETTY, true);
    ck_assert_str_eq(text_str(&text), "+ Cluster: a name that +\n"
                                      "| Member          | TL |\n"
                                      "+-----------------+----+\n"
                                      "| clonefrom: true |  1 |\n"
                                      "| dc: x           |    |\n"
                                      "+-----------------+----+\n"
                                      "| \u00e4               |  2 |\n"
                                      "+-----------------+----+\n");
    json_decref(table.rows);
}
END_TEST

START_TEST(machine_tables)
{
    struct ctl_table table = sample();
    auto_text struct text text = text_new(4096);
    ctl_table_write(&text, &table, CTL_TSV, true);
    ck_assert_str_eq(text_str(&text),
                     "Cluster\tMember\tTL\ndemo\ta-long-member-name\t3\ndemo\tb\t\n");
    text_clear(&text);
    ctl_table_write(&text, &table, CTL_JSON, true);
    ck_assert_str_eq(text_str(&text),
                     "[{\"Cluster\": \"demo\", \"Member\": \"a-long-member-name\", \"TL\": 3}, "
                     "{\"Cluster\": \"demo\", \"Member\": \"b\"}]\n");
    json_decref(table.rows);
}
END_TEST

START_TEST(differences)
{
    auto_text struct text text = text_new(4096);
    ctl_diff(&text, "a\nb\nc\nd\ne\nf\ng\nh\ni\n", "a\nb\nc\nd\nE\nf\ng\nh\ni\nj\n");
    ck_assert_str_eq(text_str(&text), "--- \n+++ \n@@\n b\n c\n d\n-e\n+E\n f\n g\n h\n i\n+j\n");
    text_clear(&text);
    ctl_diff(&text, "", "x\n");
    ck_assert_str_eq(text_str(&text), "--- \n+++ \n@@\n+x\n");
    text_clear(&text);
    ctl_diff(&text, "same\n", "same\n");
    ck_assert_str_eq(text_str(&text), "--- \n+++ \n");
}
END_TEST

/* patronictl edit-config -s and -p. */
START_TEST(settings)
{
    static const struct {
        const char *pair;
        const char *below;
        const char *result; /* NULL: refused */
    } rows[] = {
        { "ttl=20", "", "{\"ttl\":20,\"postgresql\":{\"use_slots\":true}}" },
        { "ttl=null", "", "{\"postgresql\":{\"use_slots\":true}}" },
        { "synchronous_mode=on", "",
          "{\"ttl\":10,\"postgresql\":{\"use_slots\":true},\"synchronous_mode\":true}" },
        { "postgresql.use_pg_rewind=false", "",
          "{\"ttl\":10,\"postgresql\":{\"use_slots\":true,\"use_pg_rewind\":false}}" },
        { "max_connections=200", "postgresql.parameters.",
          "{\"ttl\":10,\"postgresql\":{\"use_slots\":true,\"parameters\":{\"max_connections\":"
          "200}}}" },
        { "auto_explain.log_analyze=on", "postgresql.parameters.",
          "{\"ttl\":10,\"postgresql\":{\"use_slots\":true,\"parameters\":{\"auto_explain.log_"
          "analyze\":true}}}" },
        { "x.y.z=text", "",
          "{\"ttl\":10,\"postgresql\":{\"use_slots\":true},\"x\":{\"y\":{\"z\":\"text\"}}}" },
        { "a=b=c", "", "{\"ttl\":10,\"postgresql\":{\"use_slots\":true},\"a\":\"b=c\"}" },
        { "ttl", "", NULL },
        { "=5", "", NULL },
        { "ttl=[1", "", NULL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err;
        auto_json json_t *tree =
            json_loads("{\"ttl\":10,\"postgresql\":{\"use_slots\":true}}", 0, NULL);
        enum err_code code = ctl_set(tree, rows[i].pair, rows[i].below, &err);
        ck_assert_msg((code == ERR_OK) == (rows[i].result != NULL), "%s", rows[i].pair);
        if (code != ERR_OK)
            continue;
        char *text = json_dumps(tree, JSON_COMPACT);
        ck_assert_str_eq(text, rows[i].result);
        free(text);
    }
}
END_TEST

/* What is gone is null; what is the same is not mentioned. */
START_TEST(merge_patch)
{
    auto_json json_t *before =
        json_loads("{\"a\":1,\"b\":2,\"o\":{\"x\":1,\"y\":2},\"t\":{}}", 0, NULL);
    auto_json json_t *after =
        json_loads("{\"b\":3,\"o\":{\"y\":2,\"z\":[1]},\"t\":5,\"n\":null}", 0, NULL);
    auto_json json_t *patch = ctl_merge_patch(before, after);
    char *text = json_dumps(patch, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(text, "{\"a\":null,\"b\":3,\"n\":null,\"o\":{\"x\":null,\"z\":[1]},\"t\":5}");
    free(text);
}
END_TEST

/* An empty pipe takes no setting away. */
START_TEST(all_settings)
{
    static const char *const rows[][2] = {
        { "", NULL },   { " \n\t\n", NULL },       { "ttl: [", NULL },
        { "{}", "{}" }, { "a: 1\n", "{\"a\":1}" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err;
        auto_json json_t *tree = NULL;
        auto_text struct text yaml = text_new(100);
        text_add(&yaml, rows[i][0]);
        enum err_code code = ctl_parse_all("-", &yaml, &tree, &err);
        ck_assert_int_eq(code, rows[i][1] != NULL ? ERR_OK : ERR_INVALID);
        auto_free char *text = tree != NULL ? json_dumps(tree, JSON_COMPACT) : NULL;
        ck_assert_pstr_eq(text, rows[i][1]);
    }
}
END_TEST

START_TEST(urls)
{
    static const char *const rows[][2] = {
        { "http://10.0.0.1:8008/patroni", "http://10.0.0.1:8008/x" },
        { "https://[fd00::1]:8008/patroni", "https://[fd00::1]:8008/x" },
        { "http://h:8008", "http://h:8008/x" },
        { "h:8008", "http://h:8008/x" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        auto_free char *url = ctl_url(rows[i][0], "/x");
        ck_assert_str_eq(url, rows[i][1]);
    }
}
END_TEST

/* E4: etcd data before none, then the newer state of etcd, then Postgres; never somebody who does not
 * answer or has nothing. */
START_TEST(founder)
{
    struct recover_survey survey = { .n = 3 };
    struct recover_word *a = &survey.words[0], *b = &survey.words[1], *w = &survey.words[2];
    a->name = "a";
    b->name = "b";
    w->name = "w";
    ck_assert_ptr_null(recover_best(&survey));
    a->rest = b->rest = w->rest = true;
    ck_assert_ptr_null(recover_best(&survey));
    b->pgdata = true;
    ck_assert_ptr_eq(recover_best(&survey), b);
    a->pgdata = true;
    a->timeline = 2;
    b->timeline = 1;
    ck_assert_ptr_eq(recover_best(&survey), a);
    w->data = true;
    ck_assert_ptr_eq(recover_best(&survey), w);
    b->data = true;
    b->raft_index = 10;
    w->raft_index = 9;
    ck_assert_ptr_eq(recover_best(&survey), b);
    b->rest = false;
    ck_assert_ptr_eq(recover_best(&survey), w);
    ck_assert_ptr_null(recover_has_quorum(&survey));
    w->etcd = true;
    w->leader = 7;
    ck_assert_ptr_eq(recover_has_quorum(&survey), w);
    ck_assert_ptr_eq(recover_find(&survey, "b"), b);
    ck_assert_ptr_null(recover_find(&survey, "x"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl");
    TCase *tcase = tcase_create("pure");
    tcase_add_test(tcase, takes_the_name_of_the_cluster);
    tcase_add_test(tcase, pretty_table);
    tcase_add_test(tcase, pretty_cells);
    tcase_add_test(tcase, machine_tables);
    tcase_add_test(tcase, differences);
    tcase_add_test(tcase, settings);
    tcase_add_test(tcase, merge_patch);
    tcase_add_test(tcase, all_settings);
    tcase_add_test(tcase, urls);
    tcase_add_test(tcase, founder);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
