/* pgvigil-controller: parse, build, run, free. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "controller/controller.h"
#include "http/http.h"
#include "json/json.h"

static void print_help(void)
{
    puts("pgvigil-controller                label pods by role, from inside or outside Kubernetes\n"
         "  --check-config                  check the environment, then end\n"
         "  --version, --help\n"
         "\n"
         "Configured by its environment: docs/controller.md.");
}

static void on_stop(void *arg, int signum)
{
    (void)signum;
    controller_stop(arg);
}

/* A list of pods is large for a moment and rare: its memory goes back, and the pool's threads, which
 * read small files, need no arenas of their own. */
static void keep_memory_small(void)
{
    enum { SMALL = 1 << 16 };
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_TRIM_THRESHOLD, SMALL);
    (void)mallopt(M_MMAP_THRESHOLD, SMALL);
}

static int run(const struct options *options)
{
    struct err err;
    struct controller *controller;
    log_open(options->name, options->log_level, options->log_json);
    log_info("start: pgvigil-controller " PGVIGIL_VERSION " for release %s, cluster %s",
             options->release, options->scope);
    struct loop *loop = loop_new();
    if (controller_new(loop, options, &controller, &err) != ERR_OK) {
        log_error("start: %s -> this process cannot run", err.text);
        loop_free(loop);
        return EXIT_FAILURE;
    }
    struct source *term = loop_signal(loop, SIGTERM, on_stop, controller);
    struct source *interrupt = loop_signal(loop, SIGINT, on_stop, controller);
    loop_run(loop);
    source_free(term);
    source_free(interrupt);
    controller_free(controller);
    loop_free(loop);
    log_info("stop: ended");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *argument = argc > 1 ? argv[1] : "";
    if (argc > 2 || (argc == 2 && strcmp(argument, "--check-config") != 0 &&
                     strcmp(argument, "--version") != 0 && strcmp(argument, "--help") != 0)) {
        fprintf(stderr, "pgvigil-controller: takes no such argument, see --help\n");
        return EXIT_FAILURE;
    }
    if (strcmp(argument, "--help") == 0) {
        print_help();
        return EXIT_SUCCESS;
    }
    if (strcmp(argument, "--version") == 0) {
        puts("pgvigil-controller " PGVIGIL_VERSION);
        return EXIT_SUCCESS;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    keep_memory_small();
    json_setup();
    http_setup();
    struct options *options;
    struct err err;
    if (options_read(&options, &err) != ERR_OK) {
        fprintf(stderr, "pgvigil-controller: %s\n", err.text);
        return EXIT_FAILURE;
    }
    int status = argc == 1 ? run(options) : EXIT_SUCCESS;
    options_free(options);
    return status;
}
