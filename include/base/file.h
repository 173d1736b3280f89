#pragma once
/* A small file as a whole. Touches the disk: at start, at a reload, or beside the loop (loop_work). */
#include "base/err.h"
#include "base/text.h"

/* Appends the file's content. Errors: ERR_SYSTEM, ERR_LIMIT (longer than the text may grow), with
 * its name; `to` may hold a part of it then. */
enum err_code file_read(const char *path, struct text *to, struct err *err);
