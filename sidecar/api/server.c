/* Listening, accepting, reloading. Sockets are ours and are given to libwebsockets one by one, so
 * that the limit of connections and the words of errors are ours, too. */
#include "sidecar/api/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "server_internal.h"

enum {
    LISTEN_BACKLOG = LIMIT_API_CONNECTIONS,
    HEADER_TIMEOUT_S = 10,
    KEEPALIVE_TIMEOUT_S = 60,
    DESTROY_ITERATIONS = 50
};

static const struct lws_protocols protocols[] = {
    { .name = "http", .callback = server_http_callback, .rx_buffer_size = 4096 },
    { .name = NULL },
};

/* ---- listening -------------------------------------------------------------------------------- */

static enum err_code open_socket(const struct addrinfo *address, int *ret_fd, struct err *err)
{
    auto_close int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, errno, "restapi.listen: socket");
    int on = 1, off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0)
        return err_errno(err, errno, "restapi.listen: cannot listen");
    *ret_fd = take_fd(&fd);
    return ERR_OK;
}

/* "" and "*": every address, of both families where the machine has both. */
static enum err_code open_listener(const struct api_settings *settings, int *ret_fd,
                                   struct err *err)
{
    char port[16];
    bool any =
        settings->host == NULL || settings->host[0] == '\0' || strcmp(settings->host, "*") == 0;
    snprintf(port, sizeof(port), "%d", settings->port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    hints.ai_family = any ? AF_INET6 : AF_UNSPEC;
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(any ? "::" : settings->host, port, &hints, &list);
    if (rc != 0)
        return err_set(err, ERR_INVALID, "restapi.listen: %s: %s", settings->host,
                       gai_strerror(rc));
    enum err_code code = open_socket(list, ret_fd, err);
    freeaddrinfo(list);
    if (code == ERR_OK || !any)
        return code == ERR_OK ? ERR_OK : err_wrap(err, "port %d", settings->port);
    hints.ai_family = AF_INET;
    if (getaddrinfo("0.0.0.0", port, &hints, &list) != 0)
        return code;
    code = open_socket(list, ret_fd, err);
    freeaddrinfo(list);
    return code == ERR_OK ? ERR_OK : err_wrap(err, "port %d", settings->port);
}

static int bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static void tune(int fd)
{
    int on = 1, idle = 10, interval = 3;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
}

/* Takes what waits, a few at a time, so that a flood does not starve the loop. */
static void on_connection(void *arg, int events)
{
    struct api_server *server = arg;
    (void)events;
    for (int i = 0; i < 16; i++) {
        auto_close int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (!connections_make_room(server))
            continue;
        tune(fd);
        /* libwebsockets owns the descriptor from here, also when it fails. */
        (void)lws_adopt_socket_vhost(server->vhost, take_fd(&fd));
    }
}

/* ---- libwebsockets ---------------------------------------------------------------------------- */

static void lws_log(int level, const char *line)
{
    if ((level & (LLL_ERR | LLL_WARN)) != 0)
        log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static void fill_tls(const struct api_settings *settings, struct lws_context_creation_info *info)
{
    info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    if (settings->certfile == NULL)
        return;
    info->options |= LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    info->ssl_cert_filepath = settings->certfile;
    info->ssl_private_key_filepath =
        settings->keyfile != NULL ? settings->keyfile : settings->certfile;
    info->ssl_private_key_password = settings->keyfile_password;
    info->ssl_ca_filepath = settings->cafile;
    info->ssl_cipher_list = settings->ciphers;
    info->alpn = "http/1.1";
    if (settings->verify_client != API_VERIFY_NONE)
        info->options |= LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
    if (settings->verify_client == API_VERIFY_OPTIONAL)
        info->options |= LWS_SERVER_OPTION_PEER_CERT_NOT_REQUIRED;
}

static enum err_code make_context(struct api_server *server, struct err *err)
{
    void *loops[] = { loop_uv(server->spec.loop) };
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .foreign_loops = loops,
        .user = server,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .fd_limit_per_thread = LIMIT_API_CONNECTIONS + 32,
        .max_http_header_pool2 = LIMIT_API_CONNECTIONS,
        .timeout_secs = HEADER_TIMEOUT_S,
        .keepalive_timeout = KEEPALIVE_TIMEOUT_S,
        .pcontext = &server->context,
    };
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log);
    fill_tls(&server->spec.settings, &info);
    server->context = lws_create_context(&info);
    if (server->context == NULL)
        return err_set(err, ERR_SYSTEM,
                       "REST: libwebsockets does not start: is its libuv plugin installed?");
    server->vhost = lws_create_vhost(server->context, &info);
    if (server->vhost == NULL)
        return err_set(err, ERR_INVALID, "REST: TLS cannot be set up with %s",
                       server->spec.settings.certfile != NULL ? server->spec.settings.certfile
                                                              : "no certificate");
    return ERR_OK;
}

static enum err_code start(struct api_server *server, struct err *err)
{
    const struct api_settings *settings = &server->spec.settings;
    if (settings->certfile != NULL && server_tls_check(settings, err) != ERR_OK)
        return err_wrap(err, "restapi");
    enum err_code code = open_listener(settings, &server->fd, err);
    if (code != ERR_OK)
        return code;
    server->port = bound_port(server->fd);
    code = make_context(server, err);
    if (code != ERR_OK)
        return code;
    server->listening = loop_fd(server->spec.loop, server->fd, LOOP_READ, on_connection, server);
    return ERR_OK;
}

enum err_code api_server_new(const struct api_server_spec *spec, struct api_server **ret_server,
                             struct err *err)
{
    struct api_server *server = mem_struct(struct api_server);
    server->spec = *spec;
    server->spec.settings = server_settings_copy(&spec->settings);
    server->fd = -1;
    enum err_code code = start(server, err);
    if (code != ERR_OK) {
        api_server_free(server);
        return code;
    }
    *ret_server = server;
    return ERR_OK;
}

static void drop_pendings(struct api_server *server)
{
    while (server->pendings != NULL) {
        struct api_pending *pending = server->pendings;
        server->pendings = pending->next;
        json_decref(pending->body);
        free(pending);
    }
}

/* On a foreign loop libwebsockets closes in two calls: the first one closes its handles, which takes
 * some turns of the loop, the second one frees the context and clears pcontext. */
static void destroy_context(struct api_server *server)
{
    if (server->context == NULL)
        return;
    lws_context_destroy(server->context);
    for (int i = 0; server->context != NULL && i < DESTROY_ITERATIONS; i++)
        uv_run(loop_uv(server->spec.loop), UV_RUN_NOWAIT);
    if (server->context != NULL)
        lws_context_destroy(server->context);
}

struct api_server *api_server_free(struct api_server *server)
{
    if (server == NULL)
        return NULL;
    source_free(server->listening);
    if (server->fd >= 0)
        close(server->fd);
    destroy_context(server);
    drop_pendings(server);
    server_settings_done(&server->spec.settings);
    free(server);
    return NULL;
}

int api_server_port(const struct api_server *server)
{
    return server->port;
}

enum err_code api_server_reload(struct api_server *server, const struct api_settings *settings,
                                struct err *err)
{
    const struct api_settings *old = &server->spec.settings;
    if (!text_equal(old->host, settings->host) || old->port != settings->port ||
        (old->certfile == NULL) != (settings->certfile == NULL) ||
        old->verify_client != settings->verify_client)
        return err_set(err, ERR_REFUSED,
                       "restapi: another address, TLS on or off and verify_client need a restart");
    struct api_settings copy = server_settings_copy(settings);
    if (copy.certfile != NULL) {
        enum err_code code = server_tls_check(&copy, err);
        if (code == ERR_OK && server->tls != NULL)
            code = server_tls_apply(server->tls, &copy, err);
        if (code != ERR_OK) {
            server_settings_done(&copy);
            return err_wrap(err, "restapi, the old certificate stays");
        }
    }
    server_settings_done(&server->spec.settings);
    server->spec.settings = copy;
    return ERR_OK;
}
