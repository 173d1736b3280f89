#pragma once
/* Files and directories, for use in the thread pool only: every function here may block. Whatever
 * replaces something does it by temporary file, fsync, rename, fsync of the directory. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/file.h"

/* Replaces the file. Nothing is written when it already has this content and mode. */
enum err_code file_replace(const char *path, const char *content, size_t len, mode_t mode,
                           struct err *err);

/* The same without waiting for the disk: after a crash of the node either may be there. */
enum err_code file_replace_soon(const char *path, const char *content, size_t len, mode_t mode,
                                struct err *err);

/* Missing is fine. */
enum err_code file_remove(const char *path, struct err *err);
bool file_exists(const char *path);

enum err_code dir_fsync(const char *path, struct err *err);
/* Missing parents are not made; an existing directory is fine. */
enum err_code dir_make(const char *path, mode_t mode, struct err *err);
/* Nothing in it but "." and ".."; a missing directory is empty. */
enum err_code dir_is_empty(const char *path, bool *ret_empty, struct err *err);
/* Everything below and the directory itself; does not follow links, does not leave the file system.
 * Missing is fine. */
enum err_code dir_remove(const char *path, struct err *err);
/* Renames and makes it durable. */
enum err_code dir_rename(const char *from, const char *to, struct err *err);

/* "<directory>/<name>" in the caller's buffer of LIMIT_PATH bytes; a path that does not fit is a fault
 * of the configuration that place_init has refused. Returns the buffer. */
const char *path_join(char *buffer, const char *directory, const char *name);
