#include "sidecar/postgres/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/limits.h"

const char *path_join(char *buffer, const char *directory, const char *name)
{
    int len = snprintf(buffer, LIMIT_PATH, "%s/%s", directory, name);
    if (len < 0 || len >= LIMIT_PATH)
        buffer[0] = '\0'; /* opens nothing */
    return buffer;
}

static bool has_content(const char *path, const char *content, size_t len, mode_t mode)
{
    struct stat st;
    if (stat(path, &st) != 0 || (st.st_mode & 07777) != mode || (size_t)st.st_size != len)
        return false;
    auto_text struct text text = text_new(len + 1);
    return file_read(path, &text, NULL) == ERR_OK && text.len == len &&
           memcmp(text_str(&text), content, len) == 0;
}

static enum err_code write_all(int fd, const char *path, const char *content, size_t len,
                               struct err *err)
{
    size_t at = 0;
    while (at < len) {
        ssize_t put = write(fd, content + at, len - at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, errno, "cannot write %s", path);
        at += (size_t)put;
    }
    return ERR_OK;
}

static const char *parent_of(const char *path, char *buffer)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    snprintf(buffer, LIMIT_PATH, "%.*s", (int)len, path);
    if (slash == NULL)
        return ".";
    return len == 0 ? "/" : buffer;
}

enum err_code dir_fsync(const char *path, struct err *err)
{
    auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot open directory %s", path);
    if (fsync(fd) != 0)
        return err_errno(err, errno, "cannot fsync directory %s", path);
    return ERR_OK;
}

/* What is to be put in place, and how surely. */
struct content {
    const char *bytes;
    size_t len;
    mode_t mode;
    bool durable;
};

static enum err_code write_beside(const char *path, const struct content *content, struct err *err)
{
    char temporary[LIMIT_PATH + 8];
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    (void)unlink(temporary);
    auto_close int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, errno, "cannot create %s", temporary);
    if (fchmod(fd, content->mode) != 0)
        return err_errno(err, errno, "cannot set the mode of %s", temporary);
    enum err_code code = write_all(fd, temporary, content->bytes, content->len, err);
    if (code == ERR_OK && content->durable && fsync(fd) != 0)
        code = err_errno(err, errno, "cannot fsync %s", temporary);
    if (code != ERR_OK) {
        (void)unlink(temporary);
        return code;
    }
    if (rename(temporary, path) != 0)
        return err_errno(err, errno, "cannot rename %s", temporary);
    return ERR_OK;
}

static enum err_code replace(const char *path, const struct content *content, struct err *err)
{
    char parent[LIMIT_PATH];
    if (has_content(path, content->bytes, content->len, content->mode))
        return ERR_OK;
    enum err_code code = write_beside(path, content, err);
    return code == ERR_OK && content->durable ? dir_fsync(parent_of(path, parent), err) : code;
}

enum err_code file_replace(const char *path, const char *content, size_t len, mode_t mode,
                           struct err *err)
{
    const struct content durable = { content, len, mode, true };
    return replace(path, &durable, err);
}

enum err_code file_replace_soon(const char *path, const char *content, size_t len, mode_t mode,
                                struct err *err)
{
    const struct content soon = { content, len, mode, false };
    return replace(path, &soon, err);
}

enum err_code file_remove(const char *path, struct err *err)
{
    char parent[LIMIT_PATH];
    if (unlink(path) != 0)
        return errno == ENOENT ? ERR_OK : err_errno(err, errno, "cannot remove %s", path);
    return dir_fsync(parent_of(path, parent), err);
}

bool file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

enum err_code dir_make(const char *path, mode_t mode, struct err *err)
{
    char parent[LIMIT_PATH];
    if (mkdir(path, mode) != 0)
        return errno == EEXIST ? ERR_OK : err_errno(err, errno, "cannot create %s", path);
    return dir_fsync(parent_of(path, parent), err);
}

enum err_code dir_is_empty(const char *path, bool *ret_empty, struct err *err)
{
    DIR *dir = opendir(path);
    if (dir == NULL && errno == ENOENT) {
        *ret_empty = true;
        return ERR_OK;
    }
    if (dir == NULL)
        return err_errno(err, errno, "cannot open directory %s", path);
    bool empty = true;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    closedir(dir);
    *ret_empty = empty;
    return ERR_OK;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

enum err_code dir_remove(const char *path, struct err *err)
{
    char parent[LIMIT_PATH];
    if (!file_exists(path))
        return ERR_OK;
    if (nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        return err_errno(err, errno, "cannot remove %s", path);
    return dir_fsync(parent_of(path, parent), err);
}

enum err_code dir_rename(const char *from, const char *to, struct err *err)
{
    char parent[LIMIT_PATH];
    if (rename(from, to) != 0)
        return err_errno(err, errno, "cannot rename %s to %s", from, to);
    enum err_code code = dir_fsync(parent_of(to, parent), err);
    return code == ERR_OK ? dir_fsync(parent_of(from, parent), err) : code;
}
