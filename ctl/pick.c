/* Whom a verb is for: the named members, else those of a role, else a question. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "ctl/ctl.h"

bool ctl_take_cluster_name(struct ctl *ctl, bool names)
{
    struct ctl_args *args = &ctl->args;
    bool named = args->n_names > 0 &&
                 (ctl->scope == NULL ? !names : strcmp(args->names[0], ctl->scope) == 0);
    if (named) {
        args->n_names--;
        memmove(args->names, args->names + 1, args->n_names * sizeof(args->names[0]));
    }
    if (names || args->n_names == 0)
        return true;
    ctl_fail("%s: the cluster is %s, and %s takes no names of members", args->names[0],
             ctl->scope != NULL ? ctl->scope : "the one of -d", args->verb);
    return false;
}

static bool role_fits(const char *role, const json_t *member)
{
    const char *is = ctl_text(member, "role");
    if (role == NULL || strcmp(role, "any") == 0)
        return true;
    if (strcmp(role, "leader") == 0 || strcmp(role, "primary") == 0)
        return strcmp(is, "leader") == 0;
    if (strcmp(role, "replica") == 0 || strcmp(role, "standby") == 0)
        return strcmp(is, "leader") != 0;
    return false;
}

static bool is_role(const char *role)
{
    static const char *const roles[] = { "any", "leader", "primary", "replica", "standby" };
    for (size_t i = 0; role != NULL && i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcmp(roles[i], role) == 0)
            return true;
    return role == NULL;
}

static bool add_named(struct ctl *ctl, const struct ctl_cluster *cluster, const char *name,
                      json_t *list)
{
    json_t *member = ctl_cluster_member(cluster, name);
    if (member != NULL && role_fits(ctl->args.role, member)) {
        json_array_append(list, member);
        return true;
    }
    ctl_fail(member == NULL ? "%s is not a member of cluster %s"
                            : "%s does not have the role that was asked for in cluster %s",
             name, ctl->scope);
    return false;
}

static bool ask_names(struct ctl *ctl, const struct ctl_cluster *cluster, json_t *list)
{
    auto_text struct text names = text_new(LIMIT_LOG_LINE);
    size_t i;
    json_t *member;
    json_array_foreach (json_object_get(cluster->cluster, "members"), i, member) {
        text_addf(&names, "%s%s", i > 0 ? ", " : "", ctl_text(member, "name"));
    }
    ctl_cluster_print(ctl, cluster);
    text_clear(&names);
    text_add(&names, "Which member");
    auto_free char *answer = ctl_ask(text_str(&names), "");
    if (answer[0] == '\0') {
        ctl_fail("no member was named");
        return false;
    }
    return add_named(ctl, cluster, answer, list);
}

bool ctl_pick_members(struct ctl *ctl, const struct ctl_cluster *cluster, json_t **ret_members)
{
    const struct ctl_args *args = &ctl->args;
    json_t *list = json_array();
    bool good = is_role(args->role);
    if (!good)
        ctl_fail("no such role: %s (leader, primary, replica, standby, any)", args->role);
    for (size_t i = 0; good && i < args->n_names; i++)
        good = add_named(ctl, cluster, args->names[i], list);
    if (good && args->n_names == 0 && strcmp(args->verb, "reinit") == 0 && !args->force)
        good = ask_names(ctl, cluster, list);
    else if (good && args->n_names == 0) {
        size_t i;
        json_t *member;
        json_array_foreach (json_object_get(cluster->cluster, "members"), i, member) {
            if (role_fits(args->role, member))
                json_array_append(list, member);
        }
    }
    if (good && json_array_size(list) == 0) {
        ctl_fail("No members found in cluster %s", ctl->scope);
        good = false;
    }
    if (good)
        *ret_members = list;
    else
        json_decref(list);
    return good;
}
