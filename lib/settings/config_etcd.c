#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "config_complete.h"

/* ---- managed members ---------------------------------------------------------------- */

static enum err_code read_url(const json_t *member, size_t i, const char *key, char **ret_url,
                              struct err *err)
{
    const char *url = json_string_value(json_object_get(member, key));
    if (url == NULL || url[0] == '\0')
        return err_set(err, ERR_INVALID, "pgvigil.etcd.members: member %zu has no %s", i + 1, key);
    if (strcmp(key, "name") != 0 && !text_starts_with(url, "http://") &&
        !text_starts_with(url, "https://"))
        return err_set(err, ERR_INVALID,
                       "pgvigil.etcd.members: member %zu: %s: expected http://host:port, not %s",
                       i + 1, key, url);
    if (strlen(url) >= LIMIT_URL)
        return err_set(err, ERR_INVALID, "pgvigil.etcd.members: member %zu: %s is too long", i + 1,
                       key);
    *ret_url = mem_strdup(url);
    return ERR_OK;
}

static enum err_code read_member(struct config_managed_etcd *managed, const json_t *from,
                                 struct err *err)
{
    struct config_member *member = &managed->members[managed->n];
    size_t i = managed->n++;
    enum err_code code = read_url(from, i, "name", &member->name, err);
    if (code == ERR_OK)
        code = read_url(from, i, "peer_url", &member->peer_url, err);
    if (code == ERR_OK)
        code = read_url(from, i, "client_url", &member->client_url, err);
    if (code == ERR_OK)
        code = read_url(from, i, "api_url", &member->api_url, err);
    if (code == ERR_OK && strlen(member->name) >= LIMIT_NAME)
        code =
            err_set(err, ERR_INVALID, "pgvigil.etcd.members: member %zu: name is too long", i + 1);
    return code;
}

/* A name or an address that two members share would make two of them one. */
static enum err_code check_unique(const struct config_managed_etcd *managed, struct err *err)
{
    for (size_t i = 0; i < managed->n; i++)
        for (size_t j = 0; j < i; j++) {
            const struct config_member *a = &managed->members[i], *b = &managed->members[j];
            if (strcmp(a->name, b->name) == 0 || strcmp(a->peer_url, b->peer_url) == 0 ||
                strcmp(a->client_url, b->client_url) == 0)
                return err_set(err, ERR_INVALID,
                               "pgvigil.etcd.members: members %zu and %zu share a name or a URL",
                               j + 1, i + 1);
        }
    return ERR_OK;
}

/* A data node beyond the three has no member of its own, unless it says that it has. */
static enum err_code find_self(struct config *config, struct err *err)
{
    struct config_managed_etcd *managed = &config->managed;
    const char *name = managed->name != NULL ? managed->name : config->name;
    for (size_t i = 0; i < managed->n; i++)
        if (strcmp(managed->members[i].name, name) == 0) {
            if (managed->name == NULL)
                managed->name = mem_strdup(name);
            if (managed->data_dir == NULL || managed->data_dir[0] != '/')
                return err_set(err, ERR_INVALID, "pgvigil.etcd.data_dir: give an absolute path");
            return ERR_OK;
        }
    if (managed->name != NULL)
        return err_set(err, ERR_INVALID, "pgvigil.etcd.name: %s is none of pgvigil.etcd.members",
                       name);
    return ERR_OK;
}

static enum err_code read_members(struct config *config, struct text *warnings, struct err *err)
{
    struct config_managed_etcd *managed = &config->managed;
    const json_t *member;
    size_t i;
    enum err_code code = ERR_OK;

    if (json_array_size(managed->tree) == 0 || json_array_size(managed->tree) > LIMIT_MEMBERS)
        return err_set(err, ERR_INVALID, "pgvigil.etcd.members: name 1 to %d members",
                       LIMIT_MEMBERS);
    json_array_foreach (managed->tree, i, member) {
        if (code == ERR_OK)
            code = read_member(managed, member, err);
    }
    if (code == ERR_OK)
        code = check_unique(managed, err);
    if (code == ERR_OK)
        code = find_self(config, err);
    if (code == ERR_OK && managed->n != 3)
        text_addf(warnings,
                  "pgvigil.etcd.members: %zu members: three are what survives the loss of one\n",
                  managed->n);
    return code;
}

/* ---- endpoints ---------------------------------------------------------------------- */

static enum err_code add_host(struct config_etcd *etcd, const char *host, struct err *err)
{
    struct text endpoint = text_new(LIMIT_URL - 1);
    char name[LIMIT_URL];
    int port;
    if (strstr(host, "://") != NULL) {
        text_add(&endpoint, host);
    } else if (!config_split_address(host, 2379, name, &port)) {
        return err_set(err, ERR_INVALID, "etcd3: expected host:port, not %s", host);
    } else {
        bool v6 = strchr(name, ':') != NULL;
        text_addf(&endpoint, "%s://%s%s%s:%d", etcd->protocol == NULL ? "http" : etcd->protocol,
                  v6 ? "[" : "", name, v6 ? "]" : "", port);
    }
    if (endpoint.overflow || etcd->endpoints.n == LIMIT_ENDPOINTS) {
        text_done(&endpoint);
        return err_set(err, ERR_INVALID, "etcd3: at most %d endpoints of %d bytes", LIMIT_ENDPOINTS,
                       LIMIT_URL - 1);
    }
    if (endpoint.len > 0 && endpoint.data[endpoint.len - 1] == '/')
        endpoint.data[endpoint.len - 1] = '\0';
    text_list_add(&etcd->endpoints, text_take(&endpoint));
    return ERR_OK;
}

static enum err_code read_external(struct config_etcd *etcd, struct err *err)
{
    enum err_code code = ERR_OK;
    if (etcd->protocol != NULL && strcmp(etcd->protocol, "http") != 0 &&
        strcmp(etcd->protocol, "https") != 0)
        return err_set(err, ERR_INVALID, "etcd3.protocol: expected http or https, not %s",
                       etcd->protocol);
    etcd->external = true;
    for (size_t i = 0; i < etcd->hosts.n && code == ERR_OK; i++)
        code = add_host(etcd, etcd->hosts.item[i], err);
    if (etcd->hosts.n == 0 && etcd->host != NULL)
        code = add_host(etcd, etcd->host, err);
    else if (etcd->hosts.n == 0 && etcd->url != NULL)
        code = add_host(etcd, etcd->url, err);
    if (code == ERR_OK && etcd->endpoints.n == 0)
        code = err_set(err, ERR_INVALID, "etcd3: give hosts: a list of host:port");
    if (code == ERR_OK && (etcd->cert == NULL) != (etcd->key == NULL))
        code = err_set(err, ERR_INVALID, "etcd3: give cert and key, or neither");
    if (code == ERR_OK && (etcd->username == NULL) != (etcd->password == NULL))
        code = err_set(err, ERR_INVALID, "etcd3: give username and password, or neither");
    return code;
}

static void use_members(struct config *config)
{
    struct config_etcd *etcd = &config->etcd;
    const struct config_managed_etcd *managed = &config->managed;
    for (size_t i = 0; i < managed->n && i < LIMIT_ENDPOINTS; i++)
        text_list_add(&etcd->endpoints, mem_strdup(managed->members[i].client_url));
    etcd->cacert = mem_strdup(managed->ca);
    etcd->cert = mem_strdup(managed->cert);
    etcd->key = mem_strdup(managed->key);
}

enum err_code config_complete_etcd(struct config *config, struct text *warnings, struct err *err)
{
    bool external = !json_is_null(json_object_get(config->tree, "etcd3")) &&
                    json_object_get(config->tree, "etcd3") != NULL;
    if (external && config->managed.tree != NULL)
        return err_set(err, ERR_INVALID,
                       "etcd3 and pgvigil.etcd: either etcd is external or it is managed: remove "
                       "one of the two");
    if (external)
        return read_external(&config->etcd, err);
    if (config->managed.tree == NULL)
        return err_set(err, ERR_INVALID,
                       "no store: give etcd3.hosts (external etcd) or pgvigil.etcd.members "
                       "(managed)");
    enum err_code code = read_members(config, warnings, err);
    if (code == ERR_OK)
        use_members(config);
    return code;
}
