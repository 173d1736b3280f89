/* YAML as a person writes it: settings (y), and a whole configuration (c data node, w witness). */
#include "fuzz.h"
#include "settings/config.h"
#include "settings/settings.h"
#include "settings/yaml.h"

/* What show-config prints and edit-config reads back must be the same tree. */
static void fuzz_yaml(const char *bytes, size_t len)
{
    json_t *tree = NULL;
    json_t *again = NULL;
    struct err err;
    if (yaml_parse(bytes, len, "fuzz", &tree, &err) != ERR_OK)
        return;
    struct text text = text_new((size_t)16 << 20);
    yaml_write(&text, tree);
    FUZZ_HOLDS(text.overflow ||
               yaml_parse(text_str(&text), text.len, "again", &again, &err) == ERR_OK);
    FUZZ_HOLDS(text.overflow || json_equal(tree, again));
    text_done(&text);
    json_decref(tree);
    json_decref(again);
}

static void fuzz_config(const char *bytes, bool witness)
{
    struct config *config = NULL;
    struct settings *settings = NULL;
    struct err err;
    struct text warnings = text_new(1 << 16);
    (void)setenv("PGVIGIL_CONFIGURATION", bytes, 1);
    if (config_load(NULL, witness, false, &config, &warnings, &err) == ERR_OK) {
        json_t *first = settings_default_config(config);
        if (settings_new(first, config, &settings, &warnings, &err) == ERR_OK)
            settings_free(settings);
        json_decref(first);
        config_free(config);
    }
    text_done(&warnings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *bytes = fuzz_text(data + 1, size - 1);
    if (data[0] == 'y')
        fuzz_yaml(bytes, size - 1);
    else if (data[0] == 'c' || data[0] == 'w')
        fuzz_config(bytes, data[0] == 'w');
    free(bytes);
    return 0;
}
