#include "sidecar/etcd_member/etcd_child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sidecar/guard/guard_client.h"
#include "sidecar/guard/guard_client_spawn.h"

enum {
    GUARD_WAIT_MS = 2000, /* a guard that is there answers within this time */
    GUARD_SLACK_MS = 500,
    GUARD_LOOK_MS = 300, /* between looks at a guard of our own that is not there */
    TREE_MS = 5000,      /* until what a lost guard left is killed */
    PROBE_MS = 3000,
    PROBE_AGAIN_MS = 1000,
    PROBE_SOON_MS = 50, /* the guard has not reaped the last one yet */
    PAUSE_MS = 200,     /* after an end of etcd; doubles up to … */
    PAUSE_MAX_MS = 10000,
    STEADY_MS = 10000, /* so long it must have answered until its failures are forgotten */
    PLACES_MAX = 16,
};

/* From 3.6 on etcd has an option for more than one learner at a time. */
static const char learners_option[] = "--max-learners";

/* Starting a guard of our own, in the pool. */
struct spawn_job {
    struct etcd_child *owner; /* NULL: it is gone */
    char program[LIMIT_PATH];
    char dir[LIMIT_PATH];
    char socket[LIMIT_PATH];
    char lock[LIMIT_PATH];
    bool if_missing; /* not where the guard of our predecessor listens */
    bool spawned;
    bool failed;
    struct err err;
};

struct etcd_child {
    struct etcd_child_spec spec;
    struct guard_client *guard;
    struct source *look; /* own guard: is it there? probe: again */
    bool own;
    bool was_connected;
    struct mono away_since;
    struct source *work;
    struct spawn_job *job;

    size_t n_places;
    char places[PLACES_MAX][LIMIT_PATH]; /* where etcd may lie */
    size_t place;
    bool probing;
    char version[LIMIT_NAME]; /* "3.5.16" */
    struct text output;
    bool known;
    struct source *probe_again;

    bool starting;
    bool ending; /* by us */
    bool stop_sent;
    bool was_alive;
    uint64_t changes;
    int failures;
    int retired;             /* ends in a row with status 0: etcd says so that it was removed */
    struct mono guard_since; /* of the guard that started it */
    struct mono start_at;
    struct mono answering_since; /* MONO_NEVER: it does not */
    char trouble[LIMIT_REASON];
};

static void probe(struct etcd_child *child);

static void tell(struct etcd_child *child)
{
    child->spec.changed(child->spec.arg);
}

/* --- a guard of our own --- */

static void make_dirs(const char *path)
{
    char part[LIMIT_PATH];
    if (!text_copy(part, sizeof(part), path))
        return;
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(part, 0700);
        *slash = '/';
    }
    (void)mkdir(part, 0700);
}

/* Does a guard listen there? One that has ended leaves its socket behind. */
static bool somebody_listens(const char *socket_path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!text_copy(address.sun_path, sizeof(address.sun_path), socket_path))
        return false;
    auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static void spawn_work(void *arg)
{
    struct spawn_job *job = arg;
    if (job->if_missing && somebody_listens(job->socket))
        return;
    make_dirs(job->dir);
    struct mono give_up = mono_add(clock_mono(), TREE_MS);
    /* Its text may tell of what is gone by now; only the code counts. */
    job->failed = guard_client_kill_tree(job->lock, give_up, &job->err) != ERR_OK;
    if (job->failed)
        return;
    const struct guard_spawn spawn = { .program = job->program,
                                       .socket_path = job->socket,
                                       .lock_path = job->lock,
                                       .no_deadline = true };
    job->failed = guard_client_spawn(&spawn, &job->err) != ERR_OK;
    job->spawned = !job->failed;
}

static void spawn_done(void *arg)
{
    struct spawn_job *job = arg;
    struct etcd_child *child = job->owner;
    child->work = source_free(child->work);
    child->away_since = loop_now(child->spec.loop);
    if (job->spawned)
        log_info("etcd-member: no guard at %s -> started one", job->socket);
    if (job->failed) {
        log_warn("etcd-member: %s -> no guard for etcd, trying again", job->err.text);
        (void)text_copy(child->trouble, sizeof(child->trouble), job->err.text);
    }
    child->job = NULL;
    free(job);
    source_arm_in(child->look, GUARD_LOOK_MS);
}

static void spawn_start(struct etcd_child *child, bool if_missing)
{
    const struct config *config = child->spec.config;
    if (child->work != NULL)
        return;
    struct spawn_job *job = mem_struct(struct spawn_job);
    job->owner = child;
    job->if_missing = if_missing;
    bool fits = text_copy(job->program, sizeof(job->program), child->spec.guard_path) &&
                text_copy(job->dir, sizeof(job->dir), config->state_dir);
    (void)snprintf(job->socket, sizeof(job->socket), "%.900s/etcd-guard.sock", config->state_dir);
    (void)snprintf(job->lock, sizeof(job->lock), "%.900s/etcd.lock", config->state_dir);
    if (!fits)
        log_error("etcd-member: the path of the guard or of our state is too long");
    child->job = job;
    child->work = loop_work(child->spec.loop, spawn_work, spawn_done, free, job);
}

/* A guard of ours that is lost is a lost etcd (part 3): another one is started. */
static void look(void *arg)
{
    struct etcd_child *child = arg;
    const struct guard_status *status = guard_client_status(child->guard);
    struct mono now = loop_now(child->spec.loop);
    if (status->connected || status->fenced)
        child->away_since = now;
    bool lost = status->dead || mono_diff(now, child->away_since) > GUARD_WAIT_MS;
    if (!status->connected && !status->fenced && lost && !child->stop_sent)
        spawn_start(child, false);
    else
        source_arm_loosely(child->look, status->connected ? GUARD_WAIT_MS : GUARD_LOOK_MS,
                           status->connected ? GUARD_SLACK_MS : 0);
}

/* --- where etcd lies, and which options it takes --- */

static void add_place(struct etcd_child *child, const char *dir, size_t len, const char *name)
{
    if (child->n_places == PLACES_MAX || len == 0 || dir[0] != '/')
        return;
    char *place = child->places[child->n_places];
    int need = snprintf(place, LIMIT_PATH, "%.*s/%s", (int)len, dir, name);
    for (size_t at = 0; at < child->n_places; at++) {
        if (strcmp(child->places[at], place) == 0)
            return;
    }
    /* A guard of our own sees what we see. */
    bool there = !child->own || access(place, X_OK) == 0;
    child->n_places += need > 0 && need < LIMIT_PATH && there ? 1 : 0;
}

/* In its guard's container the search path may be another one: the usual places are tried as well. */
static void find_places(struct etcd_child *child)
{
    const char *bin = child->spec.config->managed.bin;
    if (strchr(bin, '/') != NULL) {
        (void)text_copy(child->places[0], LIMIT_PATH, bin);
        child->n_places = 1;
        return;
    }
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");
        add_place(child, path, len, bin);
        path += path[len] == ':' ? len + 1 : len;
    }
    static const char *const usual[] = { "/usr/local/bin", "/usr/bin", "/bin" };
    for (size_t at = 0; at < sizeof(usual) / sizeof(usual[0]); at++)
        add_place(child, usual[at], strlen(usual[at]), bin);
}

static void probe_next_place(struct etcd_child *child)
{
    if (child->n_places > 0 && ++child->place < child->n_places) {
        probe(child);
        return;
    }
    child->place = 0;
    (void)snprintf(child->trouble, sizeof(child->trouble),
                   "no program %s is where etcd's guard "
                   "runs",
                   child->spec.config->managed.bin);
    source_arm_in(child->probe_again, PROBE_AGAIN_MS);
}

static void read_version(struct etcd_child *child)
{
    static const char before[] = "etcd Version: ";
    const char *at = strstr(text_str(&child->output), before);
    size_t len = at == NULL ? 0 : strcspn(at + sizeof(before) - 1, " \r\n");
    if (at != NULL && len < sizeof(child->version)) {
        memcpy(child->version, at + sizeof(before) - 1, len);
        child->version[len] = '\0';
    }
}

static void probe_output(void *arg, const char *bytes, size_t len)
{
    struct etcd_child *child = arg;
    text_add_bytes(&child->output, bytes, len);
}

static void probe_done(void *arg, enum err_code code, int wait_status)
{
    struct etcd_child *child = arg;
    child->probing = false;
    if (code == ERR_SYSTEM || code == ERR_INVALID) {
        probe_next_place(child);
    } else if (code != ERR_OK || !WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) {
        log_debug("etcd-member: asking etcd for its version: %s", err_code_name(code));
        source_arm_in(child->probe_again, code == ERR_REFUSED ? PROBE_SOON_MS : PROBE_AGAIN_MS);
    } else {
        read_version(child);
        child->known = true;
        child->trouble[0] = '\0';
        log_info("etcd-member: %s is of version %s, %d learners at a time",
                 child->places[child->place], child->version, (int)etcd_child_max_learners(child));
    }
    tell(child);
}

static void probe(struct etcd_child *child)
{
    if (child->known || child->probing || !guard_client_status(child->guard)->connected)
        return;
    if (child->n_places == 0) {
        probe_next_place(child);
        return;
    }
    const char *const argv[] = { child->places[child->place], "--version", NULL };
    const char *env[ETCD_ENV_MAX + 1];
    (void)etcd_env(environ, env);
    child->probing = true;
    text_clear(&child->output);
    guard_run(child->guard, &(struct guard_run){
                                .argv = argv,
                                .env = env,
                                .cwd = "/",
                                .deadline = mono_add(clock_mono(), PROBE_MS),
                                .output = probe_output,
                                .done = probe_done,
                                .arg = child,
                            });
}

static void on_probe_again(void *arg)
{
    probe(arg);
}

size_t etcd_child_max_learners(const struct etcd_child *child)
{
    long major = 0;
    long minor = 0;
    char *end = NULL;
    major = strtol(child->version, &end, 10);
    if (*end == '.')
        minor = strtol(end + 1, NULL, 10);
    return major > 3 || (major == 3 && minor >= 6) ? 2 : 1;
}

/* --- what the guard says --- */

static void note_end(struct etcd_child *child, const struct guard_status *status)
{
    struct mono now = loop_now(child->spec.loop);
    child->answering_since = MONO_NEVER;
    if (child->ending || status->stop_requested) {
        child->ending = false;
        log_info("etcd-member: etcd has ended as ordered");
        return;
    }
    int64_t pause_ms = PAUSE_MS;
    for (int failure = 0; failure < child->failures && pause_ms < PAUSE_MAX_MS; failure++)
        pause_ms *= 2;
    child->start_at = mono_add(now, pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
    child->failures++;
    /* Another guard knows nothing of how it ended. */
    bool told = status->guard_since.ms == child->guard_since.ms;
    bool exited = WIFEXITED(status->exit_status);
    child->retired = told && status->exit_status == 0 ? child->retired + 1 : 0;
    log_warn("etcd-member: etcd ended by itself, %s %d -> starting it again in %d ms",
             exited ? "exit status" : "signal",
             exited ? WEXITSTATUS(status->exit_status) : WTERMSIG(status->exit_status),
             (int)mono_diff(child->start_at, now));
}

static void guard_says(void *arg)
{
    struct etcd_child *child = arg;
    const struct guard_status *status = guard_client_status(child->guard);
    if (status->connected || child->was_connected)
        child->away_since = loop_now(child->spec.loop);
    child->was_connected = status->connected;
    if (status->connected) {
        bool alive = status->child != GUARD_CHILD_NONE;
        if (alive != child->was_alive)
            child->changes++;
        if (child->was_alive && !alive)
            note_end(child, status);
        child->was_alive = alive;
        child->guard_since = status->guard_since;
        probe(child);
    } else {
        child->probing = false;
    }
    if (status->dead && child->own)
        source_arm_in(child->look, 0);
    tell(child);
}

void etcd_child_fill(const struct etcd_child *child, struct member_guard *ret_guard)
{
    const struct guard_status *status = guard_client_status(child->guard);
    *ret_guard = (struct member_guard){
        .connected = status->connected,
        .away_ms = mono_diff(loop_now(child->spec.loop), child->away_since),
        .alive = status->child != GUARD_CHILD_NONE || child->starting,
        .running = status->child == GUARD_CHILD_RUNNING || child->starting,
        .program_known = child->known,
        .failures = child->failures,
        .retired = child->retired,
        .start_at = child->start_at,
    };
    (void)text_copy(ret_guard->trouble, sizeof(ret_guard->trouble), child->trouble);
}

uint64_t etcd_child_changes(const struct etcd_child *child)
{
    return child->changes;
}

void etcd_child_answers(struct etcd_child *child)
{
    struct mono now = loop_now(child->spec.loop);
    if (child->answering_since.ms == INT64_MAX)
        child->answering_since = now;
    if (mono_diff(now, child->answering_since) > STEADY_MS) {
        child->failures = child->retired = 0;
        child->trouble[0] = '\0';
    }
}

bool etcd_child_stop_requested(const struct etcd_child *child)
{
    return guard_client_status(child->guard)->stop_requested;
}

/* --- start and end --- */

static void start_done(void *arg, enum err_code code, const struct err *err)
{
    struct etcd_child *child = arg;
    child->starting = false;
    if (code != ERR_OK) {
        log_warn("etcd-member: etcd was not started: %s", err->text);
        (void)text_copy(child->trouble, sizeof(child->trouble), err->text);
        child->failures++;
        child->start_at = mono_add(loop_now(child->spec.loop), PROBE_AGAIN_MS);
    }
    tell(child);
}

/* Unlike that of any cluster before (S6): etcd makes the cluster's id of it and the URLs. */
static void make_token(const char *scope, char *to, size_t size)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random = (uint64_t)clock_wall().ms;
    (void)snprintf(to, size, "%s-%016llx", scope, (unsigned long long)random);
}

void etcd_child_start(struct etcd_child *child, enum etcd_begin begin, const char *initial_cluster)
{
    char token[LIMIT_URL];
    make_token(child->spec.config->scope, token, sizeof(token));
    const struct etcd_argv_spec spec = {
        .program = child->places[child->place],
        .managed = &child->spec.config->managed,
        .begin = begin,
        .ttl_ms = child->spec.ttl_ms,
        .token = token,
        .initial_cluster = initial_cluster,
        .learners_option = etcd_child_max_learners(child) > 1 ? learners_option : NULL,
    };
    struct etcd_argv argv;
    const char *env[ETCD_ENV_MAX + 1];
    etcd_argv_build(&spec, &argv);
    (void)etcd_env(environ, env);
    child->starting = true;
    child->answering_since = MONO_NEVER;
    guard_start(
        child->guard,
        &(struct guard_start){ .argv = (const char *const *)argv.word, .env = env, .cwd = "/" },
        start_done, child);
    etcd_argv_done(&argv);
}

void etcd_child_end(struct etcd_child *child)
{
    child->ending = true;
    guard_signal(child->guard, SIGTERM, NULL, NULL);
}

bool etcd_child_stop(struct etcd_child *child)
{
    const struct guard_status *status = guard_client_status(child->guard);
    /* A guard in a container of its own may have ended before us: nobody tells us that it is dead. */
    bool away =
        !child->own && mono_diff(loop_now(child->spec.loop), child->away_since) > GUARD_WAIT_MS;
    if (!status->connected)
        return status->dead || child->stop_sent || status->child == GUARD_CHILD_NONE || away;
    if (!child->stop_sent) {
        child->stop_sent = true;
        guard_stop(child->guard, NULL, NULL);
        guard_handed_over(child->guard, NULL, NULL);
    }
    return status->child == GUARD_CHILD_NONE && !child->starting;
}

/* --- life --- */

struct etcd_child *etcd_child_new(const struct etcd_child_spec *spec)
{
    struct etcd_child *child = mem_struct(struct etcd_child);
    const char *socket = spec->config->etcd_socket;
    char own[LIMIT_PATH];
    child->spec = *spec;
    child->own = socket == NULL;
    child->answering_since = MONO_NEVER;
    child->away_since = loop_now(spec->loop);
    child->look = loop_timer(spec->loop, look, child);
    child->probe_again = loop_timer(spec->loop, on_probe_again, child);
    child->output = text_new(LIMIT_LOG_LINE);
    find_places(child);
    if (child->own) {
        (void)snprintf(own, sizeof(own), "%.900s/etcd-guard.sock", spec->config->state_dir);
        socket = own;
    }
    child->guard = guard_client_new(spec->loop, socket, guard_says, child);
    if (child->own)
        spawn_start(child, true);
    return child;
}

struct etcd_child *etcd_child_free(struct etcd_child *child)
{
    if (child == NULL)
        return NULL;
    source_free(child->work); /* the job frees itself */
    source_free(child->look);
    source_free(child->probe_again);
    guard_client_free(child->guard);
    text_done(&child->output);
    free(child);
    return NULL;
}
