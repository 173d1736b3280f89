#pragma once
/* Where a configuration comes from: files and the environment, as one JSON tree. */
#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* A file, or a directory whose *.yml and *.yaml are merged in the order of their names. New
 * reference. Errors: ERR_NOT_FOUND, ERR_SYSTEM, ERR_INVALID, ERR_LIMIT. */
enum err_code config_read_files(const char *path, json_t **ret_tree, struct err *err);
/* YAML from PGVIGIL_CONFIGURATION or PATRONI_CONFIGURATION; an empty object when neither is set. */
enum err_code config_read_variable(json_t **ret_tree, struct err *err);
/* Puts the variables of the option table over the tree; `unset` removes them. */
enum err_code config_read_environment(json_t *tree, bool unset, struct err *err);
/* Gives keys their present names where an older one is used. */
void config_rename_aliases(json_t *tree);
/* An object section of the tree, made when it is missing or null; NULL when it is something else.
 * Borrowed. */
json_t *config_section(json_t *parent, const char *key, size_t key_len);
