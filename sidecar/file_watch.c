#include "sidecar/file_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

/* Which files these are: another one under the same name differs in this. */
struct print {
    struct {
        dev_t dev;
        ino_t inode;
        off_t size;
        struct timespec modified;
    } file[FILE_WATCH_MAX];
};

struct look {
    struct file_watch *watch; /* only for the loop */
    char *paths[FILE_WATCH_MAX];
    struct print print;
};

struct file_watch {
    struct file_watch_spec spec;
    char *paths[FILE_WATCH_MAX];
    struct source *timer;
    struct source *work;
    bool known;
    struct print used; /* as told, or as first seen */
    struct print seen; /* in the last look */
};

/* ---- beside the loop -------------------------------------------------------------------------- */

static void look(void *arg)
{
    struct look *look = arg;
    for (size_t i = 0; i < FILE_WATCH_MAX && look->paths[i] != NULL; i++) {
        struct stat status;
        if (stat(look->paths[i], &status) != 0)
            continue;
        look->print.file[i].dev = status.st_dev;
        look->print.file[i].inode = status.st_ino;
        look->print.file[i].size = status.st_size;
        look->print.file[i].modified = status.st_mtim;
    }
}

static void look_free(void *arg)
{
    struct look *look = arg;
    for (size_t i = 0; i < FILE_WATCH_MAX; i++)
        free(look->paths[i]);
    free(look);
}

/* ---- on the loop ------------------------------------------------------------------------------ */

static bool same(const struct print *a, const struct print *b)
{
    for (size_t i = 0; i < FILE_WATCH_MAX; i++)
        if (a->file[i].dev != b->file[i].dev || a->file[i].inode != b->file[i].inode ||
            a->file[i].size != b->file[i].size ||
            a->file[i].modified.tv_sec != b->file[i].modified.tv_sec ||
            a->file[i].modified.tv_nsec != b->file[i].modified.tv_nsec)
            return false;
    return true;
}

static void looked(void *arg)
{
    struct look *look = arg;
    struct file_watch *watch = look->watch;
    watch->work = source_free(watch->work);
    source_arm_in(watch->timer, watch->spec.pace_ms);
    bool settled = watch->known && same(&look->print, &watch->seen);
    bool news = settled && !same(&look->print, &watch->used);
    watch->seen = look->print;
    if (!watch->known || news)
        watch->used = look->print;
    watch->known = true;
    look_free(look);
    if (news)
        watch->spec.changed(watch->spec.arg);
}

static void on_timer(void *arg)
{
    struct file_watch *watch = arg;
    if (watch->work != NULL)
        return;
    struct look *next = mem_struct(struct look);
    next->watch = watch;
    for (size_t i = 0; i < FILE_WATCH_MAX; i++)
        next->paths[i] = mem_strdup(watch->paths[i]);
    watch->work = loop_work(watch->spec.loop, look, looked, look_free, next);
}

struct file_watch *file_watch_new(const struct file_watch_spec *spec)
{
    struct file_watch *watch = mem_struct(struct file_watch);
    watch->spec = *spec;
    watch->spec.paths = NULL;
    for (size_t i = 0; i < FILE_WATCH_MAX && spec->paths[i] != NULL; i++)
        watch->paths[i] = mem_strdup(spec->paths[i]);
    watch->timer = loop_timer(spec->loop, on_timer, watch);
    source_arm_in(watch->timer, 0);
    return watch;
}

struct file_watch *file_watch_free(struct file_watch *watch)
{
    if (watch == NULL)
        return NULL;
    source_free(watch->work);
    source_free(watch->timer);
    for (size_t i = 0; i < FILE_WATCH_MAX; i++)
        free(watch->paths[i]);
    free(watch);
    return NULL;
}
