#include "config_complete.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/sync_state.h"
#include "cluster/tags_json.h"
#include "json/json.h"

/* ---- names -------------------------------------------------------------------------- */

static enum err_code check_name(const char *what, const char *name, struct err *err)
{
    if (strlen(name) >= LIMIT_NAME)
        return err_set(err, ERR_INVALID, "%s: longer than %d bytes", what, LIMIT_NAME - 1);
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f || strchr("/,\"'\\:", *c) != NULL)
            return err_set(err, ERR_INVALID,
                           "%s: %s: a name has no blanks, slashes, commas, colons or quotes", what,
                           name);
    /* Both have a meaning in synchronous_standby_names. */
    if (strcmp(name, "*") == 0 || strcasecmp(name, SSN_NOBODY_NAME) == 0)
        return err_set(err, ERR_INVALID, "%s: %s is taken: choose another", what, name);
    return ERR_OK;
}

/* "/service/scope/": one slash between and around, however many were written. */
static void complete_prefix(struct config *config)
{
    struct text joined = text_new(LIMIT_PATH);
    const char *at = config->namespace_;
    text_add(&joined, "/");
    while (*(at += strspn(at, "/")) != '\0') {
        size_t len = strcspn(at, "/");
        text_addf(&joined, "%.*s/", (int)len, at);
        at += len;
    }
    free(config->namespace_);
    config->namespace_ = mem_strdup(text_str(&joined));
    text_addf(&joined, "%s/", config->scope);
    config->prefix = text_take(&joined);
}

/* Python's words for the levels are what Patroni's files have. */
static enum err_code complete_log(struct config *config, struct err *err)
{
    static const struct {
        const char *word, *level;
    } words[] = {
        { "debug", "debug" }, { "info", "info" },   { "warn", "warn" },      { "warning", "warn" },
        { "error", "error" }, { "fatal", "error" }, { "critical", "error" },
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(words[i].word, config->log_level) == 0) {
            free(config->log_level);
            config->log_level = mem_strdup(words[i].level);
            return ERR_OK;
        }
    return err_set(err, ERR_INVALID, "log.level: expected debug, info, warn or error, not %s",
                   config->log_level);
}

/* ---- addresses ---------------------------------------------------------------------- */

static bool parse_port(const char *text, int *ret_port)
{
    char *end;
    long port = strtol(text, &end, 10);
    if (end == text || *end != '\0' || port < 1 || port > 65535)
        return false;
    *ret_port = (int)port;
    return true;
}

bool config_split_address(const char *address, int default_port, char ret_host[LIMIT_URL],
                          int *ret_port)
{
    const char *colon = strrchr(address, ':');
    const char *bracket = strrchr(address, ']');
    int port = default_port;

    if (colon != NULL && bracket != NULL && colon < bracket)
        colon = NULL; /* "[::1]" alone */
    else if (colon != NULL && bracket == NULL && strchr(address, ':') != colon)
        colon = NULL; /* "::1" alone */
    if (colon != NULL && !parse_port(colon + 1, &port))
        return false;
    size_t len = colon != NULL ? (size_t)(colon - address) : strlen(address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len >= LIMIT_URL)
        return false;
    memcpy(ret_host, address, len);
    ret_host[len] = '\0';
    *ret_port = port;
    return true;
}

static enum err_code check_address(const char *what, const char *address, bool reachable,
                                   struct err *err)
{
    char host[LIMIT_URL];
    int port;
    if (!config_split_address(address, 1, host, &port))
        return err_set(err, ERR_INVALID, "%s: expected host:port, not %s", what, address);
    if (reachable && (host[0] == '\0' || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 ||
                      strcmp(host, "::") == 0 || strchr(host, ',') != NULL))
        return err_set(err, ERR_INVALID, "%s: %s: name the address under which others reach it",
                       what, address);
    return ERR_OK;
}

/* Others are told it as it is: a port has to be there. */
static enum err_code check_api_address(const char *what, const char *address, bool reachable,
                                       struct err *err)
{
    char host[LIMIT_URL];
    int port;
    enum err_code code = check_address(what, address, reachable, err);
    if (code == ERR_OK && config_split_address(address, 0, host, &port) && port == 0)
        code = err_set(err, ERR_INVALID, "%s: expected host:port, not %s (Patroni's port is 8008)",
                       what, address);
    return code;
}

/* ---- sections ----------------------------------------------------------------------- */

static enum err_code check_pair(const char *section, const char *username, const char *password,
                                struct err *err)
{
    if ((username == NULL) != (password == NULL))
        return err_set(err, ERR_INVALID,
                       "%s.authentication: give username and password, or neither", section);
    return ERR_OK;
}

static void set_default(char **field, const char *value)
{
    if (*field == NULL)
        *field = mem_strdup(value);
}

/* A header is one line, whoever writes it. */
static enum err_code check_header(const char *name, const char *value, struct err *err)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~";
    if (name[0] == '\0' || name[strspn(name, token)] != '\0')
        return err_set(err, ERR_INVALID, "restapi: extra header \"%s\": not a header's name", name);
    for (const char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return err_set(err, ERR_INVALID,
                           "restapi: extra header %s: a value is one line of text", name);
    return ERR_OK;
}

static enum err_code add_header(struct text_list *headers, const char *name, const json_t *value,
                                struct err *err)
{
    auto_text struct text line = text_new(LIMIT_HTTP_HEADER);
    auto_text struct text text = text_new(LIMIT_HTTP_HEADER);
    if (json_is_string(value))
        text_add(&text, json_string_value(value));
    else
        json_write(&text, value);
    enum err_code code = check_header(name, text_str(&text), err);
    if (code != ERR_OK)
        return code;
    text_addf(&line, "%s: %s", name, text_str(&text));
    text_list_add(headers, text_take(&line));
    return ERR_OK;
}

/* https_extra_headers replace equal ones of http_extra_headers, and need TLS. */
static enum err_code complete_headers(struct config_restapi *api, struct err *err)
{
    enum err_code code = ERR_OK;
    const char *name;
    json_t *value;
    auto_json json_t *headers = json_object();
    if (api->http_extra_headers != NULL)
        json_object_update(headers, api->http_extra_headers);
    if (api->https_extra_headers != NULL && api->certfile != NULL)
        json_object_update(headers, api->https_extra_headers);
    json_object_foreach (headers, name, value) {
        if (code == ERR_OK)
            code = add_header(&api->headers, name, value, err);
    }
    return code;
}

static enum err_code complete_api(struct config *config, struct err *err)
{
    struct config_restapi *api = &config->restapi;
    struct config_ctl *ctl = &config->ctl;
    enum err_code code = check_api_address("restapi.listen", api->listen, false, err);
    if (code == ERR_OK)
        code = check_api_address("restapi.connect_address", api->connect_address, true, err);
    if (code == ERR_OK)
        code = check_pair("restapi", api->username, api->password, err);
    if (code == ERR_OK)
        code = check_pair("ctl", ctl->username, ctl->password, err);
    if (code != ERR_OK)
        return code;
    if (api->verify_client != CONFIG_VERIFY_NONE && (api->certfile == NULL || api->cafile == NULL))
        return err_set(err, ERR_INVALID,
                       "restapi.verify_client: needs restapi.certfile and restapi.cafile");
    if (api->certfile == NULL && api->keyfile != NULL)
        return err_set(err, ERR_INVALID, "restapi.keyfile: needs restapi.certfile");
    if (ctl->username == NULL) {
        ctl->username = mem_strdup(api->username);
        ctl->password = mem_strdup(api->password);
    }
    set_default(&ctl->cacert, api->cafile);
    return complete_headers(api, err);
}

static enum err_code check_absolute(const char *what, const char *path, struct err *err)
{
    if (path[0] != '/')
        return err_set(err, ERR_INVALID, "%s: %s: give an absolute path", what, path);
    if (strlen(path) >= LIMIT_PATH / 2)
        return err_set(err, ERR_INVALID, "%s: longer than %d bytes", what, LIMIT_PATH / 2);
    return ERR_OK;
}

static void strip_slashes(char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
}

/* Every field of a login is a text: the rewind role is the superuser where nothing is said. */
static void copy_login(struct config_login *to, const struct config_login *from)
{
    char **target = (char **)to;
    char *const *source = (char *const *)from;
    if (to->username != NULL)
        return;
    for (size_t i = 0; i < sizeof(*to) / sizeof(char *); i++) {
        free(target[i]);
        target[i] = mem_strdup(source[i]);
    }
}

static enum err_code complete_postgresql(struct config *config, struct err *err)
{
    struct config_postgresql *pg = &config->postgresql;
    enum err_code code = check_address("postgresql.listen", pg->listen, false, err);
    if (code == ERR_OK)
        code = check_address("postgresql.connect_address", pg->connect_address, true, err);
    if (code == ERR_OK)
        code = check_absolute("postgresql.data_dir", pg->data_dir, err);
    if (code != ERR_OK)
        return code;
    strip_slashes(pg->data_dir);
    if (strrchr(pg->data_dir, '/') == pg->data_dir)
        return err_set(err, ERR_INVALID,
                       "postgresql.data_dir: %s: give a subdirectory of the volume, such as "
                       "/var/lib/postgresql/data/pgdata",
                       pg->data_dir);
    copy_login(&pg->rewind, &pg->superuser);
    return ERR_OK;
}

/* Our state lies beside the data, never inside (design part 6). */
static enum err_code complete_state(struct config *config, struct err *err)
{
    const char *data = config->postgresql.data_dir;
    if (data == NULL)
        data = config->managed.data_dir;
    if (config->state_dir == NULL && data == NULL)
        return err_set(err, ERR_INVALID, "pgvigil.state_dir: give a directory for our own state");
    if (config->state_dir == NULL) {
        struct text path = text_new(LIMIT_PATH);
        text_addf(&path, "%.*s/pgvigil", (int)(strrchr(data, '/') - data), data);
        config->state_dir = text_take(&path);
    }
    enum err_code code = check_absolute("pgvigil.state_dir", config->state_dir, err);
    if (code == ERR_OK && config->postgresql.pgpass == NULL) {
        struct text path = text_new(LIMIT_PATH);
        text_addf(&path, "%s/pgpass", config->state_dir);
        config->postgresql.pgpass = text_take(&path);
    }
    return code;
}

static enum err_code check_required(struct config *config, bool witness, struct err *err)
{
    struct option_table table = config_options();
    for (size_t i = 0; i < table.n; i++) {
        const struct option *option = &table.rows[i];
        if (!option->required || (witness && text_starts_with(option->path, "postgresql.")))
            continue;
        const char *value = *(char **)((char *)config + option->offset);
        if (value == NULL || (value[0] == '\0' && strcmp(option->path, "restapi.listen") != 0))
            return err_set(err, ERR_INVALID, "%s: missing: %s (or set PGVIGIL_%s)", option->path,
                           option->help, option->env);
    }
    return ERR_OK;
}

/* Published as any other, but what Patroni makes of them is not built. */
static void warn_tags(const json_t *tags, struct text *warnings)
{
    static const char *const without[] = { "replicatefrom", "nostream" };
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        const json_t *value = json_object_get(tags, without[i]);
        if (value != NULL && !json_is_null(value) && !json_is_false(value))
            text_addf(warnings,
                      "tags.%s: has no effect, not built: every standby streams from the leader\n",
                      without[i]);
    }
}

enum err_code config_complete(struct config *config, bool witness, struct text *warnings,
                              struct err *err)
{
    struct tags tags;
    enum err_code code = check_required(config, witness, err);
    if (code == ERR_OK)
        code = check_name("name", config->name, err);
    if (code == ERR_OK)
        code = check_name("scope", config->scope, err);
    if (code == ERR_OK)
        code = complete_log(config, err);
    if (code == ERR_OK)
        code = complete_api(config, err);
    if (code == ERR_OK)
        code = config_complete_etcd(config, warnings, err);
    if (code == ERR_OK && !witness)
        code = complete_postgresql(config, err);
    if (code == ERR_OK && witness && config->managed.name == NULL)
        code = err_set(err, ERR_INVALID,
                       "pgvigil.etcd: a witness runs an etcd member: name it among the members");
    if (code == ERR_OK)
        code = complete_state(config, err);
    if (code == ERR_OK && tags_from_json(config->tags, &tags, err) != ERR_OK)
        code = ERR_INVALID;
    if (code == ERR_OK)
        code = tags_check(config->tags, err);
    if (code != ERR_OK)
        return code;
    warn_tags(config->tags, warnings);
    complete_prefix(config);
    return ERR_OK;
}
