#pragma once
/* What lies on the pod's volumes for etcd's sake (E1): etcd's data, PGDATA, the mark on both volumes.
 * Everything happens in the pool, one thing at a time. */
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "loop/loop.h"
#include "settings/config.h"

/* <parent of etcd's data>/pgvigil/mark.json, and <state_dir>/mark.json on data nodes. */
struct member_mark {
    uint64_t cluster_id;
    uint64_t member_id;
    int64_t generation; /* E4: how often the quorum was made anew */
};

struct member_disk_facts {
    bool data; /* etcd has a write-ahead log */
    bool pgdata;
    bool mark;                  /* on any volume, readable or not */
    bool complete;              /* on every volume, and the same */
    struct member_mark is;      /* as far as readable: etcd's volume before Postgres's */
    char trouble[LIMIT_REASON]; /* "": none */
};

enum member_disk_job {
    MEMBER_DISK_SCAN,
    MEMBER_DISK_MARK,      /* writes the mark everywhere */
    MEMBER_DISK_FORGET,    /* removes the marks, on a person's order */
    MEMBER_DISK_SET_ASIDE, /* renames etcd's data */
};

struct member_disk;

/* `changed` after each job; every job ends with a scan. */
struct member_disk *member_disk_new(struct loop *loop, const struct config *config,
                                    loop_fn *changed, void *arg);
struct member_disk *member_disk_free(struct member_disk *disk);

bool member_disk_busy(const struct member_disk *disk);
/* NULL before the first scan. */
const struct member_disk_facts *member_disk_facts(const struct member_disk *disk);
/* Does nothing while busy. `mark` for MARK only. */
void member_disk_run(struct member_disk *disk, enum member_disk_job kind,
                     const struct member_mark *mark);
/* For tests: the same without pool. */
void member_disk_scan(const struct config *config, struct member_disk_facts *ret_facts);
