#pragma once
/* What the files of the server share. Nobody else includes it. */
#include <libwebsockets.h>
#include <openssl/ssl.h>

#include "base/text.h"
#include "sidecar/api/access.h"
#include "sidecar/api/routes.h"
#include "sidecar/api/server.h"

struct api_server {
    struct api_server_spec spec;
    struct lws_context *context;
    struct lws_vhost *vhost;
    SSL_CTX *tls; /* the vhost's; borrowed; NULL without TLS */
    struct source *listening;
    int fd;
    int port;
    size_t n_connections;
    struct connection *first; /* in the order of their last answer, or of their coming */
    struct connection *last;
    struct api_pending *pendings; /* unanswered orders */
};

/* The user data of its wsi, which has none once it was chosen to make room. */
struct connection {
    struct api_server *server;
    struct lws *wsi;
    struct connection *before;
    struct connection *after;
    struct exchange *exchange; /* NULL: it waits for a request */
};

struct api_pending {
    struct api_server *server;
    enum api_order_kind kind;
    struct exchange *exchange; /* NULL: the client has gone */
    struct api_pending *next;
    json_t *body; /* what order.body points to, owned */
    char header[64];
    char header_value[64];
};

/* One request and its answer; lives from the end of its headers to the end of its answer. */
struct exchange {
    struct api_server *server;
    struct lws *wsi;
    struct route route;
    struct request request; /* points into the fields below */
    char *path;
    char *args[REQUEST_ARGS];
    struct text body;
    size_t body_missing; /* bytes of the body that are still to come */
    bool close;          /* the connection ends with this answer */
    bool answered;
    struct text out; /* LWS_PRE bytes of room, then the whole answer */
    struct api_pending *pending;
};

/* server_http.c: the only lws callback; it moves bytes (style A18). */
lws_callback_function server_http_callback;
/* Puts the reply into the exchange and asks to write it. Frees what the reply owns. */
void server_http_answer(struct exchange *exchange, struct reply *reply);

/* server_connections.c */
void connection_open(struct lws *wsi);
/* An exchange has ended. */
void connection_rests(struct connection *connection);
void connection_close(struct connection *connection);
/* Is there room for another one? At the limit the one that has waited for longest is closed in its
 * favour; false: all of them are being answered. */
bool connections_make_room(struct api_server *server);

/* server_settings.c */
struct api_settings server_settings_copy(const struct api_settings *settings);
void server_settings_done(struct api_settings *settings);

/* server_tls.c. Errors: ERR_INVALID with the file's name. */
enum err_code server_tls_check(const struct api_settings *settings, struct err *err);
/* Certificate, key and client CA into a context that may be in use: later handshakes take them. */
enum err_code server_tls_apply(SSL_CTX *context, const struct api_settings *settings,
                               struct err *err);
