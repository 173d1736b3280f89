/* One round:  hello (new connection) -> main -> pending (when asked) -> identify (standby)
 *             -> history (new timeline) -> taken over.  Any failure ends the round. */
#include "sidecar/postgres/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/postgres/datadir.h"
#include "sidecar/postgres/probe_parse.h"
#include "sidecar/postgres/session.h"

enum {
    ROUND_MS = 3000, /* a round must have ended by then; statement_timeout is less */
    BUSY_MS = 30,    /* between rounds while something is going on */
    WATCH_MS = 333,  /* … while commits depend on a standby: S5 leaves 0.5 s for its return */
    CALM_MS = 1000,
    KNOCK_MS = 100,      /* between attempts while the server does not answer yet */
    KNOCK_SLOW_MS = 500, /* … after KNOCK_FAST of them */
    KNOCK_FAST = 100,
    SETTINGS_AGAIN_MS = 1000,
};

struct history_job {
    struct probe *probe;
    struct place place;
    uint32_t tli;
    struct timeline timeline;
    enum err_code code;
    struct err err;
};

struct probe {
    struct loop *loop;
    struct place place;
    probe_changed_fn *changed;
    void *arg;
    struct session *session;
    struct session *replication;
    struct source *timer;
    struct source *history;
    bool running;
    uint64_t child;
    bool busy;
    bool in_round;
    bool again; /* asked for while a round ran */
    bool settings_due;
    struct mono settings_again; /* the server takes a while to reload: ask twice */
    unsigned hello_for;         /* the connection that was greeted */
    unsigned knocks;
    struct mono deadline; /* of this round */
    struct probe_round round;
    struct probe_state state;
};

static void begin_round(void *arg);
static void on_lost(void *arg);

static struct probe_state empty_state(void)
{
    return (struct probe_state){
        .answered_at = MONO_NEVER,
        .not_streaming_since = MONO_NEVER,
        .facts = { .answered_at = MONO_NEVER, .clone_percent = -1 },
    };
}

struct probe *probe_new(struct loop *loop, const struct config *config, const struct place *place,
                        probe_changed_fn *changed, void *arg)
{
    struct probe *probe = mem_struct(struct probe);
    struct session_options options = {
        .host = place->local_host,
        .port = place->port,
        .database = config->postgresql.database,
        .login = &config->postgresql.superuser,
        .application_name = "pgvigil",
        .settings = "-c statement_timeout=2500 -c lock_timeout=1000 -c synchronous_commit=local"
                    " -c search_path=pg_catalog -c log_statement=none",
    };
    probe->loop = loop;
    probe->place = *place;
    probe->changed = changed;
    probe->arg = arg;
    probe->session = session_new(loop, &options, on_lost, probe);
    options.application_name = "pgvigil_timeline";
    options.replication = true;
    probe->replication = session_new(loop, &options, NULL, NULL);
    probe->timer = loop_timer(loop, begin_round, probe);
    probe->settings_again = MONO_NEVER;
    probe->state = empty_state();
    return probe;
}

struct probe *probe_free(struct probe *probe)
{
    if (probe == NULL)
        return NULL;
    session_free(probe->session);
    session_free(probe->replication);
    source_free(probe->timer);
    source_free(probe->history);
    free(probe);
    return NULL;
}

const struct probe_state *probe_state(const struct probe *probe)
{
    return &probe->state;
}

/* ---- pace ---- */

static int64_t pause_ms(const struct probe *probe)
{
    if (!probe->state.queryable)
        return probe->knocks < KNOCK_FAST ? KNOCK_MS : KNOCK_SLOW_MS;
    if (probe->busy)
        return BUSY_MS;
    bool watched = !probe->state.view.in_recovery && probe->state.view.ssn != SSN_EMPTY;
    return watched || probe->state.not_streaming_since.ms != MONO_NEVER.ms ? WATCH_MS : CALM_MS;
}

static void end_round(struct probe *probe)
{
    probe->in_round = false;
    source_arm_in(probe->timer, probe->again ? 0 : pause_ms(probe));
    probe->again = false;
    probe->changed(probe->arg);
}

void probe_look(struct probe *probe)
{
    if (!probe->running)
        return;
    if (probe->in_round)
        probe->again = true;
    else
        source_arm_in(probe->timer, 0);
}

void probe_set_busy(struct probe *probe, bool busy)
{
    if (busy && !probe->busy && probe->running && !probe->in_round)
        source_arm_in(probe->timer, 0);
    probe->busy = busy;
}

void probe_look_at_settings(struct probe *probe)
{
    probe->settings_due = true;
    probe->settings_again = mono_add(loop_now(probe->loop), SETTINGS_AGAIN_MS);
    probe_look(probe);
}

void probe_restart_follow(struct probe *probe)
{
    probe->state.not_streaming_since = MONO_NEVER;
    probe->round.next.not_streaming_since = MONO_NEVER;
    probe_look(probe);
}

static void stop(struct probe *probe)
{
    session_close(probe->session);
    session_close(probe->replication);
    probe->history = source_free(probe->history);
    source_disarm(probe->timer);
    probe->in_round = false;
    probe->again = false;
}

void probe_set_running(struct probe *probe, bool running, uint64_t child)
{
    if (running == probe->running && (child == probe->child || !running))
        return;
    stop(probe);
    probe->state = empty_state();
    probe->hello_for = 0;
    probe->knocks = 0;
    probe->settings_due = true;
    probe->settings_again = MONO_NEVER;
    probe->running = running;
    probe->child = child;
    if (running)
        source_arm_in(probe->timer, 0);
}

/* The server closed the kept session: it goes down, or somebody ended us. Look at once. */
static void on_lost(void *arg)
{
    probe_look(arg);
}

/* ---- the end of a round ---- */

static void log_trouble(struct probe *probe, const char *text)
{
    if (strcmp(probe->state.trouble, text) != 0)
        log_debug("probe: %s", text);
    snprintf(probe->state.trouble, sizeof(probe->state.trouble), "%.500s", text);
}

/* The server is gone, starting, stopping, or will not let us in: not merely slow or full. */
static bool is_lost(const struct session_answer *answer)
{
    return answer->code == ERR_UNREACHABLE || text_starts_with(answer->sqlstate, "57P") ||
           text_starts_with(answer->sqlstate, "28") || text_starts_with(answer->sqlstate, "3D");
}

/* Design part 2: "too many connections" and "starting up" are answers of a living server. */
static void fail_round(struct probe *probe, const struct session_answer *answer)
{
    struct probe_state *state = &probe->state;
    if (answer->code == ERR_REFUSED || answer->code == ERR_PROTOCOL)
        state->answered_at = loop_now(probe->loop);
    state->facts.answered_at = state->answered_at;
    /* A slow answer does not make a server go: the guard's word does. But what is said about its
     * role must not be older than a lost session. */
    if (is_lost(answer))
        state->queryable = false;
    state->facts.queryable = state->queryable;
    probe->knocks++;
    log_trouble(probe, answer->err->text);
    end_round(probe);
}

static void take_over(struct probe *probe)
{
    struct probe_state *next = &probe->round.next;
    next->queryable = true;
    next->answered = true;
    next->answered_at = loop_now(probe->loop);
    next->trouble[0] = '\0';
    next->view.position = probe->round.position;
    next->facts.queryable = true;
    next->facts.answered_at = next->answered_at;
    next->facts.timeline = probe->round.timeline;
    probe->state = *next;
    probe->knocks = 0;
    end_round(probe);
}

/* ---- history ---- */

static void read_history(void *arg)
{
    struct history_job *job = arg;
    job->code = datadir_history(&job->place, job->tli, &job->timeline, &job->err);
}

static void on_history(void *arg)
{
    struct history_job *job = arg;
    struct probe *probe = job->probe;
    probe->history = source_free(probe->history);
    if (job->code == ERR_OK) {
        probe->round.next.view.timeline = job->timeline;
        take_over(probe);
    } else {
        const struct session_answer answer = { .code = ERR_PROTOCOL, .err = &job->err };
        fail_round(probe, &answer);
    }
    free(job);
}

/* Timelines are compared by content (design part 6), so that a round without it is not taken over:
 * positions of a new timeline under an old history would be wrong. */
static void ask_history(struct probe *probe)
{
    if (probe->round.next.view.timeline.tli == probe->round.timeline) {
        take_over(probe);
        return;
    }
    struct history_job *job = mem_struct(struct history_job);
    job->probe = probe;
    job->place = probe->place;
    job->tli = probe->round.timeline;
    probe->history = loop_work(probe->loop, read_history, on_history, free, job);
}

/* ---- questions ---- */

static void ask(struct probe *probe, struct session *session, const char *sql, int columns,
                session_done_fn *done)
{
    const struct session_query query = {
        .sql = sql,
        .shape = SESSION_ROW,
        .columns = columns,
        .deadline = probe->deadline,
        .done = done,
        .arg = probe,
    };
    session_query(session, &query);
}

static void on_identify(void *arg, const struct session_answer *answer)
{
    struct probe *probe = arg;
    lsn_t position = LSN_NONE;
    /* Without a free walsender there is still what the main query tells. */
    if (answer->code != ERR_OK) {
        log_debug("probe: IDENTIFY_SYSTEM: %s", answer->err->text);
    } else if (lsn_parse(PQgetvalue(answer->result, 0, 2), &position)) {
        probe->round.timeline = (uint32_t)strtoul(PQgetvalue(answer->result, 0, 1), NULL, 10);
        probe->round.position = position;
    }
    ask_history(probe);
}

static void ask_replication(struct probe *probe)
{
    if (probe->round.in_recovery) {
        ask(probe, probe->replication, "IDENTIFY_SYSTEM", 3, on_identify);
        return;
    }
    session_close(probe->replication);
    ask_history(probe);
}

static void on_pending(void *arg, const struct session_answer *answer)
{
    struct probe *probe = arg;
    if (answer->code != ERR_OK) {
        fail_round(probe, answer);
        return;
    }
    probe->settings_due = false;
    probe_read_pending(answer->result, &probe->round.next);
    ask_replication(probe);
}

static bool settings_due(struct probe *probe)
{
    if (mono_before(loop_now(probe->loop), probe->settings_again))
        return probe->settings_due;
    probe->settings_again = MONO_NEVER;
    return true;
}

static void on_main(void *arg, const struct session_answer *answer)
{
    struct probe *probe = arg;
    struct err err = { .code = ERR_OK };
    if (answer->code != ERR_OK) {
        fail_round(probe, answer);
        return;
    }
    if (session_connections(probe->session) != probe->hello_for) {
        probe->again = true; /* another connection than the one that was greeted */
        probe->hello_for = 0;
        end_round(probe);
        return;
    }
    if (probe_read_main(answer->result, loop_now(probe->loop), &probe->round, &err) != ERR_OK) {
        const struct session_answer bad = { .code = ERR_PROTOCOL, .err = &err };
        fail_round(probe, &bad);
    } else if (settings_due(probe)) {
        ask(probe, probe->session, probe_pending_sql, 1, on_pending);
    } else {
        ask_replication(probe);
    }
}

static void ask_main(struct probe *probe)
{
    ask(probe, probe->session, probe_main_sql, PROBE_MAIN_COLUMNS, on_main);
}

static void on_hello(void *arg, const struct session_answer *answer)
{
    struct probe *probe = arg;
    if (answer->code != ERR_OK) {
        fail_round(probe, answer);
        return;
    }
    probe->hello_for = session_connections(probe->session);
    probe_read_hello(answer->result, &probe->round.next);
    ask_main(probe);
}

static void begin_round(void *arg)
{
    struct probe *probe = arg;
    probe->in_round = true;
    probe->deadline = mono_add(loop_now(probe->loop), ROUND_MS);
    probe->round = (struct probe_round){ .next = probe->state };
    if (probe->hello_for == 0 || session_backend_pid(probe->session) == 0)
        ask(probe, probe->session, probe_hello_sql, PROBE_HELLO_COLUMNS, on_hello);
    else
        ask_main(probe);
}
