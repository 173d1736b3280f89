#pragma once
/* A model of etcd: three members on hosts that partitions take along, raft terms and elections, a
 * deposed leader that goes on answering for a while, leases that an election extends by ttl + election
 * timeout, one linear history of the keys. The keys are values of the simulation, not text. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cluster/lsn.h"
#include "cluster/member.h"
#include "tests/sim/queue.h"

enum { DATA_MAX = 5, NODE_NONE = -1, ETCD_MEMBERS = 3, LEASES_MAX = 1024, HISTORY_MAX = 256 };

typedef uint8_t node_set; /* bit i: node i */

struct kv_member {
    bool exists;
    int64_t lease;
    enum member_state state;
    enum member_role role;
    bool nosync, nofailover;
    bool streaming;
    bool checkpoint_pending;
    bool pause;
    uint32_t timeline;
    lsn_t location; /* primary */
    lsn_t received;
    lsn_t replayed;
};

/* All keys at one revision. */
struct kv {
    int64_t rev;
    struct {
        bool exists;
        int owner;
        int64_t lease, create, mod;
        bool loss_accepted;
    } leader;
    struct {
        bool exists;
        int owner;
        int64_t lease, mod;
        bool released, lifted;
    } holder;
    struct {
        bool exists;
        int leader;
        node_set standbys;
        int64_t mod;
    } sync;
    struct {
        bool exists;
        int64_t create, lease;
        uint64_t system_id;
    } initialize;
    struct {
        bool exists, pause, sync_off;
        int64_t mod;
    } config;
    struct {
        bool exists;
        int leader, candidate;
        int64_t mod;
    } failover;
    struct {
        bool exists;
        int branch;
        lsn_t lsn;
        int64_t mod;
    } confirmed;
    struct {
        node_set names;
        int64_t mod; /* 0: never written */
    } failsafe;
    int64_t renewed; /* mod_revision of the trace that each renewal leaves; 0: none */
    lsn_t optime;
    struct kv_member member[DATA_MAX];
    int64_t data_id[DATA_MAX];
};

void store_init(struct sim *sim);
/* The raft of all members and the leases: every 100 ms. */
void store_tick(struct sim *sim);
bool store_move_leader(struct sim *sim, int to);
/* NULL when that revision is not kept any more. */
const struct kv *store_at(const struct sim *sim, int64_t rev);
const struct kv *store_now(const struct sim *sim);
int store_host(int member);
/* The raft leader of the highest term that has a quorum, NODE_NONE: none. */
int store_raft_leader(const struct sim *sim);
/* The process of this host's member has ended. */
void store_host_died(struct sim *sim, int host);
