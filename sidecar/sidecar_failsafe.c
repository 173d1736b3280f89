/* Round the lease: /failsafe as leader, the rounds and the answer to one (L6), the lift of pause
 * (L8). */
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "sidecar/core/failsafe.h"
#include "sidecar/sidecar_failsafe.h"
#include "sidecar/sidecar_internal.h"
#include "json/json.h"

/* --- L8 --- */

/* Before the lease is looked at: under a lift it holds. */
void sidecar_follow_lift(struct sidecar *sidecar)
{
    const struct guard_status *status = guard_client_status(sidecar->guard);
    bool lifted = status->lifted && !status->dead;
    lease_keeper_set_lift(sidecar->keeper, lifted, lifted && sidecar->settings->pause);
}

/* --- /failsafe --- */

/* Object of names and URLs as it is in the store; NULL: none. New reference. */
static json_t *present_failsafe(const struct sidecar *sidecar)
{
    const char *value = cluster_value(sidecar->cluster, "failsafe");
    json_t *json = NULL;
    if (value == NULL || json_parse(value, strlen(value), "failsafe", &json, NULL) != ERR_OK)
        return NULL;
    return json;
}

static const char *url_of(const struct sidecar *sidecar, const json_t *present, const char *name,
                          const struct member *self)
{
    if (strcmp(name, sidecar->config->name) == 0)
        return self->api_url;
    const struct peer *peer = view_peer(sidecar->view, name);
    if (peer != NULL && peer->has_key && peer->member.api_url[0] != '\0')
        return peer->member.api_url;
    const char *url = json_string_value(json_object_get(present, name));
    return url != NULL ? url : "";
}

/* Patroni's form: name -> api_url. True: one there should be, in `ret_json`. */
static bool wanted_failsafe(const struct sidecar *sidecar, struct text *ret_json)
{
    struct names names = failsafe_members(sidecar->view);
    auto_json json_t *present = present_failsafe(sidecar);
    if (names.n == 0 && json_object_size(present) == 0)
        return false;
    struct member self = { .pause = false };
    sidecar_urls(sidecar, &self);
    auto_json json_t *wanted = json_object();
    for (size_t i = 0; i < names.n; i++)
        json_object_set_new(wanted, names.name[i],
                            json_string(url_of(sidecar, present, names.name[i], &self)));
    json_write(ret_json, wanted);
    return true;
}

/* Where the mode is off, what stands there is emptied. What begins to be written is in doubt at once:
 * the round of this very cycle must not ask the former members only. */
void sidecar_publish_failsafe(struct sidecar *sidecar)
{
    auto_text struct text wanted = text_new(LIMIT_FILE);
    bool some = wanted_failsafe(sidecar, &wanted);
    publish_failsafe(sidecar->publish, some ? text_str(&wanted) : NULL);
    sidecar->view->store.failsafe_committed = publish_failsafe_committed(sidecar->publish);
}

/* --- the round --- */

static void fill_list(const struct sidecar *sidecar, const struct names *others,
                      struct failsafe_list *list)
{
    auto_json json_t *present = present_failsafe(sidecar);
    struct member self = { .pause = false };
    sidecar_urls(sidecar, &self);
    list->usable = true;
    (void)text_copy(list->name, sizeof(list->name), sidecar->config->name);
    (void)text_copy(list->conn_url, sizeof(list->conn_url), self.conn_url);
    (void)text_copy(list->api_url, sizeof(list->api_url), self.api_url);
    for (size_t i = 0; i < others->n; i++) {
        struct failsafe_member *member = &list->members[list->n++];
        const char *url = json_string_value(json_object_get(present, others->name[i]));
        (void)text_copy(member->name, sizeof(member->name), others->name[i]);
        (void)text_copy(member->api_url, sizeof(member->api_url), url != NULL ? url : "");
    }
}

void sidecar_failsafe_cycle(struct sidecar *sidecar)
{
    struct failsafe_list list = { .usable = false };
    struct names others;
    if (view_is_primary(sidecar->view) && failsafe_others(sidecar->view, &others))
        fill_list(sidecar, &others, &list);
    failsafe_round_set(sidecar->failsafe, &list);
}

/* --- the answer --- */

static void read_ask(const json_t *body, struct failsafe_ask *ask)
{
    const char *name = json_string_value(json_object_get(body, "name"));
    const json_t *ours = json_object_get(body, "pgvigil");
    (void)text_copy(ask->name, sizeof(ask->name), name != NULL ? name : "");
    ask->create_revision = json_integer_value(json_object_get(ours, "create_revision"));
    const char *member = json_string_value(json_object_get(ours, "member"));
    (void)text_copy(ask->member, sizeof(ask->member), member != NULL ? member : "");
    ask->ttl_ms = json_integer_value(json_object_get(ours, "ttl_ms"));
}

static void accept(struct sidecar *sidecar, const struct failsafe_ask *ask,
                   struct api_pending *pending)
{
    struct memory *memory = &sidecar->memory;
    struct mono now = clock_mono(); /* not the loop's: the asker counts from before this */
    if (!mono_before(now, memory->promised_until))
        log_warn("failsafe: %s goes on without etcd -> promised not to race for the ttl",
                 ask->name);
    failsafe_promise(memory, now, ask, sidecar->view->policy.ttl_ms);
    char lsn[32];
    (void)snprintf(lsn, sizeof(lsn), "%llu", (unsigned long long)sidecar->view->pg.position);
    if (sidecar->view->pg.position == LSN_NONE)
        api_pending_reply(pending, 200, "Accepted");
    else
        api_pending_reply_header(pending, 200, "Accepted", "lsn", lsn);
}

void sidecar_answer_failsafe(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct sidecar *sidecar = arg;
    struct failsafe_ask ask;
    char why[LIMIT_REASON];
    read_ask(order->body, &ask);
    const struct plan *plan = runner_plan(sidecar->runner);
    sidecar->view->now = clock_mono();
    sidecar->view->lease = *lease_keeper_lease(sidecar->keeper);
    switch (failsafe_judge(sidecar->view, plan != NULL ? plan->action : ACT_WAIT, &ask, why)) {
    case FAILSAFE_ACCEPTED:
        accept(sidecar, &ask, pending);
        return;
    case FAILSAFE_OFF:
        api_pending_reply(pending, 502, why);
        return;
    case FAILSAFE_LEADING:
    case FAILSAFE_REFUSED:
        api_pending_reply(pending, 500, why);
        return;
    }
}

bool sidecar_failsafe_active(const struct sidecar *sidecar)
{
    const struct lease *lease = lease_keeper_lease(sidecar->keeper);
    struct mono now = loop_now(sidecar->loop);
    if (mono_before(now, sidecar->memory.promised_until))
        return true;
    return lease->held_once && lease_by_promise(lease) && lease_holds(lease, now);
}
