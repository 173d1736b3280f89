#include "base/file.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clean.h"

static enum err_code read_all(int fd, const char *path, struct text *text, struct err *err)
{
    char chunk[8192];
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, "cannot read %s", path);
        text_add_bytes(text, chunk, (size_t)got);
        if (text->overflow)
            return err_set(err, ERR_LIMIT, "%s is longer than %zu bytes", path, text->max);
    }
    return ERR_OK;
}

enum err_code file_read(const char *path, struct text *to, struct err *err)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", path);
    auto_text struct text text = text_new(to->max);
    enum err_code code = read_all(fd, path, &text, err);
    if (code == ERR_OK)
        text_add_bytes(to, text_str(&text), text.len);
    return code;
}
