/* accept (S6): etcd was restored from a backup or made anew, and a person says that it counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "ctl/ctl.h"
#include "settings/config.h"

enum { ACCEPT_TIMEOUT_MS = 20000 };

/* The member's REST: of the cluster's keys, else of the configuration, else as -d says: a restored
 * store need not know the member. */
static char *member_url(struct ctl *ctl, const char *name)
{
    struct ctl_cluster cluster;
    char *url = NULL;
    if (ctl_cluster_load(ctl, &cluster, NULL) == ERR_OK) {
        const char *api_url = ctl_text(ctl_cluster_member(&cluster, name), "api_url");
        if (api_url[0] != '\0')
            url = ctl_url(api_url, "");
        ctl_cluster_done(&cluster);
    }
    const struct config *config = ctl->config;
    for (size_t i = 0; url == NULL && config != NULL && i < config->managed.n; i++)
        if (strcmp(config->managed.members[i].name, name) == 0)
            url = ctl_url(config->managed.members[i].api_url, "");
    if (url == NULL && ctl->args.rest != NULL)
        url = ctl_url(ctl->args.rest, "");
    return url;
}

static void explain(struct ctl *ctl, const char *base)
{
    auto_free char *url = ctl_url(base, "/patroni");
    struct ctl_answer answer = ctl_rest(ctl, "GET", url, NULL, ACCEPT_TIMEOUT_MS);
    auto_json json_t *body = NULL;
    if (answer.code == ERR_OK &&
        json_parse(answer.body, strlen(answer.body), "status", &body, NULL) == ERR_OK)
        printf("It says: %s\n", ctl_text(json_object_get(body, "pgvigil"), "reason"));
    ctl_answer_done(&answer);
    puts(
        "\nTo be done only where it says that etcd is not the one that it knows, or was set back.\n"
        "To accept means: /sync as it is in etcd now may be old, so a member that it names may\n"
        "lack commits that were acknowledged after the backup. Accept on the member that has the\n"
        "newest data (see its timeline and positions in `pgvigilctl list` and GET /patroni), and\n"
        "on the others only once that one is primary. It asks every other member whether it runs\n"
        "as primary, by failsafe_mode or pause: this etcd may know nothing of it. A member that\n"
        "does not answer, and whose Postgres you know to be down for good: --dead NAME.\n");
}

static char *body_of(const struct ctl_args *args)
{
    auto_json json_t *body = json_object();
    json_t *dead = json_array();
    for (size_t i = 0; i < args->n_dead; i++)
        json_array_append_new(dead, json_string(args->dead[i]));
    json_object_set_new(body, "dead", dead);
    struct text text = text_new(LIMIT_LOG_LINE);
    json_write(&text, body);
    return text_take(&text);
}

int ctl_verb_accept(struct ctl *ctl)
{
    if (ctl->args.n_names != 1) {
        ctl_fail("accept needs the name of one member");
        return CTL_USAGE;
    }
    const char *name = ctl->args.names[0];
    auto_free char *base = member_url(ctl, name);
    if (base == NULL)
        return ctl_fail("the address of %s is not known: give -d http://HOST:8008", name);
    auto_free char *url = ctl_url(base, "/pgvigil/accept");
    if (!ctl->args.force) {
        explain(ctl, base);
        auto_text struct text question = text_new(LIMIT_LOG_LINE);
        text_addf(&question, "Are you sure you want %s to accept this etcd?", name);
        if (!ctl_confirm(text_str(&question)))
            return ctl_fail("Aborted");
    }
    auto_free char *body = body_of(&ctl->args);
    struct ctl_answer answer = ctl_rest(ctl, "POST", url, body, ACCEPT_TIMEOUT_MS);
    int status = CTL_OK;
    if (answer.code != ERR_OK)
        status = ctl_fail("%s: %s", url, answer.error);
    else if (answer.status >= 300)
        status = ctl_fail("%s refused: %d, %s", name, answer.status, answer.body);
    else
        printf("Success: %s\n", answer.body);
    ctl_answer_done(&answer);
    return status;
}
