#pragma once
/* Options of initdb and pg_basebackup as Patroni's configuration writes them: a list of texts and
 * one-key objects, or one object (patroni-compat 1.2); and argument vectors made of them. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

struct arguments {
    size_t n;
    char *item[LIMIT_ARGV + 1]; /* NULL-terminated */
};

void arguments_add(struct arguments *arguments, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void arguments_done(struct arguments *arguments);

/* psql, which prints the bare columns of one answer: a|b. */
void arguments_add_question(struct arguments *arguments, const char *conninfo, const char *sql);
/* Adds --name or --name=value for each; those in `refused` (NULL-terminated) are left out. */
void arguments_add_options(struct arguments *arguments, const json_t *options,
                           const char *const *refused);
/* Adds --name=value for each key of a user's method, but for those in `refused`. */
void arguments_add_section(struct arguments *arguments, const json_t *section,
                           const char *const *refused);
