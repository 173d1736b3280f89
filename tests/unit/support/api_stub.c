#include "api_stub.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char member_a[] =
    "{\"conn_url\":\"postgres://10.0.0.1:5432/postgres\",\"api_url\":\"http://10.0.0.1:8008/"
    "patroni\",\"state\":\"running\",\"role\":\"primary\",\"version\":\"4.1.4\","
    "\"xlog_location\":83886080,\"timeline\":3}";
static const char member_b[] =
    "{\"conn_url\":\"postgres://10.0.0.2:5433/postgres\",\"api_url\":\"http://10.0.0.2:8008/"
    "patroni\",\"state\":\"running\",\"role\":\"replica\",\"version\":\"4.1.4\","
    "\"tags\":{\"clonefrom\":true},\"pending_restart\":true,"
    "\"xlog_location\":83886048,\"replay_lsn\":83885824,\"receive_lsn\":83886048,"
    "\"replication_state\":\"streaming\",\"timeline\":3}";
static const char member_c[] =
    "{\"conn_url\":\"postgres://[fd00::3]:5432/postgres\",\"api_url\":\"http://[fd00::3]:8008/"
    "patroni\",\"state\":\"starting\",\"role\":\"replica\",\"version\":\"4.1.4\"}";
static const char witness[] = "{\"api_url\":\"http://10.0.0.9:8008/patroni\",\"voter\":true}";

static void fill_view(struct api_stub *stub, const char *self)
{
    struct view *view = &stub->view;
    view->now.ms = STUB_NOW_MS;
    view->clear_head = true;
    text_copy(view->self, sizeof(view->self), self);
    view->tags = (struct tags){ .failover_priority = 1, .sync_priority = 1 };
    view->pg.state = PG_UP;
    view->pg.system_id = 7301234567890123456ULL;
    view->pg.timeline.tli = 3;
    view->store.reachable = true;
    view->store.loaded = true;
    view->store.leader_exists = true;
    text_copy(view->store.leader, LIMIT_NAME, "a");
    view->store.sync.exists = true;
    text_copy(view->store.sync.leader, LIMIT_NAME, "a");
    names_add(&view->store.sync.standbys, "b");
    view->policy.ttl_ms = 10000;
    view->policy.sync_on = true;
    view->policy.sync_count = 1;
    view->policy.max_lag_on_failover = 1048576;
    view->guard.connected = true;
}

static void fill_state(struct api_stub *stub, const char *name)
{
    memset(stub, 0, sizeof(*stub));
    fill_view(stub, name);
    stub->members[0] = (struct api_key){ .name = "c", .json = member_c };
    stub->members[1] = (struct api_key){ .name = "a", .json = member_a };
    stub->members[2] = (struct api_key){ .name = "b", .json = member_b };
    stub->witnesses[0] = (struct api_key){ .name = "w", .json = witness };
    stub->state = (struct api_state){
        .scope = "demo",
        .name = name,
        .view = &stub->view,
        .decision = &stub->decision,
        .lease = &stub->lease,
        .postgres = { .state = MEMBER_RUNNING,
                      .role = MEMBER_ROLE_REPLICA,
                      .queryable = true,
                      .server_version = 170004,
                      .postmaster_start_us = 1769903999123456,
                      .received = 83886048,
                      .replayed = 83885824,
                      .latest_end = 83886080 },
        .store = { .config = "{\"ttl\": 10, \"loop_wait\":10,\"a\":1.50}",
                   .history = "[[1,25623960,\"no recovery target specified\","
                              "\"2026-01-31T23:59:59.123456+00:00\",\"a\"]]",
                   .optime = 83886080,
                   .n_members = 3,
                   .members = stub->members,
                   .n_witnesses = 1,
                   .witnesses = stub->witnesses,
                   .last_seen_us = 1769904000000000 },
    };
}

void api_stub_leader(struct api_stub *stub)
{
    fill_state(stub, "a");
    stub->lease = (struct lease){ .id = 77,
                                  .ttl_ms = 10000,
                                  .owns_key = true,
                                  .held_once = true,
                                  .held_until = { STUB_NOW_MS + 8000 } };
    stub->decision = (struct decision){ .action = ACT_WAIT, .rule = "lead" };
    text_copy(stub->decision.reason, LIMIT_REASON, "primary with the key, b is sync");
    stub->state.postgres.role = MEMBER_ROLE_PRIMARY;
    stub->state.postgres.flushed = 83886080;
    stub->walsenders[0] = (struct api_walsender){ .usename = "replicator",
                                                  .application_name = "b",
                                                  .client_addr = "10.0.0.2",
                                                  .state = "streaming",
                                                  .sync_state = "sync",
                                                  .sync_priority = 1 };
    stub->state.postgres.n_walsenders = 1;
    stub->state.postgres.walsenders = stub->walsenders;
    stub->view.pg.ssn = SSN_NAMES;
}

void api_stub_standby(struct api_stub *stub)
{
    fill_state(stub, "b");
    stub->decision = (struct decision){ .action = ACT_WAIT, .rule = "follow" };
    text_copy(stub->decision.reason, LIMIT_REASON, "streams from a");
    stub->view.pg.in_recovery = true;
    stub->view.pg.streaming = true;
    text_copy(stub->view.pg.upstream, LIMIT_NAME, "a");
}

void api_stub_witness(struct api_stub *stub)
{
    fill_state(stub, "w");
    stub->state.witness = true;
    stub->state.postgres = (struct api_postgres){ .state = MEMBER_STATE_UNKNOWN };
    stub->state.etcd = (struct api_etcd){ .managed = true,
                                          .voter = true,
                                          .formation = "{\"data\":true,\"pgdata\":false,"
                                                       "\"mark\":null}" };
    stub->decision = (struct decision){ .action = ACT_WAIT, .rule = "witness" };
}

static enum request_method method_from(const char *line)
{
    static const char *const names[] = {
        [METHOD_GET] = "GET ",       [METHOD_HEAD] = "HEAD ", [METHOD_OPTIONS] = "OPTIONS ",
        [METHOD_POST] = "POST ",     [METHOD_PUT] = "PUT ",   [METHOD_PATCH] = "PATCH ",
        [METHOD_DELETE] = "DELETE ",
    };
    for (int i = 0; i < METHOD_OTHER; i++)
        if (text_starts_with(line, names[i]))
            return (enum request_method)i;
    return METHOD_OTHER;
}

struct reply api_stub_ask(struct api_stub *stub, const char *line, const char *body)
{
    char *path = mem_strdup(strchr(line, ' ') + 1);
    struct request request = { .method = method_from(line),
                               .path = path,
                               .has_length = body != NULL,
                               .body = body,
                               .body_len = body != NULL ? strlen(body) : 0,
                               .now = { STUB_NOW_MS },
                               .wall = { 1769904000000 } };
    char *save = NULL;
    strtok_r(path, "?", &save);
    for (char *arg = strtok_r(NULL, "&", &save); arg != NULL && request.n_args < REQUEST_ARGS;
         arg = strtok_r(NULL, "&", &save)) {
        char *equals = strchr(arg, '=');
        if (equals != NULL)
            *equals = '\0';
        request.args[request.n_args++] =
            (struct request_arg){ .name = arg, .value = equals != NULL ? equals + 1 : "" };
    }
    struct route route = route_find(&request);
    struct reply reply = route_answer(&stub->state, &request, &route);
    free(path);
    return reply;
}

int api_stub_status(struct api_stub *stub, const char *line)
{
    struct reply reply = api_stub_ask(stub, line, NULL);
    int status = reply.status;
    reply_done(&reply);
    return status;
}
