#include "sidecar/postgres/conf_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/text.h"
#include "sidecar/postgres/files.h"

enum { PRIVATE_FILE = 0600, PRIVATE_DIR = 0700 };

static enum err_code write_text(const char *path, const char *content, struct err *err)
{
    if (content == NULL)
        return ERR_OK;
    return file_replace(path, content, strlen(content), PRIVATE_FILE, err);
}

enum err_code conf_write_pgpass(const struct place *place, const struct conf_files *files,
                                struct err *err)
{
    enum err_code code = dir_make(place->state_dir, PRIVATE_DIR, err);
    return code == ERR_OK ? write_text(place->pgpass, files->pgpass, err) : code;
}

/* patroni-compat 1.3: what was there before us is kept under another name and included. A file that
 * we (or Patroni) wrote is not kept: it comes from the server that was cloned. */
static enum err_code keep_base(const struct place *place, struct err *err)
{
    char conf[LIMIT_PATH];
    char base[LIMIT_PATH];
    path_join(conf, place->conf_dir, "postgresql.conf");
    path_join(base, place->conf_dir, "postgresql.base.conf");
    if (file_exists(base))
        return ERR_OK;
    struct text text = text_new(LIMIT_FILE);
    enum err_code code = file_read(conf, &text, NULL);
    bool original = code == ERR_OK && !text_starts_with(text_str(&text), CONF_MARK);
    text_done(&text);
    if (original)
        return dir_rename(conf, base, err);
    return file_replace(base, "", 0, PRIVATE_FILE, err);
}

/* Settings that are ours alone: postgresql.auto.conf is read last and would win. */
static bool is_ours(const char *line)
{
    static const char *const names[] = { "primary_conninfo", "primary_slot_name", "recovery_target",
                                         "synchronous_standby_names" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (text_starts_with(line, names[i]))
            return true;
    return false;
}

static void copy_others(const char *from, struct text *to)
{
    while (*from != '\0') {
        size_t len = strcspn(from, "\n");
        len += from[len] == '\n';
        if (!is_ours(from))
            text_add_bytes(to, from, len);
        from += len;
    }
}

static enum err_code clean_auto_conf(const struct place *place, struct err *err)
{
    char path[LIMIT_PATH];
    struct text text = text_new(LIMIT_FILE);
    struct text kept = text_new(LIMIT_FILE);
    path_join(path, place->data, "postgresql.auto.conf");
    enum err_code code = file_read(path, &text, err);
    if (code == ERR_OK) {
        copy_others(text_str(&text), &kept);
        if (kept.len != text.len)
            code = file_replace(path, text_str(&kept), kept.len, PRIVATE_FILE, err);
    }
    text_done(&text);
    text_done(&kept);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code set_signal(const struct place *place, enum conf_signal signal, struct err *err)
{
    char standby[LIMIT_PATH];
    char recovery[LIMIT_PATH];
    path_join(standby, place->data, "standby.signal");
    path_join(recovery, place->data, "recovery.signal");
    if (signal == CONF_SIGNAL_KEEP)
        return ERR_OK;
    if (signal == CONF_SIGNAL_STANDBY)
        return file_replace(standby, "", 0, PRIVATE_FILE, err);
    enum err_code code = file_remove(standby, err);
    return code == ERR_OK ? file_remove(recovery, err) : code;
}

static enum err_code write_conf_files(const struct conf_write *write, struct err *err)
{
    char path[LIMIT_PATH];
    const char *directory = write->place->conf_dir;
    enum err_code code = keep_base(write->place, err);
    if (code == ERR_OK)
        code = write_text(path_join(path, directory, "pg_hba.conf"), write->files->hba, err);
    if (code == ERR_OK)
        code = write_text(path_join(path, directory, "pg_ident.conf"), write->files->ident, err);
    if (code == ERR_OK)
        code = write_text(path_join(path, directory, "postgresql.conf"), write->files->conf, err);
    return code;
}

/* postmaster.pid, and the lock file of a socket: process, data directory, start time, port, directory of
 * the first socket; a line each. */
enum pid_line { PID_DATA = 1, PID_PORT = 3, PID_SOCKET = 4 };

static void pid_line(const char *content, enum pid_line line, char to[LIMIT_PATH])
{
    for (int i = 0; i < (int)line; i++) {
        const char *end = strchr(content, '\n');
        content = end == NULL ? "" : end + 1;
    }
    size_t len = strcspn(content, "\n");
    len = len < LIMIT_PATH ? len : 0;
    memcpy(to, content, len);
    to[len] = '\0';
}

static enum err_code remove_stale(const char *path, struct err *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return err_errno(err, errno, "cannot remove %s of a postmaster that is gone", path);
    return ERR_OK;
}

/* The socket's lock is the leftover of the same postmaster only if it names our PGDATA. */
static enum err_code remove_stale_socket_lock(const struct place *place, const char *pid_file,
                                              struct err *err)
{
    char directory[LIMIT_PATH];
    char port[LIMIT_PATH];
    char data[LIMIT_PATH];
    char path[LIMIT_PATH];
    pid_line(pid_file, PID_SOCKET, directory);
    pid_line(pid_file, PID_PORT, port);
    int len = snprintf(path, sizeof(path), "%s/.s.PGSQL.%s.lock", directory, port);
    if (directory[0] != '/' || len >= (int)sizeof(path))
        return ERR_OK;
    auto_text struct text lock = text_new(LIMIT_FILE);
    if (file_read(path, &lock, NULL) != ERR_OK)
        return ERR_OK;
    pid_line(text_str(&lock), PID_DATA, data);
    return strcmp(data, place->data) == 0 ? remove_stale(path, err) : ERR_OK;
}

static enum err_code remove_stale_pid(const struct place *place, struct err *err)
{
    char path[LIMIT_PATH];
    path_join(path, place->data, "postmaster.pid");
    auto_text struct text content = text_new(LIMIT_FILE);
    if (file_read(path, &content, NULL) != ERR_OK)
        return remove_stale(path, err);
    enum err_code code = remove_stale_socket_lock(place, text_str(&content), err);
    return code == ERR_OK ? remove_stale(path, err) : code;
}

enum err_code conf_write(const struct conf_write *write, struct err *err)
{
    const struct place *place = write->place;
    if (write->alone && remove_stale_pid(place, err) != ERR_OK)
        return ERR_SYSTEM;
    if (write->starting && chmod(place->data, PRIVATE_DIR) != 0)
        return err_errno(err, errno, "cannot set %s to 0700", place->data);
    enum err_code code = conf_write_pgpass(place, write->files, err);
    if (code == ERR_OK)
        code = write_conf_files(write, err);
    if (code == ERR_OK && write->starting)
        code = clean_auto_conf(place, err);
    if (code == ERR_OK)
        code = set_signal(place, write->signal, err);
    return code;
}

enum err_code conf_write_soon(const struct place *place, const struct conf_files *files,
                              struct err *err)
{
    char path[LIMIT_PATH];
    path_join(path, place->conf_dir, "postgresql.conf");
    return file_replace_soon(path, files->conf, strlen(files->conf), PRIVATE_FILE, err);
}

static bool differs(const char *path, const char *content)
{
    if (content == NULL)
        return false;
    struct text text = text_new(LIMIT_FILE);
    bool same = file_read(path, &text, NULL) == ERR_OK && strcmp(text_str(&text), content) == 0;
    text_done(&text);
    return !same;
}

bool conf_differs(const struct place *place, const struct conf_files *files)
{
    char path[LIMIT_PATH];
    return differs(place->pgpass, files->pgpass) ||
           differs(path_join(path, place->conf_dir, "pg_hba.conf"), files->hba) ||
           differs(path_join(path, place->conf_dir, "pg_ident.conf"), files->ident) ||
           differs(path_join(path, place->conf_dir, "postgresql.conf"), files->conf);
}
