#include "store_node.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "etcd/kv.h"
#include "json/json.h"

static void on_changed(void *arg)
{
    ((struct store_node *)arg)->changes++;
}

static void on_lease_changed(void *arg)
{
    (void)arg;
}

/* The owner's cycle, as far as the keeper knows it. */
static void on_cycle(void *arg)
{
    struct store_node *node = arg;
    if (!node->stalls)
        lease_keeper_alive(node->keeper, clock_mono());
    source_arm_in(node->cycle, 200);
}

static enum cluster_memory on_remember(void *arg, uint64_t cluster_id, int64_t sync_revision)
{
    ck_assert(cluster_id != 0);
    ck_assert(sync_revision != 0);
    struct store_node *node = arg;
    node->asked_id = cluster_id;
    node->asked_revision = sync_revision;
    return node->remembered;
}

static void on_deadline(void *arg, struct mono deadline, int64_t lease_id, int64_t create_revision)
{
    struct store_node *node = arg;
    ck_assert_int_eq(create_revision, lease_keeper_lease(node->keeper)->create_revision);
    node->deadline = deadline;
    node->deadline_lease = lease_id;
    node->deadlines++;
}

static bool on_confirmed(void *arg, struct text *value, int64_t *ret_sync_revision)
{
    struct store_node *node = arg;
    struct cluster_key sync;
    if (node->confirmed == NULL || !cluster_get(node->cluster, "sync", &sync))
        return false;
    text_add(value, node->confirmed);
    *ret_sync_revision = sync.mod_revision;
    return true;
}

static bool on_config(void *arg, struct text *to)
{
    (void)arg;
    text_add(to, "{\"ttl\":3}");
    return true;
}

static bool on_history(void *arg, struct text *to)
{
    (void)arg;
    text_add(to, "[[1,100,\"no recovery target specified\"]]");
    return true;
}

void store_node_start(struct store_node *node, struct etcd_cluster *servers, const char *name,
                      int64_t ttl_ms)
{
    *node = (struct store_node){ .loop = servers->loop, .remembered = CLUSTER_SAME };
    node->http = http_new(node->loop, ttl_ms / 2);
    node->etcd =
        etcd_new(node->loop, node->http, &(struct etcd_config){ .endpoints = servers->urls });
    node->cluster = cluster_new(&(struct cluster_spec){ .loop = node->loop,
                                                        .etcd = node->etcd,
                                                        .prefix = "/service/t/",
                                                        .self = name,
                                                        .ttl_ms = ttl_ms,
                                                        .remember = on_remember,
                                                        .changed = on_changed,
                                                        .arg = node });
    node->keeper = lease_keeper_new(&(struct lease_keeper_spec){ .loop = node->loop,
                                                                 .etcd = node->etcd,
                                                                 .cluster = node->cluster,
                                                                 .ttl_ms = ttl_ms,
                                                                 .stall_limit_ms = 1000,
                                                                 .deadline = on_deadline,
                                                                 .confirmed = on_confirmed,
                                                                 .changed = on_lease_changed,
                                                                 .arg = node });
    node->cycle = loop_timer(node->loop, on_cycle, node);
    source_arm_in(node->cycle, 0);
    node->publish = publish_new(&(struct publish_spec){
        .loop = node->loop, .etcd = node->etcd, .cluster = node->cluster, .keeper = node->keeper });
    node->steps = steps_store_new(&(struct steps_store_spec){ .loop = node->loop,
                                                              .etcd = node->etcd,
                                                              .cluster = node->cluster,
                                                              .keeper = node->keeper,
                                                              .publish = node->publish,
                                                              .config = on_config,
                                                              .history = on_history,
                                                              .arg = node });
}

void store_node_stop(struct store_node *node)
{
    source_free(node->cycle);
    steps_store_free(node->steps);
    publish_free(node->publish);
    lease_keeper_free(node->keeper);
    cluster_free(node->cluster);
    etcd_free(node->etcd);
    http_free(node->http);
}

struct loop *store_nodes_start(struct etcd_cluster *servers, int n, struct store_node *a,
                               struct store_node *b)
{
    json_setup();
    http_setup();
    struct loop *loop = loop_new();
    etcd_cluster_start(servers, loop, n, NULL);
    store_node_start(a, servers, "a", STORE_NODES_TTL_MS);
    if (b != NULL)
        store_node_start(b, servers, "b", STORE_NODES_TTL_MS);
    store_node_wait(a, store_node_ready, 20000);
    if (b != NULL)
        store_node_wait(b, store_node_ready, 20000);
    return loop;
}

void store_nodes_stop(struct etcd_cluster *servers, struct store_node *a, struct store_node *b)
{
    store_node_stop(a);
    if (b != NULL)
        store_node_stop(b);
    etcd_cluster_stop(servers);
    loop_free(servers->loop);
}

struct view *store_node_view(struct store_node *node)
{
    struct view *view = mem_struct(struct view);
    view->now = clock_mono();
    text_copy(view->self, sizeof(view->self), cluster_self(node->cluster));
    cluster_fill(node->cluster, view->now, &view->store);
    view->lease = *lease_keeper_lease(node->keeper);
    view->guard = node->guard;
    view->pg.system_id = 7000000000000000001;
    view->pg.state = node->guard.tree_alive ? PG_UP : PG_DOWN;
    return view;
}

struct outcome {
    bool done;
    enum err_code code;
    struct store_node *node;
};

static void on_step(void *arg, enum err_code code, const struct err *err)
{
    struct outcome *outcome = arg;
    ck_assert(!outcome->done);
    outcome->done = true;
    outcome->code = code;
    text_copy(outcome->node->error, sizeof(outcome->node->error), err != NULL ? err->text : "");
}

enum err_code store_node_run_with(struct store_node *node, const struct step *step,
                                  const struct view *view)
{
    struct outcome outcome = { .node = node };
    struct step_op *op = steps_store_start(node->steps, &(struct step_call){
                                                            .step = step,
                                                            .view = view,
                                                            .memory = &node->memory,
                                                            .deadline = MONO_NEVER,
                                                            .done = on_step,
                                                            .arg = &outcome,
                                                        });
    ck_assert(!outcome.done);
    run_until(node->loop, &outcome.done, 10000);
    step_op_free(op);
    return outcome.code;
}

enum err_code store_node_run(struct store_node *node, const struct step *step)
{
    struct view *view = store_node_view(node);
    enum err_code code = store_node_run_with(node, step, view);
    free(view);
    return code;
}

enum err_code store_node_step(struct store_node *node, enum step_kind kind, const char *name)
{
    struct step step = { .kind = kind };
    text_copy(step.name, sizeof(step.name), name);
    return store_node_run(node, &step);
}

void store_node_wait(struct store_node *node, store_node_condition *holds, int64_t ms)
{
    struct mono end = mono_add(clock_mono(), ms);
    while (!holds(node)) {
        ck_assert_msg(mono_before(clock_mono(), end),
                      "%s: it does not come true within %lld ms; last error of a step: %s",
                      cluster_self(node->cluster), (long long)ms, node->error);
        run_for(node->loop, 10);
    }
}

bool store_node_ready(struct store_node *node)
{
    struct view *view = store_node_view(node);
    bool ready = view->store.loaded && view->lease.id != 0;
    free(view);
    return ready;
}

bool store_node_holds(struct store_node *node)
{
    return lease_holds(lease_keeper_lease(node->keeper), clock_mono());
}

bool store_node_may_take(struct store_node *node)
{
    struct view *view = store_node_view(node);
    bool may = !view->store.leader_exists &&
               lease_may_take(&view->store.holder, lease_keeper_lease(node->keeper)->id);
    free(view);
    return may;
}

static void on_write(void *arg, const struct etcd_write_result *result)
{
    ck_assert_msg(result->outcome.code == ERR_OK, "%s", result->outcome.error);
    *(bool *)arg = true;
}

void store_node_put(struct store_node *node, const char *key, const char *value)
{
    const struct etcd_how how = { .timeout_ms = 8000, .endpoint = ETCD_ANY };
    bool done = false;
    struct etcd_call *call;
    if (value != NULL)
        call =
            etcd_put(node->etcd,
                     &(struct etcd_put){ .key = key, .value = value, .value_len = strlen(value) },
                     how, on_write, &done);
    else
        call = etcd_delete(node->etcd, &(struct etcd_delete){ .key = key }, how, on_write, &done);
    run_until(node->loop, &done, 10000);
    etcd_call_free(call);
}
