#include "controller/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/mem.h"

static const char *variable(const char *name, const char *fallback)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : fallback;
}

static enum err_code required(const char *name, char **ret_value, struct err *err)
{
    const char *value = variable(name, NULL);
    if (value == NULL)
        return err_set(err, ERR_INVALID, "%s is not set (docs/controller.md)", name);
    *ret_value = mem_strdup(value);
    return ERR_OK;
}

static enum err_code read_bool(const char *name, bool *ret_value, struct err *err)
{
    const char *value = variable(name, "false");
    *ret_value = strcmp(value, "true") == 0;
    return *ret_value || strcmp(value, "false") == 0
               ? ERR_OK
               : err_set(err, ERR_INVALID, "%s: true or false, not \"%.60s\"", name, value);
}

static enum err_code read_port(const char *name, const char *text, int *ret_port, struct err *err)
{
    char *end;
    long port = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || port < 0 || port > 65535)
        return err_set(err, ERR_INVALID, "%s: \"%.60s\" is not a port", name, text);
    *ret_port = (int)port;
    return ERR_OK;
}

/* One word of a list; its index, or an error that names them all. */
static enum err_code read_word(const char *name, const char *fallback, const char *const *words,
                               int *ret_index, struct err *err)
{
    const char *value = variable(name, fallback);
    auto_text struct text all = text_new(LIMIT_REASON);
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], value) == 0) {
            *ret_index = i;
            return ERR_OK;
        }
        text_addf(&all, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    return err_set(err, ERR_INVALID, "%s: one of %s, not \"%.60s\"", name, text_str(&all), value);
}

/* ---- parts ------------------------------------------------------------------------------------ */

static char *or_format(const char *name, const char *format, const char *release)
{
    const char *value = variable(name, NULL);
    if (value != NULL)
        return mem_strdup(value);
    struct text text = text_new(LIMIT_PATH);
    const char *rest = format;
    const char *mark;
    while ((mark = strchr(rest, '@')) != NULL) {
        text_add_bytes(&text, rest, (size_t)(mark - rest));
        text_add(&text, release);
        rest = mark + 1;
    }
    text_add(&text, rest);
    return text_take(&text);
}

static enum err_code read_names(struct options *options, struct err *err)
{
    enum err_code code = required("PGVIGIL_RELEASE", &options->release, err);
    if (code != ERR_OK)
        return code;
    options->scope = or_format("PGVIGIL_SCOPE", "@", options->release);
    const char *folder = variable("PGVIGIL_NAMESPACE", "service");
    folder += strspn(folder, "/");
    struct text prefix = text_new(LIMIT_PATH);
    int len = (int)strlen(folder);
    while (len > 0 && folder[len - 1] == '/')
        len--;
    text_addf(&prefix, "/%.*s/%s/", len, folder, options->scope);
    options->prefix = text_take(&prefix);
    options->namespace = mem_strdup(variable("PGVIGIL_POD_NAMESPACE", NULL));
    char host[LIMIT_KUBE_NAME] = "";
    (void)gethostname(host, sizeof(host) - 1);
    options->name = mem_strdup(variable("PGVIGIL_NAME", host));
    options->node = mem_strdup(variable("PGVIGIL_NODE_NAME", ""));
    options->selector =
        or_format("PGVIGIL_POD_SELECTOR",
                  "app.kubernetes.io/name=pgvigil,app.kubernetes.io/instance=@", options->release);
    return options->name[0] != '\0' ? ERR_OK : required("PGVIGIL_NAME", &options->name, err);
}

static enum err_code read_label(const char *name, char *to, size_t size, struct err *err)
{
    const char *value = variable(name, NULL);
    return value == NULL || text_copy(to, size, value)
               ? ERR_OK
               : err_set(err, ERR_INVALID, "%s: longer than %zu bytes", name, size - 1);
}

static enum err_code read_labels(struct options *options, struct err *err)
{
    const char *preset = variable("PGVIGIL_LABELS", "patroni");
    struct label_names *names = &options->labels;
    if (!label_preset(preset, names))
        return err_set(err, ERR_INVALID,
                       "PGVIGIL_LABELS: one of patroni, spilo, cloudnativepg, not \"%.60s\"",
                       preset);
    enum err_code code = read_label("PGVIGIL_LABEL_KEY", names->key, sizeof(names->key), err);
    if (code == ERR_OK)
        code = read_label("PGVIGIL_LABEL_PRIMARY", names->primary, sizeof(names->primary), err);
    if (code == ERR_OK)
        code = read_label("PGVIGIL_LABEL_REPLICA", names->replica, sizeof(names->replica), err);
    if (code == ERR_OK && strcmp(names->primary, names->replica) == 0)
        return err_set(err, ERR_INVALID,
                       "PGVIGIL_LABEL_PRIMARY and PGVIGIL_LABEL_REPLICA are the same");
    return code;
}

static enum err_code read_etcd(struct options *options, struct err *err)
{
    auto_free char *hosts = NULL;
    enum err_code code = required("PGVIGIL_ETCD3_HOSTS", &hosts, err);
    if (code != ERR_OK)
        return code;
    options->etcd_user = mem_strdup(variable("PGVIGIL_ETCD3_USERNAME", NULL));
    options->etcd_password = mem_strdup(variable("PGVIGIL_ETCD3_PASSWORD", NULL));
    options->etcd_ca = mem_strdup(variable("PGVIGIL_ETCD3_CACERT", NULL));
    options->etcd_cert = mem_strdup(variable("PGVIGIL_ETCD3_CERT", NULL));
    options->etcd_key = mem_strdup(variable("PGVIGIL_ETCD3_KEY", NULL));
    bool tls = options->etcd_ca != NULL || options->certificates != CERTIFICATES_OFF;
    const char *protocol = variable("PGVIGIL_ETCD3_PROTOCOL", tls ? "https" : "http");
    size_t n = 0;
    char *rest = hosts;
    char *host;
    while ((host = strsep(&rest, ", ")) != NULL) {
        if (host[0] == '\0')
            continue;
        if (n == LIMIT_ENDPOINTS)
            return err_set(err, ERR_LIMIT, "PGVIGIL_ETCD3_HOSTS: more than %d", LIMIT_ENDPOINTS);
        struct text url = text_new(LIMIT_URL);
        if (strstr(host, "://") == NULL)
            text_addf(&url, "%s://", protocol);
        text_add(&url, host);
        options->etcd_urls[n++] = text_take(&url);
    }
    return n > 0 ? ERR_OK : err_set(err, ERR_INVALID, "PGVIGIL_ETCD3_HOSTS names nobody");
}

static enum err_code read_listen(struct options *options, struct err *err)
{
    const char *listen = variable("PGVIGIL_RESTAPI_LISTEN", "*:8008");
    const char *colon = strrchr(listen, ':');
    if (colon == NULL)
        return err_set(err, ERR_INVALID, "PGVIGIL_RESTAPI_LISTEN: host:port, not \"%.60s\"",
                       listen);
    bool bracket = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
    options->listen_host =
        mem_strndup(listen + bracket, (size_t)(colon - listen) - (bracket ? 2 : 0));
    return read_port("PGVIGIL_RESTAPI_LISTEN", colon + 1, &options->listen_port, err);
}

static enum err_code read_manage(struct options *options, struct err *err)
{
    const struct {
        const char *word;
        bool *on;
    } parts[] = {
        { "secrets", &options->manages_secrets }, { "settings", &options->manages_settings },
        { "events", &options->manages_events },   { "roll", &options->manages_roll },
        { "scale", &options->manages_scale },     { "none", NULL },
    };
    auto_free char *list =
        mem_strdup(variable("PGVIGIL_MANAGE", "secrets,settings,events,roll,scale"));
    char *rest = list;
    char *word;
    while ((word = strsep(&rest, ", ")) != NULL) {
        size_t at = 0;
        while (at < sizeof(parts) / sizeof(parts[0]) && strcmp(parts[at].word, word) != 0)
            at++;
        if (word[0] != '\0' && at == sizeof(parts) / sizeof(parts[0]))
            return err_set(err, ERR_INVALID,
                           "PGVIGIL_MANAGE: secrets, settings, events, roll, scale or none, not "
                           "\"%.60s\"",
                           word);
        if (word[0] != '\0' && parts[at].on != NULL)
            *parts[at].on = true;
    }
    return ERR_OK;
}

static enum err_code read_modes(struct options *options, struct err *err)
{
    static const char *const certificates[] = { "off", "given", "make", NULL };
    static const char *const routings[] = { "label", "slice", NULL };
    static const char *const types[] = { "plain", "json", NULL };
    int index = 0;
    enum err_code code = read_word("PGVIGIL_CERTIFICATES", "off", certificates, &index, err);
    options->certificates = (enum certificates)index;
    if (code == ERR_OK)
        code = read_word("PGVIGIL_ROUTING", "label", routings, &index, err);
    options->slice = index == 1;
    if (code == ERR_OK)
        code = read_word("PGVIGIL_LOG_TYPE", "json", types, &index, err);
    options->log_json = index == 1;
    if (code == ERR_OK)
        code = read_bool("PGVIGIL_WATCH_NODES", &options->watch_nodes, err);
    if (code == ERR_OK)
        code = read_port("PGVIGIL_POSTGRES_PORT", variable("PGVIGIL_POSTGRES_PORT", "5432"),
                         &options->postgres_port, err);
    options->log_level = LOG_LEVEL_INFO;
    const char *level = variable("PGVIGIL_LOG_LEVEL", "info");
    if (code == ERR_OK && !log_level_from_name(level, &options->log_level))
        return err_set(err, ERR_INVALID,
                       "PGVIGIL_LOG_LEVEL: debug, info, warn or error, not \"%.60s\"", level);
    return code;
}

static enum err_code read_all(struct options *options, struct err *err)
{
    enum err_code code = read_names(options, err);
    if (code == ERR_OK)
        code = read_modes(options, err);
    if (code == ERR_OK)
        code = read_labels(options, err);
    if (code == ERR_OK)
        code = read_etcd(options, err);
    if (code == ERR_OK)
        code = read_listen(options, err);
    if (code == ERR_OK)
        code = read_manage(options, err);
    options->certificate_names = mem_strdup(variable("PGVIGIL_CERTIFICATE_NAMES", ""));
    options->cluster_domain = mem_strdup(variable("PGVIGIL_CLUSTER_DOMAIN", "cluster.local"));
    options->rest_user = mem_strdup(variable("PGVIGIL_RESTAPI_USERNAME", "pgvigil"));
    options->app_database = mem_strdup(variable("PGVIGIL_APP_DATABASE", ""));
    options->app_user = mem_strdup(variable("PGVIGIL_APP_USER", options->app_database));
    return code;
}

enum err_code options_read(struct options **ret_options, struct err *err)
{
    struct options *options = mem_struct(struct options);
    enum err_code code = read_all(options, err);
    if (code == ERR_OK)
        *ret_options = options;
    else
        options_free(options);
    return code;
}

struct options *options_free(struct options *options)
{
    if (options == NULL)
        return NULL;
    char *const texts[] = {
        options->release,           options->scope,          options->prefix,
        options->namespace,         options->name,           options->node,
        options->selector,          options->etcd_user,      options->etcd_password,
        options->etcd_ca,           options->etcd_cert,      options->etcd_key,
        options->certificate_names, options->cluster_domain, options->listen_host,
        options->rest_user,         options->app_database,   options->app_user,
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    for (size_t i = 0; options->etcd_urls[i] != NULL; i++)
        free(options->etcd_urls[i]);
    free(options);
    return NULL;
}
