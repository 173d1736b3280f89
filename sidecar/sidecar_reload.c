/* SIGHUP and POST /reload: the local configuration is read again, certificates with it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/tags_json.h"
#include "sidecar/sidecar_internal.h"
#include "json/json.h"

enum { CERTIFICATES_MS = 60000 };

static void use_config(struct sidecar *sidecar, struct config *config)
{
    struct config *former = sidecar->config;
    struct tags tags;
    struct err err;
    if (http_tls_reload(sidecar->etcd_tls, &err) != ERR_OK ||
        http_tls_reload(sidecar->peer_tls, &err) != ERR_OK)
        log_error("reload: %s -> keeping the former certificates as a client", err.text);
    if (tags_from_json(config->tags, &tags, &err) == ERR_OK)
        sidecar->tags = tags;
    else
        log_error("reload: %s -> keeping the former tags", err.text);
    sidecar->config = config;
    if (sidecar->postgres != NULL)
        postgres_config_changed(sidecar->postgres, config);
    control_store_set_config(sidecar->control_store, config, sidecar->peer_tls);
    if (sidecar_api_reload(sidecar, &err) != ERR_OK)
        log_error("reload: %s -> REST keeps its former settings", err.text);
    sidecar->settings_revision = 0; /* merged anew with the local file */
    if (sidecar->former_config == NULL)
        sidecar->former_config = former; /* parts that were built with it borrow from it */
    else
        config_free(former);
}

void sidecar_reload(struct sidecar *sidecar)
{
    auto_text struct text warnings = text_new(LIMIT_LOG_LINE);
    struct config *config;
    struct err err;
    enum err_code code = config_load(sidecar->options.config_path, sidecar->options.witness, false,
                                     &config, &warnings, &err);
    if (code != ERR_OK) {
        log_error("reload: %s -> keeping the former configuration", err.text);
        return;
    }
    const char *other = config_other_identity(sidecar->config, config);
    if (other != NULL) {
        log_error(
            "reload: %s has changed: a running sidecar keeps it, stop it first -> keeping the "
            "former configuration",
            other);
        config_free(config);
        return;
    }
    log_warn_lines("reload", text_str(&warnings));
    if (config_needs_restart(sidecar->config, config))
        log_warn("reload: pgvigil or etcd3 has changed -> takes effect when the sidecar restarts");
    use_config(sidecar, config);
    sidecar->orders.reload = !sidecar->options.witness;
    log_info("reload: configuration read again");
    sidecar_urgent(sidecar);
}

/* ---- renewed certificates --------------------------------------------------------------------- */

static void on_certificates(void *arg)
{
    log_info("certificates: their files have changed -> read again, PostgreSQL too");
    sidecar_reload(arg);
}

/* As the configuration is at the start; etcd itself reads its own files for each connection. */
void sidecar_watch_certificates(struct sidecar *sidecar)
{
    const struct config *config = sidecar->config;
    const char *const files[] = {
        config->restapi.certfile, config->restapi.keyfile, config->restapi.cafile,
        config->ctl.certfile,     config->ctl.keyfile,     config->ctl.cacert,
        config->etcd.cert,        config->etcd.key,        config->etcd.cacert,
    };
    const char *paths[sizeof(files) / sizeof(files[0]) + 1] = { NULL };
    size_t n = 0;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (files[i] != NULL)
            paths[n++] = files[i];
    const struct file_watch_spec spec = { .loop = sidecar->loop,
                                          .paths = paths,
                                          .pace_ms = CERTIFICATES_MS,
                                          .changed = on_certificates,
                                          .arg = sidecar };
    if (n > 0)
        sidecar->certificates = file_watch_new(&spec);
}

int sidecar_replay(const char *path)
{
    json_error_t where;
    auto_json json_t *json = json_load_file(path, 0, &where);
    if (json == NULL) {
        fprintf(stderr,
                where.line > 0 ? "pgvigil-sidecar: %s: %s (line %d)\n"
                               : "pgvigil-sidecar: %s: %s\n",
                path, where.text, where.line);
        return EXIT_FAILURE;
    }
    struct view *view = mem_struct(struct view);
    struct err err;
    int status = EXIT_FAILURE;
    if (view_from_json(json, view, &err) != ERR_OK) {
        fprintf(stderr, "pgvigil-sidecar: %s: %s\n", path, err.text);
    } else {
        struct decision decision = decide(view);
        printf("%s -> %s\n%s\n", decision.rule, action_name(decision.action), decision.reason);
        status = EXIT_SUCCESS;
    }
    free(view);
    return status;
}
