/* The operations' common part: their list, their end. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "control_store_internal.h"
#include "json/json.h"

struct store_op *store_op_new(struct control_store *store, const struct api_order *order,
                              struct api_pending *pending)
{
    struct store_op *op = mem_struct(struct store_op);
    op->store = store;
    op->pending = pending;
    op->kind = order->kind;
    op->body = order->body != NULL ? json_deep_copy(order->body) : NULL;
    op->failover = order->failover;
    op->failed_at = MONO_NEVER;
    text_copy(op->candidate, sizeof(op->candidate), order->member);
    text_copy(op->leader, sizeof(op->leader), order->leader);
    text_copy(op->schedule, sizeof(op->schedule), order->schedule);
    op->next = store->ops;
    store->ops = op;
    return op;
}

static void op_free(struct store_op *op)
{
    struct store_op **link = &op->store->ops;
    while (*link != op)
        link = &(*link)->next;
    *link = op->next;
    etcd_call_free(op->call);
    for (size_t i = 0; i < op->n_asked; i++)
        http_call_free(op->asked[i]);
    source_free(op->timer);
    json_decref(op->body);
    json_decref(op->value);
    free(op);
}

void store_op_end(struct store_op *op, int status, const char *text)
{
    api_pending_reply(op->pending, status, text);
    op_free(op);
}

void store_op_endf(struct store_op *op, int status, const char *format, ...)
{
    auto_text struct text text = text_new(LIMIT_LOG_LINE);
    va_list args;
    va_start(args, format);
    text_vaddf(&text, format, args);
    va_end(args);
    store_op_end(op, status, text_str(&text));
}

char *store_op_key(const struct store_op *op, const char *name)
{
    struct text text = text_new(LIMIT_PATH);
    text_add(&text, cluster_prefix(op->store->spec.cluster));
    text_add(&text, name);
    return text_take(&text);
}

char *store_op_member_key(const struct store_op *op)
{
    struct text text = text_new(LIMIT_PATH);
    text_addf(&text, "members/%s", op->candidate);
    return text_take(&text);
}

void store_changed(struct control_store *store)
{
    if (store->spec.changed != NULL)
        store->spec.changed(store->spec.arg);
}

void store_op_wrote(struct store_op *op, const char *name, const char *value, int64_t revision)
{
    struct cluster_key key = {
        .name = name, .value = value, .len = strlen(value), .mod_revision = revision
    };
    cluster_saw(op->store->spec.cluster, &key);
    store_changed(op->store);
}

struct control_store *control_store_new(const struct control_store_spec *spec)
{
    struct control_store *store = mem_struct(struct control_store);
    store->spec = *spec;
    return store;
}

struct control_store *control_store_free(struct control_store *store)
{
    if (store == NULL)
        return NULL;
    while (store->ops != NULL)
        op_free(store->ops);
    free(store);
    return NULL;
}

void control_store_install(struct control_store *store, struct api_control *control)
{
    control->ops[API_CONFIG_PATCH] = (struct api_op){ .run = control_config_patch, .arg = store };
    control->ops[API_CONFIG_PUT] = (struct api_op){ .run = control_config_put, .arg = store };
    control->ops[API_MEMBER_REMOVE] = (struct api_op){ .run = control_member_remove, .arg = store };
    control->ops[API_SWITCHOVER] = (struct api_op){ .run = control_switchover, .arg = store };
    control->ops[API_SWITCHOVER_FORGET] =
        (struct api_op){ .run = control_switchover_forget, .arg = store };
}

void control_store_set_config(struct control_store *store, const struct config *config,
                              const struct http_tls *tls)
{
    store->spec.config = config;
    store->spec.tls = tls;
}
