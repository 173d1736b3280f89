#pragma once
/* Leases of etcd. What an answer is worth is not judged here: see L1 and cluster/lease.h. */
#include "base/instant.h"
#include "etcd/etcd.h"

struct etcd_lease_result {
    struct etcd_outcome outcome;
    int64_t id;
    int64_t ttl_s;     /* grant: what was granted. keepalive: the new one, 0 = the lease is gone.
                           time-to-live: what is left, -1 = the lease is gone */
    int64_t granted_s; /* time-to-live only */
    struct mono sent;  /* CLOCK_BOOTTIME before the (last) request was sent */
};
typedef void etcd_lease_fn(void *arg, const struct etcd_lease_result *result);

/* ttl_s larger than asked for: etcd's floor of 1.5 election timeouts; the caller refuses it. */
struct etcd_call *etcd_lease_grant(struct etcd *etcd, int64_t ttl_s, struct etcd_how how,
                                   etcd_lease_fn *done, void *arg);
/* Once. Done with the first line of the gateway's stream. */
struct etcd_call *etcd_lease_keepalive(struct etcd *etcd, int64_t id, struct etcd_how how,
                                       etcd_lease_fn *done, void *arg);
/* ERR_NOT_FOUND: it was gone already. Its keys go with it. */
struct etcd_call *etcd_lease_revoke(struct etcd *etcd, int64_t id, struct etcd_how how,
                                    etcd_lease_fn *done, void *arg);
/* A read that is answered by the raft leader (etcd forwards it); does not extend the lease. */
struct etcd_call *etcd_lease_time_to_live(struct etcd *etcd, int64_t id, struct etcd_how how,
                                          etcd_lease_fn *done, void *arg);
