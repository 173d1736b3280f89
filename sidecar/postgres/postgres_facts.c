/* What people see of the local Postgres. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "settings/option.h"
#include "sidecar/postgres/context.h"

static enum member_state state_of(const struct postgres *postgres)
{
    if (postgres->activity != MEMBER_STATE_UNKNOWN)
        return postgres->activity;
    switch (postgres->state) {
    case PG_UP:
        return MEMBER_RUNNING;
    case PG_STARTING:
        return MEMBER_STARTING;
    case PG_STOPPING:
        return MEMBER_STOPPING;
    case PG_DOWN:
        break;
    }
    if (postgres->lives.failures > 0)
        return MEMBER_START_FAILED;
    if (postgres->look.found.control_known && !controldata_clean(&postgres->look.found.control) &&
        postgres->lives.answered)
        return MEMBER_CRASHED;
    return MEMBER_STOPPED;
}

static enum member_role role_of(const struct postgres *postgres, const struct probe_state *probe)
{
    const struct look *look = &postgres->look;
    if (postgres->state == PG_UP)
        return probe->view.in_recovery ? MEMBER_ROLE_REPLICA : MEMBER_ROLE_PRIMARY;
    if (postgres->state != PG_DOWN)
        return postgres->role.standby ? MEMBER_ROLE_REPLICA : MEMBER_ROLE_PRIMARY;
    if (look->dir_known && look->found.dir.dir != DATA_DIR_VALID)
        return MEMBER_ROLE_UNINITIALIZED;
    return look->found.control_known && controldata_was_primary(&look->found.control)
               ? MEMBER_ROLE_DEMOTED
               : MEMBER_ROLE_REPLICA;
}

/* ---- parameters that wait for a restart ---- */

static bool same_value(const char *a, const char *b)
{
    bool truth_a;
    bool truth_b;
    char *end_a;
    char *end_b;
    long long number_a = strtoll(a, &end_a, 10);
    long long number_b = strtoll(b, &end_b, 10);
    if (strcmp(a, b) == 0)
        return true;
    if (end_a != a && end_b != b && *end_a == '\0' && *end_b == '\0')
        return number_a == number_b;
    return option_parse_bool(a, &truth_a) && option_parse_bool(b, &truth_b) && truth_a == truth_b;
}

static void add_pending(struct postgres *postgres, const struct probe_setting *setting,
                        const char *wanted)
{
    if (postgres->n_pending == PG_PENDING_MAX)
        return;
    struct pg_pending *pending = &postgres->pending[postgres->n_pending++];
    *pending = (struct pg_pending){ .name = "" };
    text_copy(pending->name, sizeof(pending->name), setting->name);
    text_copy(pending->old_value, sizeof(pending->old_value), setting->value);
    text_copy(pending->new_value, sizeof(pending->new_value), wanted != NULL ? wanted : "");
}

/* patroni-compat 1.3: "any change of a postmaster-context GUC". What is on the command line is
 * compared with what the settings want now; for the rest the server tells. */
static void find_pending(struct postgres *postgres, const struct probe_state *probe)
{
    struct parameters parameters = { .n = 0 };
    if (postgres->pending_for == probe->settings_round &&
        postgres->pending_settings == postgres->parts.settings)
        return;
    postgres->pending_for = probe->settings_round;
    postgres->pending_settings = postgres->parts.settings;
    postgres->n_pending = 0;
    postgres_parameters(postgres, !probe->view.in_recovery, &parameters);
    for (size_t i = 0; i < probe->n_settings; i++) {
        const struct probe_setting *setting = &probe->settings[i];
        const char *wanted = parameters_get(&parameters, setting->name);
        if (setting->pending || (wanted != NULL && !same_value(setting->value, wanted)))
            add_pending(postgres, setting, wanted);
    }
    parameters_done(&parameters);
}

/* The primary's values of these bind a standby (patroni-compat 1.3): with lower ones the server pauses
 * replay, and does not promote. */
static bool is_raised_floor(const struct pg_pending *pending)
{
    static const char *const floors[] = { "max_connections", "max_worker_processes",
                                          "max_wal_senders", "max_prepared_transactions",
                                          "max_locks_per_transaction" };
    for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++)
        if (strcmp(pending->name, floors[i]) == 0)
            return strtoll(pending->new_value, NULL, 10) > strtoll(pending->old_value, NULL, 10);
    return false;
}

bool postgres_replay_held(const struct postgres *postgres)
{
    const struct pg_facts *facts = &postgres->facts;
    if (postgres->state != PG_UP || !facts->in_recovery || !facts->paused)
        return false;
    for (size_t i = 0; i < facts->n_pending; i++)
        if (is_raised_floor(&facts->pending[i]))
            return true;
    return false;
}

static void fill_pending(struct postgres *postgres, const struct probe_state *probe)
{
    struct pg_facts *facts = &postgres->facts;
    facts->n_pending = 0;
    if (!probe->queryable || probe->settings_round == 0)
        return;
    find_pending(postgres, probe);
    facts->n_pending = postgres->n_pending;
    memcpy(facts->pending, postgres->pending, sizeof(facts->pending));
}

static const char *trouble_of(const struct postgres *postgres, const struct probe_state *probe)
{
    const struct look *look = &postgres->look;
    if (postgres->state == PG_DOWN && look->dir_known && look->found.dir.dir == DATA_DIR_BROKEN)
        return look->found.dir.trouble;
    if (postgres->trouble[0] != '\0')
        return postgres->trouble;
    if (postgres->state == PG_DOWN)
        return look->trouble;
    return postgres->state == PG_STARTING ? probe->trouble : "";
}

/* Long after it should stream: a wrong password, pg_hba, a slot or WAL that is gone. The server tells
 * its log only. */
static void say_not_streaming(const struct postgres *postgres, const struct probe_state *probe,
                              struct pg_facts *facts)
{
    enum { NOT_STREAMING_MS = 15000 };
    const struct conf_role *role = &postgres->role;
    int64_t for_ms = mono_diff(loop_now(postgres->parts.loop), probe->not_streaming_since);
    bool standby = facts->queryable && probe->view.in_recovery && role->upstream_host[0] != '\0';
    if (facts->trouble[0] != '\0' || !standby || for_ms < NOT_STREAMING_MS)
        return;
    snprintf(
        facts->trouble, sizeof(facts->trouble),
        "not streaming from %s (%.200s:%d): Postgres' own log says why (password, pg_hba, slot, "
        "WAL or network)",
        role->upstream, role->upstream_host, role->upstream_port);
}

void facts_fill(struct postgres *postgres)
{
    const struct probe_state *probe = probe_state(postgres->probe);
    struct pg_facts *facts = &postgres->facts;
    *facts = probe->facts;
    facts->answered_at = probe->answered_at;
    facts->queryable = probe->queryable && postgres->state == PG_UP;
    facts->state = state_of(postgres);
    facts->role = role_of(postgres, probe);
    facts->clone_percent = postgres->clone_percent;
    fill_pending(postgres, probe);
    text_copy(facts->trouble, sizeof(facts->trouble), trouble_of(postgres, probe));
    say_not_streaming(postgres, probe, facts);
    text_copy(facts->progress, sizeof(facts->progress), postgres->progress);
}
