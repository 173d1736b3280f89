#pragma once
/* Tags as JSON: the `tags` section of the configuration and of a member key (patroni-compat 1.8). */
#include <jansson.h>

#include "base/err.h"
#include "cluster/tags.h"

/* `object` is borrowed; NULL or null: the defaults. Built-in tags are read as Patroni does (a text
 * "true" is true); nofailover and nosync win over the priorities when they are given. What is
 * published later keeps order and types; built-in booleans that are false are left out.
 * Errors: ERR_PROTOCOL (not an object), ERR_LIMIT (too many, too long). */
enum err_code tags_from_json(const json_t *object, struct tags *ret_tags, struct err *err);
/* What a person wrote for this node: a built-in tag of another kind would be read as something that
 * nobody meant. `object` may be NULL. Error: ERR_INVALID. */
enum err_code tags_check(const json_t *object, struct err *err);
/* New reference; NULL when there is nothing to publish. */
json_t *tags_to_json(const struct tags *tags);
/* Does the tag exist and match as text (filter `tag_<name>=<value>` of the health checks)? Values
 * that are no texts are compared in lower case: true, 3. */
bool tags_match(const struct tags *tags, const char *name, const char *value);
