#include "tests/unit/support/until.h"

#include <check.h>

#include "base/clock.h"
#include "base/text.h"

enum { LOOK_MS = 3, FAILURE_MAX = 2000 };

/* The run under way. Not on the stack: a check that fails in a callback leaves by longjmp (CK_FORK=no),
 * and its teardown runs the same loop, where the former look is still armed: it looks at the new run. */
static struct {
    struct loop *loop; /* NULL: none */
    struct source *timer;
    condition_fn *condition;
    void *arg;
    struct mono end;
    bool held;
    char failure[FAILURE_MAX];
} run;

static void look(void *unused)
{
    (void)unused;
    if (run.loop == NULL)
        return;
    run.held = run.condition(run.arg);
    if (run.held || !mono_before(clock_mono(), run.end))
        loop_stop(run.loop);
    else
        source_arm_in(run.timer, LOOK_MS);
}

bool until(struct loop *loop, condition_fn *condition, void *arg, int64_t ms)
{
    run.loop = loop;
    run.timer = loop_timer(loop, look, NULL);
    run.condition = condition;
    run.arg = arg;
    run.end = mono_add(clock_mono(), ms);
    run.held = false;
    run.failure[0] = '\0';
    source_arm_in(run.timer, 0);
    loop_run(loop);
    run.timer = source_free(run.timer);
    run.loop = NULL;
    ck_assert_msg(run.failure[0] == '\0', "%s", run.failure);
    return run.held;
}

void until_fails(const char *text)
{
    ck_assert_msg(run.loop != NULL, "%s", text);
    (void)text_copy(run.failure, sizeof(run.failure), text);
    loop_stop(run.loop);
}
