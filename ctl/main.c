/* pgvigilctl: options, the table of verbs, help. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/ctl.h"

static const struct {
    const char *name;
    ctl_verb_fn *run;
    const char *arguments;
    const char *help;
    bool names; /* it may be told names: members, or a revision */
} verbs[] = {
    { "list", ctl_verb_list, "[-e] [-t] [-f FORMAT] [-w SECONDS]", "members, roles and lags" },
    { "switchover", ctl_verb_switchover, "[--leader NAME] [--candidate NAME] [--scheduled TIME]",
      "hand the primary over to a standby" },
    { "failover", ctl_verb_failover, "--candidate NAME", "make a member primary, leader or not" },
    { "restart", ctl_verb_restart,
      "[MEMBER…] [-r ROLE] [--any] [--pending] [--scheduled TIME] [--pg-version V] [--timeout S]",
      "restart Postgres", true },
    { "reload", ctl_verb_reload, "[MEMBER…] [-r ROLE]", "read configurations again", true },
    { "reinit", ctl_verb_reinit, "MEMBER… [--from-leader] [--wait]",
      "throw a standby's data away and clone it again", true },
    { "pause", ctl_verb_pause, "[--wait]", "no automatic failover from now on" },
    { "resume", ctl_verb_resume, "[--wait]", "end the pause" },
    { "show-config", ctl_verb_show_config, "", "the dynamic settings" },
    { "edit-config", ctl_verb_edit_config,
      "[-s KEY=VALUE]… [-p PARAMETER=VALUE]… [--apply FILE] [--replace FILE] [-q]",
      "change the dynamic settings" },
    { "recover-quorum", ctl_verb_recover_quorum, "[--member NAME]",
      "when two of three nodes are lost for good: checks, explains, asks" },
    { "accept", ctl_verb_accept, "MEMBER [--dead OTHER]…",
      "accept that etcd was restored from a backup", true },
    { "rollout", ctl_verb_rollout, "[REVISION] [--wait] [--timeout S]",
      "Kubernetes: how far the roll to a chart's revision is; fails until it is done", true },
    { "version", ctl_verb_version, "[MEMBER…]", "versions of this program and of the members",
      true },
};

enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

enum long_option {
    OPT_VERSION = 1000,
    OPT_HELP,
    OPT_FORCE,
    OPT_WAIT,
    OPT_ANY,
    OPT_PENDING,
    OPT_FROM_LEADER,
    OPT_LEADER,
    OPT_CANDIDATE,
    OPT_SCHEDULED,
    OPT_PG_VERSION,
    OPT_TIMEOUT,
    OPT_APPLY,
    OPT_REPLACE,
    OPT_SCOPE,
    OPT_SET,
    OPT_MEMBER,
    OPT_DEAD,
};

static const struct option long_options[] = {
    { "version", no_argument, NULL, OPT_VERSION },
    { "help", no_argument, NULL, OPT_HELP },
    { "config-file", required_argument, NULL, 'c' },
    { "endpoints", required_argument, NULL, 'E' },
    { "rest", required_argument, NULL, 'd' },
    { "insecure", no_argument, NULL, 'k' },
    { "scope", required_argument, NULL, OPT_SCOPE },
    { "format", required_argument, NULL, 'f' },
    { "extended", no_argument, NULL, 'x' },
    { "timestamp", no_argument, NULL, 't' },
    { "watch", required_argument, NULL, 'w' },
    { "role", required_argument, NULL, 'r' },
    { "quiet", no_argument, NULL, 'q' },
    { "set", required_argument, NULL, OPT_SET },
    { "pg", required_argument, NULL, 'p' },
    { "force", no_argument, NULL, OPT_FORCE },
    { "wait", no_argument, NULL, OPT_WAIT },
    { "any", no_argument, NULL, OPT_ANY },
    { "pending", no_argument, NULL, OPT_PENDING },
    { "from-leader", no_argument, NULL, OPT_FROM_LEADER },
    { "leader", required_argument, NULL, OPT_LEADER },
    { "primary", required_argument, NULL, OPT_LEADER },
    { "candidate", required_argument, NULL, OPT_CANDIDATE },
    { "scheduled", required_argument, NULL, OPT_SCHEDULED },
    { "pg-version", required_argument, NULL, OPT_PG_VERSION },
    { "timeout", required_argument, NULL, OPT_TIMEOUT },
    { "apply", required_argument, NULL, OPT_APPLY },
    { "replace", required_argument, NULL, OPT_REPLACE },
    { "member", required_argument, NULL, OPT_MEMBER },
    { "dead", required_argument, NULL, OPT_DEAD },
    { NULL, 0, NULL, 0 },
};

/* Of one verb, or (NULL) of all. */
static int print_help(const char *verb)
{
    puts("Usage: pgvigilctl [OPTIONS] VERB [CLUSTER] [ARGUMENTS]\n\nVerbs:");
    for (size_t i = 0; i < N_VERBS; i++) {
        if (verb != NULL && strcmp(verbs[i].name, verb) != 0)
            continue;
        printf("  %-15s %s\n", verbs[i].name, verbs[i].help);
        if (verbs[i].arguments[0] != '\0')
            printf("                  %s\n", verbs[i].arguments);
    }
    puts("\nWhere the cluster is (one of):\n"
         "  -c, --config-file FILE   a member's configuration (PGVIGILCTL_CONFIG_FILE, else\n"
         "                           PATRONICTL_CONFIG_FILE, else /etc/pgvigil/pgvigil.yml)\n"
         "  -e, --endpoints LIST     etcd endpoints, with commas; with --scope\n"
         "  -d, --rest URL           any member's REST API: http://host:8008\n"
         "      --scope NAME         the cluster's name\n"
         "  -k, --insecure           accept any certificate\n\n"
         "Others:\n"
         "  -f, --format FORMAT      pretty, tsv, json, yaml\n"
         "      --force              ask nothing\n"
         "      --wait               until it is done\n"
         "      --version, --help\n\n"
         "Exit status: 0 done, 1 failed, 2 wrong usage.");
    return CTL_OK;
}

static bool read_format(const char *text, enum ctl_format *ret)
{
    static const struct {
        const char *name;
        enum ctl_format format;
    } names[] = { { "pretty", CTL_PRETTY },
                  { "tsv", CTL_TSV },
                  { "json", CTL_JSON },
                  { "yaml", CTL_YAML },
                  { "yml", CTL_YAML } };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i].name, text) == 0) {
            *ret = names[i].format;
            return true;
        }
    fprintf(stderr, "Error: no such format: %s (pretty, tsv, json, yaml)\n", text);
    return false;
}

static bool add_set(struct ctl_args *args, const char *pair, bool parameter)
{
    if (args->n_set == LIMIT_ARGV)
        return false;
    args->set[args->n_set++] = (struct ctl_pair){ .key = pair, .parameter = parameter };
    return true;
}

/* Options that are only a text or a flag. */
static bool take_plain(struct ctl_args *args, int option, const char *value)
{
    const struct {
        int option;
        const char **text;
        bool *flag;
    } plain[] = {
        { 'c', &args->config, NULL },
        { 'E', &args->endpoints, NULL },
        { 'd', &args->rest, NULL },
        { OPT_SCOPE, &args->scope, NULL },
        { 'r', &args->role, NULL },
        { OPT_LEADER, &args->leader, NULL },
        { OPT_CANDIDATE, &args->candidate, NULL },
        { OPT_SCHEDULED, &args->scheduled, NULL },
        { OPT_PG_VERSION, &args->pg_version, NULL },
        { OPT_TIMEOUT, &args->timeout, NULL },
        { OPT_APPLY, &args->apply, NULL },
        { OPT_REPLACE, &args->replace, NULL },
        { OPT_MEMBER, &args->member, NULL },
        { 'k', NULL, &args->insecure },
        { 'x', NULL, &args->extended },
        { 't', NULL, &args->timestamp },
        { 'q', NULL, &args->quiet },
        { OPT_FORCE, NULL, &args->force },
        { OPT_WAIT, NULL, &args->wait },
        { OPT_ANY, NULL, &args->any },
        { OPT_PENDING, NULL, &args->pending },
        { OPT_FROM_LEADER, NULL, &args->from_leader },
        { OPT_HELP, NULL, &args->help },
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (plain[i].option == option) {
            if (plain[i].text != NULL)
                *plain[i].text = value;
            else
                *plain[i].flag = true;
            return true;
        }
    return false;
}

/* 0: go on; else the exit status + 1. */
static int take_option(struct ctl_args *args, int option, const char *value)
{
    if (take_plain(args, option, value))
        return 0;
    switch (option) {
    case OPT_VERSION:
        puts("pgvigilctl " PGVIGIL_VERSION);
        return CTL_OK + 1;
    case 'f':
        return read_format(value, &args->format) ? 0 : CTL_USAGE + 1;
    case 'w':
        args->watch_s = strtod(value, NULL);
        if (!(args->watch_s > 0))
            fprintf(stderr, "Error: -w: expected seconds, not %s\n", value);
        return args->watch_s > 0 ? 0 : CTL_USAGE + 1;
    case 's':
    case OPT_SET:
        return add_set(args, value, false) ? 0 : CTL_USAGE + 1;
    case 'p':
        return add_set(args, value, true) ? 0 : CTL_USAGE + 1;
    case OPT_DEAD:
        if (args->n_dead == LIMIT_MEMBERS)
            return CTL_USAGE + 1;
        args->dead[args->n_dead++] = value;
        return 0;
    default:
        return CTL_USAGE + 1;
    }
}

/* `list -e` is patronictl's --extended; everywhere else -e takes the endpoints. */
static bool take_endpoints(struct ctl_args *args, int argc, char **argv)
{
    if (args->verb != NULL && strcmp(args->verb, "list") == 0) {
        args->extended = true;
        return true;
    }
    if (optind >= argc)
        return false;
    args->endpoints = argv[optind++];
    return true;
}

static int parse(struct ctl_args *args, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "-c:E:d:kf:xetw:r:s:p:q", long_options, NULL)) != -1) {
        if (option == 1) {
            if (args->verb == NULL)
                args->verb = optarg;
            else if (args->n_names < LIMIT_MEMBERS)
                args->names[args->n_names++] = optarg;
            continue;
        }
        if (option == 'e') {
            if (!take_endpoints(args, argc, argv))
                return CTL_USAGE + 1;
            continue;
        }
        int end = take_option(args, option, optarg);
        if (end != 0)
            return end;
    }
    return 0;
}

static int run(struct ctl *ctl, ctl_verb_fn *verb, bool names)
{
    struct err err;
    int status = CTL_FAILED;
    if (ctl_open(ctl, &err) != ERR_OK)
        ctl_fail("%s", err.text);
    else
        status = ctl_take_cluster_name(ctl, names) ? verb(ctl) : CTL_USAGE;
    ctl_close(ctl);
    return status;
}

int main(int argc, char **argv)
{
    struct ctl ctl = { 0 };
    int end = parse(&ctl.args, argc, argv);
    if (end == CTL_USAGE + 1)
        fputs("pgvigilctl --help tells more\n", stderr);
    if (end != 0)
        return end - 1;
    log_open("pgvigilctl", LOG_LEVEL_ERROR, false);
    if (ctl.args.verb == NULL) {
        print_help(NULL);
        return ctl.args.help ? CTL_OK : CTL_USAGE;
    }
    json_setup();
    http_setup();
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i].name, ctl.args.verb) == 0)
            return ctl.args.help ? print_help(verbs[i].name)
                                 : run(&ctl, verbs[i].run, verbs[i].names);
    fprintf(stderr, "Error: no such verb: %s (see --help)\n", ctl.args.verb);
    return CTL_USAGE;
}
