/* Building and freeing the parts, in the order of their dependencies. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/tags_json.h"
#include "http/http.h"
#include "sidecar/sidecar_failsafe.h"
#include "sidecar/sidecar_internal.h"

enum { DEAD_PEER_MS = 5000 };

static enum err_code build_settings(struct sidecar *sidecar, struct err *err)
{
    json_t *first = settings_default_config(sidecar->config);
    struct text warnings = text_new(LIMIT_LOG_LINE);
    enum err_code code = settings_new(first, sidecar->config, &sidecar->settings, &warnings, err);
    if (code == ERR_OK)
        log_warn_lines("settings", text_str(&warnings));
    text_done(&warnings);
    json_decref(first);
    if (code == ERR_OK)
        code = tags_from_json(sidecar->config->tags, &sidecar->tags, err);
    return code;
}

static enum err_code build_tls(struct sidecar *sidecar, struct err *err)
{
    const struct config *config = sidecar->config;
    const struct http_tls_files etcd_files = {
        .ca = config->etcd.cacert,
        .cert = config->etcd.cert,
        .key = config->etcd.key,
    };
    if (etcd_files.ca != NULL || etcd_files.cert != NULL) {
        enum err_code code = http_tls_load(&etcd_files, &sidecar->etcd_tls, err);
        if (code != ERR_OK)
            return code;
    }
    if (config->restapi.certfile == NULL)
        return ERR_OK;
    const char *ca = config->ctl.cacert != NULL ? config->ctl.cacert : config->restapi.cafile;
    const struct http_tls_files peer_files = {
        .ca = ca,
        .cert = config->ctl.certfile,
        .key = config->ctl.keyfile,
        .key_password = config->ctl.keyfile_password,
        .insecure = config->ctl.insecure || ca == NULL,
        .any_name = true,
    };
    return http_tls_load(&peer_files, &sidecar->peer_tls, err);
}

static void build_etcd_client(struct sidecar *sidecar)
{
    const struct config *config = sidecar->config;
    const char *endpoints[LIMIT_ENDPOINTS + 1] = { NULL };
    for (size_t i = 0; i < config->etcd.endpoints.n && i < LIMIT_ENDPOINTS; i++)
        endpoints[i] = config->etcd.endpoints.item[i];
    sidecar->http = http_new(sidecar->loop, DEAD_PEER_MS);
    const struct etcd_config etcd_config = { .endpoints = endpoints,
                                             .tls = sidecar->etcd_tls,
                                             .user = config->etcd.username,
                                             .password = config->etcd.password };
    sidecar->etcd = etcd_new(sidecar->loop, sidecar->http, &etcd_config);
}

static void guard_says(void *arg)
{
    struct sidecar *sidecar = arg;
    if (sidecar->postgres != NULL)
        postgres_guard_changed(sidecar->postgres);
    sidecar_urgent(sidecar);
}

/* Each renewal that counts moves the guard's deadline (L3). */
static void deadline_to_guard(void *arg, struct mono deadline, int64_t lease_id,
                              int64_t create_revision)
{
    struct sidecar *sidecar = arg;
    const struct guard_cookie cookie = { lease_id, create_revision };
    if (sidecar->guard != NULL)
        guard_deadline(sidecar->guard, deadline, cookie, NULL, NULL);
}

static void build_store(struct sidecar *sidecar)
{
    const struct config *config = sidecar->config;
    bool witness = sidecar->options.witness;
    int64_t ttl_ms = sidecar->settings->ttl_s * 1000;
    sidecar->cluster = cluster_new(&(struct cluster_spec){
        .loop = sidecar->loop,
        .etcd = sidecar->etcd,
        .prefix = config->prefix,
        .self = config->name,
        .ttl_ms = ttl_ms,
        .remember = witness ? NULL : sidecar_remember,
        .changed = sidecar_urgent,
        .arg = sidecar,
    });
    sidecar->keeper = lease_keeper_new(&(struct lease_keeper_spec){
        .loop = sidecar->loop,
        .etcd = sidecar->etcd,
        .cluster = sidecar->cluster,
        .ttl_ms = ttl_ms,
        .cpu_limited = config->cpu_limited,
        .deadline = witness ? NULL : deadline_to_guard,
        .confirmed = witness ? NULL : sidecar_confirmed,
        .changed = sidecar_urgent,
        .arg = sidecar,
    });
    sidecar->publish = publish_new(&(struct publish_spec){
        .loop = sidecar->loop,
        .etcd = sidecar->etcd,
        .cluster = sidecar->cluster,
        .keeper = sidecar->keeper,
    });
}

static void build_postgres(struct sidecar *sidecar)
{
    sidecar->postgres = postgres_new(&(struct postgres_parts){
        .loop = sidecar->loop,
        .guard = sidecar->guard,
        .config = sidecar->config,
        .settings = sidecar->settings,
        .stale = sidecar_urgent,
        .arg = sidecar,
    });
    sidecar->steps_store = steps_store_new(&(struct steps_store_spec){
        .loop = sidecar->loop,
        .etcd = sidecar->etcd,
        .cluster = sidecar->cluster,
        .keeper = sidecar->keeper,
        .publish = sidecar->publish,
        .config = sidecar_first_config,
        .history = sidecar_history,
        .arg = sidecar,
    });
    sidecar->steps_postgres = steps_postgres_new(sidecar->postgres);
    sidecar->runner = runner_new(&(struct runner_spec){
        .loop = sidecar->loop,
        .store = sidecar->steps_store,
        .postgres = sidecar->steps_postgres,
        .changed = sidecar_urgent,
        .arg = sidecar,
    });
    sidecar->peers = peers_new(&(struct peers_spec){
        .loop = sidecar->loop,
        .http = sidecar->http,
        .tls = sidecar->peer_tls,
        .username = sidecar->config->ctl.username,
        .password = sidecar->config->ctl.password,
        .changed = sidecar_urgent,
        .arg = sidecar,
    });
}

static void build_failsafe(struct sidecar *sidecar)
{
    sidecar->memory.started_at = clock_mono();
    sidecar->failsafe = failsafe_round_new(&(struct failsafe_round_spec){
        .loop = sidecar->loop,
        .http = sidecar->http,
        .tls = sidecar->peer_tls,
        .username = sidecar->config->ctl.username,
        .password = sidecar->config->ctl.password,
        .keeper = sidecar->keeper,
    });
}

static void build_etcd_member(struct sidecar *sidecar)
{
    const struct config *config = sidecar->config;
    if (config->managed.name == NULL)
        return; /* etcd is not ours to manage, or this is a further data pod (part 1) */
    sidecar->etcd_member = etcd_member_new(&(struct etcd_member_spec){
        .loop = sidecar->loop,
        .config = config,
        .etcd = sidecar->etcd,
        .http = sidecar->http,
        .etcd_tls = sidecar->etcd_tls,
        .peer_tls = sidecar->peer_tls,
        .guard_path = sidecar->options.guard_path,
        .ttl_ms = sidecar->settings->ttl_s * 1000,
        .changed = sidecar_stale,
        .arg = sidecar,
    });
}

static enum err_code build(struct sidecar *sidecar, struct err *err)
{
    enum err_code code = build_settings(sidecar, err);
    if (code == ERR_OK)
        code = build_tls(sidecar, err);
    if (code != ERR_OK)
        return code;
    build_etcd_client(sidecar);
    if (!sidecar->options.witness) {
        sidecar_read_memory(sidecar);
        code = sidecar_guard_new(sidecar, guard_says, err);
        if (code != ERR_OK)
            return code;
    }
    build_store(sidecar);
    if (!sidecar->options.witness) {
        build_postgres(sidecar);
        build_failsafe(sidecar);
    }
    build_etcd_member(sidecar);
    return sidecar_api_new(sidecar, err);
}

enum err_code sidecar_new(struct loop *loop, const struct sidecar_options *options,
                          struct config *config, struct sidecar **ret_sidecar, struct err *err)
{
    struct sidecar *sidecar = mem_struct(struct sidecar);
    sidecar->loop = loop;
    sidecar->options = *options;
    sidecar->config = config;
    sidecar->view = mem_struct(struct view);
    sidecar->wall_offset_ms = clock_wall().ms - clock_mono().ms;
    sidecar->decision = (struct decision){ .action = ACT_WAIT, .rule = "starting" };
    sidecar->pace = loop_timer(loop, sidecar_cycle, sidecar);
    sidecar->urgent = loop_defer(loop, sidecar_cycle, sidecar);
    enum err_code code = build(sidecar, err);
    if (code != ERR_OK) {
        sidecar_free(sidecar);
        return code;
    }
    sidecar_etcd_health_begin(sidecar);
    sidecar_watch_certificates(sidecar);
    sidecar_urgent(sidecar);
    *ret_sidecar = sidecar;
    return ERR_OK;
}

struct sidecar *sidecar_free(struct sidecar *sidecar)
{
    if (sidecar == NULL)
        return NULL;
    file_watch_free(sidecar->certificates);
    source_free(sidecar->mending);
    sidecar_etcd_health_end(sidecar);
    sidecar_api_free(sidecar); /* runs the loop, which may ask for a cycle */
    source_free(sidecar->pace);
    source_free(sidecar->urgent);
    etcd_member_free(sidecar->etcd_member);
    runner_free(sidecar->runner);
    steps_postgres_free(sidecar->steps_postgres);
    steps_store_free(sidecar->steps_store);
    peers_free(sidecar->peers);
    failsafe_round_free(sidecar->failsafe);
    postgres_free(sidecar->postgres);
    guard_client_free(sidecar->guard);
    publish_free(sidecar->publish);
    lease_keeper_free(sidecar->keeper);
    cluster_free(sidecar->cluster);
    etcd_free(sidecar->etcd);
    http_free(sidecar->http);
    http_tls_free(sidecar->etcd_tls);
    http_tls_free(sidecar->peer_tls);
    state_file_free(sidecar->remembrance.file);
    settings_free(sidecar->settings);
    config_free(sidecar->config);
    config_free(sidecar->former_config);
    free(sidecar->view);
    free(sidecar);
    return NULL;
}
