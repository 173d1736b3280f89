#include "sidecar/postgres/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "sidecar/postgres/files.h"
#include "sidecar/postgres/fresh.h"

static bool exists_in(const char *directory, const char *name)
{
    char path[LIMIT_PATH];
    return file_exists(path_join(path, directory, name));
}

static bool is_mount_point(const char *path)
{
    struct statx info;
    return statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &info) == 0 &&
           (info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
           (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static enum data_dir broken(struct datadir *dir, const char *what, const char *path)
{
    snprintf(dir->trouble, sizeof(dir->trouble), "%.200s %s", path, what);
    return DATA_DIR_BROKEN;
}

static enum data_dir classify(const struct place *place, struct datadir *dir)
{
    bool empty = true;
    struct err err = { .code = ERR_OK };
    struct stat st;

    /* Design part 6: it cannot be renamed, and an unmounted one would look empty. */
    if (is_mount_point(place->data))
        return broken(dir,
                      "is itself a mount point: make PGDATA a subdirectory of the volume "
                      "(postgresql.data_dir), move what is in it there",
                      place->data);
    if (stat(place->data, &st) != 0 && errno != ENOENT)
        return broken(dir, "cannot be looked at: check owner and mode", place->data);
    if (dir_is_empty(place->data, &empty, &err) != ERR_OK) {
        snprintf(dir->trouble, sizeof(dir->trouble), "%s", err.text);
        return DATA_DIR_BROKEN;
    }
    if (empty)
        return fresh_is_complete(place, "initdb") ? DATA_DIR_FRESH : DATA_DIR_EMPTY;
    if (!exists_in(place->data, "PG_VERSION") || !exists_in(place->data, "global/pg_control"))
        return broken(dir, "is not empty and no data directory: move away what is in it",
                      place->data);
    if (access(place->data, R_OK | W_OK | X_OK) != 0)
        return broken(dir, "cannot be written: check owner, mode and the mount", place->data);
    return DATA_DIR_VALID;
}

void datadir_look(const struct place *place, struct datadir *ret)
{
    struct datadir dir = { .dir = DATA_DIR_UNKNOWN };
    dir.dir = classify(place, &dir);
    if (dir.dir == DATA_DIR_VALID) {
        dir.standby_signal = exists_in(place->data, "standby.signal");
        dir.rewinding = file_exists(place->rewinding);
        conf_state_read(place, &dir.conf);
    }
    *ret = dir;
}

enum err_code datadir_history(const struct place *place, uint32_t tli, struct timeline *ret,
                              struct err *err)
{
    char name[64];
    char path[LIMIT_PATH];
    auto_text struct text text = text_new(LIMIT_FILE);
    if (tli == 1)
        return timeline_parse(1, "", ret, err);
    snprintf(name, sizeof(name), "pg_wal/%08X.history", tli);
    enum err_code code = file_read(path_join(path, place->data, name), &text, err);
    return code == ERR_OK ? timeline_parse(tli, text_str(&text), ret, err) : code;
}
