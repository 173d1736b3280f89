#include "tests/unit/support/until.h"

#include "base/clock.h"

enum { LOOK_MS = 3 };

struct waiting {
    struct loop *loop;
    struct source *timer;
    condition_fn *condition;
    void *arg;
    struct mono end;
    bool held;
};

static void look(void *arg)
{
    struct waiting *waiting = arg;
    waiting->held = waiting->condition(waiting->arg);
    if (waiting->held || !mono_before(clock_mono(), waiting->end))
        loop_stop(waiting->loop);
    else
        source_arm_in(waiting->timer, LOOK_MS);
}

bool until(struct loop *loop, condition_fn *condition, void *arg, int64_t ms)
{
    struct waiting waiting = {
        .loop = loop, .condition = condition, .arg = arg, .end = mono_add(clock_mono(), ms)
    };
    waiting.timer = loop_timer(loop, look, &waiting);
    source_arm_in(waiting.timer, 0);
    loop_run(loop);
    source_free(waiting.timer);
    return waiting.held;
}
