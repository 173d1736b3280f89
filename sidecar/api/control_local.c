/* Restart, reload, reinitialize: flags for the cycle, and watching what becomes of them. */
#include "sidecar/api/control_local.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/failover.h"
#include "sidecar/api/routes.h"
#include "json/json.h"

enum {
    LOCAL_POLL_MS = 50,
    RESTART_PATIENCE_MS = 300000, /* Patroni's primary_start_timeout */
    SCHEDULE_LATE_MS = 15000      /* 1.5 × Patroni's loop_wait: later than this it is stale */
};

struct control_local {
    struct control_local_spec spec;
    /* The restart under way; pending NULL: none that somebody waits for. */
    struct api_pending *pending;
    int64_t old_start_us;
    struct mono until;
    struct source *poll;
    /* The scheduled one. */
    json_t *schedule; /* NULL: none */
    char *schedule_text;
    struct wall due;
    int64_t schedule_start_us; /* of the postmaster that was meant */
    struct source *alarm;
};

static const struct api_state *state_of(const struct control_local *local)
{
    return local->spec.state(local->spec.state_arg);
}

static void wake(const struct control_local *local)
{
    if (local->spec.changed != NULL)
        local->spec.changed(local->spec.arg);
}

/* ---- restart ---------------------------------------------------------------------------------- */

static void end_restart(struct control_local *local, int status, const char *text)
{
    struct api_pending *pending = take(local->pending);
    source_disarm(local->poll);
    if (pending != NULL)
        api_pending_reply(pending, status, text);
}

static bool has_failed(enum member_state state)
{
    return state == MEMBER_START_FAILED || state == MEMBER_RESTART_FAILED ||
           state == MEMBER_STOP_FAILED;
}

static void on_poll(void *arg)
{
    struct control_local *local = arg;
    const struct api_state *state = state_of(local);
    const struct api_postgres *pg = &state->postgres;
    bool another = pg->postmaster_start_us != 0 && pg->postmaster_start_us != local->old_start_us;
    if (another && pg->queryable && pg->state == MEMBER_RUNNING)
        end_restart(local, 200, "restarted successfully");
    else if (!local->spec.orders->restart && has_failed(pg->state))
        end_restart(local, 503, "restart failed");
    else if (!mono_before(loop_now(local->spec.loop), local->until))
        end_restart(local, 503, "restart failed");
    else
        source_arm_in(local->poll, LOCAL_POLL_MS);
}

static void start_restart(struct control_local *local, int64_t patience_ms)
{
    local->old_start_us = state_of(local)->postgres.postmaster_start_us;
    local->until = mono_add(loop_now(local->spec.loop), patience_ms);
    local->spec.orders->restart = true;
    source_arm_in(local->poll, LOCAL_POLL_MS);
    wake(local);
}

static void run_restart(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct control_local *local = arg;
    if (local->pending != NULL || local->spec.orders->restart) {
        api_pending_reply(pending, 503, "restart already in progress");
        return;
    }
    local->pending = pending;
    start_restart(local, order->timeout_ms > 0 ? order->timeout_ms : RESTART_PATIENCE_MS);
}

/* ---- scheduled restart ------------------------------------------------------------------------ */

static void forget_schedule(struct control_local *local)
{
    json_decref(local->schedule);
    free(local->schedule_text);
    local->schedule = NULL;
    local->schedule_text = NULL;
    source_disarm(local->alarm);
}

/* NULL: it is to be done. A postmaster that has been
 * restarted since was not the one that was meant. */
static const char *why_not(const struct control_local *local, const struct api_state *state)
{
    if (clock_wall().ms - local->due.ms > SCHEDULE_LATE_MS)
        return "it is too late";
    if (api_paused(state))
        return "the cluster is paused";
    if (state->postgres.postmaster_start_us != local->schedule_start_us)
        return "Postgres has been restarted since";
    return api_restart_mismatch(state, local->schedule);
}

static void on_alarm(void *arg)
{
    struct control_local *local = arg;
    int64_t left_ms = local->due.ms - clock_wall().ms;
    if (left_ms > 0) {
        source_arm_in(local->alarm, left_ms < 60000 ? left_ms : 60000); /* the clock may be set */
        return;
    }
    const char *reason = why_not(local, state_of(local));
    forget_schedule(local);
    if (reason != NULL) {
        log_info("rest: scheduled restart is due, but %s -> dropped", reason);
        wake(local); /* the member key shows none any more */
        return;
    }
    log_info("rest: scheduled restart is due -> restart");
    start_restart(local, RESTART_PATIENCE_MS);
}

static void run_schedule(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct control_local *local = arg;
    if (local->schedule != NULL) {
        api_pending_reply(pending, 409, "Another restart is already scheduled");
        return;
    }
    const struct api_state *state = state_of(local);
    char started[CLOCK_ISO_MAX];
    local->schedule = json_deep_copy(order->body);
    local->schedule_start_us = state->postgres.postmaster_start_us;
    json_object_set_new(
        local->schedule, "postmaster_start_time",
        json_string(clock_iso((struct wall){ local->schedule_start_us / 1000 }, started)));
    struct text text = text_new(LIMIT_HTTP_BODY);
    json_write(&text, local->schedule);
    local->schedule_text = text_take(&text);
    (void)iso_parse(order->schedule, &local->due);
    source_arm_in(local->alarm, 1);
    wake(local);
    api_pending_reply(pending, 202, "Restart scheduled");
}

static void run_forget(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct control_local *local = arg;
    (void)order;
    if (local->schedule == NULL) {
        api_pending_reply(pending, 404, "no restarts are scheduled");
        return;
    }
    forget_schedule(local);
    wake(local);
    api_pending_reply(pending, 200, "scheduled restart deleted");
}

const char *control_local_scheduled(const struct control_local *local)
{
    return local->schedule_text;
}

/* ---- reload, reinitialize --------------------------------------------------------------------- */

static void run_reload(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct control_local *local = arg;
    (void)order;
    local->spec.orders->reload = true;
    if (local->spec.reload != NULL)
        local->spec.reload(local->spec.arg);
    wake(local);
    api_pending_reply(pending, 202, "reload scheduled");
}

static void run_reinitialize(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct control_local *local = arg;
    (void)order;
    if (local->spec.orders->reinit && !order->force) {
        api_pending_reply(pending, 503, "reinitialize already in progress");
        return;
    }
    local->spec.orders->reinit = true;
    wake(local);
    api_pending_reply(pending, 200, "reinitialize started");
}

/* ---- construction ----------------------------------------------------------------------------- */

struct control_local *control_local_new(const struct control_local_spec *spec)
{
    struct control_local *local = mem_struct(struct control_local);
    local->spec = *spec;
    local->poll = loop_timer(spec->loop, on_poll, local);
    local->alarm = loop_timer(spec->loop, on_alarm, local);
    return local;
}

struct control_local *control_local_free(struct control_local *local)
{
    if (local == NULL)
        return NULL;
    forget_schedule(local);
    source_free(local->poll);
    source_free(local->alarm);
    free(local);
    return NULL;
}

void control_local_install(struct control_local *local, struct api_control *control)
{
    control->ops[API_RESTART] = (struct api_op){ .run = run_restart, .arg = local };
    control->ops[API_RESTART_SCHEDULE] = (struct api_op){ .run = run_schedule, .arg = local };
    control->ops[API_RESTART_FORGET] = (struct api_op){ .run = run_forget, .arg = local };
    control->ops[API_RELOAD] = (struct api_op){ .run = run_reload, .arg = local };
    control->ops[API_REINITIALIZE] = (struct api_op){ .run = run_reinitialize, .arg = local };
}
