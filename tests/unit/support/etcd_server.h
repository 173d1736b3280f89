#pragma once
/* Real etcd processes for tests: on loopback, with their data in a temporary directory. A missing
 * etcd binary fails the test. */
#include "etcd/etcd.h"
#include "loop/process.h"

enum { ETCD_SERVERS_MAX = 3 };

struct etcd_server {
    struct process *process;
    bool killed; /* by the test: its end is no failure */
    bool gone;
    int client_port;
    int peer_port;
    char url[64];
    char peer_url[64];
};

struct etcd_cluster {
    struct loop *loop;
    char dir[64];
    const char *scheme;       /* "http" or "https" (certificates in dir, see etcd_cluster_tls) */
    const char *const *extra; /* further options, NULL-terminated; may be NULL */
    int n;
    struct etcd_server servers[ETCD_SERVERS_MAX];
    const char *urls[ETCD_SERVERS_MAX + 1];
};

/* Starts n members; does not wait: the first request does. */
void etcd_cluster_start(struct etcd_cluster *cluster, struct loop *loop, int n,
                        const char *const *extra);
/* The same with TLS and client certificates: ca.pem, cert.pem, key.pem in cluster->dir. */
void etcd_cluster_start_tls(struct etcd_cluster *cluster, struct loop *loop);
/* Kills one and waits until it is gone, its port and its data free again; starts it on its data. */
void etcd_server_kill(struct etcd_cluster *cluster, int index);
void etcd_server_start(struct etcd_cluster *cluster, int index);
/* Until it knows the raft leader again: from then on another may go. */
void etcd_server_wait(struct etcd_cluster *cluster, struct etcd *etcd, int index);
/* SIGSTOP: it stands still on return. */
void etcd_server_signal(const struct etcd_cluster *cluster, int index, int signum);
/* Kills all and removes the data. */
void etcd_cluster_stop(struct etcd_cluster *cluster);

/* Index of the member that is raft leader; waits for one. */
int etcd_cluster_leader(struct etcd_cluster *cluster, struct etcd *etcd);

/* Runs a program in the cluster's directory to its end; fails the test unless it ends with 0. */
void tool_run(struct etcd_cluster *cluster, const char *const *argv);

/* Runs the loop until *done is set; fails the test after ms. */
void run_until(struct loop *loop, bool *done, int64_t ms);
void run_for(struct loop *loop, int64_t ms);
