#include "tests/fake/kube_api.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "etcd/codec.h"
#include "json/json.h"

enum { OBJECTS = 64, HISTORY = 1024, REQUEST_MAX = 1 << 16, PATH_MAX_LEN = 400 };

struct object {
    char path[PATH_MAX_LEN];
    json_t *json;
};

struct happening {
    long version;
    char path[PATH_MAX_LEN];
    const char *type;
    json_t *json;
};

struct connection {
    struct kube_api *api;
    struct connection *next;
    int fd;
    struct source *source;
    struct text in;
    char watched[PATH_MAX_LEN]; /* the collection; "": no watch */
};

struct kube_api {
    struct loop *loop;
    int fd;
    struct source *source;
    char kubeconfig[64];
    char url[64];
    long version;
    long floor; /* watches begin at or after it */
    long next_uid;
    bool expire_in_stream;
    char fail_method[16];
    int fail_status;
    int fail_n;
    size_t n_objects;
    struct object objects[OBJECTS];
    size_t n_history;
    struct happening history[HISTORY];
    struct connection *first;
    struct kube_api_counts counts;
};

/* ---- objects ---------------------------------------------------------------------------------- */

static struct object *find(const struct kube_api *api, const char *path)
{
    for (size_t i = 0; i < api->n_objects; i++)
        if (strcmp(api->objects[i].path, path) == 0)
            return (struct object *)(uintptr_t)&api->objects[i];
    return NULL;
}

const json_t *kube_api_get(const struct kube_api *api, const char *path)
{
    const struct object *object = find(api, path);
    return object != NULL ? object->json : NULL;
}

static bool in_collection(const char *path, const char *collection)
{
    size_t len = strlen(collection);
    return strncmp(path, collection, len) == 0 && path[len] == '/' &&
           strchr(path + len + 1, '/') == NULL;
}

const json_t *kube_api_find(const struct kube_api *api, const char *collection, const char *key,
                            const char *value)
{
    for (size_t i = 0; i < api->n_objects; i++) {
        const char *found = json_string_value(json_object_get(api->objects[i].json, key));
        if (in_collection(api->objects[i].path, collection) && found != NULL &&
            strcmp(found, value) == 0)
            return api->objects[i].json;
    }
    return NULL;
}

static void say(const struct connection *connection, const struct text *text)
{
    ssize_t sent = send(connection->fd, text_str(text), text->len, MSG_NOSIGNAL);
    (void)sent;
}

static void say_event(const struct connection *connection, const char *type, const json_t *json)
{
    auto_text struct text line = text_new(LIMIT_HTTP_BODY);
    auto_text struct text chunk = text_new(LIMIT_HTTP_BODY);
    text_addf(&line, "{\"type\":\"%s\",\"object\":", type);
    json_write(&line, json);
    text_add(&line, "}\n");
    text_addf(&chunk, "%zx\r\n%s\r\n", line.len, text_str(&line));
    say(connection, &chunk);
}

static void happen(struct kube_api *api, const char *path, const char *type, json_t *json)
{
    assert(api->n_history < HISTORY);
    struct happening *happening = &api->history[api->n_history++];
    *happening =
        (struct happening){ .version = api->version, .type = type, .json = json_deep_copy(json) };
    (void)text_copy(happening->path, sizeof(happening->path), path);
    for (struct connection *c = api->first; c != NULL; c = c->next)
        if (c->watched[0] != '\0' && in_collection(path, c->watched))
            say_event(c, type, json);
}

static json_t *metadata_of(json_t *object)
{
    json_t *metadata = json_object_get(object, "metadata");
    if (metadata == NULL) {
        metadata = json_object();
        json_object_set_new(object, "metadata", metadata);
    }
    return metadata;
}

static void stamp(struct kube_api *api, json_t *object)
{
    char version[32];
    (void)snprintf(version, sizeof(version), "%ld", ++api->version);
    json_object_set_new(metadata_of(object), "resourceVersion", json_string(version));
}

void kube_api_put(struct kube_api *api, const char *path, json_t *json)
{
    struct object *object = find(api, path);
    const char *type = object != NULL ? "MODIFIED" : "ADDED";
    json_t *metadata = metadata_of(json);
    json_object_set_new(metadata, "name", json_string(strrchr(path, '/') + 1));
    if (object == NULL) {
        assert(api->n_objects < OBJECTS);
        object = &api->objects[api->n_objects++];
        (void)text_copy(object->path, sizeof(object->path), path);
        object->json = NULL;
    }
    if (json_object_get(metadata, "uid") == NULL) {
        char uid[40];
        (void)snprintf(uid, sizeof(uid), "uid-%ld", ++api->next_uid);
        json_t *old = json_object_get(json_object_get(object->json, "metadata"), "uid");
        json_object_set_new(metadata, "uid", old != NULL ? json_incref(old) : json_string(uid));
    }
    stamp(api, json);
    json_decref(object->json);
    object->json = json;
    happen(api, path, type, json);
}

void kube_api_delete(struct kube_api *api, const char *path)
{
    struct object *object = find(api, path);
    assert(object != NULL);
    stamp(api, object->json);
    happen(api, path, "DELETED", object->json);
    json_decref(object->json);
    *object = api->objects[--api->n_objects];
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void answer(const struct connection *connection, int status, const json_t *body)
{
    auto_text struct text text = text_new(LIMIT_HTTP_BODY);
    auto_text struct text whole = text_new(LIMIT_HTTP_BODY);
    json_write(&text, body);
    text_addf(&whole,
              "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
              status, text.len, text_str(&text));
    say(connection, &whole);
}

static void refuse(const struct connection *connection, int status, const char *message)
{
    json_t *body = json_pack("{s:s,s:s,s:s,s:i}", "kind", "Status", "status", "Failure", "message",
                             message, "code", status);
    answer(connection, status, body);
    json_decref(body);
}

static const char *parameter(const char *query, const char *name, char *buffer, size_t size)
{
    buffer[0] = '\0';
    size_t len = strlen(name);
    for (const char *at = query; at != NULL && *at != '\0';) {
        if (strncmp(at, name, len) == 0 && at[len] == '=') {
            (void)snprintf(buffer, size, "%.*s", (int)strcspn(at + len + 1, "& "), at + len + 1);
            return buffer;
        }
        at = strchr(at, '&');
        at = at != NULL ? at + 1 : NULL;
    }
    return buffer;
}

/* The cursor is "<floor>-<index>". */
static void list(struct connection *connection, const char *path, const char *query)
{
    struct kube_api *api = connection->api;
    char text[64];
    long limit = strtol(parameter(query, "limit", text, sizeof(text)), NULL, 10);
    char *end;
    (void)parameter(query, "continue", text, sizeof(text));
    long floor = strtol(text, &end, 10);
    long begin = text[0] != '\0' ? strtol(end + 1, NULL, 10) : 0;
    api->counts.lists += begin == 0;
    api->counts.pages++;
    if (text[0] != '\0' && floor != api->floor) {
        refuse(connection, 410, "the provided continue parameter is too old");
        return;
    }
    json_t *items = json_array();
    long seen = 0, at = 0;
    for (size_t i = 0; i < api->n_objects; i++) {
        if (!in_collection(api->objects[i].path, path))
            continue;
        if (at++ >= begin && (limit == 0 || seen < limit) && ++seen > 0)
            json_array_append(items, api->objects[i].json);
    }
    char cursor[64] = "", version[32];
    if (begin + seen < at)
        (void)snprintf(cursor, sizeof(cursor), "%ld-%ld", api->floor, begin + seen);
    (void)snprintf(version, sizeof(version), "%ld", api->version);
    json_t *body = json_pack("{s:s,s:{s:s,s:s},s:o}", "kind", "List", "metadata", "resourceVersion",
                             version, "continue", cursor, "items", items);
    answer(connection, 200, body);
    json_decref(body);
}

static void watch(struct connection *connection, const char *path, const char *query)
{
    static const char head[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct kube_api *api = connection->api;
    char text[64];
    long version = strtol(parameter(query, "resourceVersion", text, sizeof(text)), NULL, 10);
    api->counts.watches++;
    if (version < api->floor && !api->expire_in_stream) {
        refuse(connection, 410, "too old resource version");
        return;
    }
    auto_text struct text header = text_new(LIMIT_HTTP_HEADER);
    text_add(&header, head);
    say(connection, &header);
    if (version < api->floor) {
        json_t *status =
            json_pack("{s:s,s:s,s:i}", "kind", "Status", "reason", "Expired", "code", 410);
        say_event(connection, "ERROR", status);
        json_decref(status);
        return;
    }
    (void)text_copy(connection->watched, sizeof(connection->watched), path);
    for (size_t i = 0; i < api->n_history; i++)
        if (api->history[i].version > version && in_collection(api->history[i].path, path))
            say_event(connection, api->history[i].type, api->history[i].json);
}

/* RFC 7386. */
static void merge(json_t *into, const json_t *patch)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
        json_t *old = json_object_get(into, key);
        if (json_is_null(value)) {
            json_object_del(into, key);
        } else if (json_is_object(value)) {
            if (!json_is_object(old)) {
                old = json_object();
                json_object_set_new(into, key, old);
            }
            merge(old, value);
        } else {
            json_object_set(into, key, value);
        }
    }
}

static bool differs(const json_t *body, const json_t *object, const char *key)
{
    const json_t *wanted = json_object_get(json_object_get(body, "metadata"), key);
    const json_t *present = json_object_get(json_object_get(object, "metadata"), key);
    return wanted != NULL && !json_equal(wanted, present);
}

/* stringData of a Secret is written into data. */
static void take_string_data(json_t *object)
{
    const char *key;
    json_t *value;
    if (json_object_get(object, "stringData") == NULL)
        return;
    if (json_object_get(object, "data") == NULL)
        json_object_set_new(object, "data", json_object());
    json_object_foreach (json_object_get(object, "stringData"), key, value) {
        auto_text struct text encoded = text_new(LIMIT_FILE);
        codec_add_base64(&encoded, json_string_value(value), json_string_length(value));
        json_object_set_new(json_object_get(object, "data"), key, json_string(text_str(&encoded)));
    }
    json_object_del(object, "stringData");
}

static void change(struct connection *connection, const char *path, const json_t *body, bool patch)
{
    struct kube_api *api = connection->api;
    const json_t *object = kube_api_get(api, path);
    if (object == NULL) {
        refuse(connection, 404, "not found");
    } else if (differs(body, object, "uid") || differs(body, object, "resourceVersion")) {
        refuse(connection, 409, "Precondition failed");
    } else {
        json_t *next = patch ? json_deep_copy(object) : json_deep_copy(body);
        if (patch)
            merge(next, body);
        take_string_data(next);
        kube_api_put(api, path, next);
        answer(connection, 200, kube_api_get(api, path));
    }
}

static void make(struct connection *connection, const char *path, const json_t *body)
{
    struct kube_api *api = connection->api;
    const char *name =
        json_string_value(json_object_get(json_object_get(body, "metadata"), "name"));
    auto_text struct text full = text_new(PATH_MAX_LEN);
    text_addf(&full, "%s/%s", path, name != NULL ? name : "?");
    if (find(api, text_str(&full)) != NULL) {
        refuse(connection, 409, "already exists");
        return;
    }
    json_t *made = json_deep_copy(body);
    take_string_data(made);
    kube_api_put(api, text_str(&full), made);
    answer(connection, 201, kube_api_get(api, text_str(&full)));
}

static void serve(struct connection *connection, const char *method, char *path, const char *query,
                  const json_t *body)
{
    struct kube_api *api = connection->api;
    char text[8];
    if (strcmp(method, "PATCH") == 0 && ++api->counts.patches > 0)
        change(connection, path, body, true);
    else if (strcmp(method, "PUT") == 0 && ++api->counts.puts > 0)
        change(connection, path, body, false);
    else if (strcmp(method, "POST") == 0 && ++api->counts.posts > 0)
        make(connection, path, body);
    else if (strcmp(method, "DELETE") == 0 && find(api, path) != NULL) {
        answer(connection, 200, kube_api_get(api, path));
        kube_api_delete(api, path);
    } else if (parameter(query, "watch", text, sizeof(text))[0] == '1')
        watch(connection, path, query);
    else if (query != NULL && strstr(query, "limit=") != NULL)
        list(connection, path, query);
    else if (find(api, path) != NULL)
        answer(connection, 200, kube_api_get(api, path));
    else
        refuse(connection, 404, "not found");
}

/* ---- connections ------------------------------------------------------------------------------ */

static void hang_up(struct connection *connection)
{
    struct connection **link = &connection->api->first;
    while (*link != connection)
        link = &(*link)->next;
    *link = connection->next;
    source_free(connection->source);
    close(connection->fd);
    text_done(&connection->in);
    free(connection);
}

static bool is_to_fail(struct kube_api *api, const char *method)
{
    if (api->fail_n == 0 || (api->fail_method[0] != '\0' && strcmp(api->fail_method, method) != 0))
        return false;
    api->fail_n -= api->fail_n > 0;
    return true;
}

/* False: the connection is gone. */
static bool on_request(struct connection *connection, const char *head, const char *content,
                       size_t len)
{
    struct kube_api *api = connection->api;
    char method[16], target[2048];
    int fields = sscanf(head, "%15s %2047s", method, target);
    assert(fields == 2);
    (void)fields;
    api->counts.requests++;
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    json_t *body = NULL;
    if (len > 0)
        (void)json_parse(content, len, "body", &body, NULL);
    bool fails = is_to_fail(api, method);
    if (fails && api->fail_status != 0) {
        refuse(connection, api->fail_status, "as the test asked");
    } else {
        int fd = connection->fd;
        if (fails)
            connection->fd = -1; /* done, and nobody hears of it */
        serve(connection, method, target, query, body);
        connection->fd = fd;
    }
    json_decref(body);
    bool silent = fails && api->fail_status == 0;
    if (silent)
        hang_up(connection);
    return !silent;
}

static void on_readable(void *arg, int events)
{
    struct connection *connection = arg;
    char bytes[8192];
    (void)events;
    ssize_t got = recv(connection->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got <= 0) {
        hang_up(connection);
        return;
    }
    text_add_bytes(&connection->in, bytes, (size_t)got);
    for (;;) {
        const char *all = text_str(&connection->in);
        const char *end = strstr(all, "\r\n\r\n");
        if (end == NULL)
            return;
        const char *length = strcasestr(all, "\r\ncontent-length: ");
        size_t len = length != NULL && length < end ? strtoul(length + 18, NULL, 10) : 0;
        size_t head = (size_t)(end + 4 - all);
        if (connection->in.len < head + len)
            return;
        auto_free char *request = text_take(&connection->in);
        auto_free char *rest = mem_strdup(request + head + len);
        text_add(&connection->in, rest);
        if (!on_request(connection, request, request + head, len))
            return;
    }
}

static void on_connection(void *arg, int events)
{
    struct kube_api *api = arg;
    (void)events;
    int fd = accept(api->fd, NULL, NULL);
    if (fd < 0)
        return;
    struct connection *connection = mem_struct(struct connection);
    connection->api = api;
    connection->fd = fd;
    connection->in = text_new(REQUEST_MAX);
    connection->source = loop_fd(api->loop, fd, LOOP_READ, on_readable, connection);
    connection->next = api->first;
    api->first = connection;
}

void kube_api_hang_up(struct kube_api *api)
{
    while (api->first != NULL)
        hang_up(api->first);
}

/* ---- orders of the test ----------------------------------------------------------------------- */

void kube_api_bookmark(struct kube_api *api)
{
    char version[32];
    (void)snprintf(version, sizeof(version), "%ld", api->version);
    json_t *object = json_pack("{s:{s:s}}", "metadata", "resourceVersion", version);
    for (struct connection *c = api->first; c != NULL; c = c->next)
        if (c->watched[0] != '\0')
            say_event(c, "BOOKMARK", object);
    json_decref(object);
}

void kube_api_compact(struct kube_api *api)
{
    api->floor = ++api->version;
}

void kube_api_expire_in_stream(struct kube_api *api, bool in_stream)
{
    api->expire_in_stream = in_stream;
}

void kube_api_fail(struct kube_api *api, const char *method, int status, int n)
{
    (void)text_copy(api->fail_method, sizeof(api->fail_method), method);
    api->fail_status = status;
    api->fail_n = n;
}

const struct kube_api_counts *kube_api_counts(const struct kube_api *api)
{
    return &api->counts;
}

/* ---- life ------------------------------------------------------------------------------------- */

const char *kube_api_url(const struct kube_api *api)
{
    return api->url;
}

static void write_kubeconfig(struct kube_api *api, int port)
{
    (void)snprintf(api->url, sizeof(api->url), "http://127.0.0.1:%d", port);
    (void)snprintf(api->kubeconfig, sizeof(api->kubeconfig), "/tmp/kubeconfig-XXXXXX");
    int fd = mkstemp(api->kubeconfig);
    assert(fd >= 0);
    dprintf(fd,
            "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: x}"
            "}]\nclusters: [{name: c, cluster: {server: \"http://127.0.0.1:%d\"}}]\n"
            "users: [{name: u, user: {token: secret}}]\n",
            port);
    close(fd);
    setenv("KUBECONFIG", api->kubeconfig, 1);
}

struct kube_api *kube_api_new(struct loop *loop)
{
    struct kube_api *api = mem_struct(struct kube_api);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    api->loop = loop;
    api->version = 100;
    api->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(api->fd, (struct sockaddr *)&address, len) | listen(api->fd, 16) |
                 getsockname(api->fd, (struct sockaddr *)&address, &len);
    assert(failed == 0);
    (void)failed;
    api->source = loop_fd(loop, api->fd, LOOP_READ, on_connection, api);
    write_kubeconfig(api, ntohs(address.sin_port));
    return api;
}

struct kube_api *kube_api_free(struct kube_api *api)
{
    if (api == NULL)
        return NULL;
    kube_api_hang_up(api);
    source_free(api->source);
    close(api->fd);
    unlink(api->kubeconfig);
    for (size_t i = 0; i < api->n_objects; i++)
        json_decref(api->objects[i].json);
    for (size_t i = 0; i < api->n_history; i++)
        json_decref(api->history[i].json);
    free(api);
    return NULL;
}
