#pragma once
/* The raw keys of a prefix, sorted by name, each with the revision that it was last heard of at.
 * Words may come twice and out of order (own writes, reads and the watch run side by side): only a
 * newer one changes anything. A deleted key stays as a gravestone until nothing older can come. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "etcd/kv.h"

struct etcd_entry {
    char *name;  /* without the prefix */
    char *value; /* 0-terminated; NULL: deleted at mod_revision */
    size_t len;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t lease;
    bool complained; /* its content was found bad and that was logged */
    bool confirmed;  /* by the snapshot that is being taken */
};

struct etcd_table {
    size_t n;
    size_t room;
    struct etcd_entry *entries;
};

void etcd_table_done(struct etcd_table *table);

/* NULL when it is not there (never heard of, or deleted). Borrowed until the next change. */
struct etcd_entry *etcd_table_find(const struct etcd_table *table, const char *name);
/* When it was last heard of, also as deleted; 0: never. */
int64_t etcd_table_revision(const struct etcd_table *table, const char *name);
/* The first existing entry whose name begins with `prefix` and is greater than `after`. */
struct etcd_entry *etcd_table_next(const struct etcd_table *table, const char *prefix,
                                   const char *after);

/* A key as of a revision, `key` without the prefix. create_revision 0: not said; kept where the key exists, else
 * `mod_revision`. True: this was news. False as well when the table is full (LIMIT_KEYS): see
 * etcd_table_full. */
bool etcd_table_put(struct etcd_table *table, const struct etcd_kv *kv);
bool etcd_table_delete(struct etcd_table *table, const char *name, int64_t revision);
bool etcd_table_full(const struct etcd_table *table);

/* A snapshot of the whole prefix as of `revision`: begin, put each key, end. What it does not hold
 * and what is not newer was deleted. True: something was. */
void etcd_table_begin(struct etcd_table *table);
bool etcd_table_end(struct etcd_table *table, int64_t revision);

/* Nothing older than `revision` can come any more: gravestones up to it are removed. */
void etcd_table_settle(struct etcd_table *table, int64_t revision);
