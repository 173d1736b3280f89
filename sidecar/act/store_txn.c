#include "sidecar/act/store_txn.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

enum {
    EXPECT_MAX = LIMIT_MEMBERS + 8,
    WRITE_MAX = 4,
    KEYS_MAX = EXPECT_MAX + WRITE_MAX,
    TRY_MS = 1000, /* one try on one endpoint */
    TRY_MIN_MS = 100,
    PAUSE_MS = 50,
};

struct expectation {
    char *name;
    enum etcd_target target;
    bool until; /* at most, else equal */
    int64_t number;
};

struct write {
    char *name;
    char *value; /* NULL: delete */
    int64_t lease;
};

/* A key as an answer tells it. */
struct seen {
    const char *name;         /* of an expectation or a write */
    const struct etcd_kv *kv; /* NULL: it does not exist */
};

struct store_txn {
    struct etcd *etcd;
    struct cluster *cluster;
    struct etcd_txn *txn;
    struct etcd_call *call;
    struct source *again;
    struct mono deadline;
    struct mono sent;
    bool doubtful; /* an earlier try may have happened */
    struct store_txn_reply reply;
    store_txn_fn *done;
    void *arg;
    size_t n_expected;
    struct expectation expected[EXPECT_MAX];
    size_t n_writes;
    struct write writes[WRITE_MAX];
};

static void try_once(struct store_txn *txn);

static void on_again(void *arg)
{
    try_once(arg);
}

struct store_txn *store_txn_new(struct loop *loop, struct etcd *etcd, struct cluster *cluster)
{
    struct store_txn *txn = mem_struct(struct store_txn);
    txn->etcd = etcd;
    txn->cluster = cluster;
    txn->txn = etcd_txn_new();
    txn->again = loop_timer(loop, on_again, txn);
    return txn;
}

struct store_txn *store_txn_free(struct store_txn *txn)
{
    if (txn == NULL)
        return NULL;
    etcd_call_free(txn->call);
    etcd_txn_free(txn->txn);
    source_free(txn->again);
    for (size_t at = 0; at < txn->n_expected; at++)
        free(txn->expected[at].name);
    for (size_t at = 0; at < txn->n_writes; at++) {
        free(txn->writes[at].name);
        free(txn->writes[at].value);
    }
    free(txn);
    return NULL;
}

static struct text full_key(const struct store_txn *txn, const char *name)
{
    struct text key = text_new(LIMIT_PATH);
    text_add(&key, cluster_prefix(txn->cluster));
    text_add(&key, name);
    return key;
}

/* --- building --- */

static void expect(struct store_txn *txn, const char *name, struct expectation expectation)
{
    assert(txn->n_expected < EXPECT_MAX);
    expectation.name = mem_strdup(name);
    txn->expected[txn->n_expected++] = expectation;
    auto_text struct text key = full_key(txn, name);
    enum etcd_relation relation = expectation.until ? ETCD_LESS : ETCD_EQUAL;
    int64_t number = expectation.until ? expectation.number + 1 : expectation.number;
    etcd_txn_compare(txn->txn, text_str(&key), expectation.target, relation, number);
}

void store_txn_expect(struct store_txn *txn, const char *name, enum etcd_target target,
                      int64_t number)
{
    expect(txn, name, (struct expectation){ .target = target, .number = number });
}

void store_txn_expect_until(struct store_txn *txn, const char *name, int64_t revision)
{
    expect(txn, name,
           (struct expectation){ .target = ETCD_MOD_REVISION, .until = true, .number = revision });
}

static struct write *write_new(struct store_txn *txn, const char *name)
{
    assert(txn->n_writes < WRITE_MAX);
    struct write *own = &txn->writes[txn->n_writes++];
    own->name = mem_strdup(name);
    return own;
}

void store_txn_put(struct store_txn *txn, const char *name, const char *value, int64_t lease)
{
    struct write *own = write_new(txn, name);
    own->value = mem_strdup(value);
    own->lease = lease;
    auto_text struct text key = full_key(txn, name);
    etcd_txn_put(
        txn->txn, ETCD_THEN,
        &(struct etcd_put){
            .key = text_str(&key), .value = value, .value_len = strlen(value), .lease = lease });
}

void store_txn_delete(struct store_txn *txn, const char *name)
{
    (void)write_new(txn, name);
    auto_text struct text key = full_key(txn, name);
    etcd_txn_delete(txn->txn, ETCD_THEN, &(struct etcd_delete){ .key = text_str(&key) });
}

/* The names whose present values a failed compare brings: each once, in a fixed order. */
static size_t names_of(const struct store_txn *txn, const char *ret_names[KEYS_MAX])
{
    size_t n = 0;
    for (size_t at = 0; at < txn->n_expected + txn->n_writes; at++) {
        const char *name =
            at < txn->n_expected ? txn->expected[at].name : txn->writes[at - txn->n_expected].name;
        bool known = false;
        for (size_t earlier = 0; earlier < n; earlier++)
            known = known || strcmp(ret_names[earlier], name) == 0;
        if (!known)
            ret_names[n++] = name;
    }
    return n;
}

static void add_else(struct store_txn *txn)
{
    const char *names[KEYS_MAX];
    size_t n = names_of(txn, names);
    for (size_t at = 0; at < n; at++) {
        auto_text struct text key = full_key(txn, names[at]);
        etcd_txn_range(txn->txn, ETCD_ELSE, &(struct etcd_range){ .key = text_str(&key) });
    }
}

/* --- a lost compare --- */

static const struct etcd_kv *seen_kv(const struct seen *seen, size_t n, const char *name)
{
    for (size_t at = 0; at < n; at++) {
        if (strcmp(seen[at].name, name) == 0)
            return seen[at].kv;
    }
    return NULL;
}

static size_t gather(const struct store_txn *txn, const struct etcd_txn_result *result,
                     struct seen ret_seen[KEYS_MAX])
{
    const char *names[KEYS_MAX];
    size_t n = names_of(txn, names);
    if (n > result->n_responses)
        n = result->n_responses;
    for (size_t at = 0; at < n; at++) {
        const struct etcd_txn_response *response = &result->responses[at];
        ret_seen[at] = (struct seen){ .name = names[at],
                                      .kv = response->n_kvs > 0 ? &response->kvs[0] : NULL };
    }
    return n;
}

static void tell_cluster(struct store_txn *txn, const struct seen *seen, size_t n, int64_t revision)
{
    for (size_t at = 0; at < n; at++) {
        const struct etcd_kv *kv = seen[at].kv;
        if (kv == NULL) {
            cluster_saw_none(txn->cluster, seen[at].name, revision);
            continue;
        }
        cluster_saw(txn->cluster, &(struct cluster_key){ .name = seen[at].name,
                                                         .value = kv->value,
                                                         .len = kv->value_len,
                                                         .create_revision = kv->create_revision,
                                                         .mod_revision = kv->mod_revision,
                                                         .lease = kv->lease });
    }
}

/* The revision at which all that we wanted to write was written; 0: it is not there. */
static int64_t written_at(const struct store_txn *txn, const struct seen *seen, size_t n)
{
    int64_t revision = 0;
    for (size_t at = 0; at < txn->n_writes; at++) {
        const struct write *wanted = &txn->writes[at];
        const struct etcd_kv *kv = seen_kv(seen, n, wanted->name);
        if (wanted->value == NULL) {
            if (kv != NULL)
                return 0;
            continue;
        }
        if (kv == NULL || kv->lease != wanted->lease || kv->value_len != strlen(wanted->value) ||
            memcmp(kv->value, wanted->value, kv->value_len) != 0)
            return 0;
        if (revision != 0 && revision != kv->mod_revision)
            return 0;
        revision = kv->mod_revision;
    }
    return revision;
}

static int64_t number_of(const struct etcd_kv *kv, enum etcd_target target)
{
    if (kv == NULL)
        return 0;
    switch (target) {
    case ETCD_CREATE_REVISION:
        return kv->create_revision;
    case ETCD_MOD_REVISION:
        return kv->mod_revision;
    case ETCD_VERSION:
        return kv->version;
    case ETCD_LEASE:
        return kv->lease;
    }
    return 0;
}

static const char *target_name(enum etcd_target target)
{
    switch (target) {
    case ETCD_CREATE_REVISION:
        return "create revision";
    case ETCD_MOD_REVISION:
        return "mod revision";
    case ETCD_VERSION:
        return "version";
    case ETCD_LEASE:
        return "lease";
    }
    return "?";
}

static enum err_code explain(const struct store_txn *txn, const struct seen *seen, size_t n,
                             struct err *err)
{
    for (size_t at = 0; at < txn->n_expected; at++) {
        const struct expectation *expected = &txn->expected[at];
        const struct etcd_kv *kv = seen_kv(seen, n, expected->name);
        int64_t number = number_of(kv, expected->target);
        if (expected->until ? number <= expected->number : number == expected->number)
            continue;
        if (kv == NULL)
            return err_set(err, ERR_CONFLICT, "%s does not exist any more", expected->name);
        if (expected->number == 0)
            return err_set(err, ERR_CONFLICT, "%s is there already%s%.*s", expected->name,
                           kv->value[0] != '\0' ? ": " : "", 80, kv->value);
        return err_set(err, ERR_CONFLICT, "%s has changed: %s is %" PRId64 ", not %" PRId64,
                       expected->name, target_name(expected->target), number, expected->number);
    }
    return err_set(err, ERR_CONFLICT, "the keys have changed");
}

/* --- sending --- */

static void finish(struct store_txn *txn, enum err_code code, const struct err *err,
                   int64_t revision)
{
    txn->done(txn->arg, code, err, revision); /* may free it */
}

static void on_success(struct store_txn *txn, int64_t revision)
{
    for (size_t at = 0; at < txn->n_writes; at++) {
        const struct write *write = &txn->writes[at];
        if (write->value == NULL)
            cluster_saw_none(txn->cluster, write->name, revision);
        else
            cluster_saw(txn->cluster, &(struct cluster_key){ .name = write->name,
                                                             .value = write->value,
                                                             .len = strlen(write->value),
                                                             .mod_revision = revision,
                                                             .lease = write->lease });
    }
    finish(txn, ERR_OK, NULL, revision);
}

static void on_lost_compare(struct store_txn *txn, const struct etcd_txn_result *result)
{
    struct seen seen[KEYS_MAX];
    size_t n = gather(txn, result, seen);
    tell_cluster(txn, seen, n, result->outcome.header.revision);
    int64_t revision = txn->doubtful ? written_at(txn, seen, n) : 0;
    if (revision != 0) {
        finish(txn, ERR_OK, NULL, revision);
        return;
    }
    struct err err;
    finish(txn, explain(txn, seen, n, &err), &err, 0);
}

static void on_failure(struct store_txn *txn, const struct etcd_outcome *outcome)
{
    bool lost = outcome->code == ERR_TIMEOUT;
    txn->doubtful = txn->doubtful || lost;
    struct mono next = mono_add(clock_mono(), PAUSE_MS);
    if ((lost || outcome->code == ERR_UNREACHABLE) && mono_before(next, txn->deadline)) {
        if (outcome->endpoint != ETCD_ANY)
            etcd_endpoint_prefer(txn->etcd, etcd_endpoint_after(txn->etcd, outcome->endpoint));
        source_arm_at(txn->again, next);
        return;
    }
    struct err err;
    enum err_code code = txn->doubtful ? ERR_TIMEOUT : outcome->code;
    finish(txn, err_set(&err, code, "%s", outcome->error), &err, 0);
}

static void on_result(void *arg, const struct etcd_txn_result *result)
{
    struct store_txn *txn = arg;
    txn->call = etcd_call_free(txn->call);
    if (result->outcome.code != ERR_OK) {
        on_failure(txn, &result->outcome);
        return;
    }
    cluster_heard(txn->cluster, txn->sent, result->outcome.header.revision,
                  result->outcome.header.raft_term);
    if (result->succeeded && !txn->doubtful)
        txn->reply = (struct store_txn_reply){ result->outcome.header.raft_term,
                                               result->outcome.header.member_id };
    if (result->succeeded)
        on_success(txn, result->outcome.header.revision);
    else
        on_lost_compare(txn, result);
}

static void try_once(struct store_txn *txn)
{
    txn->sent = clock_mono();
    int64_t left_ms = mono_diff(txn->deadline, txn->sent);
    int64_t timeout_ms = left_ms < TRY_MS ? left_ms : TRY_MS;
    struct etcd_how how = {
        .timeout_ms = timeout_ms > TRY_MIN_MS ? timeout_ms : TRY_MIN_MS,
        .endpoint = ETCD_ANY,
    };
    txn->call = etcd_txn_send(txn->etcd, txn->txn, how, on_result, txn);
}

struct store_txn_reply store_txn_reply(const struct store_txn *txn)
{
    return txn->reply;
}

void store_txn_send(struct store_txn *txn, struct mono deadline, store_txn_fn *done, void *arg)
{
    assert(txn->done == NULL && txn->n_writes > 0);
    txn->deadline = deadline;
    txn->done = done;
    txn->arg = arg;
    add_else(txn);
    try_once(txn);
}
