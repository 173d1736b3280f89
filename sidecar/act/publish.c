#include "sidecar/act/publish.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/status.h"
#include "sidecar/act/events.h"
#include "sidecar/act/store_txn.h"
#include "json/json.h"

enum {
    WRITE_MS = 2000,  /* one write, with all its tries */
    RETRY_MS = 500,   /* after one that failed */
    STATUS_MS = 1000, /* between two writes of /status */
};

enum topic { TOPIC_MEMBER, TOPIC_WITNESS, TOPIC_HISTORY, TOPIC_FAILSAFE, TOPIC_STATUS, TOPIC_MAX };

/* A key and what it should be. */
struct notice {
    struct publish *publish;
    enum topic topic;
    char *name;
    char *value; /* NULL: leave alone what is there */
    bool under_lease;
    bool leader_only;
    struct mono not_before;
    struct store_txn *txn; /* NULL: none under way */
    int64_t lease;         /* that the write under way names */
    bool in_doubt;         /* FAILSAFE: a write that compared this revision had no answer: */
    int64_t compared;
};

struct publish {
    struct publish_spec spec;
    struct notice notices[TOPIC_MAX];
    char *member; /* as it was handed over, without our own asking */
    bool asks_out;
    struct events *events;
    struct source *again;
    struct mono again_at; /* while it is armed */
    struct source *written;
    loop_fn *written_fn;
    void *written_arg;
};

static void flush(struct notice *notice);

static void flush_all(void *arg)
{
    struct publish *publish = arg;
    for (enum topic topic = 0; topic < TOPIC_MAX; topic++)
        flush(&publish->notices[topic]);
}

static int64_t wanted_lease(const struct notice *notice)
{
    return notice->under_lease ? lease_keeper_lease(notice->publish->spec.keeper)->id : 0;
}

static bool is_written(const struct notice *notice)
{
    struct cluster_key key;
    return notice->value != NULL &&
           cluster_get(notice->publish->spec.cluster, notice->name, &key) &&
           key.lease == wanted_lease(notice) && strcmp(key.value, notice->value) == 0;
}

static int64_t revision_of(const struct notice *notice)
{
    struct cluster_key key;
    bool exists = cluster_get(notice->publish->spec.cluster, notice->name, &key);
    return exists ? key.mod_revision : 0;
}

static void wait_until(struct notice *notice, struct mono at)
{
    notice->not_before = at;
    struct source *again = notice->publish->again;
    if (!source_armed(again) || mono_before(at, notice->publish->again_at)) {
        notice->publish->again_at = at;
        source_arm_at(again, at);
    }
}

static void on_notice(void *arg, enum err_code code, const struct err *err, int64_t revision)
{
    struct notice *notice = arg;
    (void)revision;
    if (code == ERR_OK)
        notice->in_doubt = false;
    if (code != ERR_OK) {
        log_debug("publish: %s: %s", notice->name, err->text);
        if (code == ERR_NOT_FOUND)
            lease_keeper_missed(notice->publish->spec.keeper, notice->lease);
        wait_until(notice, mono_add(clock_mono(), RETRY_MS));
    }
    notice->txn = store_txn_free(notice->txn);
    if (notice->topic == TOPIC_FAILSAFE)
        free(take(notice->value));
    flush(notice); /* it may have changed meanwhile */
}

static bool may_write(const struct notice *notice)
{
    const struct lease *lease = lease_keeper_lease(notice->publish->spec.keeper);
    if (notice->value == NULL || notice->txn != NULL)
        return false;
    if (notice->under_lease && lease->id == 0)
        return false;
    return !notice->leader_only || lease->owns_key;
}

static void write_notice(struct notice *notice)
{
    const struct publish_spec *spec = &notice->publish->spec;
    const struct lease *lease = lease_keeper_lease(spec->keeper);
    struct mono now = clock_mono();
    if (notice->topic == TOPIC_STATUS)
        notice->not_before = mono_add(now, STATUS_MS);
    notice->lease = wanted_lease(notice);
    notice->txn = store_txn_new(spec->loop, spec->etcd, spec->cluster);
    if (notice->leader_only)
        store_txn_expect(notice->txn, "leader", ETCD_CREATE_REVISION, lease->create_revision);
    if (notice->topic == TOPIC_FAILSAFE) {
        /* A late one must not undo a later one: the round asks whom the last one names. Nor may one of
         * a former process, whose doubts are forgotten: adopting rewrites the leader key (L7). */
        notice->compared = revision_of(notice);
        notice->in_doubt = true;
        store_txn_expect(notice->txn, notice->name, ETCD_MOD_REVISION, notice->compared);
        store_txn_expect(notice->txn, "leader", ETCD_MOD_REVISION, lease->mod_revision);
    }
    store_txn_put(notice->txn, notice->name, notice->value, notice->lease);
    store_txn_send(notice->txn, mono_add(now, WRITE_MS), on_notice, notice);
}

static void flush(struct notice *notice)
{
    if (!may_write(notice))
        return;
    if (is_written(notice)) {
        if (notice->topic == TOPIC_MEMBER && notice->publish->written_fn != NULL)
            source_trigger(notice->publish->written);
        return;
    }
    if (mono_before(clock_mono(), notice->not_before))
        wait_until(notice, notice->not_before);
    else
        write_notice(notice);
}

static void want(struct notice *notice, const char *value)
{
    if (value == NULL) {
        free(take(notice->value));
    } else if (notice->value == NULL || strcmp(notice->value, value) != 0) {
        free(notice->value);
        notice->value = mem_strdup(value);
    }
    flush(notice);
}

/* --- the member key --- */

/* The member's value with `nosync` in its tags, as Patroni's own standby writes it when it stops.
 * */
static void add_nosync(struct text *to, const char *json)
{
    auto_json json_t *member = NULL;
    if (json_parse(json, strlen(json), "member", &member, NULL) != ERR_OK ||
        !json_is_object(member)) {
        text_add(to, json);
        return;
    }
    json_t *tags = json_object_get(member, "tags");
    if (!json_is_object(tags)) {
        tags = json_object();
        json_object_set_new(member, "tags", tags);
    }
    json_object_set_new(tags, "nosync", json_true());
    json_object_set_new(tags, "sync_priority", json_integer(0));
    json_write(to, member);
}

static void want_member(struct publish *publish)
{
    struct notice *notice = &publish->notices[TOPIC_MEMBER];
    if (publish->member == NULL || !publish->asks_out) {
        want(notice, publish->member);
        return;
    }
    auto_text struct text value = text_new(LIMIT_FILE);
    add_nosync(&value, publish->member);
    want(notice, text_str(&value));
}

void publish_member(struct publish *publish, const char *json)
{
    if (json == NULL || publish->member == NULL || strcmp(json, publish->member) != 0) {
        free(publish->member);
        publish->member = mem_strdup(json);
    }
    want_member(publish);
}

void publish_ask_out(struct publish *publish, bool ask)
{
    publish->asks_out = ask;
    want_member(publish);
}

bool publish_asks_out(const struct publish *publish)
{
    return publish->asks_out;
}

static void on_written(void *arg)
{
    struct publish *publish = arg;
    if (publish->written_fn == NULL || !is_written(&publish->notices[TOPIC_MEMBER]))
        return;
    loop_fn *fn = publish->written_fn;
    publish->written_fn = NULL;
    fn(publish->written_arg);
}

void publish_when_written(struct publish *publish, loop_fn *done, void *arg)
{
    publish->written_fn = done;
    publish->written_arg = arg;
    if (done != NULL)
        source_trigger(publish->written);
}

/* --- the rest --- */

void publish_witness(struct publish *publish, const char *json)
{
    want(&publish->notices[TOPIC_WITNESS], json);
}

void publish_history(struct publish *publish, const char *json)
{
    want(&publish->notices[TOPIC_HISTORY], json);
}

void publish_failsafe(struct publish *publish, const char *json)
{
    struct notice *notice = &publish->notices[TOPIC_FAILSAFE];
    want(notice, json);
    if (notice->txn == NULL)
        free(take(notice->value));
}

bool publish_failsafe_committed(const struct publish *publish)
{
    const struct notice *notice = &publish->notices[TOPIC_FAILSAFE];
    return !notice->in_doubt || revision_of(notice) != notice->compared;
}

void publish_status(struct publish *publish, lsn_t optime)
{
    if (optime == LSN_NONE) {
        want(&publish->notices[TOPIC_STATUS], NULL);
        return;
    }
    struct status status = { .optime = optime };
    auto_text struct text value = text_new(LIMIT_FILE);
    status_write(&value, &status);
    want(&publish->notices[TOPIC_STATUS], text_str(&value));
}

void publish_event(struct publish *publish, const char *kind, const char *text)
{
    events_add(publish->events, kind, text);
}

static void notice_init(struct publish *publish, enum topic topic, const char *name)
{
    struct notice *notice = &publish->notices[topic];
    *notice = (struct notice){ .publish = publish, .topic = topic, .name = mem_strdup(name) };
    notice->under_lease = topic == TOPIC_MEMBER || topic == TOPIC_WITNESS;
    notice->leader_only = !notice->under_lease;
}

static void notice_init_self(struct publish *publish, enum topic topic, const char *folder)
{
    auto_text struct text name = text_new(LIMIT_PATH);
    text_add(&name, folder);
    text_add(&name, cluster_self(publish->spec.cluster));
    notice_init(publish, topic, text_str(&name));
}

struct publish *publish_new(const struct publish_spec *spec)
{
    struct publish *publish = mem_struct(struct publish);
    publish->spec = *spec;
    notice_init_self(publish, TOPIC_MEMBER, "members/");
    notice_init_self(publish, TOPIC_WITNESS, "pgvigil/witness/");
    notice_init(publish, TOPIC_HISTORY, "history");
    notice_init(publish, TOPIC_FAILSAFE, "failsafe");
    notice_init(publish, TOPIC_STATUS, "status");
    publish->events = events_new(spec->loop, spec->etcd, spec->cluster);
    publish->again = loop_timer(spec->loop, flush_all, publish);
    publish->written = loop_defer(spec->loop, on_written, publish);
    return publish;
}

struct publish *publish_free(struct publish *publish)
{
    if (publish == NULL)
        return NULL;
    for (enum topic topic = 0; topic < TOPIC_MAX; topic++) {
        store_txn_free(publish->notices[topic].txn);
        free(publish->notices[topic].name);
        free(publish->notices[topic].value);
    }
    events_free(publish->events);
    source_free(publish->again);
    source_free(publish->written);
    free(publish->member);
    free(publish);
    return NULL;
}
