#pragma once
/* What a plain YAML scalar means. */
#include <jansson.h>

/* New reference: null, boolean, number or text, as PyYAML resolves it, with two differences that lose
 * nothing: numbers with a leading zero (file modes, passwords) and base-60 numbers stay texts.
 * NULL: not UTF-8. */
json_t *yaml_scalar(const char *text);
