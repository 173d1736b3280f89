#include "sidecar/postgres/postgres.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/postgres/context.h"

enum {
    FOLLOW_STUCK_MS = 5000, /* a standby that does not stream may have diverged (design part 6) */
    READ_ROLE_MS = 2000,    /* until then the files of a server that we take over are read */
};

static void on_stale(void *arg)
{
    struct postgres *postgres = arg;
    postgres->parts.stale(postgres->parts.arg);
}

void postgres_changed(struct postgres *postgres)
{
    source_trigger(postgres->stale);
}

static void on_probed(void *arg);

struct postgres *postgres_new(const struct postgres_parts *parts)
{
    struct postgres *postgres = mem_struct(struct postgres);
    struct err err = { .code = ERR_OK };
    postgres->parts = *parts;
    postgres->warned = mem_struct(struct text);
    *postgres->warned = text_new(LIMIT_FILE);
    postgres->activity = MEMBER_STATE_UNKNOWN;
    postgres->clone_percent = -1;
    postgres->state = PG_STARTING; /* until the guard has said that nothing runs */
    postgres->state_since = loop_now(parts->loop);
    postgres->began = postgres->state_since;
    postgres->usable = place_init(parts->config, &postgres->place, &err) == ERR_OK;
    if (!postgres->usable)
        log_error("configuration: %s", err.text);
    postgres->stale = loop_defer(parts->loop, on_stale, postgres);
    postgres->tools = tools_new(parts->loop, parts->guard, parts->config->postgresql.bin_dir);
    postgres->probe = probe_new(parts->loop, parts->config, &postgres->place, on_probed, postgres);
    postgres->slots = slots_new(parts->loop, postgres->place.slots);
    sweep_begin(postgres);
    if (postgres->usable)
        look_begin(postgres);
    postgres_guard_changed(postgres);
    return postgres;
}

struct postgres *postgres_free(struct postgres *postgres)
{
    if (postgres == NULL)
        return NULL;
    look_end(postgres);
    upstream_end(postgres);
    source_free(postgres->compare);
    probe_free(postgres->probe);
    slots_free(postgres->slots);
    session_free(postgres->sweeper);
    tools_free(postgres->tools);
    source_free(postgres->stale);
    text_done(postgres->warned);
    free(postgres->warned);
    conf_files_done(&postgres->wanted);
    free(postgres);
    return NULL;
}

/* ---- what others tell ---- */

void postgres_settings_changed(struct postgres *postgres, const struct settings *settings)
{
    postgres->parts.settings = settings;
    postgres->refused.n = 0;
    postgres->checked = false;
    postgres->pending_for = 0;
    conf_compare(postgres);
    probe_look_at_settings(postgres->probe);
}

void postgres_config_changed(struct postgres *postgres, const struct config *config)
{
    postgres->parts.config = config;
    postgres->refused.n = 0;
    postgres->checked = false;
    postgres->pending_for = 0;
    conf_compare(postgres);
    probe_look_at_settings(postgres->probe);
}

/* A postmaster that was started and has gone. */
static void count_end(struct postgres *postgres, const struct guard_status *guard)
{
    struct lives *lives = &postgres->lives;
    bool wanted = lives->told_to_stop || guard->killed_by_deadline || guard->stop_requested;
    lives->told_to_stop = false;
    if (lives->answered || wanted)
        return;
    lives->failures++;
    snprintf(postgres->trouble, sizeof(postgres->trouble),
             "Postgres ended before it answered (%s %d), %u times in a row: its own log says why",
             WIFSIGNALED(guard->exit_status) ? "signal" : "exit status",
             WIFSIGNALED(guard->exit_status) ? WTERMSIG(guard->exit_status)
                                             : WEXITSTATUS(guard->exit_status),
             lives->failures);
    log_warn("%s", postgres->trouble);
}

/* Another child than the one that we knew, or another guard. */
static void begin_life(struct postgres *postgres, const struct guard_status *guard)
{
    struct lives *lives = &postgres->lives;
    bool same_guard = lives->guard_since.ms == guard->guard_since.ms;
    bool running = guard->child == GUARD_CHILD_RUNNING;
    if (lives->running)
        count_end(postgres, guard);
    lives->answered = false;
    lives->told_to_stop = false;
    postgres->pending_for = 0;
    if (!same_guard)
        postgres->binary_version = 0; /* perhaps of another image */
    if (!running && same_guard)
        count_end(postgres, guard); /* it came and went between two words of the guard */
    /* Taken over from a former sidecar: a change of the files may not have reached it. */
    if (running && !same_guard)
        postgres->reload_due = true;
}

static void follow_guard(struct postgres *postgres, const struct guard_status *guard)
{
    struct lives *lives = &postgres->lives;
    bool running = guard->child == GUARD_CHILD_RUNNING;
    if (lives->child != guard->children || lives->guard_since.ms != guard->guard_since.ms)
        begin_life(postgres, guard);
    else if (lives->running && guard->child == GUARD_CHILD_NONE)
        count_end(postgres, guard);
    /* DYING still counts as running here, until the word that nothing is left (G1). */
    if (running || guard->child == GUARD_CHILD_NONE)
        lives->running = running;
    lives->child = guard->children;
    lives->guard_since = guard->guard_since;
    probe_set_running(postgres->probe, running, guard->children);
}

static enum pg_state state_now(const struct postgres *postgres)
{
    const struct guard_status *guard = guard_client_status(postgres->parts.guard);
    const struct probe_state *probe = probe_state(postgres->probe);
    bool known = guard->connected || guard->guard_since.ms != 0;
    if (known && guard->child == GUARD_CHILD_NONE)
        return PG_DOWN;
    if (guard->child == GUARD_CHILD_DYING || postgres->lives.told_to_stop)
        return PG_STOPPING;
    if (!probe->queryable)
        return PG_STARTING;
    /* Taken over: who its upstream and its names are is read from the disk, in a moment. */
    int64_t for_ms = mono_diff(loop_now(postgres->parts.loop), postgres->began);
    return postgres->role_known || for_ms > READ_ROLE_MS ? PG_UP : PG_STARTING;
}

static void follow_state(struct postgres *postgres)
{
    enum pg_state state = state_now(postgres);
    if (state == postgres->state)
        return;
    postgres->state = state;
    postgres->wal_read = false;
    postgres->state_since = loop_now(postgres->parts.loop);
    if (state == PG_DOWN && postgres->usable)
        look_again(postgres);
    if (state == PG_UP)
        postgres->trouble[0] = '\0';
    postgres_changed(postgres);
}

void postgres_guard_changed(struct postgres *postgres)
{
    const struct guard_status *guard = guard_client_status(postgres->parts.guard);
    if (guard->connected || guard->guard_since.ms != 0)
        follow_guard(postgres, guard);
    follow_state(postgres);
    postgres_changed(postgres);
}

void postgres_told_to_stop(struct postgres *postgres)
{
    if (!postgres->lives.running)
        return;
    postgres->lives.told_to_stop = true;
    follow_state(postgres);
}

/* Since when members have no walsender (S5). */
static void follow_absences(struct postgres *postgres, const struct probe_state *probe)
{
    for (size_t i = 0; i < LIMIT_MEMBERS; i++) {
        struct absence *absence = &postgres->absences[i];
        if (absence->name[0] == '\0')
            continue;
        bool seen = false;
        for (size_t k = 0; k < probe->view.n_walsenders; k++)
            seen = seen || strcasecmp(probe->view.walsenders[k].name, absence->name) == 0;
        if (seen)
            absence->since = MONO_NEVER;
        else if (absence->since.ms == MONO_NEVER.ms)
            absence->since = probe->answered_at;
    }
}

/* Positions move all the time; the cycle that comes anyway sees them soon enough. */
static struct gist gist_of(const struct probe_state *probe)
{
    const struct pg_view *view = &probe->view;
    struct gist gist = { .n_senders = (unsigned)view->n_walsenders };
    gist.flags = (probe->queryable ? 1u : 0) | (view->in_recovery ? 2u : 0) |
                 (view->streaming ? 4u : 0) | (view->waiters > 0 ? 8u : 0) |
                 (view->checkpointed ? 16u : 0) | (unsigned)view->ssn << 8;
    gist.timeline = view->timeline.tli;
    gist.n_slots = (unsigned)probe->facts.n_slots;
    gist.settings_round = probe->settings_round;
    for (size_t i = 0; i < view->n_walsenders; i++) {
        const struct walsender *sender = &view->walsenders[i];
        gist.senders[i] = (sender->streaming ? 1u : 0) | (sender->only_one ? 2u : 0) |
                          (sender->holds_slot ? 4u : 0) | (sender->sync ? 8u : 0) |
                          (unsigned)sender->sync_priority << 8;
    }
    return gist;
}

static bool is_stuck(const struct postgres *postgres)
{
    const struct probe_state *probe = probe_state(postgres->probe);
    struct mono now = loop_now(postgres->parts.loop);
    return postgres->state == PG_UP && probe->view.in_recovery &&
           mono_diff(now, probe->not_streaming_since) > FOLLOW_STUCK_MS;
}

static void on_probed(void *arg)
{
    struct postgres *postgres = arg;
    const struct probe_state *probe = probe_state(postgres->probe);
    struct gist gist = gist_of(probe);
    bool news = memcmp(&gist, &postgres->gist, sizeof(gist)) != 0;
    postgres->gist = gist;
    if (probe->answered && !postgres->lives.answered) {
        postgres->lives.answered = true;
        postgres->lives.failures = 0;
    }
    if (probe->queryable)
        follow_absences(postgres, probe);
    follow_state(postgres);
    conf_follow_role(postgres);
    sweep_slots(postgres);
    upstream_look(postgres, is_stuck(postgres));
    if (news || postgres->busy || (gist.flags & 8u) != 0)
        postgres_changed(postgres);
}

void postgres_look(struct postgres *postgres)
{
    probe_look(postgres->probe);
}

void postgres_set_busy(struct postgres *postgres, bool busy)
{
    postgres->busy = busy;
    probe_set_busy(postgres->probe, busy);
}

void postgres_data_changed(struct postgres *postgres)
{
    postgres->wal_read = false;
    if (postgres->usable)
        look_again(postgres);
    postgres_changed(postgres);
}

void postgres_set_activity(struct postgres *postgres, enum member_state activity)
{
    postgres->activity = activity;
    if (activity == MEMBER_STATE_UNKNOWN) {
        postgres->progress[0] = '\0';
        postgres->clone_percent = -1;
    }
    postgres_changed(postgres);
}

void postgres_set_progress(struct postgres *postgres, const char *line, int percent)
{
    text_copy(postgres->progress, sizeof(postgres->progress), line);
    postgres->clone_percent = percent;
}

void postgres_set_trouble(struct postgres *postgres, const char *text)
{
    text_copy(postgres->trouble, sizeof(postgres->trouble), text);
}

/* ---- the view ---- */

static void fill_down(const struct postgres *postgres, struct pg_view *pg)
{
    const struct look *look = &postgres->look;
    pg->dir = look->dir_known ? look->found.dir.dir : DATA_DIR_UNKNOWN;
    if (!postgres->usable)
        pg->dir = DATA_DIR_BROKEN;
    pg->in_recovery = look->found.dir.standby_signal;
    if (!look->dir_known || !look->found.control_known)
        return;
    pg->system_id = look->found.control.system_id;
    pg->timeline = look->found.timeline;
    pg->position = controldata_position(&look->found.control);
    pg->clean_stop = controldata_clean(&look->found.control);
    pg->was_primary = controldata_was_primary(&look->found.control);
    pg->rewinding = look->found.dir.rewinding;
    pg->wal_read = postgres->wal_read;
    pg->wal_whole = postgres->wal_read ? postgres->wal_whole : LSN_NONE;
}

static void fill_running(const struct postgres *postgres, struct pg_view *pg)
{
    const struct probe_state *probe = probe_state(postgres->probe);
    const struct look *look = &postgres->look;
    if (probe->answered)
        *pg = probe->view;
    else
        pg->in_recovery = postgres->role.standby;
    pg->dir = DATA_DIR_VALID;
    pg->system_id = probe->system_id != 0       ? probe->system_id
                    : look->found.control_known ? look->found.control.system_id
                                                : 0;
    pg->replay_held = postgres_replay_held(postgres);
    pg->follow_stuck = is_stuck(postgres);
    pg->wal_missing = pg->follow_stuck && postgres->upstream.wal_missing;
    pg->archive = probe->facts.archive_recovery;
}

static void fill_absences(struct postgres *postgres, struct view *view)
{
    bool primary = view->pg.state == PG_UP && !view->pg.in_recovery;
    for (size_t i = 0; i < LIMIT_MEMBERS; i++) {
        struct absence *absence = &postgres->absences[i];
        if (i >= view->store.n_peers || !primary) {
            absence->name[0] = '\0';
            continue;
        }
        struct peer *peer = &view->store.peers[i];
        if (strcmp(absence->name, peer->member.name) != 0) {
            *absence = (struct absence){ .since = MONO_NEVER };
            text_copy(absence->name, sizeof(absence->name), peer->member.name);
            follow_absences(postgres, probe_state(postgres->probe));
        }
        peer->walsender_gone = absence->since;
    }
}

static bool slots_differ(struct postgres *postgres, const struct view *view)
{
    struct slot_plan plan;
    const struct settings *settings = postgres->parts.settings;
    const struct probe_state *probe = probe_state(postgres->probe);
    if (!settings->use_slots || view->pg.state != PG_UP || view->pg.in_recovery ||
        !probe->queryable)
        return false;
    slots_plan(postgres->slots, view, &probe->facts, settings->member_slots_ttl_s, &plan);
    return plan.n_create > 0 || plan.n_drop > 0;
}

bool postgres_drop_slot(struct postgres *postgres, const char *member)
{
    char slot[LIMIT_NAME];
    member_slot_name(member, slot);
    return slots_drop_soon(postgres->slots, slot);
}

void postgres_fill(struct postgres *postgres, struct view *view)
{
    struct pg_view pg = { .state = postgres->state };
    enum pg_state state = postgres->state;
    if (state == PG_DOWN) {
        fill_down(postgres, &pg);
    } else {
        fill_running(postgres, &pg);
        pg.state = state;
    }
    pg.state_since = postgres->state_since;
    pg.start_failures = postgres->lives.failures;
    pg.ssn_disk = postgres->ssn_disk;
    pg.ssn_disk_names = postgres->ssn_disk_names;
    pg.pending_reload = state == PG_UP && (postgres->files_differ || postgres->reload_due);
    if (pg.in_recovery)
        text_copy(pg.upstream, sizeof(pg.upstream), postgres->role.upstream);
    view->pg = pg;
    view->pg.slots_differ = slots_differ(postgres, view);
    fill_absences(postgres, view);
}

const struct pg_facts *postgres_facts(const struct postgres *postgres)
{
    /* Made when asked for; what it is made of does not change within a turn of the loop. */
    facts_fill((struct postgres *)(uintptr_t)postgres);
    return &postgres->facts;
}
