/* What the controller manages beside labels: settings, roll, restarts, secrets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "controller/pki/pki.h"
#include "etcd/codec.h"
#include "tests/unit/support/controller_world.h"
#include "tests/unit/support/until.h"
#include "json/json.h"

static struct controller_world world;

static void setup(void)
{
    world_setup(&world);
}

static void teardown(void)
{
    world_teardown(&world);
}

/* ---- settings, roll, scale-in ----------------------------------------------------------------- */

static void settings(const char *yaml)
{
    kube_api_put(world.api, "/api/v1/namespaces/x/configmaps/db-settings",
                 json_pack("{s:{s:s}}", "data", "config.yml", yaml));
}

static bool config_is(void *arg)
{
    auto_json json_t *shown = json_deep_copy(kube_api_get(world.api, "/config"));
    json_object_del(shown, "metadata");
    auto_text struct text text = text_new(1000);
    json_write(&text, shown);
    return strcmp(text_str(&text), arg) == 0;
}

START_TEST(settings_are_merged)
{
    setenv("PGVIGIL_MANAGE", "settings,events", 1);
    kube_api_put(world.api, "/config", json_pack("{s:i,s:b}", "ttl", 5, "check_timeline", 1));
    settings("ttl: 7\npostgresql: {parameters: {work_mem: 8MB}}\n");
    (void)world_begin(&world, 0, "c-0");
    static const char merged[] = "{\"ttl\":7,\"check_timeline\":true,\"postgresql\":{"
                                 "\"parameters\":{\"work_mem\":\"8MB\"}}}";
    ck_assert(until(world.loop, config_is, (void *)(uintptr_t)merged, 10000));
    world_key(&world, "config", merged); /* what the leader would have written */
    world_expect_key(&world, "pgvigil/values", "work_mem");
    settings("ttl: 7\n");
    static const char dropped[] = "{\"ttl\":7,\"check_timeline\":true}";
    ck_assert(until(world.loop, config_is, (void *)(uintptr_t)dropped, 10000));
    world_key(&world, "config", dropped);
    kube_api_delete(world.api, "/config"); /* the leader refuses */
    settings("ttl: 1\n");
    world_expect_event(&world, "SettingsRefused");
}
END_TEST

static bool is_gone(void *arg)
{
    return kube_api_get(world.api, arg) == NULL;
}

static void objects(const char *revision)
{
    kube_api_put(world.api, "/apis/apps/v1/namespaces/x/statefulsets/db",
                 json_pack("{s:{s:i,s:{s:s}},s:{s:i},s:{s:i,s:s}}", "metadata", "generation", 1,
                           "annotations", "pgvigil/revision", "r", "spec", "replicas", 2, "status",
                           "observedGeneration", 1, "updateRevision", revision));
    kube_api_put(world.api, "/apis/apps/v1/namespaces/x/deployments/db-witness",
                 json_pack("{s:{s:i,s:{s:s}},s:{s:i},s:{s:i,s:i,s:i,s:i}}", "metadata",
                           "generation", 1, "annotations", "pgvigil/revision", "r", "spec",
                           "replicas", 1, "status", "observedGeneration", 1, "updatedReplicas", 1,
                           "replicas", 1, "availableReplicas", 1));
}

START_TEST(the_roll_and_what_is_scaled_in)
{
    setenv("PGVIGIL_MANAGE", "roll,scale", 1);
    world_key(&world, "members/db-2", "{\"state\":\"stopped\",\"role\":\"replica\"}");
    kube_api_put(world.api, "/pgvigil/members/db-2", json_object());
    objects("new");
    (void)world_begin(&world, 0, "c-0");
    ck_assert(until(world.loop, is_gone, (void *)(uintptr_t)"/pgvigil/members/db-2", 10000));
    world_expect_key(&world, "pgvigil/rollout", "every pod is to be ready for 10 s");
    ck_assert_ptr_nonnull(kube_api_get(world.api, WORLD_PODS "db-1"));
    ck_assert(until(world.loop, is_gone, (void *)(uintptr_t)WORLD_PODS "db-1", 20000));
    ck_assert_ptr_nonnull(kube_api_get(world.api, WORLD_PODS "db-0"));
    world_expect_key(&world, "pgvigil/rollout", "not every pod is ready");
}
END_TEST

static void pending(const char *name, const char *parameter)
{
    char more[200];
    (void)snprintf(more, sizeof(more),
                   ",\"pending_restart\":true,\"pending_restart_reason\":{\"%s\":{}}", parameter);
    world_member(&world, name, "replica", more);
}

static void label_revision(const char *name, const char *revision)
{
    char path[200];
    (void)snprintf(path, sizeof(path), WORLD_PODS "%s", name);
    json_t *object = json_deep_copy(kube_api_get(world.api, path));
    json_object_set_new(json_object_get(json_object_get(object, "metadata"), "labels"),
                        "controller-revision-hash", json_string(revision));
    kube_api_put(world.api, path, object);
}

static bool was_restarted(void *arg)
{
    (void)arg;
    return kube_api_get(world.api, "/restart/?") != NULL;
}

/* What the values set is restarted for, what a person has set by edit-config is not; no pod goes. */
START_TEST(parameters_that_wait_for_a_restart)
{
    setenv("PGVIGIL_MANAGE", "settings,roll", 1);
    objects("hash");
    settings("postgresql: {parameters: {max_connections: 200}}\n");
    world_key(&world, "config",
              "{\"ttl\":5,\"postgresql\":{\"parameters\":{\"max_connections\":200}}}");
    label_revision("db-0", "hash");
    label_revision("db-1", "hash");
    pending("db-1", "wal_buffers");
    (void)world_begin(&world, 0, "c-0");
    world_expect_key(&world, "pgvigil/rollout", "the values' settings are not in force yet");
    world_expect_key(&world, "pgvigil/values", "max_connections");
    world_expect_key(&world, "pgvigil/rollout", "\"done\":true");
    ck_assert(!was_restarted(NULL));
    pending("db-1", "max_connections");
    ck_assert(until(world.loop, was_restarted, NULL, 10000));
    const json_t *order = kube_api_get(world.api, "/restart/?");
    ck_assert(json_is_true(json_object_get(order, "restart_pending")));
    ck_assert_ptr_nonnull(kube_api_get(world.api, WORLD_PODS "db-1"));
}
END_TEST

/* ---- secrets ---------------------------------------------------------------------------------- */

#define SECRETS "/api/v1/namespaces/x/secrets/db-"

static char *secret(const char *name, const char *key_name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), SECRETS "%s", name);
    const json_t *data = json_object_get(kube_api_get(world.api, path), "data");
    const char *encoded = json_string_value(json_object_get(data, key_name));
    if (encoded == NULL)
        return NULL;
    size_t len = strlen(encoded);
    char *text = calloc(1, len + 4);
    ck_assert_int_eq(codec_base64(encoded, len, text, &len, NULL), ERR_OK);
    return text;
}

static bool has_secret(void *arg)
{
    char path[200];
    (void)snprintf(path, sizeof(path), SECRETS "%s", (const char *)arg);
    return kube_api_get(world.api, path) != NULL;
}

static void expect_secret(const char *name)
{
    ck_assert_msg(until(world.loop, has_secret, (void *)(uintptr_t)name, 10000), "no %s", name);
}

START_TEST(secrets_are_made_once)
{
    setenv("PGVIGIL_MANAGE", "secrets", 1);
    setenv("PGVIGIL_CERTIFICATES", "make", 1);
    setenv("PGVIGIL_APP_DATABASE", "shop", 1);
    setenv("PGVIGIL_ETCD3_PROTOCOL", "http", 1);
    (void)world_begin(&world, 0, "c-0");
    expect_secret("client");
    world_expect_labels(
        &world, "primary,replica"); /* the store is opened with the certificate that was made */
    auto_free char *password = secret("credentials", "superuser-password");
    auto_free char *rest = secret("credentials", "restapi-password");
    ck_assert_uint_eq(strlen(password), 32);
    ck_assert_str_ne(password, rest);
    auto_free char *uri = secret("app", "uri");
    auto_free char *app = secret("app", "password");
    ck_assert_ptr_nonnull(strstr(uri, "postgresql://shop:"));
    ck_assert_ptr_nonnull(strstr(uri, app));
    ck_assert_ptr_nonnull(strstr(uri, "@db-primary.x.svc:5432/shop"));
    const json_t *made = kube_api_get(world.api, SECRETS "server");
    ck_assert_str_eq(json_string_value(json_object_get(made, "type")), "kubernetes.io/tls");
    ck_assert_ptr_null(json_object_get(json_object_get(made, "metadata"), "ownerReferences"));
    auto_free char *server = secret("server", "tls.crt");

    controller_stop(world.controllers[0]);
    loop_run(world.loop);
    world_end(&world, 0);
    json_t *broken = json_deep_copy(kube_api_get(world.api, SECRETS "credentials"));
    json_object_del(json_object_get(broken, "data"), "rewind-password");
    kube_api_put(world.api, SECRETS "credentials", broken);
    kube_api_delete(world.api, SECRETS "client");
    (void)world_begin(&world, 0, "c-1");
    expect_secret("client");
    auto_free char *password_now = secret("credentials", "superuser-password");
    auto_free char *rewind = secret("credentials", "rewind-password");
    auto_free char *server_now = secret("server", "tls.crt");
    ck_assert_str_eq(password_now, password);
    ck_assert_uint_eq(strlen(rewind), 32);
    ck_assert_str_eq(server_now, server);
}
END_TEST

static struct pki_pair ca_made(int64_t days_ago)
{
    struct pki_pair pair;
    const struct wall then = { clock_wall().ms - days_ago * 86400000 };
    ck_assert_int_eq(pki_make_ca("pgvigil db", then, &pair, NULL), ERR_OK);
    return pair;
}

static bool trusts(void *arg)
{
    auto_free char *bundle = secret("server", "ca.crt");
    return bundle != NULL && strcmp(bundle, arg) == 0;
}

/* "ca.crt" of the server is these two; and its certificate is signed by the first. */
static void expect_trust(const char *signer, const char *other)
{
    static const struct pki_leaf leaf = { .common_name = "db server" };
    auto_text struct text both = text_new(LIMIT_FILE);
    text_addf(&both, "%s%s", signer, other);
    ck_assert(until(world.loop, trusts, (void *)(uintptr_t)text_str(&both), 10000));
    auto_free char *cert = secret("server", "tls.crt");
    ck_assert(!pki_leaf_is_due(cert, signer, &leaf, clock_wall()));
}

/* Takes the reference. */
static void begin_with_ca(json_t *texts)
{
    setenv("PGVIGIL_MANAGE", "secrets,events", 1);
    setenv("PGVIGIL_CERTIFICATES", "make", 1);
    json_t *data = json_object();
    const char *name;
    json_t *text;
    json_object_foreach (texts, name, text) {
        auto_text struct text encoded = text_new(LIMIT_FILE);
        codec_add_base64(&encoded, json_string_value(text), json_string_length(text));
        json_object_set_new(data, name, json_string(text_str(&encoded)));
    }
    json_decref(texts);
    kube_api_put(world.api, SECRETS "ca", json_pack("{s:o}", "data", data));
    (void)world_begin(&world, 0, "c-0");
}

START_TEST(the_next_ca_is_prepared)
{
    struct pki_pair old = ca_made(2500);
    begin_with_ca(json_pack("{s:s,s:s}", "tls.crt", old.cert, "tls.key", old.key));
    expect_secret("client");
    auto_free char *next = secret("ca", "next.crt");
    ck_assert_ptr_nonnull(next);
    expect_trust(old.cert, next);
    world_expect_event(&world, "CertificateAuthority");
    pki_pair_done(&old);
}
END_TEST

START_TEST(the_next_ca_signs)
{
    struct pki_pair old = ca_made(3100), next = ca_made(600);
    begin_with_ca(json_pack("{s:s,s:s,s:s,s:s}", "tls.crt", old.cert, "tls.key", old.key,
                            "next.crt", next.cert, "next.key", next.key));
    expect_secret("client");
    expect_trust(next.cert, old.cert);
    auto_free char *previous = secret("ca", "previous.crt");
    auto_free char *key = secret("ca", "tls.key");
    ck_assert_str_eq(previous, old.cert);
    ck_assert_str_eq(key, next.key);
    pki_pair_done(&old);
    pki_pair_done(&next);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("controller_manage");
    TCase *tcase = tcase_create("controller_manage");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, settings_are_merged);
    tcase_add_test(tcase, the_roll_and_what_is_scaled_in);
    tcase_add_test(tcase, parameters_that_wait_for_a_restart);
    tcase_add_test(tcase, secrets_are_made_once);
    tcase_add_test(tcase, the_next_ca_is_prepared);
    tcase_add_test(tcase, the_next_ca_signs);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
