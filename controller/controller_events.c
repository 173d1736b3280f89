/* Kubernetes Events: what the controller sees change, and copies of what the sidecars tell. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/failover.h"
#include "controller/controller_internal.h"
#include "etcd/table.h"

#define FOLDER "pgvigil/events/"

enum { FRESH_MS = 600000 }; /* older ones were copied by somebody, or Kubernetes has dropped them */

/* "one-copy" -> "OneCopy"; kinds are lower case. */
static void reason_of(const char *kind, char *to, size_t size)
{
    size_t len = 0;
    for (const char *c = kind; *c != '\0' && len + 1 < size; c++) {
        bool first = c == kind || c[-1] == '-';
        bool letter = *c >= 'a' && *c <= 'z';
        if (*c != '-')
            to[len++] = (char)(first && letter ? *c - 'a' + 'A' : *c);
    }
    to[len] = '\0';
}

static bool is_warning(const char *kind)
{
    static const char *const good[] = { "two-copies", "switchover", "promoted", "standby-back" };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (strcmp(good[i], kind) == 0)
            return false;
    return true;
}

static void copy_one(struct controller *controller, const struct etcd_entry *entry)
{
    auto_json json_t *json = NULL;
    const char *at, *member, *kind, *text;
    struct wall wall;
    if (json_parse(entry->value, entry->len, entry->name, &json, NULL) != ERR_OK)
        return;
    struct json_reader reader = { .object = json, .name = entry->name };
    if (json_get_string(reader, "at", &at, NULL) != ERR_OK ||
        json_get_string(reader, "member", &member, NULL) != ERR_OK ||
        json_get_string(reader, "kind", &kind, NULL) != ERR_OK ||
        json_get_string(reader, "text", &text, NULL) != ERR_OK || iso_parse(at, &wall) != ISO_OK)
        return;
    if (clock_wall().ms - wall.ms > FRESH_MS)
        return;
    char reason[LIMIT_NAME];
    reason_of(kind, reason, sizeof(reason));
    auto_text struct text name = text_new(LIMIT_KUBE_NAME);
    text_addf(&name, "%s.event.%" PRIx64 ".%" PRIx64, controller->options->release,
              (uint64_t)wall.ms, (uint64_t)entry->mod_revision);
    const struct kube_event_text event = { .name = text_str(&name),
                                           .reason = reason,
                                           .message = text,
                                           .warning = is_warning(kind),
                                           .pod = pods_named(&controller->pods.pods, member) };
    kube_events_add(controller->events, &event);
}

/* The ring's entries that are newer than what this process has copied. */
static void copy_ring(struct controller *controller)
{
    int64_t highest = controller->copied_revision;
    const struct etcd_entry *entry = NULL;
    while ((entry = store_next(controller->store, FOLDER, entry ? entry->name : "")) != NULL) {
        if (entry->mod_revision > controller->copied_revision)
            copy_one(controller, entry);
        if (entry->mod_revision > highest)
            highest = entry->mod_revision;
    }
    controller->copied_revision = highest;
}

void controller_say(void *arg, const char *reason, bool warning, const char *text)
{
    struct controller *controller = arg;
    const struct kube_event_text event = { .reason = reason, .message = text, .warning = warning };
    if (controller->events != NULL)
        kube_events_add(controller->events, &event);
}

static bool has_wish(const struct controller *controller)
{
    const struct etcd_entry *entry = store_get(controller->store, "failover");
    struct failover failover;
    return entry != NULL &&
           failover_from_json(entry->value, entry->len, entry->mod_revision, &failover, NULL) ==
               ERR_OK &&
           failover.exists;
}

static void note_overstayers(struct controller *controller)
{
    int64_t wall_ms = clock_wall().ms;
    struct pods *pods = &controller->pods.pods;
    for (size_t i = 0; i < pods->n; i++) {
        int64_t deadline_ms = pods->pod[i].deadline_ms;
        bool over = deadline_ms != 0 && wall_ms > deadline_ms;
        pods->pod[i].overstayed_ms = over ? wall_ms - deadline_ms : 0;
    }
}

void controller_tell(struct controller *controller, const struct cluster_view *cluster, bool writes)
{
    if (controller->events == NULL || controller->store == NULL)
        return;
    note_overstayers(controller);
    /* The other controller looks as well, so that what happened before is no news to it. */
    struct change_list *list = mem_struct(struct change_list);
    *list = changes_look(&controller->changes, cluster, &controller->pods.pods,
                         has_wish(controller), loop_now(controller->loop));
    for (size_t i = 0; writes && i < list->n; i++) {
        const struct change *change = &list->change[i];
        log_info("event: %s: %s", change->reason, change->text);
        const struct kube_event_text event = { .reason = change->reason,
                                               .message = change->text,
                                               .warning = change->warning,
                                               .pod = pods_named(&controller->pods.pods,
                                                                 change->pod) };
        kube_events_add(controller->events, &event);
    }
    free(list);
    if (writes && cluster->known)
        copy_ring(controller);
}
