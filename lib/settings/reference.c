/* docs/configuration.md and --help, out of the option table. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "settings/option.h"
#include "settings/settings.h"

static const char *type_name(const struct option *option)
{
    switch (option->type) {
    case OPTION_TEXT:
        return "text";
    case OPTION_SECRET:
        return "secret";
    case OPTION_BOOL:
        return "boolean";
    case OPTION_INT:
        return "number";
    case OPTION_DURATION:
        return "time";
    case OPTION_BYTES:
        return "size";
    case OPTION_CHOICE:
        return option->choices;
    case OPTION_LIST:
        return "list";
    case OPTION_TREE:
        return option->shape == OPTION_OBJECT ? "mapping" : "list or mapping";
    }
    return "";
}

static const char *apply_name(const struct option *option)
{
    switch (option->apply) {
    case OPTION_LIVE:
        return "at once";
    case OPTION_RELOAD:
        return "reload of PostgreSQL";
    case OPTION_RESTART:
        return "restart of the sidecar";
    }
    return "";
}

/* A '|' would end a cell of the table, a '<' begin a tag. */
static void print_cell(FILE *to, const char *text)
{
    fputc(' ', to);
    for (; *text != '\0'; text++)
        if (*text == '|')
            fputs(" or ", to);
        else if (*text == '<')
            fputs("&lt;", to);
        else
            fputc(*text, to);
    fputs(" |", to);
}

static void print_variable(FILE *to, const struct option *option)
{
    if (option->env == NULL)
        fputs(" |", to);
    else
        fprintf(to, " `PGVIGIL_%s` |", option->env);
}

static void print_default(FILE *to, const struct option *option)
{
    if (option->required)
        fputs(" **required** |", to);
    else
        print_cell(to, option->fallback == NULL ? "" : option->fallback);
}

static void print_row(FILE *to, const struct option *option, bool with_variable)
{
    fprintf(to, "| `%s` |", option->path);
    print_cell(to, type_name(option));
    print_default(to, option);
    if (with_variable)
        print_variable(to, option);
    else
        print_cell(to, apply_name(option));
    print_cell(to, option->help);
    fputs("\n", to);
}

static void print_table(FILE *to, struct option_table table, unsigned where, bool with_variable)
{
    fprintf(to, "| key | type | default | %s | meaning |\n|---|---|---|---|---|\n",
            with_variable ? "variable" : "takes effect");
    for (size_t i = 0; i < table.n; i++)
        if (!table.rows[i].unsupported && (table.rows[i].where & where) != 0)
            print_row(to, &table.rows[i], with_variable);
}

static void print_ignored(FILE *to)
{
    struct option_table table = option_table();
    fputs("| key | why |\n|---|---|\n", to);
    for (size_t i = 0; i < table.n; i++)
        if (table.rows[i].unsupported) {
            fprintf(to, "| `%s` |", table.rows[i].path);
            print_cell(to, table.rows[i].help);
            fputs("\n", to);
        }
}

static const char introduction[] =
    "# Configuration\n\n"
    "This page is written by `pgvigil-sidecar --print-options` from the option table\n"
    "(`lib/settings/options.c`); do not edit it by hand.\n\n"
    "Sections and keys are Patroni's; our own lie under `pgvigil:`. There are two layers:\n\n"
    "* the **local file** of each member (YAML, or a directory of `*.yml` merged by name). Every\n"
    "  key with a variable can be given in the environment, as `PGVIGIL_X` or else `PATRONI_X`\n"
    "  (those under `pgvigil:` as `PGVIGIL_X` only).\n"
    "  `SIGHUP` or `POST /reload` reads it again;\n"
    "* the **dynamic settings** of the cluster, one JSON value in etcd, changed with\n"
    "  `pgvigilctl edit-config` or `PATCH /config`. What stands in the local file under\n"
    "  `postgresql` goes over them.\n\n"
    "Times are seconds or have a unit (`500ms`, `30min`), sizes are bytes or have one (`16MB`).\n"
    "`pgvigil-sidecar --check-config FILE` says what is wrong, and where.\n\n";

void settings_print_reference(FILE *to)
{
    fputs(introduction, to);
    fputs("## Local file\n\n", to);
    print_table(to, config_options(), OPTION_FILE, true);
    fputs(
        "\nBesides these, `bootstrap.<method>` and `postgresql.<method>` describe commands of your\n"
        "own: `command` and, as `--key=value`, every other key of the section.\n",
        to);
    fputs("\n## Dynamic settings\n\n"
          "A new cluster begins with `bootstrap.dcs` over ttl 10, `synchronous_mode` on,\n"
          "`use_pg_rewind` true; the defaults below are what a missing key means (Patroni's).\n\n",
          to);
    print_table(to, settings_options(), OPTION_STORE, false);
    fputs("\nThe `postgresql.…` settings of this table can stand in the local file, too.\n", to);
    fputs("\n## Understood and ignored, with a warning\n\n", to);
    print_ignored(to);
}

void settings_print_help(FILE *to)
{
    struct option_table table = option_table();
    for (size_t i = 0; i < table.n; i++) {
        const struct option *option = &table.rows[i];
        if (!option->unsupported)
            fprintf(to, "  %-45s %s%s\n", option->path, option->help,
                    option->required ? " (required)" : "");
    }
}
