/* --check-config. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "settings/parameters.h"
#include "settings/settings.h"
#include "json/json.h"

/* Which etcd, in the words of a person. */
static void add_etcd(struct text *report, const struct config *config)
{
    const struct config_managed_etcd *managed = &config->managed;
    if (config->etcd.external) {
        text_add(report, "external etcd at ");
        for (size_t i = 0; i < config->etcd.endpoints.n; i++)
            text_addf(report, "%s%s", i == 0 ? "" : ", ", config->etcd.endpoints.item[i]);
        return;
    }
    text_add(report, "managed etcd of ");
    for (size_t i = 0; i < managed->n; i++)
        text_addf(report, "%s%s", i == 0 ? "" : ", ", managed->members[i].name);
    if (managed->name == NULL)
        text_add(report, " (none of them is here)");
}

/* Right where certificates or trust let it in; else forgotten. */
static void note_login(struct text *report, const char *role, const struct config_login *login)
{
    if (login->password == NULL && login->sslcert == NULL)
        text_addf(report,
                  "postgresql.authentication.%s: no password: pg_hba must let %s in without one\n",
                  role, login->username);
}

/* What PostgreSQL 17 would not take, as far as it is known without one. */
static void note_parameters(struct text *report, const struct settings *settings,
                            const struct config *config)
{
    struct parameters parameters;
    const struct parameter_node node = { .primary = true };
    parameters_build(settings, config, &node, &parameters, report);
    parameters_done(&parameters);
}

static enum err_code check_settings(const struct config *config, bool witness, struct text *report,
                                    struct err *err)
{
    auto_json json_t *first = settings_default_config(config);
    struct settings *settings;
    enum err_code code = settings_new(first, config, &settings, report, err);
    if (code != ERR_OK)
        return text_starts_with(err->text, "config: ") ? err_wrap(err, "bootstrap.dcs") : code;
    if (!witness) {
        note_login(report, "superuser", &config->postgresql.superuser);
        note_login(report, "replication", &config->postgresql.replication);
        note_parameters(report, settings, config);
    }
    text_addf(report, "%s is configured: member %s of cluster %s, REST on %s, ",
              witness ? "witness" : "data node", config->name, config->scope,
              config->restapi.listen);
    add_etcd(report, config);
    text_addf(report, ", ttl %lld s when the cluster is made\n", (long long)settings->ttl_s);
    settings_free(settings);
    return ERR_OK;
}

/* A file that is named can be read here: the same container and user will want it. */
static enum err_code check_files(const struct config *config, struct err *err)
{
    const struct {
        const char *what, *path;
    } files[] = {
        { "restapi.certfile", config->restapi.certfile },
        { "restapi.keyfile", config->restapi.keyfile },
        { "restapi.cafile", config->restapi.cafile },
        { "ctl.cacert", config->ctl.cacert },
        { "ctl.certfile", config->ctl.certfile },
        { "ctl.keyfile", config->ctl.keyfile },
        { "etcd: cacert", config->etcd.cacert },
        { "etcd: cert", config->etcd.cert },
        { "etcd: key", config->etcd.key },
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (files[i].path != NULL && access(files[i].path, R_OK) != 0)
            return err_set(err, ERR_INVALID, "%s: %s: %s", files[i].what, files[i].path,
                           strerror(errno));
    return ERR_OK;
}

enum err_code settings_check(const char *path, bool witness, struct text *report, struct err *err)
{
    struct config *config;
    enum err_code code = config_load(path, witness, false, &config, report, err);
    if (code != ERR_OK)
        return code;
    code = check_files(config, err);
    if (code == ERR_OK)
        code = check_settings(config, witness, report, err);
    config_free(config);
    return code;
}
