/* show-config and edit-config: the dynamic settings as YAML, changed by compare and swap. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "etcd/kv.h"
#include "settings/parameters.h"
#include "settings/yaml.h"

enum { WRITE_TIMEOUT_MS = 10000 };

int ctl_verb_show_config(struct ctl *ctl)
{
    struct err err;
    struct ctl_cluster cluster;
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    int status = CTL_OK;
    if (cluster.config == NULL) {
        status = ctl_fail("the cluster has no config yet");
    } else {
        auto_text struct text text = text_new(LIMIT_HTTP_BODY);
        if (ctl->args.format == CTL_JSON)
            json_write_python(&text, cluster.config);
        else
            yaml_write(&text, cluster.config);
        puts(text_str(&text));
    }
    ctl_cluster_done(&cluster);
    return status;
}

/* ---- the editor ------------------------------------------------------------------------------- */

static bool read_stream(FILE *file, struct text *to)
{
    char buffer[4096];
    size_t n;
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
        text_add_bytes(to, buffer, n);
    return ferror(file) == 0 && !to->overflow;
}

/* "-" is standard input. */
static enum err_code read_file(const char *path, struct text *to, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    if (file == NULL)
        return err_errno(err, errno, "%s", path);
    bool good = read_stream(file, to);
    if (!standard)
        fclose(file);
    return good ? ERR_OK : err_set(err, ERR_LIMIT, "%s: cannot be read, or is too long", path);
}

static const char *pick_editor(void)
{
    static const char *const usual[] = { "/usr/bin/editor", "/usr/bin/vi", "/bin/vi" };
    const char *editor = getenv("EDITOR");
    if (editor != NULL && editor[0] != '\0')
        return editor;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (access(usual[i], X_OK) == 0)
            return usual[i];
    return NULL;
}

/* The person's editor on the terminal. EDITOR may hold arguments, as everywhere. */
static enum err_code run_editor(const char *path, struct err *err)
{
    const char *editor = pick_editor();
    if (editor == NULL)
        return err_set(err, ERR_NOT_FOUND, "no editor: set EDITOR, or use -s KEY=VALUE");
    auto_free char *words = mem_strdup(editor);
    const char *argv[LIMIT_ARGV];
    size_t n = 0;
    char *save = NULL;
    for (char *word = strtok_r(words, " ", &save); word != NULL && n < LIMIT_ARGV - 2;
         word = strtok_r(NULL, " ", &save))
        argv[n++] = word;
    argv[n++] = path;
    argv[n] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return err_errno(err, errno, "editor %s", editor);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_SYSTEM, "editor %s failed", editor);
    return ERR_OK;
}

static enum err_code edit_text(struct text *text, struct err *err)
{
    char path[] = "/tmp/pgvigilctl-config-XXXXXX.yaml";
    auto_close int fd = mkstemps(path, 5);
    if (fd < 0)
        return err_errno(err, errno, "%s", path);
    enum err_code code = ERR_OK;
    if (write(fd, text_str(text), text->len) != (ssize_t)text->len)
        code = err_errno(err, errno, "%s", path);
    if (code == ERR_OK)
        code = run_editor(path, err);
    if (code == ERR_OK) {
        text_clear(text);
        code = read_file(path, text, err);
    }
    unlink(path);
    return code;
}

/* ---- what is wanted --------------------------------------------------------------------------- */

static enum err_code read_tree(const char *path, bool whole, json_t **ret_tree, struct err *err)
{
    auto_text struct text text = text_new(LIMIT_FILE);
    enum err_code code = read_file(path, &text, err);
    if (code != ERR_OK)
        return code;
    return whole ? ctl_parse_all(path, &text, ret_tree, err)
                 : yaml_parse(text_str(&text), text.len, path, ret_tree, err);
}

/* null deletes, objects are merged: as PATCH /config. */
static void merge(json_t *tree, const json_t *changes)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)changes, key, value) {
        json_t *old = json_object_get(tree, key);
        if (json_is_null(value))
            json_object_del(tree, key);
        else if (json_is_object(old) && json_is_object(value))
            merge(old, value);
        else
            json_object_set(tree, key, value);
    }
}

static enum err_code apply_options(const struct ctl_args *args, json_t **tree, struct err *err)
{
    enum err_code code = ERR_OK;
    if (args->replace != NULL) {
        json_t *other = NULL;
        code = read_tree(args->replace, true, &other, err);
        if (code != ERR_OK)
            return code;
        json_decref(*tree);
        *tree = other;
    }
    if (args->apply != NULL) {
        auto_json json_t *changes = NULL;
        code = read_tree(args->apply, false, &changes, err);
        if (code != ERR_OK)
            return code;
        merge(*tree, changes);
    }
    for (size_t i = 0; i < args->n_set && code == ERR_OK; i++)
        code = ctl_set(*tree, args->set[i].key,
                       args->set[i].parameter ? "postgresql.parameters." : "", err);
    return code;
}

/* New reference: the settings as the person wants them. */
static enum err_code wanted(const struct ctl_args *args, const json_t *before, json_t **ret_after,
                            struct err *err)
{
    json_t *tree = json_deep_copy(before);
    enum err_code code;
    if (args->replace != NULL || args->apply != NULL || args->n_set > 0) {
        code = apply_options(args, &tree, err);
    } else {
        auto_text struct text text = text_new(LIMIT_FILE);
        yaml_write(&text, tree);
        json_decref(tree);
        tree = NULL;
        code = edit_text(&text, err);
        if (code == ERR_OK)
            code = ctl_parse_all("config", &text, &tree, err);
    }
    if (code == ERR_OK && !json_is_object(tree))
        code = err_set(err, ERR_INVALID, "settings must be a mapping");
    if (code == ERR_OK)
        *ret_after = tree;
    else
        json_decref(tree);
    return code;
}

/* ---- writing it ------------------------------------------------------------------------------- */

struct swap {
    struct ctl *ctl;
    enum err_code code;
    bool succeeded;
    char error[ERR_TEXT_MAX];
};

static void on_swapped(void *arg, const struct etcd_txn_result *result)
{
    struct swap *swap = arg;
    swap->code = result->outcome.code;
    swap->succeeded = result->succeeded;
    text_copy(swap->error, sizeof(swap->error), result->outcome.error);
    loop_stop(swap->ctl->loop);
}

static enum err_code swap_store(struct ctl *ctl, const struct ctl_cluster *cluster,
                                const json_t *after, struct err *err)
{
    struct swap swap = { .ctl = ctl };
    auto_text struct text key = text_new(LIMIT_PATH), value = text_new(LIMIT_HTTP_BODY);
    text_addf(&key, "%sconfig", ctl->prefix);
    json_write(&value, after);
    struct etcd_txn *txn = etcd_txn_new();
    etcd_txn_compare(txn, text_str(&key), ETCD_MOD_REVISION, ETCD_EQUAL, cluster->config_revision);
    struct etcd_put put = { .key = text_str(&key),
                            .value = text_str(&value),
                            .value_len = value.len };
    etcd_txn_put(txn, ETCD_THEN, &put);
    struct etcd_how how = { .timeout_ms = WRITE_TIMEOUT_MS, .endpoint = ETCD_ANY };
    struct etcd_call *call = etcd_txn_send(ctl->etcd, txn, how, on_swapped, &swap);
    loop_run(ctl->loop);
    etcd_call_free(call);
    etcd_txn_free(txn);
    if (swap.code != ERR_OK)
        return err_set(err, swap.code, "cannot write config: %s", swap.error);
    if (!swap.succeeded)
        return err_set(err, ERR_CONFLICT, "Config modification aborted due to concurrent changes");
    return ERR_OK;
}

/* A merge patch: what others change in the meantime stays. */
static enum err_code patch_rest(struct ctl *ctl, const struct ctl_cluster *cluster,
                                const json_t *after, struct err *err)
{
    auto_json json_t *patch = ctl_merge_patch(cluster->config, after);
    auto_text struct text body = text_new(LIMIT_HTTP_BODY);
    json_write(&body, patch);
    auto_free char *url = ctl_url(ctl->args.rest, "/config");
    struct ctl_answer answer = ctl_rest(ctl, "PATCH", url, text_str(&body), WRITE_TIMEOUT_MS);
    enum err_code code = answer.code;
    if (code != ERR_OK)
        err_set(err, code, "%s: %s", url, answer.error);
    else if (answer.status != 200)
        code = err_set(err, ERR_REFUSED, "status %d: %s", answer.status, answer.body);
    ctl_answer_done(&answer);
    return code;
}

/* What every node would refuse is not written; what it would leave out is said. */
static enum err_code check(const struct ctl *ctl, const json_t *after, struct err *err)
{
    static const struct config none;
    struct settings *settings = NULL;
    auto_text struct text warnings = text_new(LIMIT_FILE);
    const struct config *config = ctl->config != NULL ? ctl->config : &none;
    enum err_code code = settings_new(after, config, &settings, &warnings, err);
    if (code != ERR_OK)
        return code;
    struct parameters parameters;
    const struct parameter_node node = { .primary = true };
    parameters_build(settings, config, &node, &parameters, &warnings);
    parameters_done(&parameters);
    settings_free(settings);
    fputs(text_str(&warnings), stderr);
    return ERR_OK;
}

static int finish_edit(struct ctl *ctl, const struct ctl_cluster *cluster, const json_t *after)
{
    struct err err;
    if (json_equal(cluster->config, after)) {
        puts("Not changed");
        return CTL_OK;
    }
    if (check(ctl, after, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    if (!ctl->args.quiet) {
        auto_text struct text before_text = text_new(LIMIT_HTTP_BODY);
        auto_text struct text after_text = text_new(LIMIT_HTTP_BODY);
        auto_text struct text diff = text_new(LIMIT_HTTP_BODY);
        yaml_write(&before_text, cluster->config);
        yaml_write(&after_text, after);
        ctl_diff(&diff, text_str(&before_text), text_str(&after_text));
        puts(text_str(&diff));
    }
    if (!ctl->args.force && !ctl_confirm("Apply these changes?"))
        return CTL_OK;
    enum err_code code = ctl->etcd != NULL ? swap_store(ctl, cluster, after, &err)
                                           : patch_rest(ctl, cluster, after, &err);
    if (code != ERR_OK)
        return ctl_fail("%s", err.text);
    puts("Configuration changed");
    return CTL_OK;
}

int ctl_verb_edit_config(struct ctl *ctl)
{
    struct err err;
    struct ctl_cluster cluster;
    if (ctl_cluster_load(ctl, &cluster, &err) != ERR_OK)
        return ctl_fail("%s", err.text);
    if (cluster.config == NULL) {
        ctl_cluster_done(&cluster);
        return ctl_fail("The config key does not exist in the cluster %s", ctl->scope);
    }
    auto_json json_t *after = NULL;
    int status;
    if (wanted(&ctl->args, cluster.config, &after, &err) != ERR_OK)
        status = ctl_fail("%s", err.text);
    else
        status = finish_edit(ctl, &cluster, after);
    ctl_cluster_done(&cluster);
    return status;
}
