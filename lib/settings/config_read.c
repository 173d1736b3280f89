#include "config_read.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clean.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "settings/option.h"
#include "settings/yaml.h"
#include "json/json.h"

/* ---- files -------------------------------------------------------------------------- */

static enum err_code read_file(const char *path, json_t **ret_tree, struct err *err)
{
    auto_text struct text bytes = text_new(LIMIT_FILE);
    auto_json json_t *tree = NULL;
    enum err_code code = file_read(path, &bytes, err);
    if (code == ERR_OK)
        code = yaml_parse(text_str(&bytes), bytes.len, path, &tree, err);
    if (code != ERR_OK)
        return code;
    if (!json_is_object(tree))
        return err_set(err, ERR_INVALID, "%s: not a mapping of sections", path);
    *ret_tree = take(tree);
    return ERR_OK;
}

static int is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot != NULL &&
           (strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum err_code merge_file(const char *directory, const char *name, json_t *tree,
                                struct err *err)
{
    auto_text struct text path = text_new(LIMIT_PATH);
    auto_json json_t *part = NULL;
    text_addf(&path, "%s/%s", directory, name);
    enum err_code code = read_file(text_str(&path), &part, err);
    if (code == ERR_OK)
        json_object_update_recursive(tree, part);
    return code;
}

static enum err_code read_directory(const char *path, json_t **ret_tree, struct err *err)
{
    struct dirent **entries;
    auto_json json_t *tree = json_object();
    enum err_code code = ERR_OK;
    int n = scandir(path, &entries, is_yaml, by_name);
    if (n < 0)
        return err_errno(err, errno, "read directory %s", path);
    for (int i = 0; i < n; i++) {
        if (code == ERR_OK)
            code = merge_file(path, entries[i]->d_name, tree, err);
        free(entries[i]);
    }
    free(entries);
    if (code == ERR_OK && n == 0)
        code = err_set(err, ERR_NOT_FOUND, "%s: no *.yml in it", path);
    if (code == ERR_OK)
        *ret_tree = take(tree);
    return code;
}

enum err_code config_read_files(const char *path, json_t **ret_tree, struct err *err)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        int failure = errno;
        enum err_code code = err_errno(err, failure, "configuration %s", path);
        if (failure != ENOENT)
            return code;
        return err_set(err, ERR_NOT_FOUND, "configuration %s: no such file", path);
    }
    return S_ISDIR(status.st_mode) ? read_directory(path, ret_tree, err)
                                   : read_file(path, ret_tree, err);
}

/* ---- older names -------------------------------------------------------------------- */

json_t *config_section(json_t *parent, const char *key, size_t key_len)
{
    json_t *section = json_object_getn(parent, key, key_len);
    if (section != NULL && !json_is_null(section))
        return json_is_object(section) ? section : NULL;
    section = json_object();
    json_object_setn_new(parent, key, key_len, section);
    return section;
}

void config_rename_aliases(json_t *tree)
{
    static const struct {
        const char *section, *old, *now;
    } aliases[] = {
        { "postgresql", "create_replica_method", "create_replica_methods" },
        { "bootstrap", "post_init", "post_bootstrap" },
    };
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        json_t *section = json_object_get(tree, aliases[i].section);
        json_t *value = json_object_get(section, aliases[i].old);
        if (value == NULL)
            continue;
        if (json_object_get(section, aliases[i].now) == NULL)
            json_object_set(section, aliases[i].now, value);
        json_object_del(section, aliases[i].old);
    }
}

/* ---- environment -------------------------------------------------------------------- */

static const char *const prefixes[] = { "PGVIGIL_", "PATRONI_" };
enum { PREFIXES = 2 };

/* The first prefix that is set wins; both are removed. New text, or NULL. */
static char *take_variable(const char *name, int n_prefixes, bool unset)
{
    char *found = NULL;
    for (int i = 0; i < n_prefixes; i++) {
        auto_text struct text variable = text_new(LIMIT_NAME * 2);
        text_addf(&variable, "%s%s", prefixes[i], name);
        const char *value = getenv(text_str(&variable));
        if (value == NULL)
            continue;
        if (found == NULL && value[0] != '\0')
            found = mem_strdup(value);
        if (unset)
            unsetenv(text_str(&variable));
    }
    return found;
}

enum err_code config_read_variable(json_t **ret_tree, struct err *err)
{
    auto_free char *yaml = take_variable("CONFIGURATION", PREFIXES, true);
    auto_json json_t *tree = NULL;
    if (yaml == NULL) {
        *ret_tree = json_object();
        return ERR_OK;
    }
    enum err_code code = yaml_parse(yaml, strlen(yaml), "PGVIGIL_CONFIGURATION", &tree, err);
    if (code == ERR_OK && !json_is_object(tree))
        code = err_set(err, ERR_INVALID, "PGVIGIL_CONFIGURATION: not a mapping of sections");
    if (code == ERR_OK)
        *ret_tree = take(tree);
    return code;
}

/* Lists and mappings are YAML (patroni-compat 1.1); everything else is the text itself. */
static enum err_code as_value(const struct option *option, const char *text, json_t **ret_value,
                              struct err *err)
{
    bool list = option->type == OPTION_LIST && (text[0] == '[' || text[0] == '-');
    if (option->type == OPTION_TREE || list)
        return yaml_parse(text, strlen(text), option->env, ret_value, err);
    *ret_value = json_string(text);
    if (*ret_value == NULL)
        return err_set(err, ERR_INVALID, "environment: %s: not UTF-8", option->env);
    return ERR_OK;
}

static enum err_code put(json_t *tree, const struct option *option, json_t *value, struct err *err)
{
    const char *path = option->path;
    size_t len = strcspn(path, ".");
    for (; path[len] != '\0'; len = strcspn(path, ".")) {
        tree = config_section(tree, path, len);
        if (tree == NULL) {
            json_decref(value);
            return err_set(err, ERR_INVALID, "%.*s: a section with keys is expected",
                           (int)(path + len - option->path), option->path);
        }
        path += len + 1;
    }
    json_object_set_new(tree, path, value);
    return ERR_OK;
}

enum err_code config_read_environment(json_t *tree, bool unset, struct err *err)
{
    struct option_table table = config_options();
    for (size_t i = 0; i < table.n; i++) {
        const struct option *option = &table.rows[i];
        if (option->env == NULL)
            continue;
        /* PATRONI_ETCD_… is a section of Patroni's that is not ours. */
        int n = text_starts_with(option->path, "pgvigil.") ? 1 : PREFIXES;
        auto_free char *text = take_variable(option->env, n, unset);
        json_t *value;
        if (text == NULL)
            continue;
        enum err_code code = as_value(option, text, &value, err);
        if (code == ERR_OK)
            code = put(tree, option, value, err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}
