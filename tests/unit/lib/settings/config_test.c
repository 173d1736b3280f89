/* The local configuration: files, environment, checks. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings/config.h"
#include "settings/settings.h"

static char folder[] = "/tmp/pgvigil-config-XXXXXX";
static struct err err;

static void write_file(const char *name, const char *content)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    fclose(file);
}

static enum err_code load(const char *name, bool witness, struct config **config,
                          struct text *warnings)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    err.text[0] = '\0';
    return config_load(path, witness, true, config, warnings, &err);
}

static const char minimal[] = "scope: demo\n"
                              "name: n1\n"
                              "restapi: {listen: '*:8008', connect_address: '10.0.0.1:8008'}\n"
                              "etcd3: {hosts: [10.0.0.1:2379, 'https://etcd.example/']}\n"
                              "postgresql:\n"
                              "  listen: '*:5432'\n"
                              "  connect_address: 10.0.0.1:5432\n"
                              "  data_dir: /data/pg/main/\n";

static const char managed[] =
    "scope: demo\n"
    "name: n1\n"
    "restapi: {listen: '*:8008', connect_address: '10.0.0.1:8008'}\n"
    "pgvigil:\n"
    "  guard: {postgres_socket: /run/pg.sock}\n"
    "  etcd:\n"
    "    data_dir: /etcd/data\n"
    "    ca: /tls/ca\n"
    "    cert: /tls/cert\n"
    "    key: /tls/key\n"
    "    members:\n"
    "    - {name: n1, peer_url: 'http://1:2380', client_url: 'http://1:2379', api_url: 'http://1:8008'}\n"
    "    - {name: n2, peer_url: 'http://2:2380', client_url: 'http://2:2379', api_url: 'http://2:8008'}\n"
    "    - {name: w, peer_url: 'http://3:2380', client_url: 'http://3:2379', api_url: 'http://3:8008'}\n";

static const char postgresql[] = "postgresql: {listen: '*:5432', connect_address: '1:5432', "
                                 "data_dir: /data/pg}\n";

static struct config *load_text(const char *yaml, const char *more, bool witness)
{
    struct text all = text_new(100000), warnings = text_new(100000);
    struct config *config = NULL;
    text_addf(&all, "%s%s", yaml, more);
    write_file("test.yml", text_str(&all));
    enum err_code code = load("test.yml", witness, &config, &warnings);
    ck_assert_msg(code == ERR_OK, "%s", err.text);
    ck_assert_str_eq(text_str(&warnings), "");
    text_done(&all);
    text_done(&warnings);
    return config;
}

/* What a short file leaves out follows from what it says. */
START_TEST(short_file)
{
    struct config *config = load_text(minimal, "", false);
    ck_assert_str_eq(config->name, "n1");
    ck_assert_str_eq(config->prefix, "/service/demo/");
    ck_assert_str_eq(config->postgresql.data_dir, "/data/pg/main");
    ck_assert_str_eq(config->state_dir, "/data/pg/pgvigil");
    ck_assert_str_eq(config->postgresql.pgpass, "/data/pg/pgvigil/pgpass");
    ck_assert_str_eq(config->postgresql.superuser.username, "postgres");
    ck_assert_str_eq(config->postgresql.rewind.username, "postgres");
    ck_assert_str_eq(config->log_level, "info");
    ck_assert(config->etcd.external);
    ck_assert_uint_eq(config->etcd.endpoints.n, 2);
    ck_assert_str_eq(config->etcd.endpoints.item[0], "http://10.0.0.1:2379");
    ck_assert_str_eq(config->etcd.endpoints.item[1], "https://etcd.example");
    ck_assert_uint_eq(config->managed.n, 0);
    ck_assert_ptr_null(config->managed.name);
    ck_assert_ptr_null(config->postgres_socket);
    config_free(config);
    ck_assert_ptr_null(config_free(NULL));
}
END_TEST

START_TEST(long_file)
{
    struct config *config =
        load_text(minimal,
                  "  authentication:\n"
                  "    superuser: {username: su, password: 5, sslmode: require}\n"
                  "    replication: {username: rep, password: secret}\n"
                  "  create_replica_method: [mine, basebackup]\n"
                  "  mine: {command: /bin/clone, no_params: true}\n"
                  "  use_pg_rewind: true\n"
                  "  parameters: {work_mem: 8MB}\n"
                  "namespace: //a///b/\n"
                  "log: {level: WARNING, type: json}\n"
                  "tags: {nofailover: true, zone: x}\n"
                  "bootstrap: {method: restore, restore: {command: x}, post_init: /bin/post, "
                  "dcs: {ttl: 5}}\n"
                  "ctl: {cacert: /ca}\n",
                  false);
    ck_assert_str_eq(config->postgresql.superuser.password, "5");
    ck_assert_str_eq(config->postgresql.rewind.sslmode, "require");
    ck_assert_str_eq(config->postgresql.create_replica_methods.item[0], "mine");
    ck_assert_ptr_nonnull(option_get(config->postgresql.tree, "mine.command"));
    ck_assert_ptr_nonnull(option_get(config->bootstrap.tree, "restore.command"));
    ck_assert_str_eq(config->bootstrap.post_bootstrap, "/bin/post");
    ck_assert_int_eq(json_integer_value(json_object_get(config->bootstrap.dcs, "ttl")), 5);
    ck_assert_str_eq(config->prefix, "/a/b/demo/");
    ck_assert_str_eq(config->namespace_, "/a/b/");
    ck_assert_str_eq(config->log_level, "warn");
    ck_assert_int_eq(config->log_type, CONFIG_LOG_JSON);
    config_free(config);
}
END_TEST

/* What is said explicitly is not replaced by what would follow. */
START_TEST(said_explicitly)
{
    struct config *config =
        load_text(minimal,
                  "  pgpass: /tmp/pass\n"
                  "  authentication: {rewind: {username: rew}, superuser: {password: x}}\n"
                  "pgvigil: {state_dir: /state}\n"
                  "ctl: {authentication: {username: c, password: d}}\n",
                  false);
    ck_assert_str_eq(config->postgresql.pgpass, "/tmp/pass");
    ck_assert_str_eq(config->postgresql.rewind.username, "rew");
    ck_assert_ptr_null(config->postgresql.rewind.password);
    ck_assert_str_eq(config->state_dir, "/state");
    ck_assert_str_eq(config->ctl.username, "c");
    config_free(config);
    setenv("PATRONI_RESTAPI_USERNAME", "u", 1);
    setenv("PATRONI_RESTAPI_PASSWORD", "p", 1);
    setenv("PATRONI_RESTAPI_CAFILE", "/ca", 1);
    setenv("PATRONI_RESTAPI_CERTFILE", "/cert", 1);
    setenv("PATRONI_RESTAPI_VERIFY_CLIENT", "optional", 1);
    config = load_text(minimal, "", false);
    ck_assert_str_eq(config->ctl.username, "u"); /* patroni-compat 2.1 */
    ck_assert_str_eq(config->ctl.password, "p");
    ck_assert_str_eq(config->ctl.cacert, "/ca");
    ck_assert_int_eq(config->restapi.verify_client, CONFIG_VERIFY_OPTIONAL);
    config_free(config);
}
END_TEST

/* Design part 8: pgvigil.etcd; endpoints and TLS are then the members'. */
START_TEST(managed_etcd)
{
    struct config *config = load_text(managed, postgresql, false);
    ck_assert(!config->etcd.external);
    ck_assert_uint_eq(config->managed.n, 3);
    ck_assert_str_eq(config->managed.name, "n1");
    ck_assert_str_eq(config->managed.members[2].api_url, "http://3:8008");
    ck_assert_str_eq(config->etcd.endpoints.item[1], "http://2:2379");
    ck_assert_str_eq(config->etcd.cacert, "/tls/ca");
    ck_assert_str_eq(config->postgres_socket, "/run/pg.sock");
    ck_assert_str_eq(config->managed.bin, "etcd");
    config_free(config);
}
END_TEST

/* host, url and protocol, where there is no list. */
START_TEST(one_endpoint)
{
    setenv("PATRONI_ETCD3_PROTOCOL", "https", 1);
    struct config *config = load_text(minimal, "", false);
    ck_assert_str_eq(config->etcd.endpoints.item[0], "https://10.0.0.1:2379");
    config_free(config);
    setenv("PATRONI_ETCD3_HOSTS", "[]", 1);
    setenv("PATRONI_ETCD3_HOST", "[::1]", 1);
    config = load_text(minimal, "", false);
    ck_assert_str_eq(config->etcd.endpoints.item[0], "http://[::1]:2379");
    config_free(config);
    setenv("PATRONI_ETCD3_HOSTS", "[]", 1);
    setenv("PATRONI_ETCD3_URL", "http://etcd:2379", 1);
    config = load_text(minimal, "", false);
    ck_assert_str_eq(config->etcd.endpoints.item[0], "http://etcd:2379");
    config_free(config);
}
END_TEST

/* A witness has no Postgres; its state lies beside etcd's data. */
START_TEST(witness)
{
    struct config *config = load_text(managed, "", true);
    ck_assert_str_eq(config->state_dir, "/etcd/pgvigil");
    config_free(config);
}
END_TEST

/* A data node beyond the three uses the members but is none. */
START_TEST(further_data_node)
{
    setenv("PATRONI_NAME", "n4", 1);
    struct config *config = load_text(managed, postgresql, false);
    ck_assert_str_eq(config->name, "n4");
    ck_assert_ptr_null(config->managed.name);
    ck_assert_uint_eq(config->etcd.endpoints.n, 3);
    config_free(config);
}
END_TEST

/* Part 8: "PGVIGIL_X before PATRONI_X"; both are gone afterwards. */
START_TEST(environment)
{
    setenv("PATRONI_NAME", "patroni", 1);
    setenv("PGVIGIL_NAME", "ours", 1);
    setenv("PATRONI_SCOPE", "other", 1);
    setenv("PGVIGIL_NAMESPACE", "", 1); /* empty: not set */
    setenv("PATRONI_SUPERUSER_PASSWORD", "secret", 1);
    setenv("PATRONI_ETCD3_HOSTS", "- a:1\n- b", 1);
    setenv("PATRONI_RESTAPI_HTTP_EXTRA_HEADERS", "{X-A: b}", 1);
    setenv("PATRONI_RESTAPI_ALLOWLIST", "10.0.0.0/8, localhost", 1);
    setenv("PATRONI_ETCD_CERT", "/etcd/v2", 1); /* Patroni's section of etcd's old protocol */
    setenv("PGVIGIL_CPU_LIMITED", "yes", 1);
    struct config *config = load_text(minimal, "", false);
    ck_assert_str_eq(config->name, "ours");
    ck_assert_str_eq(config->prefix, "/service/other/");
    ck_assert_str_eq(config->postgresql.superuser.password, "secret");
    ck_assert_str_eq(config->etcd.endpoints.item[1], "http://b:2379");
    ck_assert_uint_eq(config->restapi.headers.n, 1);
    ck_assert_str_eq(config->restapi.headers.item[0], "X-A: b");
    ck_assert_uint_eq(config->restapi.allowlist.n, 2);
    ck_assert_ptr_null(config->managed.cert);
    ck_assert(config->cpu_limited);
    ck_assert_ptr_null(getenv("PGVIGIL_NAME"));
    ck_assert_ptr_null(getenv("PATRONI_NAME"));
    ck_assert_ptr_null(getenv("PATRONI_SUPERUSER_PASSWORD"));
    ck_assert_ptr_nonnull(getenv("PATRONI_ETCD_CERT"));
    config_free(config);
}
END_TEST

/* patroni-compat 2.1: those of https count only with TLS, and then they win. */
START_TEST(extra_headers)
{
    static const char http[] = "{A: 1, B: x}", https[] = "{B: y, C: z}";
    setenv("PGVIGIL_RESTAPI_HTTP_EXTRA_HEADERS", http, 1);
    setenv("PGVIGIL_RESTAPI_HTTPS_EXTRA_HEADERS", https, 1);
    struct config *config = load_text(minimal, "", false);
    ck_assert_uint_eq(config->restapi.headers.n, 2);
    ck_assert_str_eq(config->restapi.headers.item[0], "A: 1");
    ck_assert_str_eq(config->restapi.headers.item[1], "B: x");
    config_free(config);
    setenv("PGVIGIL_RESTAPI_HTTP_EXTRA_HEADERS", http, 1); /* read, they were gone */
    setenv("PGVIGIL_RESTAPI_HTTPS_EXTRA_HEADERS", https, 1);
    setenv("PGVIGIL_RESTAPI_CERTFILE", "/c", 1);
    config = load_text(minimal, "", false);
    ck_assert_uint_eq(config->restapi.headers.n, 3);
    ck_assert_str_eq(config->restapi.headers.item[1], "B: y");
    ck_assert_str_eq(config->restapi.headers.item[2], "C: z");
    config_free(config);
}
END_TEST

/* Without a file the environment holds the YAML (patroni-compat 1.1). */
START_TEST(configuration_in_a_variable)
{
    struct config *config;
    struct text warnings = text_new(1000);
    setenv("PATRONI_CONFIGURATION", minimal, 1);
    ck_assert_int_eq(config_load(NULL, false, true, &config, &warnings, &err), ERR_OK);
    ck_assert_str_eq(config->scope, "demo");
    ck_assert_ptr_null(getenv("PATRONI_CONFIGURATION"));
    config_free(config);
    ck_assert_int_eq(config_load(NULL, false, true, &config, &warnings, &err), ERR_INVALID);
    setenv("PGVIGIL_CONFIGURATION", "[1]", 1);
    ck_assert_int_eq(config_load(NULL, false, true, &config, &warnings, &err), ERR_INVALID);
    setenv("PGVIGIL_CONFIGURATION", "[1", 1);
    ck_assert_int_eq(config_load(NULL, false, true, &config, &warnings, &err), ERR_INVALID);
    text_done(&warnings);
}
END_TEST

/* "a directory of *.yml, merged in the order of their names" */
START_TEST(directory)
{
    struct config *config;
    struct text warnings = text_new(1000);
    char path[256];
    snprintf(path, sizeof(path), "%s/conf.d", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(load("conf.d", false, &config, &warnings), ERR_NOT_FOUND);
    write_file("conf.d/10-base.yml", minimal);
    write_file("conf.d/20-over.yaml", "name: n9\npostgresql: {database: app}\n");
    write_file("conf.d/.hidden.yml", "name: hidden\n");
    write_file("conf.d/30-other.txt", "name: text\n");
    ck_assert_msg(load("conf.d", false, &config, &warnings) == ERR_OK, "%s", err.text);
    ck_assert_str_eq(config->name, "n9");
    ck_assert_str_eq(config->postgresql.database, "app");
    ck_assert_str_eq(config->postgresql.listen, "*:5432");
    config_free(config);
    write_file("conf.d/40-bad.yml", "a: [");
    ck_assert_int_eq(load("conf.d", false, &config, &warnings), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "40-bad.yml"));
    text_done(&warnings);
}
END_TEST

/* Unknown keys are warned of with file and path; sections that the user named himself are not. */
START_TEST(warnings_name_the_place)
{
    struct text warnings = text_new(10000), yaml = text_new(10000);
    struct config *config;
    text_addf(&yaml, "%s  nonsense: 1\nttl: 10\nconsul: {host: x}\n", minimal);
    write_file("warn.yml", text_str(&yaml));
    ck_assert_int_eq(load("warn.yml", false, &config, &warnings), ERR_OK);
    ck_assert_ptr_nonnull(strstr(text_str(&warnings), "warn.yml: postgresql.nonsense: unknown"));
    ck_assert_ptr_nonnull(strstr(text_str(&warnings), "warn.yml: ttl: ignored here"));
    ck_assert_ptr_nonnull(strstr(text_str(&warnings), "warn.yml: consul: ignored"));
    config_free(config);
    text_done(&warnings);
    text_done(&yaml);
}
END_TEST

/* Every error says file, key and what is wanted. `more` goes over the whole file. */
static const struct {
    const char *base, *more, *said;
} bad[] = {
    { minimal, "name: null\n", "name: missing" },
    { minimal, "name: a/b\n", "name: a/b: a name has no blanks" },
    { minimal, "name: 'a b'\n", "name: a b: a name has no blanks" },
    { minimal, "name: '*'\n", "is taken" },
    { minimal, "name: pgvigil_NOBODY\n", "is taken" },
    { minimal, "name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
      "name: longer than 63 bytes" },
    { minimal, "name: yes\n", "name: expected a text (quote it), not true" },
    { minimal, "scope: a,b\n", "scope: a,b: a name" },
    { minimal, "restapi: 5\n", "restapi.listen: missing" },
    { minimal, "restapi: {listen: 'x:99999', connect_address: 'a:1'}\n",
      "restapi.listen: expected" },
    { minimal, "restapi: {listen: 'x', connect_address: 'a:1'}\n",
      "restapi.listen: expected host:port, not x" },
    { minimal, "restapi: {listen: 'x:1', connect_address: 'a'}\n",
      "restapi.connect_address: expected host:port, not a" },
    { minimal, "restapi: {listen: ':8008', connect_address: '*:8008'}\n",
      "restapi.connect_address: *:8008: name the address" },
    { minimal, "restapi: {listen: ':8008', connect_address: '0.0.0.0:8008'}\n",
      "name the address" },
    { minimal, "restapi: {listen: ':8008', connect_address: 'a:1', verify_client: required}\n",
      "restapi.verify_client: needs" },
    { minimal, "restapi: {listen: ':8008', connect_address: 'a:1', keyfile: /k}\n",
      "needs restapi.certfile" },
    { minimal,
      "restapi: {listen: ':8008', connect_address: 'a:1', authentication: {username: u}}\n",
      "restapi.authentication: give username and password" },
    { minimal, "restapi: {listen: ':8008', connect_address: 'a:1', verify_client: maybe}\n",
      "restapi.verify_client: expected one of none|optional|required" },
    { minimal,
      "restapi: {listen: ':8008', connect_address: 'a:1', http_extra_headers: {'A b': c}}\n",
      "extra header \"A b\": not a header's name" },
    { minimal,
      "restapi: {listen: ':8008', connect_address: 'a:1', http_extra_headers: {A: \"b\\r\\nC: d\"}}\n",
      "extra header A: a value is one line" },
    { minimal, "ctl: {authentication: {password: p}}\n", "ctl.authentication" },
    { minimal, "log: {level: loud}\n", "log.level: expected debug" },
    { minimal, "etcd3: null\n", "no store" },
    { minimal, "etcd3: {hosts: []}\n", "etcd3: give hosts" },
    { minimal, "etcd3: {hosts: null, host: 'a:b'}\n", "etcd3: expected host:port" },
    { minimal, "etcd3: {hosts: 'a,b,c,d,e,f,g,h,i'}\n", "at most 8 endpoints" },
    { minimal, "etcd3: {host: a, protocol: ftp}\n", "etcd3.protocol" },
    { minimal, "etcd3: {host: a, cert: /c}\n", "give cert and key" },
    { minimal, "etcd3: {host: a, username: u}\n", "give username and password" },
    { minimal, "pgvigil: {etcd: {members: []}}\n", "either etcd is external or it is managed" },
    { minimal, "postgresql: null\n", "postgresql.listen: missing" },
    { minimal, "postgresql: {listen: 'a:b', connect_address: 'a', data_dir: /a/b}\n",
      "postgresql.listen: expected host:port" },
    { minimal, "postgresql: {listen: 'a', connect_address: 'a,b:1', data_dir: /a/b}\n",
      "postgresql.connect_address: a,b:1: name the address" },
    { minimal, "postgresql: {listen: 'a', connect_address: 'a', data_dir: a/b}\n",
      "postgresql.data_dir: a/b: give an absolute path" },
    { minimal, "postgresql: {listen: 'a', connect_address: 'a', data_dir: /data/}\n",
      "postgresql.data_dir: /data: give a subdirectory" },
    { minimal, "tags: {a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n",
      "tag a: the value is longer" },
    { minimal, "tags: [a]\n", "tags: expected a mapping" },
    { minimal, "tags: {nofailover: maybe}\n", "tags.nofailover: \"maybe\" is not true or false" },
    { minimal, "tags: {failover_priority: abc}\n", "tags.failover_priority: \"abc\" is not" },
    { minimal, "tags: {sync_priority: -1}\n", "tags.sync_priority: -1 is not a whole number" },
    { minimal, "bootstrap: {pg_hba: [[1]]}\n", "bootstrap.pg_hba: expected a text as item" },
    { minimal, "pgvigil: {state_dir: here}\n", "pgvigil.state_dir: here: give an absolute path" },
    { managed, "pgvigil: {etcd: {members: []}}\n", "name 1 to 16 members" },
    { managed, "pgvigil: {etcd: {members: [{name: n1}]}}\n", "member 1 has no peer_url" },
    { managed, "pgvigil: {etcd: {members: [{name: n1, peer_url: a}]}}\n",
      "expected http://host:port" },
    { managed, "pgvigil: {etcd: {name: nn}}\n", "pgvigil.etcd.name: nn is none of" },
    { managed, "pgvigil: {etcd: {data_dir: null}}\n", "pgvigil.etcd.data_dir" },
};

START_TEST(errors_say_what_and_where)
{
    struct text warnings = text_new(10000), base = text_new(10000);
    struct config *config = NULL;
    char path[256];
    snprintf(path, sizeof(path), "%s/bad.d", folder);
    mkdir(path, 0700);
    text_addf(&base, "%s%s", bad[_i].base, bad[_i].base == managed ? postgresql : "");
    write_file("bad.d/1.yml", text_str(&base));
    write_file("bad.d/2.yml", bad[_i].more);
    ck_assert_int_eq(load("bad.d", false, &config, &warnings), ERR_INVALID);
    ck_assert_msg(strstr(err.text, bad[_i].said) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "bad.d") != NULL, "%s", err.text);
    ck_assert_ptr_null(config);
    text_done(&warnings);
    text_done(&base);
}
END_TEST

START_TEST(members_that_clash)
{
    struct text warnings = text_new(10000);
    struct config *config = NULL;
    struct text yaml = text_new(10000);
    text_addf(&yaml,
              "%s    - {name: n3, peer_url: 'http://1:2380', client_url: 'http://9:1', "
              "api_url: 'http://9:2'}\n%s",
              managed, postgresql);
    write_file("clash.yml", text_str(&yaml));
    ck_assert_int_eq(load("clash.yml", false, &config, &warnings), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "members 1 and 4 share"));
    text_done(&yaml);
    text_done(&warnings);
}
END_TEST

START_TEST(witness_without_member)
{
    struct text warnings = text_new(10000);
    struct config *config = NULL;
    write_file("w.yml", minimal);
    ck_assert_int_eq(load("w.yml", true, &config, &warnings), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "a witness runs an etcd member"));
    text_done(&warnings);
}
END_TEST

START_TEST(unreadable_files)
{
    struct text warnings = text_new(1000);
    struct config *config = NULL;
    ck_assert_int_eq(load("missing.yml", false, &config, &warnings), ERR_NOT_FOUND);
    write_file("list.yml", "- a\n");
    ck_assert_int_eq(load("list.yml", false, &config, &warnings), ERR_INVALID);
    ck_assert_int_eq(load("list.yml/x", false, &config, &warnings), ERR_SYSTEM);
    setenv("PGVIGIL_ETCD3_HOSTS", "[a", 1);
    write_file("env.yml", minimal);
    ck_assert_int_eq(load("env.yml", false, &config, &warnings), ERR_INVALID);
    setenv("PGVIGIL_NAME", "\xff", 1);
    ck_assert_int_eq(load("env.yml", false, &config, &warnings), ERR_INVALID);
    setenv("PGVIGIL_RESTAPI_LISTEN", "a:1", 1);
    write_file("env.yml", "restapi: 5\n");
    ck_assert_int_eq(load("env.yml", false, &config, &warnings), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "restapi: a section with keys is expected"));
    text_done(&warnings);
}
END_TEST

/* ---- addresses -------------------------------------------------------------------------- */

static const struct {
    const char *address, *host;
    int port; /* 0: refused */
} addresses[] = {
    { "a:1", "a", 1 },    { "a", "a", 99 }, { "[::1]:5", "::1", 5 }, { "[::1]", "::1", 99 },
    { "::1", "::1", 99 }, { "", "", 99 },   { ":5", "", 5 },         { "a,b:5", "a,b", 5 },
    { "*:5", "*", 5 },    { "a:", "", 0 },  { "a:0", "", 0 },        { "a:65536", "", 0 },
    { "a:5x", "", 0 },
};

START_TEST(splits_addresses)
{
    char host[LIMIT_URL] = "";
    int port = 0;
    ck_assert_int_eq(config_split_address(addresses[_i].address, 99, host, &port),
                     addresses[_i].port != 0);
    ck_assert_str_eq(host, addresses[_i].host);
    ck_assert_int_eq(port, addresses[_i].port);
}
END_TEST

/* ---- --check-config --------------------------------------------------------------------- */

START_TEST(check_config)
{
    struct text report = text_new(10000), yaml = text_new(10000);
    char path[256];
    snprintf(path, sizeof(path), "%s/check.yml", folder);
    write_file("check.yml", minimal);
    ck_assert_int_eq(settings_check(path, false, &report, &err), ERR_OK);
    ck_assert_ptr_nonnull(strstr(text_str(&report), "member n1 of cluster demo"));
    text_addf(&yaml, "%sbootstrap: {dcs: {ttl: soon}}\n", minimal);
    write_file("check.yml", text_str(&yaml));
    ck_assert_int_eq(settings_check(path, false, &report, &err), ERR_INVALID);
    ck_assert_str_eq(err.text, "bootstrap.dcs: config: ttl: expected a time such as 10 or 30min, "
                               "not \"soon\"");
    text_clear(&yaml);
    text_addf(&yaml, "%sctl: {cacert: /nowhere.pem}\n", minimal);
    write_file("check.yml", text_str(&yaml));
    ck_assert_int_eq(settings_check(path, false, &report, &err), ERR_INVALID);
    ck_assert_str_eq(err.text, "ctl.cacert: /nowhere.pem: No such file or directory");
    ck_assert_int_eq(settings_check("/nowhere", false, &report, &err), ERR_NOT_FOUND);
    text_done(&report);
    text_done(&yaml);
}
END_TEST

#define COUNT(rows) (int)(sizeof(rows) / sizeof((rows)[0]))

/* Each test begins with an environment of its own: without fork, variables would stay. */
static void clear_environment(void)
{
    static const char *const names[] = { "PGVIGIL_NAME",      "PGVIGIL_ETCD3_HOSTS",
                                         "PATRONI_ETCD_CERT", "PGVIGIL_CONFIGURATION",
                                         "PATRONI_NAME",      "PGVIGIL_RESTAPI_LISTEN" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
}

static void remove_folder(void)
{
    char path[256];
    static const char *const paths[] = {
        "conf.d/10-base.yml",
        "conf.d/20-over.yaml",
        "conf.d/.hidden.yml",
        "conf.d/30-other.txt",
        "conf.d/40-bad.yml",
        "conf.d",
        "bad.d/1.yml",
        "bad.d/2.yml",
        "bad.d",
        "test.yml",
        "warn.yml",
        "clash.yml",
        "w.yml",
        "list.yml",
        "env.yml",
        "check.yml",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, paths[i]);
        remove(path);
    }
    rmdir(folder);
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_checked_fixture(tc, clear_environment, clear_environment);
    tcase_add_test(tc, short_file);
    tcase_add_test(tc, long_file);
    tcase_add_test(tc, said_explicitly);
    tcase_add_test(tc, managed_etcd);
    tcase_add_test(tc, one_endpoint);
    tcase_add_test(tc, witness);
    tcase_add_test(tc, further_data_node);
    tcase_add_test(tc, environment);
    tcase_add_test(tc, extra_headers);
    tcase_add_test(tc, configuration_in_a_variable);
    tcase_add_test(tc, directory);
    tcase_add_test(tc, warnings_name_the_place);
    tcase_add_loop_test(tc, errors_say_what_and_where, 0, COUNT(bad));
    tcase_add_test(tc, members_that_clash);
    tcase_add_test(tc, witness_without_member);
    tcase_add_test(tc, unreadable_files);
    tcase_add_loop_test(tc, splits_addresses, 0, COUNT(addresses));
    tcase_add_test(tc, check_config);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    remove_folder();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
