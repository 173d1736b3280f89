/* pgvigil-sidecar: parse, build, run, free. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/log.h"
#include "http/http.h"
#include "settings/settings.h"
#include "sidecar/arguments.h"
#include "sidecar/core/decide.h"
#include "sidecar/sidecar.h"
#include "json/json.h"

#ifndef PGVIGIL_VERSION
#define PGVIGIL_VERSION "0.1.0"
#endif

static void print_help(void)
{
    puts("pgvigil-sidecar CONFIG.yml        keep the leader key and drive the local PostgreSQL\n"
         "  --witness                       a vote and no data: no PostgreSQL here\n"
         "  --check-config                  read and check CONFIG.yml, then end\n"
         "  --print-rules                   the rules of the decision, in their order\n"
         "  --print-options                 docs/configuration.md\n"
         "  --replay VIEW.json              the rule and reason for a recorded view\n"
         "  --version, --help\n");
    settings_print_help(stdout);
}

static void print_rules(void)
{
    for (size_t i = 0; decide_rule_name(i) != NULL; i++)
        printf("%zu %s\n", i + 1, decide_rule_name(i));
}

static int check_config(const struct arguments *args)
{
    struct text report = text_new(LIMIT_FILE);
    struct err err;
    enum err_code code = settings_check(args->file, args->witness, &report, &err);
    fputs(text_str(&report), stdout);
    if (code != ERR_OK)
        fprintf(stderr, "pgvigil-sidecar: %s\n", err.text);
    text_done(&report);
    return code == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void on_stop(void *arg, int signum)
{
    (void)signum;
    sidecar_stop(arg);
}

static void on_reload(void *arg, int signum)
{
    (void)signum;
    sidecar_reload(arg);
}

/* The guard lies beside this program, else in PATH. */
static const char *guard_path(char *buffer, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", buffer, size - 1);
    if (len > 0) {
        buffer[len] = '\0';
        char *slash = strrchr(buffer, '/');
        if (slash != NULL && (size_t)(slash - buffer) + sizeof("/pgvigil-guard") <= size) {
            (void)snprintf(slash, size - (size_t)(slash - buffer), "/pgvigil-guard");
            if (access(buffer, X_OK) == 0)
                return buffer;
        }
    }
    return "pgvigil-guard";
}

static int run(const struct arguments *args)
{
    struct config *config;
    struct err err;
    struct text warnings = text_new(LIMIT_LOG_LINE);
    if (config_load(args->file, args->witness, false, &config, &warnings, &err) != ERR_OK) {
        fprintf(stderr, "pgvigil-sidecar: %s\n", err.text);
        text_done(&warnings);
        return EXIT_FAILURE;
    }
    enum log_level level = LOG_LEVEL_INFO;
    (void)log_level_from_name(config->log_level, &level);
    char *who = strdup(config->name);
    log_open(who, level, config->log_type == CONFIG_LOG_JSON);
    log_warn_lines("configuration", text_str(&warnings));
    text_done(&warnings);
    log_info("start: pgvigil-sidecar " PGVIGIL_VERSION " for cluster %s%s", config->scope,
             args->witness ? ", as witness" : "");

    char guard[LIMIT_PATH];
    const struct sidecar_options options = { .config_path = args->file,
                                             .guard_path = guard_path(guard, sizeof(guard)),
                                             .witness = args->witness };
    struct loop *loop = loop_new();
    struct sidecar *sidecar;
    if (sidecar_new(loop, &options, config, &sidecar, &err) != ERR_OK) {
        log_error("start: %s -> this process cannot run", err.text);
        loop_free(loop);
        free(who);
        return EXIT_FAILURE;
    }
    struct source *term = loop_signal(loop, SIGTERM, on_stop, sidecar);
    struct source *interrupt = loop_signal(loop, SIGINT, on_stop, sidecar);
    struct source *hup = loop_signal(loop, SIGHUP, on_reload, sidecar);
    loop_run(loop);
    source_free(term);
    source_free(interrupt);
    source_free(hup);
    int status = sidecar_exit_status(sidecar);
    sidecar_free(sidecar);
    loop_free(loop);
    log_info("stop: ended");
    log_open("", level, false);
    free(who);
    return status;
}

int main(int argc, char **argv)
{
    const struct arguments args = arguments_parse(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    json_setup();
    http_setup();
    switch (args.mode) {
    case ARG_RUN:
        return run(&args);
    case ARG_CHECK:
        return check_config(&args);
    case ARG_RULES:
        print_rules();
        return EXIT_SUCCESS;
    case ARG_OPTIONS:
        settings_print_reference(stdout);
        return EXIT_SUCCESS;
    case ARG_REPLAY:
        return sidecar_replay(args.file);
    case ARG_VERSION:
        puts("pgvigil-sidecar " PGVIGIL_VERSION);
        return EXIT_SUCCESS;
    case ARG_HELP:
        print_help();
        return EXIT_SUCCESS;
    case ARG_BAD:
        break;
    }
    return EXIT_FAILURE;
}
