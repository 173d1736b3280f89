#include "controller/kube/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "etcd/codec.h"
#include "settings/yaml.h"
#include "json/json.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

/* ---- texts ---------------------------------------------------------------------------------- */

static void free_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

struct kube_place *kube_place_free(struct kube_place *place)
{
    if (place == NULL)
        return NULL;
    free(place->server);
    free(place->ns);
    free(place->ca);
    free(place->cert);
    free_secret(place->token);
    free_secret(place->key);
    free(place);
    return NULL;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

bool kube_place_equal(const struct kube_place *a, const struct kube_place *b)
{
    return same(a->server, b->server) && same(a->ns, b->ns) && same(a->token, b->token) &&
           same(a->ca, b->ca) && same(a->cert, b->cert) && same(a->key, b->key) &&
           a->insecure == b->insecure;
}

/* A file's content without the line end that editors leave behind. */
static enum err_code read_text(const char *path, char **ret_text, struct err *err)
{
    auto_text struct text content = text_new(LIMIT_FILE);
    enum err_code code = file_read(path, &content, err);
    if (code != ERR_OK)
        return code;
    while (content.len > 0 && strchr("\r\n ", content.data[content.len - 1]) != NULL)
        content.data[--content.len] = '\0';
    free(*ret_text);
    *ret_text = text_take(&content);
    return ERR_OK;
}

/* ---- in the cluster --------------------------------------------------------------------------- */

static enum err_code find_account(struct kube_place *place, struct err *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    if (host == NULL || port == NULL)
        return err_set(err, ERR_INVALID,
                       "neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set: outside a cluster, "
                       "name a kubeconfig in KUBECONFIG");
    struct text server = text_new(LIMIT_URL);
    bool bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
    text_addf(&server, bare_v6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
    place->server = text_take(&server);
    enum err_code code = read_text(ACCOUNT "token", &place->token, err);
    if (code == ERR_OK)
        code = read_text(ACCOUNT "ca.crt", &place->ca, err);
    if (code == ERR_OK)
        (void)read_text(ACCOUNT "namespace", &place->ns, NULL);
    return code;
}

/* ---- kubeconfig ------------------------------------------------------------------------------- */

struct kubeconfig {
    const json_t *tree;
    const char *name;
    const char *directory;
};

/* The mapping `inner` of the list's entry with this name. */
static enum err_code find_entry(const struct kubeconfig *config, const char *list,
                                const char *inner, const char *name, struct json_reader *ret_entry,
                                struct err *err)
{
    const json_t *array = json_object_get(config->tree, list);
    size_t at;
    const json_t *entry;
    json_array_foreach (array, at, entry) {
        const char *found = json_string_value(json_object_get(entry, "name"));
        if (found == NULL || strcmp(found, name) != 0)
            continue;
        *ret_entry =
            (struct json_reader){ .object = json_object_get(entry, inner), .name = config->name };
        return ERR_OK;
    }
    return err_set(err, ERR_INVALID, "%s: %s has no entry \"%s\"", config->name, list, name);
}

static enum err_code decode(struct json_reader from, const char *key, const char *data,
                            char **ret_text, struct err *err)
{
    size_t len = strlen(data);
    auto_free char *bytes = mem_new(len / 4 * 3 + 4);
    auto_free char *compact = mem_new(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        if (strchr(" \r\n\t", data[i]) == NULL)
            compact[n++] = data[i];
    if (codec_base64(compact, n, bytes, &len, NULL) != ERR_OK)
        return err_set(err, ERR_INVALID, "%s: %s: not base64", from.name, key);
    *ret_text = take(bytes);
    return ERR_OK;
}

/* `key`-data in base64, else the file that `key` names. Neither: NULL. */
static enum err_code read_pem(const struct kubeconfig *config, struct json_reader from,
                              const char *key, char **ret_pem, struct err *err)
{
    char data_key[64];
    (void)text_copy(data_key, sizeof(data_key) - 5, key);
    memcpy(data_key + strlen(data_key), "-data", sizeof("-data"));
    const char *data = json_string_value(json_object_get(from.object, data_key));
    if (data != NULL)
        return decode(from, data_key, data, ret_pem, err);
    const char *file = json_string_value(json_object_get(from.object, key));
    if (file == NULL)
        return ERR_OK;
    auto_text struct text path = text_new(LIMIT_PATH);
    if (file[0] != '/')
        text_addf(&path, "%s/", config->directory);
    text_add(&path, file);
    return read_text(text_str(&path), ret_pem, err);
}

static enum err_code read_cluster(const struct kubeconfig *config, const char *name,
                                  struct kube_place *place, struct err *err)
{
    struct json_reader cluster;
    const char *server;
    enum err_code code = find_entry(config, "clusters", "cluster", name, &cluster, err);
    if (code == ERR_OK)
        code = json_get_string(cluster, "server", &server, err);
    if (code == ERR_OK)
        code = json_opt_bool(cluster, "insecure-skip-tls-verify", false, &place->insecure, err);
    if (code != ERR_OK)
        return code;
    place->server = mem_strdup(server);
    size_t len = strlen(place->server);
    while (len > 0 && place->server[len - 1] == '/')
        place->server[--len] = '\0';
    return read_pem(config, cluster, "certificate-authority", &place->ca, err);
}

static enum err_code read_user(const struct kubeconfig *config, const char *name,
                               struct kube_place *place, struct err *err)
{
    struct json_reader user;
    const char *token, *file;
    enum err_code code = find_entry(config, "users", "user", name, &user, err);
    if (code == ERR_OK &&
        (json_object_get(user.object, "exec") || json_object_get(user.object, "auth-provider")))
        return err_set(err, ERR_INVALID,
                       "%s: user \"%s\" logs in by a program: give a token or a client certificate",
                       config->name, name);
    if (code == ERR_OK)
        code = json_opt_string(user, "token", NULL, &token, err);
    if (code == ERR_OK)
        code = json_opt_string(user, "tokenFile", NULL, &file, err);
    if (code != ERR_OK)
        return code;
    place->token = mem_strdup(token);
    if (file != NULL)
        code = read_text(file, &place->token, err);
    if (code == ERR_OK)
        code = read_pem(config, user, "client-certificate", &place->cert, err);
    if (code == ERR_OK)
        code = read_pem(config, user, "client-key", &place->key, err);
    return code;
}

static enum err_code read_context(const struct kubeconfig *config, struct kube_place *place,
                                  struct err *err)
{
    struct json_reader top = { .object = config->tree, .name = config->name };
    struct json_reader context;
    const char *current, *cluster, *user, *ns;
    enum err_code code = json_get_string(top, "current-context", &current, err);
    if (code == ERR_OK)
        code = find_entry(config, "contexts", "context", current, &context, err);
    if (code == ERR_OK)
        code = json_get_string(context, "cluster", &cluster, err);
    if (code == ERR_OK)
        code = json_get_string(context, "user", &user, err);
    if (code == ERR_OK)
        code = json_opt_string(context, "namespace", NULL, &ns, err);
    if (code != ERR_OK)
        return code;
    place->ns = mem_strdup(ns);
    code = read_cluster(config, cluster, place, err);
    return code == ERR_OK ? read_user(config, user, place, err) : code;
}

enum err_code kube_place_parse(const char *bytes, size_t len, const char *name,
                               const char *directory, struct kube_place **ret_place,
                               struct err *err)
{
    auto_json json_t *tree = NULL;
    enum err_code code = yaml_parse(bytes, len, name, &tree, err);
    if (code != ERR_OK)
        return code;
    struct kubeconfig config = { .tree = tree, .name = name, .directory = directory };
    struct kube_place *place = mem_struct(struct kube_place);
    code = read_context(&config, place, err);
    if (code == ERR_OK)
        *ret_place = place;
    else
        kube_place_free(place);
    return code;
}

static enum err_code find_kubeconfig(const char *list, struct kube_place **ret_place,
                                     struct err *err)
{
    auto_free char *path = mem_strndup(list, strcspn(list, ":"));
    auto_text struct text content = text_new(LIMIT_FILE);
    enum err_code code = file_read(path, &content, err);
    if (code != ERR_OK)
        return code;
    auto_free char *directory = mem_strdup(path);
    char *slash = strrchr(directory, '/');
    if (slash != NULL)
        *slash = '\0';
    return kube_place_parse(text_str(&content), content.len, path, slash != NULL ? directory : ".",
                            ret_place, err);
}

enum err_code kube_place_find(struct kube_place **ret_place, struct err *err)
{
    const char *kubeconfig = getenv("KUBECONFIG");
    if (kubeconfig != NULL && kubeconfig[0] != '\0')
        return find_kubeconfig(kubeconfig, ret_place, err);
    struct kube_place *place = mem_struct(struct kube_place);
    enum err_code code = find_account(place, err);
    if (code == ERR_OK)
        *ret_place = place;
    else
        kube_place_free(place);
    return code;
}
