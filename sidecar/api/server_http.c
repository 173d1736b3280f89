/* The lws callback: headers and body in, a reply out. Nothing is decided here (style A18). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server_internal.h"

enum { PENDING_TIMEOUT_S = 3600, WRITE_TIMEOUT_S = 30, ARG_MAX_LEN = 512 };

/* ---- exchanges -------------------------------------------------------------------------------- */

static struct exchange *exchange_free(struct exchange *exchange)
{
    if (exchange == NULL)
        return NULL;
    if (exchange->pending != NULL)
        exchange->pending->exchange = NULL;
    for (size_t i = 0; i < exchange->request.n_args; i++)
        free(exchange->args[i]);
    free(exchange->path);
    text_done(&exchange->body);
    text_done(&exchange->out);
    free(exchange);
    return NULL;
}

static struct exchange *current(struct lws *wsi)
{
    const struct connection *connection = lws_get_opaque_user_data(wsi);
    return connection != NULL ? connection->exchange : NULL;
}

static void forget(struct lws *wsi)
{
    struct connection *connection = lws_get_opaque_user_data(wsi);
    if (connection == NULL)
        return;
    connection->exchange = exchange_free(connection->exchange);
    connection_rests(connection);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static enum request_method method_of(int lws_method)
{
    switch (lws_method) {
    case LWSHUMETH_GET:
        return METHOD_GET;
    case LWSHUMETH_HEAD:
        return METHOD_HEAD;
    case LWSHUMETH_OPTIONS:
        return METHOD_OPTIONS;
    case LWSHUMETH_POST:
        return METHOD_POST;
    case LWSHUMETH_PUT:
        return METHOD_PUT;
    case LWSHUMETH_PATCH:
        return METHOD_PATCH;
    case LWSHUMETH_DELETE:
        return METHOD_DELETE;
    default:
        return METHOD_OTHER;
    }
}

/* vip-manager asks for "//leader" (patroni-compat 6.2). */
static char *clean_path(const char *uri, size_t len)
{
    while (len > 1 && uri[0] == '/' && uri[1] == '/') {
        uri++;
        len--;
    }
    return mem_strndup(uri, strcspn(uri, "?") < len ? strcspn(uri, "?") : len);
}

static void read_args(struct exchange *exchange)
{
    char buffer[ARG_MAX_LEN];
    struct request *request = &exchange->request;
    for (int i = 0; i < REQUEST_ARGS; i++) {
        int n = lws_hdr_copy_fragment(exchange->wsi, buffer, sizeof(buffer),
                                      WSI_TOKEN_HTTP_URI_ARGS, i);
        if (n < 0)
            return;
        char *arg = mem_strdup(buffer);
        char *equals = strchr(arg, '=');
        if (equals != NULL)
            *equals = '\0';
        exchange->args[request->n_args] = arg;
        request->args[request->n_args].name = arg;
        request->args[request->n_args].value = equals != NULL ? equals + 1 : "";
        request->n_args++;
    }
}

static bool header_has(struct lws *wsi, enum lws_token_indexes token, const char *word)
{
    char value[64];
    return lws_hdr_copy(wsi, value, sizeof(value), token) > 0 && strcasestr(value, word) != NULL;
}

static bool wants_close(struct lws *wsi)
{
    if (header_has(wsi, WSI_TOKEN_CONNECTION, "close"))
        return true;
    return header_has(wsi, WSI_TOKEN_HTTP, "1.0") &&
           !header_has(wsi, WSI_TOKEN_CONNECTION, "keep-alive");
}

/* Content-Length; false when it is absent. Nonsense counts as too long. */
static bool body_length(struct lws *wsi, size_t *ret_len)
{
    char value[32];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) == 0)
        return false;
    unsigned long long len = 0;
    char end;
    *ret_len = SIZE_MAX;
    if (lws_hdr_copy(wsi, value, sizeof(value), WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 &&
        value[0] != '-' && sscanf(value, "%llu%c", &len, &end) == 1)
        *ret_len = (size_t)len;
    return true;
}

/* ---- answering -------------------------------------------------------------------------------- */

static const char *content_type(enum reply_kind kind)
{
    switch (kind) {
    case REPLY_BARE:
        return NULL;
    case REPLY_JSON:
        return "application/json";
    case REPLY_TEXT:
        return "text/html"; /* Patroni's default for texts */
    case REPLY_METRICS:
        return "text/plain";
    case REPLY_HTML:
        return "text/html;charset=utf-8";
    }
    return NULL;
}

static const char *status_word(int status)
{
    static const struct {
        int status;
        const char *word;
    } words[] = {
        { 200, "OK" },
        { 202, "Accepted" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 409, "Conflict" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Request Entity Too Large" },
        { 422, "Unprocessable Entity" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].status == status)
            return words[i].word;
    return "Unknown";
}

static const char *server_name(const struct api_settings *settings)
{
    const char *tokens = settings->server_tokens;
    if (tokens != NULL && strcasecmp(tokens, "minimal") == 0)
        return "pgvigil/" PGVIGIL_VERSION;
    return "pgvigil";
}

static void add_head(struct text *out, const struct exchange *exchange, const struct reply *reply,
                     size_t body_len)
{
    const struct api_settings *settings = &exchange->server->spec.settings;
    text_addf(out, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n", reply->status,
              status_word(reply->status), body_len);
    if (exchange->close)
        text_add(out, "Connection: close\r\n");
    if (reply->kind != REPLY_BARE) {
        char date[64];
        time_t now = (time_t)(clock_wall().ms / 1000);
        struct tm parts;
        gmtime_r(&now, &parts);
        strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        text_addf(out, "Server: %s\r\nDate: %s\r\nContent-Type: %s\r\n", server_name(settings),
                  date, content_type(reply->kind));
    }
    if (reply->header != NULL)
        text_addf(out, "%s: %s\r\n", reply->header, reply->header_value);
    for (size_t i = 0; i < settings->n_headers && reply->kind != REPLY_BARE; i++)
        text_addf(out, "%s\r\n", settings->headers[i]);
    text_add(out, "\r\n");
}

void server_http_answer(struct exchange *exchange, struct reply *reply)
{
    static const char room[LWS_PRE];
    size_t body_len = reply->body != NULL ? strlen(reply->body) : 0;
    exchange->out = text_new(LIMIT_HTTP_BODY + LIMIT_HTTP_HEADER);
    text_add_bytes(&exchange->out, room, sizeof(room));
    /* A body that is still on its way would be read as the next request. */
    exchange->close |= exchange->body_missing > 0;
    add_head(&exchange->out, exchange, reply, body_len);
    if (body_len > 0 && exchange->request.method != METHOD_HEAD)
        text_add_bytes(&exchange->out, reply->body, body_len);
    exchange->answered = true;
    reply_done(reply);
    lws_set_timeout(exchange->wsi, PENDING_TIMEOUT_HTTP_CONTENT, WRITE_TIMEOUT_S);
    lws_callback_on_writable(exchange->wsi);
}

/* A failsafe round comes every ttl/4 as long as etcd is away. */
static bool is_news(enum api_order_kind kind)
{
    return kind != API_FAILSAFE;
}

static void give_order(struct exchange *exchange, struct reply *reply)
{
    struct api_server *server = exchange->server;
    const struct api_op *op = &server->spec.control->ops[reply->order.kind];
    if (op->run == NULL) {
        reply_done(reply);
        struct reply refusal = reply_html(501, "Not available here");
        server_http_answer(exchange, &refusal);
        return;
    }
    struct api_pending *pending = mem_struct(struct api_pending);
    *pending = (struct api_pending){ .server = server,
                                     .kind = reply->order.kind,
                                     .exchange = exchange,
                                     .next = server->pendings,
                                     .body = take(reply->order_body) };
    server->pendings = pending;
    exchange->pending = pending;
    lws_set_timeout(exchange->wsi, PENDING_TIMEOUT_HTTP_CONTENT, PENDING_TIMEOUT_S);
    struct api_order order = reply->order;
    char address[64] = "";
    lws_get_peer_simple(exchange->wsi, address, sizeof(address));
    if (is_news(order.kind))
        log_info("rest: %s, asked by %s -> start", api_order_name(order.kind), address);
    op->run(op->arg, &order, pending);
}

static bool has_access(struct exchange *exchange, const struct api_state *state,
                       struct reply *ret_reply)
{
    char address[64] = "", authorization[1100];
    struct lws *wsi = exchange->wsi;
    lws_get_peer_simple(wsi, address, sizeof(address));
    int n = lws_hdr_copy(wsi, authorization, sizeof(authorization), WSI_TOKEN_HTTP_AUTHORIZATION);
    SSL *ssl = exchange->server->tls != NULL ? lws_get_ssl(wsi) : NULL;
    X509 *certificate = ssl != NULL ? SSL_get_peer_certificate(ssl) : NULL;
    struct origin origin = {
        .address = address,
        .tls = ssl != NULL,
        .client_certificate = certificate != NULL && SSL_get_verify_result(ssl) == X509_V_OK,
        .authorization = n > 0 ? authorization : NULL,
    };
    X509_free(certificate);
    return access_granted(&exchange->server->spec.settings, state, &origin,
                          exchange->route.open_to_peers, ret_reply);
}

/* Members ask each other for their etcd all the time: Postgres is not looked at for that. */
static const struct api_state *state_for(const struct api_server *server, const struct route *route)
{
    bool cheap = route->handler == api_pgvigil_get && server->spec.known != NULL;
    return (cheap ? server->spec.known : server->spec.state)(server->spec.state_arg);
}

static void answer(struct exchange *exchange)
{
    struct api_server *server = exchange->server;
    const struct api_state *state = state_for(server, &exchange->route);
    struct reply reply;
    exchange->request.body = exchange->body.data;
    exchange->request.body_len = exchange->body.len;
    exchange->request.now = clock_mono();
    exchange->request.wall = clock_wall();
    if (!exchange->route.unsafe || has_access(exchange, state, &reply))
        reply = route_answer(state, &exchange->request, &exchange->route);
    if (reply.order.kind == API_NONE)
        server_http_answer(exchange, &reply);
    else
        give_order(exchange, &reply);
}

static int on_request(struct lws *wsi)
{
    char *uri;
    int uri_len;
    int method = lws_http_get_uri_and_method(wsi, &uri, &uri_len);
    struct connection *connection = lws_get_opaque_user_data(wsi);
    if (method < 0 || connection == NULL)
        return -1;
    forget(wsi);
    struct exchange *exchange = mem_struct(struct exchange);
    exchange->server = connection->server;
    exchange->wsi = wsi;
    exchange->body = text_new(LIMIT_API_BODY);
    exchange->path = clean_path(uri, (size_t)uri_len);
    exchange->request.method = method_of(method);
    exchange->request.path = exchange->path;
    exchange->close = wants_close(wsi);
    connection->exchange = exchange;
    read_args(exchange);
    exchange->route = route_find(&exchange->request);
    exchange->request.has_length = body_length(wsi, &exchange->body_missing);
    if (exchange->body_missing > LIMIT_API_BODY) {
        struct reply reply = reply_html(413, "Request Entity Too Large");
        server_http_answer(exchange, &reply);
    } else if (exchange->body_missing == 0) {
        /* Without a length libwebsockets would wait for a body up to the end of the connection. */
        exchange->close |= !exchange->request.has_length && method != LWSHUMETH_GET &&
                           method != LWSHUMETH_HEAD && method != LWSHUMETH_OPTIONS;
        answer(exchange);
    }
    return 0;
}

static int on_body(struct exchange *exchange, const void *bytes, size_t len)
{
    if (exchange == NULL || exchange->answered || exchange->pending != NULL)
        return 0;
    text_add_bytes(&exchange->body, bytes, len);
    exchange->body_missing -= len < exchange->body_missing ? len : exchange->body_missing;
    return 0;
}

static int on_body_end(struct exchange *exchange)
{
    if (exchange == NULL || exchange->answered || exchange->pending != NULL)
        return 0;
    exchange->body_missing = 0;
    answer(exchange);
    return 0;
}

static int on_writable(struct lws *wsi)
{
    struct exchange *exchange = current(wsi);
    if (exchange == NULL || !exchange->answered)
        return 0;
    size_t len = exchange->out.len - LWS_PRE;
    unsigned char *bytes = (unsigned char *)exchange->out.data + LWS_PRE;
    bool close = exchange->close;
    /* What the socket does not take is buffered by libwebsockets. */
    int n = lws_write(wsi, bytes, len, LWS_WRITE_HTTP_FINAL);
    forget(wsi);
    if (n < 0 || close)
        return -1;
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

/* ---- orders that are answered later ----------------------------------------------------------- */

static void remove_pending(struct api_pending *pending)
{
    struct api_pending **link = &pending->server->pendings;
    while (*link != pending)
        link = &(*link)->next;
    *link = pending->next;
    json_decref(pending->body);
    free(pending);
}

void api_pending_reply_header(struct api_pending *pending, int status, const char *body,
                              const char *header, const char *value)
{
    struct exchange *exchange = pending->exchange;
    bool json = body[0] == '{' || body[0] == '[';
    if (is_news(pending->kind))
        log_info("rest: %s -> %d %.200s%s", api_order_name(pending->kind), status,
                 json ? status_word(status) : body, exchange != NULL ? "" : " (nobody waits)");
    if (exchange != NULL) {
        struct reply reply = reply_text(status, body);
        if (json)
            reply.kind = REPLY_JSON;
        if (header != NULL) {
            text_copy(pending->header, sizeof(pending->header), header);
            text_copy(reply.header_value, sizeof(reply.header_value), value);
            reply.header = pending->header;
        }
        exchange->pending = NULL;
        server_http_answer(exchange, &reply);
    }
    remove_pending(pending);
}

void api_pending_reply(struct api_pending *pending, int status, const char *body)
{
    api_pending_reply_header(pending, status, body, NULL, NULL);
}

void api_pending_replyf(struct api_pending *pending, int status, const char *format, ...)
{
    struct text text = text_new(LIMIT_HTTP_BODY);
    va_list args;
    va_start(args, format);
    text_vaddf(&text, format, args);
    va_end(args);
    api_pending_reply(pending, status, text_str(&text));
    text_done(&text);
}

/* ---- the callback ----------------------------------------------------------------------------- */

int server_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t len)
{
    struct api_server *server;
    /* -Wswitch-enum would ask for a hundred cases of a foreign enum. */
    switch ((int)reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        connection_open(wsi);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        forget(wsi);
        if (lws_get_opaque_user_data(wsi) != NULL)
            connection_close(lws_get_opaque_user_data(wsi));
        return 0;
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        server = lws_context_user(lws_get_context(wsi));
        server->tls = user;
        return 0;
    case LWS_CALLBACK_HTTP:
        return on_request(wsi);
    case LWS_CALLBACK_HTTP_BODY:
        return on_body(current(wsi), in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return on_body_end(current(wsi));
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writable(wsi);
    case LWS_CALLBACK_CLOSED_HTTP:
        forget(wsi);
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: /* no websockets here */
        return -1;
    default:
        return 0;
    }
}
