#pragma once
/* The command line and environment of etcd (design part 7). Pure. */
#include "base/limits.h"
#include "settings/config.h"

enum etcd_begin {
    ETCD_BEGIN_AGAIN, /* with its data (E2) */
    ETCD_BEGIN_NEW,   /* founds a cluster (E1) */
    ETCD_BEGIN_JOIN,  /* a learner that was added (E1, E3) */
    ETCD_BEGIN_FORCE, /* with its data, as the only member (E4) */
};

enum { ETCD_ENV_MAX = 250, ETCD_QUOTA_BYTES = 256 << 20 };

struct etcd_argv_spec {
    const char *program; /* absolute */
    const struct config_managed_etcd *managed;
    enum etcd_begin begin;
    int64_t ttl_ms;
    const char *token;           /* NEW: makes the cluster id unlike any other (S6) */
    const char *initial_cluster; /* JOIN */
    const char *learners_option; /* "--max-learners" where etcd knows it; NULL */
};

/* NULL-terminated words, owned. */
struct etcd_argv {
    size_t n;
    char *word[LIMIT_ARGV + 1];
};
/* Our own configured member; NULL: we are none of them. */
const struct config_member *etcd_argv_self(const struct config_managed_etcd *managed);
void etcd_argv_build(const struct etcd_argv_spec *spec, struct etcd_argv *ret_argv);
void etcd_argv_done(struct etcd_argv *argv);

/* Where to listen for a URL: its port on its address, on every address of both families
 * if its host is a name. */
void etcd_listen_url(const char *url, char ret_listen[LIMIT_URL]);

/* Our environment without what etcd would take for options of its own, and without our secrets.
 * Borrows the strings; returns how many. */
size_t etcd_env(char *const *from, const char *ret_env[ETCD_ENV_MAX + 1]);
