#pragma once
/* pgvigilctl: the operator's command line. One verb per file; a verb is a function over what main has
 * parsed. Everything waits here, one request after the other: a person sits in front of it. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/text.h"
#include "etcd/etcd.h"
#include "http/http.h"
#include "loop/loop.h"
#include "json/json.h"

struct config; /* settings/config.h, which does not go together with getopt.h */

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

enum ctl_format { CTL_PRETTY, CTL_TSV, CTL_JSON, CTL_YAML };

struct ctl_pair {
    const char *key;
    bool parameter; /* -p: below postgresql.parameters */
};

/* The command line. Borrowed from argv. */
struct ctl_args {
    const char *verb;
    const char *names[LIMIT_MEMBERS]; /* positional, the cluster's name taken out */
    size_t n_names;
    const char *dead[LIMIT_MEMBERS]; /* members whose Postgres a person knows to be down */
    size_t n_dead;
    const char *config, *endpoints, *rest, *scope;
    enum ctl_format format;
    bool extended, timestamp, insecure, force, wait, any, pending, from_leader, help;
    const char *role, *leader, *candidate, *scheduled, *pg_version, *timeout;
    const char *apply, *replace, *member;
    struct ctl_pair set[LIMIT_ARGV];
    size_t n_set;
    bool quiet;
    double watch_s; /* 0: once */
};

struct ctl {
    struct ctl_args args;
    struct loop *loop;
    struct http *http;
    struct http_tls *tls; /* for members' REST */
    struct http_tls *etcd_tls;
    struct etcd *etcd;     /* NULL: only REST is known */
    struct config *config; /* NULL: none was read */
    char *scope;
    char *prefix; /* "/service/demo/" */
    const char *username, *password;
};

/* ctl/context.c. Errors: what is missing and which option gives it. */
enum err_code ctl_open(struct ctl *ctl, struct err *err);
void ctl_close(struct ctl *ctl);

/* ctl/call.c: waits for the answer. */
struct ctl_answer {
    enum err_code code; /* ERR_OK: an answer of any status */
    int status;
    char *body; /* never NULL */
    char error[ERR_TEXT_MAX];
};
struct ctl_answer ctl_rest(struct ctl *ctl, const char *method, const char *url, const char *body,
                           int64_t timeout_ms);
void ctl_answer_done(struct ctl_answer *answer);
void ctl_pause(struct ctl *ctl, int64_t ms);
/* A member's URL with another path: "http://h:8008/patroni" and "/restart". The caller frees it. */
char *ctl_url(const char *api_url, const char *path);

/* ctl/cluster.c: the cluster as the store has it, else as a member's REST tells it. */
struct ctl_cluster {
    json_t *cluster;             /* the form of GET /cluster */
    json_t *config;              /* NULL: none */
    int64_t config_revision;     /* 0 without etcd */
    char initialize[LIMIT_NAME]; /* system id; "" with `initialized`: under way */
    bool initialized;
    const char *leader; /* borrowed from `cluster`; NULL: none */
    bool pause;
    bool all_paused; /* every member has noticed pause */
    bool none_paused;
};
enum err_code ctl_cluster_load(struct ctl *ctl, struct ctl_cluster *ret_cluster, struct err *err);
void ctl_cluster_done(struct ctl_cluster *cluster);
json_t *ctl_cluster_member(const struct ctl_cluster *cluster, const char *name); /* borrowed */
const char *ctl_text(const json_t *object, const char *key); /* "" when absent */
/* Prints the table of `list`. */
void ctl_cluster_print(struct ctl *ctl, const struct ctl_cluster *cluster);

/* ctl/table.c */
enum { CTL_COLUMNS = 16 };
struct ctl_table {
    size_t n_columns;
    const char *columns[CTL_COLUMNS];
    bool right[CTL_COLUMNS];
    json_t *rows;      /* array of arrays: texts, numbers, objects */
    const char *title; /* pretty: stands in the first line; NULL: none */
    size_t skip;       /* pretty: columns left out at the left (the cluster's name) */
};
void ctl_table_print(const struct ctl_table *table, enum ctl_format format, bool drop_empty);
/* A table's text, for tests. */
void ctl_table_write(struct text *to, const struct ctl_table *table, enum ctl_format format,
                     bool drop_empty);

/* ctl/prompt.c: questions as patronictl asks them. */
bool ctl_confirm(const char *question);
/* The answer, `fallback` for an empty one; "" at the end of input. The caller frees it. */
char *ctl_ask(const char *question, const char *fallback);
/* ctl/diff.c: a unified diff of two texts, line by line, with three lines around each change. */
void ctl_diff(struct text *to, const char *before, const char *after);

/* ctl/edit.c: "a.b.c=value" into a tree; the value is YAML; null deletes. ERR_INVALID. */
enum err_code ctl_set(json_t *tree, const char *pair, const char *below, struct err *err);
/* All settings, from YAML; nothing at all is ERR_INVALID: a broken pipe and no wish. */
enum err_code ctl_parse_all(const char *name, struct text *yaml, json_t **ret, struct err *err);
/* What PATCH /config needs to make `before` into `after`. New reference. */
json_t *ctl_merge_patch(const json_t *before, const json_t *after);

/* The first argument may be the cluster's name, as patronictl's must be: it is taken out. False (and
 * said): to a verb that takes no other `names` something else was told, the name of another cluster
 * perhaps. With -d alone the name is not known, and one is believed. */
bool ctl_take_cluster_name(struct ctl *ctl, bool names);
/* Members that a verb is for: those named, else by role; asks where Patroni asks. False: an error was
 * printed. `ret_members`: array of entries of /cluster, new reference. */
bool ctl_pick_members(struct ctl *ctl, const struct ctl_cluster *cluster, json_t **ret_members);

typedef int ctl_verb_fn(struct ctl *ctl);
ctl_verb_fn ctl_verb_list;
ctl_verb_fn ctl_verb_switchover;
ctl_verb_fn ctl_verb_failover;
ctl_verb_fn ctl_verb_restart;
ctl_verb_fn ctl_verb_reload;
ctl_verb_fn ctl_verb_reinit;
ctl_verb_fn ctl_verb_pause;
ctl_verb_fn ctl_verb_resume;
ctl_verb_fn ctl_verb_show_config;
ctl_verb_fn ctl_verb_edit_config;
ctl_verb_fn ctl_verb_recover_quorum;
ctl_verb_fn ctl_verb_accept;
ctl_verb_fn ctl_verb_rollout;
ctl_verb_fn ctl_verb_version;

/* Prints "Error: …" as patronictl does and gives CTL_FAILED. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
