#include "known_parameter.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "settings/option.h"

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    while (*words != '\0') {
        size_t next = strcspn(words, "|");
        if (next == len && strncasecmp(words, word, len) == 0)
            return true;
        words += next;
        words += *words == '|';
    }
    return false;
}

/* pg_settings hides some spellings: booleans where on and off are words, and of the log levels the
 * oldest. */
static enum err_code check_word(const struct known_parameter *parameter, const char *value,
                                struct err *err)
{
    bool truth;
    bool hidden_bool = has_word(parameter->words, "on") && option_parse_bool(value, &truth);
    bool hidden_level = has_word(parameter->words, "debug1") &&
                        (strcasecmp(value, "debug") == 0 || strcasecmp(value, "info") == 0);
    if (has_word(parameter->words, value) || hidden_bool || hidden_level)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "expected one of %s, not %s", parameter->words, value);
}

/* "8kB" and "16MB" are units of several: blocks, segments. */
static bool in_unit(const char *value, const char *unit, double *ret_number)
{
    static const char fine[] = "B", fine_time[] = "us";
    char *rest;
    double several = strtod(unit, &rest);
    bool size = rest[strlen(rest) - 1] == 'B';
    int64_t base, number;
    char *end;

    /* A number alone counts in the parameter's own unit. */
    *ret_number = strtod(value, &end);
    if (end == value)
        return false;
    if (*end == '\0')
        return true;
    char one[16] = "1";
    strncat(one, rest, sizeof(one) - 2);
    if (!option_parse_unit(one, size ? fine : fine_time, &base) ||
        !option_parse_unit(value, size ? fine : fine_time, &number))
        return false;
    *ret_number = (double)number / ((double)base * (several > 0 ? several : 1));
    return true;
}

static enum err_code check_number(const struct known_parameter *parameter, const char *value,
                                  struct err *err)
{
    double number;
    char *end;
    if (parameter->unit != NULL) {
        if (!in_unit(value, parameter->unit, &number))
            return err_set(err, ERR_INVALID, "expected a number with a unit such as %s, not %s",
                           parameter->unit, value);
    } else {
        number = strtod(value, &end);
        if (end == value || *end != '\0')
            return err_set(err, ERR_INVALID, "expected a number, not %s", value);
    }
    /* The server rounds to whole numbers: half a step is allowed for. */
    double slack = parameter->kind == PARAMETER_INTEGER ? 0.5 : 0;
    if (!(number >= parameter->min - slack && number <= parameter->max + slack))
        return err_set(err, ERR_INVALID, "%s is outside the range of %.15g to %.15g%s%s", value,
                       parameter->min, parameter->max, parameter->unit == NULL ? "" : " ",
                       parameter->unit == NULL ? "" : parameter->unit);
    return ERR_OK;
}

enum err_code known_parameter_check(const struct known_parameter *parameter, const char *value,
                                    struct err *err)
{
    bool truth;
    switch (parameter->kind) {
    case PARAMETER_TEXT:
        return ERR_OK;
    case PARAMETER_BOOL:
        if (!option_parse_bool(value, &truth))
            return err_set(err, ERR_INVALID, "expected on or off, not %s", value);
        return ERR_OK;
    case PARAMETER_INTEGER:
    case PARAMETER_REAL:
        return check_number(parameter, value, err);
    case PARAMETER_WORD:
        return check_word(parameter, value, err);
    }
    return ERR_OK;
}
