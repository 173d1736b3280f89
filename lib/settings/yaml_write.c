#include <assert.h>
#include <string.h>
#include <yaml.h>

#include "base/clean.h"
#include "settings/yaml.h"
#include "settings/yaml_scalar.h"
#include "json/json.h"

static int append(void *to, unsigned char *bytes, size_t size)
{
    text_add_bytes(to, bytes, size);
    return 1;
}

static void emit(yaml_emitter_t *emitter, yaml_event_t *event)
{
    int done = yaml_emitter_emit(emitter, event);
    assert(done);
    (void)done;
}

static void emit_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t event;
    yaml_scalar_event_initialize(&event, NULL, NULL, (const unsigned char *)text, (int)strlen(text),
                                 1, 1, style);
    emit(emitter, &event);
}

/* A text that would be read back as something else is quoted. */
static void emit_string(yaml_emitter_t *emitter, const char *text)
{
    auto_json json_t *read_back = yaml_scalar(text);
    bool quote = !json_is_string(read_back) || strcmp(text, "<<") == 0;
    emit_scalar(emitter, text, quote ? YAML_SINGLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE);
}

static void emit_value(yaml_emitter_t *emitter, const json_t *value);

static void emit_array(yaml_emitter_t *emitter, const json_t *array)
{
    yaml_event_t event;
    const json_t *item;
    size_t i;
    yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE);
    emit(emitter, &event);
    json_array_foreach (array, i, item)
        emit_value(emitter, item);
    yaml_sequence_end_event_initialize(&event);
    emit(emitter, &event);
}

static void emit_object(yaml_emitter_t *emitter, const json_t *object)
{
    yaml_event_t event;
    const char *key;
    json_t *value;
    yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
    emit(emitter, &event);
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        emit_string(emitter, key);
        emit_value(emitter, value);
    }
    yaml_mapping_end_event_initialize(&event);
    emit(emitter, &event);
}

static void emit_number(yaml_emitter_t *emitter, const json_t *value)
{
    auto_text struct text number = text_new(64);
    json_write(&number, value);
    emit_scalar(emitter, text_str(&number), YAML_PLAIN_SCALAR_STYLE);
}

static void emit_value(yaml_emitter_t *emitter, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        emit_object(emitter, value);
        return;
    case JSON_ARRAY:
        emit_array(emitter, value);
        return;
    case JSON_STRING:
        emit_string(emitter, json_string_value(value));
        return;
    case JSON_INTEGER:
    case JSON_REAL:
        emit_number(emitter, value);
        return;
    case JSON_TRUE:
        emit_scalar(emitter, "true", YAML_PLAIN_SCALAR_STYLE);
        return;
    case JSON_FALSE:
        emit_scalar(emitter, "false", YAML_PLAIN_SCALAR_STYLE);
        return;
    case JSON_NULL:
        emit_scalar(emitter, "null", YAML_PLAIN_SCALAR_STYLE);
        return;
    }
}

void yaml_write(struct text *to, const json_t *tree)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    yaml_emitter_initialize(&emitter);
    yaml_emitter_set_output(&emitter, append, to);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, 200);
    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
    emit(&emitter, &event);
    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
    emit(&emitter, &event);
    emit_value(&emitter, tree);
    yaml_document_end_event_initialize(&event, 1);
    emit(&emitter, &event);
    yaml_stream_end_event_initialize(&event);
    emit(&emitter, &event);
    yaml_emitter_delete(&emitter);
}
