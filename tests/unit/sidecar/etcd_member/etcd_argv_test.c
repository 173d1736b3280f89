/* The command line and environment of etcd (design part 7). */
#include "sidecar/etcd_member/etcd_argv.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/etcd_server.h"
#include "../../support/loopback.h"
#include "../../support/until.h"
#include "base/text.h"

static struct config_managed_etcd managed(void)
{
    struct config_managed_etcd etcd = { .n = 2 };
    etcd.name = (char[]){ "n2" };
    static char n1[] = "n1", n2[] = "n2", peer1[] = "http://10.0.0.1:2380",
                peer2[] = "http://n2.example:2380", client[] = "http://10.0.0.2:2379",
                api[] = "http://10.0.0.2:8008", dir[] = "/data/etcd", bin[] = "etcd";
    etcd.name = n2;
    etcd.members[0] = (struct config_member){ n1, peer1, client, api };
    etcd.members[1] = (struct config_member){ n2, peer2, client, api };
    etcd.data_dir = dir;
    etcd.bin = bin;
    return etcd;
}

static bool has(const struct etcd_argv *argv, const char *word)
{
    for (size_t at = 0; at < argv->n; at++) {
        if (strcmp(argv->word[at], word) == 0)
            return true;
    }
    return false;
}

static bool mentions(const struct etcd_argv *argv, const char *part)
{
    for (size_t at = 0; at < argv->n; at++) {
        if (strstr(argv->word[at], part) != NULL)
            return true;
    }
    return false;
}

static struct etcd_argv build(enum etcd_begin begin, int64_t ttl_ms)
{
    struct config_managed_etcd etcd = managed();
    struct etcd_argv argv;
    etcd_argv_build(&(struct etcd_argv_spec){ .program = "/usr/bin/etcd",
                                              .managed = &etcd,
                                              .begin = begin,
                                              .ttl_ms = ttl_ms,
                                              .token = "demo-1",
                                              .initial_cluster = "n2=u,m1=v" },
                    &argv);
    return argv;
}

/* E1: `new` is said by the founder alone; force only on a person's order (E4). */
START_TEST(begins)
{
    struct etcd_argv argv = build(ETCD_BEGIN_NEW, 10000);
    ck_assert_str_eq(argv.word[0], "/usr/bin/etcd");
    ck_assert_ptr_null(argv.word[argv.n]);
    ck_assert(has(&argv, "--initial-cluster-state=new"));
    ck_assert(has(&argv, "--initial-cluster=n2=http://n2.example:2380"));
    ck_assert(has(&argv, "--initial-cluster-token=demo-1"));
    ck_assert(!mentions(&argv, "force"));
    etcd_argv_done(&argv);
    argv = build(ETCD_BEGIN_JOIN, 10000);
    ck_assert(has(&argv, "--initial-cluster=n2=u,m1=v"));
    ck_assert(has(&argv, "--initial-cluster-state=existing"));
    etcd_argv_done(&argv);
    argv = build(ETCD_BEGIN_AGAIN, 10000);
    ck_assert(!mentions(&argv, "state=new") && !mentions(&argv, "force"));
    etcd_argv_done(&argv);
    argv = build(ETCD_BEGIN_FORCE, 10000);
    ck_assert(has(&argv, "--force-new-cluster"));
    etcd_argv_done(&argv);
}
END_TEST

/* Part 3: 50 ms and 500 ms when ttl < 6 s. fsync stays on. */
START_TEST(pace)
{
    struct etcd_argv argv = build(ETCD_BEGIN_AGAIN, 5000);
    ck_assert(has(&argv, "--heartbeat-interval=50"));
    ck_assert(has(&argv, "--election-timeout=500"));
    ck_assert(!mentions(&argv, "fsync"));
    etcd_argv_done(&argv);
    argv = build(ETCD_BEGIN_AGAIN, 6000);
    ck_assert(has(&argv, "--heartbeat-interval=100"));
    ck_assert(has(&argv, "--election-timeout=1000"));
    etcd_argv_done(&argv);
}
END_TEST

/* Mutual TLS where certificates are configured, none where not. */
START_TEST(tls)
{
    struct config_managed_etcd etcd = managed();
    static char cert[] = "/c", key[] = "/k", ca[] = "/a";
    struct etcd_argv argv = build(ETCD_BEGIN_AGAIN, 10000);
    ck_assert(!mentions(&argv, "cert"));
    etcd_argv_done(&argv);
    etcd.cert = cert;
    etcd.key = key;
    etcd.ca = ca;
    etcd_argv_build(&(struct etcd_argv_spec){ .program = "/e", .managed = &etcd, .ttl_ms = 10000 },
                    &argv);
    static const char *const wanted[] = { "--cert-file=/c",         "--key-file=/k",
                                          "--trusted-ca-file=/a",   "--client-cert-auth",
                                          "--peer-cert-file=/c",    "--peer-key-file=/k",
                                          "--peer-client-cert-auth" };
    for (size_t at = 0; at < sizeof(wanted) / sizeof(wanted[0]); at++)
        ck_assert(has(&argv, wanted[at]));
    etcd_argv_done(&argv);
}
END_TEST

/* The URL's port on its address; on every address when its host is a name. */
START_TEST(listen)
{
    static const char *const table[][2] = {
        { "http://10.0.0.1:2379", "http://10.0.0.1:2379" },
        { "https://n1.example.com:2379", "https://0.0.0.0:2379" },
        { "http://[fd00::1]:2380", "http://[fd00::1]:2380" },
        { "http://1a:2380", "http://0.0.0.0:2380" },
    };
    for (size_t at = 0; at < sizeof(table) / sizeof(table[0]); at++) {
        char url[LIMIT_URL];
        etcd_listen_url(table[at][0], url);
        ck_assert_str_eq(url, table[at][1]);
    }
}
END_TEST

static bool answers_both(void *arg)
{
    return loopback_answers_both(*(const int *)arg);
}

START_TEST(a_name_listens_on_both_families)
{
    int port = loopback_free_port();
    char url[LIMIT_URL], spot[LIMIT_URL], option[LIMIT_URL + 40];
    (void)snprintf(url, sizeof(url), "http://db-0.db:%d", port);
    etcd_listen_url(url, spot);
    (void)snprintf(option, sizeof(option), "--listen-client-urls=%s", spot);
    const char *const extra[] = { option, NULL };
    struct etcd_cluster cluster;
    struct loop *loop = loop_new();
    etcd_cluster_start(&cluster, loop, 1, extra);
    ck_assert_msg(until(loop, answers_both, &port, 10000), "etcd with %s", option);
    etcd_cluster_stop(&cluster);
    loop_free(loop);
}
END_TEST

/* etcd would take ETCD_* for its options; our own secrets are none of its business. */
START_TEST(environment)
{
    char *const from[] = { (char[]){ "PATH=/bin" },
                           (char[]){ "ETCD_NAME=x" },
                           (char[]){ "PATRONI_RESTAPI_PASSWORD=s" },
                           (char[]){ "PGVIGIL_SUPERUSER_PASSWORD=s" },
                           (char[]){ "PGPASSWORD=s" },
                           (char[]){ "GOMAXPROCS=1" },
                           NULL };
    const char *env[ETCD_ENV_MAX + 1];
    ck_assert_uint_eq(etcd_env(from, env), 2);
    ck_assert_str_eq(env[0], "PATH=/bin");
    ck_assert_str_eq(env[1], "GOMAXPROCS=1");
    ck_assert_ptr_null(env[2]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("etcd_argv");
    TCase *tcase = tcase_create("words");
    tcase_add_test(tcase, begins);
    tcase_add_test(tcase, pace);
    tcase_add_test(tcase, tls);
    tcase_add_test(tcase, listen);
    tcase_add_test(tcase, a_name_listens_on_both_families);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, environment);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
