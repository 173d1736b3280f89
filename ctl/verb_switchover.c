/* switchover and failover: patronictl's questions, one POST, the answer in words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "ctl/ctl.h"

enum { SWITCHOVER_TIMEOUT_MS = 90000 };

struct wish {
    bool failover;
    char *leader;    /* "" not named */
    char *candidate; /* "" any */
    char *scheduled; /* "" now */
};

static void wish_done(struct wish *wish)
{
    free(wish->leader);
    free(wish->candidate);
    free(wish->scheduled);
}

/* "['b', 'c']" */
static void list_candidates(const struct ctl_cluster *cluster, struct text *to)
{
    size_t i;
    bool first = true;
    json_t *member;
    text_add(to, "[");
    json_array_foreach (json_object_get(cluster->cluster, "members"), i, member) {
        const char *name = ctl_text(member, "name");
        if (cluster->leader != NULL && strcmp(name, cluster->leader) == 0)
            continue;
        text_addf(to, "%s'%s'", first ? "" : ", ", name);
        first = false;
    }
    text_add(to, "]");
}

static bool pick_leader(struct ctl *ctl, const struct ctl_cluster *cluster, struct wish *wish)
{
    if (wish->failover) {
        wish->leader = mem_strdup("");
        return true;
    }
    if (cluster->leader == NULL) {
        ctl_fail("This cluster has no leader");
        return false;
    }
    const struct ctl_args *args = &ctl->args;
    if (args->leader == NULL && !args->force)
        wish->leader = ctl_ask("Primary", cluster->leader);
    else
        wish->leader = mem_strdup(args->leader != NULL ? args->leader : cluster->leader);
    if (strcmp(wish->leader, cluster->leader) == 0)
        return true;
    ctl_fail("Member %s is not the leader of cluster %s", wish->leader, ctl->scope);
    return false;
}

static bool pick_candidate(struct ctl *ctl, const struct ctl_cluster *cluster, struct wish *wish)
{
    const struct ctl_args *args = &ctl->args;
    auto_text struct text question = text_new(LIMIT_LOG_LINE);
    text_add(&question, "Candidate ");
    list_candidates(cluster, &question);
    if (args->candidate == NULL && !args->force)
        wish->candidate = ctl_ask(text_str(&question), "");
    else
        wish->candidate = mem_strdup(args->candidate != NULL ? args->candidate : "");
    const char *name = wish->candidate;
    if (name[0] == '\0' && wish->failover)
        ctl_fail("Failover could be performed only to a specific candidate");
    else if (name[0] != '\0' && ctl_cluster_member(cluster, name) == NULL)
        ctl_fail("Member %s does not exist in cluster %s or is tagged as nofailover", name,
                 ctl->scope);
    else if (name[0] != '\0' && cluster->leader != NULL && strcmp(name, cluster->leader) == 0)
        ctl_fail("Member %s is already the leader of cluster %s", name, ctl->scope);
    else
        return true;
    return false;
}

static bool pick_time(struct ctl *ctl, struct wish *wish)
{
    const struct ctl_args *args = &ctl->args;
    if (wish->failover || (args->scheduled == NULL && args->force)) {
        wish->scheduled = mem_strdup("");
        return true;
    }
    if (args->scheduled != NULL)
        wish->scheduled = mem_strdup(args->scheduled);
    else
        wish->scheduled =
            ctl_ask("When should the switchover take place (e.g. 2030-10-01T14:30+00:00 ) ", "now");
    if (strcmp(wish->scheduled, "now") == 0)
        wish->scheduled[0] = '\0';
    return true;
}

static bool confirm(struct ctl *ctl, const struct ctl_cluster *cluster, const struct wish *wish)
{
    if (ctl->args.force)
        return true;
    auto_text struct text question = text_new(LIMIT_LOG_LINE);
    const char *leader = cluster->leader;
    const json_t *member = ctl_cluster_member(cluster, wish->candidate);
    if (wish->failover && member != NULL && leader != NULL &&
        strcmp(ctl_text(member, "role"), "replica") == 0)
        text_addf(&question,
                  "Are you sure you want to failover to the asynchronous node %s? Commits that it "
                  "lacks would be lost.",
                  wish->candidate);
    else if (wish->scheduled[0] != '\0')
        text_addf(&question,
                  "Are you sure you want to schedule switchover of cluster %s at %s, demoting "
                  "current leader %s?",
                  ctl->scope, wish->scheduled, wish->leader);
    else
        text_addf(&question, "Are you sure you want to %s cluster %s%s%s?",
                  wish->failover ? "failover" : "switchover", ctl->scope,
                  leader != NULL ? ", demoting current leader " : "", leader != NULL ? leader : "");
    if (ctl_confirm(text_str(&question)))
        return true;
    ctl_fail("Aborting %s", wish->failover ? "failover" : "switchover");
    return false;
}

static char *wish_body(const struct wish *wish)
{
    auto_json json_t *body = json_object();
    if (wish->leader[0] != '\0')
        json_object_set_new(body, "leader", json_string(wish->leader));
    if (wish->candidate[0] != '\0')
        json_object_set_new(body, "candidate", json_string(wish->candidate));
    if (wish->scheduled[0] != '\0')
        json_object_set_new(body, "scheduled_at", json_string(wish->scheduled));
    struct text text = text_new(LIMIT_LOG_LINE);
    json_write(&text, body);
    return text_take(&text);
}

/* The leader carries it out; where there is none, the candidate. */
static const char *whom_to_ask(struct ctl *ctl, const struct ctl_cluster *cluster,
                               const struct wish *wish)
{
    const char *name = cluster->leader != NULL ? cluster->leader : wish->candidate;
    const char *url = ctl_text(ctl_cluster_member(cluster, name), "api_url");
    return url[0] == '\0' && ctl->args.rest != NULL ? ctl->args.rest : url;
}

static int send(struct ctl *ctl, const struct ctl_cluster *cluster, const struct wish *wish)
{
    auto_free char *body = wish_body(wish);
    auto_free char *url =
        ctl_url(whom_to_ask(ctl, cluster, wish), wish->failover ? "/failover" : "/switchover");
    struct ctl_answer answer = ctl_rest(ctl, "POST", url, body, SWITCHOVER_TIMEOUT_MS);
    int status = CTL_OK;
    if (answer.code != ERR_OK)
        status = ctl_fail("%s failed: %s: %s", wish->failover ? "Failover" : "Switchover", url,
                          answer.error);
    else if (answer.status == 200 || answer.status == 202)
        puts(answer.body);
    else
        status = ctl_fail("%s failed, details: %d, %s", wish->failover ? "Failover" : "Switchover",
                          answer.status, answer.body);
    ctl_answer_done(&answer);
    return status;
}

static int ask_and_send(struct ctl *ctl, const struct ctl_cluster *cluster, struct wish *wish)
{
    if (ctl->args.format == CTL_PRETTY) {
        puts("Current cluster topology");
        ctl_cluster_print(ctl, cluster);
    }
    if (!pick_leader(ctl, cluster, wish) || !pick_candidate(ctl, cluster, wish) ||
        !pick_time(ctl, wish) || !confirm(ctl, cluster, wish))
        return CTL_FAILED;
    return send(ctl, cluster, wish);
}

static int run(struct ctl *ctl, bool failover)
{
    struct err err;
    struct ctl_cluster cluster;
    struct wish wish = { .failover = failover };
    if (failover && ctl->args.scheduled != NULL)
        return ctl_fail("Failover can't be scheduled");
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    int status = ask_and_send(ctl, &cluster, &wish);
    ctl_cluster_done(&cluster);
    wish_done(&wish);
    if (status == CTL_OK && ctl->args.format == CTL_PRETTY &&
        ctl_cluster_load(ctl, &cluster, &err) == ERR_OK) {
        ctl_cluster_print(ctl, &cluster);
        ctl_cluster_done(&cluster);
    }
    return status;
}

int ctl_verb_switchover(struct ctl *ctl)
{
    return run(ctl, false);
}

int ctl_verb_failover(struct ctl *ctl)
{
    return run(ctl, true);
}
