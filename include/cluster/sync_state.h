#pragma once
/* The content of /sync: who has every acknowledged commit (S1). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

/* A set of member names, sorted, without duplicates; compared without regard to case (Patroni). */
struct names {
    size_t n;
    char name[LIMIT_MEMBERS][LIMIT_NAME];
};

void names_add(struct names *names, const char *name); /* ignores one too many: see names_full */
void names_remove(struct names *names, const char *name);
bool names_has(const struct names *names, const char *name);
bool names_equal(const struct names *a, const struct names *b);
bool names_covers(const struct names *set, const struct names *subset);
bool names_full(const struct names *names);
/* "a,b", at most `size` bytes; returns the buffer. */
const char *names_join(const struct names *names, char *buffer, size_t size);

struct sync_state {
    bool exists;
    char leader[LIMIT_NAME]; /* "" when null */
    struct names standbys;
    int quorum;
    int64_t mod_revision; /* 0 when the key does not exist */
};

/* Synchronous mode is in force when /sync names a leader, whatever `config` says (design part 4). */
bool sync_in_force(const struct sync_state *sync);
/* Named as leader or standby. */
bool sync_names(const struct sync_state *sync, const char *member);

/* synchronous_standby_names as PostgreSQL text (patroni-compat 1.6), and back. */
void ssn_format(const struct names *names, char ret_ssn[LIMIT_SSN]);

enum ssn_kind {
    SSN_EMPTY,   /* commits wait for nobody */
    SSN_NOBODY,  /* the name that nobody has: commits wait for ever (S2) */
    SSN_NAMES,   /* ours: the names are in ret_names */
    SSN_FOREIGN, /* anything that we do not write */
};
#define SSN_NOBODY_NAME "pgvigil_nobody"
enum ssn_kind ssn_parse(const char *ssn, struct names *ret_names);
