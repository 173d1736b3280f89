#include "sidecar/postgres/probe_parse.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "json/json.h"

const char *const probe_hello_sql =
    "SELECT current_setting('server_version_num'),"
    " (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,"
    " (SELECT system_identifier FROM pg_control_system()),"
    " current_setting('data_checksums'), current_setting('wal_log_hints')";

/* Parameters that wait for a restart. What we gave on the command line never says so itself
 * (patroni-compat 1.3): its owner compares. */
const char *const probe_pending_sql =
    "SELECT coalesce(json_agg(json_build_array(name, current_setting(name, true),"
    " pending_restart)), '[]') FROM pg_settings WHERE pending_restart OR name IN"
    " ('listen_addresses', 'port', 'cluster_name', 'wal_level', 'hot_standby', 'max_connections',"
    " 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction',"
    " 'max_replication_slots', 'max_worker_processes', 'track_commit_timestamp',"
    " 'wal_log_hints')";

enum column {
    COL_RECOVERY,
    COL_FLUSH,
    COL_INSERT,
    COL_RECEIVE,
    COL_REPLAY,
    COL_REPLAY_TIME,
    COL_PAUSED,
    COL_PRIMARY_TLI,
    COL_SSN,
    COL_RESTORE,
    COL_WAITERS,
    COL_CHECKPOINT_TLI,
    COL_RECOVERY_TLI,
    COL_SENDERS,
    COL_SLOTS,
    COL_RECEIVER,
    COL_CONNINFO,
    COL_MAX
};
_Static_assert((int)COL_MAX == (int)PROBE_MAIN_COLUMNS, "as many as are selected");

/* `rec` is asked once (OFFSET 0 keeps the planner from asking again for each use). The probe of S2
 * waits on purpose and is not counted. */
const char *const probe_main_sql =
    "SELECT rec::int,"
    " CASE WHEN NOT rec THEN pg_current_wal_flush_lsn() END,"
    " CASE WHEN NOT rec THEN pg_current_wal_insert_lsn() END,"
    " pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(),"
    " (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint,"
    " CASE WHEN rec THEN pg_is_wal_replay_paused()::int END,"
    " CASE WHEN NOT rec THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END,"
    " current_setting('synchronous_standby_names'),"
    " current_setting('restore_command'),"
    " (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    "   AND application_name <> 'pgvigil_probe'),"
    " (SELECT timeline_id FROM pg_control_checkpoint()),"
    " (SELECT min_recovery_end_timeline FROM pg_control_recovery()),"
    " (SELECT json_agg(json_build_array(pid, usename, application_name, host(client_addr), state,"
    "   sync_state, sync_priority, flush_lsn)) FROM pg_stat_replication"
    "   WHERE application_name <> 'pgvigil_timeline'),"
    " (SELECT json_agg(json_build_array(slot_name, slot_type, active_pid, restart_lsn))"
    "   FROM pg_replication_slots WHERE NOT temporary),"
    " (SELECT json_build_array(status, received_tli, written_lsn, latest_end_lsn)"
    "   FROM pg_stat_wal_receiver),"
    " current_setting('primary_conninfo') <> ''"
    " FROM (SELECT pg_is_in_recovery() AS rec OFFSET 0) AS r";

static const char *column(const PGresult *result, enum column col)
{
    return PQgetvalue(result, 0, (int)col);
}

static int64_t to_number(const char *text)
{
    return strtoll(text, NULL, 10);
}

static lsn_t to_lsn(const char *text)
{
    lsn_t lsn = LSN_NONE;
    return text != NULL && lsn_parse(text, &lsn) ? lsn : LSN_NONE;
}

void probe_read_hello(const PGresult *result, struct probe_state *ret)
{
    struct pg_facts *facts = &ret->facts;
    facts->server_version = (int)to_number(PQgetvalue(result, 0, 0));
    facts->postmaster_start_us = to_number(PQgetvalue(result, 0, 1));
    ret->system_id = strtoull(PQgetvalue(result, 0, 2), NULL, 10);
    facts->data_checksums = strcmp(PQgetvalue(result, 0, 3), "on") == 0;
    facts->wal_log_hints = strcmp(PQgetvalue(result, 0, 4), "on") == 0;
}

/* ---- lists ---- */

static const char *string_at(const json_t *row, size_t index)
{
    const char *text = json_string_value(json_array_get(row, index));
    return text != NULL ? text : "";
}

void probe_read_pending(const PGresult *result, struct probe_state *ret)
{
    json_t *list = json_loads(PQgetvalue(result, 0, 0), 0, NULL);
    size_t index;
    json_t *row;
    ret->n_settings = 0;
    json_array_foreach (list, index, row) {
        if (ret->n_settings == PROBE_SETTINGS_MAX)
            break;
        struct probe_setting *setting = &ret->settings[ret->n_settings++];
        setting->pending = json_is_true(json_array_get(row, 2));
        text_copy(setting->name, sizeof(setting->name), string_at(row, 0));
        text_copy(setting->value, sizeof(setting->value), string_at(row, 1));
    }
    ret->settings_round++;
    json_decref(list);
}

static void read_sender(const json_t *row, struct pg_walsender_fact *fact, lsn_t *ret_flush)
{
    *fact = (struct pg_walsender_fact){
        .pid = (int)json_integer_value(json_array_get(row, 0)),
        .sync_priority = (int)json_integer_value(json_array_get(row, 6)),
    };
    text_copy(fact->usename, sizeof(fact->usename), string_at(row, 1));
    text_copy(fact->application_name, sizeof(fact->application_name), string_at(row, 2));
    text_copy(fact->client_addr, sizeof(fact->client_addr), string_at(row, 3));
    text_copy(fact->state, sizeof(fact->state), string_at(row, 4));
    text_copy(fact->sync_state, sizeof(fact->sync_state), string_at(row, 5));
    *ret_flush = to_lsn(string_at(row, 7));
}

static bool holds_slot(const struct pg_facts *facts, const struct pg_walsender_fact *sender)
{
    char slot[LIMIT_NAME];
    member_slot_name(sender->application_name, slot);
    for (size_t i = 0; i < facts->n_slots; i++)
        if (strcmp(facts->slots[i].name, slot) == 0 && facts->slots[i].physical)
            return facts->slots[i].active_pid == sender->pid;
    return false;
}

/* One row for each name; PostgreSQL compares names of synchronous standbys without regard to case. */
static void add_sender(struct pg_view *view, const struct pg_facts *facts,
                       const struct pg_walsender_fact *fact, lsn_t flush)
{
    struct walsender sender = {
        .streaming = strcmp(fact->state, "streaming") == 0,
        .only_one = true,
        .holds_slot = holds_slot(facts, fact),
        .sync = strcmp(fact->sync_state, "sync") == 0 || strcmp(fact->sync_state, "quorum") == 0,
        .sync_priority = fact->sync_priority,
        .flush = flush,
    };
    text_copy(sender.name, sizeof(sender.name), fact->application_name);
    for (size_t i = 0; i < view->n_walsenders; i++) {
        struct walsender *other = &view->walsenders[i];
        if (strcasecmp(other->name, sender.name) != 0)
            continue;
        if (sender.holds_slot)
            *other = sender;
        other->only_one = false;
        return;
    }
    if (view->n_walsenders < LIMIT_MEMBERS)
        view->walsenders[view->n_walsenders++] = sender;
}

static void read_slots(const char *text, struct pg_facts *facts)
{
    json_t *list = json_loads(text, 0, NULL);
    size_t index;
    json_t *row;
    facts->n_slots = 0;
    json_array_foreach (list, index, row) {
        if (facts->n_slots == PG_SLOTS_MAX)
            break;
        struct pg_slot_fact *slot = &facts->slots[facts->n_slots++];
        *slot = (struct pg_slot_fact){
            .physical = strcmp(string_at(row, 1), "physical") == 0,
            .active_pid = (int)json_integer_value(json_array_get(row, 2)),
            .restart_lsn = to_lsn(string_at(row, 3)),
        };
        slot->active = slot->active_pid != 0;
        text_copy(slot->name, sizeof(slot->name), string_at(row, 0));
    }
    json_decref(list);
}

static void read_senders(const char *text, struct pg_facts *facts, struct pg_view *view)
{
    json_t *list = json_loads(text, 0, NULL);
    size_t index;
    json_t *row;
    facts->n_walsenders = 0;
    view->n_walsenders = 0;
    json_array_foreach (list, index, row) {
        struct pg_walsender_fact fact;
        lsn_t flush;
        read_sender(row, &fact, &flush);
        add_sender(view, facts, &fact, flush);
        if (facts->n_walsenders < LIMIT_MEMBERS)
            facts->walsenders[facts->n_walsenders++] = fact;
    }
    json_decref(list);
}

/* Returns the receiver's timeline; 0: there is no receiver. */
static uint32_t read_receiver(const char *text, struct pg_facts *facts)
{
    json_t *row = json_loads(text, 0, NULL);
    uint32_t timeline = (uint32_t)json_integer_value(json_array_get(row, 1));
    lsn_t written = to_lsn(string_at(row, 2));
    facts->streaming = strcmp(string_at(row, 0), "streaming") == 0;
    facts->latest_end = to_lsn(string_at(row, 3));
    if (written != LSN_NONE)
        facts->received = written;
    json_decref(row);
    return timeline;
}

/* ---- the round ---- */

/* Did a synchronous standby's flush position move? */
static bool moved(const struct pg_view *before, const struct pg_view *after)
{
    for (size_t i = 0; i < after->n_walsenders; i++) {
        const struct walsender *now = &after->walsenders[i];
        for (size_t k = 0; now->sync && k < before->n_walsenders; k++)
            if (strcasecmp(now->name, before->walsenders[k].name) == 0 &&
                now->flush > before->walsenders[k].flush)
                return true;
    }
    return false;
}

static void read_primary(const PGresult *result, struct mono now, struct probe_round *round)
{
    struct pg_view *view = &round->next.view;
    const struct pg_view before = *view;
    round->position = to_lsn(column(result, COL_FLUSH));
    round->timeline = (uint32_t)strtoul(column(result, COL_PRIMARY_TLI), NULL, 16);
    round->next.facts.location = round->position;
    round->next.facts.boundary = to_lsn(column(result, COL_INSERT));
    read_senders(column(result, COL_SENDERS), &round->next.facts, view);
    view->waiters = (unsigned)to_number(column(result, COL_WAITERS));
    /* S5: judged by waiters and flush progress. */
    bool first = before.progress_at.ms == 0; /* what was before we looked is not known */
    if (view->waiters == 0 || before.in_recovery || first || moved(&before, view))
        view->progress_at = now;
    view->checkpointed = (uint32_t)to_number(column(result, COL_CHECKPOINT_TLI)) == round->timeline;
    round->next.not_streaming_since = MONO_NEVER;
}

static void read_standby(const PGresult *result, struct mono now, struct probe_round *round)
{
    struct pg_facts *facts = &round->next.facts;
    struct pg_view *view = &round->next.view;
    uint32_t recovery = (uint32_t)to_number(column(result, COL_RECOVERY_TLI));
    uint32_t checkpoint = (uint32_t)to_number(column(result, COL_CHECKPOINT_TLI));
    lsn_t received = to_lsn(column(result, COL_RECEIVE));
    facts->replayed = to_lsn(column(result, COL_REPLAY));
    facts->received = received > facts->replayed ? received : facts->replayed;
    facts->replayed_timestamp_us = to_number(column(result, COL_REPLAY_TIME));
    facts->paused = strcmp(column(result, COL_PAUSED), "1") == 0;
    uint32_t receiver = read_receiver(column(result, COL_RECEIVER), facts);
    read_senders(column(result, COL_SENDERS), facts, view);
    facts->archive_recovery = !facts->streaming && *column(result, COL_RESTORE) != '\0';
    /* Only until IDENTIFY_SYSTEM has told. */
    round->position = facts->replayed;
    round->timeline = receiver > recovery ? receiver : recovery;
    if (checkpoint > round->timeline)
        round->timeline = checkpoint;
    view->streaming = facts->streaming;
    view->progress_at = now;
    if (facts->streaming || strcmp(column(result, COL_CONNINFO), "t") != 0)
        round->next.not_streaming_since = MONO_NEVER;
    else if (round->next.not_streaming_since.ms == MONO_NEVER.ms)
        round->next.not_streaming_since = now;
}

static void clear_round(struct probe_round *round)
{
    struct pg_facts *facts = &round->next.facts;
    struct pg_view *view = &round->next.view;
    facts->location = facts->boundary = facts->received = facts->replayed = LSN_NONE;
    facts->latest_end = LSN_NONE;
    facts->replayed_timestamp_us = 0;
    facts->paused = facts->streaming = facts->archive_recovery = false;
    view->streaming = view->checkpointed = false;
    view->waiters = 0;
}

enum err_code probe_read_main(const PGresult *result, struct mono now, struct probe_round *ret,
                              struct err *err)
{
    struct pg_facts *facts = &ret->next.facts;
    struct pg_view *view = &ret->next.view;
    clear_round(ret);
    ret->in_recovery = strcmp(column(result, COL_RECOVERY), "1") == 0;
    read_slots(column(result, COL_SLOTS), facts);
    text_copy(facts->ssn, sizeof(facts->ssn), column(result, COL_SSN));
    view->ssn = ssn_parse(facts->ssn, &view->ssn_names);
    if (ret->in_recovery)
        read_standby(result, now, ret);
    else
        read_primary(result, now, ret);
    view->in_recovery = ret->in_recovery;
    facts->in_recovery = ret->in_recovery;
    if (ret->timeline == 0)
        return err_set(err, ERR_PROTOCOL, "Postgres does not tell its timeline");
    return ERR_OK;
}
