#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERR_CODE_NAME(name, text) [ERR_##name] = (text),
static const char *const err_names[] = { ERR_CODES(ERR_CODE_NAME) };
_Static_assert(sizeof(err_names) / sizeof(err_names[0]) == ERR_MAX, "a name for every code");

const char *err_code_name(enum err_code code)
{
    return err_names[code];
}

enum err_code err_set(struct err *err, enum err_code code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->code = code;
        (void)vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return code;
}

enum err_code err_errno(struct err *err, int errnum, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        err->code = ERR_SYSTEM;
        (void)vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        size_t len = strlen(err->text);
        (void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(errnum));
    }
    return ERR_SYSTEM;
}

enum err_code err_wrap(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return ERR_SYSTEM;
    char inner[ERR_TEXT_MAX];
    memcpy(inner, err->text, sizeof(inner));
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    size_t len = strlen(err->text);
    (void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", inner);
    return err->code;
}
