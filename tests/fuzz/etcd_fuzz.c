/* What an etcd, or something in its place, may answer: the client is real, HTTP is not there. The first
 * letter is the request, the second says how its answer comes: w whole with status 200, e whole with
 * another status, l line by line. */
#include "fuzz.h"

#include "etcd/kv.h"
#include "etcd/lease.h"
#include "etcd/members.h"
#include "etcd/watch.h"

/* ---- in place of lib/http --------------------------------------------------------------------- */

struct http_call {
    struct http_call *next;
    http_done_fn *done;
    http_line_fn *line;
    void *arg;
    bool live;
};

static struct http_call *calls;

struct http_call *http_start(struct http *http, const struct http_request *request,
                             http_done_fn *done, void *arg)
{
    (void)http;
    struct http_call *call = mem_struct(struct http_call);
    *call = (struct http_call){
        .next = calls, .done = done, .line = request->line, .arg = arg, .live = true
    };
    calls = call;
    return call;
}

struct http_call *http_call_free(struct http_call *call)
{
    if (call != NULL)
        call->live = false;
    return NULL;
}

struct http_call *http_call_release(struct http_call *call)
{
    return http_call_free(call);
}

/* The first request gets the answer; what it makes the client ask next stays without. */
static void feed(struct http_call *call, char how, char *body)
{
    if (call->line != NULL && how == 'l') {
        for (char *line = body; line != NULL && call->live;) {
            char *end = strchr(line, '\n');
            size_t len = end != NULL ? (size_t)(end - line) : strlen(line);
            char *copy = mem_strndup(line, len);
            call->line(call->arg, copy, len);
            free(copy);
            line = end != NULL ? end + 1 : NULL;
        }
    }
    const struct http_result result = { .code = ERR_OK,
                                        .error = "",
                                        .status = how == 'e' ? 503 : 200,
                                        .body = body,
                                        .body_len = strlen(body),
                                        .content_type = "application/json" };
    if (call->live)
        call->done(call->arg, &result);
}

/* ---- results: every byte of them is there ---------------------------------------------------- */

static size_t seen;

static void see_kvs(const struct etcd_kv *kvs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        seen += strlen(kvs[i].key);
        FUZZ_HOLDS(kvs[i].value[kvs[i].value_len] == '\0');
        for (size_t j = 0; j < kvs[i].value_len; j++)
            seen += (unsigned char)kvs[i].value[j];
    }
}

static void see(const struct etcd_outcome *outcome)
{
    FUZZ_HOLDS(outcome->error != NULL && (outcome->code == ERR_OK) == (outcome->error[0] == '\0'));
    seen += strlen(outcome->error) + strlen(etcd_failure_name(outcome->failure));
}

static void on_range(void *arg, const struct etcd_range_result *result)
{
    (void)arg;
    see(&result->outcome);
    if (result->outcome.code == ERR_OK)
        see_kvs(result->kvs, result->n_kvs);
}

static void on_write(void *arg, const struct etcd_write_result *result)
{
    (void)arg;
    see(&result->outcome);
}

static void on_txn(void *arg, const struct etcd_txn_result *result)
{
    (void)arg;
    see(&result->outcome);
    for (size_t i = 0; result->outcome.code == ERR_OK && i < result->n_responses; i++)
        see_kvs(result->responses[i].kvs, result->responses[i].n_kvs);
}

static void on_lease(void *arg, const struct etcd_lease_result *result)
{
    (void)arg;
    see(&result->outcome);
}

static void on_members(void *arg, const struct etcd_members_result *result)
{
    (void)arg;
    see(&result->outcome);
    FUZZ_HOLDS(result->n_members <= LIMIT_MEMBERS);
    for (size_t i = 0; result->outcome.code == ERR_OK && i < result->n_members; i++)
        seen += strlen(result->members[i].name) + strlen(result->members[i].peer_url) +
                strlen(result->members[i].client_url);
}

static void on_status(void *arg, const struct etcd_status_result *result)
{
    (void)arg;
    see(&result->outcome);
    seen += strlen(result->version) + strlen(result->errors);
}

static void on_alarms(void *arg, const struct etcd_alarms_result *result)
{
    (void)arg;
    see(&result->outcome);
    FUZZ_HOLDS(result->n_alarms <= ETCD_ALARMS_MAX);
}

static void on_news(void *arg, const struct etcd_news *news)
{
    bool *over = arg;
    FUZZ_HOLDS(!*over);
    *over = news->kind == ETCD_NEWS_LOST || news->kind == ETCD_NEWS_RESYNC;
    seen += strlen(news->reason);
    for (size_t i = 0; i < news->n_events; i++) {
        see_kvs(&news->events[i].kv, 1);
        if (news->events[i].prev != NULL)
            see_kvs(news->events[i].prev, 1);
    }
}

/* ---- one input -------------------------------------------------------------------------------- */

static struct etcd_call *send_txn(struct etcd *etcd, struct etcd_how how)
{
    struct etcd_txn *txn = etcd_txn_new();
    const struct etcd_put put = { .key = "a", .value = "b", .value_len = 1 };
    const struct etcd_range range = { .key = "a", .prefix = true };
    etcd_txn_compare(txn, "a", ETCD_MOD_REVISION, ETCD_EQUAL, 7);
    etcd_txn_put(txn, ETCD_THEN, &put);
    etcd_txn_range(txn, ETCD_THEN, &range);
    struct etcd_call *call = etcd_txn_send(etcd, txn, how, on_txn, NULL);
    etcd_txn_free(txn);
    return call;
}

static struct etcd_call *start(struct etcd *etcd, uint8_t kind)
{
    const struct etcd_how how = { .timeout_ms = 1000, .endpoint = 0 };
    const struct etcd_range range = { .key = "a", .prefix = true };
    const struct etcd_put put = { .key = "a", .value = "b", .value_len = 1 };
    switch (kind) {
    case 'r':
        return etcd_range(etcd, &range, how, on_range, NULL);
    case 'p':
        return etcd_put(etcd, &put, how, on_write, NULL);
    case 't':
        return send_txn(etcd, how);
    case 'g':
        return etcd_lease_grant(etcd, 10, how, on_lease, NULL);
    case 'k':
        return etcd_lease_keepalive(etcd, 7, how, on_lease, NULL);
    case 'l':
        return etcd_lease_time_to_live(etcd, 7, how, on_lease, NULL);
    case 'm':
        return etcd_member_list(etcd, true, how, on_members, NULL);
    case 's':
        return etcd_status(etcd, how, on_status, NULL);
    case 'a':
        return etcd_alarm_list(etcd, how, on_alarms, NULL);
    default:
        return NULL;
    }
}

static void forget_calls(void)
{
    while (calls != NULL) {
        struct http_call *next = calls->next;
        free(calls);
        calls = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static const char *const endpoints[] = { "http://etcd:2379", NULL };
    const struct etcd_config config = { .endpoints = endpoints };
    struct loop *loop = loop_new();
    struct etcd *etcd = etcd_new(loop, NULL, &config);
    char *body = fuzz_text(data + 2, size - 2);
    bool over = false;
    const struct etcd_watch_spec spec = { .key = "a",
                                          .prefix = true,
                                          .previous = true,
                                          .timeout_ms = 1000,
                                          .fn = on_news,
                                          .arg = &over };
    struct etcd_watch *watch = data[0] == 'w' ? etcd_watch_new(etcd, &spec) : NULL;
    struct etcd_call *call = watch == NULL ? start(etcd, data[0]) : NULL;
    if (calls != NULL)
        feed(calls, (char)data[1], body);
    etcd_watch_free(watch);
    etcd_call_free(call);
    etcd_free(etcd);
    forget_calls();
    loop_free(loop);
    free(body);
    return 0;
}
