#include "controller/secrets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/kube/secret.h"
#include "controller/pki/authority.h"
#include "controller/pki/pki.h"

enum {
    PASSWORD_LEN = 32,
    AGAIN_MS = 60000, /* all is there */
    SOON_MS = 1000,   /* something is missing */
};

/* In this order: a certificate needs the CA. */
enum kind { KIND_CREDENTIALS, KIND_APP, KIND_CA, KIND_SERVER, KIND_CLIENT, KIND_MAX };

struct secrets {
    struct secrets_spec spec;
    bool active;
    struct source *timer;
    struct kube_secret *current;
    enum kind kind;         /* of the current one */
    bool missing;           /* in this round */
    json_t *data[KIND_MAX]; /* as last read */
    char complaint[ERR_TEXT_MAX];
    struct wall oldest_pod;
    enum authority_move ca_said;
};

static const struct {
    const char *suffix;
    const char *type;
} kinds[KIND_MAX] = {
    [KIND_CREDENTIALS] = { "credentials", "Opaque" },
    [KIND_APP] = { "app", "Opaque" },
    [KIND_CA] = { "ca", "kubernetes.io/tls" },
    [KIND_SERVER] = { "server", "kubernetes.io/tls" },
    [KIND_CLIENT] = { "client", "kubernetes.io/tls" },
};

static void next(struct secrets *secrets);

static const char *value(const json_t *data, const char *key)
{
    return json_string_value(json_object_get(data, key));
}

/* ---- passwords -------------------------------------------------------------------------------- */

static json_t *new_password(void)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char password[PASSWORD_LEN + 1] = "";
    size_t len = 0;
    while (len < PASSWORD_LEN) {
        unsigned char byte;
        if (getrandom(&byte, 1, 0) == 1 && byte < 248) /* 4 * 62: each letter as likely */
            password[len++] = letters[byte % 62];
    }
    json_t *json = json_string(password);
    explicit_bzero(password, sizeof(password));
    return json;
}

static json_t *missing_credentials(const json_t *data)
{
    static const char *const keys[] = { "superuser-password", "replication-password",
                                        "rewind-password", "restapi-password" };
    json_t *news = json_object();
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (value(data, keys[i]) == NULL)
            json_object_set_new(news, keys[i], new_password());
    return news;
}

static void add_text(json_t *to, const json_t *data, const char *key, const struct text *text)
{
    if (value(data, key) == NULL)
        json_object_set_new(to, key, json_string(text_str(text)));
}

static void add_urls(const struct secrets *secrets, json_t *news, const json_t *data,
                     const char *password)
{
    const struct options *options = secrets->spec.options;
    auto_text struct text host = text_new(LIMIT_PATH);
    auto_text struct text uri = text_new(LIMIT_PATH);
    auto_text struct text jdbc = text_new(LIMIT_PATH);
    const char *user = options->app_user, *database = options->app_database;
    int port = options->postgres_port;
    text_addf(&host, "%s-primary.%s.svc", options->release, secrets->spec.ns);
    text_addf(&uri, "postgresql://%s:%s@%s:%d/%s", user, password, text_str(&host), port, database);
    text_addf(&jdbc, "jdbc:postgresql://%s:%d/%s?user=%s&password=%s", text_str(&host), port,
              database, user, password);
    add_text(news, data, "host", &host);
    add_text(news, data, "uri", &uri);
    add_text(news, data, "jdbc-uri", &jdbc);
}

static json_t *missing_app(const struct secrets *secrets, const json_t *data)
{
    const struct options *options = secrets->spec.options;
    const char *password = value(data, "password");
    json_t *news = json_object();
    if (password == NULL) {
        json_object_set_new(news, "password", new_password());
        password = value(news, "password");
    }
    if (value(data, "user") == NULL)
        json_object_set_new(news, "user", json_string(options->app_user));
    if (value(data, "dbname") == NULL)
        json_object_set_new(news, "dbname", json_string(options->app_database));
    if (value(data, "port") == NULL)
        json_object_set_new(news, "port", json_sprintf("%d", options->postgres_port));
    add_urls(secrets, news, data, password);
    return news;
}

/* ---- certificates ----------------------------------------------------------------------------- */

static void own_name(const struct secrets *secrets, struct text *to)
{
    text_addf(to, "pgvigil %s", secrets->spec.options->release);
}

static json_t *make_ca(const struct secrets *secrets, const char *cert_key, const char *key_key)
{
    struct pki_pair pair;
    struct err err;
    auto_text struct text name = text_new(LIMIT_PATH);
    own_name(secrets, &name);
    if (pki_make_ca(text_str(&name), clock_wall(), &pair, &err) != ERR_OK) {
        log_error("secrets: %s", err.text);
        return json_object();
    }
    json_t *json = json_pack("{s:s,s:s}", cert_key, pair.cert, key_key, pair.key);
    pki_pair_done(&pair);
    return json;
}

/* `name` lives as long as what is returned. */
static struct authority authority_of(const json_t *data, const char *name)
{
    return (struct authority){ .cert = value(data, "tls.crt"),
                               .next = value(data, "next.crt"),
                               .previous = value(data, "previous.crt"),
                               .own_name = name };
}

/* Once for each state, and again by the next controller that is active. */
static void say_ca(struct secrets *secrets, enum authority_move move, const char *text)
{
    if (secrets->ca_said == move)
        return;
    secrets->ca_said = move;
    auto_text struct text line = text_new(LIMIT_LOG_LINE);
    text_addf(&line, "%s-ca: %s", secrets->spec.options->release, text);
    log_warn("secrets: %s", text_str(&line));
    secrets->spec.say(secrets->spec.arg, "CertificateAuthority", move != AUTHORITY_PROMOTE,
                      text_str(&line));
}

/* The one that was prepared signs from now on. */
static json_t *promoted(const json_t *data)
{
    return json_pack("{s:O,s:O,s:O}", "previous.crt", json_object_get(data, "tls.crt"), "tls.crt",
                     json_object_get(data, "next.crt"), "tls.key",
                     json_object_get(data, "next.key"));
}

static json_t *renewed_ca(struct secrets *secrets, const json_t *data)
{
    auto_text struct text name = text_new(LIMIT_PATH);
    own_name(secrets, &name);
    const struct authority authority = authority_of(data, text_str(&name));
    enum authority_move move = authority_move(&authority, clock_wall(), secrets->oldest_pod);
    switch (move) {
    case AUTHORITY_KEEP:
        break;
    case AUTHORITY_PREPARE:
        say_ca(
            secrets, move,
            "a third of its life is left: the next CA is in ca.crt from now on, which clients that "
            "check the server should fetch anew; it signs when a sixth is left");
        return make_ca(secrets, "next.crt", "next.key");
    case AUTHORITY_PROMOTE:
        say_ca(secrets, move, "a sixth of its life is left: the next CA signs from now on");
        return promoted(data);
    case AUTHORITY_WAIT:
        say_ca(
            secrets, move,
            "a sixth of its life is left, and a pod is older than the next CA, which its etcd "
            "does not trust yet: delete the pods that are, one after the other, the primary's last");
        break;
    case AUTHORITY_ENDS:
        say_ca(secrets, move,
               "a sixth of its life is left, and it was not made by the controller: renew it");
        break;
    }
    return json_object();
}

static json_t *missing_ca(struct secrets *secrets, const json_t *data)
{
    if (value(data, "tls.crt") == NULL || value(data, "tls.key") == NULL)
        return make_ca(secrets, "tls.crt", "tls.key");
    return renewed_ca(secrets, data);
}

/* "x", "x.ns", "x.ns.svc" and with the cluster's domain, after an optional "*.". */
static void add_service(const struct secrets *secrets, struct text *to, const char *host)
{
    const char *ns = secrets->spec.ns;
    text_addf(to, ",DNS:%s.%s,DNS:%s.%s.svc,DNS:%s.%s.svc.%s", host, ns, host, ns, host, ns,
              secrets->spec.options->cluster_domain);
}

static void server_names(const struct secrets *secrets, struct text *to)
{
    const char *release = secrets->spec.options->release;
    static const char *const suffixes[] = { "", "-primary", "-replicas" };
    text_add(to, "DNS:localhost,IP:127.0.0.1,IP:::1");
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        auto_text struct text host = text_new(LIMIT_PATH);
        text_addf(&host, "%s%s", release, suffixes[i]);
        text_addf(to, ",DNS:%s", text_str(&host));
        add_service(secrets, to, text_str(&host));
    }
    auto_text struct text pods = text_new(LIMIT_PATH);
    text_addf(&pods, "*.%s", release);
    add_service(secrets, to, text_str(&pods));
    auto_free char *more = mem_strdup(secrets->spec.options->certificate_names);
    char *rest = more;
    char *name;
    while ((name = strsep(&rest, ", ")) != NULL)
        if (name[0] != '\0')
            text_addf(
                to, strspn(name, "0123456789.:abcdefABCDEF") == strlen(name) ? ",IP:%s" : ",DNS:%s",
                name);
}

static json_t *make_leaf(const char *ca, const char *ca_key, const struct pki_leaf *leaf)
{
    struct pki_pair pair;
    struct err err;
    if (pki_make_leaf(ca, ca_key, leaf, clock_wall(), &pair, &err) != ERR_OK) {
        log_error("secrets: %s", err.text);
        return json_object();
    }
    json_t *json = json_pack("{s:s,s:s}", "tls.crt", pair.cert, "tls.key", pair.key);
    pki_pair_done(&pair);
    return json;
}

static json_t *missing_leaf(const struct secrets *secrets, const json_t *data)
{
    bool server = secrets->kind == KIND_SERVER;
    const char *ca = value(secrets->data[KIND_CA], "tls.crt");
    const char *ca_key = value(secrets->data[KIND_CA], "tls.key");
    if (ca == NULL || ca_key == NULL)
        return json_object();
    auto_text struct text names = text_new(LIMIT_HTTP_HEADER);
    auto_text struct text name = text_new(LIMIT_PATH);
    if (server)
        server_names(secrets, &names);
    text_addf(&name, "%s-%s", secrets->spec.options->release, server ? "server" : "client");
    const struct pki_leaf leaf = { .common_name = text_str(&name),
                                   .names = server ? text_str(&names) : NULL,
                                   .server = server };
    const char *cert = value(data, "tls.crt");
    bool due = cert == NULL || value(data, "tls.key") == NULL ||
               pki_leaf_is_due(cert, ca, &leaf, clock_wall());
    json_t *news = due ? make_leaf(ca, ca_key, &leaf) : json_object();
    const struct authority authority = authority_of(secrets->data[KIND_CA], "");
    auto_text struct text bundle = text_new(LIMIT_FILE);
    authority_bundle(&authority, clock_wall(), &bundle);
    const char *trusted = value(data, "ca.crt");
    if (trusted == NULL || strcmp(trusted, text_str(&bundle)) != 0)
        json_object_set_new(news, "ca.crt", json_string(text_str(&bundle)));
    return news;
}

/* ---- one after the other ---------------------------------------------------------------------- */

static json_t *on_missing(void *arg, const json_t *data)
{
    struct secrets *secrets = arg;
    auto_json json_t *news = NULL;
    if (!secrets->active || !secrets->spec.options->manages_secrets)
        return NULL;
    switch (secrets->kind) {
    case KIND_CREDENTIALS:
        news = missing_credentials(data);
        break;
    case KIND_APP:
        news = missing_app(secrets, data);
        break;
    case KIND_CA:
        news = missing_ca(secrets, data);
        break;
    case KIND_SERVER:
    case KIND_CLIENT:
        if (secrets->spec.options->certificates == CERTIFICATES_MAKE)
            news = missing_leaf(secrets, data);
        break;
    case KIND_MAX:
        break;
    }
    if (json_object_size(news) == 0)
        return NULL;
    log_info("secrets: %s-%s %s -> written", secrets->spec.options->release,
             kinds[secrets->kind].suffix, data == NULL ? "is absent" : "is incomplete or due");
    return json_incref(news);
}

static void tell_own(const struct secrets *secrets)
{
    const json_t *client = secrets->data[KIND_CLIENT];
    const struct secrets_own own = {
        .ca = value(client, "ca.crt"),
        .cert = value(client, "tls.crt"),
        .key = value(client, "tls.key"),
        .rest_password = value(secrets->data[KIND_CREDENTIALS], "restapi-password"),
    };
    secrets->spec.fn(secrets->spec.arg, &own);
}

static void on_done(void *arg, const json_t *data, const struct err *err)
{
    struct secrets *secrets = arg;
    enum kind kind = secrets->kind;
    secrets->current = kube_secret_free(secrets->current);
    if (err != NULL) {
        if (strcmp(secrets->complaint, err->text) != 0)
            log_warn("secrets: %s-%s: %s -> again", secrets->spec.options->release,
                     kinds[kind].suffix, err->text);
        (void)text_copy(secrets->complaint, sizeof(secrets->complaint), err->text);
        secrets->missing = true;
    } else {
        secrets->missing |= data == NULL;
        bool news = !json_equal(data, secrets->data[kind]) && data != secrets->data[kind];
        json_decref(secrets->data[kind]);
        secrets->data[kind] = json_incref((json_t *)(uintptr_t)data);
        if (news && (kind == KIND_CREDENTIALS || kind == KIND_CLIENT))
            tell_own(secrets);
    }
    secrets->kind++;
    next(secrets);
}

static bool is_wanted(const struct secrets *secrets, enum kind kind)
{
    const struct options *options = secrets->spec.options;
    bool makes = secrets->active && options->manages_secrets;
    switch (kind) {
    case KIND_CREDENTIALS:
        return true;
    case KIND_APP:
        return makes && options->app_database[0] != '\0';
    case KIND_CA:
    case KIND_SERVER:
        return makes && options->certificates == CERTIFICATES_MAKE;
    case KIND_CLIENT:
        return options->certificates != CERTIFICATES_OFF;
    case KIND_MAX:
        break;
    }
    return false;
}

static void next(struct secrets *secrets)
{
    while (secrets->kind < KIND_MAX && !is_wanted(secrets, secrets->kind))
        secrets->kind++;
    if (secrets->kind == KIND_MAX) {
        if (!secrets->missing)
            secrets->complaint[0] = '\0';
        source_arm_in(secrets->timer, secrets->missing ? SOON_MS : AGAIN_MS);
        return;
    }
    auto_text struct text name = text_new(LIMIT_PATH);
    text_addf(&name, "%s-%s", secrets->spec.options->release, kinds[secrets->kind].suffix);
    const struct kube_secret_spec spec = { .kube = secrets->spec.kube,
                                           .ns = secrets->spec.ns,
                                           .name = text_str(&name),
                                           .type = kinds[secrets->kind].type,
                                           .fn = on_missing,
                                           .done = on_done,
                                           .arg = secrets };
    secrets->current = kube_secret_new(&spec);
}

static void on_timer(void *arg)
{
    struct secrets *secrets = arg;
    if (secrets->current != NULL)
        return;
    secrets->kind = KIND_CREDENTIALS;
    secrets->missing = false;
    next(secrets);
}

void secrets_set_oldest_pod(struct secrets *secrets, struct wall made)
{
    secrets->oldest_pod = made;
}

void secrets_set_active(struct secrets *secrets, bool active)
{
    if (active && !secrets->active) {
        secrets->missing = true; /* the round that is under way is not the last */
        source_arm_in(secrets->timer, 0);
    }
    secrets->active = active;
}

struct secrets *secrets_new(const struct secrets_spec *spec)
{
    struct secrets *secrets = mem_struct(struct secrets);
    secrets->spec = *spec;
    secrets->timer = loop_timer(spec->loop, on_timer, secrets);
    source_arm_in(secrets->timer, 0);
    return secrets;
}

struct secrets *secrets_free(struct secrets *secrets)
{
    if (secrets == NULL)
        return NULL;
    kube_secret_free(secrets->current);
    source_free(secrets->timer);
    for (int kind = 0; kind < KIND_MAX; kind++)
        json_decref(secrets->data[kind]);
    free(secrets);
    return NULL;
}
