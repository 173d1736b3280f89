/* The guard of Postgres: the one that is configured, or one of our own that we start detached, so that
 * a killed sidecar does not take Postgres with it (design part 3). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sidecar/guard/guard_client_spawn.h"
#include "sidecar/sidecar_internal.h"

enum { TREE_GONE_MS = 30000 };

static void lock_path(const struct config *config, char path[LIMIT_PATH])
{
    (void)snprintf(path, LIMIT_PATH, "%s/lock", config->state_dir);
}

/* Does somebody listen there: the guard that a former sidecar started? */
static bool guard_listens(const char *path)
{
    auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    return fd >= 0 && text_copy(address.sun_path, sizeof(address.sun_path), path) &&
           connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static enum err_code spawn(const struct sidecar *sidecar, const char *socket, const char *lock,
                           struct err *err)
{
    const struct guard_spawn guard = { .program = sidecar->options.guard_path,
                                       .socket_path = socket,
                                       .lock_path = lock };
    return guard_client_spawn(&guard, err);
}

static enum err_code make_folder(const char *path, struct err *err)
{
    char part[LIMIT_PATH];
    if (!text_copy(part, sizeof(part), path))
        return err_set(err, ERR_LIMIT, "state_dir: path is too long: %s", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return err_errno(err, errno, "state_dir: cannot make the folder %s", part);
        if (slash == NULL)
            return ERR_OK;
        *slash = '/';
    }
}

static enum err_code own_guard(const struct sidecar *sidecar, const char *socket, struct err *err)
{
    enum err_code code = make_folder(sidecar->config->state_dir, err);
    if (code != ERR_OK)
        return code;
    if (guard_listens(socket)) {
        log_info("guard: one of a former process listens on %s -> going on with it", socket);
        return ERR_OK;
    }
    char lock[LIMIT_PATH];
    lock_path(sidecar->config, lock);
    code = guard_client_kill_tree(lock, mono_add(clock_mono(), TREE_GONE_MS), err);
    if (code != ERR_OK)
        return err_wrap(err, "what a former guard left behind");
    return spawn(sidecar, socket, lock, err);
}

enum err_code sidecar_guard_new(struct sidecar *sidecar, loop_fn *says, struct err *err)
{
    const struct config *config = sidecar->config;
    if (config->postgres_socket != NULL) {
        (void)text_copy(sidecar->guard_socket, LIMIT_PATH, config->postgres_socket);
    } else {
        (void)snprintf(sidecar->guard_socket, LIMIT_PATH, "%s/guard.sock", config->state_dir);
        enum err_code code = own_guard(sidecar, sidecar->guard_socket, err);
        if (code != ERR_OK)
            return code;
    }
    sidecar->guard = guard_client_new(sidecar->loop, sidecar->guard_socket, says, sidecar);
    return ERR_OK;
}

/* In the pool: it waits until nothing of the tree is left (G1). */
static void mend(void *arg)
{
    struct sidecar *sidecar = arg;
    char lock[LIMIT_PATH];
    lock_path(sidecar->config, lock);
    struct mono give_up = mono_add(clock_mono(), TREE_GONE_MS);
    sidecar->mended = guard_client_kill_tree(lock, give_up, &sidecar->mend_err) == ERR_OK &&
                      spawn(sidecar, sidecar->guard_socket, lock, &sidecar->mend_err) == ERR_OK;
}

static void mend_done(void *arg)
{
    struct sidecar *sidecar = arg;
    sidecar->mending = source_free(sidecar->mending);
    if (sidecar->mended)
        log_info("guard: its whole tree is gone -> a new guard is started");
    else
        log_error("guard: %s -> trying again", sidecar->mend_err.text);
    sidecar_stale(sidecar);
}

/* "After a lost guard the sidecar itself kills the whole tree and counts it gone by the rule of G1;
 * until then it neither renews nor releases." */
void sidecar_guard_mend(struct sidecar *sidecar)
{
    const struct guard_status *status = guard_client_status(sidecar->guard);
    const struct plan *running = runner_plan(sidecar->runner);
    /* Once it was told of the handover, or is being told, it ends by itself. */
    bool ends = sidecar->memory.handed_over || (running != NULL && running->action == ACT_STOPPED);
    bool lost = status->dead && sidecar->config->postgres_socket == NULL && !ends;
    lease_keeper_suspend(sidecar->keeper, lost);
    if (!lost || sidecar->mending != NULL)
        return;
    log_error("guard: the guard has died -> killing what it started, then a new one");
    sidecar->mending = loop_work(sidecar->loop, mend, mend_done, NULL, sidecar);
}
