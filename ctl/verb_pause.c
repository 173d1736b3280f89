/* pause and resume: PATCH /config through a member, the leader first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "ctl/ctl.h"

enum { PATCH_TIMEOUT_MS = 10000, NOTICE_WAIT_MS = 60000 };

static void end_pause(void *arg)
{
    loop_stop(arg);
}

static bool patch_by(struct ctl *ctl, const json_t *member, bool pause, struct text *error)
{
    auto_free char *url = ctl_url(ctl_text(member, "api_url"), "/config");
    struct ctl_answer answer = ctl_rest(
        ctl, "PATCH", url, pause ? "{\"pause\": true}" : "{\"pause\": null}", PATCH_TIMEOUT_MS);
    bool good = answer.code == ERR_OK && answer.status == 200;
    text_clear(error);
    if (!good && answer.code != ERR_OK)
        text_addf(error, "%s: %s", url, answer.error);
    else if (!good)
        text_addf(error, "Failed: %s cluster management, status code=%d, (%s)",
                  pause ? "pause" : "resume", answer.status, answer.body);
    ctl_answer_done(&answer);
    return good;
}

/* Each member can do it; those that do not answer are passed over. */
static bool patch_config(struct ctl *ctl, const struct ctl_cluster *cluster, bool pause)
{
    auto_text struct text error = text_new(LIMIT_LOG_LINE);
    text_add(&error, "no member to ask");
    const json_t *leader =
        cluster->leader != NULL ? ctl_cluster_member(cluster, cluster->leader) : NULL;
    if (leader != NULL && patch_by(ctl, leader, pause, &error))
        return true;
    size_t i;
    json_t *member;
    json_array_foreach (json_object_get(cluster->cluster, "members"), i, member) {
        if (member != leader && patch_by(ctl, member, pause, &error))
            return true;
    }
    ctl_fail("%s", text_str(&error));
    return false;
}

/* L8: until every member's key shows it, or does not show it any more. */
static int wait_for_notice(struct ctl *ctl, bool pause)
{
    struct mono until = mono_add(clock_mono(), NOTICE_WAIT_MS);
    printf("'%s' request sent, waiting until it is recognized by all nodes\n",
           pause ? "pause" : "resume");
    while (mono_before(clock_mono(), until)) {
        struct ctl_cluster cluster;
        if (ctl_cluster_load(ctl, &cluster, NULL) == ERR_OK) {
            bool noticed = pause ? cluster.all_paused : cluster.none_paused;
            ctl_cluster_done(&cluster);
            if (noticed)
                return CTL_OK;
        }
        auto_source struct source *timer = loop_timer(ctl->loop, end_pause, ctl->loop);
        source_arm_in(timer, 500);
        loop_run(ctl->loop);
    }
    return ctl_fail("not every member has recognized it");
}

static int toggle(struct ctl *ctl, bool pause)
{
    struct err err;
    struct ctl_cluster cluster;
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    int status = CTL_FAILED;
    if (cluster.pause == pause)
        ctl_fail("Cluster is %s paused", pause ? "already" : "not");
    else if (patch_config(ctl, &cluster, pause))
        status = CTL_OK;
    ctl_cluster_done(&cluster);
    if (status == CTL_OK && ctl->args.wait)
        status = wait_for_notice(ctl, pause);
    if (status == CTL_OK)
        printf("Success: cluster management is %s\n", pause ? "paused" : "resumed");
    return status;
}

int ctl_verb_pause(struct ctl *ctl)
{
    return toggle(ctl, true);
}

int ctl_verb_resume(struct ctl *ctl)
{
    return toggle(ctl, false);
}
