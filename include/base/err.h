#pragma once
/* Errors: one form everywhere (docs/design.md, A6 of the style notes).
 *
 * A function that can fail returns `enum err_code` (ERR_OK is 0) and takes `struct err *err` as its
 * last parameter, which may be NULL. On success `err` and every ret_ parameter are untouched until
 * the very end; on failure ret_ parameters are untouched and `err` says what happened. The code says
 * what the caller can do about it; the text is for a person. Nothing is allocated. */

#define ERR_CODES(X)                                                                               \
    X(OK, "ok")                                                                                    \
    X(TIMEOUT, "timeout")         /* no answer in time: the operation may have happened */         \
    X(UNREACHABLE, "unreachable") /* nobody there: it did not happen */                            \
    X(CONFLICT, "conflict")       /* a compare failed or somebody else holds it: look again */     \
    X(NOT_FOUND, "not found")                                                                      \
    X(REFUSED, "refused")   /* understood and denied: trying again does not help */                \
    X(PROTOCOL, "protocol") /* an answer that makes no sense */                                    \
    X(LIMIT, "limit")       /* a ceiling of base/limits.h was reached */                           \
    X(INVALID, "invalid")   /* bad input from a person or a file */                                \
    X(CANCELLED, "cancelled")                                                                      \
    X(SYSTEM, "system") /* the operating system said no */

#define ERR_CODE_ENUM(name, text) ERR_##name,
enum err_code { ERR_CODES(ERR_CODE_ENUM) ERR_MAX };
#undef ERR_CODE_ENUM

enum { ERR_TEXT_MAX = 512 };

struct err {
    enum err_code code;
    char text[ERR_TEXT_MAX];
};

/* Sets code and text; returns the code, so that a failure is one line. */
enum err_code err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set with ERR_SYSTEM, and appends ": " and the text of `errnum`. */
enum err_code err_errno(struct err *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<prefix>: " before the text that is there; returns the code that is there. */
enum err_code err_wrap(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "timeout", "conflict" … for logs. */
const char *err_code_name(enum err_code code);
