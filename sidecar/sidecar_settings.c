/* The settings of the store, and what other parts ask the sidecar for: the policy of the view, what
 * /sync has confirmed (S7), the first `config`. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "cluster/claims_json.h"
#include "cluster/history.h"
#include "sidecar/core/sync.h"
#include "sidecar/sidecar_internal.h"
#include "json/json.h"

static void use_settings(struct sidecar *sidecar, struct settings *settings)
{
    struct settings *former = sidecar->settings;
    sidecar->settings = settings;
    if (sidecar->postgres != NULL)
        postgres_settings_changed(sidecar->postgres, settings);
    if (sidecar->keeper != NULL)
        lease_keeper_set_ttl(sidecar->keeper, settings->ttl_s * 1000);
    if (sidecar->cluster != NULL)
        cluster_set_ttl(sidecar->cluster, settings->ttl_s * 1000);
    settings_free(former);
}

/* A bad `config` leaves the former settings in force, and says so once for each version of it. */
void sidecar_read_settings(struct sidecar *sidecar)
{
    struct cluster_key key;
    if (sidecar->cluster == NULL || !cluster_get(sidecar->cluster, "config", &key) ||
        key.mod_revision == sidecar->settings_revision)
        return;
    sidecar->settings_revision = key.mod_revision;
    json_error_t where;
    auto_json json_t *config = json_loads(key.value, 0, &where);
    if (config == NULL) {
        log_error("settings: the key config is no JSON (%s) -> keeping the former settings",
                  where.text);
        return;
    }
    auto_text struct text warnings = text_new(LIMIT_LOG_LINE);
    struct settings *settings;
    struct err err;
    if (settings_new(config, sidecar->config, &settings, &warnings, &err) != ERR_OK) {
        log_error("settings: %s -> keeping the former settings", err.text);
        return;
    }
    log_warn_lines("settings", text_str(&warnings));
    log_info("settings: config changed -> ttl %d s, synchronous_mode %s%s, pause %s",
             (int)settings->ttl_s, settings->synchronous_mode == SYNC_ON ? "on" : "off",
             settings->synchronous_mode_strict ? " (strict)" : "", settings->pause ? "on" : "off");
    use_settings(sidecar, settings);
}

struct policy sidecar_policy(const struct sidecar *sidecar)
{
    const struct settings *settings = sidecar->settings;
    return (struct policy){
        .ttl_ms = settings->ttl_s * 1000,
        .cpu_limited = sidecar->config->cpu_limited,
        .sync_on = settings->synchronous_mode == SYNC_ON,
        .sync_strict = settings->synchronous_mode_strict,
        .sync_count = (int)settings->synchronous_node_count,
        .max_lag_on_failover = settings->maximum_lag_on_failover,
        .max_lag_on_syncnode = settings->maximum_lag_on_syncnode,
        .pause = settings->pause,
        .failsafe = settings->failsafe_mode,
        .use_rewind = settings->use_pg_rewind,
        .clone_on_divergence = settings->clone_on_divergence,
        .clone_on_rewind_failure = settings->clone_on_rewind_failure,
        .primary_start_timeout_ms = settings->primary_start_timeout_s * 1000,
        .may_bootstrap = true,
    };
}

/* --- S7 --- */

void sidecar_note_boundary(struct sidecar *sidecar)
{
    lsn_t boundary = postgres_facts(sidecar->postgres)->boundary;
    struct boundaries *kept = &sidecar->boundaries;
    if (boundary == LSN_NONE || (kept->n > 0 && kept->at[kept->n - 1] == boundary))
        return;
    if (kept->n > 0 && boundary < kept->at[kept->n - 1])
        kept->n = 0; /* another history */
    if (kept->n == BOUNDARIES) {
        memmove(&kept->at[0], &kept->at[1], (BOUNDARIES - 1) * sizeof(kept->at[0]));
        kept->n--;
    }
    kept->at[kept->n++] = boundary;
}

static lsn_t boundary_before(const struct boundaries *kept, lsn_t lsn)
{
    for (size_t i = kept->n; i > 0; i--)
        if (kept->at[i - 1] <= lsn)
            return kept->at[i - 1];
    return LSN_NONE;
}

/* "With each renewal the leader publishes the lowest flush position confirmed by /sync: timeline
 * history and LSN at a record's boundary." */
bool sidecar_confirmed(void *arg, struct text *value, int64_t *ret_sync_revision)
{
    struct sidecar *sidecar = arg;
    const struct view *view = sidecar->view;
    if (!view_is_primary(view) || view->pg.state != PG_UP || !view_self_leads(view))
        return false;
    lsn_t lsn = boundary_before(&sidecar->boundaries, sync_confirmed(view));
    bool same_timeline =
        view->store.confirmed_exists && timeline_equal(&view->store.confirmed, &view->pg.timeline);
    if (lsn == LSN_NONE || (same_timeline && lsn <= view->store.confirmed_lsn))
        return false;
    confirmed_write(value, &view->pg.timeline, lsn);
    *ret_sync_revision = view->store.sync.mod_revision;
    return true;
}

/* --- texts for steps --- */

bool sidecar_first_config(void *arg, struct text *to)
{
    struct sidecar *sidecar = arg;
    auto_json json_t *config = settings_default_config(sidecar->config);
    json_write(to, config);
    return true;
}

/* The key /history: the timelines of the running primary, with times and leaders that are known. */
bool sidecar_history(void *arg, struct text *to)
{
    struct sidecar *sidecar = arg;
    const struct timeline *timeline = &sidecar->view->pg.timeline;
    struct history *history = calloc(2, sizeof(*history));
    if (history == NULL)
        abort();
    struct history *old = history + 1;
    for (uint32_t i = 0; i < timeline->n; i++) {
        struct history_entry *entry = &history->entries[history->n++];
        entry->tli = timeline->entries[i].tli;
        entry->lsn = timeline->entries[i].switch_at;
        (void)text_copy(entry->reason, sizeof(entry->reason), "no recovery target specified");
    }
    struct cluster_key key;
    if (cluster_get(sidecar->cluster, "history", &key))
        (void)history_from_json(key.value, key.len, old, NULL);
    char at[CLOCK_ISO_MAX];
    history_merge(history, old, clock_iso(clock_wall(), at), sidecar->config->name);
    auto_json json_t *json =
        history_to_json(history, (size_t)sidecar->settings->max_timelines_history);
    json_write(to, json);
    free(history);
    return true;
}
