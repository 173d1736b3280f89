#include "sidecar/postgres/fresh.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "sidecar/postgres/files.h"

enum { PRIVATE_FILE = 0600, PRIVATE_DIR = 0700 };

static const char mark_text[] = "This directory was made by pgvigil and is deleted by it.\n";

/* Ours, or nothing of anybody's. */
static enum err_code check_owner(const struct place *place, struct err *err)
{
    bool empty = true;
    if (file_exists(place->fresh_mark))
        return ERR_OK;
    enum err_code code = dir_is_empty(place->fresh, &empty, err);
    if (code == ERR_OK && !empty)
        return err_set(err, ERR_REFUSED, "%s is not ours: move it away", place->fresh);
    return code;
}

enum err_code fresh_remove(const struct place *place, struct err *err)
{
    char removed[LIMIT_PATH];
    enum err_code code = check_owner(place, err);
    if (code == ERR_OK)
        code = file_remove(place->fresh_done, err);
    if (code == ERR_OK)
        code = dir_remove(place->fresh_data, err);
    if (code == ERR_OK)
        code = dir_remove(path_join(removed, place->fresh, "removed"), err);
    /* The mark goes last. */
    return code == ERR_OK ? dir_remove(place->fresh, err) : code;
}

static enum err_code make_marked(const struct place *place, struct err *err)
{
    enum err_code code = dir_make(place->fresh, PRIVATE_DIR, err);
    return code == ERR_OK
               ? file_replace(place->fresh_mark, mark_text, strlen(mark_text), PRIVATE_FILE, err)
               : code;
}

enum err_code fresh_prepare(const struct place *place, struct err *err)
{
    enum err_code code = fresh_remove(place, err);
    return code == ERR_OK ? make_marked(place, err) : code;
}

enum err_code fresh_complete(const struct place *place, const char *kind, struct err *err)
{
    enum err_code code = dir_fsync(place->fresh_data, err);
    return code == ERR_OK ? file_replace(place->fresh_done, kind, strlen(kind), PRIVATE_FILE, err)
                          : code;
}

bool fresh_is_complete(const struct place *place, const char *kind)
{
    struct text word = text_new(64);
    char version[LIMIT_PATH];
    bool complete = file_exists(place->fresh_mark) &&
                    file_exists(path_join(version, place->fresh_data, "PG_VERSION")) &&
                    file_read(place->fresh_done, &word, NULL) == ERR_OK &&
                    strcmp(text_str(&word), kind) == 0;
    text_done(&word);
    return complete;
}

enum err_code fresh_adopt(const struct place *place, struct err *err)
{
    bool empty = true;
    enum err_code code = dir_is_empty(place->data, &empty, err);
    if (code != ERR_OK)
        return code;
    if (!empty && file_exists(place->fresh_data))
        return err_set(err, ERR_REFUSED, "%s is not empty", place->data);
    if (empty && !fresh_is_complete(place, "initdb") && !fresh_is_complete(place, "clone"))
        return err_set(err, ERR_NOT_FOUND, "there is no complete data directory in %s",
                       place->fresh);
    if (empty) {
        if (rmdir(place->data) != 0 && errno != ENOENT)
            return err_errno(err, errno, "cannot replace %s", place->data);
        code = dir_rename(place->fresh_data, place->data, err);
    }
    return code == ERR_OK ? fresh_remove(place, err) : code;
}

enum err_code fresh_remove_data(const struct place *place, struct err *err)
{
    char removed[LIMIT_PATH];
    if (!file_exists(place->data))
        return fresh_remove(place, err);
    enum err_code code = fresh_prepare(place, err);
    if (code == ERR_OK)
        code = dir_rename(place->data, path_join(removed, place->fresh, "removed"), err);
    if (code == ERR_OK)
        code = file_remove(place->rewinding, err);
    return code == ERR_OK ? fresh_remove(place, err) : code;
}
