#pragma once
/* The cluster as GET /cluster shows it (patroni-compat 2.4), out of the keys of the store: for REST, and
 * for pgvigilctl, which reads the store itself. */
#include <jansson.h>

#include "cluster/lsn.h"
#include "cluster/sync_state.h"

/* What makes an entry of a member beside its own key. Everything is borrowed. */
struct cluster_facts {
    const char *leader;            /* "" when nobody leads */
    const struct sync_state *sync; /* NULL: not known */
    lsn_t optime;                  /* of the key status */
};

/* New reference. `member` is the parsed value of members/<name>, or any object. */
json_t *cluster_member_json(const struct cluster_facts *facts, const char *name,
                            const json_t *member);
/* New reference: the name, and what pgvigil/witness/<name> says. */
json_t *cluster_witness_json(const char *name, const json_t *witness);
/* `scheduled_switchover`, where the key failover (NULL: none) has a time. */
void cluster_add_schedule(json_t *cluster, const json_t *failover);
/* By name, as Patroni lists them. */
void cluster_sort_members(json_t *members);
