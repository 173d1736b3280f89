#include "settings/option.h"

#include <assert.h>
#include <string.h>

#include "base/clean.h"
#include "base/limits.h"
#include "json/json.h"

const struct option *option_find(struct option_table table, const char *path)
{
    for (size_t i = 0; i < table.n; i++)
        if (strcmp(table.rows[i].path, path) == 0)
            return &table.rows[i];
    return NULL;
}

void option_set_defaults(struct option_table table, void *base)
{
    for (size_t i = 0; i < table.n; i++) {
        enum err_code code = option_set(&table.rows[i], base, NULL, NULL);
        assert(code == ERR_OK); /* the table's own defaults are good */
        (void)code;
    }
}

json_t *option_get(json_t *tree, const char *path)
{
    while (tree != NULL) {
        size_t len = strcspn(path, ".");
        tree = json_object_getn(tree, path, len);
        if (path[len] == '\0')
            return tree;
        path += len + 1;
    }
    return NULL;
}

/* Is there a row below this path? */
static bool is_section(struct option_table table, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < table.n; i++)
        if (strncmp(table.rows[i].path, path, len) == 0 && table.rows[i].path[len] == '.')
            return true;
    return false;
}

struct check {
    struct option_table table;
    unsigned where;
    const char *name;
    struct text *warnings;
};

static void check_object(const struct check *check, const json_t *object, const char *above);

static void check_key(const struct check *check, const char *path, const char *key,
                      const json_t *value)
{
    const struct option *option = option_find(check->table, path);
    /* "restapi.listen" as one key is no section with a key in it. */
    if (strchr(key, '.') != NULL)
        text_addf(check->warnings, "%s: %s: unknown, ignored\n", check->name, path);
    else if (option != NULL && option->unsupported)
        text_addf(check->warnings, "%s: %s: ignored: %s\n", check->name, path, option->help);
    else if (option != NULL && (option->where & check->where) == 0)
        text_addf(check->warnings, "%s: %s: ignored here: set it in %s\n", check->name, path,
                  option->where & OPTION_STORE ? "the dynamic settings (pgvigilctl edit-config)"
                                               : "the local file");
    else if (option != NULL)
        return;
    else if (!is_section(check->table, path))
        text_addf(check->warnings, "%s: %s: unknown, ignored\n", check->name, path);
    else if (json_is_object(value))
        check_object(check, value, path);
    else if (!json_is_null(value))
        text_addf(check->warnings, "%s: %s: ignored: a section with keys is expected\n",
                  check->name, path);
}

static void check_object(const struct check *check, const json_t *object, const char *above)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        auto_text struct text path = text_new(LIMIT_PATH);
        text_addf(&path, "%s%s%s", above, above[0] == '\0' ? "" : ".", key);
        check_key(check, text_str(&path), key, value);
    }
}

void option_check_unknown(struct option_table table, const json_t *tree, unsigned where,
                          const char *name, struct text *warnings)
{
    struct check check = { .table = table, .where = where, .name = name, .warnings = warnings };
    check_object(&check, tree, "");
}
