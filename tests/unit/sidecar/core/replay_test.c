/* A26: recorded views are test cases: moments of a failover, a switchover, a partition, each with the
 * rule, the reason, the action and the plan that it gives. What `--replay VIEW.json` would print. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/golden.h"
#include "../../support/view_stub.h"
#include "base/text.h"
#include "sidecar/view_json.h"
#include "json/json.h"

static const char *const moments[] = {
    "failover-1-postmaster-gone",
    "failover-2-standby-races",
    "failover-3-third-stays-out",
    "failover-4-key-taken",
    "failover-5-promoted",
    "failover-6-old-primary-returns",
    "failover-7-standby-caught-up",
    "switchover-1-asked",
    "switchover-2-candidate",
    "switchover-3-leaves-it-to-the-candidate",
    "switchover-4-container-stop",
    "switchover-5-handed-over",
    "partition-1-primary-alone",
    "partition-2-primary-demotes",
    "partition-3-primary-too-late",
    "partition-4-lease-may-live",
    "partition-5-lease-gone",
    "partition-6-back",
    "guard-dead",
    "sidecar-restarted",
    "start-lost-initialize",
    "asynchronous-too-far-behind",
};

static void read_view(const char *moment, struct view *ret_view)
{
    char name[LIMIT_PATH];
    (void)snprintf(name, sizeof(name), "views/%s.json", moment);
    char *bytes = golden_read(name);
    json_error_t error;
    json_t *json = json_loads(bytes, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json != NULL, "%s: %s", name, error.text);
    struct err err = { 0 };
    ck_assert_msg(view_from_json(json, ret_view, &err) == ERR_OK, "%s: %s", name, err.text);
    json_decref(json);
    free(bytes);
}

static void replay(const char *moment, struct text *to)
{
    static struct view view;
    char words[VIEW_PLAN_TEXT];
    memset(&view, 0, sizeof(view));
    read_view(moment, &view);
    struct decision decision = decide(&view);
    struct plan plan = plan_make(&view, &decision);
    text_addf(to, "%s\n    %s: %s -> %s\n", moment, decision.rule, decision.reason,
              action_name(decision.action));
    if (plan.n > 0)
        text_addf(to, "    %s\n", plan_words(&plan, words));
}

START_TEST(recorded_views)
{
    struct text replayed = text_new(LIMIT_FILE);
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++)
        replay(moments[i], &replayed);
    golden_compare("views.txt", text_str(&replayed));
    text_done(&replayed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core/replay");
    TCase *tests = tcase_create("replay");
    tcase_add_test(tests, recorded_views);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
