/* version: of this program, and of the members. */
#include <stdio.h>
#include <string.h>

#include "base/clean.h"
#include "ctl/ctl.h"

enum { VERSION_TIMEOUT_MS = 5000 };

static bool print_member(struct ctl *ctl, const json_t *member)
{
    const char *name = ctl_text(member, "name");
    auto_free char *url = ctl_url(ctl_text(member, "api_url"), "/patroni");
    struct ctl_answer answer = ctl_rest(ctl, "GET", url, NULL, VERSION_TIMEOUT_MS);
    auto_json json_t *body = NULL;
    bool good = answer.code == ERR_OK &&
                json_parse(answer.body, strlen(answer.body), name, &body, NULL) == ERR_OK;
    ctl_answer_done(&answer);
    if (!good) {
        printf("%s: failed to get version\n", name);
        return false;
    }
    int64_t server = json_integer_value(json_object_get(body, "server_version"));
    printf("%s: Patroni %s", name, ctl_text(json_object_get(body, "patroni"), "version"));
    if (server > 0)
        printf(" PostgreSQL %d.%d", (int)(server / 10000), (int)(server % 10000));
    puts("");
    return true;
}

int ctl_verb_version(struct ctl *ctl)
{
    struct err err;
    struct ctl_cluster cluster;
    json_t *members = NULL;
    puts("pgvigilctl version " PGVIGIL_VERSION "\n");
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    int status = CTL_FAILED;
    if (ctl_pick_members(ctl, &cluster, &members)) {
        status = CTL_OK;
        for (size_t i = 0; i < json_array_size(members); i++)
            if (!print_member(ctl, json_array_get(members, i)))
                status = CTL_FAILED;
    }
    json_decref(members);
    ctl_cluster_done(&cluster);
    return status;
}
