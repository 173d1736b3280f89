#include "sidecar/etcd_member/etcd_argv.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum {
    QUICK_TTL_MS = 6000, /* part 3: below it, elections must be quicker too */
    SNAPSHOT_COUNT = 10000,
};

const struct config_member *etcd_argv_self(const struct config_managed_etcd *managed)
{
    for (size_t at = 0; managed->name != NULL && at < managed->n; at++) {
        if (strcmp(managed->members[at].name, managed->name) == 0)
            return &managed->members[at];
    }
    return NULL;
}

/* "scheme://host:port" and more; false when it is not that. */
static bool split_url(const char *url, size_t *ret_host, size_t *ret_host_len)
{
    const char *host = strstr(url, "://");
    if (host == NULL)
        return false;
    host += strlen("://");
    const char *end = host[0] == '[' ? strchr(host, ']') : NULL;
    end = end != NULL ? end + 1 : host + strcspn(host, ":/");
    *ret_host = (size_t)(host - url);
    *ret_host_len = (size_t)(end - host);
    return true;
}

static bool is_address(const char *host, size_t len)
{
    char name[LIMIT_URL];
    struct in_addr v4;
    bool v6 = len > 2 && host[0] == '[';
    if (v6 || len == 0 || len >= sizeof(name))
        return v6;
    memcpy(name, host, len);
    name[len] = '\0';
    return inet_pton(AF_INET, name, &v4) == 1;
}

/* Go takes an unspecified address, of whichever family, for both of them, and for the one that there is
 * where the kernel has only one: on nodes without IPv6 this listens, and [::] would not. */
void etcd_listen_url(const char *url, char ret_listen[LIMIT_URL])
{
    size_t host = 0;
    size_t len = 0;
    if (!split_url(url, &host, &len) || is_address(url + host, len)) {
        (void)text_copy(ret_listen, LIMIT_URL, url);
        return;
    }
    const char *rest = url + host + len;
    (void)snprintf(ret_listen, LIMIT_URL, "%.*s0.0.0.0%s", (int)host, url, rest);
}

__attribute__((format(printf, 2, 3))) static void add(struct etcd_argv *argv, const char *format,
                                                      ...)
{
    assert(argv->n < LIMIT_ARGV);
    struct text word = text_new(LIMIT_FRAME);
    va_list args;
    va_start(args, format);
    text_vaddf(&word, format, args);
    va_end(args);
    argv->word[argv->n++] = text_take(&word);
    argv->word[argv->n] = NULL;
}

static void add_urls(struct etcd_argv *argv, const struct config_member *self)
{
    char listen[LIMIT_URL];
    etcd_listen_url(self->client_url, listen);
    add(argv, "--listen-client-urls=%s", listen);
    add(argv, "--advertise-client-urls=%s", self->client_url);
    etcd_listen_url(self->peer_url, listen);
    add(argv, "--listen-peer-urls=%s", listen);
    add(argv, "--initial-advertise-peer-urls=%s", self->peer_url);
}

static void add_begin(struct etcd_argv *argv, const struct etcd_argv_spec *spec,
                      const struct config_member *self)
{
    if (spec->begin == ETCD_BEGIN_JOIN) {
        add(argv, "--initial-cluster=%s", spec->initial_cluster);
        add(argv, "--initial-cluster-state=existing");
        return;
    }
    /* With data etcd looks at none of these but checks that its own name is in the list. */
    add(argv, "--initial-cluster=%s=%s", self->name, self->peer_url);
    add(argv, "--initial-cluster-state=%s", spec->begin == ETCD_BEGIN_NEW ? "new" : "existing");
    if (spec->begin == ETCD_BEGIN_NEW)
        add(argv, "--initial-cluster-token=%s", spec->token);
    if (spec->begin == ETCD_BEGIN_FORCE)
        add(argv, "--force-new-cluster");
}

static void add_tls(struct etcd_argv *argv, const struct config_managed_etcd *managed)
{
    if (managed->cert == NULL)
        return;
    add(argv, "--cert-file=%s", managed->cert);
    add(argv, "--peer-cert-file=%s", managed->cert);
    if (managed->key != NULL) {
        add(argv, "--key-file=%s", managed->key);
        add(argv, "--peer-key-file=%s", managed->key);
    }
    if (managed->ca == NULL)
        return;
    add(argv, "--trusted-ca-file=%s", managed->ca);
    add(argv, "--peer-trusted-ca-file=%s", managed->ca);
    add(argv, "--client-cert-auth");
    add(argv, "--peer-client-cert-auth");
}

/* E5, and the pace of elections of part 3. fsync stays on. */
static void add_upkeep(struct etcd_argv *argv, const struct etcd_argv_spec *spec)
{
    bool quick = spec->ttl_ms < QUICK_TTL_MS;
    add(argv, "--heartbeat-interval=%d", quick ? 50 : 100);
    add(argv, "--election-timeout=%d", quick ? 500 : 1000);
    add(argv, "--auto-compaction-mode=periodic");
    add(argv, "--auto-compaction-retention=10m");
    add(argv, "--quota-backend-bytes=%d", ETCD_QUOTA_BYTES);
    add(argv, "--snapshot-count=%d", SNAPSHOT_COUNT);
    add(argv, "--log-level=warn");
    if (spec->learners_option != NULL)
        add(argv, "%s=2", spec->learners_option);
}

void etcd_argv_build(const struct etcd_argv_spec *spec, struct etcd_argv *ret_argv)
{
    const struct config_member *self = etcd_argv_self(spec->managed);
    assert(self != NULL);
    *ret_argv = (struct etcd_argv){ 0 };
    add(ret_argv, "%s", spec->program);
    add(ret_argv, "--name=%s", self->name);
    add(ret_argv, "--data-dir=%s", spec->managed->data_dir);
    add_urls(ret_argv, self);
    add_begin(ret_argv, spec, self);
    add_upkeep(ret_argv, spec);
    add_tls(ret_argv, spec->managed);
}

void etcd_argv_done(struct etcd_argv *argv)
{
    for (size_t at = 0; at < argv->n; at++)
        free(argv->word[at]);
    *argv = (struct etcd_argv){ 0 };
}

size_t etcd_env(char *const *from, const char *ret_env[ETCD_ENV_MAX + 1])
{
    static const char *const foreign[] = { "ETCD_", "PATRONI_", "PGVIGIL_", "PG" };
    size_t n = 0;
    for (; *from != NULL && n < ETCD_ENV_MAX; from++) {
        bool drop = false;
        for (size_t at = 0; at < sizeof(foreign) / sizeof(foreign[0]); at++)
            drop = drop || text_starts_with(*from, foreign[at]);
        if (!drop)
            ret_env[n++] = *from;
    }
    ret_env[n] = NULL;
    return n;
}
