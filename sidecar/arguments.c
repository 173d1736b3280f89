#include "sidecar/arguments.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>

struct arguments arguments_parse(int argc, char **argv)
{
    static const struct option options[] = {
        { "witness", no_argument, NULL, 'w' },      { "check-config", no_argument, NULL, 'c' },
        { "print-rules", no_argument, NULL, 'r' },  { "print-options", no_argument, NULL, 'o' },
        { "replay", required_argument, NULL, 'p' }, { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
    };
    struct arguments args = { .mode = ARG_RUN };
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'w':
            args.witness = true;
            break;
        case 'c':
            args.mode = ARG_CHECK;
            break;
        case 'r':
            args.mode = ARG_RULES;
            break;
        case 'o':
            args.mode = ARG_OPTIONS;
            break;
        case 'p':
            args.mode = ARG_REPLAY;
            args.file = optarg;
            break;
        case 'V':
            args.mode = ARG_VERSION;
            break;
        case 'h':
            args.mode = ARG_HELP;
            break;
        default:
            args.mode = ARG_BAD;
            optind = argc;
            break;
        }
    }
    if (optind < argc)
        args.file = argv[optind++];
    if (optind < argc) {
        fprintf(stderr, "pgvigil-sidecar: %s: one file only\n", argv[optind]);
        args.mode = ARG_BAD;
    }
    if (args.mode == ARG_BAD)
        fputs("pgvigil-sidecar --help tells more\n", stderr);
    return args;
}
