#pragma once
/* struct sidecar, where the folders of the program meet (design part 10). Private to sidecar*.c. */
#include "base/limits.h"
#include "settings/config.h"
#include "settings/settings.h"
#include "sidecar/act/lease_keeper.h"
#include "sidecar/act/publish.h"
#include "sidecar/act/runner.h"
#include "sidecar/act/steps_store.h"
#include "sidecar/api/control_local.h"
#include "sidecar/api/control_store.h"
#include "sidecar/api/server.h"
#include "sidecar/cluster.h"
#include "sidecar/control.h"
#include "sidecar/core/decide.h"
#include "sidecar/etcd_member/etcd_member.h"
#include "sidecar/file_watch.h"
#include "sidecar/guard/guard_client.h"
#include "sidecar/observe/peers.h"
#include "sidecar/postgres/postgres.h"
#include "sidecar/postgres/steps_postgres.h"
#include "sidecar/sidecar.h"
#include "sidecar/sidecar_etcd_health.h"
#include "sidecar/sidecar_memory.h"
#include "sidecar/view_json.h"

enum {
    SIDECAR_PACE_MS = 20,     /* the cycle at most so often, unless something ended */
    SIDECAR_HANDOVER_MS = 15, /* … while writes wait for a standby's word */
    SIDECAR_BUSY_MS = 100,    /* at least so often while something is going on */
    SIDECAR_CALM_MS = 1000,   /* so often always, … */
    SIDECAR_SLACK_MS = 350,   /* … or so much later, when something else wakes us */
    SIDECAR_RULES_MAX = 64,
    SIDECAR_RETRY_MS = 100, /* after a plan that failed; doubles up to … */
    SIDECAR_RETRY_MAX_MS = 5000,
};

/* When a failed plan may be tried again. */
struct retry {
    enum action action;
    int64_t pause_ms;
    struct mono at;
};

/* Record boundaries of our WAL, newest last: a standby's flush position may lie inside a record, and
 * after a restart it holds whole records only (S7). */
enum { BOUNDARIES = 16 };
struct boundaries {
    size_t n;
    lsn_t at[BOUNDARIES];
};

struct sidecar {
    struct loop *loop;
    struct sidecar_options options;
    struct config *config;
    struct config *former_config; /* of the start, once reloaded: parts borrow from it */
    struct settings *settings;
    int64_t settings_revision; /* mod_revision of `config` that they were made from; 0: defaults */
    struct tags tags;

    struct http *http;
    struct http_tls *etcd_tls;
    struct http_tls *peer_tls;
    struct etcd *etcd;
    struct cluster *cluster;
    struct lease_keeper *keeper;
    struct publish *publish;
    struct guard_client *guard;
    struct postgres *postgres;
    struct steps_store *steps_store;
    struct steps_postgres *steps_postgres;
    struct runner *runner;
    struct peers *peers;
    struct failsafe_round *failsafe;
    struct etcd_member *etcd_member;
    struct etcd_health etcd_health;
    struct api_control control;
    struct control_store *control_store;
    struct control_local *control_local;
    struct control_accept *control_accept;
    struct api_server *server;
    struct view_ring *views;

    struct remembrance remembrance;
    struct boundaries boundaries;
    char guard_socket[LIMIT_PATH];
    struct source *mending; /* a lost guard of our own: its tree is being killed */
    bool mended;
    struct err mend_err;
    struct file_watch *certificates;
    struct source *pace;   /* the next cycle */
    struct source *urgent; /* a cycle in the next turn of the loop */
    struct mono cycled_at;
    int64_t wall_offset_ms;

    struct view *view;
    struct decision decision;
    struct memory memory;
    struct orders orders;
    struct retry retry;
    int64_t leader_seen; /* create_revision of the leader key of the last cycle */
    char last_rule[LIMIT_NAME];
    char last_reason[LIMIT_REASON];
    bool last_said; /* false: it had to wait for the plan that ran */
    uint64_t rule_counts[SIDECAR_RULES_MAX];
    struct mono plan_began;
    bool stopping; /* SIGTERM with guards of our own */
    int exit_status;
    bool primary_said;         /* in the log: this node is the primary */
    bool one_copy_said;        /* in the log: acknowledging with one copy (S5) */
    struct mono refuses_since; /* this member must not lead though nobody else does; 0: no */
    bool refused_said;

    struct api_snapshot *snapshot; /* sidecar_api.c */
};

/* sidecar_guard.c */
enum err_code sidecar_guard_new(struct sidecar *sidecar, loop_fn *says, struct err *err);
void sidecar_guard_mend(struct sidecar *sidecar);

/* sidecar_settings.c */
void sidecar_read_settings(struct sidecar *sidecar); /* of the store, when they changed */
struct policy sidecar_policy(const struct sidecar *sidecar);
void sidecar_note_boundary(struct sidecar *sidecar);
bool sidecar_confirmed(void *arg, struct text *value, int64_t *ret_sync_revision);
bool sidecar_first_config(void *arg, struct text *to);
bool sidecar_history(void *arg, struct text *to);

/* sidecar_publish.c */
void sidecar_publish(struct sidecar *sidecar);
void sidecar_positions(const struct pg_facts *facts, struct member *member);
json_t *sidecar_pending_restart(const struct pg_facts *facts); /* new reference */
/* What the member key has and struct member has not (patroni-compat 3.4); a new reference. */
json_t *sidecar_member_extras(const struct pg_facts *facts, const char *scheduled);

/* sidecar_reload.c */
void sidecar_watch_certificates(struct sidecar *sidecar);

/* sidecar_api.c */
enum err_code sidecar_api_new(struct sidecar *sidecar, struct err *err);
enum err_code sidecar_api_reload(struct sidecar *sidecar, struct err *err);
void sidecar_api_free(struct sidecar *sidecar);
void sidecar_api_fill(struct sidecar *sidecar);
const struct api_state *sidecar_api_newest(void *arg);

/* sidecar.c */
void sidecar_stale(void *arg);  /* a cycle at the pace */
void sidecar_urgent(void *arg); /* a cycle in the next turn */
void sidecar_cycle(void *arg);
