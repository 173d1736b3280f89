#include "settings/yaml_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static bool is_one_of(const char *text, const char *const words[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

#define IS_ONE_OF(text, words) is_one_of(text, words, sizeof(words) / sizeof((words)[0]))

static const char *const true_words[] = { "yes",  "Yes", "YES", "true", "True",
                                          "TRUE", "on",  "On",  "ON" };
static const char *const false_words[] = { "no",    "No",  "NO",  "false", "False",
                                           "FALSE", "off", "Off", "OFF" };
static const char *const null_words[] = { "", "~", "null", "Null", "NULL" };

/* Digits with underscores between them, without those; false when there is anything else. */
static bool plain_digits(const char *text, size_t base, char *ret, size_t size)
{
    size_t used = 0, digits = 0;
    for (; *text != '\0'; text++) {
        if (*text == '_')
            continue;
        const char *set = "0123456789abcdefABCDEF";
        size_t known = base == 16 ? 22 : base;
        const char *found = memchr(set, *text, known);
        if (found == NULL || used + 1 >= size)
            return false;
        ret[used++] = *text;
        digits++;
    }
    ret[used] = '\0';
    return digits > 0;
}

static json_t *as_integer(const char *text)
{
    const char *at = text + (*text == '-' || *text == '+');
    char digits[72];
    int base = 10;

    if (text_starts_with(at, "0x"))
        base = 16;
    else if (text_starts_with(at, "0b"))
        base = 2;
    else if (at[0] == '0' && at[1] != '\0')
        return NULL; /* 0644 stays as it was written */
    if (*at < '0' || *at > '9' ||
        !plain_digits(base == 10 ? at : at + 2, (size_t)base, digits, sizeof(digits)))
        return NULL;
    errno = 0;
    long long value = strtoll(digits, NULL, base);
    return errno != 0 ? NULL : json_integer(*text == '-' ? -value : value);
}

/* [-+]? digits '.' digits? ([eE][-+]digits)? : a dot is needed, and a sign in the exponent. */
static json_t *as_real(const char *text)
{
    const char *at = text + (*text == '-' || *text == '+');
    size_t whole = strspn(at, "0123456789");
    if (at[whole] != '.')
        return NULL;
    size_t fraction = strspn(at + whole + 1, "0123456789");
    const char *rest = at + whole + 1 + fraction;
    if (whole + fraction == 0)
        return NULL;
    if (*rest == 'e' || *rest == 'E') {
        size_t digits = rest[1] == '-' || rest[1] == '+' ? strspn(rest + 2, "0123456789") : 0;
        if (digits == 0)
            return NULL;
        rest += 2 + digits;
    }
    double value = strtod(text, NULL);
    return *rest != '\0' || !isfinite(value) ? NULL : json_real(value);
}

json_t *yaml_scalar(const char *text)
{
    if (IS_ONE_OF(text, null_words))
        return json_null();
    if (IS_ONE_OF(text, true_words))
        return json_true();
    if (IS_ONE_OF(text, false_words))
        return json_false();
    json_t *number = as_integer(text);
    if (number == NULL)
        number = as_real(text);
    return number != NULL ? number : json_string(text);
}
