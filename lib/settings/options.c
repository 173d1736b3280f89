/* The option table. Order: as the reference shows it; all rows of struct config come first. */
#include "settings/config.h"
#include "settings/option.h"
#include "settings/settings.h"

/* clang-format off: one row is one paragraph */

#define ROW(path_, type_, struct_, field_, where_, ...)                                            \
    { .path = path_,                                                                               \
      .type = type_,                                                                               \
      .offset = offsetof(struct struct_, field_),                                                  \
      .where = where_,                                                                             \
      __VA_ARGS__ }

#define FILE_ROW(path_, type_, field_, ...)                                                        \
    ROW(path_, type_, config, field_, OPTION_FILE, .apply = OPTION_RESTART, __VA_ARGS__)
#define ENV_ROW(path_, type_, field_, env_, ...)                                                   \
    ROW(path_, type_, config, field_, OPTION_FILE | OPTION_ENV, .apply = OPTION_RESTART,           \
        .env = env_, __VA_ARGS__)
#define STORE_ROW(path_, type_, field_, ...)                                                       \
    ROW(path_, type_, settings, field_, OPTION_STORE, .apply = OPTION_LIVE, __VA_ARGS__)
#define BOTH_ROW(path_, type_, field_, ...)                                                        \
    ROW(path_, type_, settings, field_, OPTION_STORE | OPTION_FILE, __VA_ARGS__)

#define IGNORED(path_, help_)                                                                      \
    { .path = (path_), .where = OPTION_FILE, .unsupported = true, .help = (help_) }
#define IGNORED_STORE(path_, help_)                                                                \
    { .path = (path_), .where = OPTION_STORE, .unsupported = true, .help = (help_) }

#define LOGIN_ROW(role_, ROLE_, key_, KEY_, type_, help_)                                          \
    ENV_ROW("postgresql.authentication." #role_ "." #key_, type_, postgresql.role_.key_,           \
            ROLE_ "_" KEY_, .help = (help_))
#define LOGIN(role_, ROLE_, fallback_)                                                             \
    ENV_ROW("postgresql.authentication." #role_ ".username", OPTION_TEXT,                          \
            postgresql.role_.username, ROLE_ "_USERNAME", .fallback = (fallback_),                 \
            .help = "role name"),                                                                  \
        LOGIN_ROW(role_, ROLE_, password, "PASSWORD", OPTION_SECRET, "its password"),              \
        LOGIN_ROW(role_, ROLE_, sslmode, "SSLMODE", OPTION_TEXT, "libpq's sslmode"),               \
        LOGIN_ROW(role_, ROLE_, sslkey, "SSLKEY", OPTION_TEXT, "libpq's sslkey"),                  \
        LOGIN_ROW(role_, ROLE_, sslcert, "SSLCERT", OPTION_TEXT, "libpq's sslcert"),               \
        LOGIN_ROW(role_, ROLE_, sslpassword, "SSLPASSWORD", OPTION_SECRET, "libpq's sslpassword"), \
        LOGIN_ROW(role_, ROLE_, sslrootcert, "SSLROOTCERT", OPTION_TEXT, "libpq's sslrootcert"),   \
        LOGIN_ROW(role_, ROLE_, sslcrl, "SSLCRL", OPTION_TEXT, "libpq's sslcrl"),                  \
        LOGIN_ROW(role_, ROLE_, sslcrldir, "SSLCRLDIR", OPTION_TEXT, "libpq's sslcrldir"),         \
        LOGIN_ROW(role_, ROLE_, gssencmode, "GSSENCMODE", OPTION_TEXT, "libpq's gssencmode"),      \
        LOGIN_ROW(role_, ROLE_, channel_binding, "CHANNEL_BINDING", OPTION_TEXT,                   \
                  "libpq's channel_binding"),                                                      \
        LOGIN_ROW(role_, ROLE_, sslnegotiation, "SSLNEGOTIATION", OPTION_TEXT,                     \
                  "libpq's sslnegotiation")

static const struct option rows[] = {
    ENV_ROW("name", OPTION_TEXT, name, "NAME", .required = true,
            .help = "the member's name, unique in the cluster; also its application_name"),
    ENV_ROW("scope", OPTION_TEXT, scope, "SCOPE", .required = true, .help = "the cluster's name"),
    ENV_ROW("namespace", OPTION_TEXT, namespace_, "NAMESPACE", .fallback = "service",
            .help = "first part of every key in the store"),
    ENV_ROW("log.level", OPTION_TEXT, log_level, "LOG_LEVEL", .fallback = "info",
            .help = "debug, info, warn or error; Python's words are understood"),
    ENV_ROW("log.type", OPTION_CHOICE, log_type, "LOG_TYPE", .choices = "plain|json",
            .fallback = "plain", .help = "form of the lines on standard error"),

    ENV_ROW("restapi.listen", OPTION_TEXT, restapi.listen, "RESTAPI_LISTEN", .required = true,
            .help = "host:port of the REST API; * is every address"),
    ENV_ROW("restapi.connect_address", OPTION_TEXT, restapi.connect_address,
            "RESTAPI_CONNECT_ADDRESS", .required = true,
            .help = "host:port under which others reach it"),
    ENV_ROW("restapi.certfile", OPTION_TEXT, restapi.certfile, "RESTAPI_CERTFILE",
            .help = "certificate (PEM); turns TLS on"),
    ENV_ROW("restapi.keyfile", OPTION_TEXT, restapi.keyfile, "RESTAPI_KEYFILE",
            .help = "its key; without it the key is in certfile"),
    ENV_ROW("restapi.keyfile_password", OPTION_SECRET, restapi.keyfile_password,
            "RESTAPI_KEYFILE_PASSWORD", .help = "the key's password"),
    ENV_ROW("restapi.cafile", OPTION_TEXT, restapi.cafile, "RESTAPI_CAFILE",
            .help = "CA of client certificates, and of peers where ctl.cacert is not set"),
    ENV_ROW("restapi.ciphers", OPTION_TEXT, restapi.ciphers, "RESTAPI_CIPHERS",
            .help = "OpenSSL cipher list"),
    ENV_ROW("restapi.verify_client", OPTION_CHOICE, restapi.verify_client, "RESTAPI_VERIFY_CLIENT",
            .choices = "none|optional|required", .fallback = "none",
            .help = "client certificates: for nothing, for unsafe verbs, for everything"),
    ENV_ROW("restapi.allowlist", OPTION_LIST, restapi.allowlist, "RESTAPI_ALLOWLIST",
            .help = "addresses, networks or host names that may call unsafe verbs"),
    ENV_ROW("restapi.allowlist_include_members", OPTION_BOOL, restapi.allowlist_include_members,
            "RESTAPI_ALLOWLIST_INCLUDE_MEMBERS", .fallback = "false",
            .help = "the members of the cluster may call them, too"),
    ENV_ROW("restapi.http_extra_headers", OPTION_TREE, restapi.http_extra_headers,
            "RESTAPI_HTTP_EXTRA_HEADERS", .shape = OPTION_OBJECT,
            .help = "headers added to every answer"),
    ENV_ROW("restapi.https_extra_headers", OPTION_TREE, restapi.https_extra_headers,
            "RESTAPI_HTTPS_EXTRA_HEADERS", .shape = OPTION_OBJECT,
            .help = "headers added to every answer over TLS"),
    ENV_ROW("restapi.server_tokens", OPTION_TEXT, restapi.server_tokens, "RESTAPI_SERVER_TOKENS",
            .fallback = "original", .help = "the header Server: minimal adds our version"),
    ENV_ROW("restapi.authentication.username", OPTION_TEXT, restapi.username, "RESTAPI_USERNAME",
            .help = "basic authentication of unsafe verbs"),
    ENV_ROW("restapi.authentication.password", OPTION_SECRET, restapi.password, "RESTAPI_PASSWORD",
            .help = "its password"),
    IGNORED("restapi.request_queue_size", "the kernel's limit is used"),
    IGNORED("restapi.thread_pool_size", "the API needs no threads"),

    ENV_ROW("ctl.cacert", OPTION_TEXT, ctl.cacert, "CTL_CACERT",
            .help = "CA of the members' REST API, for calls that we make"),
    ENV_ROW("ctl.certfile", OPTION_TEXT, ctl.certfile, "CTL_CERTFILE",
            .help = "client certificate for such calls"),
    ENV_ROW("ctl.keyfile", OPTION_TEXT, ctl.keyfile, "CTL_KEYFILE", .help = "its key"),
    ENV_ROW("ctl.keyfile_password", OPTION_SECRET, ctl.keyfile_password, "CTL_KEYFILE_PASSWORD",
            .help = "the key's password"),
    ENV_ROW("ctl.insecure", OPTION_BOOL, ctl.insecure, "CTL_INSECURE", .fallback = "false",
            .help = "do not check the members' certificates"),
    ENV_ROW("ctl.authentication.username", OPTION_TEXT, ctl.username, "CTL_USERNAME",
            .help = "basic authentication towards members; default: restapi's"),
    ENV_ROW("ctl.authentication.password", OPTION_SECRET, ctl.password, "CTL_PASSWORD",
            .help = "its password"),

    ENV_ROW("etcd3.host", OPTION_TEXT, etcd.host, "ETCD3_HOST",
            .help = "external etcd: one endpoint, host:port"),
    ENV_ROW("etcd3.hosts", OPTION_LIST, etcd.hosts, "ETCD3_HOSTS",
            .help = "external etcd: several, host:port,host:port"),
    ENV_ROW("etcd3.url", OPTION_TEXT, etcd.url, "ETCD3_URL",
            .help = "external etcd: one endpoint as URL"),
    ENV_ROW("etcd3.protocol", OPTION_TEXT, etcd.protocol, "ETCD3_PROTOCOL",
            .help = "http or https; default http"),
    ENV_ROW("etcd3.username", OPTION_TEXT, etcd.username, "ETCD3_USERNAME", .help = "etcd's user"),
    ENV_ROW("etcd3.password", OPTION_SECRET, etcd.password, "ETCD3_PASSWORD",
            .help = "its password"),
    ENV_ROW("etcd3.cacert", OPTION_TEXT, etcd.cacert, "ETCD3_CACERT", .help = "etcd's CA"),
    ENV_ROW("etcd3.cert", OPTION_TEXT, etcd.cert, "ETCD3_CERT", .help = "our client certificate"),
    ENV_ROW("etcd3.key", OPTION_TEXT, etcd.key, "ETCD3_KEY", .help = "its key"),
    IGNORED("etcd3.srv", "name the endpoints in etcd3.hosts"),
    IGNORED("etcd3.srv_suffix", "name the endpoints in etcd3.hosts"),
    IGNORED("etcd3.proxy", "name it in etcd3.url"),
    IGNORED("etcd3.use_proxies", "the endpoints that are named are the ones that are used"),

    ENV_ROW("pgvigil.guard.postgres_socket", OPTION_TEXT, postgres_socket, "GUARD_POSTGRES_SOCKET",
            .help = "socket of the guard of Postgres; without it we start our own guard"),
    ENV_ROW("pgvigil.guard.etcd_socket", OPTION_TEXT, etcd_socket, "GUARD_ETCD_SOCKET",
            .help = "socket of the guard of etcd; without it we start our own guard"),
    ENV_ROW("pgvigil.state_dir", OPTION_TEXT, state_dir, "STATE_DIR",
            .help = "our own state; default: <parent of data_dir>/pgvigil"),
    ENV_ROW("pgvigil.cpu_limited", OPTION_BOOL, cpu_limited, "CPU_LIMITED", .fallback = "false",
            .help = "the container has a CPU limit: the guard keeps a margin of 1 s"),
    ENV_ROW("pgvigil.etcd.name", OPTION_TEXT, managed.name, "ETCD_NAME",
            .help = "managed etcd: which of the members is ours; default: name"),
    ENV_ROW("pgvigil.etcd.members", OPTION_TREE, managed.tree, "ETCD_MEMBERS",
            .shape = OPTION_ARRAY,
            .help = "managed etcd: {name, peer_url, client_url, api_url} of each, founder first"),
    ENV_ROW("pgvigil.etcd.data_dir", OPTION_TEXT, managed.data_dir, "ETCD_DATA_DIR",
            .help = "managed etcd: its data directory"),
    ENV_ROW("pgvigil.etcd.bin", OPTION_TEXT, managed.bin, "ETCD_BIN", .fallback = "etcd",
            .help = "managed etcd: the program"),
    ENV_ROW("pgvigil.etcd.cert", OPTION_TEXT, managed.cert, "ETCD_CERT",
            .help = "managed etcd: certificate of the member, its peers and our client"),
    ENV_ROW("pgvigil.etcd.key", OPTION_TEXT, managed.key, "ETCD_KEY", .help = "its key"),
    ENV_ROW("pgvigil.etcd.ca", OPTION_TEXT, managed.ca, "ETCD_CA",
            .help = "managed etcd: CA of all members"),

    FILE_ROW("bootstrap.dcs", OPTION_TREE, bootstrap.dcs, .shape = OPTION_OBJECT,
             .help = "the dynamic settings that a new cluster begins with"),
    FILE_ROW("bootstrap.method", OPTION_TEXT, bootstrap.method, .fallback = "initdb",
             .help = "how a new cluster is made: initdb, or the section bootstrap.<method>"),
    FILE_ROW("bootstrap.initdb", OPTION_TREE, bootstrap.initdb,
             .help = "options of initdb: a list of texts and of one-key mappings"),
    FILE_ROW("bootstrap.post_bootstrap", OPTION_TEXT, bootstrap.post_bootstrap,
             .help = "command run once in the new cluster, with a connection string"),
    FILE_ROW("bootstrap.pg_hba", OPTION_LIST, bootstrap.pg_hba, .shape = OPTION_TEXTS,
             .max = LIMIT_HBA_LINES, .help = "lines of pg_hba for a new cluster"),
    IGNORED("bootstrap.users", "create roles in post_bootstrap"),

    ENV_ROW("postgresql.listen", OPTION_TEXT, postgresql.listen, "POSTGRESQL_LISTEN",
            .required = true, .help = "host[,host]:port that Postgres listens on"),
    ENV_ROW("postgresql.connect_address", OPTION_TEXT, postgresql.connect_address,
            "POSTGRESQL_CONNECT_ADDRESS", .required = true,
            .help = "host:port under which others reach it"),
    ENV_ROW("postgresql.data_dir", OPTION_TEXT, postgresql.data_dir, "POSTGRESQL_DATA_DIR",
            .required = true, .help = "the data directory, a subdirectory of its volume"),
    ENV_ROW("postgresql.bin_dir", OPTION_TEXT, postgresql.bin_dir, "POSTGRESQL_BIN_DIR",
            .help = "where postgres, initdb, pg_rewind … are; default: PATH"),
    ENV_ROW("postgresql.config_dir", OPTION_TEXT, postgresql.config_dir, "POSTGRESQL_CONFIG_DIR",
            .help = "where postgresql.conf is; default: data_dir"),
    ENV_ROW("postgresql.pgpass", OPTION_TEXT, postgresql.pgpass, "POSTGRESQL_PGPASS",
            .help = "password file that we write; default: <state_dir>/pgpass"),
    FILE_ROW("postgresql.database", OPTION_TEXT, postgresql.database, .fallback = "postgres",
             .help = "database of our own connections"),
    FILE_ROW("postgresql.custom_conf", OPTION_TEXT, postgresql.custom_conf,
             .help = "file that postgresql.conf includes in place of postgresql.base.conf"),
    FILE_ROW("postgresql.use_unix_socket", OPTION_BOOL, postgresql.use_unix_socket,
             .fallback = "false", .help = "our own connections use the socket"),
    IGNORED("postgresql.use_unix_socket_repl", "there are no replication connections to oneself"),
    LOGIN(superuser, "SUPERUSER", "postgres"),
    LOGIN(replication, "REPLICATION", "replicator"),
    LOGIN(rewind, "REWIND", NULL),
    FILE_ROW("postgresql.create_replica_methods", OPTION_LIST, postgresql.create_replica_methods,
             .fallback = "basebackup", .help = "tried in order until one succeeds"),
    FILE_ROW("postgresql.basebackup", OPTION_TREE, postgresql.basebackup,
             .help = "options of pg_basebackup"),
    IGNORED("postgresql.callbacks", "not built yet: no command of yours is run"),
    IGNORED("postgresql.pre_promote", "not built yet: no command of yours is run"),
    IGNORED("postgresql.before_stop", "not built yet: no command of yours is run"),
    IGNORED("postgresql.proxy_address", "not built yet"),
    IGNORED("postgresql.bin_name", "put differently named programs into bin_dir"),
    IGNORED("postgresql.krbsrvname", "not built yet"),
    FILE_ROW("tags", OPTION_TREE, tags, .shape = OPTION_OBJECT,
             .help =
                 "nofailover, failover_priority, nosync, sync_priority, clonefrom, "
                 "noloadbalance, and any of your own; replicatefrom and nostream have no effect"),

    IGNORED("log.traceback_level", "there are no tracebacks"),
    IGNORED("log.format", "the form of the lines is fixed"),
    IGNORED("log.dateformat", "the form of the lines is fixed"),
    IGNORED("log.max_queue_size", "lines that a full pipe refuses are dropped and counted"),
    IGNORED("log.dir", "the log goes to standard error"),
    IGNORED("log.file_num", "the log goes to standard error"),
    IGNORED("log.file_size", "the log goes to standard error"),
    IGNORED("log.mode", "the log goes to standard error"),
    IGNORED("log.loggers", "there is one logger"),
    IGNORED("log.static_fields", "not built"),
    IGNORED("log.deduplicate_heartbeat_logs", "only changes are logged"),
    IGNORED("watchdog", "the guard does its work (docs/design.md part 3)"),
    IGNORED("etcd", "etcd's old protocol is gone; the section is etcd3"),
    IGNORED("consul", "the store is etcd"),
    IGNORED("zookeeper", "the store is etcd"),
    IGNORED("exhibitor", "the store is etcd"),
    IGNORED("raft", "the store is etcd"),
    IGNORED("kubernetes", "the store is etcd; pods are labelled by pgvigil-controller"),
    IGNORED("citus", "not built"),
    IGNORED("thread_pool_size", "there are no threads"),
    IGNORED("thread_stack_size", "there are no threads"),

    STORE_ROW("ttl", OPTION_DURATION, ttl_s, .min = 3, .max = 3600, .fallback = "30",
              .help = "seconds that the leader key outlives its holder; 10 in a new cluster"),
    STORE_ROW("loop_wait", OPTION_DURATION, loop_wait_s, .min = 1, .fallback = "10",
              .help = "kept for Patroni's tools, not used"),
    STORE_ROW("retry_timeout", OPTION_DURATION, retry_timeout_s, .min = 3, .fallback = "10",
              .help = "kept for Patroni's tools, not used"),
    STORE_ROW("maximum_lag_on_failover", OPTION_BYTES, maximum_lag_on_failover,
              .fallback = "1048576",
              .help = "without synchronous mode: who lags more does not take over"),
    STORE_ROW("maximum_lag_on_syncnode", OPTION_BYTES, maximum_lag_on_syncnode, .min = -1,
              .fallback = "-1", .help = "a sync standby that lags more is replaced; -1: off"),
    IGNORED_STORE("check_timeline", "histories are always compared"),
    STORE_ROW("max_timelines_history", OPTION_INT, max_timelines_history, .fallback = "0",
              .help = "entries kept in /history; 0: all"),
    STORE_ROW("primary_start_timeout", OPTION_DURATION, primary_start_timeout_s, .fallback = "300",
              .help = "how long a crashed primary may recover before another "
                      "takes over; 0: at once"),
    IGNORED_STORE("primary_stop_timeout",
                  "not built yet: a stop takes as long as it takes, or until the lease ends"),
    STORE_ROW("synchronous_mode", OPTION_CHOICE, synchronous_mode, .choices = "off|on|quorum",
              .fallback = "off",
              .help = "on: a commit is acknowledged when the sync standby has "
                      "it; on in a new cluster; quorum is not built yet"),
    STORE_ROW("synchronous_mode_strict", OPTION_BOOL, synchronous_mode_strict, .fallback = "false",
              .help = "without a sync standby, writes wait"),
    STORE_ROW("synchronous_node_count", OPTION_INT, synchronous_node_count, .min = 1,
              .max = LIMIT_MEMBERS - 1, .fallback = "1", .help = "how many sync standbys"),
    STORE_ROW("failsafe_mode", OPTION_BOOL, failsafe_mode, .fallback = "false",
              .help = "without etcd the primary goes on while every member acknowledges it"),
    STORE_ROW("pause", OPTION_BOOL, pause, .fallback = "false",
              .help =
                  "maintenance: nobody is promoted, demoted or started; the primary outlives etcd"),
    STORE_ROW("member_slots_ttl", OPTION_DURATION, member_slots_ttl_s, .fallback = "30min",
              .help = "how long the slot of an absent member is kept"),
    IGNORED_STORE(
        "slots",
        "not built yet; PostgreSQL 17 synchronizes logical slots by itself (sync_replication_slots)"),
    IGNORED_STORE("ignore_slots", "only slots that were made here for members are dropped"),
    IGNORED_STORE("standby_cluster", "not built yet"),
    IGNORED_STORE("primary_race_backoff", "not needed: positions are compared"),

    BOTH_ROW("postgresql.use_slots", OPTION_BOOL, use_slots, .fallback = "true",
             .apply = OPTION_RELOAD, .help = "every member has a physical slot"),
    BOTH_ROW("postgresql.use_pg_rewind", OPTION_BOOL, use_pg_rewind, .fallback = "false",
             .apply = OPTION_LIVE, .help = "an old primary is rewound; true in a new cluster"),
    BOTH_ROW("postgresql.remove_data_directory_on_rewind_failure", OPTION_BOOL,
             clone_on_rewind_failure, .fallback = "false", .apply = OPTION_LIVE,
             .help = "where pg_rewind fails, data are removed and cloned again"),
    BOTH_ROW("postgresql.remove_data_directory_on_diverged_timelines", OPTION_BOOL,
             clone_on_divergence, .fallback = "false", .apply = OPTION_LIVE,
             .help = "where histories differ and pg_rewind is off, likewise"),
    { .path = "postgresql.pg_ctl_timeout",
      .where = OPTION_FILE | OPTION_STORE,
      .unsupported = true,
      .help = "recovery takes as long as it takes; see primary_start_timeout" },
    BOTH_ROW("postgresql.parameters", OPTION_TREE, parameters, .shape = OPTION_OBJECT,
             .apply = OPTION_RELOAD, .help = "parameters of PostgreSQL; null removes one"),
    BOTH_ROW("postgresql.pg_hba", OPTION_LIST, pg_hba, .shape = OPTION_TEXTS,
             .max = LIMIT_HBA_LINES, .apply = OPTION_RELOAD,
             .help = "all lines of pg_hba.conf; none: the file is left alone"),
    BOTH_ROW("postgresql.pg_ident", OPTION_LIST, pg_ident, .shape = OPTION_TEXTS,
             .max = LIMIT_HBA_LINES, .apply = OPTION_RELOAD, .help = "all lines of pg_ident.conf"),
    BOTH_ROW("postgresql.recovery_conf", OPTION_TREE, recovery_conf, .shape = OPTION_OBJECT,
             .apply = OPTION_RELOAD, .help = "restore_command and its like"),
};

/* clang-format on */

static const size_t n_rows = sizeof(rows) / sizeof(rows[0]);

static size_t first_setting(void)
{
    size_t i = 0;
    while (!(rows[i].where & OPTION_STORE))
        i++;
    return i;
}

struct option_table option_table(void)
{
    return (struct option_table){ .rows = rows, .n = n_rows };
}

struct option_table config_options(void)
{
    return (struct option_table){ .rows = rows, .n = first_setting() };
}

struct option_table settings_options(void)
{
    size_t first = first_setting();
    return (struct option_table){ .rows = rows + first, .n = n_rows - first };
}
