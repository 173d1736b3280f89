#pragma once
/* What may go wrong: name, and what it does when it begins and ends. */
#include <stdbool.h>
#include <stdint.h>

struct sim;

/* A fault that has begun; `a` and `b` are its own. */
struct fault {
    int kind;
    int target; /* a data node */
    int64_t a, b;
};

/* Begins; false: not possible now. */
typedef bool fault_begin_fn(struct sim *sim, struct fault *fault);
/* Ends: everything as it was. NULL: it ends by itself. */
typedef void fault_end_fn(struct sim *sim, const struct fault *fault);

struct fault_kind {
    const char *name;
    int weight;
    int shortest_ms, longest_ms;
    fault_begin_fn *begin;
    fault_end_fn *end;
};

extern const struct fault_kind fault_kinds[];
int fault_kinds_n(void);

/* faults.c: from everybody, both ways; by +1 and -1. */
void fault_cut(struct sim *sim, int host, int by);

/* faults_etcd.c: this node's member goes, and comes back */
void fault_etcd_ended(struct sim *sim, int host);
void fault_etcd_begins(struct sim *sim, int host);

/* faults_host.c, faults_etcd.c */
fault_begin_fn fault_node_killed, fault_node_frozen, fault_sidecar_killed, fault_sidecar_stopped;
fault_begin_fn fault_witness_killed, fault_etcd_killed, fault_etcd_stopped, fault_planned_stop;
fault_begin_fn fault_raft_moved, fault_guard_starved, fault_guard_killed, fault_sidecar_away;
fault_begin_fn fault_etcd_frozen, fault_paused_alone;
fault_end_fn fault_etcd_thawed, fault_resumed_alone;
fault_begin_fn fault_raft_stuck, fault_two_of_one_name, fault_two_guards;
fault_end_fn fault_raft_unstuck, fault_former_guard_ended;
fault_end_fn fault_guard_runs, fault_node_back, fault_node_thawed, fault_sidecar_back,
    fault_sidecar_goes_on;
fault_end_fn fault_witness_back, fault_etcd_back, fault_etcd_goes_on;
void host_down(struct sim *sim, int host);
void host_up(struct sim *sim, int host);

/* faults_data.c: Postgres, volumes, people */
bool fault_lifted(const struct sim *sim);
void fault_person_looks(struct sim *sim); /* some time after everything was healed */
fault_begin_fn fault_postmaster_killed, fault_backend_crashed, fault_backend_hung, fault_slow_disk;
fault_begin_fn fault_sync_lost, fault_tagged, fault_disk_set_back, fault_store_restored,
    fault_sync_off;
fault_begin_fn fault_checkpointer_busy, fault_disk_lost, fault_disk_bad, fault_switchover;
fault_begin_fn fault_failover, fault_key_deleted, fault_pause, fault_orders;
fault_end_fn fault_sync_back, fault_untagged, fault_sync_on, fault_store_accepted;
fault_end_fn fault_disk_fast, fault_resume, fault_disk_mended;
