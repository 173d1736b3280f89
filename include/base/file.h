#pragma once
/* A small file as a whole. Touches the disk: at start, at a reload, or beside the loop (loop_work). */
#include "base/err.h"
#include "base/text.h"

/* Appends the file's content. Errors, with its name: ERR_NOT_FOUND, ERR_SYSTEM, ERR_LIMIT (longer than
 * `to` may grow). */
enum err_code file_read(const char *path, struct text *to, struct err *err);
