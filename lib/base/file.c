#include "base/file.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clean.h"

enum err_code file_read(const char *path, struct text *to, struct err *err)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %s", path);
    char chunk[4096];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "read %s", path);
        if (got == 0)
            return ERR_OK;
        text_add_bytes(to, chunk, (size_t)got);
        if (to->overflow)
            return err_set(err, ERR_LIMIT, "%s: longer than %zu bytes", path, to->max);
    }
}
