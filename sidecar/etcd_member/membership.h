#pragma once
/* What stands behind etcd_member.h, without the definition of its handle: etcd/members.h has given
 * the name struct etcd_member to an entry of etcd's list. */
#include "base/text.h"
#include "sidecar/etcd_member/etcd_member.h"

struct membership;

struct membership *membership_new(const struct etcd_member_spec *spec);
struct membership *membership_free(struct membership *membership);
const struct etcd_member_status *membership_status(const struct membership *membership);
/* Part 3: this node leads the Postgres cluster under a fresh lease. */
void membership_leads_postgres(struct membership *membership, bool leads);
bool membership_stop(struct membership *membership);

/* E4, a person's order; docs/recover-quorum.md has the forms. Checks, and carries it out only when
 * `only_check` is not set. `force`: also against the word of others that have data. Returns the HTTP
 * status; the body is a sentence, or the facts as JSON for only_check. */
struct membership_recover {
    const char *member; /* must be this one; NULL: not said */
    bool only_check;
    bool force;
};
int membership_recover(struct membership *membership, struct membership_recover order,
                       struct text *ret_body);
