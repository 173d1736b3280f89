#include "etcd_server.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "etcd/members.h"
#include "loopback.h"
#include "until.h"

enum { GONE_MS = 20000, JOINED_MS = 20000 };

static bool is_set(void *arg)
{
    return *(const bool *)arg;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void run_until(struct loop *loop, bool *done, int64_t ms)
{
    ck_assert_msg(until(loop, is_set, done, ms), "not done after %lld ms", (long long)ms);
}

void run_for(struct loop *loop, int64_t ms)
{
    (void)until(loop, never, NULL, ms);
}

/* What it said last is why; on one line, since that is what is shown of a failed test. */
static void on_gone(void *arg, const struct process_result *result)
{
    enum { LAST_MAX = 1500 };
    struct etcd_server *server = arg;
    server->gone = true;
    if (server->killed)
        return;
    size_t len = strlen(result->output);
    const char *last = result->output + (len > LAST_MAX ? len - LAST_MAX : 0);
    char why[LAST_MAX + 200];
    (void)snprintf(why, sizeof(why), "etcd at %s (peers %s) ended with %d, signal %d; it said: %s",
                   server->url, server->peer_url, result->exit_code, result->term_signal, last);
    for (char *end = strchr(why, '\n'); end != NULL; end = strchr(end, '\n'))
        *end = ' ';
    until_fails(why);
}

/* Options are text that lives until process_start has copied it. */
struct options {
    char text[24][700];
    size_t n_text;
    const char *argv[40];
    size_t n;
};

static void add_option(struct options *options, const char *name, const char *value)
{
    char *text = options->text[options->n_text++];
    (void)snprintf(text, sizeof(options->text[0]), "--%s=%s", name, value);
    options->argv[options->n++] = text;
}

static void add_members(struct options *options, const struct etcd_cluster *cluster)
{
    char list[600] = "";
    for (int i = 0; i < cluster->n; i++)
        (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%sm%d=%s",
                       i > 0 ? "," : "", i, cluster->servers[i].peer_url);
    add_option(options, "initial-cluster", list);
}

static void add_tls(struct options *options, const struct etcd_cluster *cluster)
{
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/ca.pem", cluster->dir);
    add_option(options, "trusted-ca-file", path);
    (void)snprintf(path, sizeof(path), "%s/cert.pem", cluster->dir);
    add_option(options, "cert-file", path);
    (void)snprintf(path, sizeof(path), "%s/key.pem", cluster->dir);
    add_option(options, "key-file", path);
    add_option(options, "client-cert-auth", "true");
}

void etcd_server_start(struct etcd_cluster *cluster, int index)
{
    struct etcd_server *server = &cluster->servers[index];
    /* A test that crashes takes its etcd with it. */
    struct options options = { .argv = { "setpriv", "--pdeathsig", "KILL", "etcd" }, .n = 4 };
    char value[200];
    (void)snprintf(value, sizeof(value), "m%d", index);
    add_option(&options, "name", value);
    (void)snprintf(value, sizeof(value), "%s/m%d", cluster->dir, index);
    add_option(&options, "data-dir", value);
    add_option(&options, "listen-client-urls", server->url);
    add_option(&options, "advertise-client-urls", server->url);
    add_option(&options, "listen-peer-urls", server->peer_url);
    add_option(&options, "initial-advertise-peer-urls", server->peer_url);
    add_option(&options, "unsafe-no-fsync", "true");
    add_option(&options, "heartbeat-interval", "50");
    add_option(&options, "election-timeout", "500");
    add_option(&options, "log-level", "error");
    add_members(&options, cluster);
    if (strcmp(cluster->scheme, "https") == 0)
        add_tls(&options, cluster);
    for (size_t i = 0; cluster->extra != NULL && cluster->extra[i] != NULL; i++)
        options.argv[options.n++] = cluster->extra[i];
    struct process_spec spec = {
        .argv = options.argv, .deadline = MONO_NEVER, .done = on_gone, .arg = server
    };
    struct err err = { 0 };
    enum err_code code = process_start(cluster->loop, &spec, &server->process, &err);
    ck_assert_msg(code == ERR_OK, "%s (etcd must be in PATH)", err.text);
    server->gone = server->killed = false;
}

static void prepare(struct etcd_cluster *cluster, struct loop *loop, int n)
{
    *cluster = (struct etcd_cluster){ .loop = loop, .n = n, .scheme = "http" };
    (void)snprintf(cluster->dir, sizeof(cluster->dir), "/tmp/etcd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(cluster->dir));
}

static void start_all(struct etcd_cluster *cluster)
{
    for (int i = 0; i < cluster->n; i++) {
        struct etcd_server *server = &cluster->servers[i];
        server->client_port = loopback_free_port();
        server->peer_port = loopback_free_port();
        (void)snprintf(server->url, sizeof(server->url), "%s://127.0.0.1:%d", cluster->scheme,
                       server->client_port);
        (void)snprintf(server->peer_url, sizeof(server->peer_url), "http://127.0.0.1:%d",
                       server->peer_port);
        cluster->urls[i] = server->url;
    }
    for (int i = 0; i < cluster->n; i++)
        etcd_server_start(cluster, i);
}

void etcd_cluster_start(struct etcd_cluster *cluster, struct loop *loop, int n,
                        const char *const *extra)
{
    prepare(cluster, loop, n);
    cluster->extra = extra;
    start_all(cluster);
}

struct tool {
    bool done;
};

static void on_tool(void *arg, const struct process_result *result)
{
    ck_assert_msg(result->exit_code == 0, "%s", result->output);
    ((struct tool *)arg)->done = true;
}

void tool_run(struct etcd_cluster *cluster, const char *const *argv)
{
    struct tool tool = { 0 };
    struct process_spec spec = { .argv = argv,
                                 .cwd = cluster->dir,
                                 .deadline = mono_add(clock_mono(), 10000),
                                 .done = on_tool,
                                 .arg = &tool };
    struct process *process = NULL;
    struct err err = { 0 };
    ck_assert_msg(process_start(cluster->loop, &spec, &process, &err) == ERR_OK, "%s", err.text);
    run_until(cluster->loop, &tool.done, 10000);
    process_free(process);
}

void etcd_cluster_start_tls(struct etcd_cluster *cluster, struct loop *loop)
{
    prepare(cluster, loop, 1);
    cluster->scheme = "https";
    const char *argv[] = { "openssl",
                           "req",
                           "-x509",
                           "-newkey",
                           "ec",
                           "-pkeyopt",
                           "ec_paramgen_curve:P-256",
                           "-nodes",
                           "-days",
                           "2",
                           "-subj",
                           "/CN=test",
                           "-addext",
                           "subjectAltName=IP:127.0.0.1",
                           "-keyout",
                           "key.pem",
                           "-out",
                           "cert.pem",
                           NULL };
    tool_run(cluster, argv);
    const char *copy[] = { "cp", "cert.pem", "ca.pem", NULL };
    tool_run(cluster, copy);
    start_all(cluster);
}

void etcd_server_kill(struct etcd_cluster *cluster, int index)
{
    struct etcd_server *server = &cluster->servers[index];
    if (server->process == NULL)
        return;
    server->killed = true;
    process_signal(server->process, SIGKILL);
    run_until(cluster->loop, &server->gone, GONE_MS);
    server->process = process_free(server->process);
}

void etcd_cluster_stop(struct etcd_cluster *cluster)
{
    for (int i = 0; i < cluster->n; i++)
        etcd_server_kill(cluster, i);
    const char *argv[] = { "rm", "-rf", cluster->dir, NULL };
    tool_run(cluster, argv);
}

/* Is this process the one with that argument? */
static bool has_argument(const char *pid, const char *argument)
{
    char path[300];
    char bytes[4096];
    (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
    if (fd >= 0)
        close(fd);
    return len > 0 && memmem(bytes, (size_t)len, argument, strlen(argument) + 1) != NULL;
}

void etcd_server_signal(const struct etcd_cluster *cluster, int index, int signum)
{
    char argument[100];
    (void)snprintf(argument, sizeof(argument), "--data-dir=%s/m%d", cluster->dir, index);
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    int found = 0;
    while ((entry = readdir(dir)) != NULL) {
        int pid = (int)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && has_argument(entry->d_name, argument)) {
            ck_assert_int_eq(kill(pid, signum), 0);
            siginfo_t info;
            if (signum == SIGSTOP) /* not before its last thread stands still */
                ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
            found++;
        }
    }
    closedir(dir);
    ck_assert_int_eq(found, 1);
}

struct asked {
    bool done;
    bool joined;
    bool leads;
};

static void on_status(void *arg, const struct etcd_status_result *result)
{
    struct asked *asked = arg;
    asked->joined = result->outcome.code == ERR_OK && result->leader != 0;
    asked->leads = asked->joined && result->leader == result->outcome.header.member_id;
    asked->done = true;
}

static struct asked ask_status(struct etcd_cluster *cluster, struct etcd *etcd, int index)
{
    struct asked asked = { 0 };
    struct etcd_how how = { .timeout_ms = 1000, .endpoint = index };
    struct etcd_call *call = etcd_status(etcd, how, on_status, &asked);
    run_until(cluster->loop, &asked.done, 2000);
    etcd_call_free(call);
    if (!asked.joined)
        run_for(cluster->loop, 10);
    return asked;
}

int etcd_cluster_leader(struct etcd_cluster *cluster, struct etcd *etcd)
{
    for (int i = 0; i < 1000; i++)
        if (ask_status(cluster, etcd, i % cluster->n).leads)
            return i % cluster->n;
    ck_abort_msg("no raft leader");
}

void etcd_server_wait(struct etcd_cluster *cluster, struct etcd *etcd, int index)
{
    struct mono end = mono_add(clock_mono(), JOINED_MS);
    while (!ask_status(cluster, etcd, index).joined)
        ck_assert_msg(mono_before(clock_mono(), end), "etcd at %s knows no raft leader",
                      cluster->servers[index].url);
}
