/* The contract on top of the membership, and a person's order (E4). */
#include "sidecar/etcd_member/etcd_member.h"

#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "sidecar/etcd_member/membership.h"

struct etcd_member {
    struct membership *membership;
    const char *name; /* borrowed */
};

struct etcd_member *etcd_member_new(const struct etcd_member_spec *spec)
{
    struct etcd_member *member = mem_struct(struct etcd_member);
    member->name = spec->config->name;
    member->membership = membership_new(spec);
    return member;
}

struct etcd_member *etcd_member_free(struct etcd_member *member)
{
    if (member == NULL)
        return NULL;
    membership_free(member->membership);
    free(member);
    return NULL;
}

const struct etcd_member_status *etcd_member_status(const struct etcd_member *member)
{
    return membership_status(member->membership);
}

void etcd_member_leader_is(struct etcd_member *member, const char *leader, bool may_move)
{
    bool ours = leader != NULL && strcmp(leader, member->name) == 0;
    membership_leads_postgres(member->membership, ours && may_move);
}

bool etcd_member_stop(struct etcd_member *member)
{
    return membership_stop(member->membership);
}

static void on_recover(void *arg, const struct api_order *order, struct api_pending *pending)
{
    struct etcd_member *member = arg;
    auto_text struct text body = text_new(LIMIT_LOG_LINE * 4);
    const struct membership_recover recover = {
        .member = json_string_value(json_object_get(order->body, "member")),
        .only_check = json_is_true(json_object_get(order->body, "check")),
        .force = json_is_true(json_object_get(order->body, "force")),
    };
    int status = membership_recover(member->membership, recover, &body);
    api_pending_reply(pending, status, text_str(&body));
}

void etcd_member_install(struct etcd_member *member, struct api_control *control)
{
    control->ops[API_ETCD_RECOVER] = (struct api_op){ on_recover, member };
}
