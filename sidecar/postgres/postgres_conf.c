/* What the files of Postgres should be now, and whether they are. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/postgres/conf_write.h"
#include "sidecar/postgres/context.h"

struct compare_job {
    struct postgres *postgres;
    struct place place;
    struct conf_files files;
    bool differs;
};

static bool is_refused(const struct refused *refused, const char *name)
{
    for (size_t i = 0; i < refused->n; i++)
        if (strcasecmp(refused->name[i], name) == 0) /* "TimeZone" */
            return true;
    return false;
}

static void leave_out(const struct refused *refused, struct parameters *parameters)
{
    size_t kept = 0;
    for (size_t i = 0; i < parameters->n; i++) {
        struct parameter *parameter = &parameters->item[i];
        if (is_refused(refused, parameter->name)) {
            free(parameter->name);
            free(parameter->value);
        } else {
            parameters->item[kept++] = *parameter;
        }
    }
    parameters->n = kept;
}

/* The same settings are looked at again and again; a person is told once. */
static void say_once(struct text *warned, const char *warnings)
{
    if (strcmp(text_str(warned), warnings) == 0)
        return;
    text_clear(warned);
    text_add(warned, warnings);
    while (*warnings != '\0') {
        size_t len = strcspn(warnings, "\n");
        log_warn("%.*s", (int)len, warnings);
        warnings += len + (warnings[len] == '\n');
    }
}

static int server_version(const struct postgres *postgres)
{
    int running = probe_state(postgres->probe)->facts.server_version;
    return running != 0 ? running : postgres->binary_version;
}

void postgres_parameters(const struct postgres *postgres, bool primary,
                         struct parameters *ret_parameters)
{
    const struct controldata *control = &postgres->look.found.control;
    struct text warnings = text_new(LIMIT_FILE);
    struct parameter_node node = {
        .primary = primary,
        .server_version = server_version(postgres),
    };
    if (postgres->look.found.control_known)
        node.floors = (struct parameter_floors){
            .max_connections = control->max_connections,
            .max_worker_processes = control->max_worker_processes,
            .max_wal_senders = control->max_wal_senders,
            .max_prepared_transactions = control->max_prepared_transactions,
            .max_locks_per_transaction = control->max_locks_per_transaction,
        };
    parameters_build(postgres->parts.settings, postgres->parts.config, &node, ret_parameters,
                     &warnings);
    say_once(postgres->warned, text_str(&warnings));
    text_done(&warnings);
    leave_out(&postgres->refused, ret_parameters);
}

/* ---- what the server does not take ---- */

static bool refuse(struct refused *refused, const char *name)
{
    if (is_refused(refused, name) || refused->n == PG_PENDING_MAX)
        return false;
    text_copy(refused->name[refused->n++], LIMIT_NAME, name);
    log_warn("parameter %s: this server does not take it -> left out", name);
    return true;
}

/* 'unrecognized configuration parameter "x" in file …', 'invalid value for parameter "x": …',
 * '… is outside the valid range for parameter "x"' */
bool postgres_refuse(struct postgres *postgres, const char *output)
{
    static const char key[] = "parameter \"";
    bool more = false;
    for (const char *at = strstr(output, key); at != NULL; at = strstr(at, key)) {
        char name[LIMIT_NAME];
        at += strlen(key);
        size_t len = strcspn(at, "\"\n");
        if (len == 0 || len >= sizeof(name))
            continue;
        memcpy(name, at, len);
        name[len] = '\0';
        more = refuse(&postgres->refused, name) || more;
    }
    return more;
}

void postgres_render(const struct postgres *postgres, struct conf_files *ret_files)
{
    struct parameters parameters = { .n = 0 };
    postgres_parameters(postgres, !postgres->role.standby, &parameters);
    const struct conf_input input = {
        .config = postgres->parts.config,
        .settings = postgres->parts.settings,
        .place = &postgres->place,
        .parameters = &parameters,
        .role = &postgres->role,
        .server_version = server_version(postgres),
    };
    conf_render(&input, ret_files);
    parameters_done(&parameters);
}

/* ---- compare ---- */

static void free_job(void *arg)
{
    struct compare_job *job = arg;
    conf_files_done(&job->files);
    free(job);
}

static void compare(void *arg)
{
    struct compare_job *job = arg;
    job->differs = conf_differs(&job->place, &job->files);
}

static void on_compared(void *arg)
{
    struct compare_job *job = arg;
    struct postgres *postgres = job->postgres;
    postgres->compare = source_free(postgres->compare);
    if (postgres->compare_again || postgres->writing) {
        postgres->compare_again = false;
        free_job(job);
        conf_compare(postgres);
        return;
    }
    if (postgres->files_differ != job->differs)
        postgres_changed(postgres);
    postgres->files_differ = job->differs;
    free_job(job);
}

/* Only while Postgres runs: a start writes the files anyway. */
void conf_compare(struct postgres *postgres)
{
    if (!postgres->role_known || !postgres->look.found.control_known || postgres->writing ||
        !postgres->lives.running)
        return;
    if (postgres->compare != NULL) {
        postgres->compare_again = true;
        return;
    }
    struct compare_job *job = mem_struct(struct compare_job);
    job->postgres = postgres;
    job->place = postgres->place;
    postgres_render(postgres, &job->files);
    postgres->compare = loop_work(postgres->parts.loop, compare, on_compared, free_job, job);
}

void postgres_role_changed(struct postgres *postgres)
{
    postgres->role_known = true;
    conf_compare(postgres);
    postgres_changed(postgres);
}

/* ---- the role ---- */

void postgres_note_ssn(struct postgres *postgres)
{
    postgres->ssn_disk = postgres->role.standby ? SSN_EMPTY : postgres->role.ssn;
    postgres->ssn_disk_names = postgres->role.ssn_names;
}

/* After a restart of the sidecar the file tells what we have done; afterwards we know. A value that
 * is not ours stays foreign until a step writes (S2). */
void conf_adopt_disk(struct postgres *postgres)
{
    const struct datadir *dir = &postgres->look.found.dir;
    struct conf_role *role = &postgres->role;
    if (dir->dir != DATA_DIR_VALID || postgres->writing)
        return;
    postgres->ssn_disk = dir->conf.ssn_kind;
    postgres->ssn_disk_names = dir->conf.ssn_names;
    if (postgres->role_known && postgres->lives.running) {
        conf_compare(postgres);
        return;
    }
    *role = (struct conf_role){ .standby = dir->standby_signal,
                                .ssn = dir->conf.ssn_kind,
                                .ssn_names = dir->conf.ssn_names,
                                .upstream_port = dir->conf.upstream_port };
    memcpy(role->upstream, dir->conf.upstream, sizeof(role->upstream));
    memcpy(role->upstream_host, dir->conf.upstream_host, sizeof(role->upstream_host));
    postgres_role_changed(postgres);
    probe_look(postgres->probe);
}

/* Promoted, by us or by somebody else: the files of a primary have no upstream. */
void conf_follow_role(struct postgres *postgres)
{
    const struct probe_state *probe = probe_state(postgres->probe);
    struct conf_role *role = &postgres->role;
    if (!probe->queryable || !postgres->role_known || role->standby == probe->view.in_recovery)
        return;
    role->standby = probe->view.in_recovery;
    if (!role->standby) {
        role->upstream[0] = '\0';
        role->upstream_host[0] = '\0';
        role->end_blockers = false;
        role->ssn = SSN_EMPTY; /* a standby's file had none (S2) */
    }
    postgres_role_changed(postgres);
}
