#pragma once
/* YAML to a JSON tree, so that everything behind works on one kind of tree. Plain scalars are typed
 * as PyYAML does it (YAML 1.1: on, off, yes, no are booleans, ~ is null, 010 is octal); quoted ones are
 * texts. Anchors and aliases are followed; "<<" merges. One document;
 * a key that a mapping has twice is an error: the one that is read last would win in silence. */
#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"

/* New reference; an empty document is an empty object. `name` is for the message.
 * Errors: ERR_INVALID with line and column, ERR_LIMIT (nesting, size). */
enum err_code yaml_parse(const char *bytes, size_t len, const char *name, json_t **ret_tree,
                         struct err *err);

/* A block-style document, keys in their order: what `pgvigilctl show-config` prints. */
void yaml_write(struct text *to, const json_t *tree);
