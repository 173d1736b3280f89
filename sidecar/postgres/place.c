#include "sidecar/postgres/place.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sidecar/postgres/files.h"

bool place_split(const char *address, char *ret_host, size_t size, int *ret_port)
{
    const char *colon = strrchr(address, ':');
    char *end;
    if (colon == NULL)
        return false;
    long port = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port < 1 || port > 65535)
        return false;
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len >= size)
        return false;
    memcpy(ret_host, address, len);
    ret_host[len] = '\0';
    *ret_port = (int)port;
    return true;
}

static bool is_address(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* patroni-compat 1.3: localhost where the server listens there, else an address that it listens on.
 * A name is not resolved: libpq would block. */
static void choose_address(const char *hosts, char *ret_host, size_t size)
{
    char list[LIMIT_URL];
    char *rest = NULL;
    text_copy(ret_host, size, "127.0.0.1");
    text_copy(list, sizeof(list), hosts);
    for (const char *host = strtok_r(list, ", ", &rest); host != NULL;
         host = strtok_r(NULL, ", ", &rest)) {
        if (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 ||
            strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0) {
            text_copy(ret_host, size, strncmp(host, "127.", 4) == 0 ? host : "127.0.0.1");
            return;
        }
        if (strcmp(host, "::") == 0)
            host = "::1";
        if (is_address(host))
            text_copy(ret_host, size, host);
    }
}

/* The directory of the socket: the first of unix_socket_directories of the local file. */
static bool choose_socket(const struct config *config, char *ret_host, size_t size)
{
    const json_t *value = option_get(config->postgresql.tree, "parameters.unix_socket_directories");
    const char *directories = json_string_value(value);
    if (!config->postgresql.use_unix_socket)
        return false;
    if (directories == NULL)
        directories = "/var/run/postgresql";
    size_t len = strcspn(directories, ", ");
    if (len == 0 || len >= size || directories[0] != '/')
        return false;
    memcpy(ret_host, directories, len);
    ret_host[len] = '\0';
    return true;
}

static enum err_code take_path(const char *from, const char *key, char *to, struct err *err)
{
    size_t len = from == NULL ? 0 : strlen(from);
    while (len > 1 && from[len - 1] == '/')
        len--;
    if (len < 2 || from[0] != '/')
        return err_set(err, ERR_INVALID, "%s: must be an absolute path", key);
    if (len > PLACE_MAX_PATH)
        return err_set(err, ERR_INVALID, "%s: longer than %d bytes", key, PLACE_MAX_PATH);
    memcpy(to, from, len);
    to[len] = '\0';
    return ERR_OK;
}

static enum err_code take_paths(const struct config *config, struct place *place, struct err *err)
{
    const struct config_postgresql *pg = &config->postgresql;
    const char *conf_dir = pg->config_dir != NULL ? pg->config_dir : pg->data_dir;
    enum err_code code = take_path(pg->data_dir, "postgresql.data_dir", place->data, err);
    if (code == ERR_OK)
        code = take_path(conf_dir, "postgresql.config_dir", place->conf_dir, err);
    if (code == ERR_OK)
        code = take_path(config->state_dir, "pgvigil.state_dir", place->state_dir, err);
    if (code == ERR_OK)
        code = take_path(pg->pgpass, "postgresql.pgpass", place->pgpass, err);
    return code;
}

enum err_code place_init(const struct config *config, struct place *ret_place, struct err *err)
{
    struct place place = { .port = 0 };
    char hosts[LIMIT_NAME];
    enum err_code code = take_paths(config, &place, err);
    if (code != ERR_OK)
        return code;
    const char *slash = strrchr(place.data, '/');
    snprintf(place.parent, sizeof(place.parent), "%.*s",
             slash == place.data ? 1 : (int)(slash - place.data), place.data);
    snprintf(place.fresh, sizeof(place.fresh), "%.*s.new", PLACE_MAX_PATH, place.data);
    path_join(place.fresh_data, place.fresh, "data");
    path_join(place.fresh_mark, place.fresh, "pgvigil");
    path_join(place.fresh_done, place.fresh, "complete");
    path_join(place.rewinding, place.state_dir, "rewinding");
    path_join(place.slots, place.state_dir, "slots");
    if (!place_split(config->postgresql.listen, hosts, sizeof(hosts), &place.port))
        return err_set(err, ERR_INVALID, "postgresql.listen: expected host:port, not '%s'",
                       config->postgresql.listen);
    if (!choose_socket(config, place.local_host, sizeof(place.local_host)))
        choose_address(hosts, place.local_host, sizeof(place.local_host));
    *ret_place = place;
    return ERR_OK;
}
