/* The last verb of the cycle: the member key, and as leader the keys of the cluster. */
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "base/log.h"
#include "cluster/member_json.h"
#include "sidecar/patroni.h"
#include "sidecar/sidecar_failsafe.h"
#include "sidecar/sidecar_internal.h"
#include "json/json.h"

enum { REFUSED_MS = 2000 };

static void set_api_url(const struct config *config, char ret_url[LIMIT_URL])
{
    (void)snprintf(ret_url, LIMIT_URL, "%s://%s/patroni",
                   config->restapi.certfile != NULL ? "https" : "http",
                   config->restapi.connect_address);
}

void sidecar_urls(const struct sidecar *sidecar, struct member *member)
{
    const struct config *config = sidecar->config;
    (void)snprintf(member->conn_url, sizeof(member->conn_url), "postgres://%s/%s",
                   config->postgresql.connect_address, config->postgresql.database);
    set_api_url(config, member->api_url);
}

/* While it stops it is on the timeline that it was on: who reads /cluster expects one (check_patroni). Where
 * it goes on after that is not known. */
void sidecar_positions(const struct pg_facts *facts, struct member *member)
{
    if (facts->queryable || facts->state == MEMBER_STOPPING)
        member->timeline = facts->timeline;
    if (!facts->queryable)
        return;
    member->pending_restart = facts->n_pending > 0;
    if (!facts->in_recovery) {
        member->xlog_location = facts->location;
        return;
    }
    member->streaming = facts->streaming;
    member->has_receive_lsn = facts->received != LSN_NONE;
    member->receive_lsn = facts->received;
    member->replay_lsn = facts->replayed;
    member->xlog_location = facts->received > facts->replayed ? facts->received : facts->replayed;
}

json_t *sidecar_pending_restart(const struct pg_facts *facts)
{
    json_t *reason = json_object();
    for (size_t i = 0; i < facts->n_pending; i++)
        json_object_set_new(reason, facts->pending[i].name,
                            json_pack("{s:s,s:s}", "old_value", facts->pending[i].old_value,
                                      "new_value", facts->pending[i].new_value));
    return reason;
}

json_t *sidecar_member_extras(const struct pg_facts *facts, const char *scheduled)
{
    json_t *extras = json_object();
    json_t *restart;
    if (facts->n_pending > 0)
        json_object_set_new(extras, "pending_restart_reason", sidecar_pending_restart(facts));
    if (facts->queryable && facts->in_recovery && facts->archive_recovery)
        json_object_set_new(extras, "replication_state", json_string("in archive recovery"));
    if (scheduled != NULL &&
        json_parse(scheduled, strlen(scheduled), "scheduled restart", &restart, NULL) == ERR_OK)
        json_object_set_new(extras, "scheduled_restart", restart);
    return extras;
}

static void publish_own_member(struct sidecar *sidecar)
{
    const struct pg_facts *facts = postgres_facts(sidecar->postgres);
    struct member member = { .state = facts->state, .role = facts->role, .tags = sidecar->tags };
    (void)text_copy(member.name, sizeof(member.name), sidecar->config->name);
    (void)text_copy(member.version, sizeof(member.version), PATRONI_VERSION);
    sidecar_urls(sidecar, &member);
    sidecar_positions(facts, &member);
    member.pause = sidecar->settings->pause;
    member.checkpoint_pending = view_is_primary(sidecar->view) && !sidecar->view->pg.checkpointed;
    auto_json json_t *extras =
        sidecar_member_extras(facts, control_local_scheduled(sidecar->control_local));
    auto_json json_t *json = member_to_json(&member, extras);
    auto_text struct text text = text_new(LIMIT_HTTP_BODY);
    json_write(&text, json);
    publish_member(sidecar->publish, text_str(&text));
}

/* The one line that a person looks for first: which node is the primary, and from when on. */
static void say_role(struct sidecar *sidecar, bool leads)
{
    if (leads == sidecar->primary_said)
        return;
    sidecar->primary_said = leads;
    if (leads)
        log_info("role: PRIMARY on timeline %u -> accepts writes",
                 (unsigned)sidecar->view->pg.timeline.tli);
    else
        log_info("role: not primary any more");
}

/* S5: "'Acknowledging with one copy' is visible at once in REST, metrics and log." */
static void say_one_copy(struct sidecar *sidecar, bool leads)
{
    const struct view *view = sidecar->view;
    if (!leads) {
        sidecar->one_copy_said = false;
        return;
    }
    if (!view->policy.sync_on || view->pg.ssn == SSN_NOBODY)
        return;
    bool one_copy = view->pg.ssn == SSN_EMPTY;
    if (one_copy == sidecar->one_copy_said)
        return;
    sidecar->one_copy_said = one_copy;
    if (one_copy) {
        log_warn("sync: no synchronous standby -> commits are acknowledged with ONE copy");
        publish_event(sidecar->publish, "one-copy", "commits are acknowledged with one copy");
    } else {
        log_info("sync: a standby confirms each commit again");
        publish_event(sidecar->publish, "two-copies", "a standby confirms each commit again");
    }
}

/* Another member may take over in a moment: then it is nothing that a person should hear of. */
static void say_refused(struct sidecar *sidecar)
{
    const struct decision *decision = &sidecar->decision;
    const struct mono now = sidecar->view->now;
    if (!decision->refuses) {
        sidecar->refuses_since = (struct mono){ 0 };
        sidecar->refused_said = false;
        return;
    }
    if (sidecar->refuses_since.ms == 0)
        sidecar->refuses_since = now;
    if (sidecar->refused_said || mono_diff(now, sidecar->refuses_since) < REFUSED_MS)
        return;
    sidecar->refused_said = true;
    log_warn("promotion refused: %s -> a person has to decide", decision->reason);
    publish_event(sidecar->publish, "promotion-refused", decision->reason);
}

static void publish_witness_key(struct sidecar *sidecar)
{
    char url[LIMIT_URL];
    set_api_url(sidecar->config, url);
    auto_json json_t *json = json_pack("{s:s,s:s}", "api_url", url, "version", PATRONI_VERSION);
    auto_text struct text text = text_new(LIMIT_HTTP_BODY);
    json_write(&text, json);
    publish_witness(sidecar->publish, text_str(&text));
}

void sidecar_publish(struct sidecar *sidecar)
{
    if (sidecar->options.witness) {
        publish_witness_key(sidecar);
        return;
    }
    publish_own_member(sidecar);
    const struct view *view = sidecar->view;
    if (view_is_primary(view) && view_self_leads(view)) {
        sidecar_note_boundary(sidecar);
        publish_status(sidecar->publish, view->pg.position);
        sidecar_publish_failsafe(sidecar);
    }
    /* A key that is taken anew (L6, L8) is no change of roles. */
    bool leads = view_is_primary(view) && view->pg.state == PG_UP &&
                 (view_self_leads(view) || view_may_retake(view));
    say_role(sidecar, leads);
    say_one_copy(sidecar, leads);
    say_refused(sidecar);
}
