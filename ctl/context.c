/* Where the cluster is: a configuration file, etcd endpoints, or a member's REST API. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "settings/config.h"

enum { DEAD_PEER_MS = 5000 };

static const char *default_config(void)
{
    static const char *const variables[] = { "PGVIGILCTL_CONFIG_FILE", "PATRONICTL_CONFIG_FILE" };
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        if (getenv(variables[i]) != NULL)
            return getenv(variables[i]);
    static const char usual[] = "/etc/pgvigil/pgvigil.yml";
    return access(usual, R_OK) == 0 ? usual : NULL;
}

static enum err_code read_config(struct ctl *ctl, struct err *err)
{
    struct ctl_args *args = &ctl->args;
    const char *path = args->config;
    if (path == NULL && args->endpoints == NULL && args->rest == NULL)
        path = default_config();
    if (path == NULL)
        return ERR_OK;
    /* A data node's file, or a witness's, which has no Postgres in it. */
    auto_text struct text warnings = text_new(LIMIT_FILE);
    enum err_code code = config_load(path, false, false, &ctl->config, &warnings, err);
    if (code != ERR_OK && config_load(path, true, false, &ctl->config, &warnings, NULL) == ERR_OK)
        return ERR_OK;
    return code;
}

static enum err_code load_tls(struct ctl *ctl, struct err *err)
{
    struct http_tls_files rest = { .insecure = ctl->args.insecure };
    struct http_tls_files store = { .insecure = ctl->args.insecure };
    const struct config *config = ctl->config;
    if (config != NULL) {
        rest.ca = config->ctl.cacert != NULL ? config->ctl.cacert : config->restapi.cafile;
        rest.cert = config->ctl.certfile;
        rest.key = config->ctl.keyfile;
        rest.key_password = config->ctl.keyfile_password;
        rest.insecure |= config->ctl.insecure;
        bool managed = config->managed.name != NULL;
        store.ca = managed ? config->managed.ca : config->etcd.cacert;
        store.cert = managed ? config->managed.cert : config->etcd.cert;
        store.key = managed ? config->managed.key : config->etcd.key;
    }
    enum err_code code = http_tls_load(&rest, &ctl->tls, err);
    return code != ERR_OK ? code : http_tls_load(&store, &ctl->etcd_tls, err);
}

static void split(char *list, const char **items, size_t max)
{
    char *save = NULL;
    size_t n = 0;
    for (char *item = strtok_r(list, ",", &save); item != NULL && n < max;
         item = strtok_r(NULL, ",", &save))
        items[n++] = item;
    items[n] = NULL;
}

static void connect_etcd(struct ctl *ctl)
{
    const char *endpoints[LIMIT_ENDPOINTS + 1] = { NULL };
    const struct config *config = ctl->config;
    auto_free char *list = mem_strdup(ctl->args.endpoints);
    struct etcd_config etcd = { .endpoints = endpoints, .tls = ctl->etcd_tls };
    size_t n = 0;
    if (list != NULL) {
        split(list, endpoints, LIMIT_ENDPOINTS);
    } else if (config != NULL && config->managed.name != NULL) {
        for (; n < config->managed.n && n < LIMIT_ENDPOINTS; n++)
            endpoints[n] = config->managed.members[n].client_url;
    } else if (config != NULL) {
        for (; n < config->etcd.endpoints.n && n < LIMIT_ENDPOINTS; n++)
            endpoints[n] = config->etcd.endpoints.item[n];
        etcd.user = config->etcd.username;
        etcd.password = config->etcd.password;
    }
    if (endpoints[0] != NULL)
        ctl->etcd = etcd_new(ctl->loop, ctl->http, &etcd);
}

static enum err_code name_cluster(struct ctl *ctl, struct err *err)
{
    struct ctl_args *args = &ctl->args;
    const struct config *config = ctl->config;
    if (args->scope != NULL)
        ctl->scope = mem_strdup(args->scope);
    else if (config != NULL)
        ctl->scope = mem_strdup(config->scope);
    else if (args->n_names > 0 && args->endpoints != NULL)
        ctl->scope = mem_strdup(args->names[0]);
    if (ctl->scope == NULL && args->rest == NULL)
        return err_set(err, ERR_INVALID, "which cluster? Give --scope NAME");
    struct text prefix = text_new(LIMIT_PATH);
    if (config != NULL && args->scope == NULL)
        text_add(&prefix, config->prefix);
    else
        text_addf(&prefix, "%s%s/", config != NULL ? config->namespace_ : "/service/",
                  ctl->scope != NULL ? ctl->scope : "");
    ctl->prefix = text_take(&prefix);
    return ERR_OK;
}

enum err_code ctl_open(struct ctl *ctl, struct err *err)
{
    const struct ctl_args *args = &ctl->args;
    enum err_code code = read_config(ctl, err);
    if (code != ERR_OK)
        return code;
    if (ctl->config == NULL && args->endpoints == NULL && args->rest == NULL)
        return err_set(err, ERR_INVALID,
                       "where is the cluster? Give -c FILE, -e ENDPOINTS with --scope, or -d URL");
    ctl->loop = loop_new();
    ctl->http = http_new(ctl->loop, DEAD_PEER_MS);
    code = load_tls(ctl, err);
    if (code == ERR_OK)
        code = name_cluster(ctl, err);
    if (code != ERR_OK)
        return code;
    if (ctl->config != NULL) {
        ctl->username = ctl->config->ctl.username;
        ctl->password = ctl->config->ctl.password;
    }
    if (args->rest == NULL)
        connect_etcd(ctl);
    if (ctl->etcd == NULL && args->rest == NULL)
        return err_set(err, ERR_INVALID, "no etcd endpoint is configured: give -e or -d");
    return ERR_OK;
}

void ctl_close(struct ctl *ctl)
{
    etcd_free(ctl->etcd);
    http_free(ctl->http);
    http_tls_free(ctl->tls);
    http_tls_free(ctl->etcd_tls);
    config_free(ctl->config);
    loop_free(ctl->loop);
    free(ctl->scope);
    free(ctl->prefix);
}
