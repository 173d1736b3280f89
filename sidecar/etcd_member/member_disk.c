#include "sidecar/etcd_member/member_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "json/json.h"

enum { MARK_BYTES = 512, PLACES = 2, PATH_ROOM = LIMIT_PATH - 64 };

struct places {
    char etcd_data[LIMIT_PATH];
    char pgdata[LIMIT_PATH]; /* "": no Postgres here */
    size_t n;
    char dir[PLACES][LIMIT_PATH]; /* of the marks */
};

struct job {
    enum member_disk_job kind;
    struct member_mark mark;
    struct places places;
    struct member_disk_facts facts;
    struct err err;
    struct member_disk *owner;
};

struct member_disk {
    struct loop *loop;
    const struct config *config;
    loop_fn *changed;
    void *arg;
    struct source *work; /* NULL: idle */
    bool known;
    struct member_disk_facts facts;
};

static void find_places(const struct config *config, struct places *places)
{
    *places = (struct places){ .n = 1 };
    const char *data_dir = config->managed.data_dir;
    (void)snprintf(places->etcd_data, LIMIT_PATH, "%.*s", PATH_ROOM, data_dir);
    size_t len = strlen(places->etcd_data);
    while (len > 1 && places->etcd_data[len - 1] == '/')
        places->etcd_data[--len] = '\0';
    const char *slash = strrchr(places->etcd_data, '/');
    int parent = slash == NULL ? 0 : (int)(slash - places->etcd_data);
    (void)snprintf(places->dir[0], LIMIT_PATH, "%.*s/pgvigil", parent, places->etcd_data);
    if (config->postgresql.data_dir == NULL)
        return;
    (void)snprintf(places->pgdata, LIMIT_PATH, "%.*s", PATH_ROOM, config->postgresql.data_dir);
    (void)snprintf(places->dir[1], LIMIT_PATH, "%.*s", PATH_ROOM, config->state_dir);
    places->n = strcmp(places->dir[0], places->dir[1]) == 0 ? 1 : 2;
}

static const char *mark_path(char path[LIMIT_PATH], const char *dir, const char *suffix)
{
    (void)snprintf(path, LIMIT_PATH, "%.*s/mark.json%s", PATH_ROOM, dir, suffix);
    return path;
}

/* --- looking --- */

/* ERR_NOT_FOUND, ERR_SYSTEM, ERR_PROTOCOL. */
static enum err_code read_mark(const char *dir, struct member_mark *ret_mark, struct err *err)
{
    char path[LIMIT_PATH];
    char content[MARK_BYTES];
    auto_close int fd = open(mark_path(path, dir, ""), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "no mark at %s", path);
    ssize_t len = fd < 0 ? -1 : read(fd, content, sizeof(content));
    if (len < 0)
        return err_errno(err, errno, "read %s", path);
    auto_json json_t *json = NULL;
    enum err_code code = json_parse(content, (size_t)len, path, &json, err);
    const char *cluster = NULL;
    const char *member = NULL;
    struct member_mark mark = { 0 };
    struct json_reader reader = { json, path };
    if (code == ERR_OK)
        code = json_get_string(reader, "cluster", &cluster, err);
    if (code == ERR_OK)
        code = json_opt_string(reader, "member", "0", &member, err);
    if (code == ERR_OK)
        code = json_opt_int(reader, "generation", 0, &mark.generation, err);
    if (code != ERR_OK)
        return code;
    mark.cluster_id = strtoull(cluster, NULL, 16);
    mark.member_id = strtoull(member, NULL, 16);
    *ret_mark = mark;
    return ERR_OK;
}

static bool same_mark(const struct member_mark *a, const struct member_mark *b)
{
    return a->cluster_id == b->cluster_id && a->member_id == b->member_id &&
           a->generation == b->generation;
}

/* A mark that cannot be read is one: it says that there was a cluster. */
static void scan_marks(const struct places *places, struct member_disk_facts *facts)
{
    size_t readable = 0;
    facts->complete = true;
    for (size_t at = 0; at < places->n; at++) {
        struct member_mark mark;
        struct err err;
        enum err_code code = read_mark(places->dir[at], &mark, &err);
        facts->mark = facts->mark || code != ERR_NOT_FOUND;
        facts->complete = facts->complete && code == ERR_OK;
        if (code == ERR_SYSTEM)
            (void)text_copy(facts->trouble, sizeof(facts->trouble), err.text);
        if (code != ERR_OK)
            continue;
        if (readable++ == 0)
            facts->is = mark;
        else if (!same_mark(&facts->is, &mark))
            facts->complete = false;
    }
}

/* etcd takes a directory with any .wal file for one with data. */
static bool has_wal(const struct places *places, struct member_disk_facts *facts)
{
    char path[LIMIT_PATH];
    (void)snprintf(path, sizeof(path), "%.*s/member/wal", PATH_ROOM, places->etcd_data);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        if (errno != ENOENT && errno != ENOTDIR)
            (void)snprintf(facts->trouble, sizeof(facts->trouble), "%.100s: %s", path,
                           strerror(errno));
        return false;
    }
    bool found = false;
    const struct dirent *entry = NULL;
    while (!found && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        found = len > 4 && strcmp(entry->d_name + len - 4, ".wal") == 0;
    }
    closedir(dir);
    return found;
}

static bool has_pgdata(const struct places *places)
{
    char path[LIMIT_PATH];
    if (places->pgdata[0] == '\0')
        return false;
    (void)snprintf(path, sizeof(path), "%.*s/PG_VERSION", PATH_ROOM, places->pgdata);
    if (access(path, F_OK) == 0)
        return true;
    (void)snprintf(path, sizeof(path), "%.*s/global/pg_control", PATH_ROOM, places->pgdata);
    return access(path, F_OK) == 0;
}

static void scan(const struct places *places, struct member_disk_facts *facts)
{
    *facts = (struct member_disk_facts){ 0 };
    facts->data = has_wal(places, facts);
    facts->pgdata = has_pgdata(places);
    scan_marks(places, facts);
}

void member_disk_scan(const struct config *config, struct member_disk_facts *ret_facts)
{
    struct places places;
    find_places(config, &places);
    scan(&places, ret_facts);
}

/* --- writing --- */

static enum err_code sync_dir(const char *dir, struct err *err)
{
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_errno(err, errno, "sync %s", dir);
    return ERR_OK;
}

static void make_dirs(const char *path)
{
    char part[LIMIT_PATH];
    (void)snprintf(part, sizeof(part), "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(part, 0700);
        *slash = '/';
    }
    (void)mkdir(part, 0700);
}

static enum err_code write_mark(const char *dir, const struct member_mark *mark, struct err *err)
{
    char path[LIMIT_PATH];
    char fresh[LIMIT_PATH];
    char content[MARK_BYTES];
    make_dirs(dir);
    int len = snprintf(content, sizeof(content),
                       "{\"cluster\": \"%" PRIx64 "\", \"member\": \"%" PRIx64
                       "\", \"generation\": %" PRId64 "}\n",
                       mark->cluster_id, mark->member_id, mark->generation);
    auto_close int fd =
        open(mark_path(fresh, dir, ".tmp"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, content, (size_t)len) != len || fsync(fd) != 0)
        return err_errno(err, errno, "write %s", fresh);
    if (rename(fresh, mark_path(path, dir, "")) != 0)
        return err_errno(err, errno, "rename %s", fresh);
    return sync_dir(dir, err);
}

static enum err_code write_marks(const struct places *places, const struct member_mark *mark,
                                 struct err *err)
{
    for (size_t at = 0; at < places->n; at++) {
        enum err_code code = write_mark(places->dir[at], mark, err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

static enum err_code forget_marks(const struct places *places, struct err *err)
{
    for (size_t at = 0; at < places->n; at++) {
        char path[LIMIT_PATH];
        if (unlink(mark_path(path, places->dir[at], "")) != 0 && errno != ENOENT)
            return err_errno(err, errno, "remove %s", path);
    }
    return ERR_OK;
}

/* Not deleted: a person may still look at it. */
static enum err_code set_aside(const struct places *places, struct err *err)
{
    char from[LIMIT_PATH];
    char to[LIMIT_PATH];
    (void)snprintf(from, sizeof(from), "%.*s/member", PATH_ROOM, places->etcd_data);
    (void)snprintf(to, sizeof(to), "%.*s/member.old-%lld", PATH_ROOM, places->etcd_data,
                   (long long)(clock_wall().ms / 1000));
    if (rename(from, to) != 0)
        return err_errno(err, errno, "rename %s", from);
    log_debug("etcd-member: %s is now %s", from, to);
    return sync_dir(places->etcd_data, err);
}

/* --- in the pool --- */

static void job_work(void *arg)
{
    struct job *job = arg;
    switch (job->kind) {
    case MEMBER_DISK_SCAN:
        break;
    case MEMBER_DISK_MARK:
        (void)write_marks(&job->places, &job->mark, &job->err);
        break;
    case MEMBER_DISK_FORGET:
        (void)forget_marks(&job->places, &job->err);
        break;
    case MEMBER_DISK_SET_ASIDE:
        (void)set_aside(&job->places, &job->err);
        break;
    }
    scan(&job->places, &job->facts);
}

static void job_done(void *arg)
{
    struct job *job = arg;
    struct member_disk *disk = job->owner;
    disk->work = source_free(disk->work);
    disk->known = true;
    disk->facts = job->facts;
    if (job->err.code != ERR_OK)
        (void)text_copy(disk->facts.trouble, sizeof(disk->facts.trouble), job->err.text);
    free(job);
    disk->changed(disk->arg);
}

void member_disk_run(struct member_disk *disk, enum member_disk_job kind,
                     const struct member_mark *mark)
{
    if (disk->work != NULL)
        return;
    struct job *job = mem_struct(struct job);
    job->kind = kind;
    if (mark != NULL)
        job->mark = *mark;
    job->owner = disk;
    find_places(disk->config, &job->places);
    disk->work = loop_work(disk->loop, job_work, job_done, free, job);
}

bool member_disk_busy(const struct member_disk *disk)
{
    return disk->work != NULL;
}

const struct member_disk_facts *member_disk_facts(const struct member_disk *disk)
{
    return disk->known ? &disk->facts : NULL;
}

struct member_disk *member_disk_new(struct loop *loop, const struct config *config,
                                    loop_fn *changed, void *arg)
{
    struct member_disk *disk = mem_struct(struct member_disk);
    disk->loop = loop;
    disk->config = config;
    disk->changed = changed;
    disk->arg = arg;
    member_disk_run(disk, MEMBER_DISK_SCAN, NULL);
    return disk;
}

struct member_disk *member_disk_free(struct member_disk *disk)
{
    if (disk == NULL)
        return NULL;
    source_free(disk->work); /* the job frees itself */
    free(disk);
    return NULL;
}
