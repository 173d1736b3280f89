#include "sidecar/act/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/act/store_txn.h"
#include "json/json.h"

#define FOLDER "pgvigil/events/"

enum { WRITE_MS = 2000, RETRY_MS = 500 };

struct event {
    char at[CLOCK_ISO_MAX];
    char *kind;
    char *text;
};

struct events {
    struct loop *loop;
    struct etcd *etcd;
    struct cluster *cluster;
    struct source *again;
    struct store_txn *txn; /* writes the first in the queue */
    size_t n;
    struct event queue[LIMIT_EVENTS]; /* oldest first */
};

static void write_next(struct events *events);

static void on_again(void *arg)
{
    write_next(arg);
}

struct events *events_new(struct loop *loop, struct etcd *etcd, struct cluster *cluster)
{
    struct events *events = mem_struct(struct events);
    events->loop = loop;
    events->etcd = etcd;
    events->cluster = cluster;
    events->again = loop_timer(loop, on_again, events);
    return events;
}

static void drop_first(struct events *events)
{
    free(events->queue[0].kind);
    free(events->queue[0].text);
    events->n--;
    memmove(&events->queue[0], &events->queue[1], events->n * sizeof(events->queue[0]));
}

struct events *events_free(struct events *events)
{
    if (events == NULL)
        return NULL;
    store_txn_free(events->txn);
    while (events->n > 0)
        drop_first(events);
    source_free(events->again);
    free(events);
    return NULL;
}

static int64_t number_of(const struct cluster_key *key)
{
    auto_json json_t *json = NULL;
    int64_t number = 0;
    if (json_parse(key->value, key->len, key->name, &json, NULL) == ERR_OK)
        (void)json_get_int((struct json_reader){ .object = json, .name = key->name }, "n", &number,
                           NULL);
    return number;
}

static int64_t last_number(const struct events *events)
{
    int64_t last = 0;
    struct cluster_key key = { .name = "" };
    while (cluster_next(events->cluster, FOLDER, key.name, &key)) {
        int64_t number = number_of(&key);
        if (number > last)
            last = number;
    }
    return last;
}

static void on_done(void *arg, enum err_code code, const struct err *err, int64_t revision)
{
    struct events *events = arg;
    (void)revision;
    if (code == ERR_OK)
        drop_first(events);
    else if (code != ERR_CONFLICT) /* another member took the slot: the next one, at once */
        log_debug("events: %s", err->text);
    events->txn = store_txn_free(events->txn);
    if (code == ERR_OK || code == ERR_CONFLICT)
        write_next(events);
    else
        source_arm_in(events->again, RETRY_MS);
}

static void event_write(struct text *to, const struct event *event, int64_t number,
                        const char *member)
{
    text_addf(to, "{\"n\":%lld,\"at\":", (long long)number);
    json_write_string(to, event->at);
    text_add(to, ",\"member\":");
    json_write_string(to, member);
    text_add(to, ",\"kind\":");
    json_write_string(to, event->kind);
    text_add(to, ",\"text\":");
    json_write_string(to, event->text);
    text_add(to, "}");
}

static void write_next(struct events *events)
{
    if (events->n == 0 || events->txn != NULL || source_armed(events->again))
        return;
    if (cluster_revision(events->cluster) == 0) {
        source_arm_in(events->again, RETRY_MS); /* the ring is not read yet */
        return;
    }
    int64_t number = last_number(events) + 1;
    char name[sizeof(FOLDER) + 8];
    (void)snprintf(name, sizeof(name), FOLDER "%02d", (int)(number % LIMIT_EVENTS));
    auto_text struct text value = text_new(LIMIT_FILE);
    event_write(&value, &events->queue[0], number, cluster_self(events->cluster));
    struct cluster_key present;
    bool exists = cluster_get(events->cluster, name, &present);
    events->txn = store_txn_new(events->loop, events->etcd, events->cluster);
    store_txn_expect(events->txn, name, ETCD_MOD_REVISION, exists ? present.mod_revision : 0);
    store_txn_put(events->txn, name, text_str(&value), 0);
    store_txn_send(events->txn, mono_add(clock_mono(), WRITE_MS), on_done, events);
}

void events_add(struct events *events, const char *kind, const char *text)
{
    if (events->n == LIMIT_EVENTS) {
        events->txn = store_txn_free(events->txn); /* it may write the one that goes */
        drop_first(events);
    }
    struct event *event = &events->queue[events->n++];
    *event = (struct event){ .kind = mem_strdup(kind), .text = mem_strdup(text) };
    (void)clock_iso(clock_wall(), event->at);
    write_next(events);
}
