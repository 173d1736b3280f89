/* The life of the table: one read of the prefix, then a watch from there on, and beside it every ttl/4
 * a look at the revisions of all keys on the same endpoint, which has to answer within ttl/8.
 *
 *     READING --answer--> WATCHING --lost, silent or behind--> READING on the next endpoint
 */
#include "sidecar/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "etcd/kv.h"
#include "etcd/watch.h"
#include "sidecar/observe/cluster_internal.h"

enum {
    READ_MIN_MS = 300, /* what one read may take at least, however short the ttl */
    PAUSE_MS = 100,    /* between two tries that failed at once */
    BEHIND_MS = 500,   /* what the watch may lag behind a read beside it */
};

static int64_t at_least(int64_t value_ms, int64_t least_ms)
{
    return value_ms > least_ms ? value_ms : least_ms;
}

static void tell(struct cluster *cluster)
{
    source_trigger(cluster->changed);
}

/* --- the table --- */

static const char *short_name(const struct cluster *cluster, const char *key)
{
    size_t len = strlen(cluster->prefix);
    return strncmp(key, cluster->prefix, len) == 0 ? key + len : NULL;
}

static bool take_kv(struct cluster *cluster, const struct etcd_kv *kv)
{
    const char *name = short_name(cluster, kv->key);
    if (name == NULL || *name == '\0')
        return false;
    char *copy = mem_strdup(name);
    bool news = cluster_table_put(&cluster->table, &(struct cluster_entry){
                                                       .name = copy,
                                                       .value = take_const(kv->value),
                                                       .len = kv->value_len,
                                                       .create_revision = kv->create_revision,
                                                       .mod_revision = kv->mod_revision,
                                                       .lease = kv->lease,
                                                   });
    free(copy);
    return news;
}
