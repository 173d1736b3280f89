#include "settings/config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/text.h"
#include "config_complete.h"
#include "config_read.h"
#include "json/json.h"

static enum err_code read_tree(const char *path, bool unset, json_t **ret_tree, struct err *err)
{
    auto_json json_t *tree = NULL;
    enum err_code code =
        path == NULL ? config_read_variable(&tree, err) : config_read_files(path, &tree, err);
    if (code == ERR_OK)
        code = config_read_environment(tree, unset, err);
    if (code == ERR_OK) {
        config_rename_aliases(tree);
        *ret_tree = take(tree);
    }
    return code;
}

static enum err_code set_fields(struct config *config, const char *name, struct err *err)
{
    struct option_table table = config_options();
    for (size_t i = 0; i < table.n; i++) {
        const struct option *option = &table.rows[i];
        const json_t *value = option_get(config->tree, option->path);
        enum err_code code = option_set(option, config, value, err);
        if (code != ERR_OK)
            return err_wrap(err, "%s: %s", name, option->path);
    }
    config->postgresql.tree = json_incref(json_object_get(config->tree, "postgresql"));
    config->bootstrap.tree = json_incref(json_object_get(config->tree, "bootstrap"));
    return ERR_OK;
}

/* Sections that the user names himself are nobody's typing error. */
static void warn_unknown(const struct config *config, const char *name, struct text *warnings)
{
    auto_json json_t *tree = json_deep_copy(config->tree);
    const struct text_list *methods = &config->postgresql.create_replica_methods;
    for (size_t i = 0; i < methods->n; i++)
        json_object_del(json_object_get(tree, "postgresql"), methods->item[i]);
    json_object_del(json_object_get(tree, "bootstrap"), config->bootstrap.method);
    option_check_unknown(option_table(), tree, OPTION_FILE, name, warnings);
}

enum err_code config_load(const char *path, bool witness, bool unset, struct config **ret_config,
                          struct text *warnings, struct err *err)
{
    const char *name = path == NULL ? "environment (no file was given)" : path;
    struct config *config = mem_struct(struct config);
    enum err_code code = read_tree(path, unset, &config->tree, err);
    if (code == ERR_OK)
        code = set_fields(config, name, err);
    if (code == ERR_OK) {
        warn_unknown(config, name, warnings);
        code = config_complete(config, witness, warnings, err);
        if (code != ERR_OK)
            err_wrap(err, "%s", name);
    }
    if (code != ERR_OK) {
        config_free(config);
        return code;
    }
    *ret_config = config;
    return ERR_OK;
}

static void free_members(struct config_managed_etcd *managed)
{
    for (size_t i = 0; i < managed->n; i++) {
        struct config_member *member = &managed->members[i];
        free(member->name);
        free(member->peer_url);
        free(member->client_url);
        free(member->api_url);
    }
}

struct config *config_free(struct config *config)
{
    if (config == NULL)
        return NULL;
    option_done(config_options(), config);
    json_decref(config->postgresql.tree);
    json_decref(config->bootstrap.tree);
    json_decref(config->tree);
    free_members(&config->managed);
    text_list_done(&config->etcd.endpoints);
    text_list_done(&config->restapi.headers);
    free(config->prefix);
    free(config);
    return NULL;
}

/* A section that neither of them has is the same; jansson calls two missing values different. */
static bool same_section(const struct config *former, const struct config *config, const char *path)
{
    const json_t *one = option_get(former->tree, path);
    const json_t *other = option_get(config->tree, path);
    return one == NULL || other == NULL ? one == other : json_equal(one, other) != 0;
}

bool config_needs_restart(const struct config *former, const struct config *config)
{
    return !same_section(former, config, "pgvigil") || !same_section(former, config, "etcd3");
}

const char *config_other_identity(const struct config *former, const struct config *config)
{
    const struct {
        const char *path, *former, *now;
    } rows[] = {
        { "name", former->name, config->name },
        { "scope or namespace", former->prefix, config->prefix },
        { "postgresql.data_dir", former->postgresql.data_dir, config->postgresql.data_dir },
        { "pgvigil.state_dir", former->state_dir, config->state_dir },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!text_equal(rows[i].former, rows[i].now))
            return rows[i].path;
    return NULL;
}
