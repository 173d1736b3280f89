#pragma once
/* The local configuration: one YAML file (or a directory of *.yml, merged in the order of their
 * names), then environment overrides, PGVIGIL_X before PATRONI_X. Patroni's sections and keys; ours
 * lie under `pgvigil:`. Everything is owned by the struct; texts are NULL when not set, unless the
 * comment names a default. A loaded config is never changed: reload makes a new one. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"
#include "settings/option.h"

struct config_login {
    char *username;
    char *password;
    char *sslmode, *sslkey, *sslcert, *sslpassword, *sslrootcert, *sslcrl, *sslcrldir;
    char *gssencmode, *channel_binding, *sslnegotiation;
};

/* restapi.verify_client */
enum config_verify { CONFIG_VERIFY_NONE, CONFIG_VERIFY_OPTIONAL, CONFIG_VERIFY_REQUIRED };
/* log.type */
enum config_log_type { CONFIG_LOG_PLAIN, CONFIG_LOG_JSON };

struct config_restapi {
    char *listen;          /* "host:port"; "*" or "" as host: every address */
    char *connect_address; /* "host:port" as peers reach it; never NULL once loaded */
    char *certfile, *keyfile, *keyfile_password, *cafile, *ciphers;
    int verify_client; /* enum config_verify */
    struct text_list allowlist;
    bool allowlist_include_members;
    json_t *http_extra_headers, *https_extra_headers; /* as written; NULL: none */
    struct text_list headers;  /* "Name: value" of both, the latter only with TLS; they win */
    char *server_tokens;       /* "original" (default), "minimal", "productonly" */
    char *username, *password; /* restapi.authentication */
};

/* How we (and pgvigilctl) call other members' REST API. */
struct config_ctl {
    char *cacert, *certfile, *keyfile, *keyfile_password;
    bool insecure;
    char *username, *password; /* ctl.authentication; default: restapi's */
};

/* How to reach etcd, whoever runs it: for managed etcd, endpoints and TLS files are the members'. */
struct config_etcd {
    bool external;               /* etcd3 is there: none of it is managed */
    struct text_list endpoints;  /* "http://host:port"; at least one once loaded */
    char *host, *url, *protocol; /* as they were written */
    struct text_list hosts;
    char *username, *password, *cacert, *cert, *key;
};

/* The etcd member that we manage (design part 7). */
struct config_member {
    char *name, *peer_url, *client_url, *api_url;
};
struct config_managed_etcd {
    char *name; /* of our own member (default: `name`); NULL: we run none (external etcd, or a data
                   node that is none of the members) */
    size_t n;   /* the first is the founder (E1); 0: external */
    struct config_member members[LIMIT_MEMBERS];
    char *data_dir;
    char *bin; /* default "etcd" */
    char *cert, *key, *ca;
    json_t *tree; /* pgvigil.etcd.members as written */
};

struct config_postgresql {
    char *listen;          /* "host[,host]:port" */
    char *connect_address; /* "host:port"; never NULL on a data node once loaded */
    char *data_dir;
    char *bin_dir;     /* NULL: PATH of the container that runs Postgres */
    char *config_dir;  /* NULL: data_dir */
    char *pgpass;      /* default: "<state_dir>/pgpass" */
    char *database;    /* default "postgres" */
    char *custom_conf; /* NULL: <config_dir>/postgresql.base.conf is the base */
    bool use_unix_socket;
    struct config_login superuser, replication, rewind; /* rewind: default superuser's */
    struct text_list create_replica_methods;            /* default: basebackup */
    json_t *basebackup; /* array or object of pg_basebackup's options, or NULL */
    json_t *tree;       /* the whole section: <method> sections are read from here */
};

struct config_bootstrap {
    json_t *dcs;             /* the first `config`; NULL: settings_default_config() */
    json_t *initdb;          /* array or object, or NULL */
    char *method;            /* default "initdb" */
    char *post_bootstrap;    /* or post_init */
    struct text_list pg_hba; /* goes into the first `config` where bootstrap.dcs has none */
    json_t *tree;            /* the whole section, or NULL: <method> sections are read from here */
};

struct config {
    char *name;       /* the member's name; checked: fits LIMIT_NAME, no '/', not "*" */
    char *scope;      /* the cluster's name */
    char *namespace_; /* with slashes at both ends: "/service/" */
    char *prefix;     /* "/service/<scope>/": before every key */
    char *log_level;  /* debug, info, warn, error */
    int log_type;     /* enum config_log_type */
    struct config_restapi restapi;
    struct config_ctl ctl;
    struct config_etcd etcd;
    struct config_managed_etcd managed;
    struct config_postgresql postgresql;
    struct config_bootstrap bootstrap;
    json_t *tags; /* object, or NULL; cluster/tags_json.h reads it */
    char *
        postgres_socket; /* pgvigil.guard.postgres_socket; NULL: the sidecar starts its own guard */
    char *etcd_socket;   /* pgvigil.guard.etcd_socket */
    char *state_dir;     /* default: <parent of data_dir>/pgvigil (witness: of etcd's data_dir) */
    bool cpu_limited;    /* pgvigil.cpu_limited: the margin of L3 is 1 s */
    json_t *tree;        /* everything as read, secrets included: never print it */
};

/* Reads file (or directory) and environment. `path` NULL: the environment alone, where
 * PGVIGIL_CONFIGURATION may hold YAML itself. `witness`: nothing of postgresql is required.
 * Variables that were read are removed from the environment when `unset`.
 * `warnings` gets one line for each key that is unknown or that we ignore.
 * Errors: ERR_INVALID, ERR_NOT_FOUND, ERR_SYSTEM: file, path of the key, what to do. */
enum err_code config_load(const char *path, bool witness, bool unset, struct config **ret_config,
                          struct text *warnings, struct err *err);
struct config *config_free(struct config *config);

/* Is something else in `config` that is built into the sidecar's parts at their start: what lies under
 * `pgvigil` and `etcd3`? */
bool config_needs_restart(const struct config *former, const struct config *config);

/* The key by which `config` is of another member, cluster or volume than `former`; NULL: of the same.
 * A running sidecar cannot become that: its key, slot, name in /sync and Postgres are the former's. */
const char *config_other_identity(const struct config *former, const struct config *config);

/* "host:port", "[::1]:port", "a,b:port" or a host alone, which has `default_port`. Brackets are taken
 * off. False when it is none of these. */
bool config_split_address(const char *address, int default_port, char ret_host[LIMIT_URL],
                          int *ret_port);
