#include "sidecar/guard/deadline.h"

#include <stddef.h>

const char *deadline_verdict_text(enum deadline_verdict verdict)
{
#define DEADLINE_TEXT(name, text) [DEADLINE_##name] = (text),
    static const char *const texts[] = { DEADLINE_VERDICTS(DEADLINE_TEXT) };
#undef DEADLINE_TEXT
    _Static_assert(sizeof(texts) / sizeof(texts[0]) == DEADLINE_MAX, "one text per verdict");
    return verdict < DEADLINE_MAX ? texts[verdict] : "?";
}

bool deadline_check(struct deadline *deadline, struct mono now)
{
    if (!deadline->has || mono_before(now, deadline->at))
        return deadline->passed;
    deadline->has = false;
    if (deadline->child)
        deadline->passed = true;
    else
        deadline->cookie = (struct guard_cookie){ 0 };
    return deadline->passed;
}

static bool is_bound(const struct deadline *deadline)
{
    return deadline->child && !guard_cookie_none(deadline->cookie);
}

/* L7: a restarted sidecar takes a running child over only if its cookie agrees. */
static bool is_foreign(const struct deadline *deadline, struct guard_cookie cookie)
{
    return is_bound(deadline) && !guard_cookie_equal(cookie, deadline->cookie) &&
           !deadline->named && !deadline->lifted;
}

enum deadline_verdict deadline_offer(struct deadline *deadline, struct mono now, struct mono at,
                                     struct guard_cookie cookie)
{
    if (deadline_check(deadline, now) || !mono_before(now, at))
        return DEADLINE_PASSED;
    if (guard_cookie_none(cookie))
        return DEADLINE_NO_COOKIE;
    if (is_foreign(deadline, cookie))
        return DEADLINE_FOREIGN;
    bool same = guard_cookie_equal(cookie, deadline->cookie);
    bool bound = is_bound(deadline);
    /* Only forward, for a new cookie as well: the present promise was for this very child. */
    deadline->at = deadline->has && (same || bound) ? mono_max(deadline->at, at) : at;
    deadline->has = true;
    deadline->lifted = false;
    deadline->named = true;
    deadline->cookie = cookie;
    return DEADLINE_OK;
}

enum deadline_verdict deadline_lift(struct deadline *deadline, struct mono now,
                                    struct guard_cookie cookie)
{
    if (deadline_check(deadline, now))
        return DEADLINE_PASSED;
    bool named = !guard_cookie_none(cookie);
    if (named && is_foreign(deadline, cookie))
        return DEADLINE_FOREIGN;
    deadline->has = false;
    if (!deadline->child) {
        deadline->cookie = (struct guard_cookie){ 0 };
        return DEADLINE_OK;
    }
    deadline->lifted = true;
    if (named) {
        deadline->cookie = cookie;
        deadline->named = true;
    }
    return DEADLINE_OK;
}

enum deadline_verdict deadline_start(struct deadline *deadline, struct mono now, bool primary,
                                     struct guard_cookie cookie)
{
    (void)deadline_check(deadline, now);
    if (deadline->child)
        return DEADLINE_CHILD_RUNS;
    if (!primary && guard_cookie_none(cookie)) {
        *deadline = (struct deadline){ .child = true };
        return DEADLINE_OK;
    }
    if (guard_cookie_none(cookie))
        return DEADLINE_NO_COOKIE;
    if (!deadline->has || !guard_cookie_equal(cookie, deadline->cookie))
        return DEADLINE_NOT_LIVE;
    deadline->child = true;
    deadline->named = true;
    return DEADLINE_OK;
}

void deadline_child_gone(struct deadline *deadline)
{
    *deadline = (struct deadline){ 0 };
}

void deadline_new_sidecar(struct deadline *deadline)
{
    deadline->named = false;
}

struct mono deadline_next(const struct deadline *deadline)
{
    return deadline->has ? deadline->at : MONO_NEVER;
}
