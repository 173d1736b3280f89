#include "settings/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/mem.h"
#include "settings/yaml_scalar.h"
#include "json/json.h"

/* Aliases can make a small file mean a large tree. */
enum { YAML_DEPTH = 32, YAML_NODES = 20000 };

struct reading {
    yaml_document_t *document;
    const char *name;
    size_t nodes;
};

static enum err_code convert(struct reading *reading, int index, int depth, json_t **ret,
                             struct err *err);

static enum err_code complain(const struct reading *reading, const yaml_node_t *node,
                              enum err_code code, const char *what, struct err *err)
{
    return err_set(err, code, "%s: line %zu, column %zu: %s", reading->name,
                   node->start_mark.line + 1, node->start_mark.column + 1, what);
}

static enum err_code convert_sequence(struct reading *reading, const yaml_node_t *node, int depth,
                                      json_t *array, struct err *err)
{
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        json_t *value = NULL;
        enum err_code code = convert(reading, *item, depth + 1, &value, err);
        if (code != ERR_OK)
            return code;
        json_array_append_new(array, value);
    }
    return ERR_OK;
}

/* "<<": what the mapping says itself goes over what it merges. */
static enum err_code merge(const struct reading *reading, const yaml_node_t *node, json_t *object,
                           json_t *value, struct err *err)
{
    json_t *part;
    size_t i;
    if (json_is_object(value)) {
        json_object_update_missing(object, value);
        return ERR_OK;
    }
    json_array_foreach (value, i, part) {
        if (!json_is_object(part))
            return complain(reading, node, ERR_INVALID, "<< wants mappings", err);
        json_object_update_missing(object, part);
    }
    if (!json_is_array(value))
        return complain(reading, node, ERR_INVALID, "<< wants a mapping", err);
    return ERR_OK;
}

static enum err_code convert_pair(struct reading *reading, const yaml_node_pair_t *pair, int depth,
                                  json_t *object, json_t *merged, struct err *err)
{
    const yaml_node_t *key = yaml_document_get_node(reading->document, pair->key);
    auto_json json_t *value = NULL;

    if (key->type != YAML_SCALAR_NODE)
        return complain(reading, key, ERR_INVALID, "a key must be a plain text", err);
    enum err_code code = convert(reading, pair->value, depth + 1, &value, err);
    if (code != ERR_OK)
        return code;
    const char *name = (const char *)key->data.scalar.value;
    if (strlen(name) != key->data.scalar.length)
        return complain(reading, key, ERR_INVALID, "a key with a zero byte", err);
    if (strcmp(name, "<<") == 0 && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return merge(reading, key, merged, value, err);
    if (json_object_get(object, name) != NULL)
        return err_set(err, ERR_INVALID,
                       "%s: line %zu, column %zu: the key %.*s is there twice: remove one of them",
                       reading->name, key->start_mark.line + 1, key->start_mark.column + 1,
                       LIMIT_NAME, name);
    json_object_set(object, name, value);
    return ERR_OK;
}

static enum err_code convert_mapping(struct reading *reading, const yaml_node_t *node, int depth,
                                     json_t *object, struct err *err)
{
    auto_json json_t *merged = json_object();
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        enum err_code code = convert_pair(reading, pair, depth, object, merged, err);
        if (code != ERR_OK)
            return code;
    }
    json_object_update_missing(object, merged);
    return ERR_OK;
}

static enum err_code convert_scalar(const struct reading *reading, const yaml_node_t *node,
                                    json_t **ret, struct err *err)
{
    const char *text = (const char *)node->data.scalar.value;
    size_t len = node->data.scalar.length;
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    json_t *value = plain ? yaml_scalar(text) : json_stringn(text, len);
    if (value == NULL || strlen(text) != len) {
        json_decref(value);
        return complain(reading, node, ERR_INVALID, "a text with a zero byte or not UTF-8", err);
    }
    *ret = value;
    return ERR_OK;
}

static enum err_code convert(struct reading *reading, int index, int depth, json_t **ret,
                             struct err *err)
{
    yaml_node_t *node = yaml_document_get_node(reading->document, index);
    auto_json json_t *value = NULL;
    enum err_code code = ERR_OK;

    if (depth > YAML_DEPTH)
        return complain(reading, node, ERR_LIMIT, "nested too deeply", err);
    if (++reading->nodes > YAML_NODES)
        return complain(reading, node, ERR_LIMIT, "too many values (aliases?)", err);
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return convert_scalar(reading, node, ret, err);
    case YAML_SEQUENCE_NODE:
        value = json_array();
        code = convert_sequence(reading, node, depth, value, err);
        break;
    case YAML_MAPPING_NODE:
        value = json_object();
        code = convert_mapping(reading, node, depth, value, err);
        break;
    case YAML_NO_NODE:
        value = json_null();
        break;
    }
    if (code == ERR_OK)
        *ret = take(value);
    return code;
}

static enum err_code convert_document(yaml_document_t *document, const char *name,
                                      json_t **ret_tree, struct err *err)
{
    struct reading reading = { .document = document, .name = name };
    if (yaml_document_get_root_node(document) == NULL) {
        *ret_tree = json_object();
        return ERR_OK;
    }
    return convert(&reading, 1, 0, ret_tree, err); /* the root is node 1 */
}

/* A byte that is no text at all: libyaml tells its offset and no line. */
static size_t line_of(const yaml_parser_t *parser, const char *bytes, size_t len)
{
    size_t line = parser->problem_mark.line;
    for (size_t i = 0; parser->error == YAML_READER_ERROR && i < len && i < parser->problem_offset;
         i++)
        line += bytes[i] == '\n';
    return line + 1;
}

static enum err_code parser_error(const yaml_parser_t *parser, const char *name, size_t line,
                                  struct err *err)
{
    return err_set(
        err, ERR_INVALID, "%s: line %zu, column %zu: %s%s%s", name, line,
        parser->problem_mark.column + 1, parser->problem == NULL ? "not YAML" : parser->problem,
        parser->context == NULL ? "" : " ", parser->context == NULL ? "" : parser->context);
}

/* What follows "---" would be read by nobody. */
static enum err_code check_end(yaml_parser_t *parser, const char *name, struct err *err)
{
    yaml_document_t next;
    enum err_code code = ERR_OK;
    if (!yaml_parser_load(parser, &next))
        return parser_error(parser, name, parser->problem_mark.line + 1, err);
    if (yaml_document_get_root_node(&next) != NULL)
        code = err_set(err, ERR_INVALID, "%s: line %zu: a second document (---): one is expected",
                       name, next.start_mark.line + 1);
    yaml_document_delete(&next);
    return code;
}

enum err_code yaml_parse(const char *bytes, size_t len, const char *name, json_t **ret_tree,
                         struct err *err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    enum err_code code;

    if (len > LIMIT_FILE)
        return err_set(err, ERR_LIMIT, "%s: longer than %d bytes", name, LIMIT_FILE);
    if (!yaml_parser_initialize(&parser))
        return err_set(err, ERR_SYSTEM, "%s: libyaml does not start", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
    if (yaml_parser_load(&parser, &document)) {
        code = check_end(&parser, name, err);
        if (code == ERR_OK)
            code = convert_document(&document, name, ret_tree, err);
        yaml_document_delete(&document);
    } else {
        code = parser_error(&parser, name, line_of(&parser, bytes, len), err);
    }
    yaml_parser_delete(&parser);
    return code;
}
