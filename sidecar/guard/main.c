/* pgvigil-guard: parse, run. See guard.h and supervise.h for what it does. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sidecar/guard/guard.h"
#include "sidecar/guard/observe.h"
#include "sidecar/guard/os.h"
#include "sidecar/guard/supervise.h"

#ifndef PGVIGIL_VERSION
#define PGVIGIL_VERSION "0"
#endif

enum { USAGE_ERROR = 2, GRACE_S = 30, GRACE_S_MAX = 86400 };

static const char usage[] =
    "usage: pgvigil-guard --socket S --lock F [--grace SECONDS]\n"
    "       pgvigil-guard --socket S --no-deadline [--lock F] [--grace SECONDS]\n"
    "       pgvigil-guard --supervise [--grace SECONDS] -- COMMAND [ARGUMENT…]\n"
    "       pgvigil-guard --status S | --version | --help\n"
    "\n"
    "Owns one child, started over the socket, with everything that it forks, and kills it at its\n"
    "deadline; or starts the sidecar again whenever it dies.\n"
    "  --socket S       where the sidecar connects (Unix, SEQPACKET)\n"
    "  --lock F         held while the child may run; inherited by it\n"
    "  --no-deadline    the child is etcd\n"
    "  --grace SECONDS  from a stop signal until somebody kills us (30)\n"
    "  --status S       prints what the guard of that socket says\n";

struct options {
    struct guard_options guard;
    char *const *command;
    const char *observe;
    bool supervise;
};

/* The guard itself, whole: nothing is allocated after the start. */
static struct guard the_guard;

static bool parse_grace(const char *text, int64_t *ret_ms)
{
    char *end = NULL;
    long seconds = strtol(text, &end, 10);
    if (end == text || *end != 0 || seconds < 1 || seconds > GRACE_S_MAX)
        return false;
    *ret_ms = seconds * 1000;
    return true;
}

/* One option and its value; returns how many words that were, 0: not understood. */
static int parse_option(struct options *options, char **words)
{
    const struct {
        const char *name;
        const char **value;
    } texts[] = { { "--socket", &options->guard.socket_path },
                  { "--lock", &options->guard.lock_path },
                  { "--status", &options->observe } };
    for (unsigned index = 0; index < sizeof(texts) / sizeof(texts[0]); index++)
        if (strcmp(words[0], texts[index].name) == 0 && words[1] != NULL) {
            *texts[index].value = words[1];
            return 2;
        }
    if (strcmp(words[0], "--grace") == 0 && words[1] != NULL)
        return parse_grace(words[1], &options->guard.grace_ms) ? 2 : 0;
    options->guard.no_deadline |= strcmp(words[0], "--no-deadline") == 0;
    options->supervise |= strcmp(words[0], "--supervise") == 0;
    return strcmp(words[0], "--no-deadline") == 0 || strcmp(words[0], "--supervise") == 0 ? 1 : 0;
}

static bool parse(struct options *options, char **words)
{
    while (*words != NULL && strcmp(*words, "--") != 0) {
        int taken = parse_option(options, words);
        if (taken == 0) {
            (void)fprintf(stderr, "pgvigil-guard: what is %s?\n", *words);
            return false;
        }
        words += taken;
    }
    options->command = *words != NULL && words[1] != NULL ? words + 1 : NULL;
    if (options->observe != NULL)
        return true;
    if (options->supervise)
        return options->command != NULL;
    return options->guard.socket_path != NULL &&
           (options->guard.lock_path != NULL || options->guard.no_deadline);
}

/* A child's standard input, output and error must not become our sockets. */
static void open_standard_files(void)
{
    int fd = open("/dev/null", O_RDWR); /* NOLINT(android-cloexec-open): the child has them too */
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO)
        close(fd);
    (void)signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    struct options options = { .guard.grace_ms = GRACE_S * 1000 };
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("pgvigil-guard " PGVIGIL_VERSION) < 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(usage, stdout) < 0;
    open_standard_files();
    if (argc < 1 || !parse(&options, argv + 1)) {
        (void)fputs(usage, stderr);
        return USAGE_ERROR;
    }
    if (options.observe != NULL)
        return observe_main(options.observe);
    say_open(options.supervise ? "supervise" : options.guard.no_deadline ? "etcd guard" : "guard");
    if (options.supervise) {
        const struct supervise_options supervise = { .argv = options.command,
                                                     .env = environ,
                                                     .grace_ms = options.guard.grace_ms };
        return supervise_main(&supervise);
    }
    return guard_main(&the_guard, &options.guard);
}
