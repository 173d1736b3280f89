#include "sidecar/postgres/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/member.h"

enum { CONNECT_TIMEOUT_S = 5 };

void conf_files_done(struct conf_files *files)
{
    free(files->conf);
    free(files->hba);
    free(files->ident);
    if (files->pgpass != NULL)
        explicit_bzero(files->pgpass, strlen(files->pgpass));
    free(files->pgpass);
    *files = (struct conf_files){ 0 };
}

bool conf_files_equal(const struct conf_files *a, const struct conf_files *b)
{
    return text_equal(a->conf, b->conf) && text_equal(a->hba, b->hba) &&
           text_equal(a->ident, b->ident) && text_equal(a->pgpass, b->pgpass);
}

/* ---- quoting ---- */

static void add_quoted(struct text *text, const char *value)
{
    text_add(text, "'");
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            text_add(text, "\\n");
            continue;
        }
        if (*value == '\'' || *value == '\\')
            text_add_bytes(text, value, 1);
        text_add_bytes(text, value, 1);
    }
    text_add(text, "'");
}

static void add_setting(struct text *conf, const char *name, const char *value)
{
    text_addf(conf, "%s = ", name);
    add_quoted(conf, value);
    text_add(conf, "\n");
}

/* libpq: a value in quotes, where ' and \ get a backslash. */
static void add_keyword(struct text *conninfo, const char *name, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    text_addf(conninfo, "%s%s='", conninfo->len > 0 ? " " : "", name);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            text_add(conninfo, "\\");
        text_add_bytes(conninfo, value, 1);
    }
    text_add(conninfo, "'");
}

/* ---- connections ---- */

void conf_conninfo(const struct place *place, const struct conf_target *target,
                   struct text *ret_conninfo)
{
    struct text *to = ret_conninfo;
    const struct config_login *login = target->login;
    text_addf(to, "%sport='%d'", to->len > 0 ? " " : "", target->port);
    add_keyword(to, "host", target->host);
    add_keyword(to, "user", login->username);
    add_keyword(to, "dbname", target->database);
    add_keyword(to, "application_name", target->application_name);
    add_keyword(to, "replication", target->walsender ? "true" : NULL);
    add_keyword(to, "target_session_attrs", target->primary ? "primary" : NULL);
    add_keyword(to, "passfile", place->pgpass);
    text_addf(to, " connect_timeout='%d'", CONNECT_TIMEOUT_S);
    add_keyword(to, "sslmode", login->sslmode != NULL ? login->sslmode : "prefer");
    add_keyword(to, "sslkey", login->sslkey);
    add_keyword(to, "sslcert", login->sslcert);
    add_keyword(to, "sslrootcert", login->sslrootcert);
    add_keyword(to, "sslcrl", login->sslcrl);
    add_keyword(to, "gssencmode", login->gssencmode);
    add_keyword(to, "channel_binding", login->channel_binding);
}

bool conf_parse_url(const char *url, char ret_host[LIMIT_URL], int *ret_port)
{
    char address[LIMIT_URL];
    const char *from = strstr(url, "://");
    if (from == NULL)
        return false;
    from += 3;
    size_t len = strcspn(from, "/?");
    if (len >= sizeof(address))
        return false;
    memcpy(address, from, len);
    address[len] = '\0';
    const char *at = strrchr(address, '@');
    return place_split(at == NULL ? address : at + 1, ret_host, LIMIT_URL, ret_port);
}

/* ---- postgresql.conf ---- */

void conf_ssn(const struct conf_role *role, char ret_ssn[LIMIT_SSN])
{
    ret_ssn[0] = '\0';
    /* S2: a standby runs with an empty SSN. */
    if (role->standby)
        return;
    if (role->ssn == SSN_NAMES)
        ssn_format(&role->ssn_names, ret_ssn);
    else if (role->ssn == SSN_NOBODY)
        text_copy(ret_ssn, LIMIT_SSN, SSN_NOBODY_NAME);
}

static void add_parameters(struct text *conf, const struct conf_input *input)
{
    for (size_t i = 0; i < input->parameters->n; i++) {
        const struct parameter *parameter = &input->parameters->item[i];
        bool theirs = strcmp(parameter->name, "synchronous_standby_names") == 0;
        if (!theirs)
            add_setting(conf, parameter->name, parameter->value);
    }
}

/* With synchronous_mode off the user's own value stands, once ours has gone (patroni-compat 1.6). */
static void add_ssn(struct text *conf, const struct conf_input *input)
{
    char ssn[LIMIT_SSN];
    const char *user = parameters_get(input->parameters, "synchronous_standby_names");
    conf_ssn(input->role, ssn);
    if (ssn[0] == '\0' && !input->role->standby && user != NULL &&
        input->settings->synchronous_mode == SYNC_OFF)
        text_copy(ssn, sizeof(ssn), user);
    add_setting(conf, "synchronous_standby_names", ssn);
}

/* Design part 6: who reads a logical slot that fails over gets nothing that a synchronous standby lacks.
 * Beside its name, hence in the same reload (S2). A value of the user's own stands. */
static void add_synchronized_slots(struct text *conf, const struct conf_input *input)
{
    const struct conf_role *role = input->role;
    auto_text struct text slots = text_new(LIMIT_SSN);
    char slot[LIMIT_NAME];
    bool known = input->server_version == 0 || input->server_version >= 170000;
    if (!known || role->standby || role->ssn != SSN_NAMES || !input->settings->use_slots ||
        parameters_get(input->parameters, "synchronized_standby_slots") != NULL)
        return;
    for (size_t i = 0; i < role->ssn_names.n; i++) {
        member_slot_name(role->ssn_names.name[i], slot);
        text_addf(&slots, "%s%s", i > 0 ? "," : "", slot);
    }
    add_setting(conf, "synchronized_standby_slots", text_str(&slots));
}

/* The same on a primary: what only a start can change must not differ after a promotion, or it would
 * show as a pending restart. */
static void add_recovery_target(struct text *conf)
{
    static const char *const no_target[] = { "recovery_target", "recovery_target_lsn",
                                             "recovery_target_name", "recovery_target_time",
                                             "recovery_target_xid" };
    add_setting(conf, "recovery_target_timeline", "latest");
    for (size_t i = 0; i < sizeof(no_target) / sizeof(no_target[0]); i++)
        add_setting(conf, no_target[i], "");
}

static void add_standby(struct text *conf, const struct conf_input *input)
{
    const struct conf_role *role = input->role;
    auto_text struct text conninfo = text_new(CONF_CONNINFO_MAX);
    char slot[LIMIT_NAME] = "";
    const struct conf_target upstream = {
        .login = &input->config->postgresql.replication,
        .host = role->upstream_host,
        .port = role->upstream_port,
        .database = input->config->postgresql.database,
        .application_name = input->config->name,
    };
    if (role->upstream_host[0] != '\0')
        conf_conninfo(input->place, &upstream, &conninfo);
    if (role->upstream_host[0] != '\0' && input->settings->use_slots)
        member_slot_name(input->config->name, slot);
    add_setting(conf, "primary_conninfo", text_str(&conninfo));
    add_setting(conf, "primary_slot_name", slot);
    if (role->end_blockers) {
        add_setting(conf, "max_standby_archive_delay", "0");
        add_setting(conf, "max_standby_streaming_delay", "0");
    }
}

static void add_files(struct text *conf, const struct conf_input *input)
{
    char path[LIMIT_PATH + 32];
    if (parameters_get(input->parameters, "hba_file") == NULL) {
        snprintf(path, sizeof(path), "%s/pg_hba.conf", input->place->conf_dir);
        add_setting(conf, "hba_file", path);
    }
    if (parameters_get(input->parameters, "ident_file") == NULL) {
        snprintf(path, sizeof(path), "%s/pg_ident.conf", input->place->conf_dir);
        add_setting(conf, "ident_file", path);
    }
}

static char *render_conf(const struct conf_input *input)
{
    struct text conf = text_new(LIMIT_FILE);
    const char *base = input->config->postgresql.custom_conf;
    text_add(&conf,
             CONF_MARK ", changes are overwritten: settings of the cluster are changed with\n"
                       "# pgvigilctl edit-config. What stood here before is the file below.\n");
    if (input->role->standby && input->role->upstream[0] != '\0')
        text_addf(&conf, "# upstream: %s %s %d\n", input->role->upstream,
                  input->role->upstream_host, input->role->upstream_port);
    text_add(&conf, "include ");
    add_quoted(&conf, base != NULL ? base : "postgresql.base.conf");
    text_add(&conf, "\n\n");
    add_parameters(&conf, input);
    add_ssn(&conf, input);
    add_synchronized_slots(&conf, input);
    add_files(&conf, input);
    add_recovery_target(&conf);
    if (input->role->standby)
        add_standby(&conf, input);
    return text_take(&conf);
}

/* ---- the others ---- */

static char *render_lines(const struct text_list *lines)
{
    struct text text = text_new(LIMIT_FILE);
    if (lines->n == 0)
        return NULL;
    text_add(&text, CONF_MARK ", changes are overwritten.\n");
    for (size_t i = 0; i < lines->n; i++)
        text_addf(&text, "%s\n", lines->item[i]);
    return text_take(&text);
}

static void add_pgpass_field(struct text *text, const char *field)
{
    for (; *field != '\0'; field++) {
        if (*field == ':' || *field == '\\')
            text_add(text, "\\");
        text_add_bytes(text, field, 1);
    }
}

static void add_login(struct text *text, const struct config_login *login)
{
    if (login->username == NULL || login->password == NULL)
        return;
    text_add(text, "*:*:*:");
    add_pgpass_field(text, login->username);
    text_add(text, ":");
    add_pgpass_field(text, login->password);
    text_add(text, "\n");
}

static char *render_pgpass(const struct config_postgresql *pg)
{
    struct text text = text_new(LIMIT_FILE);
    add_login(&text, &pg->replication);
    add_login(&text, &pg->rewind);
    add_login(&text, &pg->superuser);
    return text_take(&text);
}

void conf_render(const struct conf_input *input, struct conf_files *ret_files)
{
    bool own_hba = parameters_get(input->parameters, "hba_file") == NULL;
    bool own_ident = parameters_get(input->parameters, "ident_file") == NULL;
    ret_files->conf = render_conf(input);
    ret_files->hba = own_hba ? render_lines(&input->settings->pg_hba) : NULL;
    ret_files->ident = own_ident ? render_lines(&input->settings->pg_ident) : NULL;
    ret_files->pgpass = render_pgpass(&input->config->postgresql);
}
