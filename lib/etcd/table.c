#include "etcd/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

static void entry_done(struct etcd_entry *entry)
{
    free(entry->name);
    free(entry->value);
}

void etcd_table_done(struct etcd_table *table)
{
    for (size_t entry = 0; entry < table->n; entry++)
        entry_done(&table->entries[entry]);
    free(table->entries);
    *table = (struct etcd_table){ 0 };
}

/* The position of the first entry that is not less than `name`. */
static size_t lower_bound(const struct etcd_table *table, const char *name)
{
    size_t low = 0;
    size_t high = table->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(table->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Existing or gravestone. */
static struct etcd_entry *find_any(const struct etcd_table *table, const char *name)
{
    size_t at = lower_bound(table, name);
    if (at == table->n || strcmp(table->entries[at].name, name) != 0)
        return NULL;
    return &table->entries[at];
}

struct etcd_entry *etcd_table_find(const struct etcd_table *table, const char *name)
{
    struct etcd_entry *entry = find_any(table, name);
    return entry != NULL && entry->value != NULL ? entry : NULL;
}

int64_t etcd_table_revision(const struct etcd_table *table, const char *name)
{
    const struct etcd_entry *entry = find_any(table, name);
    return entry != NULL ? entry->mod_revision : 0;
}

struct etcd_entry *etcd_table_next(const struct etcd_table *table, const char *prefix,
                                   const char *after)
{
    const char *from = strcmp(after, prefix) < 0 ? prefix : after;
    for (size_t at = lower_bound(table, from); at < table->n; at++) {
        struct etcd_entry *entry = &table->entries[at];
        if (!text_starts_with(entry->name, prefix))
            return NULL;
        if (entry->value != NULL && strcmp(entry->name, after) > 0)
            return entry;
    }
    return NULL;
}

bool etcd_table_full(const struct etcd_table *table)
{
    return table->n >= LIMIT_KEYS;
}

static struct etcd_entry *insert(struct etcd_table *table, const char *name)
{
    if (etcd_table_full(table))
        return NULL;
    if (table->n == table->room) {
        table->room = table->room == 0 ? 32 : table->room * 2;
        table->entries = mem_grow(table->entries, table->room * sizeof(*table->entries));
    }
    size_t at = lower_bound(table, name);
    memmove(&table->entries[at + 1], &table->entries[at],
            (table->n - at) * sizeof(*table->entries));
    table->n++;
    table->entries[at] = (struct etcd_entry){ .name = mem_strdup(name) };
    return &table->entries[at];
}

bool etcd_table_put(struct etcd_table *table, const struct etcd_kv *kv)
{
    struct etcd_entry *entry = find_any(table, kv->key);
    if (entry == NULL)
        entry = insert(table, kv->key);
    if (entry == NULL)
        return false;
    entry->confirmed = true;
    if (entry->mod_revision >= kv->mod_revision)
        return false;
    int64_t create = kv->create_revision;
    if (create == 0)
        create = entry->value != NULL ? entry->create_revision : kv->mod_revision;
    free(entry->value);
    entry->value = mem_strndup(kv->value, kv->value_len);
    entry->len = kv->value_len;
    entry->create_revision = create;
    entry->mod_revision = kv->mod_revision;
    entry->lease = kv->lease;
    entry->complained = false;
    return true;
}

static void bury(struct etcd_entry *entry, int64_t revision)
{
    free(entry->value);
    entry->value = NULL;
    entry->len = 0;
    entry->create_revision = 0;
    entry->lease = 0;
    entry->mod_revision = revision;
}

bool etcd_table_delete(struct etcd_table *table, const char *name, int64_t revision)
{
    struct etcd_entry *entry = find_any(table, name);
    if (entry == NULL || entry->mod_revision >= revision)
        return false;
    bool existed = entry->value != NULL;
    bury(entry, revision);
    return existed;
}

void etcd_table_begin(struct etcd_table *table)
{
    for (size_t entry = 0; entry < table->n; entry++)
        table->entries[entry].confirmed = false;
}

bool etcd_table_end(struct etcd_table *table, int64_t revision)
{
    bool deleted = false;
    for (size_t at = 0; at < table->n; at++) {
        struct etcd_entry *entry = &table->entries[at];
        if (entry->confirmed || entry->value == NULL || entry->mod_revision > revision)
            continue;
        bury(entry, revision);
        deleted = true;
    }
    return deleted;
}

void etcd_table_settle(struct etcd_table *table, int64_t revision)
{
    size_t kept = 0;
    for (size_t at = 0; at < table->n; at++) {
        struct etcd_entry entry = table->entries[at];
        if (entry.value == NULL && entry.mod_revision <= revision)
            entry_done(&entry);
        else
            table->entries[kept++] = entry;
    }
    table->n = kept;
}
