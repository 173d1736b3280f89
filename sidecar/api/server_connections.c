/* Who is connected. A client that leaks connections must not keep the others out: the pod's probes ask
 * here, and a pod whose probe is refused is killed. */
#include "base/log.h"
#include "base/mem.h"
#include "server_internal.h"

static void take_out(struct connection *connection)
{
    struct api_server *server = connection->server;
    if (connection->before != NULL)
        connection->before->after = connection->after;
    else
        server->first = connection->after;
    if (connection->after != NULL)
        connection->after->before = connection->before;
    else
        server->last = connection->before;
    connection->before = connection->after = NULL;
}

static void put_last(struct connection *connection)
{
    struct api_server *server = connection->server;
    connection->before = server->last;
    if (server->last != NULL)
        server->last->after = connection;
    else
        server->first = connection;
    server->last = connection;
}

void connection_open(struct lws *wsi)
{
    struct connection *connection = mem_struct(struct connection);
    connection->server = lws_context_user(lws_get_context(wsi));
    connection->wsi = wsi;
    connection->server->n_connections++;
    put_last(connection);
    lws_set_opaque_user_data(wsi, connection);
}

void connection_rests(struct connection *connection)
{
    take_out(connection);
    put_last(connection);
}

void connection_close(struct connection *connection)
{
    lws_set_opaque_user_data(connection->wsi, NULL);
    take_out(connection);
    connection->server->n_connections--;
    free(connection);
}

bool connections_make_room(struct api_server *server)
{
    if (server->n_connections < LIMIT_API_CONNECTIONS)
        return true;
    struct connection *idle = server->first;
    while (idle != NULL && idle->exchange != NULL)
        idle = idle->after;
    if (idle == NULL)
        return false;
    struct lws *wsi = idle->wsi;
    log_debug("rest: %d connections -> the one that asked nothing for longest is closed",
              LIMIT_API_CONNECTIONS);
    connection_close(idle);
    lws_set_timeout(wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
    return true;
}
