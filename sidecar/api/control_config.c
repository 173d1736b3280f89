/* PATCH and PUT of /config (patroni-compat 2.5): read, merge, check, compare and swap. A deliberate
 * difference: what cannot be understood as settings is refused here (400) instead of being ignored by
 * every node afterwards. */
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "control_store_internal.h"
#include "etcd/kv.h"
#include "settings/settings.h"
#include "json/json.h"

static char *compact(const json_t *json)
{
    struct text text = text_new(LIMIT_HTTP_BODY);
    json_write(&text, json);
    return text_take(&text);
}

static void end_with_value(struct store_op *op)
{
    auto_text struct text text = text_new(LIMIT_HTTP_BODY);
    json_write_python(&text, op->value);
    store_op_end(op, 200, text_str(&text));
}

/* False: refused, and the operation has ended. */
static bool check_value(struct store_op *op)
{
    struct err err;
    struct settings *settings = NULL;
    auto_text struct text warnings = text_new(LIMIT_HTTP_BODY);
    if (settings_new(op->value, op->store->spec.config, &settings, &warnings, &err) != ERR_OK) {
        store_op_end(op, 400, err.text);
        return false;
    }
    settings_free(settings);
    return true;
}

static void end_with_outcome(struct store_op *op, int status, const struct etcd_outcome *outcome)
{
    if (outcome->code == ERR_TIMEOUT)
        store_op_endf(op, status, "the write may have happened: %s", outcome->error);
    else
        store_op_endf(op, status, "cannot write config: %s", outcome->error);
}

static void on_swapped(void *arg, const struct etcd_txn_result *result)
{
    struct store_op *op = arg;
    if (result->outcome.code != ERR_OK) {
        end_with_outcome(op, 503, &result->outcome);
        return;
    }
    if (!result->succeeded) {
        store_op_end(op, 409, "config was changed by somebody else in the meantime");
        return;
    }
    auto_free char *value = compact(op->value);
    store_op_wrote(op, "config", value, result->outcome.header.revision);
    end_with_value(op);
}

static void swap(struct store_op *op, const struct etcd_kv *old)
{
    auto_free char *key = store_op_key(op, "config");
    auto_free char *value = compact(op->value);
    struct etcd_txn *txn = etcd_txn_new();
    etcd_txn_compare(txn, key, ETCD_MOD_REVISION, ETCD_EQUAL, old->mod_revision);
    struct etcd_put put = { .key = key, .value = value, .value_len = strlen(value) };
    etcd_txn_put(txn, ETCD_THEN, &put);
    struct etcd_how how = { .timeout_ms = WRITE_TIMEOUT_MS, .endpoint = ETCD_ANY };
    struct etcd_call *former = op->call;
    op->call = etcd_txn_send(op->store->spec.etcd, txn, how, on_swapped, op);
    etcd_call_free(former);
    etcd_txn_free(txn);
}

static void on_read(void *arg, const struct etcd_range_result *result)
{
    struct store_op *op = arg;
    struct err err;
    if (result->outcome.code != ERR_OK) {
        store_op_endf(op, 503, "cannot read config: %s", result->outcome.error);
        return;
    }
    if (result->n_kvs == 0) {
        store_op_end(op, 503, "there is no config in the store");
        return;
    }
    const struct etcd_kv *kv = &result->kvs[0];
    auto_json json_t *base = NULL;
    if (json_parse(kv->value, kv->value_len, "config", &base, &err) != ERR_OK) {
        store_op_end(op, 503, err.text);
        return;
    }
    bool changed;
    op->value = settings_patch(base, op->body, &changed);
    if (!changed)
        end_with_value(op);
    else if (check_value(op))
        swap(op, kv);
}

void control_config_patch(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct store_op *op = store_op_new(arg, order, pending);
    auto_free char *key = store_op_key(op, "config");
    struct etcd_range range = { .key = key };
    struct etcd_how how = { .timeout_ms = WRITE_TIMEOUT_MS, .endpoint = ETCD_ANY };
    op->call = etcd_range(op->store->spec.etcd, &range, how, on_read, op);
}

static void on_put(void *arg, const struct etcd_write_result *result)
{
    struct store_op *op = arg;
    if (result->outcome.code != ERR_OK) {
        end_with_outcome(op, 502, &result->outcome);
        return;
    }
    auto_free char *value = compact(op->value);
    store_op_wrote(op, "config", value, result->outcome.header.revision);
    end_with_value(op);
}

void control_config_put(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct store_op *op = store_op_new(arg, order, pending);
    op->value = json_incref(op->body);
    if (!check_value(op))
        return;
    auto_free char *key = store_op_key(op, "config");
    auto_free char *value = compact(op->value);
    struct etcd_put put = { .key = key, .value = value, .value_len = strlen(value) };
    struct etcd_how how = { .timeout_ms = WRITE_TIMEOUT_MS, .endpoint = ETCD_ANY };
    op->call = etcd_put(op->store->spec.etcd, &put, how, on_put, op);
}
