/* restart, reload, reinit: one POST per member. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ctl.h"

enum { RESTART_WAIT_MS = 330000, REQUEST_MS = 20000, REINIT_WAIT_MS = 6 * 3600 * 1000 };

struct job {
    const char *verb; /* "restart" */
    const char *path; /* "/restart" */
    char *body;       /* NULL: none */
    int64_t timeout_ms;
};

static bool confirm_members(struct ctl *ctl, const json_t *members, const char *verb)
{
    auto_text struct text question = text_new(LIMIT_LOG_LINE);
    text_addf(&question, "Are you sure you want to %s members", verb);
    for (size_t i = 0; i < json_array_size(members); i++)
        text_addf(&question, "%s %s", i > 0 ? "," : "",
                  ctl_text(json_array_get(members, i), "name"));
    text_add(&question, "?");
    if (ctl->args.force || ctl_confirm(text_str(&question)))
        return true;
    ctl_fail("Aborted %s of members", verb);
    return false;
}

static void say_success(const struct job *job, const char *name, const struct ctl_answer *answer)
{
    if (strcmp(job->verb, "reload") == 0)
        printf("Reload request received for member %s and will be processed within 1 second\n",
               name);
    else if (answer->status == 202)
        printf("Success: %s scheduled on member %s\n", job->verb, name);
    else
        printf("Success: %s on member %s\n", job->verb, name);
}

/* False: it failed, and that was said. */
static bool run_job(struct ctl *ctl, const json_t *member, const struct job *job)
{
    const char *name = ctl_text(member, "name");
    auto_free char *url = ctl_url(ctl_text(member, "api_url"), job->path);
    struct ctl_answer answer = ctl_rest(ctl, "POST", url, job->body, job->timeout_ms);
    bool good = answer.code == ERR_OK && (answer.status == 200 || answer.status == 202);
    if (good)
        say_success(job, name, &answer);
    else if (answer.code != ERR_OK)
        fprintf(stderr, "Failed: %s for member %s: %s\n", job->verb, name, answer.error);
    else
        fprintf(stderr, "Failed: %s for member %s, status code=%d, (%s)\n", job->verb, name,
                answer.status, answer.body);
    ctl_answer_done(&answer);
    return good;
}

static int run_jobs(struct ctl *ctl, const json_t *members, const struct job *job)
{
    bool good = true;
    for (size_t i = 0; i < json_array_size(members); i++)
        good &= run_job(ctl, json_array_get(members, i), job);
    return good ? CTL_OK : CTL_FAILED;
}

/* Loads the cluster, picks, confirms, runs. */
static int run_verb(struct ctl *ctl, struct job *job, bool show)
{
    struct err err;
    struct ctl_cluster cluster;
    json_t *members = NULL;
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    if (show && !ctl->args.force)
        ctl_cluster_print(ctl, &cluster);
    int status = CTL_FAILED;
    if (ctl_pick_members(ctl, &cluster, &members) && confirm_members(ctl, members, job->verb))
        status = run_jobs(ctl, members, job);
    json_decref(members);
    ctl_cluster_done(&cluster);
    return status;
}

/* ---- restart ---------------------------------------------------------------------------------- */

static char *restart_body(const struct ctl_args *args)
{
    auto_json json_t *body = json_object();
    if (args->pending)
        json_object_set_new(body, "restart_pending", json_true());
    if (args->pg_version != NULL)
        json_object_set_new(body, "postgres_version", json_string(args->pg_version));
    if (args->timeout != NULL)
        json_object_set_new(body, "timeout", json_string(args->timeout));
    if (args->scheduled != NULL && strcmp(args->scheduled, "now") != 0)
        json_object_set_new(body, "schedule", json_string(args->scheduled));
    struct text text = text_new(LIMIT_LOG_LINE);
    json_write(&text, body);
    return text_take(&text);
}

/* --any: one of those that were picked, by chance; the first is as good as any. */
static void keep_one(struct ctl *ctl, json_t *members)
{
    while (ctl->args.any && json_array_size(members) > 1)
        json_array_remove(members, json_array_size(members) - 1);
}

int ctl_verb_restart(struct ctl *ctl)
{
    struct err err;
    struct ctl_cluster cluster;
    json_t *members = NULL;
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    if (!ctl->args.force)
        ctl_cluster_print(ctl, &cluster);
    struct job job = { .verb = "restart",
                       .path = "/restart",
                       .body = restart_body(&ctl->args),
                       .timeout_ms = RESTART_WAIT_MS };
    int status = CTL_FAILED;
    if (ctl->args.scheduled != NULL && cluster.pause)
        ctl_fail("Can't schedule restart in the paused state");
    else if (ctl_pick_members(ctl, &cluster, &members)) {
        keep_one(ctl, members);
        if (confirm_members(ctl, members, "restart"))
            status = run_jobs(ctl, members, &job);
    }
    free(job.body);
    json_decref(members);
    ctl_cluster_done(&cluster);
    return status;
}

int ctl_verb_reload(struct ctl *ctl)
{
    struct job job = { .verb = "reload", .path = "/reload", .timeout_ms = REQUEST_MS };
    return run_verb(ctl, &job, true);
}

/* ---- reinit ----------------------------------------------------------------------------------- */

/* True: it runs again. Says what goes on whenever that changes. */
static bool look_at_reinit(struct ctl *ctl, const char *url, struct text *last)
{
    struct ctl_answer answer = ctl_rest(ctl, "GET", url, NULL, REQUEST_MS);
    auto_json json_t *body = NULL;
    bool running = false;
    if (answer.code == ERR_OK &&
        json_parse(answer.body, strlen(answer.body), "status", &body, NULL) == ERR_OK) {
        const char *state = ctl_text(body, "state");
        const char *progress = ctl_text(json_object_get(body, "pgvigil"), "progress");
        running = strcmp(state, "running") == 0;
        auto_text struct text now = text_new(LIMIT_LOG_LINE);
        text_addf(&now, "%s %s", state, progress);
        if (strcmp(text_str(&now), text_str(last)) != 0)
            printf("  %s\n", text_str(&now));
        text_clear(last);
        text_add(last, text_str(&now));
    }
    ctl_answer_done(&answer);
    return running;
}

static void wait_for_reinit(struct ctl *ctl, const json_t *member)
{
    auto_text struct text last = text_new(LIMIT_LOG_LINE);
    auto_free char *url = ctl_url(ctl_text(member, "api_url"), "/patroni");
    struct mono until = mono_add(clock_mono(), REINIT_WAIT_MS);
    printf("Waiting for reinitialize on %s\n", ctl_text(member, "name"));
    ctl_pause(ctl, 2000);
    while (!look_at_reinit(ctl, url, &last) && mono_before(clock_mono(), until))
        ctl_pause(ctl, 1000);
    printf("Reinitialize is completed on: %s\n", ctl_text(member, "name"));
}

static int reinit_members(struct ctl *ctl, const json_t *members)
{
    bool good = true;
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        auto_json json_t *body = json_object();
        if (ctl->args.force)
            json_object_set_new(body, "force", json_true());
        if (ctl->args.from_leader)
            json_object_set_new(body, "from_leader", json_true());
        auto_text struct text text = text_new(LIMIT_LOG_LINE);
        json_write(&text, body);
        struct job job = { .verb = "reinitialize",
                           .path = "/reinitialize",
                           .body = text.data,
                           .timeout_ms = REQUEST_MS };
        if (!run_job(ctl, member, &job))
            good = false;
        else if (ctl->args.wait)
            wait_for_reinit(ctl, member);
    }
    return good ? CTL_OK : CTL_FAILED;
}

int ctl_verb_reinit(struct ctl *ctl)
{
    struct err err;
    struct ctl_cluster cluster;
    json_t *members = NULL;
    if (ctl->args.n_names == 0 && ctl->args.force)
        return ctl_fail("name the members that are to be cloned again");
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    int status = CTL_FAILED;
    if (ctl_pick_members(ctl, &cluster, &members) && confirm_members(ctl, members, "reinitialize"))
        status = reinit_members(ctl, members);
    json_decref(members);
    ctl_cluster_done(&cluster);
    return status;
}
